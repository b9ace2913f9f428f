/**
 * A trusted receiver that lies in one field of its reports, or floods its sender with them, harms
 * only itself: the others complete as fast, and the sender reports nothing false.
 */
import t, { type Test } from 'tap';
import { SegmentSet } from '../../src/base/segment-set.js';
import { handshakeLimits } from '../../src/security/handshake-limits.js';
import type { SecureChannel } from '../../src/security/secure-channel.js';
import { receiverLimits } from '../../src/session/receiver-limits.js';
import { sessionDefaults } from '../../src/transfer/config.js';
import type { Message } from '../../src/wire/messages.js';
import { decodeMessage, encodeMessage } from '../../src/wire/messages.js';
import type { Report } from '../../src/wire/report.js';
import { SessionWire, type WireOptions } from '../support/session-wire.js';

/** All segment numbers of the format; blocks have fewer segments. */
const allNumbers = Array.from({ length: 256 }, (_, segment) => segment);

const sizeBytes = 24_000;
const receiverCount = 3;
/** A sender waits four of these for a receiver that responds but makes no progress. */
const livenessTimeoutMs = 1500;
const longestMs = 20_000;

type Lie = (report: Report, count: number, wire: SessionWire) => Partial<Report>;

function run(seed: string, lie: Lie, hasGroup: boolean): SessionWire {
  return new SessionWire({
    seed,
    receiverCount,
    sizeBytes,
    hasGroup,
    untilMs: longestMs,
    sender: { livenessTimeoutMs },
    attack: attackWith(lie),
  }).run();
}

/** From its first report on, r0 replaces fields by false values. */
function attackWith(lie: Lie): NonNullable<WireOptions['attack']> {
  let count = 0;
  const liars = new WeakSet<SecureChannel>();
  return ({ bytes }, wire) => {
    const channel = wire.receivers[0]?.machine.find(wire.sender.session)?.secureChannel;
    if (channel === undefined || liars.has(channel)) return [bytes];
    liars.add(channel);
    const seal = channel.seal.bind(channel);
    channel.seal = (plain) => {
      const message = decodeMessage(plain);
      if (message?.kind !== 'report') return seal(plain);
      const report = { ...message.report, ...lie(message.report, count++, wire) };
      return seal(encodeMessage({ kind: 'report', report }));
    };
    return [bytes];
  };
}

const most = 2 ** 53 - 1;
const noGaps = { gaps: [] };
const lies: Readonly<Record<string, Lie>> = {
  'state preparing': () => ({ state: 'preparing' }),
  'state receiving': () => ({ state: 'receiving' }),
  'state whole': () => ({ state: 'whole' }),
  'state storing': () => ({ state: 'storing' }),
  'cumulativeBurst none': () => ({ cumulativeBurst: undefined }),
  'cumulativeBurst ahead': ({ cumulativeBurst = 0 }) => ({
    cumulativeBurst: (cumulativeBurst + 9) & 0xffff,
  }),
  'cumulativeBurst far': ({ cumulativeBurst = 0 }) => ({
    cumulativeBurst: (cumulativeBurst ^ 0x8000) & 0xffff,
  }),
  'cumulativeBurst behind': ({ cumulativeBurst = 0 }) => ({
    cumulativeBurst: (cumulativeBurst - 9) & 0xffff,
  }),
  'largestBurst none': () => ({ largestBurst: undefined }),
  'largestBurst ahead': ({ largestBurst = 0 }) => ({ largestBurst: (largestBurst + 9) & 0xffff }),
  'largestBurst behind': ({ largestBurst = 0 }) => ({ largestBurst: (largestBurst - 9) & 0xffff }),
  'ackDelayMs most': () => ({ ackDelayMs: 2 ** 42 }),
  'ackDelayMs some': () => ({ ackDelayMs: 1 }),
  'stampMs zero': () => ({ stampMs: 0 }),
  'stampMs most': () => ({ stampMs: 2 ** 42 }),
  'stampMs jumping': ({ stampMs }, i) => ({ stampMs: i % 2 === 0 ? stampMs : 1e9 }),
  isMulticastReachable: () => ({ isMulticastReachable: true }),
  'multicast unreachable': () => ({ isMulticastReachable: false }),
  wantsTags: () => ({ wantsTags: true }),
  'windowBlocks 0': () => ({ windowBlocks: 0 }),
  'windowBlocks most': () => ({ windowBlocks: most }),
  'shareBytesPerSec 0': () => ({ shareBytesPerSec: 0 }),
  'shareBytesPerSec 1': () => ({ shareBytesPerSec: 1 }),
  'shareBytesPerSec most': () => ({ shareBytesPerSec: most }),
  'shareBytesPerSec jumping': (_, i) => ({ shareBytesPerSec: i % 2 === 0 ? undefined : 0 }),
  'segmentsReceived 0': () => ({ segmentsReceived: 0 }),
  'segmentsReceived most': () => ({ segmentsReceived: most }),
  'segmentsReceived falling': (_, i) => ({ segmentsReceived: most - i }),
  'segmentsReceived double': ({ segmentsReceived }) => ({ segmentsReceived: 2 * segmentsReceived }),
  'segmentsLost most': () => ({ segmentsLost: most }),
  'missingBytes 0': () => ({ missingBytes: 0 }),
  'missingBytes most': () => ({ missingBytes: most }),
  'missingBytes falling': (_, i) => ({ missingBytes: most - i }),
  'receivedBytes most': () => ({ receivedBytes: most }),
  'describes nothing': () => ({ firstBlock: 0, describedBlocks: 0, ...noGaps }),
  'describes too much': ({ firstBlock }) => ({ firstBlock, describedBlocks: 2 ** 32, ...noGaps }),
  'describes the end alone': ({ describedBlocks }) => ({
    firstBlock: describedBlocks,
    ...noGaps,
  }),
  'no gaps': () => noGaps,
  'all blocks missing': (_, __, { sender }) => {
    const { blockCount } = sender.geometry;
    const gaps = [{ kind: 'whole' as const, firstBlock: 0, blockCount }];
    return { state: 'receiving', firstBlock: 0, describedBlocks: blockCount, gaps };
  },
  'gaps of segments out of range': (_, __, { sender }) => {
    const { blockCount } = sender.geometry;
    const gaps = Array.from({ length: blockCount }, (_, firstBlock) => ({
      ...{ kind: 'part' as const, firstBlock, segments: SegmentSet.of(allNumbers) },
    }));
    return { state: 'receiving', firstBlock: 0, describedBlocks: blockCount, gaps };
  },
  'gaps without a segment': (_, __, { sender }) => {
    const { blockCount } = sender.geometry;
    const gaps = Array.from({ length: blockCount }, (_, firstBlock) => ({
      ...{ kind: 'part' as const, firstBlock, segments: SegmentSet.of([]) },
    }));
    return { state: 'receiving', firstBlock: 0, describedBlocks: blockCount, gaps };
  },
};

