/** Hosts whose address changes in the middle of a session, and others who pretend that one has (SESSIONS 3.18). */
import t from 'tap';
import type { Address } from '../../src/base/address.js';
import type { Machine } from '../../src/base/machine.js';
import { createRandom } from '../../src/base/random.js';
import type { SessionReceiver } from '../../src/session/receiver.js';
import type { LinkOptions } from '../../src/simulator/link.js';
import { simulateSession } from '../../src/simulator/session-transfer.js';
import type {
  SessionIncident,
  SimulatedSessionOptions,
} from '../../src/simulator/session-transfer-options.js';
import type { Passing } from '../../src/simulator/simulation.js';
import { decodeSession } from '../../src/wire/header.js';

type Options = Partial<SimulatedSessionOptions>;

function linkOf(mbitPerSec: number, rttMs: number, lossRatio = 0): LinkOptions {
  const rateBytesPerSec = mbitPerSec * 125_000;
  const queueLimitBytes = Math.max(50_000, (rateBytesPerSec * rttMs) / 1000);
  const loss = { model: 'bernoulli', probability: lossRatio } as const;
  return { delayMs: rttMs / 2, rateBytesPerSec, queueLimitBytes, loss };
}

function moves(host: SessionIncident['host'], ...times: number[]): SessionIncident[] {
  return times.map((atMs) => ({ atMs, host, fault: 'move' }));
}

function isData({ bytes }: Pick<Passing, 'bytes'>): boolean {
  const packet = decodeSession(bytes);
  return typeof packet !== 'string' && packet.kind === 'data';
}

/** Runs a session, and measures for how long no data arrived at the address that the first receiver then had. */
function send(seed: string, link: LinkOptions, incidents: SessionIncident[], more: Options = {}) {
  let longestMs = 0;
  let lastAtMs = Infinity;
  const result = simulateSession({
    ...{ seed, receiverCount: 1, contentSizeBytes: 4_000_000, maxSteps: 3_000_000 },
    ...{ forwardLink: link, backwardLink: link, incidents },
    intercept: (each) => {
      const moved = incidents.filter(({ atMs, host }) => host === 0 && atMs <= each.atMs).length;
      const own = moved === 0 ? 'r1' : `r1-${moved}`;
      if (each.to === own && isData(each)) {
        longestMs = Math.max(longestMs, each.atMs - lastAtMs);
        lastAtMs = each.atMs;
      }
      return [each.bytes];
    },
    ...more,
  });
  const [outcome] = result.settled.map((each) => each.outcome);
  return {
    isComplete:
      result.isAtRest &&
      result.receivers.every(({ isIdentical, isFalse }) => isIdentical && !isFalse),
    isSettled: result.settled.every((each) => each.outcome.status === 'complete'),
    faults: { ...result.sender[0]?.faults },
    paths: outcome?.paths ?? [],
    settledMs: Math.max(...result.settled.map(({ atMs }) => atMs)),
    longestMs,
  };
}

for (const rttMs of [1, 20, 150]) {
  for (const atMs of [400, 717]) {
    t.test(`a receiver moves after ${atMs} ms, with a round trip of ${rttMs} ms`, (t) => {
      const seen = send('moves', linkOf(20, rttMs), moves(0, 1000 + atMs));
      t.ok(seen.isComplete && seen.isSettled);
      t.same(seen.faults, {});
      t.ok(seen.longestMs < 100 + 6 * rttMs, `no data for ${seen.longestMs} ms`);
      t.match(seen.paths, [
        { number: 0, address: 'r1:7735' },
        { number: 1, address: 'r1-1:7735', state: 'open', isInUse: true },
      ]);
      t.equal(seen.paths.length, 2);
      t.end();
    });
  }
}

t.test(
  'the sender learns nothing of a move that cuts off the last report, until the receiver speaks',
  (t) => {
    const movedAtMs = 1500;
    // Nothing arrives from the receiver for a while after its move.
    const seen = send('moves', linkOf(20, 20), moves(0, movedAtMs), {
      intercept: (each) =>
        each.from === 'r1-1' && each.atMs < movedAtMs + 100 ? [] : [each.bytes],
    });
    t.ok(seen.isComplete && seen.isSettled);
    const alone = send('moves', linkOf(20, 20), []);
    t.ok(seen.settledMs < alone.settledMs + 1500, `${seen.settledMs} and ${alone.settledMs} ms`);
    t.end();
  },
);

