/** Relays between servers and clients, in virtual time. */
import t from 'tap';
import type { RelayEvent } from '../../../src/roles/relay/relay-events.js';
import type { ServedObject } from '../../../src/simulator/roles/serving.js';
import {
  blockSizeBytes,
  elapsedMs,
  hasFetched,
  type Middle,
  objectOf,
  RelayNet,
} from '../../support/relay-net.js';
import { type VerifiableObject, withWrongBlocks } from '../../support/served-objects.js';

const object = objectOf('object', 200);
const what = { name: 'object' };

t.test('a miss is passed on, and a hit costs the origin next to nothing', async (t) => {
  const net = new RelayNet('1');
  net.server('origin', [object]);
  const relay = net.relay('relay', ['origin']);
  const first = net.client('a', ['relay'], what);
  net.simulation.run({ untilMs: 20_000 });
  t.ok(hasFetched(first, object));
  const sentBytes = net.sentBy('origin');
  t.ok(sentBytes < 1.2 * object.content.length, `${sentBytes}`);
  const second = net.client('b', ['relay'], what);
  net.simulation.run({ untilMs: 40_000 });
  t.ok(hasFetched(second, object));
  t.ok(net.sentBy('origin') - sentBytes < 10_000, `${net.sentBy('origin') - sentBytes}`);
  t.match(relay.role.totals, { hits: 1, misses: 1, fetchedBytes: object.content.length });
});

t.test('a relay connects to its upstream server while a client connects to it', async (t) => {
  const small = objectOf('object', 1);
  const net = new RelayNet('1', { delayMs: 50 });
  net.server('origin', [small]);
  net.relay('relay', ['origin']);
  net.client('before', ['relay'], what);
  net.simulation.run({ untilMs: 10_000 });
  const direct = net.client('direct', ['origin'], what);
  const hit = net.client('hit', ['relay'], what);
  net.simulation.run({ untilMs: 20_000 });
  // One round trip after another, it would be three: hello, open, ask.
  const laterMs = elapsedMs(hit) - elapsedMs(direct);
  t.ok(laterMs < 250, `${laterMs} ms later than without a relay`);
});

t.test('a relay asks whether to trust the key of its upstream server', async (t) => {
  const net = new RelayNet('1');
  net.server('origin', [object]);
  const relay = net.relay('relay', ['origin']);
  const client = net.client('a', ['relay'], what);
  net.simulation.run({ untilMs: 60_000 });
  t.ok(hasFetched(client, object));
  const asked = relay.role.events.filter(({ type }) => type === 'identify');
  t.ok(asked.length > 0);
  for (const event of asked) t.same(Object.keys(event), ['type', 'ask', 'upstream', 'serverKey']);
});

t.test('eight clients at once: the origin sends the object once', async (t) => {
  const net = new RelayNet('1');
  net.server('origin', [object]);
  const relay = net.relay('relay', ['origin']);
  const clients = Array.from({ length: 8 }, (_, i) => net.client(`c${i}`, ['relay'], what));
  net.simulation.run({ untilMs: 60_000 });
  for (const client of clients) t.ok(hasFetched(client, object));
  t.match(relay.role.totals, { misses: 8, fetchedBytes: object.content.length });
});

for (const [count, mostShare] of [
  [1, 1.1],
  [3, 1.15],
] as const) {
  t.test(`through ${count} relays, blocks go on as they arrive`, async (t) => {
    const large = objectOf('object', 800);
    const direct = new RelayNet('1');
    direct.server('origin', [large]);
    const client = direct.client('a', ['origin'], what);
    direct.simulation.run({ untilMs: 60_000 });
    const net = new RelayNet('1');
    net.server('origin', [large]);
    let from = 'origin';
    for (let i = 0; i < count; i++) {
      net.relay(`r${i}`, [from]);
      from = `r${i}`;
    }
    const behind = net.client('a', [from], what);
    net.simulation.run({ untilMs: 60_000 });
    t.ok(hasFetched(client, large) && hasFetched(behind, large));
    const share = elapsedMs(behind) / elapsedMs(client);
    t.ok(share < mostShare, `${elapsedMs(behind)} ms, direct ${elapsedMs(client)} ms`);
  });
}

t.test('a fill continues when the client that began it leaves', async (t) => {
  const net = new RelayNet('1');
  net.server('origin', [object]);
  const relay = net.relay('relay', ['origin']);
  const { host } = net.client('a', ['relay'], what);
  net.simulation.at(600, () => host.inject('kill'));
  net.simulation.run({ untilMs: 60_000 });
  t.match(relay.role.totals, { fetchedBytes: object.content.length });
  t.match(relay.role.cache.objects, [{ name: 'object', isWhole: true }]);
});

