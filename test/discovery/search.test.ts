/** What a search makes of answers, in virtual time. */
import t from 'tap';
import type { ReceiverSearchEvent } from '../../src/discovery/receiver-search.js';
import { ReceiverSearch, searchLimits } from '../../src/discovery/receiver-search.js';
import { decodeDiscovery, discoveryPlace, encodeAnswer } from '../../src/wire/discovery.js';

const nonce = new Uint8Array(16).fill(7);
const keyOf = (number: number) => {
  const key = new Uint8Array(32);
  new DataView(key.buffer).setUint32(0, number);
  return key;
};

function createSearch(isPreferred?: (receiverKey: Uint8Array) => boolean) {
  return new ReceiverSearch(1000, {
    ...{ nonce, waitMs: 1000, isNear: ({ host }) => !host.startsWith('203.') },
    ...(isPreferred === undefined ? {} : { isPreferred }),
  });
}

function answerOf(number: number, port = 7735, name = `lab${number}`): Uint8Array {
  return encodeAnswer({
    kind: 'answer',
    nonce,
    port,
    receiverKey: keyOf(number),
    role: 'receiver',
    name,
  });
}

function eventsOf(search: ReceiverSearch): ReceiverSearchEvent[] {
  const events: ReceiverSearchEvent[] = [];
  for (let next = search.pollEvent(); next !== undefined; next = search.pollEvent())
    events.push(next);
  return events;
}

t.test('a search sends three queries to each group, and ends in time', (t) => {
  const search = createSearch();
  const sent: [number, string][] = [];
  for (let atMs: number | undefined = 1000; atMs !== undefined; atMs = search.pollTimeout()) {
    search.handleTimeout(atMs);
    for (let next = search.pollTransmit(); next !== undefined; next = search.pollTransmit()) {
      t.same(decodeDiscovery(next.bytes), { kind: 'query', nonce });
      t.equal(next.to.port, discoveryPlace.port);
      sent.push([atMs, next.to.host]);
    }
  }
  const { group4, group6 } = discoveryPlace;
  t.same(
    sent,
    [1000, 1250, 1500].flatMap((atMs) => [
      [atMs, group4],
      [atMs, group6],
    ]),
  );
  t.same(eventsOf(search), [{ type: 'end' }]);
  search.handleDatagram(2001, { host: '10.0.0.1', port: 7736 }, answerOf(1));
  t.same(search.receivers, [], 'a late answer does not count');
  t.end();
});

t.test('a receiver that answers from several addresses counts once', (t) => {
  const search = createSearch();
  const hosts = ['10.0.0.1', 'fe80::1%eth0', '10.0.0.1', '192.168.1.1'];
  for (const host of hosts) search.handleDatagram(1100, { host, port: 7736 }, answerOf(1));
  search.handleDatagram(1100, { host: '10.0.0.1', port: 7736 }, answerOf(1, 7001));
  t.equal(eventsOf(search).length, 2);
  t.match(search.receivers, [
    {
      name: 'lab1',
      receiverKey: keyOf(1),
      addresses: ['10.0.0.1', 'fe80::1%eth0', '192.168.1.1'].map((host) => ({ host, port: 7735 })),
    },
    // Another receiver on the same host, with the same folder of keys.
    { addresses: [{ host: '10.0.0.1', port: 7001 }] },
  ]);
  t.end();
});

t.test('preferred receivers are kept however many others answer', (t) => {
  const search = createSearch((key) => key[3] === 200 && key[2] === 0);
  const { receivers, perHost } = searchLimits;
  for (let i = 256; i < 256 + 2 * receivers; i++) {
    const host = `10.0.${i >> 8}.${i & 255}`;
    search.handleDatagram(1100, { host, port: 7736 }, answerOf(i));
  }
  t.equal(search.receivers.length, receivers);
  t.equal(search.leftOutCount, receivers);
  search.handleDatagram(1100, { host: '10.1.0.1', port: 7736 }, answerOf(200));
  t.match(search.receivers.at(-1), { name: 'lab200' });
  const another = createSearch();
  for (let i = 0; i < 2 * perHost; i++) {
    another.handleDatagram(1100, { host: '10.0.0.1', port: 7736 }, answerOf(i));
  }
  t.equal(another.receivers.length, perHost, 'one address does not fill the list');
  t.end();
});
