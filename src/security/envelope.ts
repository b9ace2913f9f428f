/**
 * Envelopes between the origin of an object and a receiver behind relays, which pass them on unread (SESSIONS 9.12 and
 * 10). The origin's says what the content must be, and the receipt of a receiver that it has it.
 */
import { ByteReader, ByteWriter, isEqualBytes } from '../wire/byte-codec.js';
import type { EnvelopeQuestion } from '../wire/envelope-request.js';
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

/** What the origin says to a receiver that asks which content a name has (SESSIONS 9.12). */
export interface OriginAnswer {
  /** What the receiver has drawn for its question, so that the answer is of no use for any other one. */
  readonly challenge: Uint8Array;
  readonly name: string;
  readonly contentRoot: Uint8Array;
  readonly manifestDigest: Uint8Array;
}

const answerPrologue = new TextEncoder().encode('p2mp origin answer');
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

/** @returns undefined if no secret can be shared with this key */
export function sealOriginAnswer(
  crypto: SessionCrypto,
  receiverKey: Uint8Array,
  { challenge, name, contentRoot, manifestDigest }: OriginAnswer,
): Uint8Array | undefined {
  const writer = new ByteWriter().raw(challenge).raw(contentRoot).raw(manifestDigest).text(name);
  try {
    return crypto.sealEnvelope(receiverKey, answerPrologue, writer.finish());
  } catch {
    return undefined;
  }
}

/** @returns undefined unless it is the answer of this origin to this question, for this receiver */
export function openOriginAnswer(
  crypto: SessionCrypto,
  { originKey, challenge, name }: Omit<EnvelopeQuestion, 'receiverKey'>,
  envelope: Uint8Array,
): OriginAnswer | undefined {
  const opened = crypto.openEnvelope(answerPrologue, envelope);
  if (opened === undefined || !isEqualBytes(opened.senderKey, originKey)) return undefined;
  const reader = new ByteReader(opened.payload);
  const answer = {
    challenge: reader.raw(challengeSizeBytes).slice(),
    contentRoot: reader.raw(digestSizeBytes).slice(),
    manifestDigest: reader.raw(digestSizeBytes).slice(),
    name: reader.text(),
  };
  const isWhole = reader.isGood && reader.remainingBytes === 0;
  const isOurs = isEqualBytes(answer.challenge, challenge) && answer.name === name;
  return isWhole && isOurs ? answer : undefined;
}
