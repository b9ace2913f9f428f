/**
 * Messages about receivers behind a relay, which receives a session and sends it on in a session of its own. The relay
 * speaks for each of them to its sender (SESSIONS 10).
 */
import { hopSizeBytes, maxHops } from './asks.js';
import type { ByteReader, ByteWriter } from './byte-codec.js';
import { readLine, shortened } from './lines.js';
import { challengeSizeBytes, keySizeBytes } from './sizes.js';

/** What the offer of a relay says about where the object comes from. */
export interface Relayed {
  /** The public key of the host that sends the object. */
  readonly originKey: Uint8Array;
  /** The relays that the object has come through, the nearest to its origin first; their random numbers. */
  readonly hops: readonly Uint8Array[];
}

/** The state of a receiver behind a relay. */
export type BehindState =
  /** It has shown its key. The relay waits for the answer whether the key is trusted. */
  | 'shown'
  | 'active'
  /** The relay has verified the object, and waits for the receiver's envelope. */
  | 'verifying'
  | 'complete'
  | 'failed'
  | 'refused';

const states: readonly BehindState[] = [
  'shown',
  'active',
  'verifying',
  'complete',
  'failed',
  'refused',
];

/** What a relay says about one receiver behind it. */
export interface Behind {
  readonly kind: 'behind';
  /** The relay's number for the receiver. */
  readonly number: number;
  readonly state: BehindState;
  /** The names of the relays between, the nearest to this one first; then the name of the receiver. */
  readonly path: readonly string[];
  /** Undefined until the receiver has shown it. */
  readonly receiverKey?: Uint8Array;
  /** What the receiver has drawn for its session; undefined until it has accepted the offer. */
  readonly challenge?: Uint8Array;
  /** If it is complete: its receipt. */
  readonly receipt?: Uint8Array;
  readonly heldBytes: number;
  readonly receivedBytes: number;
  readonly segmentsReceived: number;
  readonly segmentsLost: number;
  /** Why it is not complete, or a note on a success. */
  readonly reason: string;
}

/** The sender answers what a relay says about a receiver behind it. */
export interface BehindNoted {
  readonly kind: 'behind-noted';
  readonly number: number;
  /** The state that this answers. */
  readonly state: BehindState;
  /** Why the receiver is not trusted; undefined if it is. */
  readonly refusal?: string;
  /** For the receiver, if it is verifying. */
  readonly envelope?: Uint8Array;
}

/** A relay passes an envelope of the object's origin on to a receiver, or an origin answers an envelope request. */
export interface EnvelopeMessage {
  readonly kind: 'envelope';
  readonly envelope: Uint8Array;
}

/** Maximum length of a name, in characters. */
const maxNameChars = 100;

const none = new Uint8Array(0);

export function writeRelayed(writer: ByteWriter, relayed: Relayed | undefined): void {
  writer.uint8(relayed?.hops.length ?? 0);
  if (relayed === undefined) return;
  writer.raw(relayed.originKey);
  for (const hop of relayed.hops) writer.raw(hop);
}

/** @returns undefined if the object comes from the sender itself; `bad` if there are too many hops */
export function readRelayed(reader: ByteReader): Relayed | undefined | 'bad' {
  const count = reader.uint8();
  if (count > maxHops) return 'bad';
  if (count === 0) return undefined;
  const originKey = reader.raw(keySizeBytes).slice();
  return { originKey, hops: Array.from({ length: count }, () => reader.raw(hopSizeBytes).slice()) };
}

export function writeBehind(writer: ByteWriter, message: Behind): void {
  const { path, receiverKey = none, challenge = none, receipt = none } = message;
  writer.varint(message.number).uint8(states.indexOf(message.state)).uint8(path.length);
  for (const name of path) writer.text(shortened(name, maxNameChars));
  writer.counted(receiverKey).counted(challenge).counted(receipt);
  writer.varint(message.heldBytes).varint(message.receivedBytes);
  writer.varint(message.segmentsReceived).varint(message.segmentsLost);
  writer.text(shortened(message.reason));
}

export function readBehind(reader: ByteReader): Behind | undefined {
  const number = reader.varint();
  const state = states[reader.uint8()];
  const nameCount = reader.uint8();
  if (state === undefined || nameCount === 0 || nameCount > maxHops) return undefined;
  const path = Array.from({ length: nameCount }, () => readLine(reader, maxNameChars));
  const receiverKey = reader.counted().slice();
  const challenge = reader.counted().slice();
  const receipt = reader.counted().slice();
  if (challenge.length !== 0 && challenge.length !== challengeSizeBytes) return undefined;
  if (receiverKey.length !== 0 && receiverKey.length !== keySizeBytes) return undefined;
  return {
    ...{ kind: 'behind', number, state, path },
    ...(receiverKey.length === 0 ? {} : { receiverKey }),
    ...(challenge.length === 0 ? {} : { challenge }),
    ...(receipt.length === 0 ? {} : { receipt }),
    heldBytes: reader.varint(),
    receivedBytes: reader.varint(),
    segmentsReceived: reader.varint(),
    segmentsLost: reader.varint(),
    reason: readLine(reader),
  };
}

export function writeBehindNoted(writer: ByteWriter, message: BehindNoted): void {
  const { number, state, refusal = '', envelope = none } = message;
  writer.varint(number).uint8(states.indexOf(state));
  writer.text(shortened(refusal)).counted(envelope);
}

export function readBehindNoted(reader: ByteReader): BehindNoted | undefined {
  const number = reader.varint();
  const state = states[reader.uint8()];
  if (state === undefined) return undefined;
  const refusal = readLine(reader);
  const envelope = reader.counted().slice();
  return {
    ...{ kind: 'behind-noted', number, state },
    ...(refusal === '' ? {} : { refusal }),
    ...(envelope.length === 0 ? {} : { envelope }),
  };
}
