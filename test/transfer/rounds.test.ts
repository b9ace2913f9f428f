/** Rounds: what is sent in which order and to whom, and when a round is over. */
import * as fc from 'fast-check';
import t from 'tap';
import { SegmentSet } from '../../src/base/segment-set.js';
import { Block } from '../../src/transfer/block-window.js';
import { Rounds, toGroup } from '../../src/transfer/rounds.js';

interface Sent {
  readonly block: number;
  readonly segments: readonly number[];
  readonly receiver: number;
}

interface Setup {
  readonly receiverCount: number;
  readonly members?: readonly number[];
  readonly isUninterrupted?: boolean;
  readonly batchLimit?: number;
  readonly timeoutMs?: number;
}

function createRounds({
  receiverCount,
  members = [],
  isUninterrupted = true,
  batchLimit = 1,
  timeoutMs = 100,
}: Setup) {
  const sent: Sent[] = [];
  const ended: number[] = [];
  const rounds = new Rounds(() => new Block(64), {
    maxSegments: 64,
    receiverCount: () => receiverCount,
    isUninterrupted,
    batchLimit: () => batchLimit,
    timeoutMs: (_nowMs, block) => {
      ended.push(block.index);
      return timeoutMs;
    },
    isMulticastReachable: (receiver) => members.includes(receiver),
  });
  const push = (index: number, segmentCount: number, missing: readonly (readonly number[])[]) => {
    const block = rounds.window.push(index, 0, segmentCount);
    missing.forEach((segments, receiver) => {
      setMissing(block, receiver, segments);
    });
    return block;
  };
  const begin = (block: Block) => {
    block.beginRound();
    if (members.length > 0) block.sendToGroup(members);
  };
  /**
   * Sends what there is, at most `limit` datagrams or batches: the block, its segments, the
   * destination.
   */
  const sendBatches = (nowMs: number, limit = 10_000) => {
    sent.length = 0;
    while (sent.length < limit) {
      const part = rounds.next(nowMs);
      if (part === undefined) break;
      const { block, segments, receiver } = part;
      sent.push({ block: block.index, segments: [...segments], receiver });
    }
    return sent.map(({ block, segments, receiver }) => [block, segments, receiver] as const);
  };
  /** The same as single datagrams. */
  const send = (nowMs: number, limit?: number) =>
    sendBatches(nowMs, limit).map(([block, segments, receiver]) => {
      if (segments.length !== 1) throw new Error('more than one segment');
      return [block, segments[0], receiver];
    });
  return { rounds, ended, push, begin, send, sendBatches };
}

function setMissing(block: Block, receiver: number, segments: readonly number[]): void {
  block.setMissingSegments(receiver, SegmentSet.of(segments));
}

t.test('each receiver in turn gets its missing segments, one by one', (t) => {
  const { push, begin, send } = createRounds({ receiverCount: 3 });
  begin(push(0, 3, [[0, 1, 2], [1], [0, 2]]));
  t.same(send(0), [
    [0, 0, 0],
    [0, 1, 0],
    [0, 2, 0],
    [0, 1, 1],
    [0, 0, 2],
    [0, 2, 2],
  ]);
  t.same(send(0), [], 'once');
  t.end();
});

t.test('in batches, each receiver gets all its missing segments at once', (t) => {
  const { push, begin, sendBatches } = createRounds({ receiverCount: 4, batchLimit: 64 });
  const whole = Array.from({ length: 64 }, (_, s) => s);
  begin(push(0, 64, [[0, 31, 32, 63], [], [40], whole]));
  t.same(sendBatches(0), [
    [0, [0, 31, 32, 63], 0],
    [0, [40], 2],
    [0, whole, 3],
  ]);
  t.same(sendBatches(0), [], 'once');
  t.end();
});

t.test(
  'segments that several members miss go to the group last, after those that one misses',
  (t) => {
    const setup = { receiverCount: 4, members: [0, 2, 3] };
    const many = Array.from({ length: 20 }, (_, i) => 10 + i);
    const missing = [[0, 1], [0, 1, 3], [0, ...many, 63], [63]];
    const single = createRounds(setup);
    single.begin(single.push(0, 64, missing));
    t.same(single.send(0), [
      [0, 1, 0],
      [0, 0, 1],
      [0, 1, 1],
      [0, 3, 1],
      ...many.map((segment) => [0, segment, 2]),
      [0, 0, toGroup],
      [0, 63, toGroup],
    ]);
    const batches = createRounds({ ...setup, batchLimit: 64 });
    batches.begin(batches.push(0, 64, missing));
    t.same(
      batches.sendBatches(0),
      [
        [0, [1], 0],
        [0, [0, 1, 3], 1],
        [0, many, 2],
        [0, [0, 63], toGroup],
      ],
      'a receiver without multicast gets everything by unicast',
    );
    t.end();
  },
);

