/** Several paths to one receiver: what they carry, when one dies, and what may go by a path that is not proven. */
import t from 'tap';
import { createRandom } from '../../src/base/random.js';
import { withoutUndefined } from '../../src/base/without-undefined.js';
import type { SessionReceiver } from '../../src/session/receiver.js';
import type { LinkOptions } from '../../src/simulator/link.js';
import { simulateSession } from '../../src/simulator/session-transfer.js';
import type {
  SimulatedPath,
  SimulatedSessionOptions,
} from '../../src/simulator/session-transfer-options.js';
import type { Passing } from '../../src/simulator/simulation.js';
import { decodeSession } from '../../src/wire/header.js';
import { leastChallengeDatagramBytes } from '../../src/wire/paths.js';

/** A path with this rate, and a queue of one round trip. */
function pathOf(mbitPerSec: number, rttMs: number, leastQueueBytes = 30_000): SimulatedPath {
  const rateBytesPerSec = mbitPerSec * 125_000;
  const queueLimitBytes = Math.max(leastQueueBytes, (rateBytesPerSec * rttMs) / 1000);
  const link: LinkOptions = { delayMs: rttMs / 2, rateBytesPerSec, queueLimitBytes };
  return { forwardLink: link, backwardLink: link };
}

/** The number of the path by which a datagram goes. */
function numberOf({ from, to }: Passing): number {
  const [, number = '0'] = /^10\.(\d)\./.exec(to) ?? /^10\.(\d)\./.exec(from) ?? [];
  return Number(number);
}

type Intercept = (passing: Passing) => readonly Uint8Array[];

function send(
  contentSizeBytes: number,
  [first, ...furtherPaths]: readonly SimulatedPath[],
  intercept?: Intercept,
  more: Pick<SimulatedSessionOptions, 'wrapReceiver' | 'namesAllAddresses'> = {},
) {
  const result = simulateSession({
    ...{ seed: 'paths', receiverCount: 1, contentSizeBytes, maxSteps: 2_000_000, ...first },
    ...(furtherPaths.length > 0 && { furtherPaths }),
    ...{ ...withoutUndefined({ intercept }), ...more },
  });
  const [settled] = result.settled;
  const [receiver] = result.receivers;
  return {
    isComplete: settled?.outcome.status === 'complete' && receiver?.isIdentical === true,
    mbitPerSec: contentSizeBytes / (settled?.atMs ?? Infinity) / 125,
    faults: { ...result.sender[0]?.faults },
    paths: settled?.outcome.paths ?? [],
    lossRatio: settled?.outcome.lossRatio ?? Infinity,
    datagramsLost: settled?.outcome.datagramsLost ?? Infinity,
    incomingPaths: receiver?.results[0]?.paths ?? [],
  };
}

function kindOf(bytes: Uint8Array): string {
  const packet = decodeSession(bytes);
  return typeof packet === 'string' ? packet : packet.kind;
}

for (const [paths, least] of [
  [[pathOf(100, 20), pathOf(100, 20)], 150],
  [[pathOf(100, 10), pathOf(20, 100)], 101],
] as const) {
  t.test(`two paths carry more than either of them could: ${least} Mbit/s`, (t) => {
    const { isComplete, faults, mbitPerSec, ...seen } = send(12_000_000, paths);
    t.ok(isComplete, 'complete');
    t.same(faults, {}, 'without faults');
    t.same(
      seen.paths.map(({ number, state, address }) => [number, state, address]),
      [
        [0, 'open', 'r1:7735'],
        [1, 'open', '10.1.0.2:7735'],
      ],
    );
    const bytes = seen.paths.reduce((sum, { receivedBytes }) => sum + receivedBytes, 0);
    t.ok(bytes > 11_000_000 && bytes < 13_000_000, `${bytes} bytes by all paths`);
    t.match(seen.incomingPaths, [
      { number: 0, from: String },
      { number: 1, from: '10.1.0.1:7735' },
    ]);
    const arrived = seen.incomingPaths.reduce((sum, { receivedBytes }) => sum + receivedBytes, 0);
    t.ok(arrived > 11_000_000 && arrived < 13_000_000, `${arrived} bytes have arrived`);
    t.ok(mbitPerSec > least, `${mbitPerSec.toFixed(0)} Mbit/s`);
    t.end();
  });
}

