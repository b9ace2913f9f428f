/** The command line of `p2mp serve`. */
import { join } from 'node:path';
import { defaultIndexFolder } from '../../node/disk/index/index-folder.js';
import { defaultKeyFolder } from '../../node/keys/key-files.js';
import { authorizedKeysOption } from '../authorized-keys-option.js';
import { createParser, flagOption, parse, textOption } from '../command.js';
import type { ExitCode } from '../exit-code.js';
import {
  clientLimitOptions,
  listenOptions,
  logOptions,
  statusOptions,
} from '../service/service-arguments.js';
import { invitationOptions } from './invitation.js';

const usage = [
  '$0 PATH... [options]',
  '',
  'Offers files and folders to the hosts whose keys may fetch, many at once. Each path is offered under',
  'its last part. All of it is read once, in the background, and again when it changes; clients that',
  'come earlier wait. After SIGTERM, clients finish, and new ones are deferred until a new process takes',
  'over. Ctrl-C stops immediately.',
].join('\n');

const placeOptions = {
  ...listenOptions,
  index: {
    ...textOption,
    value: 'FOLDER',
    describe: 'Where digests are kept, so that a restart need not read everything again',
    defaultDescription: defaultIndexFolder(),
  },
  announce: {
    ...flagOption,
    default: true,
    describe: 'Do not answer p2mp peers and p2mp fetch --from @lan on the local network',
  },
} as const;

const trustOptions = {
  ...authorizedKeysOption,
  ...invitationOptions('client'),
  open: {
    ...flagOption,
    describe: 'Let any host that can reach this port fetch, without authentication',
  },
  key: {
    ...textOption,
    value: 'FILE',
    describe: "File with this server's private key; created if missing",
    defaultDescription: join(defaultKeyFolder(), 'key'),
  },
} as const;

const pathOptions = {
  multicast: {
    ...textOption,
    value: 'auto|never|GROUP',
    default: 'auto',
    describe:
      'auto, never, or a group address, for clients that fetch the same at about the same time',
  },
  'multicast-ttl': {
    ...textOption,
    value: 'HOPS',
    default: '1',
    describe: 'TTL (hop limit) of multicast datagrams, 1 to 255; 1 keeps them on the local network',
  },
} as const;

export function createServeParser() {
  return createParser({
    name: 'p2mp serve',
    usage,
    groups: {
      'Address and index': placeOptions,
      Trust: trustOptions,
      Network: pathOptions,
      Limits: clientLimitOptions,
      Service: statusOptions,
      Output: logOptions,
    },
    examples: [
      ['$0 /srv/images/disk.img --invite', 'the first time: print the command for a client'],
      ['$0 /srv/images/disk.img', 'to the keys that may fetch, in authorized_keys'],
      ['$0 photos videos --open', 'to any host that reaches this port'],
    ],
    exitCodes:
      'Exit codes: 0 stopped; 2 usage error; 4 file, port, key or disk error; 130 interrupted while\nclients fetched.',
  });
}

/** The parsed arguments of the command. */
export type ServeArguments = Exclude<Awaited<ReturnType<typeof parseServeArguments>>, ExitCode>;

export function parseServeArguments(args: readonly string[]) {
  return parse(createServeParser(), args);
}
