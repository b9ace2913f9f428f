/** When a receiver reports and what it may declare lost. */
import * as fc from 'fast-check';
import t from 'tap';
import { createRandom } from '../../src/base/random.js';
import { FeedbackScheduler } from '../../src/transfer/feedback-scheduler.js';
import { dataFlag } from '../../src/wire/header.js';

/** Handles a datagram that was missing. */
function take(scheduler: FeedbackScheduler, nowMs: number, burst: number, isEnd = false): void {
  scheduler.handleBlock(nowMs, burst & 0xffff, isEnd ? dataFlag.endOfBurst : 0);
  scheduler.handleTaken(nowMs, burst & 0xffff);
}

/** Reports whenever the scheduler is due, until `untilMs`. */
function report(scheduler: FeedbackScheduler, untilMs: number): number[] {
  const atMs: number[] = [];
  while (scheduler.dueAtMs <= untilMs && atMs.length < 1000) {
    atMs.push(scheduler.dueAtMs);
    scheduler.handleReport(scheduler.dueAtMs);
  }
  return atMs;
}

// --- Turns

t.test('no report is due before one is wanted, or after it stops', (t) => {
  const scheduler = new FeedbackScheduler(1000, 100, 0.5);
  t.equal(scheduler.dueAtMs, Infinity);
  scheduler.want(1000);
  t.ok(scheduler.dueAtMs < Infinity);
  scheduler.stop();
  t.equal(scheduler.dueAtMs, Infinity);
  t.end();
});

t.test('few receivers answer at once, a whole interval apart', (t) => {
  const scheduler = new FeedbackScheduler(1000, 5, 0.9);
  take(scheduler, 1000, 0, true);
  t.equal(scheduler.dueAtMs, 1000);
  scheduler.handleReport(1000);
  scheduler.want(1001);
  t.equal(scheduler.dueAtMs, 1005);
  scheduler.handleReport(1005);
  scheduler.want(1020);
  t.equal(scheduler.dueAtMs, 1020);
  t.end();
});

