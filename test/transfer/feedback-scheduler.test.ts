/** When a receiver reports, and what it may call lost. */
import * as fc from 'fast-check';
import t from 'tap';
import { createRandom } from '../../src/base/random.js';
import { ReportClock } from '../../src/transfer/feedback-scheduler.js';
import { dataFlag } from '../../src/wire/header.js';

/** A datagram that was lacking. */
function take(clock: ReportClock, nowMs: number, burst: number, isEnd = false): void {
  clock.handleBlock(nowMs, burst & 0xffff, isEnd ? dataFlag.endOfBurst : 0);
  clock.handleTaken(nowMs, burst & 0xffff);
}

/** Reports at each time that the clock names until `untilMs`. */
function report(clock: ReportClock, untilMs: number): number[] {
  const atMs: number[] = [];
  while (clock.dueAtMs <= untilMs && atMs.length < 1000) {
    atMs.push(clock.dueAtMs);
    clock.handleReport(clock.dueAtMs);
  }
  return atMs;
}

// --- Turns

t.test('nothing is due before something is wanted, or after it stops', (t) => {
  const clock = new ReportClock(1000, 100, 0.5);
  t.equal(clock.dueAtMs, Infinity);
  clock.want(1000);
  t.ok(clock.dueAtMs < Infinity);
  clock.stop();
  t.equal(clock.dueAtMs, Infinity);
  t.end();
});

t.test('few receivers answer at once, a whole interval apart', (t) => {
  const clock = new ReportClock(1000, 5, 0.9);
  take(clock, 1000, 0, true);
  t.equal(clock.dueAtMs, 1000);
  clock.handleReport(1000);
  clock.want(1001);
  t.equal(clock.dueAtMs, 1005);
  clock.handleReport(1005);
  clock.want(1020);
  t.equal(clock.dueAtMs, 1020);
  t.end();
});

t.test('many receivers wait for their turns, which lie all over the interval', (t) => {
  const intervalMs = 100;
  const random = createRandom('turns');
  const dueAtMs = Array.from({ length: 1000 }, () => {
    const clock = new ReportClock(500, intervalMs, random());
    // Long after the last report, so that nothing but its turn holds it back.
    clock.want(1000);
    return clock.dueAtMs;
  });
  t.ok(Math.min(...dueAtMs) >= 1000);
  t.ok(Math.max(...dueAtMs) <= 1000 + intervalMs);
  const tenths = Array.from({ length: 10 }, () => 0);
  for (const ms of dueAtMs) {
    const tenth = Math.min(9, Math.floor((ms - 1000) / 10));
    tenths[tenth] = (tenths[tenth] as number) + 1;
  }
  t.ok(
    tenths.every((count) => count >= 60 && count <= 140),
    `receivers in each tenth: ${tenths.join(' ')}`,
  );
  t.end();
});

t.test('at its chance a receiver has the turn that it has for ever', (t) => {
  const clock = new ReportClock(1000, 100, 0.25);
  const atMs: number[] = [];
  for (const nowMs of [1000, 1101, 1290, 1660]) {
    clock.want(nowMs);
    atMs.push(...report(clock, nowMs + 100));
  }
  t.same(atMs, [1075, 1175, 1375, 1675]);
  t.end();
});

t.test('there are never two reports in one turn', (t) => {
  const startMs = 1000;
  const step = fc.record({
    wantAfterMs: fc.constantFrom(0, 0, 0.3, 7, 40, 130),
    lateMs: fc.constantFrom(0, 0, 0, 0.1, 3),
  });
  const property = fc.property(
    fc.double({ min: 10, max: 200, noNaN: true }),
    fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
    fc.array(step, { maxLength: 40 }),
    (intervalMs, chance, steps) => {
      const clock = new ReportClock(startMs, intervalMs, chance);
      let nowMs = startMs;
      let lastDueAtMs = -Infinity;
      for (const { wantAfterMs, lateMs } of steps) {
        nowMs += wantAfterMs;
        clock.want(nowMs);
        const { dueAtMs } = clock;
        if (dueAtMs < nowMs || dueAtMs > nowMs + 2 * intervalMs) return false;
        if (dueAtMs < lastDueAtMs + intervalMs - 1e-6) return false;
        lastDueAtMs = dueAtMs;
        nowMs = dueAtMs + lateMs;
        clock.handleReport(nowMs);
      }
      return true;
    },
  );
  fc.assert(property, { seed: 1, numRuns: 1000 });
  t.end();
});

