/** The number of blocks in flight follows queues, not distance and not loss. */
import * as fc from 'fast-check';
import t from 'tap';
import { FlightWindow } from '../src/session/congestion.js';

/** A report each millisecond, with a round trip that follows from what is in flight. */
function run(
  window: FlightWindow,
  fromMs: number,
  toMs: number,
  rttOf: (blocks: number) => number,
  minRttMs: number,
) {
  for (let ms = fromMs; ms < toMs; ms++) window.handleSample(ms, rttOf(window.limit), minRttMs);
}

t.test('it begins small, and grows by a block with each report while there is no queue', (t) => {
  const window = new FlightWindow(100);
  const limits = [window.limit];
  for (let i = 0; i < 5; i++) {
    window.handleSample(i, 10, 10);
    limits.push(window.limit);
  }
  t.same(limits, [4, 5, 6, 7, 8, 9]);
  run(window, 5, 1000, () => 10, 10);
  t.equal(window.limit, 100, 'up to the most that there may be');
  t.end();
});

t.test('it shrinks with a queue, once in a round trip', (t) => {
  const window = new FlightWindow(100);
  run(window, 0, 96, () => 10, 10);
  t.equal(window.limit, 100);
  window.handleSample(1000, 200, 10);
  t.equal(window.limit, 75);
  for (const ms of [1001, 1050, 1200]) window.handleSample(ms, 200, 10);
  t.equal(window.limit, 75, 'what was sent before still tells of the same queue');
  window.handleSample(1201, 200, 10);
  t.equal(window.limit, 56);
  t.end();
});

t.test(
  'after a queue it grows slowly: by a block in as many reports as blocks are in flight',
  (t) => {
    const window = new FlightWindow(100, 20);
    window.handleSample(0, 500, 1);
    t.equal(window.limit, 15);
    run(window, 1, 15, () => 1, 1);
    t.equal(window.limit, 15);
    run(window, 15, 18, () => 1, 1);
    t.equal(window.limit, 16);
    t.end();
  },
);

t.test('a far receiver is no queue, nor is a host that reads late', (t) => {
  for (const [rttMs, minRttMs] of [
    [600, 600],
    [1100, 600],
    [20, 0.1],
    [0.1, 0.1],
  ] as const) {
    const window = new FlightWindow(100);
    run(window, 0, 200, () => rttMs, minRttMs);
    t.equal(window.limit, 100, `${rttMs} ms, where ${minRttMs} ms is the shortest`);
  }
  for (const [rttMs, minRttMs] of [
    [1300, 600],
    [41, 10],
    [21, 0.1],
  ] as const) {
    const window = new FlightWindow(100);
    run(window, 0, 200, () => rttMs, minRttMs);
    t.ok(window.limit <= 4, `${rttMs} ms, where ${minRttMs} ms is the shortest, is one`);
  }
  t.end();
});

t.test('where the path carries a number of blocks, it stays near that', (t) => {
  // Each block above 30 adds 5 ms of queue.
  const rttOf = (blocks: number) => 10 + 5 * Math.max(0, blocks - 30);
  const window = new FlightWindow(1000);
  run(window, 0, 5000, rttOf, 10);
  const limits: number[] = [];
  for (let ms = 5000; ms < 10_000; ms++) {
    window.handleSample(ms, rttOf(window.limit), 10);
    limits.push(window.limit);
  }
  t.ok(Math.min(...limits) >= 20, `least ${Math.min(...limits)}`);
  t.ok(Math.max(...limits) <= 40, `most ${Math.max(...limits)}`);
  t.end();
});

t.test('after any history there is at least one block, and never more than there may be', (t) => {
  const step = fc.record({
    waitMs: fc.double({ min: 0, max: 1000, noNaN: true }),
    minRttMs: fc.double({ min: 0, max: 1000, noNaN: true }),
    queueMs: fc.double({ min: 0, max: 5000, noNaN: true }),
  });
  const property = fc.property(
    fc.integer({ min: 2, max: 20 }),
    fc.array(step, { maxLength: 200 }),
    (maxBlocks, steps) => {
      const window = new FlightWindow(maxBlocks);
      let nowMs = 0;
      return steps.every(({ waitMs, minRttMs, queueMs }) => {
        nowMs += waitMs;
        window.handleSample(nowMs, minRttMs + queueMs, minRttMs);
        const { limit } = window;
        return Number.isInteger(limit) && limit >= 1 && limit <= maxBlocks;
      });
    },
  );
  fc.assert(property, { seed: 1, numRuns: 300 });
  t.end();
});
