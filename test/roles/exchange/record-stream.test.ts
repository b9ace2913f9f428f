/** The conversation between a coordinator and a peer, over a link that loses, repeats and reorders messages. */
import t from 'tap';
import { createRandom } from '../../../src/base/random.js';
import { ClockEstimate } from '../../../src/roles/exchange/clock-estimate.js';
import { RecordStream, streamTiming } from '../../../src/roles/exchange/record-stream.js';
import type { ExchangeMessage } from '../../../src/wire/exchange.js';
import { maxRecordsBytes } from '../../../src/wire/exchange.js';
import type { ExchangeRecord } from '../../../src/wire/exchange-records.js';
import { decodeMessage, encodeMessage } from '../../../src/wire/messages.js';

interface Side {
  readonly stream: RecordStream;
  readonly taken: ExchangeRecord[];
}

/** Runs two sides for a while. @returns the number of messages */
function converse(
  one: Side,
  two: Side,
  { lossProbability = 0, delayMs = (_from: Side) => 5, seed = '1', fromMs = 0, untilMs = 10_000 },
): number {
  const random = createRandom('record stream', seed);
  const flying: { to: Side; atMs: number; bytes: Uint8Array }[] = [];
  let count = 0;
  for (let nowMs = fromMs; nowMs < untilMs; nowMs++) {
    for (const arriving of flying.filter(({ atMs }) => atMs === nowMs)) {
      const message = decodeMessage(arriving.bytes) as ExchangeMessage;
      arriving.to.taken.push(...(arriving.to.stream.take(nowMs, message) ?? []));
    }
    for (const [side, to] of [
      [one, two],
      [two, one],
    ] as const) {
      if (side.stream.pollTimeout() > nowMs) continue;
      for (let next = side.stream.poll(nowMs); next; next = side.stream.poll(nowMs)) {
        count++;
        const bytes = encodeMessage(next);
        const atMs = nowMs + Math.round(delayMs(side));
        if (random() >= lossProbability) flying.push({ to, atMs, bytes });
        // Some arrive again, and later.
        if (random() < lossProbability) flying.push({ to, atMs: atMs + 30, bytes });
      }
    }
  }
  return count;
}

function side(clockOffsetMs = 0): Side {
  return { stream: new RecordStream(0, clockOffsetMs), taken: [] };
}

const listed = (peer: number): ExchangeRecord => ({ kind: 'listed', peer });

t.test('records arrive once and in order, whatever the link does', (t) => {
  for (const lossProbability of [0, 0.1, 0.4]) {
    const [one, two] = [side(), side()];
    const many = Array.from({ length: 1000 }, (_, i) => listed(i));
    const few = Array.from({ length: 10 }, (_, i) => listed(2000 + i));
    for (const record of many) one.stream.push(record);
    for (const record of few) two.stream.push(record);
    converse(one, two, { lossProbability, untilMs: 30_000 });
    t.same(two.taken, many, `with ${100 * lossProbability} % loss`);
    t.same(one.taken, few);
    t.ok(one.stream.isIdle && two.stream.isIdle);
  }
  t.end();
});

t.test('a long list is sent in few messages, not faster than its window', (t) => {
  const [one, two] = [side(), side()];
  const digests = [{ md5: new Uint8Array(16), sha256: new Uint8Array(32) }];
  for (let i = 0; i < 2000; i++)
    one.stream.push({ kind: 'files', owner: 0, object: 0, firstFile: i, digests });
  const first: ExchangeMessage[] = [];
  for (let next = one.stream.poll(0); next; next = one.stream.poll(0)) first.push(next);
  const sizes = first.map(({ records }) => records.reduce((sum, { length }) => sum + length, 0));
  t.ok(Math.max(...sizes) <= maxRecordsBytes);
  const total = sizes.reduce((sum, size) => sum + size, 0);
  t.ok(total > 32_000 && total < 34_000, `${total} bytes at once`);
  converse(one, two, { fromMs: 1 });
  t.equal(two.taken.length, 2000);
  t.end();
});

t.test('while nothing happens, each side says that it is there', (t) => {
  const [one, two] = [side(), side()];
  const start = converse(one, two, { untilMs: 1000 });
  t.ok(start >= 2 * streamTiming.samples, `${start} messages at first`);
  const later = converse(one, two, { fromMs: 1000, untilMs: 11_000 });
  t.ok(later >= 18 && later <= 22, `${later} messages in 10 s`);
  t.end();
});

t.test('a message that acknowledges what was never sent is refused', (t) => {
  const { stream } = side();
  stream.push(listed(1));
  const message = { kind: 'exchange', sentAtMs: 1, echo: undefined } as const;
  t.equal(stream.take(1, { ...message, nextRecord: 2, firstRecord: 0, records: [] }), undefined);
  t.same(stream.take(1, { ...message, nextRecord: 0, firstRecord: 0, records: [] }), []);
  const bad = { ...message, nextRecord: 0, firstRecord: 0, records: [Uint8Array.of(200)] };
  t.equal(stream.take(1, bad), undefined, 'nor a record that is none');
  t.end();
});

t.test('the clock of the other side is estimated within half a round trip', (t) => {
  for (const [outMs, backMs] of [
    [5, 5],
    [1, 30],
    [40, 2],
  ] as const) {
    const offsetMs = 1.7e12 + 0.25;
    const [peer, coordinator] = [side(), side(offsetMs)];
    converse(peer, coordinator, {
      delayMs: (from) => (from === peer ? outMs : backMs),
      untilMs: 3000,
    });
    const { clock } = peer.stream;
    const errorMs = Math.abs(clock.offsetMs - offsetMs);
    t.ok(errorMs <= clock.uncertaintyMs(3000), `${errorMs} ms off, ${outMs} and ${backMs} ms`);
    t.ok(clock.uncertaintyMs(3000) <= (outMs + backMs) / 2 + 0.5);
  }
  t.end();
});

t.test('the sample with the shortest trip counts, until it is old', (t) => {
  const clock = new ClockEstimate();
  t.ok(!clock.isKnown && clock.uncertaintyMs(0) === Infinity);
  // The other clock is 1000 ms ahead.
  clock.sample(100, 1098, { sentAtMs: 96, arrivedAtMs: 1098 });
  t.same([clock.offsetMs, clock.uncertaintyMs(100)], [1000, 2]);
  clock.sample(200, 1190, { sentAtMs: 140, arrivedAtMs: 1190 });
  t.equal(clock.offsetMs, 1000, 'a long trip says less');
  // By now, the clocks may have drifted apart by more than this trip takes.
  clock.sample(400_100, 401_110, { sentAtMs: 400_060, arrivedAtMs: 401_110 });
  t.equal(clock.offsetMs, 1030);
  clock.sample(400_200, 5, { sentAtMs: 400_300, arrivedAtMs: 5 });
  t.equal(clock.offsetMs, 1030, 'an answer before the question says nothing');
  t.end();
});
