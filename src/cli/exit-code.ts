/** Exit codes of every command, as documented in the README and in each command's help. */
export const exitCode = {
  /** Everything is complete. */
  ok: 0,
  /** No receiver is complete (client); the transfer failed (server with --once). */
  none: 1,
  /** The command line is wrong. */
  usage: 2,
  /** Some receivers are complete and some are not; in some run of an experiment. */
  some: 3,
  /** This host would not: file, port, host name, disk. */
  system: 4,
  /** Complete at every receiver, but for entries that were skipped. */
  skipped: 5,
  /** Stopped by a signal before the end. */
  interrupted: 130,
} as const;

export type ExitCode = (typeof exitCode)[keyof typeof exitCode];

/** For the end of a help text. */
export const exitCodeHelp = [
  'Exit codes: 0 complete; 1 no receiver complete, or the transfer failed; 2 wrong use;',
  '3 some receivers complete; 4 file, port, host or disk; 130 interrupted.',
].join('\n');

/** Of `p2mp send`. */
export const sendExitCodeHelp = [
  'Exit codes: 0 complete; 1 no receiver complete; 2 wrong use; 3 some receivers complete;',
  '4 file, port, host or disk; 5 complete, but some files could not be sent; 130 interrupted.',
].join('\n');
