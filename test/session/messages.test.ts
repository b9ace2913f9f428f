/** Messages between a sender and one receiver. */
import { isDeepStrictEqual } from 'node:util';
import * as fc from 'fast-check';
import t from 'tap';
import type { Message } from '../../src/wire/messages.js';
import { decodeMessage, encodeMessage } from '../../src/wire/messages.js';
import type { Offer } from '../../src/wire/offer.js';
import { maxControlSizeBytes } from '../../src/wire/sizes.js';
import { maxNodesPerMessage } from '../../src/wire/tree-nodes.js';

const figures = {
  ...{ segmentsReceived: 5, segmentsLost: 2, receivedBytes: 300 },
  ...{ unchangedFiles: 4, deletedEntries: 3, undeletedEntries: 0, undeleted: [] },
};

const bytesOf = (size: number, value: number) => new Uint8Array(size).fill(value);
const offer: Offer = {
  kind: 'offer',
  session: 0xfedcba98,
  label: 'photos',
  mssBytes: 1400,
  manifestSizeBytes: 3,
  contentSizeBytes: 2 ** 50,
  manifestDigest: bytesOf(32, 1),
  manifest: bytesOf(3, 2),
  groupKey: bytesOf(32, 3),
  group: { host: '239.1.2.3', port: 7735 },
  reportIntervalMs: 12.5,
  existing: 'keep',
  deletion: 'delete',
  listedAtMs: 1700000000000.5,
};
const messages: readonly Message[] = [
  offer,
  {
    ...offer,
    relayed: { originKey: bytesOf(32, 3), hops: [bytesOf(8, 1), bytesOf(8, 2)] },
  },
  { kind: 'accept', name: 'r1' },
  { kind: 'accept', name: 'r1', challenge: bytesOf(16, 4) },
  {
    kind: 'accept',
    name: 'r1',
    addresses: [
      { host: '192.0.2.1', port: 7735 },
      { host: 'fe80::1%eth0', port: 1 },
    ],
  },
  { kind: 'refuse', reason: 'no room', isTemporary: false },
  { kind: 'refuse', reason: 'about to end', isTemporary: true },
  { kind: 'refuse', reason: 'the same', isTemporary: false, sameAs: 65_535 },
  {
    kind: 'report',
    report: {
      state: 'receiving',
      path: 3,
      cumulativeBurst: 7,
      largestBurst: undefined,
      ackDelayMs: 1.5,
      stampMs: 700.25,
      isMulticastReachable: true,
      wantsTags: false,
      windowBlocks: 4,
      shareBytesPerSec: undefined,
      segmentsReceived: 10,
      segmentsLost: 1,
      missingBytes: 1000,
      receivedBytes: 77,
      firstBlock: 2,
      describedBlocks: 9,
      gaps: [{ kind: 'whole', firstBlock: 3, blockCount: 2 }],
    },
  },
  { kind: 'poll', burst: 65_535, hasTags: true, leavesGroup: true, reportGapMs: 62.5 },
  { kind: 'poll', burst: undefined, hasTags: false, leavesGroup: false, reportGapMs: 0 },
  { kind: 'path-challenge', path: 3, token: bytesOf(8, 1), echo: bytesOf(8, 2), burst: 65_535 },
  { kind: 'path-challenge', path: 0, token: bytesOf(8, 1), echo: bytesOf(8, 0), burst: undefined },
  { kind: 'path-response', path: 3, echo: bytesOf(8, 1), token: bytesOf(8, 2) },
  { kind: 'addresses', number: 1, addresses: [] },
  { kind: 'addresses', number: 300, addresses: [{ host: 'fe80::1%eth0', port: 65_535 }] },
  { kind: 'addresses-noted', number: 300 },
  { kind: 'root', digest: bytesOf(32, 9) },
  { kind: 'root', digest: bytesOf(32, 9), withdrawnEntries: 1_000_000 },
  {
    kind: 'withdrawn',
    runs: [
      { first: 0, count: 1, reason: 'removed' },
      { first: 1, count: 300, reason: 'io-error' },
      { first: 999_999, count: 1, reason: 'unreadable' },
    ],
  },
  { kind: 'nodes-request', tree: 'receiver', height: 5, firstNode: 1_000_000, count: 32 },
  {
    kind: 'nodes',
    tree: 'receiver',
    height: 5,
    firstNode: 3,
    digests: bytesOf(32 * maxNodesPerMessage, 7),
  },
  { kind: 'done', isComplete: true, ...figures, reason: '' },
  { kind: 'done', isComplete: true, ...figures, reason: '', receipt: bytesOf(112, 3) },
  { kind: 'bye', reason: 'stopped', isFinal: true },
  {
    kind: 'kept',
    part: 300,
    ranges: [
      { start: 0, end: 1 },
      { start: 500, end: 70_000 },
    ],
  },
  {
    kind: 'extras',
    part: 2,
    extras: [
      { name: 'a/gone', isFolder: false },
      { name: 'a/é', isFolder: true },
    ],
  },
  { kind: 'noted', part: 2, spared: [0, 63] },
  {
    kind: 'ask',
    name: 'photos',
    root: undefined,
    manifestDigest: undefined,
    mssBytes: 1400,
    hops: [],
  },
  {
    kind: 'ask',
    name: '',
    root: bytesOf(32, 4),
    manifestDigest: bytesOf(32, 5),
    mssBytes: 508,
    hops: [],
  },
  {
    kind: 'ask',
    name: 'photos',
    root: undefined,
    manifestDigest: undefined,
    mssBytes: 508,
    hops: [bytesOf(8, 6), bytesOf(8, 7)],
  },
  { kind: 'preparing', reason: 'waits for a disk' },
  {
    ...{ kind: 'behind', number: 300, state: 'complete', path: ['r2:7735', 'a:7735'] },
    ...{ receiverKey: bytesOf(32, 1), challenge: bytesOf(16, 2), receipt: bytesOf(112, 3) },
    ...{ heldBytes: 2 ** 40, receivedBytes: 5, segmentsReceived: 3, segmentsLost: 1 },
    reason: 'é',
  },
  {
    ...{ kind: 'behind', number: 0, state: 'failed', path: ['a:7735'], heldBytes: 0 },
    ...{ receivedBytes: 0, segmentsReceived: 0, segmentsLost: 0, reason: '' },
  },
  { kind: 'behind-noted', number: 300, state: 'verifying', envelope: bytesOf(230, 5) },
  { kind: 'behind-noted', number: 1, state: 'shown', refusal: 'not trusted' },
  { kind: 'envelope', envelope: bytesOf(230, 6) },
  {
    ...{ kind: 'envelope-request', name: 'photos', originKey: bytesOf(32, 1) },
    ...{ receiverKey: bytesOf(32, 2), challenge: bytesOf(16, 3), hops: [] },
  },
  {
    ...{ kind: 'envelope-request', name: 'é', originKey: bytesOf(32, 1) },
    ...{ receiverKey: bytesOf(32, 2), challenge: bytesOf(16, 3), hops: [bytesOf(8, 6)] },
  },
  { kind: 'list-request', after: 'é' },
  {
    kind: 'list',
    after: 'a',
    isLast: false,
    objects: [
      {
        ...{ name: 'b', contentSizeBytes: 2 ** 45 },
        ...{ manifestDigest: bytesOf(32, 1), root: bytesOf(32, 2) },
      },
      { name: 'c', contentSizeBytes: 0, manifestDigest: bytesOf(32, 1), root: undefined },
    ],
  },
];