t.test('a receiver can move more often than there are numbers of paths', (t) => {
  const times = Array.from({ length: 8 }, (_, i) => 800 + 700 * i);
  const seen = send('moves', linkOf(8, 20), moves(0, ...times), { contentSizeBytes: 8_000_000 });
  t.ok(seen.isComplete && seen.isSettled);
  t.same(seen.faults, {});
  t.equal(seen.paths.length, 4);
  t.ok(
    seen.paths.some(({ address }) => address === 'r1-8:7735'),
    seen.paths.map(({ address }) => address).join(' '),
  );
  t.ok(seen.longestMs < 700, `no data for ${seen.longestMs} ms`);
  t.end();
});

t.test('the old address is left alone after a while', (t) => {
  let lastAtMs = 0;
  const seen = send('moves', linkOf(4, 20), moves(0, 1000), {
    contentSizeBytes: 16_000_000,
    intercept: (each) => {
      if (each.to === 'r1') lastAtMs = each.atMs;
      return [each.bytes];
    },
  });
  t.ok(seen.isComplete && seen.isSettled);
  t.equal(seen.paths[0]?.state, 'closed');
  t.ok(lastAtMs < 15_000 && seen.settledMs > 25_000, `${lastAtMs} of ${seen.settledMs} ms`);
  t.end();
});

t.test('a sender moves', (t) => {
  const seen = send('moves', linkOf(20, 20), moves('sender', 1500, 2000));
  t.ok(seen.isComplete && seen.isSettled);
  t.same(seen.faults, {});
  t.ok(seen.longestMs < 300, `no data for ${seen.longestMs} ms`);
  t.end();
});

for (const atMs of [100, 160, 250]) {
  t.test(`a receiver moves before its accept has arrived, after ${atMs} ms`, (t) => {
    let offeredAtMs = Infinity;
    const seen = send('moves', linkOf(20, 20), moves(0, atMs), {
      intercept: (each) => {
        if (each.to === 'r1' && isControl(each.bytes))
          offeredAtMs = Math.min(offeredAtMs, each.atMs);
        return each.from === 'r1' && isControl(each.bytes) ? [] : [each.bytes];
      },
    });
    t.ok(seen.isComplete && seen.isSettled);
    t.ok(offeredAtMs + 10 < atMs, `the offer was there, sent after ${offeredAtMs} ms`);
    t.match(seen.paths, [{}, { address: 'r1-1:7735', state: 'open', isInUse: true }]);
    t.ok(seen.settledMs < 4000, `complete after ${seen.settledMs} ms`);
    t.end();
  });
}

t.test('receivers that share blocks move, and the others go on', (t) => {
  for (const hasGroup of [false, true]) {
    const link = linkOf(20, 20);
    const incidents = [...moves(0, 1500), ...moves(3, 1510), ...moves(3, 2200)];
    const seen = send('moves', link, incidents, { receiverCount: 5, hasGroup });
    t.ok(seen.isComplete && seen.isSettled, `multicast ${hasGroup}`);
  }
  t.end();
});

t.test('a receiver that learns of its move says so at once', (t) => {
  let machine: SessionReceiver | undefined;
  const sentAtMs: number[] = [];
  const { isComplete } = send('moves', linkOf(20, 20), [], {
    wrapReceiver: (receiver) => {
      machine = receiver;
      return receiver;
    },
    intercept: (each) => {
      // Nothing arrives, so there is nothing else to say.
      if (each.atMs < 1500 || each.atMs > 3000) return [each.bytes];
      if (each.from === 'r1') sentAtMs.push(each.atMs);
      if (each.atMs > 1600 && sentAtMs.length > 0 && machine !== undefined) {
        const before = machine.pollTransmit();
        machine.handleMove(each.atMs);
        t.equal(before, undefined);
        t.ok(machine.pollTransmit() !== undefined);
        machine = undefined;
      }
      return [];
    },
  });
  t.ok(isComplete);
  t.equal(machine, undefined);
  t.end();
});