t.test('a client that has the first part gets the rest while the relay is behind it', async (t) => {
  const net = new RelayNet('1');
  net.server('origin', [object]);
  // The first life of the client is with the origin.
  const stores = net.createStores();
  const early = net.client('a', ['origin'], what, { stores });
  net.simulation.at(1500, () => early.host.inject('kill'));
  net.relay('relay', ['origin']);
  const late = net.laterClient(5000, 'b', ['relay'], what, { stores });
  net.simulation.run({ untilMs: 60_000 });
  t.ok(hasFetched(late.current, object));
  const ms = elapsedMs(late.current);
  t.ok(ms < 1300, `${ms} ms, of about 1,900 for all of it`);
});

t.test('a relay that is killed continues with what it had', async (t) => {
  for (const atMs of [100, 400, 900, 1500]) {
    const net = new RelayNet('1');
    net.server('origin', [object]);
    const { host, role } = net.relay('relay', ['origin']);
    const client = net.client('a', ['relay'], what);
    net.simulation.at(atMs, () => host.inject('kill'));
    net.simulation.at(atMs + 2000, () => host.inject('start'));
    net.simulation.run({ untilMs: 120_000 });
    t.ok(hasFetched(client, object), `killed after ${atMs} ms`);
    t.match(role.cache.objects, [{ isWhole: true }]);
    const sentBytes = net.sentBy('origin', 'relay');
    t.ok(sentBytes < 1.35 * object.content.length, `the origin sent ${sentBytes}`);
  }
});

t.test('a file that has changed at the origin is another object', async (t) => {
  const net = new RelayNet('1');
  const other = objectOf('object', 200, 'other');
  const origin = net.server('origin', [object]);
  const relay = net.relay('relay', ['origin']);
  const before = net.client('a', ['relay'], what);
  net.simulation.run({ untilMs: 20_000 });
  origin.host.inject('kill');
  net.server('origin 2', [other]);
  const second = net.relay('relay 2', ['origin 2'], { stores: relay.stores });
  t.ok(hasFetched(before, object));
  const after = net.client('b', ['relay 2'], what);
  net.simulation.run({ untilMs: 40_000 });
  t.ok(hasFetched(after, other));
  t.match(second.role.totals, { hits: 0, misses: 1 });
});

t.test(
  'the cache stays below its limit, and what was not used for the longest time leaves',
  async (t) => {
    const net = new RelayNet('1');
    const objects = ['a', 'b', 'c'].map((name) => objectOf(name, 50));
    net.server('origin', objects);
    const cacheLimitBytes = 2 * (50 * blockSizeBytes + 80_000);
    const relay = net.relay('relay', ['origin'], { cacheLimitBytes });
    let mostBytes = 0;
    for (const [i, name] of ['a', 'b', 'a', 'c', 'a', 'b'].entries()) {
      net.laterClient(i * 5000, `client ${i}`, ['relay'], { name });
      for (let ms = 0; ms < 5000; ms += 10)
        net.simulation.at(i * 5000 + ms, () => {
          mostBytes = Math.max(mostBytes, relay.role.cache.heldBytes);
        });
    }
    net.simulation.run({ untilMs: 60_000 });
    t.match(relay.role.totals, { hits: 2, misses: 4, evictions: 2 });
    t.ok(mostBytes <= cacheLimitBytes, `${mostBytes}`);
    t.same(
      relay.role.cache.objects.map(({ name }) => name),
      ['a', 'b'],
    );
  },
);

