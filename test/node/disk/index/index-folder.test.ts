/** Indexes on disk: whole or not used, also after kill -9 and for files that something else has written. */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  existsSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import t from 'tap';
import { FileIdentities } from '../../../../src/node/disk/index/file-identities.js';
import { defaultIndexFolder, IndexFolder } from '../../../../src/node/disk/index/index-folder.js';
import type { LeafIndex } from '../../../../src/node/disk/index/known-blocks.js';
import { distFolder } from '../../../support/processes.js';

function indexOf(fileCount: number, leafCount: number): LeafIndex {
  return {
    manifestBytes: new Uint8Array(randomBytes(100)),
    identities: FileIdentities.from(new Uint8Array(randomBytes(32 * fileCount))),
    leaves: new Uint8Array(randomBytes(32 * leafCount)),
  };
}

const plain = ({ manifestBytes, identities, leaves }: LeafIndex) =>
  Buffer.concat([manifestBytes, identities.bytes, leaves]);

t.test('what was saved is loaded; other paths have their own', async (t) => {
  const folder = await IndexFolder.open(join(t.testdir(), 'deep', 'index'));
  t.equal(statSync(folder.path).mode & 0o077, 0, 'for its owner only');
  for (const [fileCount, leafCount] of [
    [0, 0],
    [1, 1],
    [3, 100_000],
  ] as const) {
    const index = indexOf(fileCount, leafCount);
    await folder.save('/a', index);
    const loaded = await folder.load('/a');
    t.ok(loaded && plain(loaded).equals(plain(index)));
    t.equal(await folder.load('/b'), undefined);
  }
  t.equal(readdirSync(folder.path).length, 1, 'one replaces the other');
});

t.test('a damaged, shortened or foreign file is not used', async (t) => {
  const folder = await IndexFolder.open(t.testdir());
  await folder.save('/a', indexOf(2, 5));
  const [name = ''] = readdirSync(folder.path);
  const path = join(folder.path, name);
  const whole = readFileSync(path);
  for (let at = 0; at < whole.length; at++) {
    const damaged = Buffer.from(whole);
    damaged.writeUInt8(damaged.readUInt8(at) ^ (1 << (at % 8)), at);
    writeFileSync(path, damaged);
    if ((await folder.load('/a')) !== undefined) t.fail(`byte ${at}`);
  }
  writeFileSync(path, whole);
  for (let size = whole.length - 1; size >= 0; size--) {
    truncateSync(path, size);
    if ((await folder.load('/a')) !== undefined) t.fail(`${size} bytes`);
  }
  writeFileSync(path, Buffer.concat([whole, Buffer.alloc(1)]));
  t.equal(await folder.load('/a'), undefined, 'longer');
  writeFileSync(path, 'a file of something else');
  t.equal(await folder.load('/a'), undefined);
  await folder.save('/b', indexOf(1, 1));
  const other = readdirSync(folder.path).find((each) => each !== name) ?? '';
  writeFileSync(path, readFileSync(join(folder.path, other)));
  t.equal(await folder.load('/a'), undefined, 'the index of another path');
  const index = indexOf(2, 2);
  await folder.save('/a', index);
  t.ok(plain((await folder.load('/a')) as LeafIndex).equals(plain(index)), 'is made again');
});

t.test('unused indexes and remains of killed processes are removed', async (t) => {
  const folder = await IndexFolder.open(t.testdir());
  const days = { used: 1, left: 40 };
  for (const path of Object.keys(days)) await folder.save(`/${path}`, indexOf(1, 1));
  const [left = '', used = ''] = readdirSync(folder.path).toSorted();
  const names = {
    [left]: 40,
    [used]: 40,
    [`${left}.0.unfinished`]: 2,
    [`${used}.1.unfinished`]: 0.5,
    notes: 99,
  };
  for (const [name, age] of Object.entries(names)) {
    const path = join(folder.path, name);
    if (!existsSync(path)) writeFileSync(path, '');
    const time = Date.now() / 1000 - age * 24 * 3600;
    utimesSync(path, time, time);
  }
  const inUse = (await folder.load('/used')) === undefined ? '' : 'used';
  t.equal(inUse, 'used');
  await IndexFolder.open(folder.path);
  const rest = readdirSync(folder.path);
  t.equal(rest.length, 3, rest.join());
  t.ok(await folder.load('/used'));
  t.equal(await folder.load('/left'), undefined);
  t.ok(rest.includes('notes') && rest.some((name) => name.endsWith('.1.unfinished')));
});

/** Saves one index after another, of which each is filled with one value. */
const saverScript = `
  const { IndexFolder } = await import(process.argv[1]);
  const { FileIdentities } = await import(process.argv[2]);
  const folder = await IndexFolder.open(process.argv[3]);
  for (let n = 1; ; n = (n + 1) % 256) {
    const fill = (size) => new Uint8Array(size).fill(n);
    const identities = FileIdentities.from(fill(32));
    await folder.save('/a', { manifestBytes: fill(99), identities, leaves: fill(32 * 50_000) });
    process.send(n);
  }`;

t.test('after kill -9 there is a whole index', async (t) => {
  const folder = await IndexFolder.open(t.testdir());
  const modules = ['index-folder', 'file-identities'].map(
    (name) => pathToFileURL(join(distFolder, `node/disk/index/${name}.js`)).href,
  );
  const { NODE_OPTIONS: _, ...env } = process.env;
  for (let round = 1; round < 6; round++) {
    const args = ['--input-type=module', '-e', saverScript, ...modules, folder.path];
    const stdio = ['ignore', 'inherit', 'inherit', 'ipc'] as const;
    const child = spawn(process.execPath, args, { stdio: [...stdio], env });
    t.teardown(() => child.kill('SIGKILL'));
    for (let saved = 0; saved < round; saved++) await once(child, 'message');
    child.kill('SIGKILL');
    await once(child, 'exit');
    const loaded = await folder.load('/a');
    const bytes = plain(loaded as LeafIndex);
    t.ok(bytes.equals(Buffer.alloc(bytes.length, bytes[0])), `round ${round}`);
  }
});

t.test('the default folder is that of the platform', async (t) => {
  t.equal(defaultIndexFolder({ XDG_CACHE_HOME: '/c' }, 'linux'), '/c/p2mp/index');
  const own = join(homedir(), '.cache/p2mp/index');
  t.equal(defaultIndexFolder({ XDG_CACHE_HOME: 'relative' }, 'linux'), own);
  t.equal(defaultIndexFolder({}, 'darwin'), own);
  t.match(defaultIndexFolder({ LOCALAPPDATA: 'L' }, 'win32'), /^L.p2mp.index$/);
});
