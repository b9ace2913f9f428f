/** The command line of `p2mp exchange`. */
import { join } from 'node:path';
import { P2mpError } from '../../../base/errors.js';
import { defaultPort } from '../../../classic/config.js';
import { defaultIndexFolder } from '../../../node/disk/index/index-folder.js';
import { defaultKeyFolder } from '../../../node/keys/key-files.js';
import { authorizedKeysOption } from '../../authorized-keys-option.js';
import { createParser, flagOption, parse, textOption } from '../../command.js';
import type { ExitCode } from '../../exit-code.js';
import type { OptionGroups } from '../../help/command-help.js';
import { knownReceiversOption } from '../../receivers/known-receivers-option.js';
import { listenOptions, openFilesOption } from '../../service/service-arguments.js';
import { inviteTtlOption } from '../invitation.js';

const usage = [
  '$0 coordinate --peers N [options]',
  '$0 join <host>[:port] [<path>...] --dir DIR [options]',
  '',
  'Brings the files of each peer to all others. The coordinator makes the peers known to each other,',
  'starts them together and knows who has what; it carries no content. Each peer sends what it brings',
  'once, by multicast where that reaches the others, and passes on what they miss. What other peers',
  'bring goes to DIR, into a folder for each of them. The same command resumes after an interruption.',
].join('\n');

const coordinatorOptions = {
  peers: { ...textOption, value: 'N', describe: 'Begin when so many peers are there' },
  deadline: {
    ...textOption,
    value: 'SECONDS',
    describe: 'Begin after this time with the peers that are there, if there are two',
    defaultDescription: 'never',
  },
  'rejoin-within': {
    ...textOption,
    value: 'SECONDS',
    default: '10',
    describe:
      'Before the end, wait so long for a lost peer that has more than all others, or fell silent before it had everything',
  },
  'stalled-after': {
    ...textOption,
    value: 'SECONDS',
    default: '60',
    describe: 'End the exchange if nobody gets anything for this time',
  },
  link: {
    ...textOption,
    value: 'UP[,DOWN]',
    describe:
      'Rates of the links of each peer, in bytes per second, to compare the time with in the report',
  },
  bind: listenOptions.bind,
  ...authorizedKeysOption,
  ...inviteTtlOption,
} as const;

const peerOptions = {
  dir: { ...textOption, value: 'DIR', alias: 'd', describe: 'Folder for what others bring' },
  name: {
    ...textOption,
    value: 'NAME',
    describe: 'The name of this peer, and of its folder at the others',
    defaultDescription: "this host's name",
  },
  index: {
    ...textOption,
    value: 'FOLDER',
    describe: 'Where digests are kept, so that a restart need not read everything again',
    defaultDescription: defaultIndexFolder(),
  },
  rate: {
    ...textOption,
    value: 'BYTES',
    alias: 'r',
    describe: 'Maximum rate at which this peer sends, in bytes per second, such as 50MB',
    defaultDescription: 'no limit',
  },
  multicast: {
    ...textOption,
    value: 'auto|never|GROUP',
    default: 'auto',
    describe: 'auto, never, or the address of a group',
  },
  'multicast-ttl': {
    ...textOption,
    value: 'HOPS',
    default: '1',
    describe: 'TTL (hop limit) of multicast datagrams, 1 to 255; 1 keeps them on the local network',
  },
  ...openFilesOption,
  ...knownReceiversOption,
  'accept-new': {
    ...flagOption,
    describe: 'Trust an unknown coordinator and add its key to --known-receivers',
  },
} as const;

const commonOptions = {
  port: {
    ...textOption,
    value: 'PORT',
    alias: 'p',
    default: String(defaultPort),
    describe: 'UDP port of the coordinator',
  },
  logs: {
    ...textOption,
    value: 'FOLDER',
    describe:
      'Write logs there: events.log, and chunks.csv and md5sums.txt of a peer, or summary.csv and report.html of the coordinator',
  },
  invite: {
    type: 'string',
    value: '[=COUNT|CODE]',
    describe:
      'coordinate: print a command that lets a peer in without its key; --invite=N for N peers. join: the code in that command',
  },
  open: {
    ...flagOption,
    describe: 'coordinate: let any host take part. join: trust any coordinator that answers',
  },
  key: {
    ...textOption,
    value: 'FILE',
    describe: "File with this host's private key. A coordinator creates it if it is missing",
    defaultDescription: join(defaultKeyFolder(), 'key'),
  },
} as const;

export function createExchangeParser() {
  return createParser({
    name: 'p2mp exchange',
    usage,
    groups: { Both: commonOptions, Coordinator: coordinatorOptions, Peer: peerOptions },
    examples: [
      ['$0 coordinate --peers 4 --invite=4', 'prints the command for the peers'],
      ['$0 join lab1 results.bin --dir others', 'on each of the four'],
      ['$0 coordinate --peers 4 --open --logs logs', 'in a class room, with a report'],
    ],
    exitCodes:
      'Exit codes: 0 complete; 1 nothing complete, or refused; 2 usage error; 3 only some of it\ncomplete; 4 file, port, host, key or disk error; 130 interrupted.',
  });
}

/** The parsed arguments of the command. */
export type ExchangeArguments = Exclude<
  Awaited<ReturnType<typeof parseExchangeArguments>>,
  ExitCode
>;

export function parseExchangeArguments(args: readonly string[]) {
  return parse(createExchangeParser(), args);
}

/**
 * Rejects options of the other role.
 * @throws P2mpError INVALID_ARGUMENT
 */
export function checkOptionsOf(role: 'coordinate' | 'join', args: readonly string[]): void {
  const others: OptionGroups[string] = role === 'coordinate' ? peerOptions : coordinatorOptions;
  const other = role === 'coordinate' ? 'join' : 'coordinate';
  for (const [name, { alias }] of Object.entries(others)) {
    const spellings = [`--${name}`, ...(alias === undefined ? [] : [`-${alias}`])];
    const given = args.find((arg) => spellings.includes(arg.replace(/=.*$/s, '')));
    if (given !== undefined)
      throw new P2mpError('INVALID_ARGUMENT', `${given}: is for p2mp exchange ${other}`);
  }
}
