import { join } from 'node:path';
import { defaultPort } from '../../classic/config.js';
import { defaultKeyFolder } from '../../node/keys/key-files.js';
import { createParser, flagOption, listOption, textOption } from '../command.js';
import { sendExitCodeHelp } from '../exit-code.js';
import { networkPathsOption } from '../network-paths-option.js';
import { knownReceiversOption } from '../receivers/known-receivers-option.js';

const usage = [
  '$0 <path>... --to <host>[:port],... [options]',
  '',
  'Sends files and folders to every receiver, encrypted and verified; "-" means standard input. The',
  'sender skips data that a receiver already has, from an interrupted transfer or in existing files.',
  'Each receiver must run p2mp receive and know this host: the first time, run p2mp receive --invite',
  'there, which prints the command to run here.',
].join('\n');

/** Options that name the receivers. */
const receiverOptions = {
  to: {
    ...listOption,
    value: 'HOST[:PORT],...',
    alias: 't',
    describe:
      'Receivers: host, host:port or [IPv6]:port, separated by commas; @FILE lists one per line; @lan: all trusted ones on this network',
  },
  'retry-failed': {
    ...textOption,
    value: 'RESULT.json',
    describe: 'Send to the receivers that are incomplete in the --json output of an earlier run',
  },
  port: {
    ...textOption,
    value: 'PORT',
    alias: 'p',
    default: String(defaultPort),
    describe: 'UDP port of receivers that are given without a port',
  },
} as const;

/** Options for the network paths to the receivers. */
const pathOptions = {
  rate: {
    ...textOption,
    value: 'BYTES/S',
    alias: 'r',
    describe: 'Maximum rate in bytes per second, such as 50MB',
    defaultDescription: 'congestion control only',
  },
  multicast: {
    ...textOption,
    value: 'auto|never|GROUP',
    default: 'auto',
    describe:
      'auto, never, or a group address; receivers out of reach of multicast are served by unicast',
  },
  'multicast-ttl': {
    ...textOption,
    value: 'HOPS',
    default: '1',
    describe: 'TTL (hop limit) of multicast datagrams, 1 to 255; 1 keeps them on the local network',
  },
  ...networkPathsOption,
  'give-up-after': {
    ...textOption,
    value: 'SECONDS',
    default: '30',
    describe: 'Seconds without a response after which a receiver fails',
  },
  mss: {
    ...textOption,
    value: 'BYTES',
    default: 'auto',
    describe:
      'Bytes per segment; auto finds the largest size that the paths to all receivers carry',
  },
} as const;

/** Options for the files to send and for existing files at the receivers. */
const fileOptions = {
  checksum: {
    ...flagOption,
    alias: 'c',
    describe: 'Compare the content of files even if size and time are unchanged',
  },
  overwrite: {
    ...flagOption,
    describe: 'Send all data, even if receivers seem to have identical files',
  },
  clobber: {
    ...flagOption,
    default: true,
    describe: 'Keep all existing files, even if they differ',
  },
  delete: {
    ...flagOption,
    describe:
      'Delete at the receivers, in the folders sent, what this host no longer has; with -n, only show it',
  },
  exclude: {
    ...listOption,
    value: 'PATTERN',
    describe: 'Do not send what matches this pattern (as in .gitignore) in a folder; repeatable',
  },
  include: {
    ...listOption,
    value: 'PATTERN',
    describe: 'Send what matches this pattern despite --exclude and --exclude-from; repeatable',
  },
  'exclude-from': {
    ...listOption,
    value: 'FILE',
    describe: 'File with a pattern to exclude on each line; repeatable',
  },
  dest: {
    ...textOption,
    value: 'NAME|FOLDER/',
    describe: 'Name at the receivers: NAME renames a single path, FOLDER/ takes all paths',
  },
  'stdin-name': {
    ...textOption,
    value: 'NAME',
    default: 'stdin',
    describe: 'Name of the file in which receivers store standard input',
  },
} as const;

/** Options that say which receivers to trust and how this sender identifies itself. */
const trustOptions = {
  key: {
    ...textOption,
    value: 'FILE',
    describe: "File with this sender's private key",
    defaultDescription: join(defaultKeyFolder(), 'key'),
  },
  ...knownReceiversOption,
  invite: {
    ...listOption,
    value: 'CODE',
    describe: 'Invitation that p2mp receive --invite printed, or @FILE; may be repeated',
  },
  'accept-new': {
    ...flagOption,
    describe: 'Trust unknown receivers and add their keys to --known-receivers',
  },
  open: {
    ...flagOption,
    describe:
      'Trust any receiver that answers; data is encrypted, but receivers are not authenticated',
  },
} as const;

/** Options for checking without sending. */
const runOptions = {
  'fail-fast': {
    ...flagOption,
    describe: 'End the session for all receivers when the first one fails',
  },
  'dry-run': {
    ...flagOption,
    alias: 'n',
    describe:
      'Check files and options, and show what would be sent to whom; contacts receivers only with --delete',
  },
} as const;

export function createSendParser() {
  return createParser({
    name: 'p2mp send',
    usage,
    groups: {
      Receivers: receiverOptions,
      Files: { ...runOptions, ...fileOptions },
      Trust: trustOptions,
      Network: pathOptions,
    },
    examples: [
      ['$0 image.iso --to 10.0.0.2,10.0.0.3', 'one file to two hosts'],
      ['$0 build/ data.csv --to @hosts.txt --rate 50MB', 'receivers listed in a file'],
      ['$0 photos --to @lan', 'all trusted receivers on this network'],
      ['tar c . | $0 - --stdin-name tree.tar --to lab1,lab2', 'from a pipe'],
    ],
    exitCodes: sendExitCodeHelp,
  });
}
