/** The messages and records of an exchange (SESSIONS 11): an invalid byte is a fault, never an exception. */
import type { ExchangeRecord } from '../../src/wire/exchange-records.js';
import { decodeRecord, encodeRecord, exchangeLimits } from '../../src/wire/exchange-records.js';
import { decodeMessage, encodeMessage } from '../../src/wire/messages.js';
import { hostileBytes, hostileNumber } from './hostile-bytes.js';
import type { Tape } from './tape.js';
import { toHex } from './tape.js';
import { demand } from './watch.js';

export function fuzzExchange(tape: Tape): number {
  let count = 0;
  do {
    const record = encodeRecord(drawRecord(tape));
    const bytes = tape.isOneIn(8) ? hostileBytes(tape, undefined) : hostileBytes(tape, record);
    checkRecord(bytes);
    checkMessage(tape, [record, bytes]);
    count++;
  } while (!tape.isOver);
  return count;
}

function checkRecord(bytes: Uint8Array): void {
  const record = decodeRecord(bytes);
  if (record === undefined) return;
  const again = decodeRecord(encodeRecord(record));
  const isSame = JSON.stringify(again) === JSON.stringify(record);
  // Escaped names can become longer than a name may be.
  const isNamed = record.kind === 'join' || record.kind === 'peer' || record.kind === 'end';
  demand(isSame || isNamed, () => `a ${record.kind} that reads as another: ${toHex(bytes)}`);
  if (record.kind !== 'held') return;
  let from = 0;
  for (const { start, end } of record.ranges) {
    demand(start >= from && end > start && Number.isSafeInteger(end), () => 'ranges in disorder');
    from = end;
  }
  demand(record.ranges.length <= exchangeLimits.rangesPerRecord, () => 'too many ranges');
}

function checkMessage(tape: Tape, records: readonly Uint8Array[]): void {
  const message = {
    kind: 'exchange' as const,
    nextRecord: numberFor(tape),
    sentAtMs: numberFor(tape) / 3,
    echo: tape.isOneIn(2) ? undefined : { sentAtMs: numberFor(tape), arrivedAtMs: 0.5 },
    firstRecord: numberFor(tape),
    records: records.filter(({ length }) => length > 0),
  };
  const right = encodeMessage(message);
  const same = JSON.stringify(decodeMessage(right)) === JSON.stringify(message);
  demand(same, () => 'a message that reads as another');
  const decoded = decodeMessage(hostileBytes(tape, right));
  if (decoded?.kind !== 'exchange') return;
  demand(Number.isFinite(decoded.sentAtMs), () => `a time of ${decoded.sentAtMs}`);
  demand(
    decoded.records.every(({ length }) => length > 0),
    () => 'an empty record',
  );
}

function numberFor(tape: Tape): number {
  const number = hostileNumber(tape);
  return Number.isSafeInteger(number) && number >= 0 ? number : 0;
}

function drawRecord(tape: Tape): ExchangeRecord {
  const peer = tape.below(tape.pick([4, 2000]));
  const id = { owner: tape.below(4), object: tape.below(tape.pick([4, 2000])) };
  const name = tape.pick(['', 'a', 'a/b', '\u001b[2J', 'x'.repeat(300)]);
  switch (tape.below(13)) {
    case 0:
      return { kind: 'join', name, beganAtMs: tape.pick([undefined, 0, 1.5, Infinity]) };
    case 1:
      return { kind: 'welcome', peer, expectedPeers: numberFor(tape) };
    case 2: {
      const key = tape.fill(32);
      const host = tape.pick(['', '192.0.2.1', 'x'.repeat(80)]);
      return { kind: 'peer', peer, name, key, host, port: tape.uint16() };
    }
    case 3: {
      const digests = { manifestDigest: tape.fill(32), contentRoot: tape.fill(32) };
      const sizes = { contentSizeBytes: numberFor(tape), fileCount: numberFor(tape) };
      return { kind: 'object', ...id, name, ...digests, ...sizes };
    }
    case 4: {
      const count = tape.pick([0, 1, 20, 21]);
      const digests = Array.from({ length: count }, () => {
        return { md5: tape.fill(16), sha256: tape.fill(32) };
      });
      return { kind: 'files', ...id, firstFile: numberFor(tape), digests };
    }
    case 5:
      return { kind: 'listed', peer };
    case 6:
      return { kind: 'start', atMs: tape.pick([0, 1.7e12, Infinity, NaN]) };
    case 7: {
      let start = 0;
      const ranges = Array.from({ length: tape.pick([0, 1, 2, 64, 65]) }, () => {
        start += 1 + tape.below(300);
        const range = { start, end: start + 1 + tape.below(3) };
        start = range.end;
        return range;
      });
      return { kind: 'held', holder: peer, ...id, ranges };
    }
    case 8:
      return { kind: 'stored', holder: peer, ...id };
    case 9:
      return { kind: 'presence', peer, presence: tape.pick(['present', 'silent', 'left']) };
    case 10: {
      const peers = Array.from({ length: tape.pick([0, 1, 100, 101]) }, () => tape.below(4));
      return { kind: 'awaited', untilMs: tape.pick([0, 1.7e12, Infinity, NaN]), peers };
    }
    case 11:
      return { kind: 'leave' };
    default:
      return { kind: 'end', reason: name };
  }
}
