/** A relay between a server and clients, over real sockets. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { fetch } from '../../../src/node/fetch.js';
import { generateKeyPair } from '../../../src/node/keys/key-files.js';
import { relay } from '../../../src/node/relay/relay.js';
import type { RelayFilesEvent, RelayFilesOptions } from '../../../src/node/relay/relay-options.js';
import type { ServeEvent, ServeOptions } from '../../../src/node/serve/serve-options.js';
import { serve } from '../../../src/node/serve.js';
import { createContent } from '../../../src/simulator/transfer.js';

const local = { port: 0, bind: ['127.0.0.1'] };

class Place {
  readonly folder: string;
  readonly events: RelayFilesEvent[] = [];
  private count = 0;

  constructor(private readonly t: Test) {
    this.folder = t.testdir({ sent: {} });
  }

  write(name: string, sizeBytes: number): Buffer {
    const content = Buffer.from(createContent(name, sizeBytes));
    writeFileSync(join(this.folder, 'sent', name), content);
    return content;
  }

  async serve(...names: readonly string[]) {
    return this.serveWith({}, ...names);
  }

  async serveWith(options: Partial<ServeOptions>, ...names: readonly string[]) {
    const serving = await serve({
      paths: names.map((name) => join(this.folder, 'sent', name)),
      ...{ ...local, keyPair: await generateKeyPair(), trustClient: () => true },
      ...options,
    });
    this.t.teardown(() => serving.close('the test is over'));
    return serving;
  }

  async relay(upstreams: RelayFilesOptions['upstreams'], options: Partial<RelayFilesOptions> = {}) {
    const relaying = await relay({
      ...{ upstreams, ...local, keyPair: await generateKeyPair() },
      ...{ trustClient: () => true, trustUpstream: () => true },
      ...{ cacheFolder: join(this.folder, 'cache'), cacheLimitBytes: 1e9 },
      onEvent: (event) => this.events.push(event),
      ...options,
    });
    this.t.teardown(() => relaying.close('the test is over'));
    return relaying;
  }

  /** @returns what a new client has fetched; undefined if it failed */
  async fetch(sources: RelayFilesOptions['upstreams'], name: string): Promise<Buffer | undefined> {
    const dir = join(this.folder, `client ${this.count++}`);
    mkdirSync(dir);
    const result = await fetch({ name, sources, dir, trustSource: () => true });
    return result.status === 'complete' ? readFileSync(join(dir, name)) : undefined;
  }
}

t.test(
  'through two relays, an origin says which content a name has; another server does not',
  async (t) => {
    const place = new Place(t);
    const content = place.write('a', 300_000);
    const [keyPair, other] = [await generateKeyPair(), await generateKeyPair()];
    const serving = await place.serveWith({ keyPair }, 'a');
    const near = await place.relay(serving.addresses);
    const cacheFolder = join(place.folder, 'far');
    const far = await place.relay(near.addresses, { cacheFolder });
    const fetchFrom = async (into: string, originKey: Uint8Array, name = 'a') => {
      const dir = join(place.folder, into);
      mkdirSync(dir);
      const sources = far.addresses;
      return fetch({ name, sources, dir, originKey, trustSource: () => true });
    };
    for (const into of ['miss', 'hit']) {
      const { status, reason = '' } = await fetchFrom(into, keyPair.publicKey);
      t.equal(status, 'complete', reason);
      t.same(readFileSync(join(place.folder, into, 'a')), content);
    }
    const wrong = await fetchFrom('wrong', other.publicKey);
    t.match(
      wrong.reason,
      /the origin does not answer: .* is neither the origin that is meant nor a relay/,
    );
    const missing = await fetchFrom('missing', keyPair.publicKey, 'b');
    t.match(missing.reason, /offers nothing named b/);
    t.same(readdirSync(join(place.folder, 'wrong')), []);
    const both = { name: 'a', root: '0'.repeat(64), originKey: keyPair.publicKey };
    const rest = { sources: far.addresses, dir: place.folder, trustSource: () => true };
    await t.rejects(fetch({ ...both, ...rest }), { code: 'INVALID_ARGUMENT' });
  },
);

