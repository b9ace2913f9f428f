/** The command line of `p2mp relay`. */
import { join } from 'node:path';
import { P2mpError } from '../../base/errors.js';
import { defaultKeyFolder } from '../../node/keys/key-files.js';
import { authorizedKeysOption } from '../authorized-keys-option.js';
import { createParser, flagOption, listOption, parse, textOption } from '../command.js';
import type { ExitCode } from '../exit-code.js';
import { knownReceiversOption } from '../receivers/known-receivers-option.js';
import {
  clientLimitOptions,
  listenOptions,
  logOptions,
  statusOptions,
} from '../service/service-arguments.js';
import { invitationOptions } from './invitation.js';

const usage = [
  '$0 --upstream <host>[:port],... --cache <dir> --cache-size <size> [options]',
  '$0 --cache <dir> --cache-list|--cache-clear',
  '$0 --to <host>[:port],... --dir <dir> [options]',
  '',
  'Offers what other hosts offer with p2mp serve, and keeps what clients fetch in a cache. What is not in',
  'the cache is fetched once for all clients that wait, and passed on while it arrives. For each name that',
  'a client asks for, the upstream hosts say which content it has now. After SIGTERM, clients finish.',
  'Ctrl-C stops immediately; the cache stays.',
  'With --to: sends every object on that it receives, to the receivers behind it, while the object arrives.',
  'Senders name this relay with p2mp send --to, and get a result for each receiver.',
].join('\n');

const cacheOptions = {
  upstream: {
    ...listOption,
    value: 'HOST[:PORT],...',
    alias: 'u',
    describe:
      'Hosts that have the objects: host, host:port or [IPv6]:port, separated by commas; several are as many sources',
  },
  cache: {
    ...textOption,
    value: 'DIR',
    describe: 'Folder of the cache; created if missing. Only one relay at a time can use it',
  },
  'cache-size': {
    ...textOption,
    value: 'SIZE',
    describe: 'What the cache may take on disk, such as 50GB; larger objects pass through',
  },
  'cache-list': { ...flagOption, describe: 'List what the cache holds, and exit' },
  'cache-clear': { ...flagOption, describe: 'Remove everything from the cache, and exit' },
} as const;

const sendOnOptions = {
  to: {
    ...listOption,
    value: 'HOST[:PORT],...',
    alias: 't',
    describe:
      'Receivers behind this relay: host, host:port or [IPv6]:port, separated by commas; @FILE lists one per line',
  },
  dir: {
    ...textOption,
    value: 'DIR',
    alias: 'd',
    describe: 'With --to: folder where content is while it passes; created if missing',
  },
  multicast: {
    ...textOption,
    value: 'auto|never|GROUP',
    default: 'auto',
    describe: 'With --to: auto, never, or the address of a group for the receivers',
  },
  'multicast-ttl': {
    ...textOption,
    value: 'HOPS',
    default: '1',
    describe: 'With --to: TTL (hop limit) of multicast datagrams, 1 to 255',
  },
  'give-up-after': {
    ...textOption,
    value: 'SECONDS',
    default: '30',
    describe: 'With --to: seconds without a response after which a receiver fails',
  },
  'max-bytes': {
    ...textOption,
    value: 'SIZE',
    describe: 'With --to: maximum size of an object',
    defaultDescription: 'free space',
  },
} as const;

const trustOptions = {
  ...authorizedKeysOption,
  ...invitationOptions('client', 'client (with --to: a sender)'),
  'receiver-invite': {
    ...listOption,
    value: 'CODE',
    describe:
      'With --to: invitation that p2mp receive --invite printed at a receiver, or @FILE; may be repeated',
  },
  ...knownReceiversOption,
  'accept-new': {
    ...flagOption,
    describe: 'Trust unknown upstream hosts or receivers and add their keys to --known-receivers',
  },
  open: {
    ...flagOption,
    describe:
      'Trust any upstream host or receiver, and let any host that reaches this port fetch or send',
  },
  key: {
    ...textOption,
    value: 'FILE',
    describe: "File with this relay's private key; created if missing",
    defaultDescription: join(defaultKeyFolder(), 'key'),
  },
} as const;