t.test(
  "a few segments that one member misses join the group's batch instead of leaving alone",
  (t) => {
    const setup = { receiverCount: 4, members: [0, 2, 3], batchLimit: 64 };
    const { push, begin, sendBatches } = createRounds(setup);
    begin(push(0, 4, [[0, 1], [0, 1, 3], [0, 2, 3], [3]]));
    t.same(sendBatches(0), [
      [0, [0, 1, 3], 1],
      [0, [0, 1, 2, 3], toGroup],
    ]);
    begin(push(1, 4, [[1], [], [2], []]));
    t.same(sendBatches(0), [[1, [1, 2], toGroup]], 'one batch instead of two');
    begin(push(2, 4, [[1, 2], [], [], []]));
    t.same(
      sendBatches(0),
      [[2, [1, 2], 0]],
      'segments that only one receiver misses go to it alone',
    );
    t.end();
  },
);

t.test('each round decides again what goes to the group', (t) => {
  const { push, begin, send } = createRounds({ receiverCount: 2, members: [0, 1] });
  const block = push(0, 2, [
    [0, 1],
    [0, 1],
  ]);
  begin(block);
  t.same(send(0), [
    [0, 0, toGroup],
    [0, 1, toGroup],
  ]);
  setMissing(block, 0, [1]);
  setMissing(block, 1, []);
  begin(block);
  t.same(send(100), [[0, 1, 0]]);
  t.end();
});

for (const batchLimit of [1, 7, 64]) {
  const how = batchLimit === 1 ? 'one by one' : `up to ${batchLimit} at once`;
  t.test(`${how}, each receiver gets each missing segment exactly once`, (t) => {
    const segments = fc.uniqueArray(fc.nat(63));
    const receiver = fc.record({ segments, isMember: fc.boolean() });
    const property = fc.property(
      fc.integer({ min: 1, max: 64 }),
      fc.array(receiver, { minLength: 1, maxLength: 6 }),
      (segmentCount, receivers) => {
        const members = receivers.flatMap(({ isMember }, i) => (isMember ? [i] : []));
        const setup = { receiverCount: receivers.length, members, batchLimit };
        const { push, begin, sendBatches } = createRounds(setup);
        const missing = receivers.map(({ segments }) => segments.filter((s) => s < segmentCount));
        begin(push(0, segmentCount, missing));
        const sent = sendBatches(0);
        const got = receivers.map(() => [] as number[]);
        const places = sent.map(([, , to]) => (to === toGroup ? receivers.length : to));
        const isInOrder = places.every((place, i) => {
          const last = places[i - 1] ?? -1;
          return batchLimit === 64 ? place > last : place >= last;
        });
        if (!isInOrder || sent.some(([, { length }]) => length > batchLimit)) return false;
        for (const [, segments, to] of sent) {
          for (const segment of segments) {
            const reached = to === toGroup ? members : [to];
            const wanting = reached.filter((i) => missing[i]?.includes(segment));
            // Nobody gets a segment that it has, and the group gets nothing if only one member
            // misses any.
            const isShared = members.filter((i) => missing[i]?.length).length > 1;
            if (wanting.length < 1 || (to === toGroup && !isShared)) return false;
            for (const i of wanting) got[i]?.push(segment);
          }
        }
        const sorted = (lists: readonly (readonly number[])[]) =>
          JSON.stringify(lists.map((list) => [...list].sort((a, b) => a - b)));
        return sorted(got) === sorted(missing);
      },
    );
    fc.assert(property, { seed: 1, numRuns: 500 });
    t.end();
  });
}

t.test('a round for some receivers goes to no others', (t) => {
  const { push, send } = createRounds({ receiverCount: 3, members: [0, 1, 2] });
  const block = push(0, 1, [[0], [0], [0]]);
  block.beginRound(new Set([1]));
  block.sendToGroup([0, 1, 2]);
  t.same(send(0), [[0, 0, 1]]);
  t.end();
});

t.test('the oldest block goes first, and one that has not begun waits', (t) => {
  const { push, begin, send } = createRounds({ receiverCount: 1 });
  const blocks = [3, 5, 8].map((index) => push(index, 1, [[0]]));
  begin(blocks[2] as Block);
  begin(blocks[0] as Block);
  t.same(send(0), [
    [3, 0, 0],
    [8, 0, 0],
  ]);
  t.end();
});

