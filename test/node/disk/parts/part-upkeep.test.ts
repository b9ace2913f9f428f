/** Incomplete objects: only parts that a sender may come back for are kept. */
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, utimesSync, watch, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import t, { type Test } from 'tap';
import type { KeyPair } from '../../../../src/index.js';
import { generateKeyPair } from '../../../../src/index.js';
import { ifThere } from '../../../support/if-there.js';
import { isSameContent, writeRandomFile } from '../../../support/loopback.js';
import { SessionHost, sendTo } from '../../../support/session-host.js';

const sizeBytes = 500_000;

/** A sender that stops midway. */
async function interrupt(host: SessionHost, path: string, keyPair: KeyPair): Promise<void> {
  const abort = new AbortController();
  const reason = new Error('stopped midway');
  const sending = sendTo([host], [path], {
    keyPair,
    rateBytesPerSec: 200_000,
    signal: abort.signal,
    progressIntervalMs: 10,
    onEvent: (event) => {
      if (event.type === 'progress' && (event.receivers[0]?.receivedBytes ?? 0) > 0)
        abort.abort(reason);
    },
  });
  const error = await sending.catch((thrown: unknown) => thrown);
  if (error !== reason) throw new Error('it was not stopped');
}

/** The names of parts, once all work on them is done. */
async function partsAfter(host: SessionHost): Promise<string[]> {
  await host.receiving.close('disk operations are observed');
  const parts = host.path('.p2mp-part');
  return (ifThere(() => readdirSync(parts)) ?? []).filter((name) => name.length === 64);
}

async function prepare(t: Test) {
  const folder = t.testdir({ in: {} });
  const sent = writeRandomFile(folder, sizeBytes);
  const keyPair = await generateKeyPair();
  return { folder, sent, keyPair, host: await SessionHost.open(t, join(folder, 'in')) };
}

t.test('a source that changes during the transfer leaves no part', async (t) => {
  const { sent, host } = await prepare(t);
  for (let count = 1; count <= 3; count++) {
    const result = await sendTo([host], [sent], {
      onEvent: ({ type }) => type === 'connect' && utimesSync(sent, 1e9 + count, 1e9 + count),
    });
    t.match(result.error, { code: 'SOURCE_CHANGED' });
    await host.ends(count);
  }
  t.same(await partsAfter(host), []);
});

t.test('standard input that fails leaves no part, since it cannot be sent again', async (t) => {
  const { host } = await prepare(t);
  const abort = new AbortController();
  const sending = sendTo([host], ['-'], {
    input: Readable.from([Buffer.alloc(sizeBytes, 1)]),
    signal: abort.signal,
    rateBytesPerSec: 200_000,
    onEvent: ({ type }) => type === 'connect' && abort.abort(),
  });
  await t.rejects(sending, { name: 'AbortError' });
  await host.ends(1);
  t.same(await partsAfter(host), []);
});

t.test('an interruption leaves its part', async (t) => {
  const { sent, keyPair, host } = await prepare(t);
  await interrupt(host, sent, keyPair);
  await host.ends(1);
  t.equal((await partsAfter(host)).length, 1);
});

t.test('a source that changes between two attempts', async (t) => {
  const { sent, keyPair, host } = await prepare(t);
  const stranger = await generateKeyPair();
  await interrupt(host, sent, keyPair);
  await interrupt(host, sent, stranger);
  writeFileSync(sent, 'a later version');
  t.match((await sendTo([host], [sent], { keyPair })).receivers, [{ status: 'complete' }]);
  t.ok(isSameContent(sent, host.path('sent')));
  t.equal((await partsAfter(host)).length, 1, 'the part of the other sender stays');
});

t.test('an open receiver gives a part to any sender that offers the object', async (t) => {
  const folder = t.testdir({ in: {} });
  const sent = writeRandomFile(folder, sizeBytes);
  const host = await SessionHost.open(t, join(folder, 'in'), { sharesParts: true });
  await interrupt(host, sent, await generateKeyPair());
  const [first] = await host.ends(1);
  const { receivers } = await sendTo([host], [sent]);
  const receivedBytes = sizeBytes - (first?.heldBytes ?? 0);
  t.match(receivers, [{ status: 'complete', receivedBytes }]);
  t.ok(receivedBytes < sizeBytes, `${receivedBytes} of ${sizeBytes} received again`);
});

t.test('parts of other names stay when one object completes', async (t) => {
  const { folder, sent, keyPair, host } = await prepare(t);
  const other = writeRandomFile(folder, sizeBytes, 'other');
  await interrupt(host, other, keyPair);
  t.match((await sendTo([host], [sent], { keyPair })).receivers, [{ status: 'complete' }]);
  t.equal((await partsAfter(host)).length, 1);
});

t.test('old parts are removed while the receiver runs', async (t) => {
  const folder = t.testdir({ in: {} });
  const sent = writeRandomFile(folder, sizeBytes);
  const host = await SessionHost.open(t, join(folder, 'in'), { keepPartsMs: 100 });
  await interrupt(host, sent, await generateKeyPair());
  t.match(await host.ends(1), [{ status: 'failed' }]);
  const watcher = watch(host.dir);
  t.teardown(() => watcher.close());
  while (existsSync(host.path('.p2mp-part'))) await once(watcher, 'change');
  t.same(readdirSync(host.dir), []);
});

const idOf = (number: number) => `${number}`.padStart(64, '0');

/** Creates seventy parts, the first of another sender. */
function makeParts(host: SessionHost, keyPair: KeyPair): void {
  const senderKey = Buffer.from(keyPair.publicKey).toString('hex');
  for (let number = 0; number < 70; number++) {
    const part = host.path('.p2mp-part', idOf(number));
    mkdirSync(part, { recursive: true });
    const key = number === 0 ? 'another' : senderKey;
    const origin = { senderKey: key, lastKey: key, label: `${number}` };
    writeFileSync(join(part, 'origin'), JSON.stringify(origin));
    writeFileSync(join(part, 'journal'), '');
    utimesSync(join(part, 'journal'), 1e9, 1.7e9 + number);
  }
}

t.test('a sender that starts object after object keeps its 64 newest parts', async (t) => {
  const { sent, keyPair, host } = await prepare(t);
  makeParts(host, keyPair);
  t.match((await sendTo([host], [sent], { keyPair })).receivers, [{ status: 'complete' }]);
  const left = (await partsAfter(host)).map(Number).sort((a, b) => a - b);
  t.same(left, [0, ...Array.from({ length: 64 }, (_, i) => i + 6)]);
});

t.test('the part of the session that ends is one of the 64', async (t) => {
  const { sent, keyPair, host } = await prepare(t);
  makeParts(host, keyPair);
  await interrupt(host, sent, keyPair);
  await host.ends(1);
  const left = await partsAfter(host);
  t.equal(left.length, 1 + 64, 'one of the other sender, and 64');
  t.ok(left.includes(idOf(0)) && left.includes(idOf(69)) && !left.includes(idOf(6)));
  t.ok(
    left.some((name) => !name.startsWith('0000')),
    'the last part exists',
  );
});
