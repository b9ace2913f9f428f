/** Which receivers of a session fail by the liveness timeout, in virtual time. */
import t from 'tap';
import { simulateSession } from '../../src/simulator/session-transfer.js';
import type {
  SessionIncident,
  SimulatedSessionResult,
} from '../../src/simulator/session-transfer-options.js';
import { sessionHeaderSizeBytes } from '../../src/wire/header.js';
import { digestSizeBytes, tagSizeBytes } from '../../src/wire/sizes.js';

const slowLink = { delayMs: 5, rateBytesPerSec: 100_000, queueLimitBytes: 30_000 };
const fastLink = { delayMs: 5 };

/** While the sender's first process runs, only the first of three receivers is reachable. */
const secondLife = (atMs: number): SessionIncident[] => [
  { atMs: 0, host: 1, fault: 'disconnect' },
  { atMs: 0, host: 2, fault: 'disconnect' },
  { atMs, host: 'sender', fault: 'kill' },
  { atMs: atMs + 1, host: 1, fault: 'reconnect' },
  { atMs: atMs + 1, host: 2, fault: 'reconnect' },
  { atMs: atMs + 2, host: 'sender', fault: 'start' },
];

const outcomeOf = ({ settled }: SimulatedSessionResult, name: string) =>
  settled.find(({ outcome }) => outcome.receiver === name)?.outcome;

const statusesOf = ({ settled }: SimulatedSessionResult) =>
  settled.map(({ outcome }) => outcome.status);

t.test('a receiver that holds everything does not fail while others take long', async (t) => {
  // The sender's second process has nothing to send to the first receiver.
  const run = simulateSession({
    seed: 'held by one',
    receiverCount: 3,
    contentSizeBytes: 4_000_000,
    livenessTimeoutMs: 3000,
    checkpointMs: 10,
    hasGroup: false,
    receivers: [{ forwardLink: fastLink }, { forwardLink: slowLink }, { forwardLink: slowLink }],
    incidents: secondLife(2900),
  });
  t.match(outcomeOf(run, 'r1'), { status: 'complete', receivedBytes: 0 });
  const elapsedMs = outcomeOf(run, 'r2')?.elapsedMs ?? 0;
  t.ok(elapsedMs > 24_000, 'the others take long compared to four times 3 s');
  t.same(statusesOf(run), ['complete', 'complete', 'complete']);
});

t.test(
  'a receiver that misses only the end does not fail while the group gets the beginning',
  async (t) => {
    // The first receiver gets about half of the object from the sender's first process.
    const run = simulateSession({
      seed: 'held in part',
      receiverCount: 3,
      contentSizeBytes: 4_000_000,
      livenessTimeoutMs: 3000,
      checkpointMs: 10,
      rateBytesPerSec: 100_000,
      hasGroup: true,
      forwardLink: fastLink,
      incidents: secondLife(24_000),
    });
    const first = outcomeOf(run, 'r1');
    const receivedBytes = first?.receivedBytes ?? 0;
    t.ok(
      receivedBytes > 1_000_000 && receivedBytes < 3_000_000,
      `${receivedBytes} bytes received by the second session`,
    );
    t.ok((first?.elapsedMs ?? 0) > 30_000, 'it waits for longer than four times 3 s');
    t.same(statusesOf(run), ['complete', 'complete', 'complete']);
  },
);

t.test('a sender that returns after its receivers timed out reaches them again', async (t) => {
  const run = simulateSession({
    seed: 'cut for long',
    receiverCount: 2,
    contentSizeBytes: 1_500_000,
    livenessTimeoutMs: 120_000,
    checkpointMs: 10,
    hasGroup: false,
    forwardLink: slowLink,
    incidents: [
      { atMs: 3000, host: 0, fault: 'disconnect' },
      // Longer than the receiver's timeout of 60 s: it expires just then, or some seconds earlier.
      { atMs: 63_100, host: 0, fault: 'reconnect' },
      { atMs: 3000, host: 1, fault: 'disconnect' },
      { atMs: 70_000, host: 1, fault: 'reconnect' },
    ],
  });
  for (const [i, { name, results, isIdentical }] of run.receivers.entries()) {
    t.match(
      results.map(({ status, reason }) => ({ status, reason })),
      [
        { status: 'failed', reason: /^no response from the sender for 60 s/ },
        { status: 'complete' },
      ],
      name,
    );
    t.ok(isIdentical);
    t.equal(outcomeOf(run, name)?.status, 'complete');
    const again = results[1]?.receivedBytes ?? 0;
    t.ok(
      again > 0 && again < 1_400_000,
      `${again} bytes received after the interruption, receiver ${i}`,
    );
  }
});

