/** How many receivers may be polled at once, and over time. */
import * as fc from 'fast-check';
import t from 'tap';
import { PollBudget } from '../../src/path/poll-budget.js';

function takeAll(budget: PollBudget, nowMs: number): number {
  let taken = 0;
  while (taken < 10_000 && budget.take(nowMs)) taken++;
  return taken;
}

t.test('after an idle time of any length, 50 ms worth may be polled', (t) => {
  const budget = new PollBudget(300);
  t.equal(takeAll(budget, 0), 15);
  t.equal(takeAll(budget, 0), 0);
  t.equal(takeAll(budget, 50), 15);
  t.equal(takeAll(budget, 1e9), 15);
  t.end();
});

t.test('the budget refills over time', (t) => {
  const budget = new PollBudget(200);
  takeAll(budget, 0);
  t.equal(budget.take(4), false);
  t.equal(budget.take(5), true, 'one each 5 ms');
  t.equal(budget.take(5), false);
  t.equal(takeAll(budget, 30), 5);
  t.end();
});

t.test('at a low rate, one at a time', (t) => {
  const budget = new PollBudget(2);
  t.equal(takeAll(budget, 1000), 1);
  t.equal(budget.take(1499), false);
  t.equal(budget.take(1500), true);
  t.equal(takeAll(budget, 1e6), 1);
  t.end();
});

t.test('no interval exceeds the rate plus one burst', (t) => {
  const rate = fc.constantFrom(1, 15, 300, 1000);
  const waits = fc.array(fc.double({ min: 0, max: 100, noNaN: true }), { maxLength: 100 });
  const property = fc.property(rate, waits, (pollsPerSec, waits) => {
    const budget = new PollBudget(pollsPerSec);
    const burst = Math.max(1, pollsPerSec * 0.05);
    const takes: { atMs: number; before: number; after: number }[] = [];
    let atMs = 0;
    let total = 0;
    for (const waitMs of waits) {
      atMs += waitMs;
      const before = total;
      total += takeAll(budget, atMs);
      takes.push({ atMs, before, after: total });
    }
    return takes.every((from, i) =>
      takes
        .slice(i)
        .every(
          (to) =>
            to.after - from.before <= burst + ((to.atMs - from.atMs) * pollsPerSec) / 1000 + 1e-6,
        ),
    );
  });
  fc.assert(property, { seed: 1, numRuns: 200 });
  t.end();
});

t.test('a caller that always asks gets the rate', (t) => {
  const budget = new PollBudget(300);
  takeAll(budget, 0);
  let taken = 0;
  for (let ms = 1; ms <= 10_000; ms++) taken += takeAll(budget, ms);
  t.ok(taken >= 2999 && taken <= 3000, `${taken} of 3000`);
  t.end();
});
