/** Receivers that join and leave a running session (SESSIONS 3.16), in virtual time. */
import t from 'tap';
import { createRandom } from '../../src/base/random.js';
import { Connections } from '../../src/session/outgoing/connections.js';
import type { SessionMember } from '../../src/session/outgoing/member.js';
import { simulateSession } from '../../src/simulator/session-transfer.js';
import type {
  SimulatedReceiverOptions,
  SimulatedSessionOptions,
  SimulatedSessionResult,
} from '../../src/simulator/session-transfer-options.js';
import type { RateGroup } from '../../src/transfer/groups/rate-group.js';
import { RateGroups } from '../../src/transfer/groups/rate-groups.js';
import { replace } from '../support/planted-fault.js';

const slowLink = { delayMs: 2, rateBytesPerSec: 150_000, queueLimitBytes: 64_000 };

/** A session that the first receiver's slow link keeps running for a while. */
function run(
  receivers: readonly SimulatedReceiverOptions[],
  options: Partial<SimulatedSessionOptions> = {},
): SimulatedSessionResult {
  return simulateSession({
    seed: 'members',
    receiverCount: receivers.length,
    contentSizeBytes: 1_200_000,
    forwardLink: { delayMs: 2 },
    backwardLink: { delayMs: 2 },
    livenessTimeoutMs: 2000,
    deadlineMs: 200_000,
    ...options,
    receivers,
  });
}

/** Joins and leaves at random moments, with loss. @returns what is wrong with the result */
function complaintsOfScenario(number: number): string[] {
  const random = createRandom(`membership ${number}`);
  const chance = (probability: number) => random() < probability;
  const loss = { model: 'bernoulli', probability: chance(0.3) ? 0 : 0.2 * random() } as const;
  const late = Array.from({ length: 1 + Math.floor(6 * random()) }, () => {
    const joinAtMs = chance(0.2) ? 0 : 6000 * random();
    return {
      joinAtMs,
      ...(chance(0.3) ? { leaveAtMs: joinAtMs + 2000 * random() } : {}),
      forwardLink: { delayMs: 20 * random(), loss },
      backwardLink: { delayMs: 20 * random(), loss },
    };
  });
  const receivers: readonly SimulatedReceiverOptions[] = [{ forwardLink: slowLink }, ...late];
  const result = run(receivers, {
    seed: `membership ${number}`,
    hasGroup: chance(0.5),
    groupReaches: (receiver) => receiver % 3 !== 2,
    livenessTimeoutMs: 3000,
  });
  const complaints = result.isAtRest ? [] : ['not at rest'];
  const outcomes = new Map(result.sender[0]?.receivers.map((each) => [each.receiver, each]));
  for (const [i, { leaveAtMs }] of receivers.entries()) {
    const name = `r${i + 1}`;
    const status = outcomes.get(name)?.status;
    const { isIdentical = false, isFalse = true } = result.receivers[i] ?? {};
    if (isFalse || (status === 'complete') !== isIdentical) complaints.push(`${name}: ${status}`);
    const isRight = status === 'complete' || (status === 'aborted' && leaveAtMs !== undefined);
    if (!isRight) complaints.push(`${name}: ${status} (${outcomes.get(name)?.reason})`);
  }
  return complaints;
}

t.test('receivers join and leave at random moments', (t) => {
  for (let number = 1; number <= 10; number++)
    t.same(complaintsOfScenario(number), [], `scenario ${number}`);
  t.end();
});

t.test('a receiver that joins when the digest is known catches up', (t) => {
  for (const hasGroup of [false, true]) {
    const { settled, receivers } = run(
      [{ forwardLink: slowLink }, {}, { joinAtMs: 4000 }, { joinAtMs: 4000 }],
      { hasGroup },
    );
    const atMs = new Map(settled.map((each) => [each.outcome.receiver, each.atMs]));
    t.ok((atMs.get('r2') ?? Infinity) < 4000, `the second is complete at ${atMs.get('r2')} ms`);
    for (const name of ['r3', 'r4']) {
      const joinedForMs = (atMs.get(name) ?? Infinity) - 4000;
      t.ok(joinedForMs < 2000, `${name} is complete ${joinedForMs} ms after it joined`);
    }
    t.ok((atMs.get('r1') ?? 0) > 6000, 'the slow one is last');
    t.ok(receivers.every(({ isIdentical }) => isIdentical));
  }
  t.end();
});

t.test('a receiver that leaves is told why, and the others go on', (t) => {
  const { sender, receivers } = run([{}, { forwardLink: slowLink, leaveAtMs: 1000 }]);
  t.same(
    sender[0]?.receivers.map(({ status, reason }) => [status, reason]),
    [
      ['complete', undefined],
      ['aborted', 'is no longer needed'],
    ],
  );
  t.match(receivers[1]?.results, [{ status: 'failed', reason: /is no longer needed/ }]);
  t.end();
});

t.test('however many receivers join, they share the reports per second', (t) => {
  const late = Array.from({ length: 60 }, (_, i) => ({ joinAtMs: 500 + 50 * i }));
  const { maxReportsPerSec, receivers } = run([{ forwardLink: slowLink }, ...late], {
    reportsPerSec: 100,
  });
  t.ok(maxReportsPerSec <= 150, `${maxReportsPerSec} reports in a second`);
  t.ok(receivers.every(({ isIdentical }) => isIdentical));
  t.end();
});

t.test('numbers are not used again, and nobody joins a session that has ended', (t) => {
  const numbers: number[] = [];
  let join = (): number => 0;
  run([{ forwardLink: slowLink }, { joinAtMs: 500, leaveAtMs: 700 }, { joinAtMs: 1000 }], {
    wrapSender: (sender) => {
      join = () => sender.join(0, { name: 'late', address: { host: '192.0.2.1', port: 7735 } });
      const { pollEvent } = sender;
      return Object.assign(sender, {
        pollEvent: () => {
          const event = pollEvent.call(sender);
          if (event?.type === 'identify') numbers.push(event.index);
          return event;
        },
      });
    },
  });
  t.same(numbers, [0, 1, 2]);
  t.throws(join, { code: 'INVALID_ARGUMENT', message: /the session has ended/ });
  t.end();
});

function notices(what: string, plant: () => () => void): void {
  t.test(`the checks notice ${what}`, (t) => {
    const restore = plant();
    try {
      const complaints: string[] = [];
      for (let number = 1; number <= 30 && complaints.length === 0; number++)
        complaints.push(...complaintsOfScenario(number));
      t.ok(complaints.length > 0, 'a complaint');
    } finally {
      restore();
    }
    t.end();
  });
}

notices('a late receiver whose silence counts from the beginning', () =>
  replace(
    Connections.prototype as unknown as { begin: Connections['join'] },
    'begin',
    (atMs: number, { requests }: SessionMember) => requests.scheduleAt(atMs),
  ),
);

notices('a rate group that never serves receivers that join late', () =>
  replace(RateGroups.prototype, 'measure', function (this: RateGroups, rateGroup: RateGroup) {
    const { demands } = this['options'];
    rateGroup.measure(demands.filter(({ index, isServed }) => index === 0 && isServed));
  }),
);
