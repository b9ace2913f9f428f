/**
 * Envelopes that relays hand to a client or a receiver: those of the origin, changed, exchanged or with a payload of its
 * own choice, and those of other hosts (SESSIONS 9.12, 10.4, 10.5).
 */
import { isReceipt, openEnvelope, openOriginAnswer } from '../../src/security/envelope.js';
import { createSimulatedCrypto, simulatedKey } from '../../src/simulator/session-crypto.js';
import { ByteWriter, isEqualBytes } from '../../src/wire/byte-codec.js';
import { challengeSizeBytes, digestSizeBytes } from '../../src/wire/sizes.js';
import { hostileBytes } from './hostile-bytes.js';
import type { Tape } from './tape.js';
import type { Outcome } from './watch.js';
import { demand } from './watch.js';

const cryptoOf = (name: string) => createSimulatedCrypto('fuzz envelopes', name);
const client = cryptoOf('client');
const sealers = ['origin', 'relay', 'client'].map((name) => ({ name, crypto: cryptoOf(name) }));
const originKey = simulatedKey('origin');
const challenge = new Uint8Array(challengeSizeBytes).fill(7);
const question = { originKey, challenge, name: 'disk.img' };
const purposes = ['p2mp origin answer', 'p2mp envelope', 'p2mp receipt'] as const;

/** A payload that is nearly right, and often quite right. */
function payloadOf(tape: Tape): Uint8Array {
  if (tape.isOneIn(4)) return hostileBytes(tape, challenge);
  const digests = tape.fill(2 * digestSizeBytes);
  const ownChallenge = tape.isOneIn(4) ? tape.fill(challengeSizeBytes) : challenge;
  const name = tape.pick([question.name, question.name, '', 'disk.img\0', '../disk.img']);
  const writer = new ByteWriter().raw(ownChallenge);
  if (tape.isOneIn(2)) writer.raw(challenge);
  writer.raw(digests).text(name);
  if (tape.isOneIn(8)) writer.raw(tape.fill(1));
  return writer.finish();
}

export function fuzzEnvelope(tape: Tape): Outcome {
  const seen = { answer: 0, envelope: 0, receipt: 0, refused: 0 };
  let datagrams = 0;
  while (!tape.isOver) {
    datagrams++;
    const { name: sealer, crypto } = tape.pick(sealers);
    const purpose = tape.pick(purposes);
    const prologue = new TextEncoder().encode(purpose);
    const isForClient = !tape.isOneIn(8);
    const to = simulatedKey(isForClient ? 'client' : 'relay');
    const sealed = crypto.sealEnvelope(to, prologue, payloadOf(tape));
    const bytes = tape.isOneIn(2) ? sealed : hostileBytes(tape, sealed);
    const isSound = isForClient && sealer === 'origin' && isEqualBytes(bytes, sealed);
    const answer = openOriginAnswer(client, question, bytes);
    const envelope = openEnvelope(client, originKey, bytes);
    const isReceived = isReceipt(client, originKey, challenge, bytes);
    const count = [answer, envelope, isReceived || undefined].filter((one) => one).length;
    demand(count <= 1, () => 'an envelope with two purposes');
    demand(count === 0 || isSound, () => `an envelope of ${sealer} that is believed`);
    if (answer !== undefined) {
      demand(purpose === purposes[0], () => `a ${purpose} as an answer`);
      demand(
        answer.name === question.name && isEqualBytes(answer.challenge, challenge),
        () => 'the answer to another question',
      );
      seen.answer++;
    } else if (envelope !== undefined) {
      demand(purpose === purposes[1], () => `a ${purpose} as an envelope`);
      seen.envelope++;
    } else if (isReceived) {
      demand(purpose === purposes[2], () => `a ${purpose} as a receipt`);
      seen.receipt++;
    } else {
      seen.refused++;
    }
  }
  return { datagrams, digest: 0, seen };
}
