import fc from 'fast-check';
import t from 'tap';
import { burstLoss } from '../../src/loss.js';
import { Link, type LinkOptions } from '../../src/simulator/link.js';

type Arrival = { id: number; atMs: number; bytes: Uint8Array };

/** A link with its own seed, and its output so far. */
function createRun(options: LinkOptions, name = 'a to b', seed = 'seed') {
  const link = new Link(name, seed, options);
  const arrivals: Arrival[] = [];
  let id = 0;
  const send = (nowMs: number, bytes: Uint8Array = new Uint8Array(100)) => {
    const thisId = id++;
    return link.send(nowMs, bytes, (atMs, copy) =>
      arrivals.push({ id: thisId, atMs, bytes: copy }),
    );
  };
  return { link, arrivals, send };
}

function timesMs(arrivals: readonly Arrival[]): number[] {
  return arrivals.map(({ atMs }) => Math.round(atMs * 1e6) / 1e6);
}

function ids(arrivals: readonly Arrival[]): number[] {
  return arrivals.map(({ id }) => id);
}

/** How many datagrams arrive before one that was sent earlier. */
function countOvertaking(arrivals: readonly Arrival[]): number {
  const order = [...arrivals].sort((a, b) => a.atMs - b.atMs || a.id - b.id);
  return order.filter(({ id }, i) => order.slice(i + 1).some((later) => later.id < id)).length;
}

function isNear(share: number, p: number, count: number): boolean {
  return Math.abs(share - p) < 4 * Math.sqrt((p * (1 - p)) / count);
}

t.test('a link without options forwards each datagram at once, unchanged', (t) => {
  const { link, arrivals, send } = createRun({});
  const bytes = Uint8Array.of(1, 2, 3);
  t.equal(send(7, bytes), 'delivered');
  t.strictSame(arrivals, [{ id: 0, atMs: 7, bytes: Uint8Array.of(1, 2, 3) }]);
  const nothing = { lost: 0, queueFull: 0, corrupted: 0, duplicated: 0, reordered: 0 };
  t.strictSame(link.counts, { sent: 1, ...nothing });
  t.end();
});

t.test('the rate spaces datagrams by size, then the delay is added', (t) => {
  const { arrivals, send } = createRun({ rateBytesPerSec: 1_000, delayMs: 5 });
  send(0, new Uint8Array(100));
  send(0, new Uint8Array(50));
  send(120, new Uint8Array(10));
  send(1_000, new Uint8Array(100));
  t.strictSame(timesMs(arrivals), [105, 155, 165, 1_105], 'an idle link accumulates no credit');
  const heavier = createRun({ rateBytesPerSec: 1_000, overheadBytes: 28 });
  heavier.send(0, new Uint8Array(100));
  heavier.send(0, new Uint8Array(0));
  t.strictSame(timesMs(heavier.arrivals), [128, 156], 'the overhead counts too');
  t.end();
});

t.test('a datagram that finds the queue full is lost; room returns as the queue drains', (t) => {
  const { link, send } = createRun({ rateBytesPerSec: 1_000, queueLimitBytes: 300 });
  const fates = [0, 0, 0, 0, 99, 100, 100].map((nowMs) => send(nowMs));
  const [good, full] = ['delivered', 'queue-full'];
  t.strictSame(fates, [good, good, good, full, full, good, full]);
  t.match(link.counts, { sent: 7, queueFull: 3 });
  const small = createRun({ rateBytesPerSec: 1_000, queueLimitBytes: 50 });
  const smallFates = [0, 50, 100].map((nowMs) => small.send(nowMs));
  t.strictSame(smallFates, [good, full, good], 'an idle link accepts more than its queue holds');
  t.end();
});

t.test('a queue for k datagrams takes exactly k at once, at any rate and time', (t) => {
  const property = fc.property(
    fc.integer({ min: 1, max: 1_500 }),
    fc.integer({ min: 1, max: 64 }),
    fc.constantFrom(1_000, 125_000, 1_250_000, 1e7 / 3),
    fc.constantFrom(0, 0.1, 12.345),
    (size, k, rateBytesPerSec, nowMs) => {
      const { link, send } = createRun({ rateBytesPerSec, queueLimitBytes: k * size });
      for (let i = 0; i < k + 3; i++) send(nowMs, new Uint8Array(size));
      return link.counts.queueFull === 3;
    },
  );
  fc.assert(property, { seed: 1, numRuns: 500 });
  t.end();
});

t.test('jitter stays within its bounds and does reorder', (t) => {
  const { arrivals, send } = createRun({ delayMs: 20, jitterMs: 10 });
  for (let i = 0; i < 500; i++) send(i);
  const jitters = arrivals.map(({ id, atMs }) => atMs - id - 20);
  t.ok(jitters.every((jitter) => jitter >= 0 && jitter < 10));
  t.ok(Math.max(...jitters) > 9 && Math.min(...jitters) < 1, 'the whole range is drawn');
  t.ok(countOvertaking(arrivals) > 100);
  const small = createRun({ delayMs: 20, jitterMs: 0.9 });
  for (let i = 0; i < 500; i++) small.send(i);
  t.equal(countOvertaking(small.arrivals), 0, 'jitter below the spacing keeps the order');
  t.end();
});

