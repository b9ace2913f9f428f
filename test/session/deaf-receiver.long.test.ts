/** A receiver that gets control messages but no data does not delay the others. */
import t from 'tap';
import { simulateSession } from '../../src/simulator/session-transfer.js';
import type { SimulatedSessionResult } from '../../src/simulator/session-transfer-options.js';
import { sessionField, sessionKind } from '../../src/wire/header.js';
import { type Passing, SessionWire, type WireOptions } from '../support/session-wire.js';

const livenessTimeoutMs = 3000;

function isData(bytes: Uint8Array): boolean {
  const kind = bytes[sessionField.kind];
  return kind === sessionKind.data || kind === sessionKind.taggedData;
}

/** Drops all data to these receivers from a given time on. */
function swallow(deaf: readonly number[], fromMs = 0) {
  return ({ to, bytes, atMs }: Passing): readonly Uint8Array[] =>
    typeof to === 'number' && deaf.includes(to) && atMs >= fromMs && isData(bytes) ? [] : [bytes];
}

function run(deaf: readonly number[], options: WireOptions & { fromMs?: number }) {
  const { fromMs, ...rest } = options;
  return new SessionWire({
    receiverCount: 2,
    sizeBytes: 3_000_000,
    ...rest,
    sender: { livenessTimeoutMs, ...rest.sender },
    attack: swallow(deaf, fromMs),
  }).run();
}

for (const hasGroup of [false, true]) {
  const by = hasGroup ? 'by multicast' : 'by unicast';
  for (const [what, deaf, receiverCount, fromMs] of [
    ['one of two', [1], 2, 0],
    ['one of two, from midway', [1], 2, 20],
    ['two of three', [0, 2], 3, 0],
    ['three of eight', [1, 2, 5], 8, 0],
  ] as const) {
    t.test(`${what}, ${by}`, async (t) => {
      const wire = run(deaf, { hasGroup, receiverCount, fromMs });
      for (const { index, isIdentical } of wire.receivers) {
        const outcome = wire.outcomeOf(index);
        const isDeaf = (deaf as readonly number[]).includes(index);
        t.equal(
          outcome?.status,
          isDeaf ? 'failed' : 'complete',
          `receiver ${index}: ${outcome?.reason}`,
        );
        if (isDeaf) {
          const reason =
            /no data has reached r\d for 3 s, although control messages have: a filter /;
          t.match(outcome?.reason, reason);
          t.match(wire.receivers[index]?.results, [{ status: 'failed', reason }], 'at once');
        } else t.ok(isIdentical);
        if (!isDeaf)
          t.ok(
            (outcome?.elapsedMs ?? Infinity) < 2 * livenessTimeoutMs,
            `${outcome?.elapsedMs} ms`,
          );
        else
          t.ok(
            (outcome?.elapsedMs ?? Infinity) < livenessTimeoutMs + 2000,
            `${outcome?.elapsedMs} ms`,
          );
      }
    });
  }
}

t.test('receivers that multicast reaches no more, from midway, get the rest by unicast', (t) => {
  const wire = new SessionWire({ receiverCount: 3, sizeBytes: 3_000_000, hasGroup: true });
  wire.run(20);
  wire.cutMulticast();
  wire.run();
  const { groupDatagramsSent = 0 } = wire.result ?? {};
  const half = wire.content.length / 200 / 2;
  t.ok(groupDatagramsSent > 0 && groupDatagramsSent < half, `${groupDatagramsSent} by multicast`);
  for (const { index, isIdentical } of wire.receivers) {
    const outcome = wire.outcomeOf(index);
    t.equal(outcome?.status, 'complete', `${outcome?.reason}`);
    t.ok(isIdentical);
    t.ok((outcome?.elapsedMs ?? Infinity) < 2000, `${outcome?.elapsedMs} ms`);
  }
  t.end();
});

/** Sends 6 MB at 3 MB/s to two receivers; large datagrams to the second one are dropped for a while. */
function sendAtRate(hasGroup: boolean, deafFromMs = Infinity, deafToMs = Infinity) {
  return simulateSession({
    seed: 'a share of the rate',
    receiverCount: 2,
    contentSizeBytes: 6_000_000,
    rateBytesPerSec: 3_000_000,
    hasGroup,
    livenessTimeoutMs: 10_000,
    forwardLink: { delayMs: 5 },
    backwardLink: { delayMs: 5 },
    intercept: ({ to, bytes, atMs }) => {
      const isDropped = to === 'r2' && bytes.length > 1000 && atMs >= deafFromMs && atMs < deafToMs;
      return isDropped ? [] : [bytes];
    },
  });
}

/** When a receiver had its outcome at the sender. */
function endOf({ settled }: SimulatedSessionResult, receiver: string): number {
  return settled.find(({ outcome }) => outcome.receiver === receiver)?.atMs ?? Infinity;
}

for (const hasGroup of [false, true]) {
  const by = hasGroup ? 'by multicast' : 'by unicast';
  t.test(`a receiver that data no longer reaches gives up its share of the rate, ${by}`, (t) => {
    const deafFromMs = 500;
    const result = sendAtRate(hasGroup, deafFromMs);
    // Until then, each of two receivers by unicast gets half of the rate.
    const leastMs = hasGroup ? endOf(sendAtRate(true), 'r1') : 2000 + deafFromMs / 2;
    const endMs = endOf(result, 'r1');
    t.ok(endMs < 1.15 * leastMs, `${endMs.toFixed()} ms instead of at least ${leastMs.toFixed()}`);
    t.match(result.settled.at(-1)?.outcome, {
      ...{ receiver: 'r2', status: 'failed' },
      reason:
        /^no data has reached r2 for 10 s, although control messages have: a filter drops data/,
    });
    const { repairs = Infinity } = result.sender.at(-1) ?? {};
    t.ok(repairs < 500, `${repairs} repairs`);
    t.end();
  });

  t.test(`such a receiver gets its share again once data arrives, ${by}`, (t) => {
    const deafToMs = 1300;
    const result = sendAtRate(hasGroup, 500, deafToMs);
    t.ok(result.receivers.every(({ isIdentical }) => isIdentical));
    // Once a probe has arrived, what it misses is sent at half of the rate, then at all of it.
    const endMs = endOf(result, 'r2');
    t.ok(endMs < 1.15 * 4000, `${endMs.toFixed()} ms`);
    t.end();
  });
}
