/** Totals of sent bursts, including when their numbers wrap around and old ones are dropped. */
import * as fc from 'fast-check';
import t from 'tap';
import { SentBursts } from '../../src/path/sent-bursts.js';

const first = fc.integer({ min: 0, max: 0xffff });
const counts = fc.array(fc.integer({ min: 1, max: 64 }), { minLength: 1, maxLength: 300 });

t.test('totals and times match the bursts', (t) => {
  fc.assert(
    fc.property(first, counts, fc.nat({ max: 299 }), (firstBurst, sizes, forgotten) => {
      const log = new SentBursts();
      const burstOf = (i: number) => (firstBurst + i) & 0xffff;
      for (const [i, size] of sizes.entries()) log.add(10 * i, burstOf(i), size);
      const from = Math.min(forgotten, sizes.length - 1);
      log.forgetBefore(burstOf(from));
      let total = 0;
      for (const [i, size] of sizes.entries()) {
        total += size;
        if (i < from) continue;
        if (log.totalUpTo(burstOf(i)) !== total || log.sentAtMs(burstOf(i)) !== 10 * i) {
          return false;
        }
      }
      return log.total === total && log.beganAtMs === 0;
    }),
  );
  t.end();
});

t.test('a burst in several parts, and one that sent nothing here', (t) => {
  const log = new SentBursts();
  log.add(1, 7, 10);
  log.add(2, 7, 5);
  log.add(3, 9, 1);
  t.equal(log.totalUpTo(7), 15, 'all of it');
  t.equal(log.sentAtMs(7), 2, 'the last one here');
  t.equal(log.totalUpTo(8), 15, 'what had been sent by then');
  t.equal(log.sentAtMs(8), undefined, 'nothing was sent here');
  t.equal(log.totalUpTo(6), 0, 'before the first');
  t.end();
});

t.test('the memory is bounded', (t) => {
  const log = new SentBursts();
  for (let i = 0; i < 20_000; i++) log.add(i, i & 0xffff, 2);
  t.equal(log.totalUpTo(19_999), 40_000);
  t.equal(log.totalUpTo(19_000), 38_002, 'recent bursts are known one by one');
  t.equal(log.sentAtMs(100), undefined, 'old ones are not');
  t.ok(log.totalUpTo(100) <= 2 * (20_000 - 2048), 'only as a sum');
  t.end();
});