for (let seed = 1; seed <= 12; seed++) {
  t.test(`hosts move while datagrams are lost: seed ${seed}`, (t) => {
    const random = createRandom(`moves ${seed}`, 'test');
    const pick = <T>(...values: T[]) => values[Math.floor(random() * values.length)] as T;
    const link = linkOf(pick(2, 10, 50), pick(1, 20, 200), pick(0, 0.02, 0.1));
    const receiverCount = pick(1, 1, 3);
    // If both sides moved at the same time, neither would find the other.
    const movesSender = random() < 0.3;
    const receivers = Array.from({ length: receiverCount }, () => ({
      movesAfterMs: Array.from(
        { length: movesSender ? 0 : pick(0, 1, 3, 6) },
        () => random() * 3000,
      ),
    }));
    const ofSender = Array.from({ length: movesSender ? 3 : 0 }, () => 200 + random() * 4000);
    const seen = send(`moves ${seed}`, link, moves('sender', ...ofSender), {
      ...{ receiverCount, receivers, hasGroup: pick(true, false) },
      contentSizeBytes: Math.floor(random() * 3e6) + 1,
    });
    t.ok(seen.isComplete && seen.isSettled);
    t.end();
  });
}

// --- Others who pretend

const mallory = { host: 'mallory', port: 7735 };

/** Passes what a machine gets through `disturb`, and counts what it sends to mallory. */
function disturbed<M extends Machine<E>, E>(
  machine: M,
  disturb: (nowMs: number, from: Address, bytes: Uint8Array) => void,
  seen: { sentBytes: number; sentCount: number },
): Machine<E> {
  return {
    handleDatagram: (nowMs, from, bytes) => disturb(nowMs, from, bytes),
    handleTimeout: (nowMs) => machine.handleTimeout(nowMs),
    pollTransmit: (nowMs) => {
      const transmit = machine.pollTransmit(nowMs);
      if (transmit?.to.host === 'mallory') {
        seen.sentBytes += transmit.bytes.length;
        seen.sentCount++;
      }
      return transmit;
    },
    pollTimeout: () => machine.pollTimeout(),
    pollEvent: () => machine.pollEvent(),
  };
}

function isControl(bytes: Uint8Array): boolean {
  const packet = decodeSession(bytes);
  return typeof packet !== 'string' && packet.kind === 'control';
}

for (const host of ['sender', 'receiver'] as const) {
  const wrapAs = (wrap: <M extends Machine<E>, E>(machine: M) => Machine<E>): Options =>
    host === 'sender' ? { wrapSender: wrap } : { wrapReceiver: wrap };

  t.test(`somebody without keys moves nobody: ${host}`, (t) => {
    const seen = { sentBytes: 0, sentCount: 0 };
    let receiver: SessionReceiver | undefined;
    const { isComplete, isSettled, faults, paths } = send('moves', linkOf(20, 20), [], {
      ...wrapAs((machine) => {
        if (host === 'receiver') receiver = machine as unknown as SessionReceiver;
        return disturbed(
          machine,
          (nowMs, from, bytes) => {
            machine.handleDatagram(nowMs, from, bytes);
            if (!isControl(bytes)) return;
            const changed = bytes.slice();
            changed[changed.length - 1] = (changed.at(-1) as number) ^ 1;
            // A number that was not used yet.
            changed[12] = 0x7f;
            machine.handleDatagram(nowMs, mallory, bytes);
            machine.handleDatagram(nowMs, mallory, changed);
          },
          seen,
        );
      }),
    });
    t.ok(isComplete && isSettled);
    t.equal(seen.sentCount, 0);
    t.same(paths, []);
    const { forged = 0, replayed = 0 } = receiver?.result().faults ?? faults;
    t.ok(forged > 0 && replayed > 0, `${forged} forged, ${replayed} replayed`);
    t.end();
  });

  t.test(`who is faster than the network gets little: ${host}`, (t) => {
    const seen = { sentBytes: 0, sentCount: 0 };
    let copiedBytes = 0;
    const random = createRandom('faster', host);
    const { isComplete, isSettled } = send('moves', linkOf(20, 20), [], {
      // A sender polls where no reports come.
      intercept: (each) =>
        each.from === 'r1' && Math.floor(each.atMs / 150) % 2 === 1 ? [] : [each.bytes],
      ...wrapAs((machine) =>
        disturbed(
          machine,
          (nowMs, from, bytes) => {
            const isCopied = isControl(bytes) && nowMs > 500 && random() < 0.5;
            if (isCopied) {
              copiedBytes += bytes.length;
              machine.handleDatagram(nowMs, mallory, bytes);
            }
            machine.handleDatagram(nowMs, from, bytes);
          },
          seen,
        ),
      ),
    });
    t.ok(isComplete && isSettled);
    t.ok(copiedBytes > 0 && seen.sentCount > 0, `${seen.sentCount} for ${copiedBytes} bytes`);
    t.ok(seen.sentBytes <= 3 * copiedBytes, `${seen.sentBytes} for ${copiedBytes} bytes`);
    t.end();
  });
}
