/** Attacks on discovery: amplification, growth, and answers that are replayed, forged or hostile. */
import t from 'tap';
import type { Address } from '../../src/base/address.js';
import { createRandom } from '../../src/base/random.js';
import { formatPeers } from '../../src/cli/output/peers-output.js';
import { trustAnnounced, trustOf } from '../../src/cli/receivers/announced-trust.js';
import { Announcer } from '../../src/discovery/announcer.js';
import { answerLimits } from '../../src/discovery/answer-limits.js';
import { ReceiverSearch, searchLimits } from '../../src/discovery/receiver-search.js';
import { fingerprint } from '../../src/node/keys/key-files.js';
import { KnownReceivers } from '../../src/node/keys/known-receivers.js';
import { decodeDiscovery, encodeAnswer, encodeQuery } from '../../src/wire/discovery.js';

const receiverKey = new Uint8Array(32).fill(5);
const nonce = new Uint8Array(16).fill(7);
const near = () => true;

function createAnnouncer(name = 'x'.repeat(500)) {
  const announced = { port: 7735, receiverKey, role: 'receiver' as const, name };
  return new Announcer({ announced, isNear: near, random: createRandom('attack') });
}

function createSearch() {
  return new ReceiverSearch(0, { nonce, waitMs: 10_000, isNear: near });
}

/** Draws 32-bit numbers. */
function createDraw(seed: string) {
  const random = createRandom(seed);
  return () => Math.floor(random() * 2 ** 32);
}

function randomBytes(draw: () => number, sizeBytes: number): Uint8Array {
  return Uint8Array.from({ length: sizeBytes }, () => draw() & 255);
}

t.test('no source gets more bytes or datagrams than it sends, and few of them', (t) => {
  const announcer = createAnnouncer();
  const draw = createDraw('amplification');
  const sent = new Map<string, { bytes: number; datagrams: number }>();
  const balance = ({ host }: Address, bytes: number, datagrams: number) => {
    const own = sent.get(host) ?? { bytes: 0, datagrams: 0 };
    sent.set(host, { bytes: own.bytes + bytes, datagrams: own.datagrams + datagrams });
  };
  let answers = 0;
  const lastMs = 60_000;
  for (let atMs = 0; atMs < lastMs; atMs += 1) {
    const from = { host: `10.0.${draw() % 4}.${draw() % 256}`, port: draw() % 65_536 };
    const query = encodeQuery(randomBytes(draw, 16));
    const bytes = draw() % 4 === 0 ? query.subarray(0, draw() % query.length) : query;
    balance(from, bytes.length, 1);
    announcer.handleDatagram(atMs, from, bytes);
    announcer.handleTimeout(atMs);
    for (let next = announcer.pollTransmit(); next !== undefined; next = announcer.pollTransmit()) {
      balance(next.to, -next.bytes.length, -1);
      answers++;
    }
  }
  for (const { bytes, datagrams } of sent.values()) {
    if (bytes < 0 || datagrams < 0) t.fail(`${bytes} bytes, ${datagrams} datagrams`);
  }
  const { burst, perSec } = answerLimits;
  t.ok(answers > 100 && answers <= burst + (perSec * lastMs) / 1000, `${answers} answers`);
  t.end();
});

t.test('answers never draw answers: two receivers do not keep each other busy', (t) => {
  const announcer = createAnnouncer();
  const answer = encodeAnswer({
    kind: 'answer',
    nonce,
    port: 7735,
    receiverKey,
    role: 'receiver' as const,
    name: 'a',
  });
  announcer.handleDatagram(0, { host: '10.0.0.9', port: 7736 }, answer);
  t.equal(announcer.pollTimeout(), undefined);
  t.end();
});

t.test('100,000 queries, then as much garbage, leave bounded state in a receiver', (t) => {
  const announcer = createAnnouncer();
  const draw = createDraw('growth');
  const most = answerLimits.sources + answerLimits.waiting;
  for (let i = 0; i < 200_000; i++) {
    const from = { host: `10.${draw() % 256}.${draw() % 256}.${draw() % 256}`, port: 50_000 };
    const bytes =
      i < 100_000 ? encodeQuery(randomBytes(draw, 16)) : randomBytes(draw, draw() % 200);
    announcer.handleDatagram(i / 10, from, bytes);
    // A shell that cannot send does not lead to growth either.
    if (i % 7 === 0) announcer.handleTimeout(i / 10);
    if (announcer.stateCount > most) t.fail(`${announcer.stateCount} entries`);
  }
  t.ok(announcer.stateCount <= most);
  t.end();
});