t.test('a message that is written reads back the same', (t) => {
  for (const message of messages) t.strictSame(decodeMessage(encodeMessage(message)), message);
  t.end();
});

t.test('a truncated message is rejected, except for messages that end with a list', (t) => {
  for (const message of messages) {
    const bytes = encodeMessage(message);
    for (let size = 0; size < bytes.length; size++) {
      const cut = decodeMessage(bytes.subarray(0, size));
      const isList = ['nodes', 'report', 'kept', 'extras', 'noted', 'list'].includes(message.kind);
      // tap's own comparison would format thousands of long lists.
      const isRejected = isList ? !isDeepStrictEqual(cut, message) : cut === undefined;
      t.ok(isRejected, `${message.kind} cut to ${size}`);
    }
  }
  t.end();
});

t.test('a later version may append fields to those known', (t) => {
  const bytes = Uint8Array.of(
    ...encodeMessage({
      kind: 'poll',
      burst: 3,
      hasTags: false,
      leavesGroup: false,
      reportGapMs: 0,
    }),
    1,
    2,
    3,
  );
  t.strictSame(decodeMessage(bytes), {
    kind: 'poll',
    burst: 3,
    hasTags: false,
    leavesGroup: false,
    reportGapMs: 0,
  });
  t.end();
});

t.test('text from peers cannot control a terminal', (t) => {
  // Nor may it change the display order: "gpj.exe" would look like a picture.
  const text = 'a\u001b[2J\u0007\u009b\u007f\nb\u202egpj.exe\u2066\u2028';
  const shown = 'a\\x1b[2J\\x07\\x9b\\x7f\\x0ab\\x202egpj.exe\\x2066\\x2028';
  const accept = decodeMessage(encodeMessage({ kind: 'accept', name: text }));
  t.strictSame(accept, { kind: 'accept', name: shown });
  const bye = { kind: 'bye', reason: text, isFinal: false } as const;
  t.strictSame(decodeMessage(encodeMessage(bye)), { kind: 'bye', reason: shown, isFinal: false });
  const refuse = { kind: 'refuse', reason: text, isTemporary: false } as const;
  t.match(decodeMessage(encodeMessage(refuse)), { reason: shown });
  const done = { kind: 'done', isComplete: false, ...figures, reason: text } as const;
  t.match(decodeMessage(encodeMessage(done)), { reason: shown });
  t.match(decodeMessage(encodeMessage({ ...offer, label: text })), { label: shown });
  const group = { host: text, port: 1 };
  t.match(decodeMessage(encodeMessage({ ...offer, group })), { group: { host: shown, port: 1 } });
  t.end();
});

