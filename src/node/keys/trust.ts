/** Trust policies for `send` and `receive`, based on key files. */
import { P2mpError } from '../../base/errors.js';
import type { TrustReceiver } from '../send-options.js';
import type { AuthorizedSenders } from './authorized-senders.js';
import { fingerprint, formatPublicKey } from './key-files.js';
import type { KnownReceivers } from './known-receivers.js';
import { knownReceiverLine } from './known-receivers.js';

/** Asks the user whether to trust an unknown receiver. */
export type AskAboutReceiver = (name: string, fingerprint: string) => Promise<boolean>;

/**
 * Trusts known receivers, but never a changed key.
 * @param ask decides about unknown receivers; if undefined, they are refused
 * @example
 * ```ts
 * import { generateKeyPair, KnownReceivers, trustKnownReceivers } from 'p2mp';
 *
 * const known = await KnownReceivers.load('known_receivers');
 * // Accepts any new receiver; a program would ask its user.
 * const trustReceiver = trustKnownReceivers(known, async () => true);
 * const { publicKey } = await generateKeyPair();
 * console.log(await trustReceiver('localhost:7735', publicKey)); // undefined
 * ```
 */
export function trustKnownReceivers(
  known: KnownReceivers,
  ask: AskAboutReceiver | undefined,
): TrustReceiver {
  // One prompt at a time.
  let questions: Promise<unknown> = Promise.resolve();
  return (name, receiverKey) => {
    const decision = questions.then(() => decide(known, ask, name, receiverKey));
    questions = decision.catch(() => undefined);
    return decision;
  };
}

async function decide(
  known: KnownReceivers,
  ask: AskAboutReceiver | undefined,
  name: string,
  receiverKey: Uint8Array,
): Promise<string | undefined> {
  const shown = fingerprint(receiverKey);
  const line = knownReceiverLine(name, receiverKey);
  let check = known.check(name, receiverKey);
  if (check.status === 'unknown') {
    if (ask === undefined) {
      const others = known.namesOf(receiverKey).join(', ');
      const alias = others === '' ? '' : ` (it is the key of ${others})`;
      return `its key ${shown} is not known here${alias}; compare it with the output of "p2mp keygen --show" on that host, then use --accept-new or add this line to ${known.path}: ${line}`;
    }
    if (!(await ask(name, shown))) return `its key ${shown} was not accepted`;
    try {
      check = await known.add(name, receiverKey);
    } catch (error) {
      if (error instanceof P2mpError) {
        return `its key ${shown} could not be saved: ${error.message}; add this line yourself: ${line}`;
      }
      throw error;
    }
  }
  if (check.status !== 'changed') return undefined;
  return `its key has changed to ${shown}: another host may be impersonating it. If the receiver was reinstalled, replace line ${check.lineNumber} of ${known.path} with: ${line}`;
}

/**
 * Accepts only senders whose keys are in the file.
 * @example
 * ```ts
 * import { writeFileSync } from 'node:fs';
 * import { AuthorizedSenders, generateKeyPair, refuseUnlessAuthorized } from 'p2mp';
 *
 * writeFileSync('authorized_senders', '');
 * const refuse = refuseUnlessAuthorized(await AuthorizedSenders.load('authorized_senders'));
 * const { publicKey } = await generateKeyPair();
 * console.log(refuse(publicKey)?.startsWith('the receiver does not trust')); // true
 * ```
 */
export function refuseUnlessAuthorized(
  authorized: AuthorizedSenders,
): (senderKey: Uint8Array) => string | undefined {
  return (senderKey) =>
    authorized.find(senderKey) === undefined
      ? `the receiver does not trust this sender's key ${fingerprint(senderKey)}; add this line to its authorized_senders: ${formatPublicKey(senderKey, '')}`
      : undefined;
}
