/** The interval between reports, derived from how long they queue on the return path. */
import t from 'tap';
import { createRandom } from '../../src/base/random.js';
import { ReturnPath } from '../../src/path/return-path.js';

/**
 * A return path that takes `serviceMs` for each report; the receiver's clock is ahead of the
 * sender's.
 */
class Way {
  readonly path = new ReturnPath();
  changes = 0;
  private nowMs = 0;
  private freeAtMs = 0;
  private sentAtMs = 0;
  private readonly random = createRandom('return path', 'jitter');

  constructor(
    private readonly serviceMs: number,
    private readonly jitterMs = 0,
    private readonly drift = 0,
    /** How long the queue of other traffic is at a time. */
    private readonly otherQueueMs: (atMs: number) => number = () => 0,
    private readonly mostServiceMs?: number,
  ) {}

  /** A report is due every `everyMs`. */
  run(everyMs: number, untilMs: number): this {
    while (this.sentAtMs < untilMs) {
      this.sentAtMs += Math.max(everyMs, this.path.gapMs);
      this.freeAtMs = Math.max(this.freeAtMs, this.sentAtMs) + this.serviceMs;
      const delayMs = this.random() * this.jitterMs + this.otherQueueMs(this.sentAtMs);
      this.nowMs = Math.max(this.nowMs, this.freeAtMs + delayMs);
      const stampMs = 1e6 + this.sentAtMs * (1 + this.drift);
      if (this.path.take(this.nowMs, stampMs, this.mostServiceMs)) this.changes++;
    }
    return this;
  }
}

t.test('a fast return path has no limit, even with jitter and clock drift', async (t) => {
  const ways = [new Way(0.1), new Way(0.1, 15), new Way(0.1, 5, 1e-4), new Way(0.1, 5, -1e-4)];
  for (const way of ways) {
    t.equal(way.run(1, 60_000).path.gapMs, 0);
    t.equal(way.changes, 0);
  }
});

t.test('reports that would fill a slow return path use half its capacity', async (t) => {
  for (const serviceMs of [5, 25, 100]) {
    const way = new Way(serviceMs).run(2, 30_000);
    t.ok(way.path.gapMs > 0.9 * serviceMs, `${way.path.gapMs} ms`);
    t.ok(way.path.gapMs < 2.5 * serviceMs, `${way.path.gapMs} ms`);
    t.ok(way.path.queueMs < 100, `${way.path.queueMs} ms of queue remain`);
    t.ok(way.changes < 30, `${way.changes} changes`);
  }
});

t.test('reports do not become rare because of a queue that other traffic keeps', async (t) => {
  for (const queueMs of [30, 60, 200]) {
    const begins = (atMs: number) => (atMs < 100 ? 0 : queueMs);
    const way = new Way(0.1, 0, 0, (atMs) => begins(atMs) * (1 - 0.3 * Math.sin(atMs / 150) ** 2));
    const { path } = way.run(5, 15_000);
    t.ok(path.gapMs <= 25, `${path.gapMs} ms with a queue of ${queueMs} ms`);
  }
});

t.test('a queue of other traffic that comes and goes does not add up', async (t) => {
  const queueMs = (atMs: number) => 25 + 25 * Math.sin(atMs / 400);
  const { gapMs } = new Way(0.1, 0, 0, queueMs, 10).run(5, 60_000).path;
  t.ok(gapMs <= 20, `${gapMs} ms for reports that take at most 10 ms`);
});

t.test('the limit is removed once fewer reports are due', async (t) => {
  const way = new Way(25).run(2, 5000);
  t.ok(way.path.gapMs > 25);
  t.equal(way.run(300, 300_000).path.gapMs, 0);
});

t.test('a return path that other traffic fills still carries reports', async (t) => {
  t.equal(new Way(2000).run(2, 60_000).path.gapMs, 250);
});