t.test('the loss of a receiver is not above those of its paths', (t) => {
  // What is in flight by a path that dies is repeated by the other one. Nobody knows whether it was lost.
  const paths = [pathOf(20, 20, 200_000), pathOf(20, 200, 600_000)];
  const { isComplete, lossRatio, datagramsLost, ...seen } = send(4_000_000, paths, (each) =>
    numberOf(each) === 1 && each.atMs >= 1000 ? [] : [each.bytes],
  );
  t.ok(isComplete);
  const each = seen.paths.map((path) => path.lossRatio);
  t.ok(lossRatio <= Math.max(...each), `${lossRatio} of ${each.join(' and ')}`);
  t.ok(lossRatio >= Math.min(...each));
  const sent = seen.paths.reduce((sum, { datagramsSent }) => sum + datagramsSent, 0);
  t.ok(datagramsLost <= lossRatio * sent, `${datagramsLost} of ${sent}`);
  t.end();
});

t.test('a session that begins by a slow path does not stay with it', (t) => {
  // In startup, both paths lose much.
  const { isComplete, mbitPerSec } = send(4_000_000, [
    pathOf(1, 10, 50_000),
    pathOf(20, 10, 50_000),
  ]);
  t.ok(isComplete);
  t.ok(mbitPerSec > 15, `${mbitPerSec} Mbit/s`);
  t.end();
});

t.test('messages and reports leave a slow path once a fast one is proven', (t) => {
  const paths = [pathOf(20, 300), pathOf(20, 10)];
  const provenAtMs = 1500;
  const slow: string[] = [];
  let fast = 0;
  const { isComplete } = send(8_000_000, paths, (each) => {
    const kind = kindOf(each.bytes);
    if (each.atMs < provenAtMs || kind === 'data') return [each.bytes];
    if (numberOf(each) === 1) fast++;
    else slow.push(`${kind} ${each.bytes.length}`);
    return [each.bytes];
  });
  t.ok(isComplete);
  t.ok(fast > 100, `${fast} by the fast path`);
  // The first path is kept alive.
  t.ok(slow.length <= 3, `${slow.length} by the slow path: ${slow.join(', ')}`);
  t.end();
});

for (const dead of [0, 1]) {
  t.test(`a session begins by any path that works: ${dead} is dead`, (t) => {
    const paths = [pathOf(20, 20), pathOf(20, 20)];
    const { isComplete, mbitPerSec } = send(
      ...[2_000_000, paths, (each: Passing) => (numberOf(each) === dead ? [] : [each.bytes])],
      { namesAllAddresses: true },
    );
    t.ok(isComplete);
    t.ok(mbitPerSec > 14, `${mbitPerSec} Mbit/s`);
    t.end();
  });
}

t.test('a session begins by the path that answers first', (t) => {
  const slowFirst = [pathOf(5, 300), pathOf(20, 10)];
  const alone = send(4_000_000, [pathOf(20, 10)]);
  const both = send(4_000_000, slowFirst, undefined, { namesAllAddresses: true });
  t.ok(both.mbitPerSec > alone.mbitPerSec, `${both.mbitPerSec} and ${alone.mbitPerSec} Mbit/s`);
  t.equal(both.paths[0]?.address, '10.1.0.2:7735', 'which is the first one from then on');
  t.end();
});

t.test('a receiver is found again by another path than that of the handshake', (t) => {
  // While it is away, the path of the handshake dies. Nothing else arrives for long enough to connect again.
  const { isComplete } = send(6_000_000, [pathOf(20, 20), pathOf(20, 20)], (each) => {
    const isAway = each.atMs >= 800 && each.atMs < 5000;
    return isAway || (numberOf(each) === 0 && each.atMs >= 800) ? [] : [each.bytes];
  });
  t.ok(isComplete);
  t.end();
});

t.test('a path carries no data before its other end has answered a challenge of full size', (t) => {
  const fullSizeBytes = 16 + 1400 + 16;
  const answered = new Set([0]);
  const latest = new Map<number, number>();
  let early = 0;
  const carried = new Set<number>();
  const challenges: number[] = [];
  const answers: number[] = [];
  const { isComplete } = send(
    4_000_000,
    [pathOf(50, 20), pathOf(50, 40), pathOf(50, 5)],
    (each) => {
      const number = numberOf(each);
      const isFromSender = /^sender|^10\.\d\.0\.1$/.test(each.from);
      if (kindOf(each.bytes) === 'data') {
        if (!answered.has(number)) early++;
        carried.add(number);
      } else if (kindOf(each.bytes) === 'control' && number > 0 && !answered.has(number)) {
        const { length } = each.bytes;
        if (isFromSender) latest.set(number, length);
        else if (latest.get(number) === fullSizeBytes) answered.add(number);
        (isFromSender ? challenges : answers).push(length);
      }
      return [each.bytes];
    },
  );
  t.ok(isComplete);
  t.equal(early, 0);
  t.same([...carried].sort(), [0, 1, 2], 'each path carries data');
  t.equal(challenges[0], leastChallengeDatagramBytes, 'the address need not be the receiver');
  t.ok(
    (answers[0] ?? Infinity) < Math.min(...challenges),
    'an answer is smaller than any challenge',
  );
  t.end();
});

