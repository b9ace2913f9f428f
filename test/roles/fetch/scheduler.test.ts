/** The scheduler of a fetch on a small model of its sources, in virtual time. */
import t, { type Test } from 'tap';
import { RangeSet } from '../../../src/base/range-set.js';
import { FetchScheduler } from '../../../src/roles/fetch/scheduler.js';
import { type FetchRun, runFetch } from '../../support/fetch-run.js';
import type { FetchScenario, ModelSourceOptions } from '../../support/fetch-scenario.js';

const blockSizeBytes = 61_440;
const contentSizeBytes = 200_000_000;
const blockCount = Math.ceil(contentSizeBytes / blockSizeBytes);
const megabit = 125_000;

function source(
  mbitPerSec: number,
  changes: Partial<ModelSourceOptions> & {
    later?: readonly [atMs: number, mbitPerSec: number];
  } = {},
): ModelSourceOptions {
  const { later, ...options } = changes;
  const rates = [{ atMs: 0, bytesPerSec: mbitPerSec * megabit }];
  if (later !== undefined) rates.push({ atMs: later[0], bytesPerSec: later[1] * megabit });
  return { rttMs: 2, joinAtMs: 0, badProbability: 0, rates, ...options };
}

function fetch(
  t: Test,
  sources: readonly ModelSourceOptions[],
  changes: Partial<FetchScenario> = {},
): FetchRun {
  const missing = [{ start: 0, end: blockCount }];
  const base = {
    number: 1,
    kind: 'steady',
    split: 'speed',
    blockSizeBytes,
    contentSizeBytes,
  } as const;
  const run = runFetch({ ...base, missing, sources, ...changes });
  t.equal(run.wrongBlocks, 0, 'every block is right');
  t.equal(run.earlyRepeats, 0, 'no block is asked twice before the last window');
  return run;
}

function seconds({ endMs }: FetchRun): number {
  return (endMs ?? Infinity) / 1000;
}

t.test('shares follow the speeds', (t) => {
  const run = fetch(t, [source(100), source(60), source(40)]);
  t.ok(seconds(run) < 8.1, `${seconds(run)} s, at best 8 s`);
  const shares = run.report.sources.map(({ share }) => Math.round(share * 100));
  t.same(shares, [50, 30, 20]);
  t.ok(run.report.duplicateBytes < 0.002 * contentSizeBytes, `${run.report.duplicateBytes} twice`);
  t.ok(run.segments.length < blockCount / 2, `${run.segments.length} segments: runs of blocks`);
  t.end();
});

t.test('the others take over from the fastest source, which dies at half', (t) => {
  for (const foundAfterMs of [0, 1000, undefined]) {
    const run = fetch(t, [source(100, { diesAtHalf: { foundAfterMs } }), source(60), source(40)]);
    t.ok(seconds(run) < 12.2, `${seconds(run)} s, at best 12 s; found after ${foundAfterMs} ms`);
  }
  t.end();
});

t.test('a source that becomes slow shortly before the end costs less than half a second', (t) => {
  const steady = seconds(fetch(t, [source(100), source(60), source(40)]));
  for (const share of [0.9, 0.95, 0.99, 0.995, 1]) {
    const atMs = share * 1000 * steady - 20;
    const run = fetch(t, [source(100, { later: [atMs, 1] }), source(60), source(40)]);
    // What the slow source would have delivered takes the others this long.
    const lostSeconds = ((1 - share) * steady * 99) / 101;
    const excess = seconds(run) - steady - lostSeconds;
    t.ok(excess < 0.4, `${excess.toFixed(2)} s more, slow from ${share} on`);
  }
  t.end();
});

t.test('a slow source does not hold up the end', (t) => {
  const run = fetch(t, [source(100), source(0.5, { rttMs: 300 })]);
  t.ok(seconds(run) < 16.1, `${seconds(run)} s`);
  t.ok((run.report.sources[1]?.deliveredBytes ?? 0) > 500_000, 'but it delivers');
  t.end();
});

