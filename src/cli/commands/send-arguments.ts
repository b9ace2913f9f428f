import { join } from 'node:path';
import { defaultPort } from '../../classic/config.js';
import { defaultKeyFolder } from '../../node/keys/key-files.js';
import { createParser, flagOption, listOption, textOption } from '../command.js';
import { sendExitCodeHelp } from '../exit-code.js';

const usage = [
  '$0 <path>... --to <host>[:port],... [options]',
  '',
  'Sends files and folders to every receiver, encrypted and verified; "-" is standard input. Data',
  'that a receiver already has, from an interrupted transfer or in the same file, is not sent again.',
  "Each receiver runs p2mp receive and trusts this host's public key (see p2mp keygen).",
].join('\n');

/** To whom to send. */
const receiverOptions = {
  to: {
    ...listOption,
    describe:
      'Receivers: host, host:port or [IPv6]:port, separated by commas; @FILE lists one per line',
  },
  port: {
    ...textOption,
    default: String(defaultPort),
    describe: 'UDP port of receivers given without one',
  },
} as const;

/** How to use the paths to the receivers. */
const pathOptions = {
  rate: {
    ...textOption,
    describe: 'Maximum rate in bytes per second, such as 50MB',
    defaultDescription: 'congestion control only',
  },
  multicast: {
    ...textOption,
    default: 'auto',
    describe: 'auto, never, or a group address; receivers it does not reach get unicast',
  },
  'multicast-ttl': {
    ...textOption,
    default: '1',
    describe: 'TTL (hop limit) of multicast datagrams, 1 to 255; 1 stays on the local network',
  },
  'give-up-after': {
    ...textOption,
    default: '30',
    describe: 'Seconds without a response after which a receiver fails',
  },
  mss: {
    ...textOption,
    default: 'auto',
    describe: 'Bytes per segment; auto discovers what the paths to all receivers carry',
  },
} as const;

/** How to treat files: those that are sent, and those that receivers already have. */
const fileOptions = {
  overwrite: { ...flagOption, describe: 'Send everything, even what receivers seem to have' },
  clobber: {
    ...flagOption,
    default: true,
    describe: 'Replace files that differ (--no-clobber: keep all existing files)',
  },
  'stdin-name': {
    ...textOption,
    default: 'stdin',
    describe: 'File name of standard input at the receivers',
  },
} as const;

/** Which receivers to trust, and how this sender identifies itself. */
const trustOptions = {
  key: {
    ...textOption,
    describe: "File of this sender's private key",
    defaultDescription: join(defaultKeyFolder(), 'key'),
  },
  'known-receivers': {
    ...textOption,
    describe: 'File of the public keys of known receivers',
    defaultDescription: join(defaultKeyFolder(), 'known_receivers'),
  },
  'accept-new': {
    ...flagOption,
    describe: 'Trust unknown receivers and add their keys to --known-receivers',
  },
  open: {
    ...flagOption,
    describe: 'Trust any receiver that answers: encrypted, but not authenticated',
  },
} as const;

/** Whether to send at all. */
const runOptions = {
  'dry-run': {
    ...flagOption,
    describe: 'Check everything and show what would be sent to whom, without sending',
  },
} as const;

export function createSendParser() {
  return createParser('p2mp send', usage, sendExitCodeHelp)
    .options(receiverOptions)
    .options(pathOptions)
    .options(fileOptions)
    .options(trustOptions)
    .options(runOptions)
    .example('$0 image.iso --to 10.0.0.2,10.0.0.3', 'one file to two hosts')
    .example('$0 build/ data.csv --to @hosts.txt --rate 50MB', 'receivers listed in a file')
    .example('tar c . | $0 - --stdin-name tree.tar --to lab1,lab2', 'from a pipe');
}
