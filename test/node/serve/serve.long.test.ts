/** `serve` with real sockets and files: clients get what they ask for, in one state, if they may. */
import { randomBytes } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { Address } from '../../../src/base/address.js';
import { generateKeyPair } from '../../../src/node/keys/key-files.js';
import type { ServeEvent, ServeOptions } from '../../../src/node/serve/serve-options.js';
import { serve } from '../../../src/node/serve.js';
import { toHex } from '../../../src/wire/byte-codec.js';
import { standardBlockSizeBytes as block } from '../../../src/wire/sizes.js';
import { FetchingClient } from '../../support/fetching-client.js';

async function open(t: Test, paths: readonly string[], options: Partial<ServeOptions> = {}) {
  const events: ServeEvent[] = [];
  const emitter = new EventEmitter();
  const serving = await serve({
    ...{ paths, port: 0, bind: ['127.0.0.1'], keyPair: await generateKeyPair() },
    trustClient: () => true,
    ...options,
    onEvent: (event) => {
      events.push(event);
      emitter.emit('event');
      options.onEvent?.(event);
    },
  });
  t.teardown(() => serving.close('the test is over'));
  const count = (type: ServeEvent['type']) => events.filter((each) => each.type === type).length;
  const waitFor = async (type: ServeEvent['type'], times = 1) => {
    while (count(type) < times) await once(emitter, 'event');
  };
  return { serving, events, count, waitFor, address: serving.addresses[0] as Address };
}

function makeFiles(t: Test) {
  const home = t.testdir({ served: { folder: { empty: '' } } });
  const served = join(home, 'served');
  writeFileSync(join(served, 'folder/a'), randomBytes(3 * block + 5));
  writeFileSync(join(served, 'folder/b'), randomBytes(100));
  writeFileSync(join(served, 'file'), randomBytes(20 * block));
  return { home, file: join(served, 'file'), folder: join(served, 'folder') };
}

async function openClient(t: Test, home: string, name = 'client') {
  mkdirSync(join(home, name));
  return FetchingClient.open(t, join(home, name));
}

t.test('clients list and fetch files and folders', async (t) => {
  const { home, file, folder } = makeFiles(t);
  const { address, waitFor, serving, count } = await open(t, [file, folder]);
  const clients = [await openClient(t, home, 'a'), await openClient(t, home, 'b')];
  const results = await Promise.all(
    clients.flatMap((client) => [
      client.fetch(address, { name: 'file' }),
      client.fetch(address, { name: 'folder' }),
    ]),
  );
  for (const result of results) t.match(result, { status: 'complete' });
  for (const { dir } of clients) {
    for (const name of ['file', 'folder/a', 'folder/b', 'folder/empty']) {
      t.ok(readFileSync(join(dir, name)).equals(readFileSync(join(home, 'served', name))), name);
    }
  }
  const listed = await clients[0]?.list(address);
  t.match(listed, [
    { name: 'file', contentSizeBytes: 20 * block },
    { name: 'folder', contentSizeBytes: 3 * block + 105 },
  ]);
  for (const [i, { contentRoot, fileCount }] of serving.entries().entries()) {
    t.equal(contentRoot, toHex(Object(listed)[i].root));
    t.equal(fileCount, [1, 3][i]);
  }
  const byRoot = await clients[1]?.fetch(address, { root: Object(listed)[0].root });
  t.match(byRoot, { status: 'complete', label: 'file' });
  await waitFor('end', 5);
  t.strictSame([count('indexed'), count('connect')], [2, 5]);
  t.match(serving.totals(), { clients: { complete: 5 }, changes: 0 });
  t.equal(serving.activeCount, 0);
});

t.test('what is not offered is refused, and so are clients without the right', async (t) => {
  const { home, file } = makeFiles(t);
  const client = await openClient(t, home);
  const trusting = await open(t, [file]);
  for (const name of ['folder', 'folder/a', '../file', '/etc/passwd', 'file/']) {
    t.equal(await client.fetch(trusting.address, { name }), `offers nothing named ${name}`);
  }
  const root = randomBytes(32);
  t.equal(await client.fetch(trusting.address, { root }), 'offers nothing with this digest');
  t.equal(
    await client.fetch(trusting.address, { name: 'file', root }),
    'has other content under the name file; to get that, fetch it again by its name',
  );
  const strict = await open(t, [file], { trustClient: () => 'you may not' });
  t.equal(await client.fetch(strict.address, { name: 'file' }), 'you may not');
  t.equal(await client.list(strict.address), 'you may not');
  t.match(
    strict.events.filter(({ type }) => type === 'turned-away'),
    [{ cause: 'untrusted', reason: 'you may not' }],
  );
  t.equal(strict.count('connect'), 0);
});