t.test('a source that sends a bad block is dropped, and the others deliver its blocks', (t) => {
  const run = fetch(t, [source(100), source(100, { badProbability: 0.01 }), source(50)]);
  t.same(run.dropped, [1]);
  t.equal(run.report.sources[1]?.state, 'left');
  t.equal(run.report.sources[1]?.replaced, 'bad-block');
  t.ok(run.segments.some(({ retries, source: index }) => retries === 1 && index !== 1));
  t.end();
});

t.test('what is held is kept while there is no source', (t) => {
  const run = fetch(t, [
    source(100, { leaveAtMs: 8000 }),
    source(100, { joinAtMs: 20_000, rates: [{ atMs: 20_000, bytesPerSec: 100 * megabit }] }),
  ]);
  t.ok(seconds(run) < 28.3, `${seconds(run)} s: 8 s, a pause of 12 s, and the other half`);
  t.end();
});

t.test('a source that joins late takes its share at once', (t) => {
  const joining = { joinAtMs: 4000, rates: [{ atMs: 4000, bytesPerSec: 100 * megabit }] };
  const run = fetch(t, [source(100), source(100, joining)]);
  t.ok(seconds(run) < 10.1, `${seconds(run)} s, at best 10 s`);
  t.end();
});

t.test('blocks that are held already are not asked for', (t) => {
  const missing = [
    { start: 5, end: 10 },
    { start: 100, end: 1100 },
    { start: 3000, end: blockCount },
  ];
  const run = fetch(t, [source(100), source(60)], { missing });
  const bytes = 1005 * blockSizeBytes + contentSizeBytes - 3000 * blockSizeBytes;
  t.equal(run.report.deliveredBytes, bytes);
  t.equal(run.vainAsks, 0);
  t.end();
});

t.test('a source with a part of the object is asked for that part', (t) => {
  const holds = [
    { atMs: 0, range: { start: 0, end: 500 } },
    { atMs: 3000, range: { start: 2000, end: blockCount } },
  ];
  const run = fetch(t, [source(100, { holds }), source(50)]);
  t.equal(run.vainAsks, 0);
  t.ok(seconds(run) < 20, `${seconds(run)} s, and 32 s without it`);
  t.end();
});

t.test('what only one source holds is asked for first', (t) => {
  // The source that holds everything is the only one that holds the second half.
  const holds = [{ atMs: 0, range: { start: 0, end: blockCount / 2 } }];
  const run = fetch(t, [source(50), source(50, { holds })]);
  t.ok(seconds(run) < 16.5, `${seconds(run)} s, at best 16 s`);
  const first = run.segments.filter(({ source: index }) => index === 0);
  const firstByte = Math.min(...first.map((segment) => segment.firstByte));
  t.ok(firstByte >= (blockCount / 2 - 100) * blockSizeBytes, `the rest from ${firstByte} on`);
  t.end();
});

t.test('a fetch begins where it shall, and ends before that', (t) => {
  const run = fetch(t, [source(100)], { beginsAt: 0.5 });
  const middle = Math.floor(contentSizeBytes / 2 / blockSizeBytes);
  const begin = run.segments.find(({ startMs }) => startMs === 0);
  t.equal(begin?.firstByte, middle * blockSizeBytes);
  const others = run.segments.filter((segment) => segment !== begin);
  t.ok(
    others.every(({ firstByte, startMs }) => firstByte < middle * blockSizeBytes && startMs > 7500),
    'the beginning comes last',
  );
  t.end();
});

t.test('equal parts', async (t) => {
  t.test('each source delivers its part, however long it takes', (t) => {
    const run = fetch(t, [source(100), source(60), source(40)], { split: 'equal' });
    t.ok(seconds(run) < 13.5, `${seconds(run)} s: a third at 40 Mbit/s`);
    t.equal(run.segments.length, 3);
    t.same(
      run.segments.map(({ source: index, firstByte, retries }) => ({ index, firstByte, retries })),
      [
        { index: 0, firstByte: 0, retries: 0 },
        { index: 1, firstByte: 1085 * blockSizeBytes, retries: 0 },
        { index: 2, firstByte: 2170 * blockSizeBytes, retries: 0 },
      ],
    );
    t.equal(run.report.duplicateBytes, 0);
    t.end();
  });

  t.test('the rest of a dead source is shared equally among the others', (t) => {
    const run = fetch(t, [source(100, { leaveAtMs: 2000 }), source(100), source(100)], {
      split: 'equal',
    });
    t.ok(seconds(run) < 7.2, `${seconds(run)} s, at best 7 s`);
    const [dead = 0, ...others] = run.report.sources.map(({ deliveredBytes }) => deliveredBytes);
    t.ok(Math.abs(dead - 25_000_000) < 1_000_000, `${dead} bytes from the dead source`);
    t.ok(Math.abs((others[0] ?? 0) - (others[1] ?? 0)) <= 2 * blockSizeBytes, 'equal shares');
    const lost = run.segments.filter(({ replaced }) => replaced === 'left');
    t.same(
      lost.map(({ source: index, sizeBytes }) => ({ index, sizeBytes })),
      [{ index: 0, sizeBytes: dead }],
    );
    t.end();
  });
});

