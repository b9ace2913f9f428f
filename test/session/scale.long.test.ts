/** One session with 2,000 receivers: its cost in datagrams and reports. */
import t from 'tap';
import { meanRounds } from '../../src/experiment/theory.js';
import { simulateSession } from '../../src/simulator/session-transfer.js';

const receiverCount = 2000;
const lossProbability = 0.01;
const reportsPerSec = receiverCount / 2;
const mssBytes = 64;
const segmentsPerBlock = 45;
const blockSizeBytes = mssBytes * segmentsPerBlock - 16;
const blockCount = 2;

t.test(
  'a large group costs the datagrams that theory predicts, and reports stay within their limit',
  (t) => {
    const link = {
      delayMs: 5,
      loss: { model: 'bernoulli', probability: lossProbability },
    } as const;
    const run = simulateSession({
      seed: 'scale',
      receiverCount,
      contentSizeBytes: blockCount * blockSizeBytes,
      mssBytes,
      blockSizeBytes,
      hasGroup: true,
      reportsPerSec,
      forwardLink: link,
      backwardLink: link,
      deadlineMs: 600_000,
    });
    t.equal(run.sender.length, 1, 'the sender ended');
    t.ok(run.isAtRest, 'all timers ended');
    t.equal(run.receivers.filter(({ isIdentical }) => isIdentical).length, receiverCount);
    t.equal(run.receivers.filter(({ isFalse }) => isFalse).length, 0);
    const complete = run.settled.filter(({ outcome }) => outcome.status === 'complete');
    t.equal(complete.length, receiverCount, 'each is reported complete once');
    t.ok(
      run.maxReportsPerSec <= reportsPerSec,
      `${run.maxReportsPerSec} reports in a second; limit ${reportsPerSec}`,
    );
    const expected = segmentsPerBlock * blockCount * meanRounds(receiverCount, lossProbability);
    const sent = run.sender[0]?.datagramsSent ?? 0;
    t.ok(
      Math.abs(sent - expected) <= expected / 10,
      `${sent} datagrams; theory ${expected.toFixed(0)}`,
    );
    t.end();
  },
);
