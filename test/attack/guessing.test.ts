/** A trusted sender guesses the content of files that it never had. */
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, rmdirSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { generateKeyPair } from '../../src/index.js';
import { PartStore } from '../../src/node/disk/parts/part-store.js';
import { PlacedIndex } from '../../src/node/disk/store/placed-files.js';
import { createManifest } from '../../src/object/manifest.js';
import { SessionHost, sendTo } from '../support/session-host.js';

const modifiedSeconds = 1_600_000_000;

type Options = Partial<Parameters<typeof SessionHost.open>[2]>;

/** Opens a receiver, and creates a sender that offers it any content as `secret`. */
async function prepare(t: Test, options: Options = {}) {
  const folder = t.testdir({ in: {}, out: {} });
  const host = await SessionHost.open(t, join(folder, 'in'), options);
  const attacker = await generateKeyPair();
  const source = join(folder, 'out', 'secret');
  const offer = async (content: Uint8Array, keyPair = attacker, to = host) => {
    writeFileSync(source, content);
    utimesSync(source, modifiedSeconds, modifiedSeconds);
    const { receivers } = await sendTo([to], [source], { keyPair });
    const [{ status, receivedBytes, heldBeforeBytes } = { status: 'none' }] = receivers;
    return { status, receivedBytes, heldBeforeBytes };
  };
  return { folder, host, offer, attacker };
}

const nothingHeld = (sizeBytes: number) => ({
  status: 'complete',
  receivedBytes: sizeBytes,
  heldBeforeBytes: 0,
});

const allHeld = (sizeBytes: number) => ({
  status: 'complete',
  receivedBytes: 0,
  heldBeforeBytes: sizeBytes,
});

/** One short block; several full blocks with a short one at the end. */
const secrets = { 'a short block': Buffer.from('PIN 4711'), 'whole blocks': randomBytes(200_001) };

for (const [kind, secret] of Object.entries(secrets)) {
  const wrong = Buffer.from(secret);
  wrong[wrong.length - 1] = (wrong.at(-1) as number) ^ 1;

  t.test(`a right guess looks like a wrong one: a local file, ${kind}`, async (t) => {
    for (const guess of [secret, wrong]) {
      const { host, offer } = await prepare(t);
      writeFileSync(host.path('secret'), secret, { mode: 0o600 });
      t.same(await offer(guess), nothingHeld(secret.length));
    }
  });

  t.test(`a right guess looks like a wrong one: another sender's file, ${kind}`, async (t) => {
    for (const guess of [secret, wrong]) {
      const { offer } = await prepare(t);
      t.same(await offer(secret, await generateKeyPair()), nothingHeld(secret.length));
      t.same(await offer(guess), nothingHeld(secret.length));
    }
  });

  t.test(`a right guess looks like a wrong one: a file changed in place, ${kind}`, async (t) => {
    for (const guess of [secret, wrong]) {
      const { host, offer } = await prepare(t);
      await offer(Buffer.alloc(secret.length, 'x'));
      const { ino } = statSync(host.path('secret'));
      writeFileSync(host.path('secret'), secret);
      utimesSync(host.path('secret'), modifiedSeconds, modifiedSeconds);
      t.equal(statSync(host.path('secret')).ino, ino, 'the same file, size and time');
      t.same(await offer(guess), nothingHeld(secret.length));
    }
  });

  t.test(`content that a key has placed is not sent again by that key, ${kind}`, async (t) => {
    const placedPath = join(t.testdir(), 'state', 'placed');
    const { folder, host, offer } = await prepare(t, { placedPath });
    await offer(secret);
    const { ino } = statSync(host.path('secret'));
    t.same(await offer(secret), allHeld(secret.length));
    t.same(await offer(secret), allHeld(secret.length), 'however often');
    t.equal(statSync(host.path('secret')).ino, ino);
    const next = await SessionHost.open(t, join(folder, 'in'), { placedPath });
    t.same(await offer(secret, undefined, next), allHeld(secret.length), 'also after a restart');
    const forgetful = await SessionHost.open(t, join(folder, 'in'));
    t.same(await offer(secret, undefined, forgetful), nothingHeld(secret.length));
  });

  t.test(`with comparesAll, a right guess is detectable, ${kind}`, async (t) => {
    const { host, offer } = await prepare(t, { comparesAll: true });
    writeFileSync(host.path('secret'), secret);
    t.same(await offer(secret), allHeld(secret.length));
  });
}