t.test('equal parts, and a source that falls silent', async (t) => {
  const split = 'equal';
  t.test('sources without work take its part over, whether or not its death is found', (t) => {
    for (const foundAfterMs of [5000, undefined]) {
      const dying = source(100, { diesAtHalf: { foundAfterMs } });
      const run = fetch(t, [dying, source(100), source(100)], { split });
      // All die or end at 16/3 s; then half a part is left for two.
      t.ok(seconds(run) < 6.8, `${seconds(run)} s, at best 6.67 s`);
      t.ok(run.report.duplicateBytes < 0.01 * contentSizeBytes);
    }
    t.end();
  });

  t.test('a source that is alone and silent costs a second, not until its death is found', (t) => {
    // The first one has delivered everything but its last second when it dies.
    const dying = source(40, {
      rates: [
        { atMs: 0, bytesPerSec: 40 * megabit },
        { atMs: 12_500, bytesPerSec: 0 },
      ],
    });
    const run = fetch(t, [dying, source(100), source(100)], { split });
    t.ok(seconds(run) < 14.2, `${seconds(run)} s, at best 13.33 s`);
    t.end();
  });

  t.test('one that comes back continues with the rest of its part', (t) => {
    const pausing = source(100, {
      rates: [0, 4000, 7000].map((atMs, i) => ({
        atMs,
        bytesPerSec: (i === 1 ? 0 : 100) * megabit,
      })),
    });
    const run = fetch(t, [pausing, source(100), source(1)], {
      split,
      missing: [{ start: 0, end: 2000 }],
    });
    const [first, second, third] = run.report.sources.map(({ deliveredBytes }) => deliveredBytes);
    t.ok((first ?? 0) > 0.7 * (run.report.deliveredBytes / 3), `${first}`);
    t.ok((second ?? 0) > 0.3 * run.report.deliveredBytes, `${second}`);
    t.ok((third ?? 0) > 0.32 * run.report.deliveredBytes, 'a slow part stays as it is');
    t.end();
  });

  t.test('while its part is of no use to others, nothing is taken from it', (t) => {
    const pausing = source(100, {
      rates: [0, 1000, 3000].map((atMs, i) => ({
        atMs,
        bytesPerSec: (i === 1 ? 0 : 100) * megabit,
      })),
    });
    const run = fetch(t, [pausing, source(40), source(40)], { split });
    t.same(
      run.report.sources.map(({ blocksReplaced }) => blocksReplaced),
      [0, 0, 0],
    );
    t.equal(run.segments.length, 3);
    t.end();
  });
});

t.test('millions of blocks take little memory', (t) => {
  const size = 2_000_000;
  const scheduler = new FetchScheduler({
    contentSizeBytes: size * blockSizeBytes,
    blockSizeBytes,
    missing: new RangeSet([{ start: 0, end: size }]),
    split: 'speed',
  });
  const queues = Array.from({ length: 8 }, (_, i) => scheduler.join(0, { name: `${i}`, rttMs: 1 }));
  scheduler.begin(0);
  let [nowMs, mostRanges] = [0, 0];
  const receivedBytes = queues.map(() => 0);
  // Source i delivers i + 1 blocks a millisecond.
  while (!scheduler.isComplete && nowMs < 200_000) {
    nowMs++;
    for (const i of queues) {
      for (let count = 0; count <= i; count++) {
        const block = scheduler.wantedFrom(i).nextFrom(0);
        if (block === undefined) break;
        receivedBytes[i] = (receivedBytes[i] ?? 0) + blockSizeBytes;
        scheduler.update(nowMs, i, receivedBytes[i] ?? 0);
        scheduler.handleBlock(nowMs, i, block);
      }
    }
    if (nowMs >= (scheduler.pollTimeout() ?? Infinity)) scheduler.handleTimeout(nowMs);
    while (scheduler.pollChanged() !== undefined);
    while (scheduler.pollEvent() !== undefined);
    mostRanges = Math.max(mostRanges, scheduler['missing'].rangeCount);
  }
  t.ok(scheduler.isComplete);
  t.ok(nowMs < 1.02 * (size / 36), `${nowMs} ms, at best ${size / 36} ms`);
  t.ok(mostRanges < 200, `${mostRanges} ranges`);
  t.end();
});