/** One receiver. `pass` filters the datagrams that the sender sends to it. */
function simulatePath(seed: string, pass: (nowMs: number, bytes: Uint8Array) => Uint8Array) {
  return simulateSession({
    seed,
    receiverCount: 1,
    contentSizeBytes: 300_000,
    livenessTimeoutMs: 1000,
    hasGroup: false,
    forwardLink: fastLink,
    wrapReceiver: (receiver) => ({
      handleDatagram: (nowMs, from, bytes) => {
        const passed = pass(nowMs, bytes);
        if (passed.length > 0) receiver.handleDatagram(nowMs, from, passed);
      },
      handleTimeout: (nowMs) => receiver.handleTimeout(nowMs),
      pollTransmit: () => receiver.pollTransmit(),
      pollTimeout: () => receiver.pollTimeout(),
      pollEvent: () => receiver.pollEvent(),
    }),
  });
}

t.test(
  'a receiver that answers but gets no data fails, and the reason says what was observed',
  async (t) => {
    const run = simulatePath('stuck', (nowMs, bytes) =>
      bytes.length < 1000 || nowMs < 20 ? bytes : bytes.subarray(0, 0),
    );
    const reason =
      /^no data has reached r1 for 1 s, although control messages have: .* fell below 1432 bytes; check/;
    t.match(run.settled, [{ outcome: { status: 'failed', reason } }]);
  },
);

t.test('a receiver that answers but never gets the digest fails later', async (t) => {
  // The kind, the digest, and that no entry is withdrawn.
  const rootSizeBytes = sessionHeaderSizeBytes + 1 + digestSizeBytes + 1 + tagSizeBytes;
  const run = simulatePath('never verified', (_, bytes) =>
    bytes.length === rootSizeBytes ? bytes.subarray(0, 0) : bytes,
  );
  const reason = 'answers, but has made no progress for 4 s';
  t.match(run.settled, [{ outcome: { status: 'failed', reason } }]);
});

t.test('a receiver that dies holds up the others for less than a second', async (t) => {
  const run = (incidents: SessionIncident[]) =>
    simulateSession({
      ...{ seed: 'died', receiverCount: 3, contentSizeBytes: 4_000_000, hasGroup: true },
      forwardLink: { delayMs: 5, rateBytesPerSec: 2_000_000, queueLimitBytes: 50_000 },
      ...{ livenessTimeoutMs: 3000, incidents },
    });
  const lastMs = (result: SimulatedSessionResult) =>
    Math.max(...['r2', 'r3'].map((name) => outcomeOf(result, name)?.elapsedMs ?? Infinity));
  const deathMs = lastMs(run([{ atMs: 1500, host: 0, fault: 'kill' }])) - lastMs(run([]));
  t.ok(deathMs < 1000, `${deathMs} ms later`);
});

t.test(
  'a receiver that was out of reach for a while is served again with the others',
  async (t) => {
    const run = simulateSession({
      ...{ seed: 'paused', receiverCount: 3, contentSizeBytes: 4_000_000, hasGroup: true },
      forwardLink: { delayMs: 5, rateBytesPerSec: 2_000_000, queueLimitBytes: 50_000 },
      incidents: [
        { atMs: 1200, host: 0, fault: 'disconnect' },
        { atMs: 2200, host: 0, fault: 'reconnect' },
      ],
    });
    t.same(statusesOf(run), ['complete', 'complete', 'complete']);
  },
);
