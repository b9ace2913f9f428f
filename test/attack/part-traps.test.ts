/**
 * Traps in the file system below the target folder: nothing outside of it may be read or written.
 */
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { makePrivateFolder, removeIfEmpty } from '../../src/node/disk/parts/part-folder.js';
import type { ExistingFiles } from '../../src/node/disk/parts/part-store.js';
import { PartStore, removeStaleParts } from '../../src/node/disk/parts/part-store.js';
import type { Entry } from '../../src/object/manifest.js';
import { createManifest } from '../../src/object/manifest.js';
import { momentDuring } from '../support/meanwhile.js';

const skip = process.platform === 'win32' && 'Windows requires privileges for links';
const noRoot = process.getuid?.() !== 0 && 'only root can change the owner of files';
const partId = '7a'.repeat(32);
const content = randomBytes(25);

function file(name: string): Entry {
  return { kind: 'file', name, mode: 0o644, modifiedMs: 1000, sizeBytes: content.length };
}

function folder(name: string): Entry {
  return { kind: 'folder', name, mode: 0o755, modifiedMs: 1000 };
}

function link(name: string, target: string): Entry {
  return { kind: 'link', name, target };
}

/** Opens a store for these entries, all files with the same content. */
function open(dir: string, entries: readonly Entry[], existing: ExistingFiles = 'update') {
  const manifest = createManifest(entries);
  const what = { dir, partId, manifest, blockSizeBytes: content.length, existing };
  return PartStore.open({ ...what, gatherMs: 0 });
}

async function writeAll(store: PartStore, fileCount: number): Promise<void> {
  for (let i = 0; i < fileCount; i++) await store.write(i * content.length, content);
}

/**
 * Creates a target folder, and beside it one that must not change, with a file of the right size.
 */
function createPlace(t: Test): { readonly dir: string; readonly outside: string } {
  const root = t.testdir({ dir: {}, outside: { f: 'x'.repeat(content.length) } });
  return { dir: join(root, 'dir'), outside: join(root, 'outside') };
}

function checkOutside(t: Test, outside: string): void {
  t.same(readdirSync(outside), ['f']);
  t.equal(readFileSync(join(outside, 'f'), 'utf8'), 'x'.repeat(content.length));
  t.not(lstatSync(join(outside, 'f')).mtimeMs, 1000);
  t.not(lstatSync(outside).mtimeMs, 1000);
}

t.test('a symbolic link in the path is refused, whatever comes after it', { skip }, async (t) => {
  for (const existing of ['update', 'overwrite', 'keep'] as const) {
    for (const [trap, entries] of [
      ['a', [folder('a'), file('a/f')]],
      ['a', [folder('a')]],
      ['a', [folder('a'), link('a/f', 'g')]],
      ['a/b', [folder('a'), folder('a/b'), folder('a/b/c'), file('a/b/c/f')]],
    ] as const) {
      const { dir, outside } = createPlace(t);
      mkdirSync(join(dir, trap, '..'), { recursive: true });
      symlinkSync(outside, join(dir, trap));
      await t.rejects(open(dir, entries, existing), {
        code: 'TARGET_UNWRITABLE',
        message: `${join(dir, trap)}: is a symbolic link; remove it or choose another folder`,
      });
      checkOutside(t, outside);
      t.notOk(existsSync(join(dir, '.p2mp-part')));
    }
  }
});

t.test('a link that appears before completion is refused too', { skip }, async (t) => {
  const { dir, outside } = createPlace(t);
  const store = await open(dir, [folder('a'), folder('a/b'), file('a/b/f')]);
  await writeAll(store, 1);
  for (const trap of ['a', 'a/b']) {
    mkdirSync(join(dir, trap, '..'), { recursive: true });
    symlinkSync(outside, join(dir, trap));
    await t.rejects(store.finish(), {
      code: 'TARGET_FAILED',
      message: `${join(dir, trap)}: is a symbolic link; remove it or choose another folder`,
    });
    checkOutside(t, outside);
    rmSync(join(dir, trap));
  }
  await store.finish();
  t.ok(readFileSync(join(dir, 'a/b/f')).equals(content));
});

