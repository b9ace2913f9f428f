/** What the path model concludes from reports of known paths. */
import * as fc from 'fast-check';
import t from 'tap';
import type { PathSample, SendingState } from '../../src/path/path-model.js';
import { PathModel } from '../../src/path/path-model.js';

interface Course {
  /** Datagrams per millisecond: the sending rate, and the capacity of the path. */
  readonly sendRate: number;
  readonly pathRate?: number;
  readonly loss?: number;
  readonly rttMs?: number;
  readonly forMs?: number;
  readonly isBelowLimit?: boolean;
  readonly isLimited?: boolean;
}

/** A path that reports every two milliseconds, on bursts of the same length. */
class KnownPath {
  readonly model = new PathModel();
  private nowMs = 0;
  private sent = 0;
  private received = 0;

  run(course: Course): PathModel {
    const { sendRate, pathRate = Infinity, loss = 0, rttMs = 40, forMs = 1000 } = course;
    const { isBelowLimit = false, isLimited = false } = course;
    const sinceMs = this.nowMs;
    const stepMs = 2;
    for (; this.nowMs < sinceMs + forMs; this.nowMs += stepMs) {
      this.sent += sendRate * stepMs;
      this.received += Math.min(sendRate * (1 - loss), pathRate) * stepMs;
      const sample: PathSample = {
        nowMs: this.nowMs + rttMs,
        arrivedAtMs: this.nowMs + rttMs,
        sentAtMs: this.nowMs,
        beganAtMs: 0,
        sentUpToLargest: this.sent,
        sentUpToCumulative: this.sent,
        sent: this.sent + sendRate * rttMs,
        received: this.received,
      };
      const sending: SendingState = {
        appLimitedUntilMs: isLimited ? this.nowMs + rttMs : -Infinity,
        pacedSinceMs: 0,
        belowLimitSinceMs: isBelowLimit ? sinceMs : Infinity,
        isGrowing: false,
      };
      this.model.take(sample, sending);
    }
    return this.model;
  }
}

const rates = fc.double({ min: 0.5, max: 300, noNaN: true });
const rtts = fc.double({ min: 0.2, max: 600, noNaN: true });

t.test('the rate is the delivery rate, the round trip the shortest one', (t) => {
  fc.assert(
    fc.property(rates, rtts, (sendRate, rttMs) => {
      const path = new KnownPath();
      path.run({ sendRate, rttMs: rttMs + 30 });
      const model = path.run({ sendRate, rttMs });
      const isRight = Math.abs(model.deliveryRate / sendRate - 1) < 0.2;
      return isRight && Math.abs(model.minRttMs - rttMs) < 1e-6;
    }),
    { numRuns: 50 },
  );
  t.end();
});

t.test('loss at a low sending rate is baseline loss', (t) => {
  for (const loss of [0.02, 0.1, 0.3]) {
    const path = new KnownPath();
    path.run({ sendRate: 10, loss, isBelowLimit: true });
    const model = path.run({ sendRate: 20, loss });
    t.ok(Math.abs(model.baselineLoss - loss) < 0.04, `${model.baselineLoss} for ${loss}`);
    t.equal(model.congestedAtMs, -Infinity, 'the same loss later is no congestion');
    t.ok(Math.abs(model.capacity - 20) < 2, `${model.capacity} is the capacity`);
  }
  t.end();
});

t.test('more loss than that is congestion', (t) => {
  const path = new KnownPath();
  path.run({ sendRate: 10, loss: 0.02, isBelowLimit: true });
  const model = path.run({ sendRate: 20, loss: 0.02, pathRate: 15 });
  t.ok(model.congestedAtMs > 1000, 'seen');
  t.ok(model.congestedFromMs >= 900 && model.congestedFromMs < model.congestedAtMs, 'since then');
  t.end();
});

t.test('transient loss is not baseline loss', (t) => {
  const path = new KnownPath();
  path.run({ sendRate: 10, loss: 0.3, forMs: 300, isBelowLimit: true });
  t.ok(path.model.baselineLoss > 0.2, 'it may be');
  path.run({ sendRate: 10, forMs: 300, isBelowLimit: true });
  t.equal(path.model.baselineLoss, 0, 'it was not');
  path.run({ sendRate: 10, loss: 0.3, forMs: 1000, isBelowLimit: true });
  t.equal(path.model.baselineLoss, 0, 'other traffic may share the path');
  path.run({ sendRate: 10, loss: 0.3, forMs: 5000, isBelowLimit: true });
  t.ok(path.model.baselineLoss > 0.2, 'but it does not stay for that long');
  t.end();
});

t.test('a cycle lowers the estimate when the path delivers less, not when less is sent', (t) => {
  const path = new KnownPath();
  path.run({ sendRate: 20 });
  for (let i = 0; i < 3; i++) {
    path.run({ sendRate: 5, isLimited: true });
    path.model.endCycle();
  }
  t.ok(path.model.deliveryRate > 18, 'less was sent');
  for (let i = 0; i < 3; i++) {
    path.run({ sendRate: 20, pathRate: 5 });
    path.model.endCycle();
  }
  path.run({ sendRate: 20, pathRate: 5 });
  t.ok(path.model.deliveryRate < 6, 'less was delivered');
  t.end();
});

t.test("the handshake gives an upper bound of the path's length", (t) => {
  const model = new PathModel();
  t.equal(model.minRttMs, Infinity, 'unknown');
  model.takeHandshakeRtt(0, 3);
  model.takeHandshakeRtt(5, 1);
  t.equal(model.minRttMs, 1);
  t.equal(model.deliveryRate, 0, 'but says nothing about its rate');
  t.end();
});