t.test(
  'for a client that has everything, no content crosses the link before the relay',
  async (t) => {
    const objects = ['a', 'b'].map((name) => objectOf(name, 50));
    const [a, b] = objects as [ServedObject, ServedObject];
    const net = new RelayNet('1');
    net.server('origin', objects);
    const cacheLimitBytes = 50 * blockSizeBytes + 80_000;
    const relay = net.relay('relay', ['origin'], { cacheLimitBytes });
    const stores = net.createStores();
    net.client('first', ['relay'], { name: 'a' }, { stores });
    net.laterClient(10_000, 'other', ['relay'], { name: 'b' });
    net.simulation.run({ untilMs: 50_000 });
    t.match(relay.role.totals, { misses: 2, evictions: 1 }, 'the first object has left the cache');
    const sentBytes = net.sentBy('origin');
    const again = net.client('again', ['relay'], { name: 'a' }, { stores });
    net.simulation.run({ untilMs: 100_000 });
    t.ok(hasFetched(again, a));
    t.ok(net.sentBy('origin') - sentBytes < 10_000, `${net.sentBy('origin') - sentBytes}`);
    t.match(relay.role.totals, { evictions: 1 }, 'the other one stays for it');
    t.match(relay.role.cache.objects, [{ name: 'b', isWhole: true }]);
    t.notOk(relay.role.events.slice(-3).some(({ type }) => type === 'filled'));
    const fetchedBytes = a.content.length + b.content.length;
    t.match(relay.role.totals, { fetchedBytes });
    const fresh = net.client('fresh', ['relay'], { name: 'a' });
    net.simulation.run({ untilMs: 150_000 });
    t.ok(hasFetched(fresh, a), 'a client without it gets it');
    t.match(relay.role.totals, { evictions: 2, fetchedBytes: fetchedBytes + a.content.length });
  },
);

t.test('an object larger than the cache passes through', async (t) => {
  const net = new RelayNet('1');
  net.server('origin', [object]);
  const options = { cacheLimitBytes: 300_000, windowBytes: 40 * blockSizeBytes };
  const relay = net.relay('relay', ['origin'], options);
  const client = net.client('a', ['relay'], what);
  const late = net.laterClient(900, 'b', ['relay'], what);
  net.simulation.run({ untilMs: 60_000 });
  t.ok(hasFetched(client, object));
  t.ok(hasFetched(late.current, object));
  t.ok(elapsedMs(client) < 2500, `${elapsedMs(client)} ms`);
  t.equal(relay.role.cache.heldBytes, 0);
  const reported = eventsOf(relay, ['fill', 'filled', 'fill-stopped']);
  t.ok(
    reported.length % 2 === 0 && reported.every((type, i) => (type === 'fill') === (i % 2 === 0)),
  );
});

for (const fullAtMs of [0, 400, 900, 1500]) {
  t.test(`an object passes through when the disk is full after ${fullAtMs} ms`, async (t) => {
    const net = new RelayNet('1');
    net.server('origin', [object]);
    const relay = net.relay('relay', ['origin'], { windowBytes: 40 * blockSizeBytes });
    const client = net.client('a', ['relay'], what);
    net.simulation.at(fullAtMs, () => {
      relay.role.cache.isFull = true;
    });
    net.simulation.run({ untilMs: 60_000 });
    t.ok(hasFetched(client, object));
    t.ok(elapsedMs(client) < 2500, `${elapsedMs(client)} ms`);
    t.equal(relay.role.cache.heldBytes, 0);
    const fills = relay.role.events.filter(({ type }) => type === 'fill');
    t.match(fills, [{ isCached: true }, { isCached: false }]);
    const news = eventsOf(relay, ['filled', 'fill-stopped', 'evicted']);
    t.equal(news.filter((type) => type !== 'evicted').length, 1, 'the end is reported once');
    if (fullAtMs === 0) t.notOk(news.includes('evicted'), 'the cache never held anything of it');
  });
}

t.test('relays that ask each other in a circle refuse', async (t) => {
  const net = new RelayNet('1');
  net.relay('r1', ['r2']);
  net.relay('r2', ['r3']);
  net.relay('r3', ['r1']);
  const clients = ['r1', 'r2', 'r3'].map((relay) => net.client(`of ${relay}`, [relay], what));
  net.simulation.run({ untilMs: 90_000 });
  for (const { role } of clients) {
    t.equal(role.results[0]?.status, 'failed');
    const reasons = role.events.flatMap((event) => (event.type === 'left' ? [event.reason] : []));
    t.match(reasons[0], /asks itself for it, through other relays; change the --upstream/);
  }
});

t.test('an object that no upstream server has is refused with its reason', async (t) => {
  const net = new RelayNet('1');
  net.server('origin', [object]);
  net.relay('relay', ['origin']);
  const { role } = net.client('a', ['relay'], { name: 'nothing' });
  net.simulation.run({ untilMs: 90_000 });
  t.match(role.events, [{}, { type: 'left', reason: 'origin: no such object' }]);
});

t.test('two upstream servers are two sources, and one may die', async (t) => {
  const net = new RelayNet('1');
  const one = net.server('s1', [object]);
  net.server('s2', [object]);
  const relay = net.relay('relay', ['s1', 's2']);
  const client = net.client('a', ['relay'], what);
  net.simulation.at(700, () => one.host.inject('kill'));
  net.simulation.run({ untilMs: 60_000 });
  t.ok(hasFetched(client, object));
  t.ok(net.sentBy('s1') > 100_000 && net.sentBy('s2') > 100_000);
  t.match(relay.role.totals, { fetchedBytes: object.content.length });
});