t.test('a link that appears during completion stops it', { skip }, async (t) => {
  const { dir, outside } = createPlace(t);
  // Enough files for the process to yield in between.
  const names = Array.from({ length: 300 }, (_, i) => `a/${i}`);
  const store = await open(dir, [folder('a'), ...names.map(file)]);
  await writeAll(store, names.length);
  const finishing = store.finish().then(
    () => 'whole',
    (error: Error) => error.message,
  );
  await momentDuring(finishing, () => existsSync(join(dir, 'a/0')));
  renameSync(join(dir, 'a'), join(dir, 'moved'));
  symlinkSync(outside, join(dir, 'a'));
  t.equal(
    await finishing,
    `${join(dir, 'a')}: is a symbolic link; remove it or choose another folder`,
  );
  t.ok(readdirSync(join(dir, 'moved')).length < names.length);
  checkOutside(t, outside);
  await store.discard();
});

t.test('a link in the place of a file is itself replaced', { skip }, async (t) => {
  for (const existing of ['update', 'overwrite'] as const) {
    const { dir, outside } = createPlace(t);
    symlinkSync(join(outside, 'f'), join(dir, 'f'));
    symlinkSync('nowhere', join(dir, 'g'));
    const store = await open(dir, [file('f'), file('g')], existing);
    t.same(store.held, [], 'its target is not compared');
    await writeAll(store, 2);
    await store.finish();
    for (const name of ['f', 'g']) {
      t.ok(lstatSync(join(dir, name)).isFile());
      t.ok(readFileSync(join(dir, name)).equals(content));
    }
    checkOutside(t, outside);
  }
});

t.test("with existing: 'keep', a link is itself kept", { skip }, async (t) => {
  const { dir, outside } = createPlace(t);
  symlinkSync(join(outside, 'f'), join(dir, 'f'));
  const store = await open(dir, [file('f'), file('g')], 'keep');
  t.same(store.kept, [{ start: 0, end: 1 }]);
  await writeAll(store, 2);
  await store.finish();
  t.equal(readlinkSync(join(dir, 'f')), join(outside, 'f'));
  t.ok(readFileSync(join(dir, 'g')).equals(content));
  checkOutside(t, outside);
});

t.test('a candidate that becomes a link is neither read nor modified', { skip }, async (t) => {
  const { dir, outside } = createPlace(t);
  const entries = [folder('a'), file('a/f')];
  for (const trap of ['a', 'a/f']) {
    mkdirSync(join(dir, 'a'), { recursive: true });
    writeFileSync(join(dir, 'a/f'), content);
    const store = await open(dir, entries);
    t.equal(store.held.length, 1);
    renameSync(join(dir, trap), join(dir, 'moved'));
    symlinkSync(trap === 'a' ? outside : join(outside, 'f'), join(dir, trap));
    await t.rejects(store.finish(), { code: 'TARGET_FAILED' });
    await store.forget(0);
    await t.rejects(store.write(0, randomBytes(content.length)), { code: 'TARGET_FAILED' });
    await store.discard();
    checkOutside(t, outside);
    rmSync(join(dir, trap));
    rmSync(join(dir, 'moved'), { recursive: true });
  }
});

t.test(
  'links of the object replace links and files, and are never followed',
  { skip },
  async (t) => {
    const { dir, outside } = createPlace(t);
    symlinkSync(outside, join(dir, 'l'));
    writeFileSync(join(dir, 'm'), 'a file');
    symlinkSync('f', join(dir, 'n'));
    const { ino } = lstatSync(join(dir, 'n'));
    const store = await open(dir, [file('f'), link('l', 'f'), link('m', 'f'), link('n', 'f')]);
    await writeAll(store, 1);
    await store.finish();
    for (const name of ['l', 'm', 'n']) t.equal(readlinkSync(join(dir, name)), 'f');
    t.equal(lstatSync(join(dir, 'n')).ino, ino, 'an identical link is left alone');
    checkOutside(t, outside);
  },
);

