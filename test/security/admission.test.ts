/** Who is served when there are more requests than time. */
import t from 'tap';
import { networkOf } from '../../src/base/address.js';
import { createRandom } from '../../src/base/random.js';
import { Admission } from '../../src/security/admission.js';

const limits = { perSec: 100, burst: 4, waiting: 16, waitMs: 1000 };
const create = (seed: string) => new Admission<string>(limits, createRandom(seed));

/** @returns the request that found no room */
function ask(
  admission: Admission<string>,
  nowMs: number,
  key: string,
  request: string,
  sizeBytes: number,
  held = 0,
): string | undefined {
  const rank = admission.draw(sizeBytes, held);
  return rank === undefined ? request : admission.add(nowMs, key, request, rank);
}

function serveAll(admission: Admission<string>, nowMs: number): string[] {
  const served: string[] = [];
  for (let next = admission.next(nowMs); next !== undefined; next = admission.next(nowMs)) {
    served.push(next);
    admission.spend(1);
  }
  return served;
}

t.test('a few are served at once, the others over time, and none beyond the rate', (t) => {
  const admission = create('rate');
  let served = 0;
  for (let i = 0; i < 10; i++) {
    ask(admission, 0, `${i}`, `${i}`, 100);
    served += serveAll(admission, 0).length;
  }
  t.equal(served, limits.burst);
  t.equal(admission.waitingCount, 6);
  t.ok(admission.pollTimeout() > 9.9 && admission.pollTimeout() <= 10);
  t.equal(serveAll(admission, admission.pollTimeout()).length, 1, 'at the announced time');
  t.equal(serveAll(admission, 60).length, 4, 'no more than a burst after an idle time');
  t.equal(serveAll(admission, 70).length, 1);
  t.equal(admission.pollTimeout(), Infinity);
  t.end();
});

t.test('the queue is bounded, and no request waits forever', (t) => {
  const admission = create('queue');
  admission.spend(limits.burst);
  let dropped = 0;
  for (let i = 0; i < 100; i++) if (ask(admission, 0, `${i}`, `${i}`, 100)) dropped++;
  t.equal(admission.waitingCount, limits.waiting);
  t.equal(dropped, 100 - limits.waiting, 'each rejected request is named');
  t.same(serveAll(admission, limits.waitMs), []);
  t.equal(admission.waitingCount, 0);
  t.end();
});

t.test('a timer serves several requests at one wake-up', (t) => {
  const fast = { perSec: 10_000, burst: 100, waiting: 200, waitMs: 1000 };
  const admission = new Admission<string>(fast, createRandom('together'));
  admission.spend(fast.burst);
  for (let i = 0; i < 200; i++) ask(admission, 0, `${i}`, `${i}`, 100);
  const wakeUps: number[] = [];
  while (admission.pollTimeout() < Infinity) {
    const nowMs = admission.pollTimeout();
    wakeUps.push(nowMs);
    serveAll(admission, nowMs);
  }
  t.same(wakeUps, [10, 20]);
  t.end();
});

t.test('a repeated request waits only once', (t) => {
  const admission = create('again');
  admission.spend(limits.burst);
  for (let i = 0; i < 50; i++) t.equal(ask(admission, 0, 'one', 'one', 100), undefined);
  t.equal(admission.waitingCount, 1);
  t.same(serveAll(admission, 100), ['one']);
  t.end();
});

/** Sends requests during a flood. @returns how many were served, and how many were sent */
function askAmid(
  seed: string,
  floodPerMs: (ms: number) => number,
  sizes: [number, number],
  held = 0,
) {
  const admission = create(seed);
  const random = createRandom(seed, 'honest');
  let served = 0;
  let nextMs = 0;
  for (let ms = 0; ms < 100_000; ms++) {
    for (let i = 0; i < floodPerMs(ms); i++)
      ask(admission, ms, `flood ${ms} ${i}`, 'flood', sizes[0], held);
    served += serveAll(admission, ms).filter((who) => who === 'honest').length;
    if (ms < nextMs) continue;
    ask(admission, ms, `honest ${ms}`, 'honest', sizes[1]);
    nextMs = ms + 100 * (0.5 + random());
  }
  return served / 1000;
}

t.test('a flood gets a share by its bandwidth, however it is timed and split', (t) => {
  // Ten times as many bytes each second as can be served, and as a single requester would send.
  const steady = askAmid('steady', () => 1, [1000, 1000]);
  t.ok(steady > 0.07 && steady < 0.2, `steady: ${steady}`);
  const small = askAmid('small', () => 10, [100, 1000]);
  t.ok(small > 0.07 && small < 0.2, `in small pieces: ${small}`);
  const bursts = askAmid('bursts', (ms) => (ms % 100 === 0 ? 100 : 0), [1000, 1000]);
  t.ok(bursts > 0.07, `in bursts: ${bursts}`);
  const tuned = askAmid('tuned', (ms) => (ms % 10 === 0 ? 1 : 0), [1000, 1000]);
  t.ok(tuned > 0.5, `at exactly the service rate: ${tuned}`);
  t.end();
});

t.test('networks that were served a lot come after those that were not', (t) => {
  const share = askAmid('networks', () => 10, [1000, 1000], 500);
  t.ok(share > 0.9, `${share}`);
  t.end();
});

t.test('an IPv6 network is the first half of an address', (t) => {
  t.equal(networkOf('192.0.2.7'), '192.0.2.7');
  t.equal(networkOf('2001:db8:1:2:3:4:5:6'), '2001:db8:1:2');
  t.equal(networkOf('2001:db8::1'), '2001:db8:0:0');
  t.equal(networkOf('2001:db8:0:0:7::1'), '2001:db8:0:0');
  t.equal(networkOf('2001::5:6:7:8:9:a'), '2001:0:5:6');
  t.equal(networkOf('::1'), '0:0:0:0');
  t.equal(networkOf('fe80::1%eth0'), 'fe80:0:0:0');
  t.end();
});
