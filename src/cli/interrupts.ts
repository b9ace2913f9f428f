/** The signals that stop a command on each platform, and the meaning of each signal. */
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
 * On Windows, processes cannot send signals to each other, so Ctrl-Break takes the role of SIGTERM. SIGHUP
 * means that the console window was closed; Windows then ends the process within a few seconds.
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

/** Whether a standard stream was a terminal when the process started. */
export const isOnTerminal = isTerminalOpen();

/** Whether a standard stream is a terminal now: none is any more after the terminal was closed. */
export function isTerminalOpen(): boolean {
  return [0, 1, 2].some((descriptor) => isatty(descriptor));
}

/**
 * Ignores SIGHUP in a command without a terminal, so that the command keeps running when the terminal that
 * started it closes. `nohup` alone is not enough, because Node resets ignored signals to their defaults when
 * it starts.
 */
export function ignoreHangup(): void {
  if (process.platform !== 'win32' && !isOnTerminal) process.on('SIGHUP', () => undefined);
}

/**
 * Converts a message to an interrupt. A parent process that started the command with Node's `fork` can send
 * such messages instead of signals.
 * @returns undefined for other messages
 */
export function interruptOfMessage(message: unknown): Interrupt | undefined {
  return message === 'SIGINT' || message === 'SIGTERM' ? message : undefined;
}