t.test('a report that was asked for takes the turn in which it falls', (t) => {
  const clock = new ReportClock(1000, 100, 0);
  clock.handleReport(1130);
  clock.want(1130);
  t.equal(clock.dueAtMs, 1200);
  t.end();
});

// --- Ends of bursts

t.test('the end of a burst is reported at once, the middle after 4 ms', (t) => {
  const clock = new ReportClock(1000, 1, 0);
  take(clock, 1010, 7);
  t.equal(clock.dueAtMs, 1014, 'the end may be lost');
  take(clock, 1012, 7);
  t.equal(clock.dueAtMs, 1014, 'which is not put off');
  t.equal(clock.throughBurst, undefined);
  t.equal(clock.latestBurst, 7);
  take(clock, 1013, 7, true);
  t.equal(clock.dueAtMs, 1013);
  t.equal(clock.throughBurst, 7);
  t.end();
});

t.test('with its end lost, a burst is through once a later one or a poll tells of it', (t) => {
  const clock = new ReportClock(1000, 1, 0);
  take(clock, 1010, 7);
  t.equal(clock.isThrough(7), false);
  t.same(report(clock, 2000), [1014]);
  t.equal(clock.isThrough(7), false, 'time alone does not end it');
  take(clock, 1020, 8);
  t.equal(clock.throughBurst, 7);
  t.equal(clock.isThrough(8), false);
  clock.handleEnd(1030, 12);
  t.equal(clock.throughBurst, 12);
  clock.handleEnd(1031, 10);
  t.equal(clock.throughBurst, 12, 'an older word takes nothing back');
  t.end();
});

t.test('how long the latest burst has been here is told from its last datagram', (t) => {
  const clock = new ReportClock(1000, 1, 0);
  t.equal(clock.heldMs(1000), 0);
  take(clock, 1010, 7);
  take(clock, 1012, 7);
  t.equal(clock.heldMs(1015), 3);
  take(clock, 1014, 6);
  t.equal(clock.heldMs(1015), 3, 'an older one changes nothing');
  t.equal(clock.latestBurst, 7);
  take(clock, 1020, 9);
  t.equal(clock.heldMs(1020), 0);
  t.end();
});

t.test('numbers of bursts go round', (t) => {
  const clock = new ReportClock(1000, 1, 0);
  for (let burst = 0xfff0; burst < 0x10010; burst++) {
    take(clock, burst, burst, true);
    t.equal(clock.throughBurst, burst & 0xffff);
    t.equal(clock.latestBurst, burst & 0xffff);
  }
  t.equal(clock.isThrough(0xffff), true);
  t.equal(clock.isThrough(0x0f), true);
  t.equal(clock.isThrough(0x10), false);
  clock.handleBlock(0x10011, 0xfffe, dataFlag.endOfBurst);
  t.equal(clock.latestBurst, 0x0f, 'one from before is not the latest');
  take(clock, 0x10012, 0x10012);
  t.equal(clock.throughBurst, 0x11, 'those before it are over');
  t.end();
});

t.test('after any history, what is through never goes back and never runs ahead', (t) => {
  const step = fc.record({
    waitMs: fc.constantFrom(0, 0.5, 2, 30),
    ahead: fc.integer({ min: -4, max: 3 }),
    isEnd: fc.boolean(),
    kind: fc.constantFrom('block', 'block', 'block', 'report', 'end'),
  });
  const property = fc.property(
    fc.integer({ min: 0, max: 0xffff }),
    fc.array(step, { maxLength: 100 }),
    (first, steps) => {
      const clock = new ReportClock(1000, 1, 0);
      const distance = (burst: number | undefined) =>
        burst === undefined ? -1 : (burst - first + 100) & 0xffff;
      let nowMs = 1000;
      let latest = first;
      let isBegun = false;
      let told = first - 1;
      let through = -1;
      for (const { waitMs, ahead, isEnd, kind } of steps) {
        nowMs += waitMs;
        const burst = isBegun ? Math.max(first, latest + ahead) : first;
        if (kind === 'report') {
          clock.handleReport(nowMs);
        } else if (kind === 'end') {
          clock.handleEnd(nowMs, latest & 0xffff);
          told = Math.max(told, latest);
        } else {
          take(clock, nowMs, burst, isEnd);
          if (isBegun && burst > latest) told = Math.max(told, burst - 1);
          if (isEnd) told = Math.max(told, burst);
          isBegun = true;
          latest = Math.max(latest, burst);
        }
        const now = distance(clock.throughBurst);
        if (now < through || now > distance(told & 0xffff)) return false;
        through = now;
      }
      // Once nothing that was overtaken can come any more, all that is known to be over is through.
      clock.handleReport(nowMs + 500);
      const isSilent = told < first;
      return isSilent || distance(clock.throughBurst) === distance(told & 0xffff);
    },
  );
  fc.assert(property, { seed: 1, numRuns: 1000 });
  t.end();
});

