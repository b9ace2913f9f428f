/** Receivers that keep blocks without reading them: what is read, sent and verified then. */
import t from 'tap';
import type { Range } from '../../src/base/range-set.js';
import { simulateSession } from '../../src/simulator/session-transfer.js';
import type { SimulatedSessionOptions } from '../../src/simulator/session-transfer-options.js';

t.jobs = 4;

/** 40 blocks of 2,000 bytes. */
const content = { mssBytes: 504, blockSizeBytes: 2000, contentSizeBytes: 80_000 };
const all: readonly Range[] = [{ start: 0, end: 1000 }];

/** Runs a session and notes which blocks of the content the sender read. */
function run(options: Omit<SimulatedSessionOptions, 'contentSizeBytes'>) {
  const read: number[] = [];
  let manifestBlocks = 0;
  const result = simulateSession({
    ...content,
    ...options,
    watchesNonces: true,
    wrapSender: (sender) => {
      manifestBlocks = sender.geometry.manifestBlockCount;
      return {
        handleDatagram: (...args) => sender.handleDatagram(...args),
        handleTimeout: (nowMs) => sender.handleTimeout(nowMs),
        pollTransmit: (nowMs) => sender.pollTransmit(nowMs),
        pollTimeout: () => sender.pollTimeout(),
        pollEvent: () => {
          const event = sender.pollEvent();
          if (event?.type === 'need') read.push(event.block - manifestBlocks);
          return event;
        },
      };
    },
  });
  return { ...result, read: [...new Set(read)].sort((a, b) => a - b) };
}

function isComplete({ receivers, settled }: ReturnType<typeof run>): boolean {
  return (
    receivers.every(({ isIdentical, isFalse }) => isIdentical && !isFalse) &&
    settled.every(({ outcome }) => outcome.status === 'complete')
  );
}

t.test('what all receivers keep is neither read nor sent', (t) => {
  const result = run({ seed: 'all', receiverCount: 3, keptBlocks: all });
  t.ok(isComplete(result));
  t.strictSame(result.read, []);
  t.equal(result.sender[0]?.datagramsSent, 0);
  t.equal(result.sender[0]?.contentRoot, undefined, 'not all of the content was read');
  for (const receiver of result.receivers) t.equal(receiver.results[0]?.contentRoot, undefined);
  t.equal(result.nonceReuses, 0);
  t.end();
});

t.test('what some receiver needs is read, once, and sent to that receiver alone', (t) => {
  const result = run({
    seed: 'some',
    receiverCount: 3,
    receivers: [
      { keptBlocks: [{ start: 0, end: 10 }] },
      { keptBlocks: all },
      { keptBlocks: [{ start: 0, end: 20 }] },
    ],
  });
  t.ok(isComplete(result));
  t.strictSame(
    result.read,
    Array.from({ length: 30 }, (_, i) => 10 + i),
  );
  const received = result.settled.map(({ outcome }) => [outcome.receiver, outcome.receivedBytes]);
  t.strictSame(Object.fromEntries(received), { r1: 60_000, r2: 0, r3: 40_000 });
  t.end();
});

t.test('blocks that a receiver holds are verified, those that it keeps are not', (t) => {
  const result = run({
    seed: 'held',
    receiverCount: 1,
    missingBlocks: [7],
    keptBlocks: [
      { start: 0, end: 5 },
      { start: 30, end: 40 },
    ],
  });
  t.ok(isComplete(result));
  t.strictSame(
    result.read,
    Array.from({ length: 25 }, (_, i) => 5 + i),
  );
  t.equal(result.settled[0]?.outcome.receivedBytes, 2000);
  t.end();
});

t.test('a receiver that starts late and keeps nothing gets everything', (t) => {
  const result = run({
    seed: 'late',
    receiverCount: 2,
    livenessTimeoutMs: 30_000,
    incidents: [
      { atMs: 1, host: 1, fault: 'kill' },
      { atMs: 5000, host: 1, fault: 'start' },
    ],
    receivers: [{ keptBlocks: all, forwardLink: { delayMs: 5 } }, {}],
  });
  t.ok(isComplete(result));
  t.equal(result.read.length, 40);
  const roots = result.receivers.map(({ results }) => results[0]?.contentRoot);
  t.strictSame(roots, [undefined, result.sender[0]?.contentRoot]);
  const [first, second] = result.settled;
  t.match([first?.outcome.receiver, second?.outcome.receiver], ['r1', 'r2']);
  t.ok((first?.atMs ?? Infinity) < 5000, 'the other one does not wait for it');
  t.end();
});

t.test('lists of what is kept survive loss, restarts and lost connections', (t) => {
  const alternating = Array.from({ length: 20 }, (_, i) => ({ start: 2 * i, end: 2 * i + 1 }));
  for (let seed = 0; seed < 20; seed++) {
    const lossy = { delayMs: 5, loss: { model: 'bernoulli', probability: 0.2 } } as const;
    const result = run({
      seed: `list ${seed}`,
      receiverCount: 3,
      hasGroup: true,
      forwardLink: lossy,
      backwardLink: lossy,
      incidents: [
        { atMs: 20 * seed, host: 0, fault: 'disconnect' },
        { atMs: 20 * seed + 2500, host: 0, fault: 'reconnect' },
        { atMs: 15 * seed, host: 1, fault: 'kill' },
        { atMs: 15 * seed + 300, host: 1, fault: 'start' },
      ],
      receivers: [{ keptBlocks: alternating }, { keptBlocks: alternating }, {}],
    });
    t.ok(isComplete(result), `seed ${seed}`);
    t.equal(result.nonceReuses, 0);
  }
  t.end();
});

t.test('a list of very many ranges is announced in parts', (t) => {
  const keptBlocks = Array.from({ length: 1500 }, (_, i) => ({ start: 2 * i, end: 2 * i + 1 }));
  const result = run({
    seed: 'long',
    receiverCount: 1,
    mssBytes: 64,
    blockSizeBytes: 48,
    keptBlocks,
    forwardLink: { delayMs: 1, loss: { model: 'bernoulli', probability: 0.1 } },
    backwardLink: { delayMs: 1, loss: { model: 'bernoulli', probability: 0.1 } },
  });
  t.ok(isComplete(result));
  t.equal(result.read.length, 833, 'every second one of the 1,667 blocks is kept');
  t.end();
});
