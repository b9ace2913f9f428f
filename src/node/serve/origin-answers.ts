/** What a server answers to a question for an origin: an envelope if it is that origin (SESSIONS 9.12). */
import type { SessionCrypto } from '../../security/crypto.js';
import { sealOriginAnswer } from '../../security/envelope.js';
import type { AskRefusal } from '../../session/asks/listener-events.js';
import { isEqualBytes } from '../../wire/byte-codec.js';
import type { EnvelopeQuestion } from '../../wire/envelope-request.js';
import type { ObjectCatalogue } from './object-catalogue.js';

export interface OwnIdentity {
  readonly crypto: SessionCrypto;
  readonly publicKey: Uint8Array;
}

/** @param hops the relays that the question has come through */
export async function answerForOrigin(
  { crypto, publicKey }: OwnIdentity,
  catalogue: ObjectCatalogue,
  { name, originKey, receiverKey, challenge }: EnvelopeQuestion,
  hops: readonly Uint8Array[],
): Promise<Uint8Array | AskRefusal> {
  if (!isEqualBytes(originKey, publicKey))
    return { reason: 'is neither the origin that is meant nor a relay', isTemporary: false };
  const found = await catalogue.find({ name, root: undefined, manifestDigest: undefined }, hops);
  if (typeof found === 'string') return { reason: found, isTemporary: false };
  if ('reason' in found) return found;
  const { manifest, manifestDigest = crypto.hash(manifest), digestTree } = found.terms;
  catalogue.handleAnswered(found);
  const answer = { challenge, name, contentRoot: digestTree.root(), manifestDigest };
  return (
    sealOriginAnswer(crypto, receiverKey, answer) ?? {
      reason: 'can make no envelope for this key',
      isTemporary: false,
    }
  );
}
