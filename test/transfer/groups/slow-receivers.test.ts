/** Which receivers count as slow, and which do not. */
import * as fc from 'fast-check';
import t from 'tap';
import type { Demand } from '../../../src/transfer/demand.js';
import { SlowReceivers } from '../../../src/transfer/groups/slow-receivers.js';

function demandsWith(rates: readonly number[], rounds = 10, rttMs = 40): Demand[] {
  return rates.map(
    (deliveryRate, index) =>
      ({
        index,
        path: { model: { deliveryRate, rounds, rttMs }, rtt: { timeoutMs: rttMs } },
        isProbed: false,
        missingBytes: 1,
      }) as unknown as Demand,
  );
}

function slowReceiversOf(demands: readonly Demand[], forMs = 1000): number[] {
  const slowReceivers = new SlowReceivers();
  slowReceivers.find(0, demands);
  return slowReceivers.find(forMs, demands).map(({ index }) => index);
}

t.test('receivers below a gap of more than half are slow', (t) => {
  t.same(slowReceiversOf(demandsWith([100, 90, 10, 80])), [2], 'one of four');
  t.same(slowReceiversOf(demandsWith([100, 60, 40, 80])), [], 'no gap');
  t.same(slowReceiversOf(demandsWith([100, 10])), [1], 'one of two');
  t.same(slowReceiversOf(demandsWith([10, 11, 100])), [], 'more below than above');
  t.same(
    slowReceiversOf(demandsWith([100, 100, 100, 20, 5])),
    [4, 3],
    'with two gaps, those below the upper one are slow',
  );
  t.same(slowReceiversOf(demandsWith([7])), [], 'a single receiver is never slow');
  t.end();
});

t.test('only after a second and four round trips, and on known paths', (t) => {
  t.same(slowReceiversOf(demandsWith([100, 10]), 999), [], 'too early');
  t.same(slowReceiversOf(demandsWith([100, 10], 10, 600), 2000), [], 'a long path takes longer');
  t.same(slowReceiversOf(demandsWith([100, 10], 10, 600), 2400), [1]);
  t.same(slowReceiversOf(demandsWith([100, 10], 3)), [], 'too few rounds');
  const slowReceivers = new SlowReceivers();
  const demands = demandsWith([100, 10]);
  slowReceivers.find(0, demands);
  slowReceivers.find(500, demandsWith([100, 90]));
  t.same(slowReceivers.find(1000, demands), [], 'it was not slow once in between');
  t.end();
});

t.test(
  'never more than half of the receivers, and none that is faster than one that stays',
  (t) => {
    const rates = fc.array(fc.double({ min: 0.1, max: 1000, noNaN: true }), { minLength: 1 });
    fc.assert(
      fc.property(rates, (list) => {
        const left = slowReceiversOf(demandsWith(list));
        const stay = list.filter((_, i) => !left.includes(i));
        const fastestLeft = Math.max(0, ...left.map((i) => list[i] as number));
        return 2 * left.length <= list.length && fastestLeft < Math.min(...stay) / 2 + 1e-9;
      }),
    );
    t.end();
  },
);
