/** `--origin`: the host that must say which content a name has. */
import { formatAddress } from '../../base/address.js';
import { P2mpError } from '../../base/errors.js';
import { keyKind, parsePublicKey } from '../../node/keys/key-files.js';
import type { KnownReceivers } from '../../node/keys/known-receivers.js';
import { parsePort, parseServer } from '../arguments.js';
import { single, textOption } from '../command.js';

export const originOption = {
  origin: {
    ...textOption,
    value: 'KEY|HOST[:PORT]',
    describe:
      'Host that must say which content the name has, however many relays are between: its public key, or its name in --known-receivers',
  },
} as const;

interface OriginArguments {
  readonly origin: string | undefined;
  readonly port: string;
}

/**
 * The key of the origin, if the option is given.
 * @param root what is asked for besides the name
 * @throws P2mpError INVALID_ARGUMENT
 */
export async function originOf(
  { origin, port }: OriginArguments,
  root: string | undefined,
  loadKnown: () => Promise<KnownReceivers>,
): Promise<{ readonly originKey?: Uint8Array }> {
  if (origin === undefined) return {};
  if (root !== undefined) {
    const message = '--origin: the origin says which root a name has; give a name and no root';
    throw new P2mpError('INVALID_ARGUMENT', message);
  }
  const text = single('origin', origin).trim();
  if (text.startsWith(keyKind)) return { originKey: parsePublicKey(text).publicKey };
  const name = formatAddress(parseServer(text, parsePort(single('port', port), 1)));
  const originKey = (await loadKnown()).keyOf(name);
  if (originKey !== undefined) return { originKey };
  throw new P2mpError(
    'INVALID_ARGUMENT',
    `--origin ${text}: ${name} is not in the file of --known-receivers; give its key instead, in quotes, as p2mp keygen --show prints it there`,
  );
}