t.test(
  'without its upstream server, a relay serves content by its root, but no name',
  async (t) => {
    const net = new RelayNet('1');
    const origin = net.server('origin', [object]);
    net.relay('relay', ['origin']);
    net.client('a', ['relay'], what);
    net.simulation.run({ untilMs: 20_000 });
    origin.host.inject('kill');
    const root = object.digestTree?.root() as Uint8Array;
    const byRoot = net.client('b', ['relay'], { name: '', root });
    const byName = net.client('c', ['relay'], what, { patienceMs: 30_000 });
    net.simulation.run({ untilMs: 90_000 });
    t.ok(hasFetched(byRoot, object));
    const reason = 'no source for 30 s; relay: origin: no answer for 8 s';
    t.match(byName.role.results, [{ status: 'failed', reason }]);
  },
);

for (const names of [['r0'], ['r0', 'r1'], ['r0', 'r1', 'r2']]) {
  t.test(`clients of ${names} know why it does not answer before it gives up`, async (t) => {
    const net = new RelayNet('1');
    net.server('origin', [object]).host.inject('kill');
    let from = 'origin';
    for (const name of names) {
      net.relay(name, [from]);
      from = name;
    }
    const client = net.client('a', [from], what, { patienceMs: 8000 });
    net.simulation.run({ untilMs: 20_000 });
    const [result] = client.role.results;
    const path = names.toReversed().join(': ');
    const ends = `no source for 8 s; ${path}: origin: no answer for `;
    t.ok(result?.reason?.startsWith(ends), `${result?.reason}`);
    const news = client.role.events.filter(({ type }) => type === 'deferred');
    t.equal(news.length, 1, 'they hear of it once');
  });
}

t.test('clients know that nobody has decided whether the relay trusts its server', async (t) => {
  const net = new RelayNet('1');
  net.server('origin', [object]);
  net.relay('relay', ['origin']).role.leavesUpstreamsUndecided = true;
  const client = net.client('a', ['relay'], what, { patienceMs: 30_000 });
  net.simulation.run({ untilMs: 60_000 });
  const reason =
    /; relay: origin: the user of the relay has not said yet whether to trust its key$/;
  t.match(client.role.results, [{ status: 'failed', reason }]);
});

t.test(
  'an upstream server that stays away ends what waits for it, and it is resumed',
  async (t) => {
    const net = new RelayNet('1');
    const origin = net.server('origin', [object]);
    const relay = net.relay('relay', ['origin'], { patienceMs: 10_000 });
    const client = net.client('a', ['relay'], what, { patienceMs: 20_000 });
    net.simulation.at(1000, () => origin.host.inject('kill'));
    net.simulation.run({ untilMs: 120_000 });
    t.match(client.role.results, [{ status: 'failed', reason: /^no source for 20 s; relay: / }]);
    const left = relay.role.events.filter(({ type }) => type === 'upstream-left');
    t.match(left[0], { reason: 'has fallen silent', isRetried: true });
    t.same(relay.role.cacheCounts, { objectCount: 1, partCount: 1 });
    relay.host.inject('kill');
    relay.host.inject('start');
    t.same(relay.role.cacheCounts, { objectCount: 1, partCount: 1 }, 'also after a restart');
    origin.host.inject('start');
    const later = net.client('b', ['relay'], what);
    net.simulation.run({ untilMs: 240_000 });
    t.ok(hasFetched(later, object));
    const fetchedBytes = relay.role.totals?.fetchedBytes ?? Infinity;
    t.ok(fetchedBytes < 1.1 * object.content.length, `${fetchedBytes}`);
  },
);

t.test('clients of a fill whose upstream server is away know why, and get the rest', async (t) => {
  const net = new RelayNet('1');
  const origin = net.server('origin', [object]);
  const relay = net.relay('relay', ['origin']);
  const client = net.client('a', ['relay'], what);
  net.simulation.at(1000, () => origin.host.inject('kill'));
  const later = net.laterClient(12_000, 'b', ['relay'], what);
  net.simulation.run({ untilMs: 20_000 });
  const left = client.role.events.filter(({ type }) => type === 'left');
  t.match(left, [{ source: 'relay', reason: 'origin: has fallen silent', isRetried: true }]);
  net.simulation.run({ untilMs: 30_000 });
  const types = later.current?.role.events.map(({ type }) => type);
  t.ok(types?.includes('deferred') && !types.includes('joined'), 'one that comes then waits');
  origin.host.inject('start');
  net.simulation.run({ untilMs: 70_000 });
  t.ok(hasFetched(client, object) && hasFetched(later.current, object));
  const fetchedBytes = relay.role.totals?.fetchedBytes ?? Infinity;
  t.ok(fetchedBytes < 1.1 * object.content.length, `${fetchedBytes}`);
});