for (const isUninterrupted of [true, false]) {
  const does = isUninterrupted ? 'does not interrupt' : 'interrupts';
  t.test(`an older block ${does} a round in progress`, (t) => {
    const { push, begin, send } = createRounds({ receiverCount: 1, isUninterrupted });
    const older = push(0, 2, [[0, 1]]);
    const newer = push(1, 3, [[0, 1, 2]]);
    begin(newer);
    t.same(send(0, 1), [[1, 0, 0]]);
    begin(older);
    const [first, rest] = [
      [
        [0, 0, 0],
        [0, 1, 0],
      ],
      [
        [1, 1, 0],
        [1, 2, 0],
      ],
    ];
    t.same(send(0), isUninterrupted ? [...rest, ...first] : [...first, ...rest]);
    t.end();
  });
}

t.test('a segment that arrived meanwhile is left out', (t) => {
  const missing = [
    [0, 1, 2],
    [0, 1, 2],
  ];
  const single = createRounds({ receiverCount: 2 });
  const block = single.push(0, 3, missing);
  single.begin(block);
  single.send(0, 1);
  setMissing(block, 0, [0, 2]);
  setMissing(block, 1, [2]);
  t.same(single.send(0), [
    [0, 2, 0],
    [0, 2, 1],
  ]);
  const batches = createRounds({ receiverCount: 2, batchLimit: 64 });
  const other = batches.push(0, 3, missing);
  batches.begin(other);
  batches.sendBatches(0, 1);
  setMissing(other, 0, []);
  setMissing(other, 1, [2]);
  t.same(batches.sendBatches(0), [[0, [2], 1]]);
  t.end();
});

t.test('segments reported missing after the round passed them wait for the next one', (t) => {
  const { push, begin, send } = createRounds({ receiverCount: 2 });
  const block = push(0, 3, [[0, 2], [1]]);
  begin(block);
  t.same(send(0, 2), [
    [0, 0, 0],
    [0, 2, 0],
  ]);
  setMissing(block, 0, [0, 1]);
  t.same(send(0), [[0, 1, 1]]);
  begin(block);
  t.same(send(0), [
    [0, 0, 0],
    [0, 1, 0],
    [0, 1, 1],
  ]);
  t.end();
});

t.test('a round is over some time after its last datagram was sent', (t) => {
  const { rounds, ended, push, begin, send } = createRounds({ receiverCount: 1, timeoutMs: 30 });
  const [one, two] = [push(0, 2, [[0, 1]]), push(1, 1, [[0]])];
  t.equal(rounds.earliestDeadlineMs, undefined);
  begin(one);
  begin(two);
  send(5, 2);
  t.equal(rounds.earliestDeadlineMs, undefined, 'more may follow');
  t.equal(one.isSending, true);
  send(7, 1);
  t.equal(one.isSending, false);
  t.equal(one.deadlineMs, 37);
  send(9);
  t.equal(two.deadlineMs, 39);
  t.equal(rounds.earliestDeadlineMs, 37, 'the earlier of the two');
  t.same(ended, [0, 1], 'each ends once');
  begin(one);
  t.equal(rounds.earliestDeadlineMs, 39, 'a block that is being sent has no deadline');
  rounds.window.clear();
  t.equal(rounds.earliestDeadlineMs, undefined);
  t.end();
});

t.test('a round in which no receiver misses anything ends at once', (t) => {
  const { push, begin, send } = createRounds({ receiverCount: 2, timeoutMs: 30 });
  const block = push(0, 2, [[], []]);
  begin(block);
  t.same(send(5), []);
  t.equal(block.deadlineMs, 35);
  t.end();
});

t.test('a block that completes in the middle of a round is not sent further', (t) => {
  const { rounds, push, begin, sendBatches } = createRounds({
    receiverCount: 2,
    members: [0, 1],
    batchLimit: 2,
  });
  const block = push(0, 4, [
    [0, 1, 2, 3],
    [0, 1, 2, 3],
  ]);
  begin(block);
  t.same(sendBatches(0, 1), [[0, [0, 1], toGroup]]);
  for (const receiver of [0, 1]) setMissing(block, receiver, []);
  rounds.window.dropWhere(({ pendingCount }) => pendingCount === 0);
  t.same(sendBatches(0), []);
  t.end();
});

t.test('a block that reuses the memory of the one sent last waits for its turn', (t) => {
  const { rounds, push, begin, send } = createRounds({ receiverCount: 1 });
  const [first, second] = [push(0, 2, [[0, 1]]), push(1, 1, [[0]])];
  begin(first);
  begin(second);
  t.same(send(0, 2), [
    [0, 0, 0],
    [0, 1, 0],
  ]);
  setMissing(first, 0, []);
  rounds.window.dropWhere(({ index }) => index === 0);
  const third = push(2, 1, [[0]]);
  t.equal(third, first, 'the memory is reused');
  begin(third);
  t.same(send(0), [
    [1, 0, 0],
    [2, 0, 0],
  ]);
  t.end();
});
