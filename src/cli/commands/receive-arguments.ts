/** The command line of `p2mp receive`. */
import { join } from 'node:path';
import { defaultKeyFolder, publicPathOf } from '../../node/keys/key-files.js';
import { parseCount, parseSeconds } from '../arguments.js';
import { authorizedKeysOption } from '../authorized-keys-option.js';
import { createParser, flagOption, parse, single, textOption } from '../command.js';
import type { ExitCode } from '../exit-code.js';
import { receiverExitCodeHelp } from '../exit-code.js';
import { createOnComplete, type OnComplete } from '../on-complete.js';
import type { Output } from '../output/output.js';
import {
  listenOptions,
  logOptions,
  openFilesOption,
  statusOptions,
} from '../service/service-arguments.js';
import { invitationOptions } from './invitation.js';

const usage = [
  '$0 [options]',
  '',
  'Receives files from any number of trusted senders into a folder. A file gets its final name only',
  'when the file is complete, verified and on disk. An interrupted transfer resumes when its sender',
  'reconnects. After SIGTERM, running sessions finish and new sessions are deferred until a new',
  'process takes over, so no sender fails. Ctrl-C stops immediately.',
].join('\n');

/** Options for the address to listen on and for the target folder. */
const placeOptions = {
  dir: {
    ...textOption,
    value: 'FOLDER',
    alias: 'd',
    default: '.',
    describe: 'Target folder',
  },
  ...listenOptions,
  once: {
    ...flagOption,
    describe: 'Stop after one session',
  },
  announce: {
    ...flagOption,
    default: true,
    describe: 'Do not answer p2mp peers and p2mp send --to @lan on the local network',
  },
} as const;

/** Options for the shell command that runs after each session. */
const commandOptions = {
  'on-complete': {
    ...textOption,
    value: 'COMMAND',
    describe: 'Shell command to run after each complete session, with P2MP_* environment variables',
  },
  'on-complete-jobs': {
    ...textOption,
    value: 'COUNT',
    default: '4',
    describe: 'Maximum number of --on-complete commands that run at once; up to 1000 more wait',
  },
  'on-complete-timeout': {
    ...textOption,
    value: 'SECONDS',
    default: '300',
    describe: 'Seconds after which an --on-complete command is killed',
  },
} as const;

/** Options that say which senders to accept and how this receiver identifies itself. */
const trustOptions = {
  ...authorizedKeysOption,
  ...invitationOptions('sender'),
  open: {
    ...flagOption,
    describe: 'Accept any sender that can reach this port, without authentication',
  },
  key: {
    ...textOption,
    value: 'FILE',
    describe: "File with this receiver's private key; created if missing",
    defaultDescription: join(defaultKeyFolder(), 'key'),
  },
  name: {
    ...textOption,
    value: 'NAME',
    describe: 'Name that this receiver reports to senders',
    defaultDescription: 'host name',
  },
} as const;

/** Options for received files and for existing files. */
const fileOptions = {
  clobber: {
    ...flagOption,
    default: true,
    describe: 'Keep all existing files, even if they differ',
  },
  overwrite: {
    ...flagOption,
    describe: 'Receive all data again, even if existing files seem identical',
  },
  'allow-delete': {
    ...flagOption,
    describe:
      'Let all senders with --delete delete what they no longer have, not only keys with that right',
  },
  'update-modes': {
    ...flagOption,
    describe:
      "Set the sender's modes also on existing files and folders (default: keep their modes)",
  },
  'compare-all': {
    ...flagOption,
    describe:
      'Reuse data of all existing files, not only of those from the same sender; risk: see SECURITY.md',
  },
  'verify-disk': {
    ...flagOption,
    describe: 'Verify all data on disk before files get their names, even for large objects',
  },
} as const;

/** Options that limit what resources senders can use. */
const limitOptions = {
  'max-sessions': {
    ...textOption,
    value: 'COUNT',
    default: '256',
    describe: 'Maximum number of concurrent sessions',
  },
  'max-bytes': {
    ...textOption,
    value: 'BYTES',
    describe: 'Maximum disk space of one session, such as 10GB',
    defaultDescription: 'free space on the disk',
  },
  'max-entries': {
    ...textOption,
    value: 'COUNT',
    default: '1000000',
    describe: 'Maximum number of files, folders and links in one session',
  },
  ...openFilesOption,
  'idle-timeout': {
    ...textOption,
    value: 'SECONDS',
    default: '60',
    describe: 'Seconds of silence from a sender after which its session fails',
  },
} as const;

/** Options for running as a service. */
const serviceOptions = {
  classic: {
    ...textOption,
    value: 'FILE',
    describe: 'Also receive P2MP-FTP (from p2mpclient) on the same port, into this file',
  },
  ...statusOptions,
} as const;

export function createReceiveParser() {
  return createParser({
    name: 'p2mp receive',
    usage,
    groups: {
      'Folder and address': placeOptions,
      Trust: trustOptions,
      Files: fileOptions,
      'After each session': commandOptions,
      Limits: limitOptions,
      Service: serviceOptions,
      Output: logOptions,
    },
    examples: [
      ['$0 --dir /srv/images --invite', 'the first time: print the command for a sender'],
      ['$0 --dir /srv/images', 'from the senders in authorized_keys'],
      ['$0 --open --once --dir . && ls -l', 'one session from any sender, in a script'],
    ],
    exitCodes: receiverExitCodeHelp,
  });
}

/** The parsed arguments of the command. */
export type ReceiveArguments = Exclude<Awaited<ReturnType<typeof parseReceiveArguments>>, ExitCode>;

export function parseReceiveArguments(args: readonly string[]) {
  return parse(createReceiveParser(), args);
}

/** Files and folders that no sender may delete: keys and lists of keys, in case they are below the target folder. */
export function protectedPathsOf(argv: ReceiveArguments): string[] {
  const { key, classic } = argv;
  const keys = [key ?? []].flat();
  const lists = [argv['authorized-keys'] ?? [], classic ?? []].flat();
  return [defaultKeyFolder(), ...keys, ...keys.map(publicPathOf), ...lists];
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
