/** Attacks on `serve`, with real sockets and files: who gets what, and under which names. */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { Address } from '../../src/base/address.js';
import {
  AuthorizedKeys,
  formatAuthorizedKey,
  type Right,
} from '../../src/node/keys/authorized-keys.js';
import { generateKeyPair } from '../../src/node/keys/key-files.js';
import { trustAuthorizedClients } from '../../src/node/keys/trust.js';
import type { ServeEvent, ServeOptions } from '../../src/node/serve/serve-options.js';
import { serve } from '../../src/node/serve.js';
import { FetchingClient } from '../support/fetching-client.js';

async function open(t: Test, paths: string[], trustClient: ServeOptions['trustClient']) {
  const events: ServeEvent[] = [];
  let onIndexed: (event: ServeEvent) => void = () => undefined;
  /** Resolves with what became of the path that is indexed first. */
  const indexed = new Promise<ServeEvent>((resolve) => {
    onIndexed = resolve;
  });
  const onEvent = (event: ServeEvent) => {
    events.push(event);
    if (event.type === 'indexed' || event.type === 'unservable') onIndexed(event);
  };
  const options = { paths, trustClient, onEvent };
  const place = { port: 0, bind: ['127.0.0.1'], keyPair: await generateKeyPair() };
  const serving = await serve({ ...options, ...place });
  t.teardown(() => serving.close('the test is over'));
  return { events, indexed, address: serving.addresses[0] as Address, serving };
}

async function openClient(t: Test, home: string, name: string) {
  mkdirSync(join(home, name));
  return FetchingClient.open(t, join(home, name));
}

t.test(
  'keys without the right fetch get neither lists nor content, by no name or root',
  async (t) => {
    const home = t.testdir({ file: 'secret' });
    const path = join(home, 'file');
    const rights: Record<string, readonly Right[]> = {
      ...{ nothing: [], sends: ['send'], deletes: ['send', 'delete'], fetches: ['fetch'] },
    };
    const clients: [string, FetchingClient][] = [];
    for (const name of Object.keys(rights)) clients.push([name, await openClient(t, home, name)]);
    const lines = clients.flatMap(([name, { keyPair }]) => {
      const given = rights[name] ?? [];
      return given.length === 0 ? [] : [formatAuthorizedKey(given, keyPair.publicKey, name)];
    });
    writeFileSync(join(home, 'authorized_keys'), `${lines.join('\n')}\n`);
    const keys = await AuthorizedKeys.load(join(home, 'authorized_keys'));
    const { address, events, indexed, serving } = await open(
      t,
      [path],
      trustAuthorizedClients(keys),
    );
    t.match(await indexed, { type: 'indexed' });
    const root = Uint8Array.from(Buffer.from(serving.entries()[0]?.contentRoot ?? '', 'hex'));
    t.equal(root.length, 32);
    for (const [name, client] of clients) {
      const answers = [
        await client.list(address),
        await client.fetch(address, { name: 'file' }),
        await client.fetch(address, { root }),
        await client.fetch(address, { name: 'file', root }),
      ];
      if (name === 'fetches') {
        t.match(answers[0], [{ name: 'file' }]);
        t.match(answers[1], { status: 'complete' });
        continue;
      }
      for (const answer of answers)
        t.match(answer, /^the server does not let this key .* fetch/, name);
      t.equal(new Set(answers).size, 1, 'the answer does not depend on what is served');
      t.notOk(existsSync(join(client.dir, 'file')));
    }
    t.equal(events.filter(({ type }) => type === 'connect').length, 3);
  },
);

t.test('a key that loses its right gets nothing from then on', async (t) => {
  const home = t.testdir({ file: 'secret' });
  let mayFetch = true;
  const { address } = await open(t, [join(home, 'file')], () => mayFetch || 'not any more');
  const client = await openClient(t, home, 'in');
  t.match(await client.fetch(address, { name: 'file' }), { status: 'complete' });
  mayFetch = false;
  t.equal(await client.fetch(address, { name: 'file' }), 'not any more');
  t.equal(await client.list(address), 'not any more');
});

t.test('no name leads out of what is served', async (t) => {
  const home = t.testdir({ secret: 'secret', file: 'public', folder: { a: 'public' } });
  symlinkSync(join(home, 'secret'), join(home, 'folder/link'));
  const { address, events } = await open(t, [join(home, 'file'), join(home, 'folder')], () => true);
  const client = await openClient(t, home, 'in');
  const names = [
    ...['.', '..', './file', '../secret', 'folder/../secret', 'folder/a', 'folder/', 'file/.'],
    ...['/etc/passwd', join(home, 'secret'), 'file\0', 'file\0.txt', '\\\\host\\share', 'C:\\x'],
    ...['FILE', 'file ', ' file', 'f\u0131le', 'file\u200b', '__proto__', 'constructor', '%66ile'],
  ];
  for (const name of names)
    t.match(await client.fetch(address, { name }), /^offers nothing named /, name);
  t.match(await client.fetch(address, { name: 'folder' }), { status: 'complete' });
  t.same(readdirSync(join(client.dir, 'folder')), ['a']);
  const skipped = events.flatMap((event) => (event.type === 'skipped' ? [event.name] : []));
  t.same(skipped, ['folder/link']);
});

t.test('clients that ask for ever more lists and objects do not stop others', async (t) => {
  const home = t.testdir();
  const path = join(home, 'file');
  writeFileSync(path, randomBytes(500_000));
  const { address } = await open(t, [path], () => true);
  const [flooder, honest] = [await openClient(t, home, 'a'), await openClient(t, home, 'b')];
  const flood = Array.from({ length: 200 }, (_, i) =>
    i % 2 === 0 ? flooder.list(address) : flooder.fetch(address, { name: `${i}` }),
  );
  t.match(await honest.fetch(address, { name: 'file' }), { status: 'complete' });
  const answers = await Promise.all(flood);
  t.equal(answers.filter((answer) => typeof answer === 'string').length, 100);
});
