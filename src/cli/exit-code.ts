import type { SendResult } from '../node/send-options.js';

/** Exit codes of every command, as documented in the README and in each command's help. */
export const exitCode = {
  /** Everything is complete. */
  ok: 0,
  /** For a sender, no receiver is complete. For a receiver with --once, the transfer failed. */
  none: 1,
  /** The command line is invalid. */
  usage: 2,
  /** Only some receivers are complete. In an experiment: at least one run is incomplete. */
  some: 3,
  /** An error on this host: file, port, host name, key or disk. */
  system: 4,
  /** Complete, but the sender skipped some entries, or a receiver could not delete some. */
  skipped: 5,
  /** Interrupted by a signal before the end. */
  interrupted: 130,
} as const;

export type ExitCode = (typeof exitCode)[keyof typeof exitCode];

/** The exit code of `p2mp send`. */
export function sendExitCode(result: SendResult, isInterrupted: boolean): ExitCode {
  const complete = result.receivers.filter(({ status }) => status === 'complete').length;
  if (complete === result.receivers.length && result.error === undefined) {
    const isWhole = result.receivers.every(({ undeletedEntries }) => undeletedEntries === 0);
    return result.skipped.length === 0 && isWhole ? exitCode.ok : exitCode.skipped;
  }
  if (isInterrupted) return exitCode.interrupted;
  if (result.error !== undefined) return exitCode.system;
  return complete === 0 ? exitCode.none : exitCode.some;
}

/** The epilogue of the help of `p2mpclient`. */
export const exitCodeHelp = [
  'Exit codes: 0 complete; 1 no receiver complete; 2 usage error; 3 only some receivers complete;',
  '4 file, port, host or disk error; 130 interrupted.',
].join('\n');

/** The epilogue of the help of `p2mpserver` and `p2mp receive`. */
export const receiverExitCodeHelp = [
  'Exit codes: 0 complete; 1 the transfer failed (with --once); 2 usage error;',
  '4 file, port, key or disk error; 5 complete, but the sender could not read some entries any',
  'more (p2mp receive --once); 130 interrupted during a transfer.',
].join('\n');

/** The epilogue of the help of `p2mp fetch`. */
export const fetchExitCodeHelp = [
  'Exit codes: 0 complete; 1 not complete; 2 usage error; 4 host, key or disk error;',
  '130 interrupted. The same command resumes.',
].join('\n');

/** The epilogue of the help of `p2mp send`. */
export const sendExitCodeHelp = [
  'Exit codes: 0 complete; 1 no receiver complete; 2 usage error; 3 only some receivers complete;',
  '4 file, port, host, key or disk error; 5 complete, but some entries were skipped or not',
  'deleted; 130 interrupted.',
].join('\n');
