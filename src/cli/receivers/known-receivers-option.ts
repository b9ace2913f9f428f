/** `--known-receivers`: the list of the receivers that this host knows. */
import { join } from 'node:path';
import { defaultKeyFolder } from '../../node/keys/key-files.js';
import { KnownReceivers } from '../../node/keys/known-receivers.js';
import { single, textOption } from '../command.js';

export const knownReceiversOption = {
  'known-receivers': {
    ...textOption,
    value: 'FILE',
    describe: 'File with the public keys of known receivers and servers',
    defaultDescription: join(defaultKeyFolder(), 'known_receivers'),
  },
} as const;

export interface KnownReceiversArgument {
  readonly 'known-receivers': string | undefined;
}

/** The path of the list. */
export function knownPathOf({ 'known-receivers': given }: KnownReceiversArgument): string {
  return given === undefined
    ? join(defaultKeyFolder(), 'known_receivers')
    : single('known-receivers', given);
}

/** @returns a function that loads the list when it is first called */
export function knownReceiversLoader(argv: KnownReceiversArgument): () => Promise<KnownReceivers> {
  let known: Promise<KnownReceivers> | undefined;
  return () => {
    known ??= KnownReceivers.load(knownPathOf(argv));
    return known;
  };
}
