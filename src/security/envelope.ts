/**
 * Envelopes between the sender of a relayed session and a receiver behind a relay. The relay passes them on unread
 * (SESSIONS 10). The sender's says what the content must be, and the receiver's receipt that it has it.
 */
import { ByteReader, ByteWriter, isEqualBytes } from '../wire/byte-codec.js';
import { challengeSizeBytes, digestSizeBytes } from '../wire/sizes.js';
import type { SessionCrypto } from './crypto.js';

/** What the sender says to one receiver. */
export interface EnvelopeContent {
  /** What the receiver has drawn for its session, so that the envelope is of no use in any other one. */
  readonly challenge: Uint8Array;
  /** What the sender has drawn for the receiver, for its receipt. */
  readonly token: Uint8Array;
  readonly manifestDigest: Uint8Array;
  readonly contentRoot: Uint8Array;
  /** The object's name, as users see it. */
  readonly label: string;
}

const envelopePrologue = new TextEncoder().encode('p2mp envelope');
const receiptPrologue = new TextEncoder().encode('p2mp receipt');

/** @returns undefined if no secret can be shared with this key */
export function sealEnvelope(
  crypto: SessionCrypto,
  receiverKey: Uint8Array,
  { challenge, token, manifestDigest, contentRoot, label }: EnvelopeContent,
): Uint8Array | undefined {
  const writer = new ByteWriter().raw(challenge).raw(token);
  writer.raw(manifestDigest).raw(contentRoot).text(label);
  try {
    return crypto.sealEnvelope(receiverKey, envelopePrologue, writer.finish());
  } catch {
    return undefined;
  }
}

/**
 * @param senderKey only an envelope of this sender is opened
 * @returns undefined unless it is one for this receiver
 */
export function openEnvelope(
  crypto: SessionCrypto,
  senderKey: Uint8Array,
  envelope: Uint8Array,
): EnvelopeContent | undefined {
  const opened = crypto.openEnvelope(envelopePrologue, envelope);
  if (opened === undefined || !isEqualBytes(opened.senderKey, senderKey)) return undefined;
  const reader = new ByteReader(opened.payload);
  const content = {
    challenge: reader.raw(challengeSizeBytes).slice(),
    token: reader.raw(challengeSizeBytes).slice(),
    manifestDigest: reader.raw(digestSizeBytes).slice(),
    contentRoot: reader.raw(digestSizeBytes).slice(),
    label: reader.text(),
  };
  return reader.isGood && reader.remainingBytes === 0 ? content : undefined;
}

/** What a receiver sends back that has the content under its final names. */
export function sealReceipt(
  crypto: SessionCrypto,
  senderKey: Uint8Array,
  { token }: EnvelopeContent,
): Uint8Array {
  return crypto.sealEnvelope(senderKey, receiptPrologue, token);
}

/** Whether only the owner of this key can have made the receipt, for the envelope with this token. */
export function isReceipt(
  crypto: SessionCrypto,
  receiverKey: Uint8Array,
  token: Uint8Array,
  receipt: Uint8Array,
): boolean {
  const opened = crypto.openEnvelope(receiptPrologue, receipt);
  if (opened === undefined) return false;
  return isEqualBytes(opened.senderKey, receiverKey) && isEqualBytes(opened.payload, token);
}