t.test('an entry of another kind is refused by name, at the start or at the end', async (t) => {
  for (const [entries, name, what] of [
    [[folder('x'), file('x/f')], 'x', 'is not a folder; move it away or choose another folder'],
    [[file('y')], 'y', 'is a folder; move it away or choose another folder'],
    [[link('y', 'f')], 'y', 'is a folder; move it away or choose another folder'],
  ] as const) {
    const dir = t.testdir({ x: 'a file', y: { z: 'in a folder' } });
    const message = `${join(dir, name)}: ${what}`;
    await t.rejects(open(dir, entries), { code: 'TARGET_UNWRITABLE', message });
    renameSync(join(dir, name), join(dir, 'moved'));
    const store = await open(dir, entries);
    await writeAll(store, entries.filter(({ kind }) => kind === 'file').length);
    renameSync(join(dir, 'moved'), join(dir, name));
    await t.rejects(store.finish(), { code: 'TARGET_FAILED', message });
    await store.discard();
    t.equal(readFileSync(join(dir, 'y/z'), 'utf8'), 'in a folder');
    t.equal(readFileSync(join(dir, 'x'), 'utf8'), 'a file');
  }
});

t.test('names inside the folder of parts are refused', async (t) => {
  const dir = t.testdir();
  for (const name of ['.p2mp-part', '.P2MP-Part']) {
    for (const entries of [[file(name)], [folder(name), file(`${name}/f`)]]) {
      await t.rejects(open(dir, entries), {
        code: 'TARGET_UNWRITABLE',
        message: /\.p2mp-part: this name is reserved for unfinished transfers; /i,
      });
    }
  }
  t.same(readdirSync(dir), []);
  const store = await open(dir, [file('.p2mp-parts'), folder('a'), file('a/.p2mp-part')]);
  await writeAll(store, 2);
  await store.finish();
  t.ok(readFileSync(join(dir, 'a/.p2mp-part')).equals(content));
});

t.test('a link in the place of the part is refused', { skip }, async (t) => {
  for (const trap of ['.p2mp-part', `.p2mp-part/${partId}`]) {
    const { dir, outside } = createPlace(t);
    mkdirSync(join(dir, trap, '..'), { recursive: true });
    symlinkSync(outside, join(dir, trap));
    await t.rejects(open(dir, [file('f')]), {
      code: 'TARGET_UNWRITABLE',
      message: /: is a symbolic link; remove it or choose another folder$/,
    });
    if (trap === '.p2mp-part') await t.rejects(removeStaleParts(dir, -1e6));
    else await removeStaleParts(dir, -1e6);
    checkOutside(t, outside);
  }
});

t.test('a folder of parts that others could enter is closed to them', { skip }, async (t) => {
  const { dir } = createPlace(t);
  mkdirSync(join(dir, '.p2mp-part'));
  chmodSync(join(dir, '.p2mp-part'), 0o777);
  const store = await open(dir, [file('f')]);
  t.equal(lstatSync(join(dir, '.p2mp-part')).mode & 0o777, 0o700);
  t.equal(lstatSync(join(dir, '.p2mp-part', partId)).mode & 0o777, 0o700);
  await store.discard();
});