// --- Reordering

t.test('where datagrams come late, the end of a burst is waited for', (t) => {
  const clock = new ReportClock(1000, 1, 0);
  take(clock, 1010, 1, true);
  t.equal(clock.isThrough(1), true, 'nothing was overtaken yet');
  take(clock, 1018, 1);
  report(clock, 1018);
  take(clock, 1030, 2, true);
  t.equal(clock.isThrough(2), false);
  t.ok(clock.dueAtMs >= 1038 && clock.dueAtMs <= 1042, `a report is due at ${clock.dueAtMs}`);
  clock.handleReport(1031);
  t.equal(clock.isThrough(2), false, 'a report that is asked for meanwhile calls nothing lost');
  t.ok(clock.dueAtMs <= 1042, 'what it could not tell is told as soon as it may be');
  report(clock, 1050);
  t.equal(clock.isThrough(2), true);
  t.end();
});

t.test('a datagram that comes before the end of its burst is not late', (t) => {
  const clock = new ReportClock(1000, 1, 0);
  for (let burst = 1; burst < 10; burst++) {
    take(clock, 1000 + 100 * burst, burst);
    take(clock, 1000 + 100 * burst + 90, burst, true);
    t.equal(clock.isThrough(burst), true, `burst ${burst}`);
    report(clock, 1000 + 100 * burst + 99);
  }
  t.end();
});

t.test('it is waited for half a second at most', (t) => {
  const clock = new ReportClock(1000, 1, 0);
  take(clock, 1010, 1, true);
  take(clock, 61_000, 1);
  take(clock, 62_000, 2, true);
  clock.handleReport(62_499);
  t.equal(clock.isThrough(2), false);
  clock.handleReport(62_500);
  t.equal(clock.isThrough(2), true);
  t.end();
});

t.test('reordering that does not come again is forgotten', (t) => {
  const clock = new ReportClock(1000, 1, 0);
  take(clock, 1010, 1, true);
  take(clock, 1090, 1);
  let nowMs = 2000;
  let burst = 1;
  const waitedMs: number[] = [];
  for (let i = 0; i < 1000; i++) {
    nowMs += 1000;
    take(clock, nowMs, ++burst, true);
    const startMs = nowMs;
    while (!clock.isThrough(burst) && nowMs < startMs + 900) {
      nowMs = clock.dueAtMs;
      clock.handleReport(nowMs);
    }
    waitedMs.push(nowMs - startMs);
  }
  t.ok((waitedMs[0] as number) >= 80, 'at first it waits');
  t.ok(
    waitedMs.every((ms, i) => i === 0 || ms <= (waitedMs[i - 1] as number) + 1e-6),
    'less and less',
  );
  t.equal(waitedMs.at(-1), 0, 'and in the end not at all');
  t.end();
});

t.test('what was learnt of bursts that were overtaken as a whole is their own lateness', (t) => {
  const clock = new ReportClock(1000, 1, 0);
  let nowMs = 1000;
  for (let burst = 1; burst < 600; burst++) {
    nowMs += 10;
    take(clock, nowMs, burst, true);
    report(clock, nowMs);
  }
  // Two bursts are overtaken by a third, and come a millisecond later.
  take(clock, nowMs + 10, 602, true);
  take(clock, nowMs + 11, 600, true);
  take(clock, nowMs + 11, 601, true);
  report(clock, nowMs + 90);
  take(clock, nowMs + 100, 603, true);
  clock.handleReport(nowMs + 105);
  t.equal(clock.isThrough(603), true);
  t.end();
});

t.test('after a reset nothing of what was heard counts', (t) => {
  const clock = new ReportClock(1000, 1, 0);
  take(clock, 1010, 40_000, true);
  take(clock, 1400, 40_000);
  clock.reset();
  t.equal(clock.throughBurst, undefined);
  t.equal(clock.latestBurst, undefined);
  t.equal(clock.isThrough(40_000), false);
  t.equal(clock.heldMs(1500), 0);
  // A forger's number is no longer the latest, nor is its lateness waited for.
  take(clock, 1500, 3, true);
  t.equal(clock.latestBurst, 3);
  t.equal(clock.throughBurst, 3);
  t.end();
});
