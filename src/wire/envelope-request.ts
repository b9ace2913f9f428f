/**
 * A receiver asks an origin, through relays, which content a name has there. The answer is an envelope that only this
 * receiver can open, and only the origin can have made (SESSIONS 9.12).
 */
import { hopSizeBytes, isAskableName, maxHops } from './asks.js';
import type { ByteReader, ByteWriter } from './byte-codec.js';
import { challengeSizeBytes, keySizeBytes } from './sizes.js';

/** What the origin needs to know for its answer. */
export interface EnvelopeQuestion {
  /** The name under which the origin serves an object. */
  readonly name: string;
  /** The public key of the host that is to answer. */
  readonly originKey: Uint8Array;
  /** The public key of the receiver that is to read the answer. */
  readonly receiverKey: Uint8Array;
  /** A random number that the answer must contain. */
  readonly challenge: Uint8Array;
}

/** The receiver, or a relay for it, repeats the question until an envelope or a refusal answers. */
export interface EnvelopeRequest extends EnvelopeQuestion {
  readonly kind: 'envelope-request';
  /** The relays that the question has come through, the nearest to the receiver first; their random numbers. */
  readonly hops: readonly Uint8Array[];
}

export function writeEnvelopeRequest(writer: ByteWriter, request: EnvelopeRequest): void {
  const { name, originKey, receiverKey, challenge, hops } = request;
  writer.text(name).raw(originKey).raw(receiverKey).raw(challenge).uint8(hops.length);
  for (const hop of hops) writer.raw(hop);
}

export function readEnvelopeRequest(reader: ByteReader): EnvelopeRequest | undefined {
  const request = {
    kind: 'envelope-request' as const,
    name: reader.text(),
    originKey: reader.raw(keySizeBytes).slice(),
    receiverKey: reader.raw(keySizeBytes).slice(),
    challenge: reader.raw(challengeSizeBytes).slice(),
  };
  const hopCount = reader.uint8();
  if (hopCount > maxHops || !isAskableName(request.name)) return undefined;
  const hops = Array.from({ length: hopCount }, () => reader.raw(hopSizeBytes).slice());
  return { ...request, hops };
}