t.test('the first of two upstream servers decides which version a name has', async (t) => {
  for (const names of [
    ['s1', 's2'],
    ['s2', 's1'],
  ]) {
    const net = new RelayNet('1');
    const objects = { s1: object, s2: objectOf('object', 200, 'other') };
    for (const [name, each] of Object.entries(objects)) net.server(name, [each]);
    const relay = net.relay('relay', names);
    const client = net.client('a', ['relay'], what);
    net.simulation.run({ untilMs: 60_000 });
    const [first, second] = names as ['s1' | 's2', 's1' | 's2'];
    t.ok(hasFetched(client, objects[first]), `${first} decides`);
    const left = relay.role.events.filter(({ type }) => type === 'upstream-left');
    t.match(left[0], { upstream: second, reason: 'holds other content' });
  }
});

t.test('a damaged block of the cache does not reach a client', async (t) => {
  const net = new RelayNet('1');
  net.server('origin', [object]);
  const relay = net.relay('relay', ['origin']);
  net.client('a', ['relay'], what);
  net.simulation.run({ untilMs: 40_000 });
  let count = 0;
  relay.host.inject('kill');
  relay.stores.crash(() => count++ % 20 === 0);
  relay.host.inject('start');
  const client = net.client('b', ['relay'], what);
  net.simulation.run({ untilMs: 80_000 });
  t.ok(hasFetched(client, object));
  t.equal(relay.role.totals?.fetchedBytes, 10 * blockSizeBytes - 0);
});

t.test('a relay behind another one joins what that one is fetching', async (t) => {
  const net = new RelayNet('1');
  net.server('origin', [object]);
  net.relay('near', ['origin']);
  net.relay('far', ['near']);
  const direct = net.client('a', ['near'], what);
  const behind = net.laterClient(600, 'b', ['far'], what);
  net.simulation.run({ untilMs: 60_000 });
  t.ok(hasFetched(direct, object) && hasFetched(behind.current, object));
  t.ok(elapsedMs(direct) < 2500, `${elapsedMs(direct)} ms`);
  t.ok(elapsedMs(behind.current) < 3500, `${elapsedMs(behind.current)} ms`);
  t.ok(net.sentBy('origin') < 1.2 * object.content.length, `${net.sentBy('origin')}`);
});

t.test(
  'behind three relays, clients of an origin that lies fail at once, and know why',
  async (t) => {
    const net = new RelayNet('1');
    net.server('origin', [withWrongBlocks(object as VerifiableObject, [7], blockSizeBytes)]);
    net.relay('r0', ['origin']);
    net.relay('r1', ['r0']);
    net.relay('r2', ['r1']);
    const client = net.client('a', ['r2'], what);
    t.ok(net.simulation.run({ untilMs: 60_000 }), 'at rest');
    const [result] = client.role.results;
    t.equal(result?.status, 'failed');
    t.match(result?.reason, /^r2: r1: r0: origin: sent a block with wrong content$/);
    t.ok(elapsedMs(client) < 5000, `${elapsedMs(client)} ms`);
  },
);

t.test(
  'a client turns to another source when its relay has given its upstream server up',
  async (t) => {
    const net = new RelayNet('1');
    net.server('liar', [withWrongBlocks(object as VerifiableObject, [7], blockSizeBytes)]);
    net.server('origin', [object]);
    net.relay('relay', ['liar']);
    const client = net.client('a', ['relay', 'origin'], what);
    net.simulation.run({ untilMs: 60_000 });
    t.ok(hasFetched(client, object));
    t.ok(elapsedMs(client) < 10_000, `${elapsedMs(client)} ms`);
    const left = client.role.events.flatMap((event) => (event.type === 'left' ? event : []));
    t.match(left, [{ source: 'relay', reason: /^liar: sent a block/, isRetried: false }]);
  },
);

function eventsOf({ role }: Middle, types: readonly RelayEvent['type'][]): string[] {
  return role.events.map(({ type }) => type).filter((type) => types.includes(type));
}
