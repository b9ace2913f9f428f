/** The signals that stop a command on each platform, and what each means. */
import { isatty } from 'node:tty';

/** SIGINT: stop immediately. SIGTERM: finish running sessions first. */
export type Interrupt = 'SIGINT' | 'SIGTERM';

const posix: readonly (readonly [NodeJS.Signals, Interrupt])[] = [
  ['SIGINT', 'SIGINT'],
  ['SIGTERM', 'SIGTERM'],
];

/** The terminal was closed. */
const hangup: readonly (readonly [NodeJS.Signals, Interrupt])[] = [['SIGHUP', 'SIGINT']];

/**
 * Windows processes cannot signal each other. Ctrl-Break acts as SIGTERM. SIGHUP means that the console window was
 * closed; the process then has a few seconds left.
 */
const windows: readonly (readonly [NodeJS.Signals, Interrupt])[] = [
  ['SIGINT', 'SIGINT'],
  ['SIGBREAK', 'SIGTERM'],
  ['SIGHUP', 'SIGINT'],
];

/** @param isOnTerminal whether the command runs on a terminal; see `isOnTerminal` */
export function interruptsOf(platform: NodeJS.Platform, isOnTerminal: boolean) {
  if (platform === 'win32') return windows;
  return isOnTerminal ? [...posix, ...hangup] : posix;
}

/** Whether a standard stream is a terminal. Stays true when the terminal is closed later. */
export const isOnTerminal = [0, 1, 2].some((descriptor) => isatty(descriptor));

/**
 * Lets a command without a terminal outlive the terminal that started it. `nohup` alone is not enough: Node
 * resets signals that were ignored when it started.
 */
export function ignoreHangup(): void {
  if (process.platform !== 'win32' && !isOnTerminal) process.on('SIGHUP', () => undefined);
}

/** A parent process may send a message instead of a signal, over the IPC channel of Node's `fork`. */
export function interruptOfMessage(message: unknown): Interrupt | undefined {
  return message === 'SIGINT' || message === 'SIGTERM' ? message : undefined;
}
