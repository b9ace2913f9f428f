/** Sessions of many senders that arrive at one receiver at once: it tells each of them what it may send. */
import t from 'tap';
import { IncastRun } from '../support/congestion-runs.js';

const pathsOf = (count: number, paths: 1 | 2) => Array.from({ length: count }, () => paths);

for (const paths of [1, 2] as const) {
  t.test(`16 senders with ${paths === 1 ? 'one path' : 'two paths'} each`, (t) => {
    const { share, queueFull, jain } = new IncastRun(pathsOf(16, paths)).measure(500, 1500);
    t.ok(share >= 0.9, `goodput ${share.toFixed(3)} of the port`);
    t.ok(queueFull <= 0.02, `${queueFull.toFixed(4)} is lost`);
    t.ok(jain >= 0.95, `Jain's index ${jain.toFixed(3)}`);
    t.end();
  });
}

t.test('sessions with two paths beside sessions with one', (t) => {
  const run = new IncastRun([...pathsOf(4, 2), ...pathsOf(4, 1)]);
  const { share, queueFull, jain } = run.measure(500, 1500);
  t.ok(share >= 0.9, `goodput ${share.toFixed(3)} of the port`);
  t.ok(queueFull <= 0.02, `${queueFull.toFixed(4)} is lost`);
  t.ok(jain >= 0.9, `Jain's index ${jain.toFixed(3)}`);
  t.end();
});

t.test('a sender that sends little leaves the rest to the others', (t) => {
  const run = new IncastRun(pathsOf(4, 1), (i) => (i === 0 ? { rateBytesPerSec: 500_000 } : {}));
  const { rates, share, queueFull } = run.measure(500, 1500);
  t.ok(share >= 0.9, `goodput ${share.toFixed(3)} of the port`);
  t.ok(queueFull <= 0.02, `${queueFull.toFixed(4)} is lost`);
  const [slow = 0, ...others] = rates;
  t.ok(slow >= 0.035, `the slow one has its 4 %: ${slow.toFixed(3)}`);
  t.ok(Math.min(...others) >= 0.27, `the others ${others.map((rate) => rate.toFixed(3))}`);
  t.end();
});

t.test('one or two sessions with one path are not limited', (t) => {
  for (const count of [1, 2]) {
    const [withShares, without] = [true, false].map((setsShares) =>
      new IncastRun(pathsOf(count, 1), undefined, { setsShares }).measure(500, 1500),
    );
    t.strictSame(withShares, without, `${count}`);
  }
  t.end();
});

t.test('random loss does not limit three sessions for long', (t) => {
  const [withShares = 0, without = 0] = [true, false].map((setsShares) => {
    const run = new IncastRun(pathsOf(3, 1), undefined, { setsShares, loss: 0.05, mbits: 50 });
    return run.measure(500, 4500).share;
  });
  t.ok(
    withShares >= 0.9 * without,
    `${withShares.toFixed(3)} of the port; without shares, ${without.toFixed(3)}`,
  );
  t.end();
});

t.test(
  'sessions use one path within 10 round trips of the onset, and two within 20 of the end',
  (t) => {
    const rttMs = 10;
    const [joinMs, leaveMs, runMs] = [500, 1100, 1400];
    const longCount = 2;
    const run = new IncastRun(pathsOf(16, 2), (i) => (i < longCount ? {} : { startAtMs: joinMs }));
    const { simulation, flows } = run;
    let onsetMs = Infinity;
    const twoSinceMs = flows.map(() => Infinity);
    let longestMs = 0;
    let backMs: number | undefined;
    const look = () => {
      const { nowMs } = simulation;
      if (onsetMs === Infinity && run.queueFullCount > before) onsetMs = nowMs;
      for (const [i, count] of run.pathsInUse().entries()) {
        if (count === 1) twoSinceMs[i] = Infinity;
        else twoSinceMs[i] = Math.min(twoSinceMs[i] ?? Infinity, nowMs);
        const sinceMs = Math.max(onsetMs, twoSinceMs[i] ?? Infinity);
        if (nowMs < leaveMs) longestMs = Math.max(longestMs, nowMs - sinceMs);
      }
      const areBack = run.pathsInUse().every((count, i) => i >= longCount || count === 2);
      if (nowMs > leaveMs && areBack) backMs ??= nowMs - leaveMs;
    };
    let before = 0;
    simulation.at(joinMs + 3 * rttMs, () => {
      before = run.queueFullCount;
      t.strictSame(run.pathsInUse().slice(0, longCount), [2, 2], 'two paths before');
    });
    for (let ms = joinMs + 3 * rttMs; ms < runMs; ms += 5) simulation.at(ms, look);
    simulation.at(leaveMs, () => {
      t.strictSame(run.pathsInUse(), pathsOf(16, 1), 'one path each');
      for (const { sender } of flows.slice(longCount)) sender.abort(leaveMs, 'stop');
    });
    simulation.run({ untilMs: runMs });
    t.ok(longestMs > 0 && longestMs <= 10 * rttMs, `two paths for ${longestMs} ms of incast`);
    t.ok((backMs ?? Infinity) <= 20 * rttMs, `back after ${backMs} ms`);
    t.end();
  },
);