const groups = {
  Address: listenOptions,
  'Upstream and cache': cacheOptions,
  'Sending on': sendOnOptions,
  Trust: trustOptions,
  Limits: clientLimitOptions,
  Service: statusOptions,
  Output: logOptions,
} as const;

export function createRelayParser() {
  return createParser({
    name: 'p2mp relay',
    usage,
    groups,
    examples: [
      ['$0 --upstream main --cache /var/cache/p2mp --cache-size 50GB', 'on the host in the middle'],
      ['p2mp fetch disk.img --from relay', 'on each client'],
      ['$0 --to @hosts.txt --dir /var/spool/p2mp', 'one at each site, for p2mp send --to relay'],
    ],
    exitCodes:
      'Exit codes: 0 stopped, or cache listed or cleared; 2 usage error; 4 host, port, key or disk error;\n130 interrupted while clients fetched.',
  });
}

/** The parsed arguments of the command. */
export type RelayArguments = Exclude<Awaited<ReturnType<typeof parseRelayArguments>>, ExitCode>;

/**
 * Refuses options that would have no effect.
 * @throws P2mpError INVALID_ARGUMENT
 */
export function checkRelayOptions(argv: RelayArguments): void {
  const { to, 'cache-list': lists, 'cache-clear': clears } = argv;
  if (lists && clears) throw refuse('--cache-list and --cache-clear: give only one of them');
  if (to !== undefined) checkSendingOn(argv);
  else if (lists || clears) checkCacheOnly(argv, lists ? '--cache-list' : '--cache-clear');
  else checkCaching(argv);
}

function checkSendingOn(argv: RelayArguments): void {
  const [both] = givenOf(argv, pick(cacheOptions, ['upstream', 'cache', 'cache-size']));
  if (both !== undefined)
    throw refuse(`--to and --${both}: give only one of them; run two relays on two ports`);
  const [ofCache] = givenOf(argv, pick(cacheOptions, ['cache-list', 'cache-clear']));
  if (ofCache !== undefined) throw refuse(`--to and --${ofCache}: a relay with --to has no cache`);
  if (givenOf(argv, pick(clientLimitOptions, ['max-clients'])).length > 0)
    throw refuse(
      '--to and --max-clients: a relay with --to has no clients; leave --max-clients out',
    );
}

function checkCacheOnly(argv: RelayArguments, mode: string): void {
  const { Address, Trust, Limits, Service } = groups;
  const others = { ...pick(cacheOptions, ['upstream', 'cache-size']), ...sendOnOptions };
  const [given] = givenOf(argv, { ...others, ...Address, ...Trust, ...Limits, ...Service });
  if (given === undefined) return;
  const reason = `${mode} needs only the folder, with --cache, and starts no relay`;
  throw refuse(`--${given} and ${mode}: ${reason}; leave --${given} out`);
}

function checkCaching(argv: RelayArguments): void {
  const [given] = givenOf(argv, { ...sendOnOptions, ...pick(trustOptions, ['receiver-invite']) });
  if (given !== undefined)
    throw refuse(`--${given} is for --to, which names the receivers behind this relay; give both`);
}

type Options = Readonly<Record<string, object>>;

/** @returns the names of those options that have another value than by default */
function givenOf(argv: RelayArguments, options: Options): string[] {
  const values: Readonly<Record<string, unknown>> = { ...argv };
  return Object.entries(options).flatMap(([name, option]) => {
    const value = values[name];
    const usual = 'default' in option ? option.default : undefined;
    const isGiven = value !== undefined && value !== false && value !== usual;
    return isGiven ? [name] : [];
  });
}

function pick<All extends Options>(options: All, names: readonly (keyof All & string)[]): Options {
  return Object.fromEntries(names.map((name) => [name, options[name] as All[typeof name]]));
}

function refuse(message: string): P2mpError {
  return new P2mpError('INVALID_ARGUMENT', message);
}

export function parseRelayArguments(args: readonly string[]) {
  return parse(createRelayParser(), args);
}
