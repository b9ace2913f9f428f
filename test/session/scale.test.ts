/** One session to two thousand receivers: what it costs in datagrams and in reports. */
import t from 'tap';
import { meanRounds } from '../../src/experiment/theory.js';
import { simulateSession } from '../../src/simulator/session-transfer.js';

const receiverCount = 2000;
const lossProbability = 0.01;
const reportsPerSec = 1000;
const mssBytes = 64;
const segmentsPerBlock = 45;
const blockCount = 4;

t.test('a group of 2,000 costs the datagrams of theory, and no more reports than it may', (t) => {
  const link = { delayMs: 5, loss: { model: 'bernoulli', probability: lossProbability } } as const;
  const run = simulateSession({
    seed: 'scale',
    receiverCount,
    contentSizeBytes: blockCount * (mssBytes * segmentsPerBlock - 16),
    mssBytes,
    segmentsPerBlock,
    hasGroup: true,
    reportsPerSec,
    forwardLink: link,
    backwardLink: link,
    deadlineMs: 600_000,
  });
  t.equal(run.sender.length, 1, 'the sender came to its end');
  t.ok(run.isAtRest, 'and all came to rest');
  t.equal(run.receivers.filter(({ isIdentical }) => isIdentical).length, receiverCount);
  t.equal(run.receivers.filter(({ isFalse }) => isFalse).length, 0);
  const complete = run.settled.filter(({ outcome }) => outcome.status === 'complete');
  t.equal(complete.length, receiverCount, 'each is called complete, once');
  t.ok(
    run.maxReportsPerSec <= reportsPerSec,
    `${run.maxReportsPerSec} reports in a second, of ${reportsPerSec}`,
  );
  const expected = segmentsPerBlock * blockCount * meanRounds(receiverCount, lossProbability);
  const sent = run.sender[0]?.datagramsSent ?? 0;
  t.ok(
    Math.abs(sent - expected) <= expected / 10,
    `${sent} datagrams, ${expected.toFixed(0)} by theory`,
  );
  t.end();
});
