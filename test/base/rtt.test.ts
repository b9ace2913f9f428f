import fc from 'fast-check';
import t from 'tap';
import { RttEstimator, type RttLimits } from '../../src/base/rtt.js';

const limits: RttLimits = {
  initialMs: 100,
  granularityMs: 1,
  minMs: 1,
  maxMs: 60_000,
  maxBackoffMs: 1_000,
};

t.test('before the first answer the timeout is the initial one', (t) => {
  const rtt = new RttEstimator(limits);
  t.equal(rtt.rttMs, undefined);
  t.equal(rtt.timeoutMs, 100);
  t.end();
});

t.test('samples are smoothed as in RFC 6298', (t) => {
  const rtt = new RttEstimator(limits);
  rtt.sample(100);
  t.equal(rtt.rttMs, 100);
  t.equal(rtt.timeoutMs, 300, '100 + 4 * 50');
  rtt.sample(60);
  t.equal(rtt.rttMs, 95, '7/8 * 100 + 1/8 * 60');
  t.equal(rtt.timeoutMs, 285, '95 + 4 * (3/4 * 50 + 1/4 * 40)');
  t.end();
});

t.test('on a steady path the timeout falls to the round trip plus the margin', (t) => {
  const rtt = new RttEstimator({ ...limits, granularityMs: 5 });
  for (let i = 0; i < 100; i++) rtt.sample(20);
  t.equal(rtt.rttMs, 20);
  t.equal(rtt.timeoutMs, 25);
  t.end();
});

t.test('the timeout is never below its floor or above its ceiling', (t) => {
  const fast = new RttEstimator({ ...limits, minMs: 10 });
  for (let i = 0; i < 100; i++) fast.sample(0.05);
  t.equal(fast.timeoutMs, 10);
  const slow = new RttEstimator({ ...limits, maxMs: 2_000 });
  slow.sample(5_000);
  t.equal(slow.timeoutMs, 2_000);
  t.end();
});

t.test('each unanswered round doubles the timeout, up to the backoff limit', (t) => {
  const rtt = new RttEstimator(limits);
  const timeoutsMs = Array.from({ length: 6 }, () => {
    rtt.backOff();
    return rtt.timeoutMs;
  });
  t.strictSame(timeoutsMs, [200, 400, 800, 1_000, 1_000, 1_000]);
  t.end();
});

t.test('an answer ends the backoff, with a sample or without', (t) => {
  const rtt = new RttEstimator(limits);
  rtt.sample(100);
  rtt.backOff();
  t.equal(rtt.timeoutMs, 600);
  rtt.endBackoff();
  t.equal(rtt.timeoutMs, 300);
  t.equal(rtt.rttMs, 100, 'the estimate is unchanged');
  rtt.backOff();
  rtt.sample(100);
  t.ok(rtt.timeoutMs <= 300);
  t.end();
});

t.test('a path slower than the backoff limit is still waited for', (t) => {
  const rtt = new RttEstimator({ ...limits, maxBackoffMs: 200 });
  rtt.sample(500);
  rtt.backOff();
  t.equal(rtt.timeoutMs, 1_500);
  t.end();
});

t.test(
  'after any history the timeout stays within its bounds and leaves time for the answer',
  (t) => {
    const step = fc.oneof(
      fc.double({ min: 0, max: 5_000, noNaN: true }),
      fc.constant('backOff' as const),
      fc.constant('endBackoff' as const),
    );
    const property = fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const rtt = new RttEstimator({ ...limits, minMs: 2, maxMs: 3_000 });
      for (const item of steps) {
        const beforeMs = rtt.timeoutMs;
        if (typeof item === 'number') rtt.sample(item);
        else rtt[item]();
        if (item === 'backOff' && rtt.timeoutMs < beforeMs) return false;
        if (item === 'endBackoff' && rtt.timeoutMs > beforeMs) return false;
        if (rtt.timeoutMs < 2 || rtt.timeoutMs > 3_000) return false;
        if (rtt.timeoutMs < Math.min((rtt.rttMs ?? 0) + limits.granularityMs, 3_000)) return false;
      }
      return true;
    });
    fc.assert(property, { seed: 1, numRuns: 500 });
    t.end();
  },
);
