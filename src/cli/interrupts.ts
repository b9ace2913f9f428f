/** What stops a command, on each system, and what it means to it. */

/** At once; or in its own time, as who drains a host asks for it. */
export type Interrupt = 'SIGINT' | 'SIGTERM';

const posix: readonly (readonly [NodeJS.Signals, Interrupt])[] = [
  ['SIGINT', 'SIGINT'],
  ['SIGTERM', 'SIGTERM'],
];

/**
 * Nobody can send a signal to another process there: Ctrl-Break stands in for SIGTERM, and SIGHUP is the
 * window that was closed, which leaves some seconds.
 */
const windows: readonly (readonly [NodeJS.Signals, Interrupt])[] = [
  ['SIGINT', 'SIGINT'],
  ['SIGBREAK', 'SIGTERM'],
  ['SIGHUP', 'SIGINT'],
];

export function interruptsOf(platform: NodeJS.Platform) {
  return platform === 'win32' ? windows : posix;
}

/** What a parent process may say in place of a signal, over the channel that `fork` of Node opens. */
export function interruptOfMessage(message: unknown): Interrupt | undefined {
  return message === 'SIGINT' || message === 'SIGTERM' ? message : undefined;
}
