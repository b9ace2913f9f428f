/** The command line of `p2mp receive`. */
import { join } from 'node:path';
import { P2mpError } from '../../base/errors.js';
import { defaultPort } from '../../classic/config.js';
import { defaultKeyFolder } from '../../node/keys/key-files.js';
import { parseChoice, parseCount, parseSeconds } from '../arguments.js';
import { createParser, flagOption, listOption, parse, single, textOption } from '../command.js';
import type { ExitCode } from '../exit-code.js';
import { receiverExitCodeHelp } from '../exit-code.js';
import { createOnComplete, type OnComplete } from '../on-complete.js';
import type { LogLevel } from '../output/log-output.js';
import { LogOutput, logFormats, logLevels } from '../output/log-output.js';
import { Output } from '../output/output.js';

const usage = [
  '$0 [options]',
  '',
  'Receives files from any number of trusted senders into a folder. A file appears under its name',
  'once it is complete, verified and on disk. An interrupted transfer resumes when its sender',
  'returns. After SIGTERM, running sessions finish and new ones are deferred, so that a new process',
  'can take over without failing any sender. Ctrl-C stops immediately.',
].join('\n');

/** Where to listen and where to write. */
const placeOptions = {
  dir: { ...textOption, default: '.', describe: 'Target folder' },
  port: { ...textOption, default: String(defaultPort), describe: 'UDP port; 0 for any free port' },
  bind: {
    ...listOption,
    describe: 'Local address to listen on; may be repeated',
    defaultDescription: 'all',
  },
  once: { ...flagOption, describe: 'Stop after one session' },
} as const;

/** Commands to run after a session. */
const commandOptions = {
  'on-complete': {
    ...textOption,
    describe: 'Shell command to run after each complete session; it gets P2MP_* variables',
  },
  'on-complete-jobs': {
    ...textOption,
    default: '4',
    describe: 'Maximum number of these commands that run at once; up to 1000 more wait',
  },
  'on-complete-timeout': {
    ...textOption,
    default: '300',
    describe: 'Seconds after which a command that still runs is killed',
  },
} as const;

/** Which senders to accept, and how this receiver identifies itself. */
const trustOptions = {
  'authorized-senders': {
    ...textOption,
    describe: 'File of the public keys of trusted senders, one per line',
    defaultDescription: join(defaultKeyFolder(), 'authorized_senders'),
  },
  open: {
    ...flagOption,
    describe: 'Accept any sender that can reach this port, without authentication',
  },
  key: {
    ...textOption,
    describe: "File of this receiver's private key; created if missing",
    defaultDescription: join(defaultKeyFolder(), 'key'),
  },
  name: {
    ...textOption,
    describe: 'Name that this receiver reports to senders',
    defaultDescription: 'host name',
  },
} as const;

/** How to treat files, received and existing. */
const fileOptions = {
  clobber: {
    ...flagOption,
    default: true,
    describe: 'Replace files that differ (--no-clobber: keep all existing files)',
  },
  overwrite: { ...flagOption, describe: 'Receive everything, even what seems to be here' },
  'update-modes': {
    ...flagOption,
    describe:
      "Set the sender's modes on existing files and folders too (default: they keep theirs)",
  },
  'compare-all': {
    ...flagOption,
    describe:
      'Compare with all existing files, not just those from the same sender; see SECURITY.md for the risk',
  },
  'verify-disk': {
    ...flagOption,
    describe: 'Read all data back from the disk before naming the files, for large objects too',
  },
} as const;

/** Limits on what senders may use. */
const limitOptions = {
  'max-sessions': { ...textOption, default: '256', describe: 'Maximum concurrent sessions' },
  'max-bytes': {
    ...textOption,
    describe: 'Maximum disk space of a session, such as 10GB',
    defaultDescription: 'free space on the disk',
  },
  'max-entries': {
    ...textOption,
    default: '1000000',
    describe: 'Maximum number of files, folders and links in a session',
  },
  'max-open-files': { ...textOption, default: '256', describe: 'Maximum number of open files' },
  'idle-timeout': {
    ...textOption,
    default: '60',
    describe: 'Seconds of silence from a sender after which its session fails',
  },
} as const;