t.test('long texts are shortened to fit one datagram', (t) => {
  for (const character of ['a', 'ä', '漢', '😀', '\u001b']) {
    const long = character.repeat(10_000);
    const all: Message[] = [
      { kind: 'accept', name: long },
      { kind: 'refuse', reason: long, isTemporary: true },
      { kind: 'bye', reason: long, isFinal: false },
      { kind: 'done', isComplete: false, ...figures, reason: long },
    ];
    for (const message of all) {
      const bytes = encodeMessage(message);
      t.ok(bytes.length <= maxControlSizeBytes, `${message.kind}: ${bytes.length} bytes`);
      t.match(JSON.stringify(decodeMessage(bytes)), /…/, 'the end marks the truncation');
    }
  }
  const reason = `${'/folder'.repeat(100)}: the disk is full; make room and try again`;
  const decoded = decodeMessage(encodeMessage({ kind: 'bye', reason, isFinal: true }));
  t.match(decoded, { reason: /^\/folder.*….*: the disk is full; make room and try again$/ });
  t.end();
});

t.test('an empty message makes no decoder throw', (t) => {
  const started = fc
    .tuple(fc.nat(20), fc.uint8Array({ maxLength: 200 }))
    .map(([kind, rest]) => Uint8Array.of(kind, ...rest));
  const flipped = fc
    .tuple(fc.constantFrom(...messages), fc.nat(), fc.nat(255))
    .map(([message, place, value]) => {
      const bytes = encodeMessage(message);
      bytes[place % bytes.length] = value;
      return bytes;
    });
  const property = fc.property(fc.oneof(started, flipped), (bytes) => {
    const message = decodeMessage(bytes);
    return (
      message === undefined ||
      message.kind === messages.find(({ kind }) => kind === message.kind)?.kind
    );
  });
  fc.assert(property, { seed: 1, numRuns: 5000 });
  t.end();
});
