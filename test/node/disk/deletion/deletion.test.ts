/** What is deleted on disk: only what was listed, only where it was listed, and only if it is still the same. */
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import t, { type Test } from 'tap';
import { PartStore } from '../../../../src/node/disk/parts/part-store.js';
import type { PartStoreOptions } from '../../../../src/node/disk/parts/part-store-options.js';
import type { Entry } from '../../../../src/object/manifest.js';
import { createManifest } from '../../../../src/object/manifest.js';

const folder = (name: string, mode = 0o755): Entry => ({
  ...{ kind: 'folder', name, mode, modifiedMs: 1_600_000_000_000 },
});

/** Creates files, and folders for names that end with a slash. */
function make(dir: string, ...names: readonly string[]): void {
  for (const name of names) {
    mkdirSync(name.endsWith('/') ? join(dir, name) : dirname(join(dir, name)), { recursive: true });
    if (!name.endsWith('/')) writeFileSync(join(dir, name), name);
  }
}

interface Place {
  readonly dir: string;
  readonly outside: string;
}

function createPlace(t: Test): Place {
  const root = t.testdir({ in: { sent: {} }, outside: { kept: 'x' } });
  return { dir: join(root, 'in'), outside: join(root, 'outside') };
}

/** Lists, lets `change` act, and deletes everything that was listed. */
async function run(
  { dir }: Place,
  change: (() => void) | undefined,
  options: Partial<PartStoreOptions> = {},
) {
  const store = await PartStore.open({
    ...{ dir, partId: '5e'.repeat(32), blockSizeBytes: 10, existing: 'update' },
    ...{ manifest: createManifest([folder('sent')]), listsExtras: true },
    ...options,
  });
  const listed = [...store.extras];
  change?.();
  try {
    const deletion = await store.finish(listed);
    if (deletion === undefined) throw new Error('nothing was listed');
    return { ...deletion, listed: listed.map(({ name }) => name).sort() };
  } finally {
    // Unless it has finished.
    await store.suspend();
  }
}

t.test('what has changed since it was listed stays', async (t) => {
  const changes: readonly [what: string, change: (path: string) => void][] = [
    ['written', (path) => writeFileSync(path, 'other')],
    [
      'replaced by a file of the same size and time',
      (path) => {
        const { atime, mtime, size } = statSync(path);
        writeFileSync(`${path} new`, Buffer.alloc(size));
        utimesSync(`${path} new`, atime, mtime);
        renameSync(`${path} new`, path);
      },
    ],
    ['made readable for others', (path) => chmodSync(path, 0o666)],
    ['given a second name', (path) => linkSync(path, `${path} too`)],
    [
      'replaced by a folder',
      (path) => {
        unlinkSync(path);
        mkdirSync(path);
      },
    ],
    [
      'replaced by a link',
      (path) => {
        unlinkSync(path);
        symlinkSync('/etc/passwd', path);
      },
    ],
  ];
  for (const [what, change] of changes) {
    const place = createPlace(t);
    make(place.dir, 'sent/a', 'sent/d/changed', 'sent/d/z');
    const path = join(place.dir, 'sent/d/changed');
    // A disk may not distinguish two changes within one tick of the kernel's clock.
    await new Promise((resolve) => setTimeout(resolve, 20));
    const result = await run(place, () => change(path));
    t.match(result, { deletedEntries: 2, deletedNames: ['sent/a', 'sent/d/z'] }, what);
    t.match(result.undeleted, [{ name: 'sent/d/changed', cause: 'changed' }], what);
    t.ok(existsSync(path), what);
  }
});

t.test('a file with several names: all go, unless its content has changed', async (t) => {
  const place = createPlace(t);
  make(place.dir, 'sent/a', 'sent/x');
  linkSync(join(place.dir, 'sent/a'), join(place.dir, 'sent/b'));
  linkSync(join(place.dir, 'sent/x'), join(place.outside, 'x'));
  const result = await run(place, () => writeFileSync(join(place.outside, 'x'), 'longer content'));
  t.match(result, { deletedEntries: 2, undeleted: [{ name: 'sent/x', cause: 'changed' }] });
  t.strictSame(readdirSync(join(place.dir, 'sent')), ['x']);
});

t.test('what is added or removed meanwhile', async (t) => {
  const place = createPlace(t);
  make(place.dir, 'sent/d/a', 'sent/gone', 'sent/e/f/');
  const result = await run(place, () => {
    make(place.dir, 'sent/d/new', 'sent/new', 'new');
    rmSync(join(place.dir, 'sent/gone'));
    rmSync(join(place.dir, 'sent/e'), { recursive: true });
  });
  t.match(result, { deletedEntries: 1, deletedNames: ['sent/d/a'] });
  t.match(result.undeleted, [{ name: 'sent/d', cause: 'changed' }], 'it is not empty');
  t.strictSame(readdirSync(join(place.dir, 'sent')).sort(), ['d', 'new']);
  t.ok(existsSync(join(place.dir, 'new')) && existsSync(join(place.dir, 'sent/d/new')));
});

