/** Entries that the sender can no longer read are withdrawn, and everything else arrives (SESSIONS 6.12). */
import t, { type Test } from 'tap';
import { simulateSession } from '../../src/simulator/session-transfer.js';
import type {
  SimulatedSessionOptions,
  SimulatedSessionResult,
} from '../../src/simulator/session-transfer-options.js';
import { withdrawalReasons } from '../../src/wire/withdrawn.js';

const blockSizeBytes = 4000;

function run(options: Partial<SimulatedSessionOptions>): SimulatedSessionResult {
  return simulateSession({
    seed: 'withdrawal',
    receiverCount: 3,
    contentSizeBytes: 400_000,
    fileCount: 10,
    blockSizeBytes,
    mssBytes: 400,
    forwardLink: { delayMs: 5, rateBytesPerSec: 400_000, queueLimitBytes: 20_000 },
    backwardLink: { delayMs: 5 },
    deadlineMs: 600_000,
    watchesNonces: true,
    ...options,
  });
}

/** Checks that all receivers have everything but these files, and know it. */
function checkAgreement(t: Test, result: SimulatedSessionResult, files: readonly number[]): void {
  const names = files.map((file) => `file ${file}`);
  for (const { name, results, isIdentical, isFalse } of result.receivers) {
    const last = results.at(-1);
    t.equal(last?.status, 'complete', `${name}: ${last?.reason}`);
    t.ok(isIdentical && !isFalse, `${name} has what is left`);
    t.same(last?.withdrawn?.map((each) => each.name) ?? [], names, `${name} knows`);
  }
  t.equal(result.nonceReuses, 0);
  t.ok(result.isAtRest);
}

const lost = (atMs: number, ...files: readonly number[]) => files.map((file) => ({ atMs, file }));

for (const hasGroup of [false, true]) {
  const by = hasGroup ? 'by multicast' : 'by unicast';
  for (const [what, lostFiles] of [
    ['before the content', lost(1, 3)],
    ['midway, not yet read', lost(400, 7)],
    ['midway, being read', lost(400, 2, 3, 4)],
    ['the last entry', lost(300, 9)],
    ['the first entry', lost(300, 0)],
    ['one after another', [...lost(200, 8), ...lost(300, 6), ...lost(500, 5, 9)]],
    ['all but one', lost(100, 0, 1, 2, 3, 4, 6, 7, 8, 9)],
  ] as const) {
    t.test(`${what}, ${by}`, async (t) => {
      const files = lostFiles.map(({ file }) => file).sort((a, b) => a - b);
      checkAgreement(t, run({ lostFiles, hasGroup }), files);
    });
    t.test(`${what}, ${by}, with loss`, async (t) => {
      const files = lostFiles.map(({ file }) => file).sort((a, b) => a - b);
      for (const seed of ['1', '2', '3']) {
        const loss = { model: 'bernoulli', probability: 0.2 } as const;
        const link = { delayMs: 5, rateBytesPerSec: 400_000, queueLimitBytes: 20_000, loss };
        const backwardLink = { delayMs: 5, loss };
        const result = run({ seed, lostFiles, hasGroup, forwardLink: link, backwardLink });
        checkAgreement(t, result, files);
      }
    });
  }
}

t.test('receivers learn why each entry is withdrawn', async (t) => {
  for (const hasGroup of [false, true]) {
    const lostFiles = withdrawalReasons.map((reason, i) => ({
      atMs: 200 + 60 * i,
      file: 9 - i,
      reason,
    }));
    const result = run({ lostFiles, hasGroup });
    const files = lostFiles.map(({ file }) => file);
    checkAgreement(
      t,
      result,
      files.toSorted((a, b) => a - b),
    );
    for (const { results } of result.receivers) {
      const reasons = results.at(-1)?.withdrawn?.map(({ reason }) => reason);
      t.same(reasons, withdrawalReasons.toReversed());
    }
  }
});

t.test('a receiver that is killed and restarted gets the same', async (t) => {
  const incidents = [
    { atMs: 600, host: 1, fault: 'kill' },
    { atMs: 900, host: 1, fault: 'start' },
  ] as const;
  checkAgreement(t, run({ lostFiles: lost(400, 3), incidents }), [3]);
});

t.test('a receiver that joins late gets the same', async (t) => {
  const receivers = [{}, {}, { joinAtMs: 700 }];
  checkAgreement(t, run({ lostFiles: lost(400, 9), receivers }), [9]);
});

t.test('a receiver that has the lost file from before gets the same', async (t) => {
  const receivers = [{ missingBlocks: [90, 91, 92] }, {}, {}];
  checkAgreement(t, run({ lostFiles: lost(300, 4), receivers }), [4]);
});

t.test('a receiver that keeps blocks gets the same', async (t) => {
  const receivers = [{ keptBlocks: [{ start: 10, end: 45 }] }, {}, {}];
  checkAgreement(t, run({ lostFiles: lost(300, 4), receivers }), [4]);
});

t.test('once a receiver has its root, the session ends', async (t) => {
  const missingBlocks = [0];
  const result = run({ lostFiles: lost(900, 9), receivers: [{ missingBlocks }, {}, {}] });
  const [first, second] = result.receivers;
  t.equal(first?.results.at(-1)?.status, 'complete');
  t.equal(second?.results.at(-1)?.status, 'failed');
  t.equal(second?.results.at(-1)?.withdrawn, undefined);
});
