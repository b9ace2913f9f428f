import { join } from 'node:path';
import { defaultPort } from '../../classic/config.js';
import { defaultKeyFolder } from '../../node/keys/key-files.js';
import { createParser, flagOption, listOption, textOption } from '../command.js';
import { fetchExitCodeHelp } from '../exit-code.js';
import { networkPathsOption } from '../network-paths-option.js';
import { knownReceiversOption } from '../receivers/known-receivers-option.js';
import { originOption } from '../receivers/origin-option.js';
import { serverInvitationOptions } from '../receivers/server-trust.js';

const usage = [
  '$0 <name|root> --from <host>[:port],... [options]',
  '',
  'Fetches a file or folder that hosts offer with p2mp serve, from all of them at once. Every block is',
  'verified on arrival. If a host stops, slows down or sends wrong data, the others take over. An',
  'interrupted fetch resumes where it stopped. Each host must let this one fetch: the first time,',
  'run p2mp serve --invite there, which prints the command to run here.',
].join('\n');

/** Options that name the sources. */
export const sourceOptions = {
  from: {
    ...listOption,
    value: 'HOST[:PORT],...',
    alias: 'f',
    describe:
      'Sources: host, host:port or [IPv6]:port, separated by commas; @FILE lists one per line; @lan: all trusted servers on this network',
  },
  port: {
    ...textOption,
    value: 'PORT',
    alias: 'p',
    default: String(defaultPort),
    describe: 'UDP port of sources that are given without a port',
  },
} as const;

/** Options that say which sources to trust. */
export const sourceTrustOptions = {
  key: {
    ...textOption,
    value: 'FILE',
    describe: "File with this host's private key",
    defaultDescription: join(defaultKeyFolder(), 'key'),
  },
  ...knownReceiversOption,
  ...serverInvitationOptions,
  'accept-new': {
    ...flagOption,
    describe: 'Trust unknown sources and add their keys to --known-receivers',
  },
  open: {
    ...flagOption,
    describe: 'Trust any source that answers; use a root to know what you get',
  },
} as const;

const transferOptions = {
  dir: {
    ...textOption,
    value: 'DIR',
    alias: 'd',
    default: '.',
    describe: 'Folder to fetch into; created if missing',
  },
  root: {
    ...textOption,
    value: 'ROOT',
    describe: 'Content root that the object must have, as p2mp digest prints it',
  },
  ...originOption,
  split: {
    ...textOption,
    value: 'speed|equal',
    default: 'speed',
    describe: 'How to share the work: by the speed of the sources, or in equal parts',
  },
  ...networkPathsOption,
  'verify-disk': {
    ...flagOption,
    describe: 'Read everything back from the disk before files get their final names',
  },
  log: {
    ...textOption,
    value: 'FILE.csv',
    describe: 'Write a row for each segment: source, first byte, bytes, start, end, retries',
  },
  'give-up-after': {
    ...textOption,
    value: 'SECONDS',
    default: '60',
    describe: 'Seconds without any source after which the fetch fails',
  },
} as const;

export function createFetchParser() {
  return createParser({
    name: 'p2mp fetch',
    usage,
    groups: { Sources: sourceOptions, Transfer: transferOptions, Trust: sourceTrustOptions },
    examples: [
      ['$0 image.iso --from lab1,lab2,lab3', 'one file from three hosts at once'],
      ['$0 data --from @lan', 'from all trusted servers on this network'],
      ['$0 data --from relay --origin server', 'only what server says through the relay'],
      ['$0 data --from @mirrors.txt --dir /srv', 'sources listed in a file'],
      ['$0 data --from lab1,lab2 --split equal --log parts.csv', 'equal parts, with a log'],
    ],
    exitCodes: fetchExitCodeHelp,
  });
}