/** Creates an object whose second entry fails: a folder exists at the path of `late`. */
function createFailing(content: Buffer) {
  const attributes = { mode: 0o644, modifiedMs: modifiedSeconds * 1000 };
  const manifest = createManifest([
    { kind: 'file', name: 'secret', ...attributes, sizeBytes: content.length },
    { kind: 'link', name: 'late', target: 'secret' },
  ]);
  return async (dir: string, index: PlacedIndex, key: string) =>
    PartStore.open({
      ...{ dir, manifest, blockSizeBytes: 1000, existing: 'update' },
      partId: key.repeat(32),
      placed: index.ofSender(key, key),
    });
}

t.test(
  'after a failed completion, files that others have placed since are not compared',
  async (t) => {
    const dir = t.testdir();
    const index = await PlacedIndex.open(undefined);
    const guess = randomBytes(5000);
    const open = createFailing(guess);
    const first = await open(dir, index, 'aa');
    await first.write(0, guess);
    mkdirSync(join(dir, 'late'));
    await t.rejects(first.finish(), { message: /late/ });
    await first.suspend();
    t.ok(readFileSync(join(dir, 'secret')).equals(guess), 'the file was placed');
    // The same sender can continue with it ...
    rmdirSync(join(dir, 'late'));
    const again = await open(dir, index, 'aa');
    t.equal(again.held.length, 5);
    await again.suspend();
    // ... until another sender places the same bytes.
    const other = await open(dir, index, 'bb');
    t.equal(other.held.length, 0);
    await other.write(0, guess);
    await other.finish();
    const last = await open(dir, index, 'aa');
    t.equal(last.held.length, 0);
    await last.suspend();
  },
);

t.test(
  'the index of placed files is bounded and shared, and a corrupt one matches nothing',
  async (t) => {
    const path = join(t.testdir(), 'placed');
    const [one, two] = [await PlacedIndex.open(path), await PlacedIndex.open(path)];
    const stats = (ino: number) => ({ ino: BigInt(ino), size: 5n, mtimeNs: 6n, ctimeNs: 7n });
    const mine = one.ofSender('aa', 'aa');
    const theirs = two.ofSender('bb', 'bb');
    for (let i = 0; i < 20_000; i++) (i % 2 ? mine : theirs).note(`/in/${i}`, stats(i));
    let found = 0;
    for (let i = 0; i < 20_000; i++) {
      if ((i % 2 ? two.ofSender('aa', 'aa') : one.ofSender('bb', 'bb')).has(`/in/${i}`, stats(i)))
        found++;
      if ((i % 2 ? theirs : mine).has(`/in/${i}`, stats(i)))
        t.fail('matches an entry of another key');
    }
    t.equal(found, 20_000);
    t.ok(statSync(path).size <= 16 * 1024 * 1024);
    for (const change of [{ ino: 2n }, { size: 6n }, { mtimeNs: 7n }, { ctimeNs: 8n }]) {
      t.notOk(mine.has('/in/1', { ...stats(1), ...change }));
    }
    mine.expect('/in/new', stats(1));
    t.ok(mine.has('/in/new', { ...stats(1), ctimeNs: 9n }), 'a rename changes ctime');
    mine.confirm('/in/new', { ...stats(2), ctimeNs: 9n });
    t.notOk(mine.has('/in/new', stats(2)), 'the path now holds another file');
    mine.confirm('/in/new', { ...stats(1), ctimeNs: 9n });
    t.ok(mine.has('/in/new', { ...stats(1), ctimeNs: 9n }));
    t.notOk(mine.has('/in/new', { ...stats(1), ctimeNs: 10n }), 'after confirmation, ctime counts');
    writeFileSync(path, randomBytes(100_000));
    t.notOk(mine.has('/in/1', stats(1)));
    t.notOk(mine.has('/in/2', stats(2)));
    one.close();
    two.close();
  },
);
