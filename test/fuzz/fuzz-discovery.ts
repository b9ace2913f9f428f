/** Discovery: the decoder, a receiver that answers queries, and a search that collects answers. */
import { createRandom } from '../../src/base/random.js';
import { Announcer } from '../../src/discovery/announcer.js';
import { answerLimits } from '../../src/discovery/answer-limits.js';
import { ReceiverSearch, searchLimits } from '../../src/discovery/receiver-search.js';
import {
  decodeDiscovery,
  discoveryNonceSizeBytes,
  encodeAnswer,
  encodeQuery,
} from '../../src/wire/discovery.js';
import { hostileBytes } from './hostile-bytes.js';
import type { Tape } from './tape.js';
import { demand } from './watch.js';

const receiverKey = new Uint8Array(32).fill(5);
const names = ['', 'lab1', '\x1b[31m', 'é'.repeat(40), '\u{1f600}'.repeat(20), 'x'.repeat(300)];

/** @returns the number of hostile datagrams */
export function fuzzDiscovery(tape: Tape): number {
  const nonce = tape.fill(discoveryNonceSizeBytes);
  const random = createRandom(tape.byte());
  const announced = { port: 7735, receiverKey, role: 'receiver' as const, name: tape.pick(names) };
  const announcer = new Announcer({ announced, isNear: () => true, random });
  const search = new ReceiverSearch(0, { nonce, waitMs: 5000, isNear: () => true });
  const sentBytes = new Map<string, number>();
  let nowMs = 0;
  let count = 0;
  do {
    nowMs += tape.byte();
    const from = { host: `10.0.0.${tape.below(4)}`, port: 1 + tape.below(3) };
    const bytes = hostileBytes(tape, pickRight(tape, nonce));
    count++;
    checkDecoder(bytes);
    sentBytes.set(from.host, (sentBytes.get(from.host) ?? 0) + bytes.length);
    announcer.handleDatagram(nowMs, from, bytes);
    search.handleDatagram(nowMs, from, bytes);
    announcer.handleTimeout(nowMs);
    search.handleTimeout(nowMs);
    for (let next = announcer.pollTransmit(); next !== undefined; next = announcer.pollTransmit()) {
      const rest = (sentBytes.get(next.to.host) ?? 0) - next.bytes.length;
      demand(rest >= 0, () => `${-rest} bytes more to ${next.to.host} than came from there`);
      sentBytes.set(next.to.host, rest);
      // What a receiver answers is what a search takes.
      demand(typeof decodeDiscovery(next.bytes) !== 'string', () => 'an answer that nobody reads');
    }
    const { sources, waiting } = answerLimits;
    demand(announcer.stateCount <= sources + waiting, () => `${announcer.stateCount} entries`);
    const { receivers } = search;
    demand(receivers.length <= searchLimits.receivers, () => `${receivers.length} receivers`);
    const isBounded = receivers.every(
      ({ addresses }) => addresses.length <= searchLimits.addresses,
    );
    demand(isBounded, () => 'too many addresses of one receiver');
  } while (!tape.isOver);
  return count;
}

function pickRight(tape: Tape, nonce: Uint8Array): Uint8Array | undefined {
  if (tape.isOneIn(8)) return undefined;
  if (tape.isOneIn(2)) return encodeQuery(tape.isOneIn(4) ? tape.fill(16) : nonce);
  const key = tape.isOneIn(2) ? receiverKey : tape.fill(32);
  const port = tape.isOneIn(4) ? tape.uint16() : 7735;
  return encodeAnswer({
    kind: 'answer',
    nonce,
    port,
    receiverKey: key,
    role: 'receiver' as const,
    name: tape.pick(names),
  });
}

function checkDecoder(bytes: Uint8Array): void {
  const packet = decodeDiscovery(bytes);
  if (typeof packet === 'string' || packet.kind === 'query') return;
  const again = decodeDiscovery(encodeAnswer(packet));
  demand(
    JSON.stringify(again) === JSON.stringify(packet),
    () => 'an answer that reads as another one',
  );
}
