/** What a host serves: names, states, and that an object is never offered in a state that its files have left. */
import { randomBytes } from 'node:crypto';
import { mkdirSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { P2mpError } from '../../../src/base/errors.js';
import { IndexFolder } from '../../../src/node/disk/index/index-folder.js';
import { sha256 } from '../../../src/node/primitives/primitives.js';
import { Catalogue } from '../../../src/node/serve/catalogue.js';
import { nameOfferedPaths } from '../../../src/node/serve/offered-names.js';
import type { ServedObject } from '../../../src/node/serve/served-object.js';
import type { ServedPathEvent } from '../../../src/node/serve/served-path.js';
import { standardBlockSizeBytes as block } from '../../../src/wire/sizes.js';
import { lookDuring } from '../../support/meanwhile.js';

// No program can set the time of a status change, so all files are a minute older.
const realNow = Date.now;
Date.now = () => realNow() + 60_000;

const nothing = { root: undefined, manifestDigest: undefined };
const byName = (name: string) => ({ ...nothing, name });

/** Each look takes as long as the time until the next one. */
function createClock(): () => number {
  let now = 0;
  return () => now++;
}

async function open(
  t: Test,
  paths: readonly string[],
  { folder, nowMs = createClock() }: { folder?: IndexFolder; nowMs?: () => number } = {},
) {
  const events: ServedPathEvent[] = [];
  const catalogue = await Catalogue.open({
    paths,
    ...(folder && { folder }),
    nowMs,
    onEvent: (event) => events.push(event),
  });
  t.teardown(() => catalogue.close());
  const find = async (name: string): Promise<ServedObject> => {
    const found = await catalogue.find(byName(name));
    if (typeof found === 'string') throw new Error(found);
    return found;
  };
  return { catalogue, events, find };
}

async function read(object: ServedObject, offsetBytes: number): Promise<Buffer | P2mpError> {
  const bytes = await new Promise<Buffer | P2mpError>((resolve) => {
    const content = object.open((error) => resolve(error as P2mpError));
    content.read(offsetBytes, block, (bytes) => resolve(Buffer.from(bytes)));
  });
  object.release();
  return bytes;
}

t.test('each path is offered under its last part', (t) => {
  const names = nameOfferedPaths(['/a/b', 'c/', './d/../other', '.']).map(({ name }) => name);
  t.strictSame(names.slice(0, 3), ['b', 'c', 'other']);
  t.equal(names[3], process.cwd().split('/').at(-1));
  const refused: [string[], RegExp][] = [
    [[], /nothing to serve/],
    [[''], /a path is empty/],
    [['-'], /standard input cannot be served/],
    [['/'], /^\/: has no name/],
    [['a', 'x/a'], /two paths would be offered as a: a and x\/a; rename one/],
    [['a', 'a'], /as a: a is named twice/],
    [['é'.repeat(251)], /name is longer than 500 bytes/],
    [['x/.p2mp-part'], /holds unfinished transfers/],
  ];
  for (const [paths, message] of refused) {
    t.throws(() => nameOfferedPaths(paths), { code: 'INVALID_ARGUMENT', message });
  }
  t.end();
});

t.test('files and folders are indexed and found', async (t) => {
  const home = t.testdir({ folder: { a: 'abc', b: 'de' }, file: 'x' });
  const { catalogue, events, find } = await open(t, [join(home, 'folder'), join(home, 'file')]);
  const folder = await find('folder');
  const file = await find('file');
  t.match(
    catalogue.entries().map(({ name, object }) => [name, object?.index.listed.source.files.length]),
    [
      ['file', 1],
      ['folder', 2],
    ],
  );
  const { contentRoot, manifestDigest, manifestBytes } = folder.index;
  t.strictSame(manifestDigest, Buffer.from(sha256(manifestBytes)));
  for (const asked of [
    { name: 'folder', root: contentRoot, manifestDigest },
    { name: '', root: contentRoot, manifestDigest: undefined },
    { name: '', root: undefined, manifestDigest },
  ]) {
    t.equal(await catalogue.find(asked), folder);
  }
  const other = { root: file.index.contentRoot, manifestDigest: undefined };
  t.equal(
    await catalogue.find({ name: 'folder', ...other }),
    'has other content under the name folder; to get that, fetch it again by its name',
  );
  t.equal(await catalogue.find(byName('folder/a')), 'offers nothing named folder/a');
  t.equal(
    await catalogue.find({ ...nothing, name: '', root: sha256(new Uint8Array(1)) }),
    'offers nothing with this digest',
  );
  t.strictSame(
    events.map(({ type }) => type),
    ['indexed', 'indexed'],
  );
  const missing = Catalogue.open({ paths: [join(home, 'missing')], onEvent: () => undefined });
  await t.rejects(missing, { code: 'SOURCE_UNREADABLE', message: /missing: does not exist/ });
});

t.test('a changed file is offered with its new content only', async (t) => {
  const home = t.testdir();
  const path = join(home, 'file');
  writeFileSync(path, randomBytes(200 * block));
  const { events, find } = await open(t, [path]);
  const first = await find('file');
  t.equal(await find('file'), first, 'nothing has changed');
  const kept = await read(first, 0);
  writeFileSync(path, randomBytes(200 * block));
  const second = await find('file');
  t.notSame(second.index.contentRoot, first.index.contentRoot);
  t.strictSame(
    events.map(({ type }) => type),
    ['indexed', 'changed', 'indexed'],
  );
  t.ok(first.isOutdated);
  t.match(await read(second, 0), Buffer);
  t.throws(() => first.open(() => undefined), /current object/);
  t.match(kept, Buffer);
});

t.test('a read that finds a change leads to a new index', async (t) => {
  const home = t.testdir();
  const path = join(home, 'file');
  writeFileSync(path, randomBytes(300 * block));
  const { catalogue, events, find } = await open(t, [path]);
  const first = await find('file');
  writeFileSync(path, randomBytes(300 * block));
  const error = await read(first, 250 * block);
  t.match(error, { code: 'SOURCE_CHANGED' });
  catalogue.handleReadFailure(first, error as P2mpError);
  t.strictSame(
    events.map(({ type }) => type),
    ['indexed', 'changed'],
    'sessions end at once',
  );
  t.equal(catalogue.entries()[0]?.object, undefined, 'nothing is offered meanwhile');
  const second = await find('file');
  t.match(await read(second, 250 * block), Buffer);
});

t.test('looks that find nothing take at most half of the time', async (t) => {
  const home = t.testdir({ file: 'one' });
  let now = 0;
  const { find } = await open(t, [join(home, 'file')], { nowMs: () => now });
  const first = await find('file');
  const looking = find('file');
  now += 10;
  t.equal(await looking, first);
  writeFileSync(join(home, 'file'), 'two');
  now += 9;
  t.equal(await find('file'), first, 'the last look counts; what is read is checked in any case');
  now += 1;
  t.not(await find('file'), first);
});

t.test('after a disk error, the path rests, and is read from a new listing', async (t) => {
  const home = t.testdir();
  const path = join(home, 'file');
  writeFileSync(path, randomBytes(5 * block));
  let now = 0;
  const { catalogue, events, find } = await open(t, [path], { nowMs: () => now });
  const first = await find('file');
  const error = new P2mpError('SOURCE_UNREADABLE', 'file: input/output error');
  for (let i = 0; i < 3; i++) catalogue.handleReadFailure(first, error);
  t.equal(await catalogue.find(byName('file')), 'cannot read file now; ask again later');
  t.equal(catalogue.entries()[0]?.error, error);
  now += 10_000;
  const second = await find('file');
  t.not(second, first);
  t.same(second.index.contentRoot, first.index.contentRoot);
  t.equal(second.index.hashedBytes, 0, 'the digests are those of the same files');
  t.match(await read(second, 0), Buffer);
  t.strictSame(
    events.map(({ type }) => type),
    ['indexed', 'unreadable', 'unservable', 'indexed'],
  );
});

t.test('content that differs from its digest is hashed again', async (t) => {
  const home = t.testdir();
  const path = join(home, 'file');
  writeFileSync(path, randomBytes(5 * block));
  const { catalogue, find } = await open(t, [path]);
  const first = await find('file');
  catalogue.handleReadFailure(first, 'wrong-content');
  const second = await find('file');
  t.not(second, first);
  t.equal(second.index.hashedBytes, 5 * block);
  t.match(await read(second, 0), Buffer);
});

t.test('a path that disappears and comes back', async (t) => {
  const home = t.testdir();
  const path = join(home, 'file');
  writeFileSync(path, 'one');
  const { catalogue, events, find } = await open(t, [path]);
  const first = await find('file');
  renameSync(path, `${path}.away`);
  for (let i = 0; i < 3; i++) {
    t.equal(await catalogue.find(byName('file')), 'cannot read file now; ask again later');
  }
  t.match(catalogue.entries()[0]?.error, { code: 'SOURCE_UNREADABLE' });
  renameSync(`${path}.away`, path);
  const again = await find('file');
  t.strictSame(again.index.contentRoot, first.index.contentRoot);
  t.strictSame(
    events.map(({ type }) => type),
    ['indexed', 'unreadable', 'unservable', 'indexed'],
    'each is reported once',
  );
});

t.test('indexes are made one after another, and progress shows', async (t) => {
  const home = t.testdir();
  const names = ['a', 'b', 'c'];
  for (const name of names) writeFileSync(join(home, name), randomBytes(100 * block));
  const { catalogue, find } = await open(
    t,
    names.map((name) => join(home, name)),
  );
  let highest = 0;
  let seen = 0;
  await lookDuring(Promise.all(names.map(find)), () => {
    const running = catalogue.entries().filter(({ indexing }) => (indexing?.doneBytes ?? 0) > 0);
    highest = Math.max(highest, running.length);
    seen += running.length;
  });
  t.equal(highest, 1);
  t.ok(seen > 10, `${seen} times`);
});

t.test('a restart with a folder of indexes reads nothing', async (t) => {
  const home = t.testdir();
  const folder = await IndexFolder.open(join(home, 'index'));
  mkdirSync(join(home, 'served'));
  writeFileSync(join(home, 'served/a'), randomBytes(5 * block));
  utimesSync(join(home, 'served/a'), 1, 1);
  for (const hashedBytes of [5 * block, 0]) {
    const { events, find, catalogue } = await open(t, [join(home, 'served')], { folder });
    await find('served');
    t.match(events, [{ type: 'indexed', hashedBytes }]);
    catalogue.close();
  }
  rmSync(folder.path, { recursive: true });
  const { events, find } = await open(t, [join(home, 'served')], { folder });
  await find('served');
  t.match(events, [{ type: 'unsaved', name: 'served' }, { type: 'indexed' }]);
});

t.test('a catalogue that closes while it indexes', async (t) => {
  const home = t.testdir();
  for (const name of ['a', 'b']) writeFileSync(join(home, name), randomBytes(100 * block));
  const { catalogue, events } = await open(t, [join(home, 'a'), join(home, 'b')]);
  const asked = catalogue.find(byName('b'));
  catalogue.close();
  t.equal(await asked, 'cannot read b now; ask again later');
  t.strictSame(events, []);
});
