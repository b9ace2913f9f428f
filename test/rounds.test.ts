/** Rounds: what goes out in which order and to whom, and when a round is over. */
import * as fc from 'fast-check';
import t from 'tap';
import { Block } from '../src/block-window.js';
import { Rounds, toGroup } from '../src/rounds.js';

interface Sent {
  readonly block: number;
  readonly segment: number;
  readonly receiver: number;
}

interface Setup {
  readonly receiverCount: number;
  readonly members?: readonly number[];
  readonly isUninterrupted?: boolean;
  readonly timeoutMs?: number;
}

function createRounds({
  receiverCount,
  members = [],
  isUninterrupted = true,
  timeoutMs = 100,
}: Setup) {
  const sent: Sent[] = [];
  const ended: number[] = [];
  const rounds = new Rounds(receiverCount, () => new Block(receiverCount), {
    isUninterrupted,
    transmit: (_nowMs, block, segment, receiver) => {
      sent.push({ block: block.index, segment, receiver });
      return { to: { host: 'any', port: 1 }, bytes: new Uint8Array(1) };
    },
    timeoutMs: (_nowMs, block) => {
      ended.push(block.index);
      return timeoutMs;
    },
    hearsGroup: (receiver) => members.includes(receiver),
  });
  const push = (index: number, segmentCount: number, lacking: readonly (readonly number[])[]) => {
    const block = rounds.window.push(index, 0, segmentCount);
    lacking.forEach((segments, receiver) => {
      setLacking(block, receiver, segments);
    });
    return block;
  };
  const begin = (block: Block) => {
    block.beginRound();
    if (members.length > 0) block.sendToGroup(members);
  };
  /** Sends as much as there is, at most `limit` datagrams. */
  const send = (nowMs: number, limit = 10_000) => {
    sent.length = 0;
    while (sent.length < limit && rounds.pollTransmit(nowMs) !== undefined);
    return sent.map(({ block, segment, receiver }) => [block, segment, receiver]);
  };
  return { rounds, ended, push, begin, send };
}

function setLacking(block: Block, receiver: number, segments: readonly number[]): void {
  let low = 0;
  let high = 0;
  for (const segment of segments) {
    if (segment < 32) low |= 1 << segment;
    else high |= 1 << (segment - 32);
  }
  block.setLackingSegments(receiver, low >>> 0, high >>> 0);
}

t.test('segment by segment, a segment goes to each one that lacks it', (t) => {
  const { push, begin, send } = createRounds({ receiverCount: 3 });
  begin(push(0, 3, [[0, 1, 2], [1], [0, 2]]));
  t.same(send(0), [
    [0, 0, 0],
    [0, 0, 2],
    [0, 1, 0],
    [0, 1, 1],
    [0, 2, 0],
    [0, 2, 2],
  ]);
  t.same(send(0), [], 'once');
  t.end();
});

t.test('what several of the group lack goes to it first, then to those who do not hear it', (t) => {
  const { push, begin, send } = createRounds({ receiverCount: 4, members: [0, 2, 3] });
  begin(push(0, 4, [[0, 1], [0, 1, 3], [0, 2], []]));
  t.same(
    send(0),
    [
      [0, 0, toGroup],
      [0, 0, 1],
      [0, 1, 0],
      [0, 1, 1],
      [0, 2, 2],
      [0, 3, 1],
    ],
    'what a single one lacks goes to it alone',
  );
  t.end();
});

t.test('each round tells anew what goes to the group', (t) => {
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
  setLacking(block, 0, [1]);
  setLacking(block, 1, []);
  begin(block);
  t.same(send(100), [[0, 1, 0]]);
  t.end();
});

t.test(
  'each receiver gets each segment that it lacks exactly once, and nobody gets another',
  (t) => {
    const segments = fc.uniqueArray(fc.nat(63));
    const receiver = fc.record({ segments, isMember: fc.boolean() });
    const property = fc.property(
      fc.integer({ min: 1, max: 64 }),
      fc.array(receiver, { minLength: 1, maxLength: 6 }),
      (segmentCount, receivers) => {
        const members = receivers.flatMap(({ isMember }, i) => (isMember ? [i] : []));
        const { push, begin, send } = createRounds({ receiverCount: receivers.length, members });
        const lacking = receivers.map(({ segments }) => segments.filter((s) => s < segmentCount));
        begin(push(0, segmentCount, lacking));
        const sent = send(0);
        const got = receivers.map(() => [] as number[]);
        let last = -1;
        for (const [, segment, to] of sent as [number, number, number][]) {
          if (segment < last) return false;
          last = segment;
          const reached = to === toGroup ? members : [to];
          const wanting = reached.filter((i) => lacking[i]?.includes(segment));
          if (wanting.length < (to === toGroup ? 2 : 1)) return false;
          for (const i of wanting) got[i]?.push(segment);
        }
        const sorted = lacking.map((list) => [...list].sort((a, b) => a - b));
        return JSON.stringify(got) === JSON.stringify(sorted);
      },
    );
    fc.assert(property, { seed: 1, numRuns: 500 });
    t.end();
  },
);

t.test('a round for some goes to nobody else', (t) => {
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
  t.test(`an older block ${does} a round that is on its way`, (t) => {
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
  const { push, begin, send } = createRounds({ receiverCount: 2 });
  const block = push(0, 3, [
    [0, 1, 2],
    [0, 1, 2],
  ]);
  begin(block);
  send(0, 1);
  setLacking(block, 1, [2]);
  t.same(send(0), [
    [0, 1, 0],
    [0, 2, 0],
    [0, 2, 1],
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
  t.equal(rounds.earliestDeadlineMs, undefined, 'nothing is known to be the last');
  t.equal(one.isSending, true);
  send(7, 1);
  t.equal(one.isSending, false);
  t.equal(one.deadlineMs, 37);
  send(9);
  t.equal(two.deadlineMs, 39);
  t.equal(rounds.earliestDeadlineMs, 37, 'the first of them');
  t.same(ended, [0, 1], 'each ends once');
  begin(one);
  t.equal(rounds.earliestDeadlineMs, 39, 'one that is being sent has none');
  rounds.window.clear();
  t.equal(rounds.earliestDeadlineMs, undefined);
  t.end();
});

t.test('a round in which nobody lacks anything is over at once', (t) => {
  const { push, begin, send } = createRounds({ receiverCount: 2, timeoutMs: 30 });
  const block = push(0, 2, [[], []]);
  begin(block);
  t.same(send(5), []);
  t.equal(block.deadlineMs, 35);
  t.end();
});
