/** The command line of `p2mp relay`. */
import { join } from 'node:path';
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
} from '../service-arguments.js';
import { invitationOptions } from './invitation.js';

const usage = [
  '$0 --upstream <host>[:port],... --cache <dir> --cache-size <size> [options]',
  '$0 --cache <dir> --cache-list|--cache-clear',
  '',
  'Offers what other hosts offer with p2mp serve, and keeps what clients fetch in a cache. What is not in',
  'the cache is fetched once for all clients that wait, and passed on while it arrives. For each name that',
  'a client asks for, the upstream hosts say which content it has now. After SIGTERM, clients finish.',
  'Ctrl-C stops immediately; the cache stays.',
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

const trustOptions = {
  ...authorizedKeysOption,
  ...invitationOptions('client'),
  ...knownReceiversOption,
  'accept-new': {
    ...flagOption,
    describe: 'Trust unknown upstream hosts and add their keys to --known-receivers',
  },
  open: {
    ...flagOption,
    describe: 'Trust any upstream host, and let any host that reaches this port fetch',
  },
  key: {
    ...textOption,
    value: 'FILE',
    describe: "File with this relay's private key; created if missing",
    defaultDescription: join(defaultKeyFolder(), 'key'),
  },
} as const;

export function createRelayParser() {
  return createParser({
    name: 'p2mp relay',
    usage,
    groups: {
      Address: listenOptions,
      'Upstream and cache': cacheOptions,
      Trust: trustOptions,
      Limits: clientLimitOptions,
      Service: statusOptions,
      Output: logOptions,
    },
    examples: [
      ['$0 --upstream main --cache /var/cache/p2mp --cache-size 50GB', 'on the host in the middle'],
      ['p2mp fetch disk.img --from relay', 'on each client'],
    ],
    exitCodes:
      'Exit codes: 0 stopped, or cache listed or cleared; 2 usage error; 4 host, port, key or disk error;\n130 interrupted while clients fetched.',
  });
}

/** The parsed arguments of the command. */
export type RelayArguments = Exclude<Awaited<ReturnType<typeof parseRelayArguments>>, ExitCode>;

export function parseRelayArguments(args: readonly string[]) {
  return parse(createRelayParser(), args);
}