t.test('blocks that turn out to be missing are asked for again', (t) => {
  for (const split of ['speed', 'equal'] as const) {
    const scheduler = new FetchScheduler({
      ...{ contentSizeBytes: 10 * blockSizeBytes, blockSizeBytes, split },
      missing: new RangeSet([{ start: 0, end: 10 }]),
    });
    const index = scheduler.join(0, { name: 'a' });
    t.equal(scheduler.pollTimeout(), undefined, 'it waits for its begin');
    scheduler.begin(0);
    for (let block = 0; block < 10; block++) {
      if (block === 8) scheduler.handleMissing(5, 3, 5);
      scheduler.handleBlock(block, index, block);
    }
    t.notOk(scheduler.isComplete);
    t.same([...scheduler.wantedFrom(index).ranges()], [{ start: 3, end: 5 }]);
    scheduler.handleBlock(20, index, 3);
    scheduler.handleBlock(20, index, 4);
    t.ok(scheduler.isComplete);
    t.equal(scheduler.pollTimeout(), undefined);
  }
  t.end();
});

t.test('an object without missing blocks is complete at its begin', (t) => {
  const missing = new RangeSet();
  const options = { contentSizeBytes: 0, blockSizeBytes, missing, split: 'speed' } as const;
  const scheduler = new FetchScheduler(options);
  scheduler.begin(7);
  t.same(scheduler.pollEvent(), { type: 'complete', atMs: 7 });
  t.equal(scheduler.pollEvent(), undefined);
  t.end();
});

t.test('the report says what each source does', (t) => {
  const scheduler = new FetchScheduler({
    ...{ contentSizeBytes: 1000 * blockSizeBytes, blockSizeBytes, split: 'speed' },
    missing: new RangeSet([{ start: 0, end: 1000 }]),
  });
  const names = ['a', 'b', 'c'];
  const [a = 0, b = 0, c = 0] = names.map((name) => scheduler.join(0, { name, rttMs: 10 }));
  const states = (nowMs: number) => scheduler.report(nowMs).sources.map(({ state }) => state);
  t.same(states(0), ['waiting', 'waiting', 'waiting']);
  scheduler.begin(0);
  t.same(states(5), ['starting', 'starting', 'starting']);
  scheduler.update(5, a, 0);
  scheduler.update(20, a, blockSizeBytes, 15);
  scheduler.handleBlock(20, a, scheduler.wantedFrom(a).nextFrom(0) ?? 0);
  scheduler.leave(30, c, 'the connection was refused');
  t.same(states(40), ['delivering', 'starting', 'left']);
  t.same(states(2000), ['stalled', 'stalled', 'left']);
  const { sources, deliveredBytes, missingBlocks, possibleBytesPerSec } = scheduler.report(40);
  t.equal(deliveredBytes, blockSizeBytes);
  t.equal(missingBlocks, 999);
  const { name, share, rttMs, deliveredBytes: ofA } = sources[a] ?? {};
  t.same({ name, share, rttMs, ofA }, { name: 'a', share: 1, rttMs: 15, ofA: blockSizeBytes });
  t.equal(sources[c]?.reason, 'the connection was refused');
  t.equal(sources[c]?.replaced, 'left');
  t.equal(sources[b]?.blocksInFlight, scheduler.wantedFrom(b).count);
  t.ok(possibleBytesPerSec > 0);
  t.end();
});