t.test(
  'an address that never answers is given up, and gets only challenges, which are small',
  (t) => {
    let count = 0;
    const { isComplete } = send(8_000_000, [pathOf(8, 20), pathOf(8, 20)], (each) => {
      if (numberOf(each) === 0) return [each.bytes];
      // The handshake could have gone by any path.
      if (kindOf(each.bytes) === 'hello') return [];
      count++;
      t.equal(kindOf(each.bytes), 'control');
      t.equal(each.bytes.length, leastChallengeDatagramBytes, 'so that it is no target');
      return [];
    });
    t.ok(isComplete);
    t.ok(count > 1 && count <= 12, `${count} challenges`);
    t.end();
  },
);

t.test('data that names a path which was not challenged is counted, and not taken', (t) => {
  let watched: SessionReceiver | undefined;
  const forged = (each: Passing) => {
    if (kindOf(each.bytes) !== 'data') return [each.bytes];
    const other = each.bytes.slice();
    // The bits of the path in the flags.
    other[13] = (other[13] as number) | 6;
    return [other, each.bytes];
  };
  const wrapReceiver = (receiver: SessionReceiver) => {
    watched = receiver;
    return receiver;
  };
  const { isComplete } = send(500_000, [pathOf(20, 20)], forged, { wrapReceiver });
  const unproven = watched?.result().faults['unproven-path'] ?? 0;
  t.ok(isComplete);
  t.ok(unproven > 300, `${unproven} counted`);
  t.end();
});

for (const dead of [0, 1]) {
  t.test(`path ${dead} dies in the middle, and the other one carries on`, (t) => {
    const cutAtMs = 500;
    let lastAtMs = 0;
    let longestMs = 0;
    const paths = [pathOf(50, 20), pathOf(50, 20)];
    const { isComplete, mbitPerSec } = send(8_000_000, paths, (each) => {
      if (numberOf(each) === dead && each.atMs >= cutAtMs) return [];
      if (kindOf(each.bytes) === 'data') {
        if (each.atMs > cutAtMs) longestMs = Math.max(longestMs, each.atMs - lastAtMs);
        lastAtMs = each.atMs;
      }
      return [each.bytes];
    });
    t.ok(isComplete);
    t.ok(longestMs < 300, `no data for ${longestMs} ms`);
    t.ok(mbitPerSec > 40, `${mbitPerSec} Mbit/s`);
    t.end();
  });
}

t.test('a path that comes back is used again', (t) => {
  const after = [0, 0];
  const { isComplete } = send(12_000_000, [pathOf(50, 20), pathOf(50, 20)], (each) => {
    const number = numberOf(each);
    if (number === 0 && each.atMs >= 400 && each.atMs < 900) return [];
    if (kindOf(each.bytes) === 'data' && each.atMs > 1100) after[number] = (after[number] ?? 0) + 1;
    return [each.bytes];
  });
  t.ok(isComplete);
  const [first = 0, second = 0] = after;
  t.ok(first > second / 2, `${first} and ${second} datagrams`);
  t.end();
});

for (let seed = 1; seed <= 8; seed++) {
  t.test(`paths with loss, reordering and outages deliver everything: seed ${seed}`, (t) => {
    const random = createRandom(`paths ${seed}`, 'test');
    const pick = <T>(...values: T[]) => values[Math.floor(random() * values.length)] as T;
    const link = (): LinkOptions => ({
      delayMs: pick(0.2, 5, 50, 150) * random(),
      rateBytesPerSec: pick(1e5, 1e6, 1e7),
      queueLimitBytes: pick(20_000, 100_000),
      loss: { model: 'bernoulli', probability: pick(0, 0.02, 0.1) },
      jitterMs: pick(0, 5),
      duplicateProbability: pick(0, 0.02),
      corruptProbability: pick(0, 0.01),
    });
    const path = () => ({ forwardLink: link(), backwardLink: link() });
    // The first path stays until the session has begun, and one path lives.
    const dead = pick(0, 1);
    const fromMs = 2500 + random() * 1000;
    const untilMs = pick(Infinity, 6000);
    const result = simulateSession({
      ...{ seed: `paths ${seed}`, receiverCount: pick(1, 2), maxSteps: 2_000_000 },
      ...path(),
      contentSizeBytes: Math.floor(random() * pick(1e5, 1e6)) + 1,
      furtherPaths: Array.from({ length: pick(1, 2, 3) }, path),
      intercept: (each) =>
        numberOf(each) === dead && each.atMs >= fromMs && each.atMs < untilMs ? [] : [each.bytes],
    });
    t.ok(result.isAtRest);
    t.ok(result.receivers.every(({ isIdentical, isFalse }) => isIdentical && !isFalse));
    t.end();
  });
}
