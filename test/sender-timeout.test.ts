import t from 'tap';
import { DrivenSender } from './support/driven-sender.js';

// A long liveness timeout, so that the backoff limit (a part of it) is far off.
const auto = {
  sizeBytes: 40,
  mssBytes: 2,
  timeout: { mode: 'auto', initialMs: 100 },
  livenessTimeoutMs: 320_000,
} as const;

/** The time until the next deadline. */
function budgetMs(driven: DrivenSender): number {
  return (driven.sender.pollTimeout() ?? Number.NaN) - driven.nowMs;
}

function rttMs(driven: DrivenSender, receiver = 0): number | undefined {
  return driven.sender.result().receivers[receiver]?.rttMs;
}

t.test('the timeout follows the round-trip time, as RFC 6298 says', (t) => {
  const driven = new DrivenSender({ receivers: 'a', ...auto });
  t.equal(budgetMs(driven), 100, 'before the first sample');
  driven.passTo(20);
  driven.ack('a', 0);
  t.equal(rttMs(driven), 20);
  t.equal(budgetMs(driven), 20 + 4 * 10, 'the first sample, and four times its half');
  driven.passTo(40);
  driven.ack('a', 1);
  t.equal(rttMs(driven), 20);
  t.equal(budgetMs(driven), 20 + 4 * 7.5, 'a steady path reduces the margin');
  t.end();
});

t.test('a round waits for the slowest pending receiver', (t) => {
  const driven = new DrivenSender({ receivers: 'ab', ...auto });
  driven.passTo(10);
  driven.ack('a', 0);
  driven.passTo(50);
  driven.ack('b', 0);
  t.equal(budgetMs(driven), 150, 'b takes 50 ms, so the wait is up to 150');
  driven.passTo(100);
  driven.ack('b', 1);
  driven.passTo(200);
  t.equal(budgetMs(driven), 60, 'a alone is pending: 30 ms, doubled once');
  t.end();
});

t.test('the timeout doubles with each deadline that passes, and an answer resets it', (t) => {
  const driven = new DrivenSender({ receivers: 'a', ...auto });
  const budgets = [];
  for (let round = 0; round < 6; round++) {
    budgets.push(budgetMs(driven));
    driven.passTo(driven.nowMs + budgetMs(driven));
  }
  t.same(budgets, [100, 200, 400, 800, 1600, 3200]);
  driven.ack('a', 0);
  t.equal(budgetMs(driven), 100, 'the next round starts without backoff');
  t.end();
});

t.test('backoff is limited, so that each receiver is tried often before it fails', (t) => {
  const driven = new DrivenSender({ receivers: 'a', ...auto, livenessTimeoutMs: 3200 });
  driven.passTo(3199);
  t.ok(driven.takeSent().length >= 32);
  t.equal(driven.outcome('a'), undefined);
  driven.passTo(3200);
  t.match(driven.outcome('a'), { status: 'failed' });
  t.end();
});

t.test('an ACK of a segment that was sent twice is no sample (Karn)', (t) => {
  const driven = new DrivenSender({ receivers: 'a', ...auto });
  driven.passTo(110);
  driven.ack('a', 0);
  t.equal(rttMs(driven), undefined, 'was it the first copy or the second?');
  driven.passTo(140);
  driven.ack('a', 1);
  t.equal(rttMs(driven), 30, 'a segment that was sent once is sampled again');
  t.end();
});

t.test('a second ACK settles the question: the first one answered the first copy', (t) => {
  const driven = new DrivenSender({ receivers: 'a', ...auto });
  driven.passTo(150);
  driven.ack('a', 0);
  driven.passTo(210);
  driven.ack('a', 0);
  t.equal(rttMs(driven), 150);
  driven.ack('a', 0);
  t.equal(rttMs(driven), 150, 'a third one adds nothing');
  driven.passTo(240);
  driven.ack('a', 1);
  t.equal(rttMs(driven), 150 - 60 / 8, 'timing continues as usual: 90 ms');
  t.end();
});

t.test('an initial timeout that is too short therefore corrects itself', (t) => {
  const driven = new DrivenSender({
    receivers: 'a',
    ...auto,
    timeout: { mode: 'auto', initialMs: 10 },
  });
  // A path of 55 ms: every datagram is answered 55 ms after it was sent.
  const answers: { atMs: number; sequence: number }[] = [];
  for (let nowMs = 0; nowMs < 2000; nowMs++) {
    driven.passTo(nowMs);
    while (answers[0]?.atMs === nowMs) driven.ack('a', answers.shift()?.sequence ?? 0);
    for (const line of driven.takeSent()) {
      answers.push({ atMs: nowMs + 55, sequence: Number(line.split(' ')[2]) });
    }
  }
  t.match(driven.result?.receivers, [{ status: 'complete', isConfirmed: true }]);
  const { retransmissions = Infinity } = driven.result ?? {};
  t.ok(retransmissions > 0 && retransmissions < 8, `${retransmissions} needless copies`);
  t.end();
});

t.test(
  'answers that wait for the disk are no samples: those to the last segment and the end',
  (t) => {
    const driven = new DrivenSender({ receivers: 'a', ...auto, sizeBytes: 4 });
    driven.passTo(10);
    driven.ack('a', 0);
    driven.passTo(35);
    driven.ack('a', 1);
    driven.passTo(60);
    driven.ack('a', 2);
    t.match(driven.result?.receivers, [{ status: 'complete', rttMs: 10 }]);
    t.end();
  },
);

t.test('an ACK that the network duplicated settles nothing', (t) => {
  const driven = new DrivenSender({ receivers: 'a', ...auto });
  driven.passTo(110);
  driven.ack('a', 0);
  driven.passTo(115);
  driven.ack('a', 0);
  t.equal(rttMs(driven), undefined, 'the second copy was sent 100 ms after the first, not 5');
  t.end();
});

t.test('an ACK repeated for a segment out of sequence is no sample either', (t) => {
  const driven = new DrivenSender({ receivers: 'a', ...auto, windowBlocks: 4 });
  driven.passTo(10);
  driven.ack('a', 0);
  driven.takeSent();
  driven.passTo(50);
  t.same(driven.takeSent(), ['a data 1', 'a data 2', 'a data 3', 'a data 4'], 'a second time');
  driven.ack('a', 1);
  driven.passTo(51);
  driven.ack('a', 1);
  t.equal(rttMs(driven), 10, 'segment 3 arrived without 2, and 1 is acknowledged again');
  t.end();
});

t.test('one deadline is one doubling, however many segments are in flight', (t) => {
  const driven = new DrivenSender({ receivers: 'a', ...auto, windowBlocks: 8 });
  driven.passTo(10);
  driven.ack('a', 0);
  t.equal(budgetMs(driven), 30);
  driven.passTo(40);
  t.equal(budgetMs(driven), 60);
  driven.passTo(100);
  t.equal(budgetMs(driven), 120);
  t.end();
});