t.test('links are deleted, never followed', async (t) => {
  for (const target of ['outside', 'loop', 'missing']) {
    const place = createPlace(t);
    const link = join(place.dir, 'sent/link');
    symlinkSync(target === 'outside' ? place.outside : target === 'loop' ? 'link' : '/no', link);
    t.match(await run(place, undefined), { deletedNames: ['sent/link'], undeletedEntries: 0 });
    t.ok(existsSync(join(place.outside, 'kept')));
  }
});

t.test('a folder that becomes a link to another place after the listing', async (t) => {
  for (const name of ['sent', 'sent/d', 'sent/d/e']) {
    const place = createPlace(t);
    make(place.dir, 'sent/d/e/kept');
    const path = join(place.dir, name);
    // Elsewhere, the same files exist, with the same inodes and times.
    const moved = join(place.outside, 'moved');
    const change = () => {
      renameSync(path, moved);
      symlinkSync(moved, path);
    };
    const result = await run(place, change).catch((error: Error) => error);
    const below = 'sent/d/e/kept'.slice(name.length + 1);
    t.ok(existsSync(join(moved, below)), `${name}: what was moved stays`);
    if (!(result instanceof Error)) t.equal(result.deletedEntries, 0);
  }
});

t.test('only below the folders of the object that are not on the way', async (t) => {
  const place = createPlace(t);
  make(place.dir, 'top', 'site/beside/x', 'site/sent/old', 'other/x', 'sent/old');
  const manifest = createManifest([
    { kind: 'folder', name: 'site', isHolder: true, mode: 0o755, modifiedMs: 0 },
    folder('site/sent'),
  ]);
  const { listed } = await run(place, undefined, { manifest });
  t.strictSame(listed, ['site/sent/old']);
  t.ok(
    ['top', 'site/beside/x', 'other/x', 'sent/old'].every((name) =>
      existsSync(join(place.dir, name)),
    ),
  );
});

t.test("p2mp's own folders stay, even if the sender names them", async (t) => {
  const place = createPlace(t);
  const own = ['sent/.p2mp-part/x/journal', 'sent/a/.P2MP-PART-1/x', 'sent/.p2mp-probe-1/x'];
  const keys = ['sent/keys/receiver', 'sent/keys/deep/x', 'sent/list'];
  make(place.dir, ...own, ...keys, 'sent/old', 'sent/a/old');
  symlinkSync('keys', join(place.dir, 'sent/alias'));
  const protectedPaths = ['sent/alias', 'sent/list', 'sent/not there'].map((name) =>
    join(place.dir, name),
  );
  const names = ['sent', 'sent/.p2mp-part', 'sent/.p2mp-part/x', 'sent/.p2mp-probe-1', 'sent/a'];
  const more = ['sent/a/.P2MP-PART-1', 'sent/keys', 'sent/keys/deep'];
  const manifest = createManifest([...names, ...more].map((name) => folder(name)));
  const { listed } = await run(place, undefined, { manifest, protectedPaths });
  t.strictSame(listed, ['sent/a/old', 'sent/old']);
  for (const name of [...own, ...keys, 'sent/alias']) t.ok(existsSync(join(place.dir, name)), name);
});

t.test('a protected file stays, by whatever path the user named it', async (t) => {
  const place = createPlace(t);
  make(place.dir, 'sent/list');
  const path = join(place.dir, 'sent/list');
  // The name is protected as well as the inode.
  const { listed } = await run(place, () => writeFileSync(path, 'x'), {
    protectedPaths: [join(place.dir, 'sent/../sent/list')],
  });
  t.strictSame(listed, []);
});

t.test('a read-only folder of the object: entries go, and its mode and time stay', async (t) => {
  const place = createPlace(t);
  make(place.dir, 'sent/old');
  const manifest = createManifest([folder('sent', 0o555)]);
  chmodSync(join(place.dir, 'sent'), 0o555);
  const result = await run(place, undefined, { manifest });
  t.match(result, { deletedEntries: 1, undeletedEntries: 0 });
  const { mode, mtimeMs } = statSync(join(place.dir, 'sent'));
  t.equal(mode & 0o777, 0o555);
  t.equal(mtimeMs, 1_600_000_000_000);
  chmodSync(join(place.dir, 'sent'), 0o755);
});

t.test(
  'nothing is deleted if the list of doomed entries is empty, or from elsewhere',
  async (t) => {
    const place = createPlace(t);
    make(place.dir, 'sent/old');
    const store = await PartStore.open({
      ...{ dir: place.dir, partId: '5e'.repeat(32), blockSizeBytes: 10, existing: 'update' },
      ...{ manifest: createManifest([folder('sent')]), listsExtras: true },
    });
    const deletion = await store.finish([
      { name: 'sent/old', isFolder: false },
      { name: '../outside/kept', isFolder: false },
      { name: '/etc/passwd', isFolder: false },
    ]);
    t.match(deletion, { deletedEntries: 0, undeletedEntries: 0 });
    t.ok(existsSync(join(place.dir, 'sent/old')) && existsSync(join(place.outside, 'kept')));
  },
);
