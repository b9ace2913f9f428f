/** What stops a command, on each system, and what it means to it. */
import { isatty } from 'node:tty';

/** At once; or in its own time, as who drains a host asks for it. */
export type Interrupt = 'SIGINT' | 'SIGTERM';

const posix: readonly (readonly [NodeJS.Signals, Interrupt])[] = [
  ['SIGINT', 'SIGINT'],
  ['SIGTERM', 'SIGTERM'],
];

/** The terminal was closed. */
const hangup: readonly (readonly [NodeJS.Signals, Interrupt])[] = [['SIGHUP', 'SIGINT']];

/**
 * Nobody can send a signal to another process there: Ctrl-Break stands in for SIGTERM, and SIGHUP is the
 * window that was closed, which leaves some seconds.
 */
const windows: readonly (readonly [NodeJS.Signals, Interrupt])[] = [
  ['SIGINT', 'SIGINT'],
  ['SIGBREAK', 'SIGTERM'],
  ['SIGHUP', 'SIGINT'],
];

/** @param isOnTerminal whether the command belongs to a terminal; see `isOnTerminal` */
export function interruptsOf(platform: NodeJS.Platform, isOnTerminal: boolean) {
  if (platform === 'win32') return windows;
  return isOnTerminal ? [...posix, ...hangup] : posix;
}

/** Whether a standard stream is a terminal. It stays true when that terminal is closed later. */
export const isOnTerminal = [0, 1, 2].some((descriptor) => isatty(descriptor));

/**
 * A command without a terminal outlives the terminal of whoever started it. `nohup` alone does not bring that
 * about: Node takes signals back that were ignored when it started.
 */
export function ignoreHangup(): void {
  if (process.platform !== 'win32' && !isOnTerminal) process.on('SIGHUP', () => undefined);
}

/** What a parent process may say in place of a signal, over the channel that `fork` of Node opens. */
export function interruptOfMessage(message: unknown): Interrupt | undefined {
  return message === 'SIGINT' || message === 'SIGTERM' ? message : undefined;
}