t.test('the reordered share is held back, and later datagrams overtake it', (t) => {
  const { link, arrivals, send } = createRun({ reorderProbability: 0.1, reorderDelayMs: 2.5 });
  for (let i = 0; i < 2_000; i++) send(i);
  const heldBack = arrivals.filter(({ id, atMs }) => atMs === id + 2.5).length;
  t.equal(arrivals.filter(({ id, atMs }) => atMs === id).length, 2_000 - heldBack);
  t.equal(link.counts.reordered, heldBack);
  t.ok(isNear(heldBack / 2_000, 0.1, 2_000), `${heldBack}`);
  t.ok(countOvertaking(arrivals) > 100);
  t.end();
});

t.test('the duplicated share arrives twice', (t) => {
  const { link, arrivals, send } = createRun({ duplicateProbability: 0.2, delayMs: 3 });
  for (let i = 0; i < 2_000; i++) send(i);
  t.equal(arrivals.length, 2_000 + link.counts.duplicated);
  t.equal(new Set(ids(arrivals)).size, 2_000);
  t.ok(isNear(link.counts.duplicated / 2_000, 0.2, 2_000), `${link.counts.duplicated}`);
  t.end();
});

t.test('corruption flips one bit of a copy, anywhere from the given byte on', (t) => {
  const { link, arrivals, send } = createRun({ corruptProbability: 1, corruptFromByte: 8 });
  const original = new Uint8Array(16);
  for (let i = 0; i < 2_000; i++) send(0, original);
  const places = new Set<number>();
  for (const { bytes } of arrivals) {
    const changed = [...bytes.entries()].filter(([, byte]) => byte !== 0);
    const [place, byte] = changed[0] ?? [0, 0];
    const isOneBit = changed.length === 1 && Number.isInteger(Math.log2(byte));
    if (!isOneBit || place < 8) t.fail(`not one bit of the payload: ${bytes}`);
    places.add(place * 8 + Math.log2(byte));
  }
  t.equal(places.size, 64, 'each bit of the payload was hit');
  t.ok(original.every((byte) => byte === 0));
  t.equal(link.counts.corrupted, 2_000);
  t.end();
});

t.test('a datagram without a corruptible byte is unchanged', (t) => {
  const { link, arrivals, send } = createRun({ corruptProbability: 1, corruptFromByte: 8 });
  for (const size of [0, 7, 8]) send(0, new Uint8Array(size));
  t.ok(arrivals.every(({ bytes }) => bytes.every((byte) => byte === 0)));
  t.equal(link.counts.corrupted, 0);
  t.end();
});

t.test('datagrams that the loss model drops do not arrive, and are counted', (t) => {
  const { link, arrivals, send } = createRun({ loss: { model: 'scripted', lost: [1, 3] } });
  const fates = Array.from({ length: 5 }, (_, i) => send(i));
  t.strictSame(fates, ['delivered', 'lost', 'delivered', 'lost', 'delivered']);
  t.strictSame(ids(arrivals), [0, 2, 4]);
  t.equal(link.counts.lost, 2);
  t.end();
});

const wild: LinkOptions = {
  jitterMs: 5,
  rateBytesPerSec: 120_000,
  queueLimitBytes: 1_000,
  loss: { model: 'bernoulli', probability: 0.1 },
  reorderProbability: 0.1,
  reorderDelayMs: 20,
  duplicateProbability: 0.1,
  corruptProbability: 0.1,
};

/** Everything that happens to 500 datagrams, as text. */
function history(options: LinkOptions, name: string, seed: string, besides = (_ms: number) => {}) {
  const { link, arrivals, send } = createRun(options, name, seed);
  for (let i = 0; i < 500; i++) {
    send(i);
    besides(i);
  }
  return JSON.stringify([arrivals.map(({ id, atMs, bytes }) => [id, atMs, ...bytes]), link.counts]);
}

t.test('the same seed gives the same outcomes; another seed or name does not', (t) => {
  for (const options of [wild, { jitterMs: 5 }, { loss: burstLoss(0.1, 2) }]) {
    const first = history(options, 'a to b', 'seed');
    t.ok(history(options, 'a to b', 'seed') === first);
    t.ok(history(options, 'a to b', 'other seed') !== first);
    t.ok(history(options, 'b to a', 'seed') !== first);
  }
  t.end();
});

t.test('one more link draws no random number from the others', (t) => {
  const { send } = createRun({ ...wild, jitterMs: 1 }, 'a to c');
  t.ok(history(wild, 'a to b', 'seed', send) === history(wild, 'a to b', 'seed'));
  t.end();
});

t.test('impossible options are refused, naming link and option', (t) => {
  const refused: [(keyof LinkOptions)[], number[]][] = [
    [
      ['delayMs', 'jitterMs', 'overheadBytes', 'reorderDelayMs'],
      [-1, NaN, Infinity],
    ],
    [
      ['reorderProbability', 'duplicateProbability', 'corruptProbability'],
      [-0.1, 1.1, NaN],
    ],
    [
      ['rateBytesPerSec', 'queueLimitBytes'],
      [0, -1, NaN],
    ],
    [['corruptFromByte'], [-1, 0.5, NaN, Infinity]],
  ];
  for (const [keys, values] of refused) {
    for (const key of keys) {
      const expected = { code: 'INVALID_ARGUMENT', message: `link x: ${key} must be` };
      for (const value of values) {
        t.throws(() => new Link('x', 's', { [key]: value }), expected, `${key} ${value}`);
      }
    }
  }
  const loss = { model: 'bernoulli', probability: 1 } as const;
  t.throws(() => new Link('x', 's', { loss }), { code: 'INVALID_ARGUMENT' });
  t.end();
});