/** What a service needs. */
const serviceOptions = {
  classic: { ...textOption, describe: 'Also receive by P2MP-FTP (from p2mpclient) into this file' },
  metrics: {
    ...textOption,
    describe:
      'Serve /metrics, /healthz and /readyz over HTTP at [host:]port; the default port is 9735',
  },
  'metrics-name': {
    ...listOption,
    describe: 'Host name to accept in requests to --metrics; may be repeated',
    defaultDescription: 'IP addresses, names without a dot, this host name',
  },
  'drain-timeout': {
    ...textOption,
    describe: 'Seconds that running sessions may take to finish after SIGTERM',
    defaultDescription: 'no limit',
  },
} as const;

/** What is printed. */
const logOptions = {
  log: {
    ...textOption,
    describe: 'Print log lines in this format: text, json, or journal (for systemd)',
  },
  'log-level': {
    ...textOption,
    describe: 'Log level: error (like --quiet), warn, info, or debug (like --verbose)',
    defaultDescription: 'info',
  },
} as const;

export function createReceiveParser() {
  return createParser('p2mp receive', usage, receiverExitCodeHelp)
    .options(placeOptions)
    .options(commandOptions)
    .options(trustOptions)
    .options(fileOptions)
    .options(limitOptions)
    .options(serviceOptions)
    .options(logOptions)
    .example('$0 --dir /srv/images', 'from the senders in authorized_senders')
    .example('$0 --open --once --dir . && ls -l', 'one session from any sender, in a script');
}

/** The arguments of the command, parsed. */
export type ReceiveArguments = Exclude<Awaited<ReturnType<typeof parseReceiveArguments>>, ExitCode>;

export function parseReceiveArguments(args: readonly string[]) {
  return parse(createReceiveParser(), args);
}

/** @returns the log level that the options select */
export function chooseLevel(argv: ReceiveArguments): LogLevel {
  const { quiet, verbose, 'log-level': given } = argv;
  if (given === undefined) return quiet ? 'error' : verbose ? 'debug' : 'info';
  if (quiet || verbose) {
    const other = quiet ? '--quiet' : '--verbose';
    throw new P2mpError(
      'INVALID_ARGUMENT',
      `--log-level and ${other}: contradict each other; give only one`,
    );
  }
  return parseChoice('log-level', single('log-level', given), logLevels);
}

export function authorizedPathOf({ 'authorized-senders': given }: ReceiveArguments): string {
  return given === undefined
    ? join(defaultKeyFolder(), 'authorized_senders')
    : single('authorized-senders', given);
}

export function createOutput(argv: ReceiveArguments, level: LogLevel): Output {
  const { json: isJson, log } = argv;
  if (log === undefined) {
    return new Output({ isJson, isQuiet: level === 'error', isTerse: level === 'warn' });
  }
  if (isJson)
    throw new P2mpError('INVALID_ARGUMENT', '--json and --log: exclude each other; give only one');
  return new LogOutput({ format: parseChoice('log', single('log', log), logFormats), level });
}

/** @returns the command queue of --on-complete; undefined without that option */
export function createCommands(argv: ReceiveArguments, output: Output): OnComplete | undefined {
  const jobs = parseCount('on-complete-jobs', single('on-complete-jobs', argv['on-complete-jobs']));
  const timeout = single('on-complete-timeout', argv['on-complete-timeout']);
  const timeoutMs = parseSeconds('on-complete-timeout', timeout);
  const given = argv['on-complete'];
  if (given === undefined) return undefined;
  const command = single('on-complete', given);
  const dir = single('dir', argv.dir);
  return createOnComplete(output, { command, maxRunning: jobs, timeoutMs, dir });
}
