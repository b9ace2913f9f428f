/** A fixed rate is kept over any interval. */
import * as fc from 'fast-check';
import t from 'tap';
import { RateLimit, Pacer as TimePacer } from '../../src/path/pacer.js';

/** Keeps to a rate: each datagram takes the time of its size. */
class Pacer {
  private readonly pacer = new TimePacer();

  constructor(private readonly rateBytesPerSec: number) {}

  get nextSendAtMs(): number {
    return this.pacer.nextSendAtMs;
  }

  maySend(nowMs: number): boolean {
    return this.pacer.maySend(nowMs);
  }

  handleSent(nowMs: number, sizeBytes: number): void {
    this.pacer.handleSent(nowMs, (sizeBytes * 1000) / this.rateBytesPerSec);
  }
}

/** The burst that may be sent at once. */
const burstMs = 2;

function sendAll(pacer: Pacer, nowMs: number, sizeBytes: number): number {
  let count = 0;
  while (count < 100_000 && pacer.maySend(nowMs)) {
    pacer.handleSent(nowMs, sizeBytes);
    count++;
  }
  return count;
}

t.test('a sender that wakes each millisecond sends at the rate', (t) => {
  for (const rateBytesPerSec of [10_000, 1_000_000, 125_000_000]) {
    const pacer = new Pacer(rateBytesPerSec);
    let sentBytes = 0;
    for (let ms = 0; ms < 10_000; ms++) sentBytes += 1400 * sendAll(pacer, ms, 1400);
    const burstBytes = (rateBytesPerSec * burstMs) / 1000 + 1400;
    const exactBytes = 10 * rateBytesPerSec;
    t.ok(Math.abs(sentBytes - exactBytes) <= burstBytes, `${sentBytes} of ${exactBytes}`);
  }
  t.end();
});

t.test('a sender that wakes when it should sends at the rate too', (t) => {
  const pacer = new Pacer(100_000);
  let nowMs = 0;
  let sentBytes = 0;
  let wakes = 0;
  while (nowMs < 10_000) {
    const count = sendAll(pacer, nowMs, 1000);
    if (!t.ok(count > 0, `it may send at ${nowMs}`)) break;
    sentBytes += 1000 * count;
    wakes++;
    nowMs = pacer.nextSendAtMs;
  }
  t.ok(Math.abs(sentBytes - 1_000_000) <= 2000, `${sentBytes} bytes`);
  t.ok(wakes <= 1001, `it wakes once a datagram at most: ${wakes}`);
  t.end();
});

t.test('bursts are bounded, and idle time is not saved up', (t) => {
  const pacer = new Pacer(1_000_000);
  t.equal(sendAll(pacer, 0, 1000), 3, '2 ms, and the datagram that exceeds them');
  t.equal(sendAll(pacer, 0.5, 1000), 0);
  t.equal(sendAll(pacer, 60_000, 1000), 3, 'after a minute, no more than at first');
  t.end();
});

t.test('no interval exceeds the rate plus one burst and one datagram', (t) => {
  const step = fc.record({
    waitMs: fc.double({ min: 0, max: 20, noNaN: true }),
    sizeBytes: fc.integer({ min: 17, max: 1500 }),
  });
  const property = fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
    const pacer = new Pacer(500_000);
    const sent: { atMs: number; before: number; after: number }[] = [];
    let atMs = 0;
    let total = 0;
    for (const { waitMs, sizeBytes } of steps) {
      atMs += waitMs;
      const before = total;
      total += sizeBytes * sendAll(pacer, atMs, sizeBytes);
      sent.push({ atMs, before, after: total });
    }
    return sent.every((from, i) =>
      sent
        .slice(i)
        .every((to) => to.after - from.before <= 500 * (to.atMs - from.atMs + burstMs) + 1501),
    );
  });
  fc.assert(property, { seed: 1, numRuns: 300 });
  t.end();
});

t.test('sessions that share a limit keep to it together, and each wakes up for itself', (t) => {
  const limit = new RateLimit(1_000_000);
  const [one, other] = [limit.createPacer(), limit.createPacer()];
  t.ok(one.maySend(0));
  one.handleSent(0, limit.timeMsOf(10_000));
  t.notOk(other.maySend(1), 'the first has used the time until 10 ms');
  t.equal(one.nextSendAtMs, Infinity, 'it has not asked');
  t.equal(other.nextSendAtMs, 10);
  t.ok(one.maySend(9), 'it has nothing to send');
  t.equal(other.nextSendAtMs, 10, 'the other one still waits');
  other.handleTimeout(10);
  t.ok(other.maySend(10));
  other.handleSent(10, limit.timeMsOf(5000));
  t.notOk(one.maySend(11));
  t.equal(one.nextSendAtMs, 15);
  t.end();
});

t.test('a limit can be lowered, but not raised above what it was made with', async (t) => {
  const limit = new RateLimit(1_000_000);
  limit.lowerTo(250_000);
  t.equal(limit.timeMsOf(1000), 4);
  limit.lowerTo(Infinity);
  t.equal(limit.bytesPerSec, 1_000_000);
});

t.test(
  'a limit with credit makes up for the time that a host was late, up to the credit',
  async (t) => {
    const limit = new RateLimit(1_000_000, 20);
    const pacer = limit.createPacer();
    const send = (nowMs: number) => {
      let count = 0;
      for (; pacer.maySend(nowMs); count++) pacer.handleSent(nowMs, limit.timeMsOf(1000));
      return count;
    };
    send(0);
    t.equal(send(10), 10, 'nothing is lost by being 10 ms late');
    t.equal(send(1000), 20 + 3, 'the credit is limited, beside the usual burst');
  },
);
