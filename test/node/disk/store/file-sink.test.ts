import { createHash, randomBytes } from 'node:crypto';
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { P2mpError } from '../../../../src/base/errors.js';
import { checkTarget, FileSink } from '../../../../src/node/disk/store/file-sink.js';

/** A sink and its events. */
class Written {
  bytes = 0;
  readonly errors: P2mpError[] = [];
  private wake = () => {};

  private constructor(private opened?: FileSink) {}

  static async open(path: string): Promise<Written> {
    const written = new Written();
    written.opened = new FileSink(await checkTarget(path), {
      handleWritten: (bytes) => {
        written.bytes = bytes;
        written.wake();
      },
      handleError: (error) => {
        written.errors.push(error);
        written.wake();
      },
    });
    return written;
  }

  get sink(): FileSink {
    if (this.opened === undefined) throw new Error('not open');
    return this.opened;
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
  }
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

const isWindows = process.platform === 'win32';

t.test(
  'content written in pieces of any size becomes the file, with the right digest',
  async (t) => {
    const path = join(t.testdir(), 'file.bin');
    const content = randomBytes(2_000_003);
    const { sink } = await Written.open(path);
    // One buffer for all pieces: the sink must copy what it keeps.
    const buffer = Buffer.alloc(700_000);
    let offset = 0;
    for (const size of [1, 499, 500, 65_499, 262_144, 262_145, 700_000, 709_215]) {
      for (let left = size; left > 0; ) {
        const piece = content.subarray(offset, offset + Math.min(left, buffer.length));
        buffer.set(piece);
        sink.write(buffer.subarray(0, piece.length), false);
        offset += piece.length;
        left -= piece.length;
      }
    }
    t.equal(offset, content.length);
    t.equal(await sink.finish(), sha256(content));
    t.ok(readFileSync(path).equals(content));
  },
);

t.test('the final name appears only at the end, and nothing else remains', async (t) => {
  const folder = t.testdir();
  const written = await Written.open(join(folder, 'file.bin'));
  written.sink.write(Buffer.from('content'), true);
  await written.until(() => written.bytes === 7);
  const [part, ...others] = readdirSync(folder);
  t.match(part, /^\.file\.bin\.[0-9a-f]{8}\.part$/, 'until then only a part exists beside it');
  t.same(others, []);
  t.equal(readFileSync(join(folder, part ?? '')).toString(), 'content');
  await written.sink.finish();
  t.same(readdirSync(folder), ['file.bin']);
});

t.test('urgent data is written at once; other data waits for more', async (t) => {
  const written = await Written.open(join(t.testdir(), 'file.bin'));
  written.sink.write(Buffer.from('may wait '), false);
  written.sink.write(Buffer.from('may not'), true);
  await written.until(() => written.bytes > 0);
  t.equal(written.bytes, 16, 'both, in order');
  await written.sink.discard();
});

t.test('the old content stays until the new one is complete', async (t) => {
  const folder = t.testdir({ 'file.bin': 'old' });
  const path = join(folder, 'file.bin');
  const written = await Written.open(path);
  written.sink.write(Buffer.from('new'), true);
  await written.until(() => written.bytes === 3);
  t.equal(readFileSync(path).toString(), 'old');
  await written.sink.finish();
  t.equal(readFileSync(path).toString(), 'new');
});

/** Ways to lose what has arrived, given the folder of the file. */
const losses = {
  'whose folder is removed': (folder: string) => rmSync(folder, { recursive: true }),
  'whose folder is moved away': (folder: string) => renameSync(folder, `${folder} elsewhere`),
  'whose folder becomes a file': (folder: string) => {
    rmSync(folder, { recursive: true });
    writeFileSync(folder, '');
  },
  'whose part is removed': (folder: string) => {
    for (const name of readdirSync(folder)) rmSync(join(folder, name));
  },
};

for (const [what, lose] of Object.entries(losses)) {
  t.test(`a file ${what} midway fails and says what to do`, async (t) => {
    const folder = join(t.testdir({ in: {} }), 'in');
    const written = await Written.open(join(folder, 'file.bin'));
    written.sink.write(Buffer.from('content'), true);
    await written.until(() => written.bytes === 7);
    lose(folder);
    await t.rejects(written.sink.finish(), {
      code: 'TARGET_FAILED',
      message: /file\.bin: somebody removed its folder, or what had arrived in it; make sure/,
    });
  });
}

t.test('discard leaves nothing', async (t) => {
  const folder = t.testdir({ 'old.bin': 'old' });
  for (const name of ['old.bin', 'new.bin']) {
    const { sink } = await Written.open(join(folder, name));
    sink.write(randomBytes(1_000_000), false);
    await sink.discard();
  }
  t.same(readdirSync(folder), ['old.bin']);
  t.equal(readFileSync(join(folder, 'old.bin')).toString(), 'old');
});

t.test('an empty file is a file', async (t) => {
  const path = join(t.testdir(), 'empty');
  const { sink } = await Written.open(path);
  t.equal(await sink.finish(), sha256(Buffer.alloc(0)));
  t.equal(statSync(path).size, 0);
});

t.test('a replaced file keeps its mode', { skip: isWindows }, async (t) => {
  const path = join(t.testdir({ 'run.sh': 'old' }), 'run.sh');
  for (const mode of [0o750, 0o600, 0o666]) {
    chmodSync(path, mode);
    const { sink } = await Written.open(path);
    sink.write(Buffer.from('new'), false);
    await sink.finish();
    t.equal(statSync(path).mode & 0o7777, mode);
  }
});

t.test("content from a stranger runs with nobody else's rights", { skip: isWindows }, async (t) => {
  const path = join(t.testdir({ file: 'old' }), 'file');
  chmodSync(path, 0o6755);
  const { sink } = await Written.open(path);
  await sink.finish();
  t.equal(statSync(path).mode & 0o7777, 0o755);
});

t.test('a new file gets its mode from the umask', { skip: isWindows }, async (t) => {
  const path = join(t.testdir(), 'new');
  const old = process.umask(0o027);
  t.teardown(() => process.umask(old));
  const { sink } = await Written.open(path);
  await sink.finish();
  t.equal(statSync(path).mode & 0o7777, 0o640);
});

t.test('a symbolic link stays one; its target is written', { skip: isWindows }, async (t) => {
  const folder = t.testdir({ links: {}, files: { 'file.bin': 'old' } });
  const link = join(folder, 'links', 'link');
  symlinkSync('../files/file.bin', link);
  const { sink } = await Written.open(link);
  sink.write(Buffer.from('new'), false);
  await sink.finish();
  t.ok(lstatSync(link).isSymbolicLink());
  t.equal(readFileSync(join(folder, 'files', 'file.bin')).toString(), 'new');
  t.same(readdirSync(join(folder, 'links')), ['link']);
});

t.test('two sinks for one name do not interfere; the last to finish wins', async (t) => {
  const folder = t.testdir();
  const path = join(folder, 'file.bin');
  const [a, b] = [await Written.open(path), await Written.open(path)];
  a.sink.write(Buffer.from('from a'), false);
  b.sink.write(Buffer.from('from b'), false);
  await b.sink.finish();
  await a.sink.finish();
  t.equal(readFileSync(path).toString(), 'from a');
  t.same(readdirSync(folder), ['file.bin']);
});

t.test('a name of the maximum length is accepted', async (t) => {
  const folder = t.testdir();
  const name = 'x'.repeat(255);
  const { sink } = await Written.open(join(folder, name));
  await sink.finish();
  t.same(readdirSync(folder), [name]);
});

t.test('a name of multi-byte letters as well', async (t) => {
  const folder = t.testdir();
  const name = `${'報告'.repeat(40)}.pdf`;
  const { sink } = await Written.open(join(folder, name));
  await sink.finish();
  t.same(readdirSync(folder), [name]);
});

t.test('a folder that vanishes before the first write is reported', async (t) => {
  const folder = join(t.testdir(), 'folder');
  mkdirSync(folder);
  const target = await checkTarget(join(folder, 'file.bin'));
  rmSync(folder, { recursive: true });
  const error = await new Promise<P2mpError>((resolve) => {
    new FileSink(target, { handleWritten: () => undefined, handleError: resolve });
  });
  t.match(error, { code: 'TARGET_FAILED', message: /file\.bin: somebody removed its folder/ });
});

t.test('a target that cannot be written is refused before anything is sent', async (t) => {
  const folder = t.testdir({ file: 'content' });
  const refuse = async (name: string, message: RegExp) =>
    t.rejects(checkTarget(name), { code: 'TARGET_UNWRITABLE', message });
  await refuse('', /names a folder; name a file/);
  await refuse(`${folder}/`, /names a folder; name a file/);
  await refuse(folder, /: is a folder; name a file in it$/);
  await refuse(join(folder, 'missing', 'file'), /missing: does not exist; check the name$/);
  await refuse(join(folder, 'file', 'x'), /file is not a folder; check the name$/);
  if (!isWindows) await refuse('/dev/null', /: is not a regular file; name another one$/);
});

const isRoot = process.getuid?.() === 0;

t.test(
  'a folder without permission is refused',
  { skip: isRoot && 'root may write all' },
  async (t) => {
    const folder = join(t.testdir(), 'folder');
    mkdirSync(folder, { mode: 0o500 });
    await t.rejects(checkTarget(join(folder, 'file')), {
      code: 'TARGET_UNWRITABLE',
      message: /folder: permission denied; check the permissions$/,
    });
  },
);