/** A receiver may report these states for any length of time: its disk may be slow. */
const endless = ['state preparing', 'state storing'];

for (const [hasGroup, name] of [
  [false, 'a receiver that lies in one field of its reports harms only itself, by unicast'],
  [true, 'a receiver that lies in one field of its reports harms only itself, by multicast'],
] as const) {
  t.test(name, (t) => {
    for (const [name, lie] of Object.entries(lies)) {
      const wire = run(name, lie, hasGroup);
      for (const index of [1, 2]) {
        const { status, elapsedMs = Infinity } = wire.outcomeOf(index) ?? {};
        t.equal(status, 'complete', `${name}: r${index}`);
        t.equal(wire.receivers[index]?.isIdentical, true, `${name}: r${index} holds all`);
        t.ok(elapsedMs < 2000, `${name}: r${index} after ${elapsedMs} ms`);
      }
      const isComplete = wire.outcomeOf(0)?.status === 'complete';
      if (isComplete)
        t.equal(wire.receivers[0]?.isIdentical, true, `${name}: r0 really is complete`);
      const hasEnd = wire.result !== undefined;
      t.equal(hasEnd, !endless.includes(name), `${name}: whether the session ends`);
    }
    t.end();
  });
}

t.test('a receiver that allows nothing is served slowly, and completes', (t) => {
  const wire = new SessionWire({
    ...{ seed: 'share 0', receiverCount: 1, sizeBytes: 200_000, untilMs: longestMs },
    attack: attackWith(() => ({ shareBytesPerSec: 0 })),
  }).run();
  const { status, elapsedMs = Infinity } = wire.outcomeOf(0) ?? {};
  t.equal(status, 'complete');
  t.equal(wire.receivers[0]?.isIdentical, true);
  t.ok(elapsedMs > 5000, `at 16 kB/s, not after ${elapsedMs} ms`);
  t.end();
});

/** With each message that r0 sends, it sends `count` others. */
function flood(seed: string, count: number, word: (i: number, wire: SessionWire) => Uint8Array) {
  let said = 0;
  const wire = new SessionWire({
    ...{ seed, receiverCount, sizeBytes, untilMs: longestMs, sender: { livenessTimeoutMs } },
    attack: ({ from, to, bytes }, wire) => {
      const [bad] = wire.receivers;
      const channel = bad?.machine.find(wire.sender.session)?.secureChannel;
      if (to !== 'sender' || channel === undefined || from.host !== bad?.address.host)
        return [bytes];
      const words = Array.from({ length: count }, () => channel.seal(word(said++, wire)));
      return [bytes, ...words];
    },
  }).run();
  return { wire, said };
}

/** Counts the datagrams of the sender. */
const sentIn = (wire: SessionWire) => wire.log.filter(({ to }) => to !== 'sender').length;

