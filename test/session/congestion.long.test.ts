/**
 * Checks what docs/CONGESTION.md promises about sessions that share paths. The bounds leave room:
 * seeds are fixed, but every datagram changes what they draw.
 */
import t from 'tap';
import {
  runAlone,
  runAsymmetric,
  runLocal,
  runReno,
  runSlow,
  runTwo,
} from '../support/congestion-runs.js';

const seed = 'promise';
/** Of a path with several flows: every datagram takes time to simulate. `npm run congestion` runs at 100 Mbit/s. */
const mbits = 30;

t.test('a session alone fills its path, even with random loss', (t) => {
  for (const [queueBdp, loss, least] of [
    [0.25, 0, 0.9],
    [0.25, 0.2, 0.6],
    [1, 0, 0.9],
    [1, 0.02, 0.8],
    [4, 0, 0.9],
    [4, 0.02, 0.8],
  ] as const) {
    const { share, queueFull } = runAlone({ seed, queueBdp, loss, runMs: 8000 });
    const what = `queue ${queueBdp}, loss ${loss}: ${share.toFixed(3)}`;
    t.ok(share > least, what);
    t.ok(queueFull < 0.15, `${what}; queue drops: ${queueFull.toFixed(3)}`);
  }
  const { share } = runAlone({ seed, mbits: 10, rttMs: 600, runMs: 40_000 }, {}, 10_000);
  t.ok(share > 0.9, `a long path: ${share.toFixed(3)}`);
  t.end();
});

t.test('a session fills a local network too', (t) => {
  for (const what of ['one', 'group of 3', 'no limit, group of 3'] as const) {
    for (const loss of [0, 0.2]) {
      const least = (loss === 0 ? 0.9 : 0.65) * (1 - loss);
      const runMs = what === 'no limit, group of 3' && loss === 0 ? 400 : 800;
      const share = Math.min(...runLocal(what, loss, runMs, seed));
      t.ok(share > least, `${what}, loss ${loss}: ${share.toFixed(3)}`);
    }
  }
  t.end();
});

t.test('two sessions share a path fairly', (t) => {
  // Those that start together with shorter queues are in fairness.test.ts.
  for (const [queueBdp, startAtMs] of [
    [0.25, 5000],
    [1, 5000],
    [4, 0],
  ] as const) {
    const { fairness, first, second } = runTwo({ seed, queueBdp, mbits }, startAtMs);
    const what = `queue ${queueBdp}, start ${startAtMs}: ${fairness.toFixed(3)} of`;
    t.ok(Math.abs(fairness - 0.5) < 0.2, `${what} total`);
    t.ok(first + second > 0.6, `${what} ${(first + second).toFixed(3)}`);
  }
  t.end();
});

t.test('a session and NewReno do not starve each other', (t) => {
  for (const queueBdp of [0.5, 2]) {
    const { session, reno } = runReno({ seed, queueBdp, mbits, runMs: 40_000 }, 5000, 25_000);
    const what = `queue ${queueBdp}: ${session.toFixed(3)}, ${reno.toFixed(3)}`;
    t.ok(session > 0.2 && reno > 0.15, what);
  }
  t.end();
});

t.test('a receiver on a slow link gets its own rate group and completes', (t) => {
  for (const hasGroup of [true, false]) {
    const run = (slowMbits: number) => {
      const times = runSlow({ seed, hasGroup, slowMbits, contentSizeBytes: 15e6 });
      return { othersMs: Math.max(...times.slice(0, -1)), lastMs: times.at(-1) as number };
    };
    const [alike, slow] = [run(100), run(10)];
    const what = `group ${hasGroup}: ${alike.othersMs.toFixed(0)} and ${slow.othersMs.toFixed(0)} ms`;
    // Detecting the slow receiver takes a second; until then all wait for it.
    t.ok(slow.othersMs < 2 * alike.othersMs + 1500, what);
    const linkMs = (8 * 15e6) / 10_000;
    t.ok(slow.lastMs < 1.25 * linkMs + 1500, `${slow.lastMs.toFixed(0)} of ${linkMs} ms`);
  }
  t.end();
});

t.test('a slow return path does not leave the forward path idle', (t) => {
  for (const options of [
    { backKbits: 32 },
    { backKbits: 32, loss: 0.02 },
    { backKbits: 32, backQueueMs: 200 },
    { backKbits: 32, rttMs: 300 },
    { backKbits: 32, receiverCount: 3 },
    { backKbits: 32, receiverCount: 3, hasGroup: true },
    { backKbits: 128, mbits: 100 },
  ]) {
    const share = runAsymmetric({ ...options, seed, runMs: 12_000 });
    t.ok(share > 0.8, `${JSON.stringify(options)}: ${share.toFixed(3)}`);
  }
  t.end();
});