t.test('100,000 forged answers leave bounded state in a search', (t) => {
  const search = createSearch();
  const draw = createDraw('answers');
  for (let i = 0; i < 100_000; i++) {
    const from = { host: `10.${draw() % 256}.${draw() % 256}.${draw() % 256}`, port: 7736 };
    const port = 1 + (draw() % 65_535);
    // Half of them claim one and the same key at ever other ports and addresses.
    const key = i % 2 === 0 ? receiverKey : randomBytes(draw, 32);
    const answer = {
      kind: 'answer' as const,
      nonce,
      port,
      receiverKey: key,
      role: 'receiver' as const,
      name: 'x',
    };
    search.handleDatagram(100, from, encodeAnswer(answer));
    search.handleDatagram(100, from, randomBytes(draw, draw() % 200));
  }
  t.equal(search.receivers.length, searchLimits.receivers);
  t.ok(search.receivers.every(({ addresses }) => addresses.length <= searchLimits.addresses));
  t.ok(search.leftOutCount > 90_000);
  t.end();
});

t.test('a trusted key that is forged at many ports takes bounded room', (t) => {
  const isPreferred = () => true;
  const search = new ReceiverSearch(0, { nonce, waitMs: 1000, isNear: near, isPreferred });
  for (let port = 1; port < 1000; port++) {
    const answer = encodeAnswer({
      kind: 'answer',
      nonce,
      port,
      receiverKey,
      role: 'receiver',
      name: 'x',
    });
    search.handleDatagram(1, { host: '10.0.0.1', port: 7736 }, answer);
  }
  t.equal(search.receivers.length, searchLimits.perPreferredKey);
  t.end();
});

t.test('answers to other queries, and answers from other networks, do not count', (t) => {
  const isNear = ({ host }: Address) => host.startsWith('10.');
  const search = new ReceiverSearch(0, { nonce, waitMs: 1000, isNear });
  const replayed = {
    kind: 'answer' as const,
    port: 7735,
    receiverKey,
    role: 'receiver' as const,
    name: 'x',
  };
  const from = { host: '10.0.0.1', port: 7736 };
  for (let bit = 0; bit < 128; bit++) {
    const other = Uint8Array.from(nonce);
    other[bit >> 3] = (other[bit >> 3] as number) ^ (1 << (bit & 7));
    search.handleDatagram(1, from, encodeAnswer({ ...replayed, nonce: other }));
  }
  search.handleDatagram(
    1,
    { host: '203.0.113.1', port: 7736 },
    encodeAnswer({ ...replayed, nonce }),
  );
  search.handleDatagram(1, from, encodeQuery(nonce));
  t.same(search.receivers, []);
  search.handleDatagram(1, from, encodeAnswer({ ...replayed, nonce }));
  t.equal(search.receivers.length, 1);
  t.end();
});

t.test('another host that announces a trusted key gets nothing', async (t) => {
  const known = await KnownReceivers.load(`${t.testdir()}/known_receivers`);
  await known.add('lab1:7735', receiverKey);
  const forged = {
    name: 'lab1',
    receiverKey,
    role: 'receiver' as const,
    addresses: [{ host: '10.0.0.66', port: 7735 }],
  };
  t.equal(trustOf(forged, known), 'trusted', 'it looks like the receiver');
  const fingerprints = new Map([['10.0.0.66:7735', fingerprint(receiverKey)]]);
  // Not even a sender that trusts everybody else takes another key for it.
  const trust = trustAnnounced(fingerprints, known, () => true);
  const attackerKey = new Uint8Array(32).fill(6);
  t.match(await trust('10.0.0.66:7735', attackerKey), /is not the key that was announced/);
  t.equal(await trust('10.0.0.66:7735', receiverKey), true, 'the receiver itself does');
});

t.test('a hostile name neither controls a terminal nor imitates other receivers', async (t) => {
  const known = await KnownReceivers.load(`${t.testdir()}/known_receivers`);
  const names = [
    '\x1b[2J\x1b[31mred',
    'a\nlab1  10.0.0.1:7735  trusted',
    '\u202etxt.exe',
    '\r\x08\x07\u2028',
    'x'.repeat(64),
  ];
  const receivers = names.map((name, i) => {
    const key = receiverKey.with(0, i);
    return {
      name,
      receiverKey: key,
      role: 'receiver' as const,
      addresses: [{ host: `10.0.0.${i}`, port: 7735 }],
    };
  });
  for (const columns of [Infinity, 80, 40]) {
    const lines = formatPeers(receivers, known, columns);
    t.equal(lines.length, columns === Infinity ? 6 : 11, 'a fixed number of lines');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the test is about them
    for (const line of lines) t.notMatch(line, /[\x00-\x1f\x7f-\x9f\u2028\u202e]/);
    t.ok(lines.every((line) => line.length <= Math.max(columns, 52)));
    const rows = lines.filter((line) => line.startsWith('not trusted'));
    t.equal(rows.length, 5);
    for (const row of rows) t.match(row, /^not trusted {2}10\.0\.0\.\d:7735/);
  }
});

t.test('whatever arrives, decoding returns a packet or a fault', (t) => {
  const draw = createDraw('decode');
  for (let i = 0; i < 20_000; i++) {
    const bytes = randomBytes(draw, draw() % 140);
    if (i % 2 === 0) bytes.set(encodeQuery(nonce).subarray(0, Math.min(6, bytes.length)));
    const packet = decodeDiscovery(bytes);
    if (typeof packet !== 'string') t.ok(packet.kind === 'query' || packet.kind === 'answer');
  }
  t.end();
});
