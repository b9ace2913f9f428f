/** Paths through one queue are recognized by their queueing delays. */
import t from 'tap';
import { createRandom } from '../../src/base/random.js';
import { QueueTrace } from '../../src/path/queue-trace.js';

const minRttMs = 40;

/** A trace with this delay at each time. Each datagram reaches the queue `lateMs` after it was sent. */
function trace(delayAt: (atMs: number) => number, lateMs = 0): QueueTrace {
  const made = new QueueTrace();
  for (let sentAtMs = 0; sentAtMs < 4000; sentAtMs += 5) {
    const arrivedAtMs = sentAtMs + minRttMs + delayAt(sentAtMs + lateMs);
    const sample = { nowMs: arrivedAtMs, arrivedAtMs, sentAtMs, beganAtMs: 0 };
    const counts = { sentUpToLargest: 0, sentUpToCumulative: 0, sent: 0, received: 0 };
    made.add({ ...sample, ...counts }, minRttMs);
  }
  return made;
}

/** A queue that fills and drains at random times. */
function queue(seed: string, heightMs = 20): (atMs: number) => number {
  const random = createRandom(seed, 'queue');
  const heights = Array.from({ length: 60 }, () => (random() < 0.4 ? heightMs * random() : 0));
  return (atMs) => heights[Math.floor(atMs / 100)] ?? 0;
}

t.test('paths through one queue have the same delays', (t) => {
  const [a, b] = [trace(queue('one')), trace(queue('one'), 5)];
  for (const window of [1, 2]) {
    const correlation = QueueTrace.correlation(a, b, window) ?? 0;
    t.ok(correlation > 0.95, `${correlation}`);
  }
  t.end();
});

t.test('paths through different queues have not', (t) => {
  const [a, b] = [trace(queue('one')), trace(queue('two'))];
  for (const window of [1, 2]) {
    const correlation = QueueTrace.correlation(a, b, window) ?? 1;
    t.ok(correlation < 0.7, `${correlation}`);
  }
  t.end();
});

t.test('delays that hardly vary, or are not known, say nothing', (t) => {
  const [a, b] = [trace(queue('one', 1)), trace(queue('one', 1))];
  t.equal(QueueTrace.correlation(a, b, 0), undefined);
  t.equal(QueueTrace.correlation(trace(queue('one')), trace(queue('one')), 9), undefined);
  t.end();
});