function checkServed(t: Test, wire: SessionWire): void {
  for (const index of [1, 2]) {
    t.equal(wire.receivers[index]?.isIdentical, true, `r${index}`);
    t.ok((wire.outcomeOf(index)?.elapsedMs ?? Infinity) < 1000, `r${index} completes as fast`);
  }
}

t.test('a flood of reports draws no more datagrams than a few reports', (t) => {
  const word = (_: number, { sender: { geometry } }: SessionWire) => {
    const { blockCount } = geometry;
    const report: Report = {
      ...{ state: 'receiving', path: 0, cumulativeBurst: undefined, largestBurst: undefined },
      ...{ ackDelayMs: 0, stampMs: 0, isMulticastReachable: false, wantsTags: false },
      windowBlocks: 64,
      shareBytesPerSec: undefined,
      ...{ segmentsReceived: 0, segmentsLost: 0, missingBytes: sizeBytes, receivedBytes: 0 },
      ...{ firstBlock: 0, describedBlocks: blockCount },
      gaps: [{ kind: 'whole', firstBlock: 0, blockCount }],
    };
    return encodeMessage({ kind: 'report', report });
  };
  const few = flood('reports', 1, word);
  const many = flood('reports', 200, word);
  t.ok(many.said > 1000, `${many.said} reports`);
  checkServed(t, many.wire);
  const [sentToFew, sentToMany] = [sentIn(few.wire), sentIn(many.wire)];
  t.ok(sentToMany < 3 * sentToFew, `${sentToMany} datagrams, and ${sentToFew}`);
  t.end();
});

t.test(
  'a flood of polls, or of any message that a sender does not expect, is counted and not answered',
  (t) => {
    const digest = new Uint8Array(32);
    const words: readonly Message[] = [
      { kind: 'poll', burst: 3, hasTags: true, leavesGroup: true, reportGapMs: 1 },
      { kind: 'root', digest },
      { kind: 'bye', reason: '', isFinal: true },
      { kind: 'nodes', tree: 'receiver', height: 0, firstNode: 0, digests: digest },
    ];
    const alone = flood('storm', 0, () => digest);
    for (const word of words) {
      const { wire, said } = flood('storm', 200, () => encodeMessage(word));
      checkServed(t, wire);
      t.equal(wire.receivers[0]?.isIdentical, true, `${word.kind}: r0 completes as well`);
      const counted = Object.values(wire.result?.faults ?? {}).reduce((a, b) => a + b, 0);
      t.ok(said > 1000 && counted > 0.8 * said, `${word.kind}: ${counted} of ${said} are counted`);
      t.ok(sentIn(wire) < 1.5 * sentIn(alone.wire), `${word.kind}: ${sentIn(wire)} datagrams`);
    }
    t.end();
  },
);

t.test('a flood of digest requests gets one reply of one datagram for each request', (t) => {
  const ask = {
    kind: 'nodes-request',
    tree: 'content',
    height: 0,
    firstNode: 0,
    count: 255,
  } as const;
  const { wire, said } = flood('digests', 200, () => encodeMessage(ask));
  checkServed(t, wire);
  const toOthers = wire.log.filter(({ to }) => to === 1).length;
  const toBad = wire.log.filter(({ to }) => to === 0).length;
  t.ok(toBad <= said + 2 * toOthers, `${toBad} datagrams for ${said} requests`);
  t.end();
});

t.test('a sender that stops at any moment leaves no state at a receiver', (t) => {
  let last = 0;
  for (let lives = 0; lives <= last; lives++) {
    let sent = 0;
    const wire = new SessionWire({
      seed: `stops ${lives}`,
      fileCount: 20,
      attack: ({ to, bytes }) => (to === 'sender' || ++sent <= lives ? [bytes] : []),
    });
    wire.run(sessionDefaults.livenessTimeoutMs + 3 * receiverLimits.idleMs);
    if (lives === 0) last = leastSteps(wire);
    const [receiver] = wire.receivers;
    // The handshake state outlives a short session a little.
    receiver?.machine.handleTimeout(wire.nowMs + 2 * handshakeLimits.handshakeMs);
    t.equal(receiver?.kept, 0, `after ${lives} datagrams`);
    t.ok((receiver?.results.length ?? 0) <= 1);
    const isComplete = receiver?.results[0]?.status === 'complete';
    if (isComplete) t.equal(receiver?.isIdentical, true);
    if (wire.outcomeOf(0)?.status === 'complete')
      t.ok(isComplete, 'the sender never reports more than the receiver');
  }
  t.end();
});

/** Counts the datagrams of an undisturbed session with the same content. */
function leastSteps(like: SessionWire): number {
  const wire = new SessionWire({ fileCount: 20, sizeBytes: like.content.length }).run();
  return sentIn(wire);
}
