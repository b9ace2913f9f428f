/** The messages and records of an exchange on the wire (SESSIONS 11.2, 11.3). */
import t from 'tap';
import type { ExchangeMessage } from '../../src/wire/exchange.js';
import { maxRecordsBytes } from '../../src/wire/exchange.js';
import type { ExchangeRecord } from '../../src/wire/exchange-records.js';
import { decodeRecord, encodeRecord, exchangeLimits } from '../../src/wire/exchange-records.js';
import { decodeMessage, encodeMessage } from '../../src/wire/messages.js';

const digest = (fill: number) => new Uint8Array(32).fill(fill);
const id = { owner: 1, object: 2 };

const records: readonly ExchangeRecord[] = [
  { kind: 'join', name: 'lab1', beganAtMs: undefined },
  { kind: 'join', name: 'lab1', beganAtMs: 1.7e12 },
  { kind: 'welcome', peer: 3, expectedPeers: 4 },
  { kind: 'peer', peer: 3, name: 'lab2', key: digest(5), host: '192.0.2.1', port: 7735 },
  {
    kind: 'object',
    ...{ ...id, name: 'a.bin', contentSizeBytes: 500e6, fileCount: 1 },
    ...{ manifestDigest: digest(6), contentRoot: digest(7) },
  },
  {
    kind: 'files',
    ...{ ...id, firstFile: 40 },
    digests: [{ md5: new Uint8Array(16).fill(8), sha256: digest(9) }],
  },
  { kind: 'listed', peer: 3 },
  { kind: 'start', atMs: 1234.5 },
  {
    kind: 'held',
    ...{ ...id, holder: 3 },
    ranges: [
      { start: 0, end: 100 },
      { start: 300, end: 301 },
    ],
  },
  { kind: 'stored', ...id, holder: 3 },
  { kind: 'presence', peer: 3, presence: 'present' },
  { kind: 'presence', peer: 3, presence: 'left' },
  { kind: 'leave' },
  { kind: 'awaited', untilMs: 1234.5, peers: [0, 300] },
  { kind: 'awaited', untilMs: 0, peers: [] },
  { kind: 'end', reason: 'lab2 did not come back' },
];

const message: ExchangeMessage = {
  kind: 'exchange',
  ...{ nextRecord: 7, firstRecord: 300, sentAtMs: 1000.25 },
  echo: { sentAtMs: 5, arrivedAtMs: 999 },
  records: records.map(encodeRecord),
};

t.test('records and messages decode to what they were made of', (t) => {
  for (const record of records) t.same(decodeRecord(encodeRecord(record)), record, record.kind);
  t.same(decodeMessage(encodeMessage(message)), message);
  const first = { ...message, echo: undefined, records: [] };
  t.same(decodeMessage(encodeMessage(first)), first);
  t.end();
});

t.test('the bytes are those of the specification', (t) => {
  const hex = (record: ExchangeRecord) => Buffer.from(encodeRecord(record)).toString('hex');
  t.equal(hex(records[8] as ExchangeRecord), `07${'03'}${'0102'}${'0064'}${'c80101'}`);
  t.equal(hex({ kind: 'welcome', peer: 3, expectedPeers: 200 }), '0103c801');
  t.equal(hex({ kind: 'start', atMs: 0 }), `06${'00'.repeat(8)}`);
  const small = { ...message, echo: undefined, records: [Uint8Array.of(5, 3)] };
  const bytes = Buffer.from(encodeMessage(small)).toString('hex');
  t.equal(bytes, `14${'00'}${'07'}408f420000000000${'ac02'}${'020503'}`);
  t.end();
});

t.test('no part of a record is a record of the same kind with other content', (t) => {
  for (const record of records) {
    const bytes = encodeRecord(record);
    for (let size = 0; size < bytes.length; size++) {
      const decoded = decodeRecord(bytes.subarray(0, size));
      if (decoded === undefined) continue;
      // Lists can end early, and the time of the start can be absent.
      t.match(decoded.kind, /files|held|join/, `${record.kind} of ${size} bytes`);
    }
  }
  t.end();
});

t.test('the largest records fit into a message', (t) => {
  const { filesPerRecord, rangesPerRecord, peers, objectsPerPeer } = exchangeLimits;
  const most = { owner: peers - 1, object: objectsPerPeer - 1 };
  const files = Array.from({ length: filesPerRecord }, () => {
    return { md5: new Uint8Array(16), sha256: digest(1) };
  });
  // As far apart as the blocks of an object can be.
  const ranges = Array.from({ length: rangesPerRecord }, (_, i) => {
    return { start: (i + 1) * 100_000, end: (i + 1) * 100_000 + 20_000 };
  });
  for (const record of [
    { kind: 'files', ...most, firstFile: 1e6, digests: files },
    { kind: 'held', ...most, holder: peers - 1, ranges },
    {
      kind: 'object',
      ...{ ...most, name: 'x'.repeat(500), contentSizeBytes: 1e12, fileCount: 1e6 },
      ...{ manifestDigest: digest(6), contentRoot: digest(7) },
    },
    { kind: 'end', reason: '\u4e00'.repeat(300) },
  ] as const) {
    const bytes = encodeRecord(record);
    t.ok(bytes.length + 2 <= maxRecordsBytes, `${record.kind}: ${bytes.length} bytes`);
    t.equal(decodeRecord(bytes)?.kind, record.kind);
  }
  t.end();
});

t.test('values out of their limits are refused', (t) => {
  const refused: readonly ExchangeRecord[] = [
    { kind: 'join', name: '', beganAtMs: undefined },
    { kind: 'join', name: 'a', beganAtMs: Infinity },
    { kind: 'listed', peer: exchangeLimits.peers },
    { kind: 'stored', holder: 0, owner: 0, object: exchangeLimits.objectsPerPeer },
    { kind: 'start', atMs: NaN },
    { kind: 'peer', peer: 3, name: 'lab2', key: digest(5), host: '192.0.2.1', port: 0 },
  ];
  for (const record of refused) t.equal(decodeRecord(encodeRecord(record)), undefined);
  t.equal(decodeRecord(Uint8Array.of(200)), undefined);
  t.equal(decodeMessage(encodeMessage({ ...message, sentAtMs: NaN })), undefined);
  t.equal(decodeMessage(encodeMessage({ ...message, records: [new Uint8Array(0)] })), undefined);
  t.end();
});
