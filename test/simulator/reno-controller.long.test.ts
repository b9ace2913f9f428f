/** Sessions run with a congestion controller of another kind: the interface of controllers holds. */
import t from 'tap';
import { simulateSession } from '../../src/core.js';
import type { ControlledPath } from '../../src/path/congestion/congestion-control.js';
import type { PathSample } from '../../src/path/path-model.js';
import { PathModel } from '../../src/path/path-model.js';
import { RenoController } from '../../src/simulator/reno-controller.js';
import { runAlone, runTwo } from '../support/congestion-runs.js';

const reno = { createController: () => new RenoController() };

/** A path whose reports the test makes up. */
class ReportedPath {
  readonly controller = new RenoController();
  readonly path: ControlledPath = {
    model: new PathModel(),
    returnPath: { gapMs: 0 },
    inFlight: 0,
  };
  private nowMs = 0;
  private sent = 0;
  private received = 0;

  /** Sends a window, of which some datagrams are lost, and reports it. @returns the next window */
  round(lost = 0): number {
    const count = this.window;
    this.nowMs += 40;
    this.sent += count;
    this.received += count - lost;
    const sample: PathSample = {
      nowMs: this.nowMs,
      arrivedAtMs: this.nowMs,
      sentAtMs: this.nowMs - 40,
      beganAtMs: 0,
      sentUpToLargest: this.sent,
      sentUpToCumulative: this.sent,
      sent: this.sent,
      received: this.received,
    };
    this.controller.handleFeedback(this.path, sample);
    return this.window;
  }

  get window(): number {
    return this.controller.findRoom(this.nowMs, this.path);
  }
}

t.test('the window doubles at first, halves on loss, and then grows by one', (t) => {
  const path = new ReportedPath();
  path.round();
  t.equal(path.window, 10, 'the first report is where the counting starts');
  t.same([path.round(), path.round(), path.round()], [20, 40, 80]);
  t.equal(path.round(5), 77, 'the datagrams that arrived count, then comes the reduction');
  t.same([path.round(), path.round()], [78, 79]);
  const halved = path.round(1);
  t.ok(halved === 39 || halved === 40, `${halved} of 79`);
  t.end();
});

t.test('an idle sender does not open its window', (t) => {
  const path = new ReportedPath();
  path.round();
  path.controller.handleIdle(1000);
  t.equal(path.round(), 10);
  t.end();
});

t.test('a session fills a link', (t) => {
  for (const queueBdp of [0.5, 1]) {
    const { share, queueFull } = runAlone({ seed: 'reno', queueBdp, runMs: 12_000 }, reno, 5000);
    const what = `queue ${queueBdp}: ${share.toFixed(3)}`;
    // After a reduction, half a product is left in flight, plus what waits in the queue.
    t.ok(share > 0.75, what);
    t.ok(queueFull < 0.05, `${what}; queue drops: ${queueFull.toFixed(3)}`);
  }
  t.end();
});

t.test('two sessions share a link', (t) => {
  for (const startAtMs of [0, 5000]) {
    const path = { seed: 'reno', mbits: 20, runMs: 60_000 };
    const { first, second, fairness } = runTwo(path, startAtMs, 40_000, reno);
    t.ok(Math.abs(fairness - 0.5) < 0.1, `start ${startAtMs}: ${fairness.toFixed(3)}`);
    t.ok(first + second > 0.85, `start ${startAtMs}: ${(first + second).toFixed(3)} in total`);
  }
  t.end();
});

t.test('all content arrives at all members, despite loss', (t) => {
  for (const hasGroup of [true, false]) {
    const { receivers } = simulateSession({
      ...reno,
      seed: 'reno',
      hasGroup,
      receiverCount: 3,
      contentSizeBytes: 3e6,
      mssBytes: 1400,
      forwardLink: { delayMs: 10, loss: { model: 'bernoulli', probability: 0.02 } },
      backwardLink: { delayMs: 10 },
    });
    t.ok(
      receivers.every(({ isIdentical }) => isIdentical),
      `group: ${hasGroup}`,
    );
  }
  t.end();
});