t.test('a file that changes while it is fetched: a clear end, then the new content', async (t) => {
  const { home, file } = makeFiles(t);
  writeFileSync(file, randomBytes(3000 * block));
  const client = await openClient(t, home);
  let change: (() => void) | undefined = () => writeFileSync(file, randomBytes(2000 * block));
  const { address, waitFor, events } = await open(t, [file], {
    onEvent: ({ type }) => {
      if (type !== 'connect') return;
      change?.();
      change = undefined;
    },
  });
  const first = await client.fetch(address, { name: 'file' });
  t.match(first, { status: 'failed', reason: /file has changed at the server; fetch it again/ });
  t.match(await client.fetch(address, { name: 'file' }), { status: 'complete' });
  t.ok(readFileSync(join(client.dir, 'file')).equals(readFileSync(file)), 'never a mixture');
  await waitFor('changed');
  t.strictSame(
    events.map(({ type }) => type).filter((type) => ['indexed', 'changed'].includes(type)),
    ['indexed', 'changed', 'indexed'],
  );
});

t.test('a client that is refused again and again is reported once', async (t) => {
  const { home, file } = makeFiles(t);
  const client = await openClient(t, home);
  const { address, events } = await open(t, [file]);
  for (const name of ['none', 'none', 'none', 'other'])
    t.equal(await client.fetch(address, { name }), `offers nothing named ${name}`);
  const refused = events.filter(({ type }) => type === 'refused');
  t.match(refused, [
    { name: 'none', unreported: 0 },
    { name: 'other', unreported: 2 },
  ]);
  t.equal(refused.length, 2);
});

t.test('no more clients than the limit', async (t) => {
  const { home, file } = makeFiles(t);
  const client = await openClient(t, home);
  const { address, events } = await open(t, [file], { maxClients: 0 });
  void client.fetch(address, { name: 'file' });
  t.match(await client.waitFor('deferred'), { reason: /busy with 0 clients/ });
  t.match(
    events.filter(({ type }) => type === 'refused'),
    [{ name: 'file', reason: /busy/ }],
  );
});

t.test('all clients together keep to the rate', async (t) => {
  const { home, file, folder } = makeFiles(t);
  writeFileSync(join(folder, 'c'), randomBytes(20 * block));
  const rateBytesPerSec = 4_000_000;
  const { address } = await open(t, [file, folder], { rateBytesPerSec });
  const clients = [await openClient(t, home, 'a'), await openClient(t, home, 'b')];
  const startedAtMs = performance.now();
  const results = await Promise.all(
    clients.map((client, i) => client.fetch(address, { name: i === 0 ? 'file' : 'folder' })),
  );
  const seconds = (performance.now() - startedAtMs) / 1000;
  for (const result of results) t.match(result, { status: 'complete' });
  // Bursts of a few milliseconds are sent at once.
  t.ok(seconds > (0.95 * 40 * block) / rateBytesPerSec, `${seconds} s`);
  await t.rejects(open(t, [file], { rateBytesPerSec: 999 }), { message: /at least 1000 bytes/ });
});

t.test('a client whose path is too narrow gets smaller segments when it asks again', async (t) => {
  const { home, file } = makeFiles(t);
  writeFileSync(file, randomBytes(3000 * block));
  const client = await openClient(t, home);
  const { address, serving, waitFor, events } = await open(t, [file]);
  const sessions = serving['sessions'];
  const sizes = () => [...sessions['running'].keys()].map(({ geometry }) => geometry.mssBytes);
  const fetched = client.fetch(address, { name: 'file' });
  await waitFor('connect');
  const before = sizes();
  const { client: name } = events.find(({ type }) => type === 'connect') as { client: string };
  const [host = '', port] = name.split(':');
  t.notOk(sessions.handleTooLarge({ host, port: 1 }), 'another address');
  t.ok(sessions.handleTooLarge({ host, port: Number(port) }));
  t.match(await fetched, { status: 'failed', reason: /does not carry segments of \d+ bytes/ });
  const again = client.fetch(address, { name: 'file' });
  await waitFor('connect', 2);
  t.ok(Number(sizes()[0]) < Number(before[0]), `${before} and then ${sizes()}`);
  t.match(await again, { status: 'complete' });
});

t.test('a server that shuts down lets its clients finish', async (t) => {
  const { home, file } = makeFiles(t);
  writeFileSync(file, randomBytes(500 * block));
  const client = await openClient(t, home);
  const { address, serving, waitFor } = await open(t, [file]);
  const fetched = client.fetch(address, { name: 'file' });
  await waitFor('connect');
  const drained = serving.drain();
  t.match(serving.refusal, /shutting down/);
  t.match(await fetched, { status: 'complete' });
  t.equal(await drained, true);
  await serving.closed;
});

t.test('a server that is stopped says so to its clients', async (t) => {
  const { home, file } = makeFiles(t);
  writeFileSync(file, randomBytes(3000 * block));
  const client = await openClient(t, home);
  const controller = new AbortController();
  const { address, waitFor, serving } = await open(t, [file], { signal: controller.signal });
  const fetched = client.fetch(address, { name: 'file' });
  await waitFor('connect');
  controller.abort();
  t.match(await fetched, { status: 'failed', reason: /the server was stopped/ });
  await serving.closed;
});

t.test('options are checked', async (t) => {
  const keyPair = await generateKeyPair();
  const good = { paths: ['x'], port: 0, keyPair, trustClient: () => true };
  await t.rejects(serve({ ...good, paths: [] }), { code: 'INVALID_ARGUMENT', message: /nothing/ });
  await t.rejects(serve(good), { code: 'SOURCE_UNREADABLE' });
  await t.rejects(serve({ ...good, pahts: [] } as never), { message: /did you mean paths/ });
});