t.test('an early answer corrects a round-trip time that is too high', (t) => {
  const missing = new RangeSet([{ start: 0, end: 1000 }]);
  const sizes = { contentSizeBytes: 1000 * blockSizeBytes, blockSizeBytes };
  const scheduler = new FetchScheduler({ ...sizes, missing, split: 'speed' });
  const index = scheduler.join(1_000_000, { name: 'a', rttMs: 9000 });
  scheduler.begin(1_000_000);
  scheduler.update(1_000_000, index, 500_000_000);
  scheduler.update(1_000_030, index, 500_000_000 + blockSizeBytes);
  scheduler.handleBlock(1_000_030, index, 0);
  const [{ rttMs = 0, rateBytesPerSec = 0 } = {}] = scheduler.report(1_000_030).sources;
  t.equal(rttMs, 30);
  t.ok(rateBytesPerSec < 10_000_000, `${rateBytesPerSec}: what came before does not count`);
  t.end();
});

function begin(isOnDemand: boolean): FetchScheduler {
  const scheduler = new FetchScheduler({
    ...{ contentSizeBytes, blockSizeBytes, isOnDemand, split: 'speed' },
    missing: new RangeSet([{ start: 0, end: blockCount }]),
  });
  scheduler.join(0, { name: 'a' });
  scheduler.begin(0);
  return scheduler;
}

t.test('a block that somebody waits for is asked for first', (t) => {
  const scheduler = begin(false);
  const asked = scheduler.wantedFrom(0).count;
  scheduler.hurry(1, 3000, 3002);
  scheduler.hurry(1, 0, 1);
  for (let block = 0; block < asked; block++) scheduler.handleBlock(2 + block, 0, block);
  t.ok(scheduler.wantedFrom(0).has(3000));
  t.ok(scheduler.wantedFrom(0).has(3001));
  t.notOk(scheduler.wantedFrom(0).has(blockCount - 1));
  t.end();
});

t.test('on demand, only blocks that somebody waits for are asked for', (t) => {
  const scheduler = begin(true);
  t.ok(scheduler.wantedFrom(0).isEmpty);
  scheduler.hurry(1, 7, 9);
  t.same([...scheduler.wantedFrom(0).ranges()], [{ start: 7, end: 9 }]);
  scheduler.handleBlock(2, 0, 7);
  scheduler.handleBlock(3, 0, 8);
  t.ok(scheduler.wantedFrom(0).isEmpty);
  scheduler.hurry(4, 7, 8);
  t.ok(scheduler.wantedFrom(0).isEmpty, 'it is here');
  scheduler.handleMissing(5, 7, 8);
  t.ok(scheduler.wantedFrom(0).has(7), 'it was lost');
  t.end();
});

t.test('what cannot be asked for yet is asked for once it is released', (t) => {
  const missing = new RangeSet([{ start: 0, end: 100 }]);
  const scheduler = new FetchScheduler({
    ...{ contentSizeBytes: 100 * blockSizeBytes, blockSizeBytes, split: 'speed' },
    ...{ missing, later: missing },
  });
  for (const name of ['a', 'b']) scheduler.join(0, { name, rttMs: 1 });
  scheduler.begin(0);
  t.ok(scheduler.wantedFrom(0).isEmpty);
  scheduler.release(
    1,
    new RangeSet([{ start: 10, end: 14 }]),
    new RangeSet([{ start: 10, end: 13 }]),
  );
  t.same([...scheduler.wantedFrom(0).ranges()], [{ start: 10, end: 13 }]);
  t.ok(scheduler.wantedFrom(1).isEmpty, 'the last window has not come');
  t.equal(scheduler.report(1).missingBlocks, 99, 'one of them is held');
  for (let block = 10; block < 13; block++) scheduler.handleBlock(2, 0, block);
  t.notOk(scheduler.isComplete);
  const rest = new RangeSet([
    { start: 0, end: 10 },
    { start: 14, end: 100 },
  ]);
  scheduler.release(3, rest, new RangeSet());
  t.ok(scheduler.isComplete);
  const completed = [];
  for (let event = scheduler.pollEvent(); event !== undefined; event = scheduler.pollEvent())
    if (event.type === 'complete') completed.push(event.atMs);
  t.same(completed, [3]);
  t.end();
});