t.test('a miss, a hit, and a restart', async (t) => {
  const place = new Place(t);
  const content = place.write('a', 3_000_000);
  const serving = await place.serve('a');
  const first = await place.relay(serving.addresses);
  t.same(await place.fetch(first.addresses, 'a'), content);
  t.same(await place.fetch(first.addresses, 'a'), content);
  t.match(first.totals(), { clients: { complete: 2 } });
  t.ok(place.events.some((event) => event.type === 'end' && event.name === 'a'));
  t.match(first.totals(), { hits: 1, misses: 1, fetchedBytes: content.length });
  t.match(first.cached(), [{ name: 'a', isWhole: true }]);
  await first.close('restart');
  const second = await place.relay(serving.addresses);
  t.same(await place.fetch(second.addresses, 'a'), content);
  t.match(second.totals(), { hits: 1, misses: 0, fetchedBytes: 0 });
  t.match(second.totals(), { receivedBytes: content.length });
});

t.test('many clients at once, and an object that passes through', async (t) => {
  const place = new Place(t);
  const content = place.write('a', 2_000_000);
  const large = place.write('large', 6_000_000);
  const empty = place.write('empty', 0);
  const serving = await place.serve('a', 'large', 'empty');
  const relaying = await place.relay(serving.addresses, { cacheLimitBytes: 3_000_000 });
  const { addresses } = relaying;
  const fetched = await Promise.all([1, 2, 3].map(() => place.fetch(addresses, 'a')));
  for (const each of fetched) t.same(each, content);
  t.match(relaying.totals(), { misses: 3, fetchedBytes: content.length });
  t.same(await place.fetch(addresses, 'large'), large);
  t.same(await place.fetch(addresses, 'empty'), empty);
  t.match(
    relaying.cached().map(({ name }) => name),
    ['a', 'empty'],
  );
  t.ok(relaying.cacheSizeBytes <= 3_000_000);
  t.equal(await place.fetch(addresses, 'nothing'), undefined);
});

t.test('a relay that drains ends what it fetches', async (t) => {
  const place = new Place(t);
  place.write('a', 3_000_000);
  const ends: ServeEvent[] = [];
  const onEvent = (event: ServeEvent) => {
    if (event.type === 'end') ends.push(event);
  };
  const serving = await place.serveWith({ rateBytesPerSec: 500_000, onEvent }, 'a');
  const relaying = await place.relay(serving.addresses, {
    onEvent: (event) => {
      if (event.type === 'fill') void relaying.drain(0);
    },
  });
  t.equal(await place.fetch(relaying.addresses, 'a'), undefined);
  await relaying.closed;
  // Long before the server would notice that the relay is silent.
  await serving.drain(5000);
  t.match(ends, [{ outcome: { status: 'failed', reason: /the relay was stopped/ } }]);
});

t.test('a changed file is another object', async (t) => {
  const place = new Place(t);
  place.write('a', 500_000);
  const serving = await place.serve('a');
  const relaying = await place.relay(serving.addresses);
  await place.fetch(relaying.addresses, 'a');
  const content = Buffer.from(createContent('changed', 600_000));
  writeFileSync(join(place.folder, 'sent', 'a'), content);
  t.same(await place.fetch(relaying.addresses, 'a'), content);
  t.match(relaying.totals(), { hits: 0, misses: 2 });
});

t.test('two relays do not share a cache, and a chain of them works', async (t) => {
  const place = new Place(t);
  const content = place.write('a', 1_000_000);
  const serving = await place.serve('a');
  const near = await place.relay(serving.addresses);
  await t.rejects(place.relay(serving.addresses), { code: 'TARGET_UNWRITABLE' });
  const cacheFolder = join(place.folder, 'other');
  const far = await place.relay(near.addresses, { cacheFolder });
  t.same(await place.fetch(far.addresses, 'a'), content);
  t.match(near.totals(), { fetchedBytes: content.length });
  t.match(far.totals(), { fetchedBytes: content.length });
});
