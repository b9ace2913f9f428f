import t from 'tap';
import { SourceRate } from '../../../src/roles/fetch/source-rate.js';

const rate = 1_000_000;

/** Delivers at `rate` from one time to another, in datagrams of a millisecond. */
function deliver(estimate: SourceRate, fromMs: number, toMs: number, start = 0): number {
  let bytes = start;
  for (let nowMs = fromMs + 1; nowMs <= toMs; nowMs++) {
    bytes += rate / 1000;
    estimate.update(nowMs, bytes, 0);
  }
  return bytes;
}

t.test('it finds the rate soon, from a guess that is far too high or too low', (t) => {
  for (const guess of [rate / 100, rate * 100]) {
    const estimate = new SourceRate(guess);
    t.notOk(estimate.isMeasured);
    estimate.update(0, 0, 0);
    const bytes = deliver(estimate, 0, 500);
    t.ok(Math.abs(estimate.bytesPerSec / rate - 1) < 0.6, `${estimate.bytesPerSec}`);
    deliver(estimate, 500, 1000, bytes);
    t.ok(Math.abs(estimate.bytesPerSec / rate - 1) < 0.02, `${estimate.bytesPerSec}`);
    t.ok(estimate.isMeasured);
    t.notOk(estimate.isGrowing, 'it does not grow any more');
    t.notOk(estimate.hasSlowedDown, 'not even after a guess that was too high');
  }
  t.end();
});

t.test('silence counts if something is due', (t) => {
  const estimate = new SourceRate(rate);
  estimate.update(0, 0, 0);
  const bytes = deliver(estimate, 0, 1000);
  estimate.update(1500, bytes, Infinity);
  t.ok(estimate.bytesPerSec > 0.98 * rate, 'nothing is asked for');
  estimate.update(2000, bytes, 2000);
  t.ok(estimate.bytesPerSec > 0.98 * rate, 'nothing is due yet');
  for (let nowMs = 2020; nowMs <= 2400; nowMs += 20) estimate.update(nowMs, bytes, 2000);
  t.ok(estimate.bytesPerSec < 0.05 * rate, `${estimate.bytesPerSec} after 400 ms of silence`);
  t.equal(estimate.lastArrivalMs, 1000);
  t.ok(estimate.hasSlowedDown);
  t.end();
});

t.test('bytes that come before they are due count', (t) => {
  const estimate = new SourceRate(1);
  let bytes = 0;
  for (let nowMs = 0; nowMs <= 1000; nowMs += 10) {
    estimate.update(nowMs, bytes, nowMs + 50);
    bytes += rate / 100;
  }
  t.ok(Math.abs(estimate.bytesPerSec / rate - 1) < 0.02, `${estimate.bytesPerSec}`);
  t.end();
});

t.test('bytes that come early after a long pause do not make the source slow', (t) => {
  const estimate = new SourceRate(rate);
  estimate.update(1_000, 0, Infinity);
  estimate.update(1_000_000, 40_000, 1_000_100);
  t.ok(estimate.bytesPerSec > 0.9 * rate, `${estimate.bytesPerSec}`);
  estimate.update(2_000_000, 80_000, 2_000_100);
  t.ok(estimate.bytesPerSec > 0.9 * rate, `${estimate.bytesPerSec}`);
  t.end();
});
