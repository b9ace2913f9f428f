/**
 * A receiver that holds the object does not wait for the others: the sender reads ahead for the
 * digest.
 */
import t from 'tap';
import type { LinkOptions } from '../../src/simulator/link.js';
import { simulateSession } from '../../src/simulator/session-transfer.js';
import type {
  SimulatedSessionOptions,
  SimulatedSessionResult,
} from '../../src/simulator/session-transfer-options.js';

const fastLink: LinkOptions = { delayMs: 1 };
const slowLink: LinkOptions = { delayMs: 1, rateBytesPerSec: 125_000, queueLimitBytes: 64_000 };
const contentSizeBytes = 4_000_000;
const soonMs = 2000;

function run(options: Partial<SimulatedSessionOptions>): SimulatedSessionResult {
  return simulateSession({
    seed: 'digest pass',
    receiverCount: 2,
    contentSizeBytes,
    blockSizeBytes: 8 * 1400 - 16,
    forwardLink: fastLink,
    ...options,
  });
}

function settledAtMs({ settled }: SimulatedSessionResult, name: string): number {
  const found = settled.find(({ outcome }) => outcome.receiver === name);
  return found?.outcome.status === 'complete' ? found.atMs : Infinity;
}

for (const hasGroup of [false, true]) {
  const by = hasGroup ? 'by multicast' : 'by unicast';
  t.test(`an identical copy completes at once beside a slow link, ${by}`, async (t) => {
    const result = run({ hasGroup, receivers: [{ missingBlocks: [] }, { forwardLink: slowLink }] });
    t.ok(settledAtMs(result, 'r1') < soonMs, `${settledAtMs(result, 'r1')} ms`);
    t.ok(settledAtMs(result, 'r2') > 30_000, 'the other one takes its time');
    t.ok(result.receivers.every(({ isIdentical }) => isIdentical));
  });
}

t.test('a receiver that missed one early block completes once it has arrived', async (t) => {
  const result = run({
    receiverCount: 3,
    receivers: [{ missingBlocks: [1] }, { forwardLink: slowLink }, { forwardLink: slowLink }],
  });
  t.ok(settledAtMs(result, 'r1') < soonMs, `${settledAtMs(result, 'r1')} ms`);
  t.ok(result.receivers.every(({ isIdentical }) => isIdentical));
});

t.test('neither a fixed rate nor a slow source delays the digest pass much', async (t) => {
  const result = run({
    rateBytesPerSec: 100_000,
    sourceTimeMs: 10,
    receivers: [{ missingBlocks: [] }, {}],
  });
  t.ok(settledAtMs(result, 'r1') < soonMs, `${settledAtMs(result, 'r1')} ms`);
  t.ok(settledAtMs(result, 'r2') > 30_000);
});

t.test('many receivers that hold it complete before the one that does not', async (t) => {
  const held = Array.from({ length: 20 }, () => ({ missingBlocks: [] }));
  const result = run({ receiverCount: 21, receivers: [...held, { forwardLink: slowLink }] });
  for (let i = 1; i <= 20; i++) t.ok(settledAtMs(result, `r${i}`) < soonMs, `receiver ${i}`);
  t.ok(settledAtMs(result, 'r21') < Infinity);
});

t.test('a block is read at most once for the digest and once for sending', async (t) => {
  const reads = new Map<number, number>();
  let most = 0;
  const result = run({
    receivers: [{ missingBlocks: [] }, { forwardLink: slowLink }],
    wrapSender: (sender) => ({
      handleDatagram: (nowMs, from, bytes) => sender.handleDatagram(nowMs, from, bytes),
      handleTimeout: (nowMs) => sender.handleTimeout(nowMs),
      pollTransmit: (nowMs) => sender.pollTransmit(nowMs),
      pollTimeout: () => sender.pollTimeout(),
      pollEvent: () => {
        const event = sender.pollEvent();
        if (event?.type === 'need') {
          const count = (reads.get(event.block) ?? 0) + 1;
          reads.set(event.block, count);
          most = Math.max(most, count);
        }
        return event;
      },
    }),
  });
  t.ok(settledAtMs(result, 'r2') < Infinity);
  t.equal(most, 2);
});