t.test('many receivers wait for their turns, which spread over the interval', (t) => {
  const intervalMs = 100;
  const random = createRandom('turns');
  const dueAtMs = Array.from({ length: 1000 }, () => {
    const scheduler = new FeedbackScheduler(500, intervalMs, random());
    // Long after the last report, so that only the turn delays it.
    scheduler.want(1000);
    return scheduler.dueAtMs;
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

t.test('a receiver keeps its turn from then on', (t) => {
  const scheduler = new FeedbackScheduler(1000, 100, 0.25);
  const atMs: number[] = [];
  for (const nowMs of [1000, 1101, 1290, 1660]) {
    scheduler.want(nowMs);
    atMs.push(...report(scheduler, nowMs + 100));
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
    (intervalMs, randomPhase, steps) => {
      const scheduler = new FeedbackScheduler(startMs, intervalMs, randomPhase);
      let nowMs = startMs;
      let lastDueAtMs = -Infinity;
      for (const { wantAfterMs, lateMs } of steps) {
        nowMs += wantAfterMs;
        scheduler.want(nowMs);
        const { dueAtMs } = scheduler;
        if (dueAtMs < nowMs || dueAtMs > nowMs + 2 * intervalMs) return false;
        if (dueAtMs < lastDueAtMs + intervalMs - 1e-6) return false;
        lastDueAtMs = dueAtMs;
        nowMs = dueAtMs + lateMs;
        scheduler.handleReport(nowMs);
      }
      return true;
    },
  );
  fc.assert(property, { seed: 1, numRuns: 1000 });
  t.end();
});

t.test('a requested report uses the turn that it falls into', (t) => {
  const scheduler = new FeedbackScheduler(1000, 100, 0);
  scheduler.handleReport(1130);
  scheduler.want(1130);
  t.equal(scheduler.dueAtMs, 1200);
  t.end();
});

// --- Ends of bursts

t.test('the end of a burst is reported at once, the middle after 4 ms', (t) => {
  const scheduler = new FeedbackScheduler(1000, 1, 0);
  take(scheduler, 1010, 7);
  t.equal(scheduler.dueAtMs, 1014, 'the end may be lost');
  take(scheduler, 1012, 7);
  t.equal(scheduler.dueAtMs, 1014, 'the second datagram does not delay the report');
  t.equal(scheduler.cumulativeBurst, undefined);
  t.equal(scheduler.largestBurst, 7);
  take(scheduler, 1013, 7, true);
  t.equal(scheduler.dueAtMs, 1013);
  t.equal(scheduler.cumulativeBurst, 7);
  t.end();
});

t.test('a burst whose end is lost is covered once a later burst or a poll ends it', (t) => {
  const scheduler = new FeedbackScheduler(1000, 1, 0);
  take(scheduler, 1010, 7);
  t.equal(scheduler.isCovered(7), false);
  t.same(report(scheduler, 2000), [1014]);
  t.equal(scheduler.isCovered(7), false, 'time alone does not end it');
  take(scheduler, 1020, 8);
  t.equal(scheduler.cumulativeBurst, 7);
  t.equal(scheduler.isCovered(8), false);
  scheduler.handleEnd(1030, 12);
  t.equal(scheduler.cumulativeBurst, 12);
  scheduler.handleEnd(1031, 10);
  t.equal(scheduler.cumulativeBurst, 12, 'an older end changes nothing');
  t.end();
});

t.test('the ack delay counts from the last datagram of the largest burst', (t) => {
  const scheduler = new FeedbackScheduler(1000, 1, 0);
  t.equal(scheduler.ackDelayMs(1000), 0);
  take(scheduler, 1010, 7);
  take(scheduler, 1012, 7);
  t.equal(scheduler.ackDelayMs(1015), 3);
  take(scheduler, 1014, 6);
  t.equal(scheduler.ackDelayMs(1015), 3, 'an older burst changes nothing');
  t.equal(scheduler.largestBurst, 7);
  take(scheduler, 1020, 9);
  t.equal(scheduler.ackDelayMs(1020), 0);
  t.end();
});

t.test('burst numbers wrap around', (t) => {
  const scheduler = new FeedbackScheduler(1000, 1, 0);
  for (let burst = 0xfff0; burst < 0x10010; burst++) {
    take(scheduler, burst, burst, true);
    t.equal(scheduler.cumulativeBurst, burst & 0xffff);
    t.equal(scheduler.largestBurst, burst & 0xffff);
  }
  t.equal(scheduler.isCovered(0xffff), true);
  t.equal(scheduler.isCovered(0x0f), true);
  t.equal(scheduler.isCovered(0x10), false);
  scheduler.handleBlock(0x10011, 0xfffe, dataFlag.endOfBurst);
  t.equal(scheduler.largestBurst, 0x0f, 'an earlier burst is not the largest');
  take(scheduler, 0x10012, 0x10012);
  t.equal(scheduler.cumulativeBurst, 0x11, 'the bursts before it are over');
  t.end();
});

t.test(
  'after any history, the cumulative burst never decreases and never exceeds what has ended',
  (t) => {
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
        const scheduler = new FeedbackScheduler(1000, 1, 0);
        const distance = (burst: number | undefined) =>
          burst === undefined ? -1 : (burst - first + 100) & 0xffff;
        let nowMs = 1000;
        let latest = first;
        let isBegun = false;
        let ended = first - 1;
        let covered = -1;
        for (const { waitMs, ahead, isEnd, kind } of steps) {
          nowMs += waitMs;
          const burst = isBegun ? Math.max(first, latest + ahead) : first;
          if (kind === 'report') {
            scheduler.handleReport(nowMs);
          } else if (kind === 'end') {
            scheduler.handleEnd(nowMs, latest & 0xffff);
            ended = Math.max(ended, latest);
          } else {
            take(scheduler, nowMs, burst, isEnd);
            if (isBegun && burst > latest) ended = Math.max(ended, burst - 1);
            if (isEnd) ended = Math.max(ended, burst);
            isBegun = true;
            latest = Math.max(latest, burst);
          }
          const now = distance(scheduler.cumulativeBurst);
          if (now < covered || now > distance(ended & 0xffff)) return false;
          covered = now;
        }
        // Once no reordered datagram can arrive any more, every ended burst is covered.
        scheduler.handleReport(nowMs + 500);
        const isSilent = ended < first;
        return isSilent || distance(scheduler.cumulativeBurst) === distance(ended & 0xffff);
      },
    );
    fc.assert(property, { seed: 1, numRuns: 1000 });
    t.end();
  },
);

// --- Reordering

t.test('with reordering, the scheduler waits before it treats a burst as over', (t) => {
  const scheduler = new FeedbackScheduler(1000, 1, 0);
  take(scheduler, 1010, 1, true);
  t.equal(scheduler.isCovered(1), true, 'no reordering seen yet');
  take(scheduler, 1018, 1);
  report(scheduler, 1018);
  take(scheduler, 1030, 2, true);
  t.equal(scheduler.isCovered(2), false);
  t.ok(
    scheduler.dueAtMs >= 1038 && scheduler.dueAtMs <= 1042,
    `a report is due at ${scheduler.dueAtMs}`,
  );
  scheduler.handleReport(1031);
  t.equal(
    scheduler.isCovered(2),
    false,
    'a report that is requested meanwhile declares nothing lost',
  );
  t.ok(scheduler.dueAtMs <= 1042, 'the rest is reported as soon as possible');
  report(scheduler, 1050);
  t.equal(scheduler.isCovered(2), true);
  t.end();
});

t.test('a datagram that precedes the end of its burst is not late', (t) => {
  const scheduler = new FeedbackScheduler(1000, 1, 0);
  for (let burst = 1; burst < 10; burst++) {
    take(scheduler, 1000 + 100 * burst, burst);
    take(scheduler, 1000 + 100 * burst + 90, burst, true);
    t.equal(scheduler.isCovered(burst), true, `burst ${burst}`);
    report(scheduler, 1000 + 100 * burst + 99);
  }
  t.end();
});

t.test('the wait is at most half a second', (t) => {
  const scheduler = new FeedbackScheduler(1000, 1, 0);
  take(scheduler, 1010, 1, true);
  take(scheduler, 61_000, 1);
  take(scheduler, 62_000, 2, true);
  scheduler.handleReport(62_499);
  t.equal(scheduler.isCovered(2), false);
  scheduler.handleReport(62_500);
  t.equal(scheduler.isCovered(2), true);
  t.end();
});

t.test('reordering that does not recur is forgotten', (t) => {
  const scheduler = new FeedbackScheduler(1000, 1, 0);
  take(scheduler, 1010, 1, true);
  take(scheduler, 1090, 1);
  let nowMs = 2000;
  let burst = 1;
  const waitedMs: number[] = [];
  for (let i = 0; i < 1000; i++) {
    nowMs += 1000;
    take(scheduler, nowMs, ++burst, true);
    const startMs = nowMs;
    while (!scheduler.isCovered(burst) && nowMs < startMs + 900) {
      nowMs = scheduler.dueAtMs;
      scheduler.handleReport(nowMs);
    }
    waitedMs.push(nowMs - startMs);
  }
  t.ok((waitedMs[0] as number) >= 80, 'at first it waits');
  t.ok(
    waitedMs.every((ms, i) => i === 0 || ms <= (waitedMs[i - 1] as number) + 1e-6),
    'the wait shrinks',
  );
  t.equal(waitedMs.at(-1), 0, 'the wait ends at zero');
  t.end();
});

t.test('bursts that were overtaken as a whole count with their own lateness', (t) => {
  const scheduler = new FeedbackScheduler(1000, 1, 0);
  let nowMs = 1000;
  for (let burst = 1; burst < 600; burst++) {
    nowMs += 10;
    take(scheduler, nowMs, burst, true);
    report(scheduler, nowMs);
  }
  // A third burst overtakes two others, which arrive a millisecond later.
  take(scheduler, nowMs + 10, 602, true);
  take(scheduler, nowMs + 11, 600, true);
  take(scheduler, nowMs + 11, 601, true);
  report(scheduler, nowMs + 90);
  take(scheduler, nowMs + 100, 603, true);
  scheduler.handleReport(nowMs + 105);
  t.equal(scheduler.isCovered(603), true);
  t.end();
});

t.test('a reset discards everything learned', (t) => {
  const scheduler = new FeedbackScheduler(1000, 1, 0);
  take(scheduler, 1010, 40_000, true);
  take(scheduler, 1400, 40_000);
  scheduler.reset();
  t.equal(scheduler.cumulativeBurst, undefined);
  t.equal(scheduler.largestBurst, undefined);
  t.equal(scheduler.isCovered(40_000), false);
  t.equal(scheduler.ackDelayMs(1500), 0);
  // The forged number is no longer the largest, and its lateness causes no wait.
  take(scheduler, 1500, 3, true);
  t.equal(scheduler.largestBurst, 3);
  t.equal(scheduler.cumulativeBurst, 3);
  t.end();
});
