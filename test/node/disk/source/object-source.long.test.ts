import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  appendFileSync,
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { basename, dirname, join, relative } from 'node:path';
import { Readable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import {
  ObjectSource,
  type ObjectSourceOptions,
} from '../../../../src/node/disk/source/object-source.js';
import { decodeManifest, encodeManifest } from '../../../../src/object/manifest.js';
import { lookDuring } from '../../../support/meanwhile.js';
import type { Cleaner } from '../../../support/processes.js';

const mebibyte = 1024 * 1024;

async function open(
  t: Cleaner,
  paths: readonly string[],
  options: Omit<ObjectSourceOptions, 'paths'> = {},
): Promise<ObjectSource> {
  const source = await ObjectSource.open({ paths, ...options });
  t.teardown(() => source.close());
  return source;
}

/** Writes files in the given order, with their folders. Their times lie in the past. */
function writeTree(folder: string, files: Readonly<Record<string, Uint8Array | string>>): string {
  for (const [name, content] of Object.entries(files)) {
    const path = join(folder, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
    utimesSync(path, 1_000_000_000, 1_000_000_000);
  }
  return folder;
}

const namesOf = ({ manifest }: ObjectSource) => manifest.entries.map(({ name }) => name);

const readAll = (source: ObjectSource) => source.read(0, source.manifest.contentSizeBytes);

const textOf = async (source: ObjectSource) => Buffer.from(await readAll(source)).toString();

/** Reads everything in blocks, one call each, as a transfer does. */
async function readInBlocks(source: ObjectSource, blockSizeBytes: number): Promise<Buffer> {
  const { contentSizeBytes } = source.manifest;
  const blocks: Uint8Array[] = [];
  for (let offset = 0; offset < contentSizeBytes; offset += blockSizeBytes) {
    blocks.push(await source.read(offset, Math.min(blockSizeBytes, contentSizeBytes - offset)));
  }
  return Buffer.concat(blocks);
}

t.test('a folder is sent with everything in it, named as by cp -r', async (t) => {
  const folder = t.testdir();
  const root = join(folder, 'dir');
  writeTree(root, { 'b/deep/file': '12345', a: 'abc', 'b/empty': '' });
  mkdirSync(join(root, 'c'));
  chmodSync(join(root, 'a'), 0o640);
  chmodSync(join(root, 'b', 'empty'), 0o4755);
  utimesSync(join(root, 'a'), 1, 1.5);
  chmodSync(join(root, 'c'), 0o700);
  const source = await open(t, [root]);
  const facts = (path: string) => {
    const { mode, mtimeMs } = statSync(join(folder, path));
    return { name: path, mode: mode & 0o777, modifiedMs: mtimeMs };
  };
  t.same(source.manifest, {
    entries: [
      { kind: 'folder', ...facts('dir') },
      { kind: 'file', name: 'dir/a', mode: 0o640, modifiedMs: 1500, sizeBytes: 3 },
      { kind: 'folder', ...facts('dir/b') },
      { kind: 'folder', ...facts('dir/b/deep') },
      { kind: 'file', ...facts('dir/b/deep/file'), sizeBytes: 5 },
      { kind: 'file', ...facts('dir/b/empty'), mode: 0o755, sizeBytes: 0 },
      { kind: 'folder', ...facts('dir/c'), mode: 0o700 },
    ],
    contentSizeBytes: 8,
  });
  t.same(source.skipped, []);
  t.equal(await textOf(source), 'abc12345');
  t.same(decodeManifest(encodeManifest(source.manifest), 'posix'), source.manifest);
  t.same(
    (await open(t, [`${root}/`])).manifest,
    source.manifest,
    'a trailing slash makes no difference',
  );
});

t.test('a folder without a name of its own stands for its content', async (t) => {
  const folder = t.testdir();
  writeTree(folder, { 'dir/sub/file': '1', 'dir/top': '2' });
  const dir = join(folder, 'dir');
  const cwd = process.cwd();
  t.teardown(() => process.chdir(cwd));
  process.chdir(join(dir, 'sub'));
  for (const path of [`${dir}/.`, `${dir}/./`, `${dir}/sub/..`, '..', '../', '../.']) {
    const source = await open(t, [path]);
    t.same(namesOf(source), ['sub', 'sub/file', 'top'], path);
    t.equal(await textOf(source), '12', path);
  }
  process.chdir(dir);
  t.same(namesOf(await open(t, ['.'])), ['sub', 'sub/file', 'top']);
});

t.test("after a link, .. is the parent of the link's target", async (t) => {
  const folder = writeTree(t.testdir(), { 'far/dir/x': '', 'far/there': '', here: '' });
  symlinkSync('far/dir', join(folder, 'link'));
  t.same(namesOf(await open(t, [`${folder}/link/..`])), ['dir', 'dir/x', 'there']);
});

t.test('files and folders together are sorted by name', async (t) => {
  const folder = writeTree(t.testdir(), { 'x/file': 'one', 'y/dir/b': 'two', 'y/a': 'three' });
  const paths = ['y/dir', 'x/file', 'y/a'].map((path) => join(folder, path));
  const source = await open(t, paths);
  t.same(namesOf(source), ['a', 'dir', 'dir/b', 'file']);
  t.equal(await textOf(source), 'threetwoone');
  t.same((await open(t, paths.reverse())).manifest, source.manifest);
});

t.test('the order is by bytes, whatever order the files were created in', async (t) => {
  // The last two swap places when text is compared as UTF-16.
  const sorted = ['B', 'a', 'a/x', 'a-b', 'a.b', 'b', 'é', '\uff5e', '\u{1f642}'];
  const files = sorted.filter((name) => name !== 'a');
  for (const names of [files, [...files].reverse()]) {
    const folder = t.testdir();
    writeTree(folder, Object.fromEntries(names.map((name) => [name, name])));
    const source = await open(t, [`${folder}/.`]);
    t.same(namesOf(source), sorted);
    t.equal(await textOf(source), files.join(''));
    t.same((await open(t, [`${folder}/.`])).manifest, source.manifest, 'the same each time');
    const named = await open(t, [folder]);
    t.same(
      namesOf(named).map((name) => relative(basename(folder), name)),
      ['', ...sorted],
    );
  }
});

t.test('two entries of the same name are refused, naming both paths', async (t) => {
  const folder = writeTree(t.testdir(), { 'x/same': '', 'y/same': '' });
  const [x, y] = [join(folder, 'x'), join(folder, 'y')];
  const refuse = (paths: string[], message: string) =>
    t.rejects(ObjectSource.open({ paths, input: Readable.from([]), inputName: 'same' }), {
      code: 'INVALID_ARGUMENT',
      message: `two entries named ${message}; rename one, or send them separately`,
    });
  const same = (one: string, other: string) => `same: ${one} and ${other} would both get this name`;
  await refuse([join(x, 'same'), join(y, 'same')], same(`${x}/same`, `${y}/same`));
  await refuse([`${x}/.`, `${y}/.`], same(`${x}/.`, `${y}/.`));
  await refuse([`${x}/.`, join(y, 'same')], same(`${x}/.`, `${y}/same`));
  await refuse([x, x], `x: ${x} is named twice`);
  await refuse(['-', join(x, 'same')], same('-', `${x}/same`));
  await refuse(['-', '-'], 'same: - is named twice');
});

t.test('links that stay inside are sent as links; the others are left out', async (t) => {
  const folder = t.testdir();
  const dir = join(folder, 'dir');
  writeTree(folder, { 'dir/sub/file': 'content', secret: '' });
  const links = {
    absolute: join(dir, 'sub'),
    dangling: 'nothing',
    inside: 'sub/file',
    out: '../../secret',
    roundabout: 'sub/../../secret',
    'sub/up': '../inside',
  };
  for (const [name, target] of Object.entries(links)) symlinkSync(target, join(dir, name));
  const source = await open(t, [dir]);
  t.same(
    source.manifest.entries.filter(({ kind }) => kind === 'link'),
    [
      { kind: 'link', name: 'dir/dangling', target: 'nothing' },
      { kind: 'link', name: 'dir/inside', target: 'sub/file' },
      { kind: 'link', name: 'dir/sub/up', target: '../inside' },
    ],
  );
  t.same(source.skipped, [
    { name: 'dir/absolute', reason: `its target ${dir}/sub is outside of what is sent` },
    { name: 'dir/out', reason: 'its target ../../secret is outside of what is sent' },
    { name: 'dir/roundabout', reason: 'its target sub/../../secret is outside of what is sent' },
  ]);
  t.equal(await textOf(source), 'content');
  t.same(decodeManifest(encodeManifest(source.manifest), 'posix'), source.manifest);
});

t.test('a link that is named itself is followed', async (t) => {
  const folder = writeTree(t.testdir(), { 'dir/file': 'content' });
  symlinkSync('dir', join(folder, 'to-dir'));
  symlinkSync('dir/file', join(folder, 'to-file'));
  const source = await open(t, [join(folder, 'to-dir'), join(folder, 'to-file')]);
  t.same(namesOf(source), ['to-dir', 'to-dir/file', 'to-file']);
  t.equal(await textOf(source), 'contentcontent');
  await t.resolves(source.verify());
});

t.test('hard links are sent as files', async (t) => {
  const folder = writeTree(t.testdir(), { a: 'content' });
  linkSync(join(folder, 'a'), join(folder, 'b'));
  t.equal(await textOf(await open(t, [`${folder}/.`])), 'contentcontent');
});

const noPipes = process.platform === 'win32' && 'no named pipes in the file system here';

t.test('pipes, sockets and devices', { skip: noPipes }, async (t) => {
  const folder = writeTree(t.testdir(), { file: 'content' });
  const pipe = join(folder, 'pipe');
  execFileSync('mkfifo', [pipe]);
  const server = createServer();
  // Socket paths must be short.
  const socketFolder = mkdtempSync('/tmp/p2mp-test-');
  const socket = join(socketFolder, 'socket');
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  t.teardown(() => {
    server.close();
    rmSync(socketFolder, { recursive: true });
  });
  const source = await open(t, [folder, `${socketFolder}/.`]);
  const root = basename(folder);
  t.same(namesOf(source), [root, `${root}/file`], 'are left out below a folder');
  t.same(source.skipped, [
    { name: 'socket', reason: 'is a socket' },
    { name: `${root}/pipe`, reason: 'is a pipe' },
  ]);
  for (const path of [pipe, socket, '/dev/null']) {
    await t.rejects(
      ObjectSource.open({ paths: [path] }),
      {
        code: 'SOURCE_UNREADABLE',
        message: `${path}: is not a regular file; copy its content to a regular file and send that`,
      },
      `are refused by name: ${path}`,
    );
  }
});

const noBytes = process.platform !== 'linux' && 'names are always text here';

t.test(
  'names that are not text are left out, with everything below them',
  { skip: noBytes },
  async (t) => {
    const folder = writeTree(t.testdir(), { good: '1' });
    const bad = (name: number[]) => Buffer.concat([Buffer.from(`${folder}/`), Buffer.from(name)]);
    const file = bad([0x61, 0xff, 0x1b]);
    const dir = bad([0x62, 0xc0]);
    const link = join(folder, 'link');
    try {
      writeFileSync(file, '');
      mkdirSync(dir);
      writeFileSync(Buffer.concat([dir, Buffer.from('/x')]), '');
      symlinkSync(Buffer.from([0xfe]), link);
      const source = await open(t, [`${folder}/.`]);
      t.same(namesOf(source), ['good']);
      t.same(source.skipped, [
        { name: 'a\\xff\\x1b', reason: 'its name is not UTF-8' },
        { name: 'b\\xc0', reason: 'its name is not UTF-8' },
        { name: 'link', reason: 'its link target is not UTF-8' },
      ]);
    } finally {
      // The cleanup that removes the folder cannot handle such names.
      rmSync(file);
      rmSync(Buffer.concat([dir, Buffer.from('/x')]));
      execFileSync('find', [folder, '-mindepth', '1', '-type', 'd', '-empty', '-delete']);
      unlinkSync(link);
    }
  },
);

t.test('names that every receiver would refuse are left out', async (t) => {
  const folder = t.testdir();
  const deep = Array.from({ length: 64 }, () => 'd').join('/');
  const long = Array.from({ length: 14 }, () => 'l'.repeat(220)).join('/');
  writeTree(folder, { [`${deep}/too-deep`]: '', [`${long}/x`]: '' });
  const source = await open(t, [`${folder}/.`]);
  t.same(source.skipped, [
    { name: `${deep}/too-deep`, reason: 'its name is more than 64 levels deep' },
    { name: long, reason: 'its name is longer than 3072 bytes, or a part of it than 255' },
  ]);
  t.same(decodeManifest(encodeManifest(source.manifest), 'posix'), source.manifest);
});

const noShm = !existsSync('/dev/shm') && 'this file system does not accept such times';

t.test("a time outside the manifest's range is clamped", { skip: noShm }, async (t) => {
  const folder = mkdtempSync('/dev/shm/p2mp-test-');
  t.teardown(() => rmSync(folder, { recursive: true }));
  writeTree(folder, { file: '1' });
  utimesSync(join(folder, 'file'), 1e14, 1e14);
  const source = await open(t, [`${folder}/.`]);
  t.same(decodeManifest(encodeManifest(source.manifest), 'posix'), source.manifest);
  await t.resolves(source.verify());
});

t.test('a time before 1970 is read to the microsecond', async (t) => {
  const folder = writeTree(t.testdir(), { a: '', b: '', c: '' });
  const times = { a: -0.5, b: -0.4996, c: -1.25 };
  // Node would read numbers as the present.
  for (const [name, time] of Object.entries(times)) {
    utimesSync(join(folder, name), `${time - 5e-7}`, `${time - 5e-7}`);
  }
  const { manifest } = await open(t, [`${folder}/.`]);
  t.match(manifest.entries, [{ modifiedMs: -500 }, { modifiedMs: -499.6 }, { modifiedMs: -1250 }]);
});

t.test('concurrent reads of any part, in any order, return that part', async (t) => {
  const folder = t.testdir();
  // Around a chunk boundary, many in a chunk, empty, and one that spans several chunks.
  const sizes = [0, 1, mebibyte - 1, 0, 300, ...Array<number>(40).fill(1000), 2.5 * mebibyte, 0, 7];
  const parts = sizes.map((size) => randomBytes(size));
  const name = (i: number) => `${i % 3}/${i.toString().padStart(3, '0')}`;
  writeTree(folder, Object.fromEntries(parts.map((part, i) => [name(i), part])));
  const byName = parts.map((part, i) => ({ part, name: name(i) }));
  byName.sort((a, b) => (a.name < b.name ? -1 : 1));
  const content = Buffer.concat(byName.map(({ part }) => part));
  const read = fc.record({
    // Most continue where the last one ended, or near it.
    step: fc.oneof(
      { weight: 4, arbitrary: fc.constant(0) },
      fc.integer({ min: -100_000, max: 100_000 }),
    ),
    jumpTo: fc.option(fc.nat(content.length), { freq: 5 }),
    sizeBytes: fc.oneof(fc.nat(2000), fc.nat(200_000), fc.nat(3 * mebibyte)),
  });
  const property = fc.asyncProperty(fc.array(read, { maxLength: 30 }), async (reads) => {
    const source = await ObjectSource.open({ paths: [`${folder}/.`] });
    let end = 0;
    const order: number[] = [];
    const right = await Promise.all(
      reads.map(async ({ step, jumpTo, sizeBytes }, i) => {
        const offset = Math.max(0, Math.min(content.length, jumpTo ?? end + step));
        end = Math.min(content.length, offset + sizeBytes);
        const sent = content.subarray(offset, end);
        const bytes = await source.read(offset, sent.length);
        order.push(i);
        return bytes.constructor === Uint8Array && sent.equals(bytes);
      }),
    );
    await source.close();
    return right.every(Boolean) && order.every((i, place) => i === place);
  });
  await t.resolves(fc.assert(property, { numRuns: 40 }));
});

t.test('the caller owns the bytes', async (t) => {
  const folder = writeTree(t.testdir(), { file: 'content' });
  const source = await open(t, [join(folder, 'file')]);
  const bytes = await source.read(0, 3);
  t.equal(bytes.buffer.byteLength, 3);
  bytes.fill(0);
  t.equal(await textOf(source), 'content');
});

t.test('data read ahead is available at once, and equals what a read returns', async (t) => {
  const sizeBytes = 9 * mebibyte + 5;
  const content = randomBytes(sizeBytes);
  const folder = writeTree(t.testdir(), {
    a: content.subarray(0, 100_000),
    b: content.subarray(100_000, 100_001),
    c: content.subarray(100_001),
  });
  const source = await open(t, [`${folder}/.`]);
  t.equal(source.peek(0, 10), undefined, 'nothing is read yet');
  const blockBytes = 62_984;
  let reads = 0;
  for (let offset = 0; offset < sizeBytes; offset += blockBytes) {
    const expected = content.subarray(offset, offset + blockBytes);
    const peeked = source.peek(offset, expected.length);
    if (peeked !== undefined) {
      if (!expected.equals(peeked)) t.fail(`peeked at ${offset}`);
      continue;
    }
    reads++;
    if (!expected.equals(await source.read(offset, expected.length))) t.fail(`read at ${offset}`);
    await setImmediate();
  }
  t.ok(reads <= 4, `${reads} reads of ${Math.ceil(sizeBytes / blockBytes)}`);
  const last = sizeBytes - 10;
  t.ok(content.subarray(last).equals(source.peek(last, 10) ?? Buffer.of()));
  const reading = source.read(0, 10);
  t.equal(source.peek(last, 10), undefined, 'a read in progress may reuse the memory');
  await reading;
});

t.test('peeks and reads do not disturb each other', async (t) => {
  const content = randomBytes(9 * mebibyte + 5);
  const folder = writeTree(t.testdir(), {
    a: content.subarray(0, 5 * mebibyte),
    b: content.subarray(5 * mebibyte),
  });
  const call = fc.record({
    what: fc.constantFrom('peek', 'peek', 'peek', 'peek', 'read', 'await', 'await', 'prefetch'),
    /** Distance from the end of the last call. */
    step: fc.oneof(
      { weight: 4, arbitrary: fc.constant(0) },
      fc.integer({ min: -100_000, max: 100_000 }),
    ),
    jumpTo: fc.oneof({ weight: 9, arbitrary: fc.constant(undefined) }, fc.nat(content.length)),
    sizeBytes: fc.oneof(fc.nat(2000), fc.nat(200_000), fc.nat(2 * mebibyte)),
  });
  let peeks = 0;
  const property = fc.asyncProperty(
    fc.array(call, { minLength: 20, maxLength: 60 }),
    async (calls) => {
      const source = await ObjectSource.open({ paths: [`${folder}/.`] });
      const reads: Promise<boolean>[] = [];
      let next = 0;
      for (const { what, step, jumpTo, sizeBytes } of calls) {
        if (what === 'await') {
          await Promise.all(reads);
          await setImmediate();
          continue;
        }
        if (what === 'prefetch') source.prefetch();
        const offset = Math.min(content.length, Math.max(0, jumpTo ?? next + step));
        const expected = content.subarray(offset, offset + sizeBytes);
        next = offset + expected.length;
        const peeked = what === 'peek' ? source.peek(offset, expected.length) : undefined;
        if (peeked !== undefined) {
          peeks++;
          if (!expected.equals(peeked)) return false;
        } else {
          const isRight = (bytes: Uint8Array) => expected.equals(bytes);
          reads.push(source.read(offset, expected.length).then(isRight));
        }
      }
      const results = await Promise.all(reads);
      await source.close();
      t.equal(source.peek(0, 1), undefined, 'nothing is available after close');
      return results.every((isRight) => isRight);
    },
  );
  await t.resolves(fc.assert(property, { numRuns: 40, seed: 1 }));
  t.ok(peeks > 100, `${peeks} peeks`);
});

t.test('unreadable data cannot be peeked at', async (t) => {
  const sizeBytes = 10 * mebibyte;
  const content = randomBytes(sizeBytes);
  const folder = writeTree(t.testdir(), { a: content });
  const source = await open(t, [join(folder, 'a')]);
  const readAt = async (offset: number) => {
    const bytes = await source.read(offset, 1000);
    await setImmediate();
    return bytes;
  };
  await readAt(0);
  truncateSync(join(folder, 'a'), 100);
  t.ok(content.subarray(1000, 2000).equals(source.peek(1000, 1000) ?? Buffer.of()), 'unchanged');
  for (let offset = 2000; offset + 1000 <= sizeBytes; offset += 1000) {
    const peeked = source.peek(offset, 1000);
    if (peeked === undefined) {
      const isRead = await readAt(offset).then(
        (bytes) => content.subarray(offset, offset + 1000).equals(bytes),
        (error: { code: string }) => error.code === 'SOURCE_CHANGED',
      );
      if (!isRead) t.fail(`read at ${offset}`);
    } else if (!content.subarray(offset, offset + 1000).equals(peeked)) t.fail(`at ${offset}`);
  }
  await t.rejects(readAt(sizeBytes - 1000), { code: 'SOURCE_CHANGED' });
  t.equal(source.peek(sizeBytes - 1000, 1000), undefined);
  t.ok(
    content.subarray(0, 100).equals(await source.read(0, 100)),
    'data read before remains available',
  );
});

t.test('an object without content', async (t) => {
  const folder = writeTree(t.testdir(), { 'dir/empty': '' });
  const source = await open(t, [`${folder}/.`]);
  t.equal((await source.read(0, 0)).length, 0);
  await t.resolves(source.verify());
});

t.test('a thousand files, in blocks that span many of them', async (t) => {
  const folder = t.testdir();
  const content = randomBytes(1000 * 10);
  const names = Array.from({ length: 1000 }, (_, i) => i.toString().padStart(4, '0'));
  writeTree(
    folder,
    Object.fromEntries(names.map((name, i) => [name, content.subarray(10 * i, 10 * i + 10)])),
  );
  const source = await open(t, [`${folder}/.`]);
  t.same(namesOf(source), names);
  t.ok((await readInBlocks(source, 1400)).equals(content));
  await t.resolves(source.verify());
});

t.test('memory does not grow with the file', async (t) => {
  const folder = writeTree(t.testdir(), { file: '' });
  truncateSync(join(folder, 'file'), 64 * mebibyte);
  const source = await open(t, [join(folder, 'file')]);
  const before = process.memoryUsage().arrayBuffers;
  let most = 0;
  const blockSizeBytes = 1024;
  for (let i = 0; i < (64 * mebibyte) / blockSizeBytes; i++) {
    await source.read(i * blockSizeBytes, blockSizeBytes);
    if (i % 100 === 0) most = Math.max(most, process.memoryUsage().arrayBuffers);
  }
  t.ok(most - before < 32 * mebibyte, `${most - before} bytes more at most`);
});

const noProc = !existsSync('/proc/self/fd') && 'open files cannot be counted here';

/** How many files this process has open in a folder. */
function countOpen(folder: string): number {
  const real = `${realpathSync(folder)}/`;
  const isIn = (number: string) => {
    try {
      return readlinkSync(`/proc/self/fd/${number}`).startsWith(real);
    } catch {
      return false; // Closed meanwhile: the handle of the listing itself.
    }
  };
  return readdirSync('/proc/self/fd').filter(isIn).length;
}

t.test('few files are open at once, and none at the end', { skip: noProc }, async (t) => {
  const folder = t.testdir();
  useTemporaryFolder(t, folder);
  const [fileCount, fileSizeBytes] = [60, 65_536];
  const names = Array.from({ length: fileCount }, (_, i) => `dir/${i}`);
  writeTree(folder, Object.fromEntries(names.map((name) => [name, Buffer.alloc(fileSizeBytes)])));
  const source = await open(t, [join(folder, 'dir'), '-'], { input: Readable.from(['input']) });
  // Parts of files, each in another file than the one before, then all of it in order.
  const reads: Promise<Uint8Array>[] = [];
  for (let i = 1; i < 300; i++) {
    reads.push(source.read(((7 * i) % fileCount) * fileSizeBytes + 100, 500));
  }
  for (let i = 0; i < fileCount; i++) reads.push(source.read(i * fileSizeBytes, fileSizeBytes));
  let most = 0;
  await lookDuring(Promise.all(reads), () => {
    most = Math.max(most, countOpen(folder));
  });
  t.ok(most > 1 && most <= 16, `${most} at most`);
  await source.close();
  t.equal(countOpen(folder), 0);
});

const noCounts = !existsSync('/proc/self/io') && 'reads cannot be counted here';

/** Bytes and calls that this process has read so far. */
function countReads(): { readonly bytes: number; readonly calls: number } {
  const counts = readFileSync('/proc/self/io', 'utf8');
  const field = (name: string) => Number(new RegExp(`${name}: (\\d+)`).exec(counts)?.[1]);
  return { bytes: field('rchar'), calls: field('syscr') };
}

t.test('sequential reads are read ahead, wherever they begin', { skip: noCounts }, async (t) => {
  const folder = writeTree(t.testdir(), { file: Buffer.alloc(8 * mebibyte) });
  const source = await open(t, [join(folder, 'file')]);
  const before = countReads();
  for (let i = 2048; i < 6 * 1024; i++) await source.read(i * 1024, 1024);
  const calls = countReads().calls - before.calls;
  t.ok(calls < 500, `${calls} calls for 4096 blocks`);
});

t.test(
  'two sequential runs are read ahead, each from its own place',
  { skip: noCounts },
  async (t) => {
    const content = randomBytes(16 * mebibyte);
    const folder = writeTree(t.testdir(), { file: content });
    const source = await open(t, [join(folder, 'file')]);
    const before = countReads();
    for (let i = 0; i < 4096; i += 2) {
      for (const at of [i, i + 1, i + 8192, i + 8193]) {
        const bytes = await source.read(at * 1024, 1024);
        if (!content.subarray(at * 1024, at * 1024 + 1024).equals(bytes)) t.fail(`block ${at}`);
      }
    }
    const bytes = countReads().bytes - before.bytes;
    t.ok(bytes < 24 * mebibyte, `${bytes} bytes for 8 MiB`);
  },
);

t.test('scattered reads read no more than they need', { skip: noCounts }, async (t) => {
  const folder = writeTree(t.testdir(), { file: Buffer.alloc(8 * mebibyte) });
  const source = await open(t, [join(folder, 'file')]);
  const before = countReads();
  for (let i = 1; i < 100; i++) await source.read(((i * 37) % 100) * 80_000, 100);
  const bytes = countReads().bytes - before.bytes;
  t.ok(bytes < mebibyte, `${bytes} bytes for 99 blocks of 100`);
});

t.test('reads in progress end when the source is closed', { skip: noProc }, async (t) => {
  const folder = writeTree(t.testdir(), { file: randomBytes(5 * mebibyte) });
  // One that triggers read-ahead, and another place of the same file meanwhile.
  for (const offsets of [[0], [0, 4 * mebibyte, 10]]) {
    const source = await open(t, [join(folder, 'file')]);
    const reads = offsets.map((offset) => source.read(offset, 10));
    await source.close();
    t.equal(countOpen(folder), 0);
    t.equal((await Promise.all(reads)).length, offsets.length);
    t.throws(() => source.read(0, 10), /the object is open while it is read/);
  }
});

t.test('a file that shrinks during the transfer is reported by name', async (t) => {
  // More than is read ahead by then.
  const sizeBytes = 10 * mebibyte;
  const folder = writeTree(t.testdir(), { a: 'first', b: randomBytes(sizeBytes), c: 'last' });
  const source = await open(t, [`${folder}/.`]);
  await source.read(0, 1000);
  truncateSync(join(folder, 'b'), 100);
  await t.rejects(readAll(source), {
    code: 'SOURCE_CHANGED',
    message: `${folder}/b: went from ${sizeBytes} to 100 bytes while it was being sent; send it again once nothing writes to it`,
  });
  t.same(await source.read(5 + sizeBytes, 4), Buffer.from('last'), 'the others can still be read');
});

t.test('a file that grows is sent at its old length and reported at the end', async (t) => {
  const folder = writeTree(t.testdir(), { a: 'first', b: 'second' });
  const source = await open(t, [`${folder}/.`]);
  appendFileSync(join(folder, 'a'), 'more');
  t.equal(await textOf(source), 'firstsecond');
  await t.rejects(source.verify(), {
    code: 'SOURCE_CHANGED',
    message: /\/a: went from 5 to 9 bytes while it was being sent; send it again/,
  });
});

t.test('unavailable files fail only the reads that need them', async (t) => {
  const folder = writeTree(t.testdir(), {
    a: 'aaaa',
    'a-empty': '',
    b: 'bbbb',
    c: 'cccc',
    d: 'dddd',
    e: 'eeee',
  });
  const source = await open(t, [`${folder}/.`]);
  rmSync(join(folder, 'a-empty'));
  rmSync(join(folder, 'b'));
  rmSync(join(folder, 'd'));
  symlinkSync('a', join(folder, 'd'));
  const read = async (offset: number) => Buffer.from(await source.read(offset, 4)).toString();
  const results = await Promise.allSettled([0, 4, 8, 12, 16].map(read));
  t.match(results, [
    { value: 'aaaa' },
    { reason: { code: 'SOURCE_CHANGED', message: `${folder}/b: was removed while it was being` } },
    { value: 'cccc' },
    { reason: { code: 'SOURCE_CHANGED', message: `${folder}/d: was replaced while it was being` } },
    { value: 'eeee' },
  ]);
  await t.rejects(readAll(source), { message: /\/b: was removed/ }, 'the first one is named');
  await t.rejects(source.verify(), { message: /\/a-empty: was removed/ });
});

const others: Readonly<Record<string, (path: string) => unknown>> = {
  pipe: (path) => execFileSync('mkfifo', [path]),
  folder: (path) => mkdirSync(path),
};

for (const [what, make] of Object.entries(others)) {
  t.test(`a ${what} in place of a file is not waited for`, { skip: noPipes }, async (t) => {
    const path = join(writeTree(t.testdir(), { file: 'content' }), 'file');
    const source = await open(t, [path]);
    rmSync(path);
    make(path);
    const replaced = {
      code: 'SOURCE_CHANGED',
      message: `${path}: was replaced while it was being sent; send it again once nothing writes to it`,
    };
    await t.rejects(readAll(source), replaced);
    await t.rejects(source.verify(), replaced);
  });
}

const changes: Readonly<Record<string, readonly [(path: string) => void, string]>> = {
  'is written to in place': [
    (path) => writeFileSync(path, randomBytes(1000), { flag: 'r+' }),
    'was written to',
  ],
  'is touched': [(path) => utimesSync(path, 1_000_000_001, 1_000_000_001), 'was written to'],
  shrinks: [(path) => truncateSync(path, 7), 'went from 1000 to 7 bytes'],
  'is removed': [(path) => rmSync(path), 'was removed'],
  'is moved away, folder and all': [
    (path) => renameSync(dirname(path), `${dirname(path)}.old`),
    'was removed',
  ],
  'has a file in place of its folder': [
    (path) => {
      renameSync(dirname(path), `${dirname(path)}.old`);
      writeFileSync(dirname(path), '');
    },
    'was removed',
  ],
  'becomes a link to an equal file': [
    (path) => {
      renameSync(path, `${path}.old`);
      symlinkSync(`${path}.old`, path);
    },
    'was replaced',
  ],
};

for (const [what, [change, how]] of Object.entries(changes)) {
  t.test(`a file that ${what} no longer matches what was sent`, async (t) => {
    const folder = t.testdir();
    const content = randomBytes(1000);
    writeTree(folder, { a: content, 'dir/b': content, 'dir/c': content, z: content });
    const source = await open(t, [`${folder}/.`]);
    await readAll(source);
    await t.resolves(source.verify(), 'before that, it is confirmed');
    change(join(folder, 'dir', 'b'));
    // Changes to later files must not be reported first, though they are found at the same time.
    rmSync(join(folder, 'z'));
    const remedy =
      how === 'was removed' ? 'send again without it' : 'send it again once nothing writes to it';
    await t.rejects(source.verify(), {
      code: 'SOURCE_CHANGED',
      message: `${folder}/dir/b: ${how} while it was being sent; ${remedy}`,
    });
  });
}

/** Sets the folder that standard input is copied to. */
function useTemporaryFolder(t: Test, folder: string): void {
  const before = process.env['TMPDIR'];
  process.env['TMPDIR'] = folder;
  t.teardown(() => {
    if (before === undefined) delete process.env['TMPDIR'];
    else process.env['TMPDIR'] = before;
  });
}

t.test('standard input is copied to a file without a name', async (t) => {
  const folder = t.testdir();
  useTemporaryFolder(t, folder);
  const content = randomBytes(3 * mebibyte + 5);
  const left: string[] = [];
  const input = Readable.from(
    (function* () {
      for (let i = 0; i < content.length; i += 50_000) {
        left.push(...readdirSync(folder));
        yield content.subarray(i, i + 50_000);
      }
    })(),
  );
  const earliest = Date.now();
  const source = await open(t, ['-'], { input });
  const [entry] = source.manifest.entries;
  t.match(entry, { kind: 'file', name: 'stdin', mode: 0o644, sizeBytes: content.length });
  const modifiedMs = entry?.kind === 'file' ? entry.modifiedMs : 0;
  t.ok(modifiedMs >= earliest && modifiedMs <= Date.now());
  t.ok((await readInBlocks(source, 65_499)).equals(content));
  t.same([...left, ...readdirSync(folder)], []);
  await t.resolves(source.verify());
});

t.test('standard input is sorted among files by its name', async (t) => {
  const folder = writeTree(t.testdir(), { 'dir/x': '1', 'dir-y': '2', z: '3' });
  for (const [inputName, content] of [
    ['a', 'input123'],
    ['dir-', '1input23'],
    ['zz', '123input'],
  ] as const) {
    const input = Readable.from(['in', 'put']);
    const source = await open(t, ['-', `${folder}/.`], { input, inputName });
    t.equal(await textOf(source), content);
    t.ok(namesOf(source).includes(inputName));
    t.same(decodeManifest(encodeManifest(source.manifest), 'posix'), source.manifest);
  }
});

t.test('empty standard input is an empty file', async (t) => {
  const { manifest } = await open(t, ['-'], { input: Readable.from([]) });
  t.match(manifest, { entries: [{ name: 'stdin', sizeBytes: 0 }], contentSizeBytes: 0 });
});

t.test('a file named - can be sent by a path', async (t) => {
  const folder = writeTree(t.testdir(), { '-': 'dash' });
  const cwd = process.cwd();
  t.teardown(() => process.chdir(cwd));
  process.chdir(folder);
  const source = await open(t, ['./-']);
  t.same(namesOf(source), ['-']);
  t.equal(await textOf(source), 'dash');
});

t.test('standard input is not read when another argument is wrong', async (t) => {
  const folder = t.testdir();
  const input = Readable.from(['input']);
  await t.rejects(ObjectSource.open({ paths: ['-', join(folder, 'missing')], input }), {
    code: 'SOURCE_UNREADABLE',
  });
  for (const inputName of ['', '.', '..', 'a/b', '/a', 'x'.repeat(256)]) {
    await t.rejects(
      ObjectSource.open({ paths: ['-'], input, inputName }),
      {
        code: 'INVALID_ARGUMENT',
        message: `${inputName}: not a valid file name for standard input; choose one without slashes`,
      },
      inputName,
    );
  }
  t.equal(await textOf(await open(t, ['-'], { input })), 'input');
});

t.test('standard input that fails', async (t) => {
  const folder = t.testdir();
  useTemporaryFolder(t, folder);
  const broken = () =>
    new Readable({
      read() {
        this.destroy(Object.assign(new Error('EIO: i/o error'), { code: 'EIO' }));
      },
    });
  await t.rejects(ObjectSource.open({ paths: ['-'], input: broken() }), {
    code: 'SOURCE_UNREADABLE',
    message: 'standard input: disk I/O error; check the disk',
  });
  t.same(readdirSync(folder), []);
  if (!noProc) t.equal(countOpen(folder), 0);
  process.env['TMPDIR'] = join(folder, 'missing');
  await t.rejects(ObjectSource.open({ paths: ['-'], input: broken() }), {
    code: 'SOURCE_UNREADABLE',
    message: `${folder}/missing (holds standard input until it is sent; set TMPDIR to use another folder): does not exist; check the name`,
  });
});

t.test('a signal ends the wait for standard input', async (t) => {
  const folder = t.testdir();
  useTemporaryFolder(t, folder);
  const controller = new AbortController();
  const { signal } = controller;
  const reason = new Error('interrupted');
  // It is read from, but never provides data.
  const input = new Readable({ read: () => controller.abort(reason) });
  await t.rejects(ObjectSource.open({ paths: ['-'], input, signal }), reason);
  t.equal(input.destroyed, true);
  t.same(readdirSync(folder), []);
  if (!noProc) t.equal(countOpen(folder), 0);
  await t.rejects(
    ObjectSource.open({ paths: [folder], signal }),
    reason,
    'nothing starts after the signal',
  );
});

t.test('a signal ends the walk', async (t) => {
  const folder = writeTree(t.testdir(), { 'a/b/c/d': '' });
  const controller = new AbortController();
  const reason = new Error('interrupted');
  const opening = ObjectSource.open({ paths: [folder], signal: controller.signal });
  controller.abort(reason);
  await t.rejects(opening, reason);
});

t.test('a source that cannot be sent is refused with a reason', async (t) => {
  const folder = writeTree(t.testdir(), { file: 'content' });
  const refuse = (paths: string[], code: string, message: RegExp) =>
    t.rejects(ObjectSource.open({ paths }), { code, message });
  await refuse([], 'INVALID_ARGUMENT', /^nothing to send; name a file or folder$/);
  await refuse([''], 'INVALID_ARGUMENT', /^a path is empty; name a file or folder$/);
  const unreadable = (name: string, message: RegExp) =>
    refuse([folder, join(folder, name)], 'SOURCE_UNREADABLE', message);
  await unreadable('missing', /\/missing: does not exist; check the name$/);
  await unreadable('missing/.', /\/missing: does not exist; check the name$/);
  await unreadable('file/', /\/file\/: a part of the path is not a folder; check the name$/);
  await unreadable('file/x', /\/x: a part of the path is not a folder/);
  symlinkSync('circle', join(folder, 'circle'));
  await unreadable('circle', /\/circle: the symbolic links form a loop; check the path$/);
});

const isRoot = process.getuid?.() === 0;
const mayReadAll = isRoot && 'root may read all';

t.test('without permission, the rest is sent', { skip: mayReadAll }, async (t) => {
  const folder = writeTree(t.testdir(), {
    'dir/a': 'a',
    'dir/b': 'b',
    'dir/c': '',
    'dir/sub/x': '',
  });
  const reason = 'cannot be read: permission denied; check the permissions';
  const skippedNames = async () => {
    const source = await open(t, [join(folder, 'dir')]);
    t.ok(source.skipped.every((entry) => entry.reason === reason));
    return source.skipped.map(({ name }) => name);
  };
  chmodSync(join(folder, 'dir/sub'), 0);
  t.same(await skippedNames(), ['dir/sub']);
  // The folder can be listed, but its entries cannot be examined.
  chmodSync(join(folder, 'dir/sub'), 0o400);
  t.same(await skippedNames(), ['dir/sub/x']);
  chmodSync(join(folder, 'dir/b'), 0);
  chmodSync(join(folder, 'dir/c'), 0);
  t.same(await skippedNames(), ['dir/b', 'dir/c', 'dir/sub/x']);
  await t.rejects(ObjectSource.open({ paths: [join(folder, 'dir/b')] }), {
    code: 'SOURCE_UNREADABLE',
    message: `${folder}/dir/b: permission denied; check the permissions`,
  });
  chmodSync(join(folder, 'dir/sub'), 0o700);
});

const noProcFiles = process.platform !== 'linux' && 'no /proc here';

t.test('files with content but a size of 0', { skip: noProcFiles }, async (t) => {
  await t.rejects(ObjectSource.open({ paths: ['/proc/cpuinfo'] }), {
    code: 'SOURCE_UNREADABLE',
    message:
      '/proc/cpuinfo: has content although its size is 0; send it through a pipe: cat /proc/cpuinfo | p2mp send - --stdin-name cpuinfo --to ...',
  });
  const source = await open(t, ['/proc/sys/kernel/random']);
  t.same(namesOf(source), ['random'], 'are left out below a folder');
  t.match(
    source.skipped.find(({ name }) => name === 'random/uuid'),
    { reason: 'has content although its size is 0; send it through a pipe (p2mp send -)' },
  );
});

const mtuPath = '/sys/class/net/lo/mtu';
const noSys = !existsSync(mtuPath) && 'no /sys here';

t.test('files with less content than their size', { skip: noSys }, async (t) => {
  await t.rejects(ObjectSource.open({ paths: [mtuPath] }), {
    code: 'SOURCE_UNREADABLE',
    message:
      /^\/sys\S+: has less content than its size of 4096 bytes; send it through a pipe: cat /,
  });
});

t.test('files without blocks whose size is right', async (t) => {
  const folder = writeTree(t.testdir(), { empty: '', hole: '' });
  truncateSync(join(folder, 'hole'), mebibyte);
  const source = await open(t, [`${folder}/.`]);
  t.same(namesOf(source), ['empty', 'hole']);
  t.same(source.skipped, []);
  t.same(await readAll(source), Buffer.alloc(mebibyte));
});

t.test('unfinished parts of a receiver are left out, at any depth', async (t) => {
  const folder = writeTree(t.testdir(), {
    'in/.p2mp-part/lock': '',
    'in/sub/.p2mp-part/journal': 'x',
    'in/sub/.p2mp-parts': 'y',
  });
  const root = join(folder, 'in');
  const source = await open(t, [root]);
  t.same(namesOf(source), ['in', 'in/sub', 'in/sub/.p2mp-parts']);
  t.same(source.skipped, []);
  t.same(namesOf(await open(t, [`${root}/.`])), ['sub', 'sub/.p2mp-parts']);
  await t.rejects(ObjectSource.open({ paths: [join(root, '.p2mp-part')] }), {
    code: 'INVALID_ARGUMENT',
    message:
      /\.p2mp-part: holds unfinished transfers of a receiver; send the received files instead$/,
  });
});

t.test('permission that is removed meanwhile', { skip: mayReadAll }, async (t) => {
  const folder = writeTree(t.testdir(), { a: 'content' });
  const source = await open(t, [`${folder}/.`]);
  chmodSync(join(folder, 'a'), 0);
  await t.rejects(readAll(source), {
    code: 'SOURCE_UNREADABLE',
    message: `${folder}/a: permission denied; check the permissions`,
  });
});
