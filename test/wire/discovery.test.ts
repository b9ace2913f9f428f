/** Queries and answers of discovery on the wire (SESSIONS 7.2). */
import t from 'tap';
import type { DiscoveryAnswer } from '../../src/wire/discovery.js';
import {
  decodeDiscovery,
  encodeAnswer,
  encodeQuery,
  maxAnnouncedNameBytes,
  querySizeBytes,
} from '../../src/wire/discovery.js';

const nonce = new Uint8Array(16).fill(9);
const answer: DiscoveryAnswer = {
  kind: 'answer',
  nonce,
  port: 7735,
  receiverKey: new Uint8Array(32).fill(5),
  role: 'receiver',
  name: 'lab1',
};

t.test('a query and an answer decode to what they were made of', (t) => {
  t.same(decodeDiscovery(encodeQuery(nonce)), { kind: 'query', nonce });
  t.equal(encodeQuery(nonce).length, querySizeBytes);
  t.same(decodeDiscovery(encodeAnswer(answer)), answer);
  t.same(decodeDiscovery(encodeAnswer({ ...answer, name: '' })), { ...answer, name: '' });
  const server = { ...answer, role: 'server' as const };
  t.same(decodeDiscovery(encodeAnswer(server)), server);
  t.end();
});

t.test('a long name is cut between characters, and its answer is shorter than a query', (t) => {
  for (const character of ['a', 'é', '研', '😀']) {
    const bytes = encodeAnswer({ ...answer, name: character.repeat(300) });
    t.ok(bytes.length <= querySizeBytes, `${bytes.length} bytes`);
    const decoded = decodeDiscovery(bytes) as DiscoveryAnswer;
    t.ok(decoded.name.length > 0);
    t.equal(decoded.name.replaceAll(character, ''), '', 'whole characters only');
    t.ok(Buffer.byteLength(decoded.name) <= maxAnnouncedNameBytes);
  }
  t.end();
});

t.test('each kind of invalid datagram has its fault', (t) => {
  const query = encodeQuery(nonce);
  const bytes = encodeAnswer(answer);
  const changed = (offset: number, value: number, of = bytes) => {
    const copy = Uint8Array.from(of);
    copy[offset] = value;
    return decodeDiscovery(copy);
  };
  t.equal(decodeDiscovery(new Uint8Array(0)), 'too-short');
  t.equal(decodeDiscovery(query.subarray(0, querySizeBytes - 1)), 'too-short');
  t.equal(changed(0, 0), 'unknown-type');
  t.equal(changed(4, 2), 'other-version');
  t.equal(changed(5, 3), 'unknown-type');
  t.equal(decodeDiscovery(encodeAnswer({ ...answer, port: 0 })), 'bad-message');
  t.equal(decodeDiscovery(bytes.subarray(0, -1)), 'bad-message', 'a name that is cut off');
  t.equal(decodeDiscovery(Buffer.concat([bytes, Buffer.alloc(1)])), 'bad-message', 'extra bytes');
  t.equal(changed(58, 0xff), 'bad-message', 'not UTF-8');
  for (const role of [0, 3, 255]) t.equal(changed(56, role), 'bad-message', 'an unknown role');
  t.end();
});