t.test(
  'a folder of parts that belongs to another user is not used',
  { skip: skip || noRoot },
  async (t) => {
    const stranger = 54_321;
    const { dir } = createPlace(t);
    const parts = join(dir, '.p2mp-part');
    mkdirSync(parts, { mode: 0o700 });
    chownSync(parts, stranger, stranger);
    const message = `${parts}: belongs to user ${stranger}; remove it, or choose another folder`;
    const refused = { code: 'TARGET_UNWRITABLE', message };
    await t.rejects(open(dir, [file('f')]), refused);
    await t.rejects(removeStaleParts(dir, -1e6), refused);
    t.same(readdirSync(dir), ['.p2mp-part'], 'the check leaves no files');
    // Nor if that user owns the target folder as well.
    chownSync(dir, stranger, stranger);
    await t.rejects(open(dir, [file('f')]), refused);

    const inner = createPlace(t);
    const part = join(inner.dir, '.p2mp-part', partId);
    mkdirSync(part, { recursive: true });
    chownSync(part, stranger, stranger);
    const store = await open(inner.dir, [file('f')]);
    t.equal(lstatSync(part).uid, 0, 'recreated');
    await store.discard();
  },
);

t.test('links in the place of files of the part are refused', { skip }, async (t) => {
  for (const name of ['0', 'journal', 'journal.new']) {
    const { dir, outside } = createPlace(t);
    const first = await open(dir, [file('f'), file('g')]);
    await first.write(content.length, content);
    await first.suspend();
    const path = join(dir, '.p2mp-part', partId, name);
    rmSync(path, { force: true });
    symlinkSync(join(outside, 'f'), path);
    const write = async () => {
      const store = await open(dir, [file('f'), file('g')]);
      await writeAll(store, 2).finally(() => store.suspend());
    };
    await t.rejects(write(), { code: 'TARGET_FAILED' }, name);
    checkOutside(t, outside);
  }
});

t.test('a file of the part that grew is truncated to its size', async (t) => {
  for (const sizeBytes of [content.length + 1, 10_000]) {
    const { dir } = createPlace(t);
    const first = await open(dir, [file('f'), { ...file('empty'), sizeBytes: 0 } as Entry]);
    await first.suspend();
    // As left by a copy that was interrupted because its source grew.
    for (const name of ['0', '1']) {
      writeFileSync(join(dir, '.p2mp-part', partId, name), Buffer.alloc(sizeBytes, 'x'));
    }
    const store = await open(dir, [file('f'), { ...file('empty'), sizeBytes: 0 } as Entry]);
    await writeAll(store, 1);
    await store.finish();
    t.ok(readFileSync(join(dir, 'f')).equals(content), `${sizeBytes} bytes`);
    t.equal(readFileSync(join(dir, 'empty')).length, 0);
  }
});

t.test('a truncated file of the part is not renamed into place', async (t) => {
  const { dir } = createPlace(t);
  const store = await open(dir, [file('f')]);
  await writeAll(store, 1);
  await store.checkpoint();
  truncateSync(join(dir, '.p2mp-part', partId, '0'), 3);
  await t.rejects(store.finish(), {
    code: 'TARGET_FAILED',
    message: `${join(dir, 'f')}: was truncated before it was renamed into place; send it again`,
  });
  t.notOk(existsSync(join(dir, 'f')));
  await store.discard();
});

t.test('a target that is not a folder, or cannot be created, is refused', async (t) => {
  const dir = t.testdir({ file: 'content' });
  await t.rejects(open(join(dir, 'file'), [file('f')]), {
    code: 'TARGET_UNWRITABLE',
    message: `${join(dir, 'file')}: is not a folder; name a folder`,
  });
  await t.rejects(open(join(dir, 'file', 'x'), [file('f')]), {
    code: 'TARGET_UNWRITABLE',
    message: /file.x: a part of the path is not a folder; check the name$/,
  });
});

t.test('a folder of parts that is removed concurrently is created again', async (t) => {
  const path = join(t.testdir(), '.p2mp-part');
  for (let round = 0; round < 300; round++) {
    const makers = Array.from({ length: 4 }, () => makePrivateFolder(path));
    const removers = Array.from({ length: 4 }, () => removeIfEmpty(path));
    await Promise.all([...makers, ...removers]);
  }
  t.pass('no call fails');
});
