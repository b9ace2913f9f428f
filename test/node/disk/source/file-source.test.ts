import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import {
  appendFileSync,
  chmodSync,
  existsSync,
  renameSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import type { P2mpError } from '../../../../src/base/errors.js';
import { FileSource } from '../../../../src/node/disk/source/file-source.js';
import type { Cleaner } from '../../../support/processes.js';

const mebibyte = 1024 * 1024;

/** Reads a file block by block, as a transfer does. */
class Reader {
  private offsetBytes = 0;
  private failed: P2mpError | undefined;
  private wake = () => {};

  private constructor(
    private readonly blockSizeBytes: number,
    private opened?: FileSource,
  ) {}

  static async open(t: Cleaner, path: string, blockSizeBytes: number): Promise<Reader> {
    const reader = new Reader(blockSizeBytes);
    reader.opened = await FileSource.open(
      path,
      blockSizeBytes,
      () => reader.wake(),
      (error) => {
        reader.failed = error;
        reader.wake();
      },
    );
    t.teardown(() => reader.source.close());
    return reader;
  }

  get source(): FileSource {
    if (this.opened === undefined) throw new Error('not open');
    return this.opened;
  }

  /** The next block, or undefined at the end. @throws the error of the source */
  async next(): Promise<Uint8Array | undefined> {
    const { source } = this;
    const sizeBytes = Math.min(this.blockSizeBytes, source.sizeBytes - this.offsetBytes);
    if (sizeBytes === 0) return undefined;
    for (;;) {
      const bytes = source.take(this.offsetBytes, sizeBytes);
      if (bytes !== undefined) {
        this.offsetBytes += sizeBytes;
        return bytes;
      }
      if (this.failed !== undefined) throw this.failed;
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
  }

  /** Everything that is left. */
  async rest(): Promise<Buffer> {
    const blocks: Buffer[] = [];
    for (;;) {
      const block = await this.next();
      if (block === undefined) return Buffer.concat(blocks);
      blocks.push(Buffer.from(block));
    }
  }
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** A file with times in the past, so that any later write changes them. */
function writeOldFile(folder: string, bytes: Uint8Array): string {
  const path = join(folder, 'file.bin');
  writeFileSync(path, bytes);
  utimesSync(path, 1_000_000_000, 1_000_000_000);
  return path;
}

t.test('any file in blocks of any size is read byte by byte, in order', async (t) => {
  const content = randomBytes(5 * mebibyte);
  const folder = t.testdir();
  const geometry = fc
    .record({
      sizeBytes: fc.integer({ min: 0, max: content.length }),
      blockSizeBytes: fc.oneof(
        fc.integer({ min: 100, max: 65_499 }),
        fc.integer({ min: 65_500, max: 64 * 65_499 }),
      ),
    })
    .chain(({ sizeBytes, blockSizeBytes }) =>
      // Sizes near a multiple of the block size are the error-prone ones.
      fc.constantFrom(0, -1, 1).map((more) => {
        const whole = sizeBytes - (sizeBytes % blockSizeBytes);
        return { sizeBytes: Math.max(0, whole + more), blockSizeBytes };
      }),
    );
  const property = fc.assert(
    fc.asyncProperty(geometry, async ({ sizeBytes, blockSizeBytes }) => {
      const sent = content.subarray(0, sizeBytes);
      writeFileSync(join(folder, 'file.bin'), sent);
      const reader = await Reader.open(t, join(folder, 'file.bin'), blockSizeBytes);
      const read = await reader.rest();
      return read.equals(sent) && reader.source.digest() === sha256(sent);
    }),
    { numRuns: 40 },
  );
  await t.resolves(property);
});

t.test('small files in small blocks, each combination', async (t) => {
  const content = randomBytes(12);
  const bad: string[] = [];
  for (let sizeBytes = 0; sizeBytes <= content.length; sizeBytes++) {
    const sent = content.subarray(0, sizeBytes);
    const path = writeOldFile(t.testdir(), sent);
    for (let blockSizeBytes = 1; blockSizeBytes <= content.length + 1; blockSizeBytes++) {
      const reader = await Reader.open(t, path, blockSizeBytes);
      const read = await reader.rest();
      if (!read.equals(sent)) bad.push(`${sizeBytes} bytes in blocks of ${blockSizeBytes}`);
    }
  }
  t.same(bad, []);
});

t.test('memory does not grow with the file', async (t) => {
  const path = writeOldFile(t.testdir(), Buffer.alloc(0));
  truncateSync(path, 128 * mebibyte);
  const reader = await Reader.open(t, path, 1400);
  const before = process.memoryUsage().arrayBuffers;
  let most = 0;
  for (let i = 0; (await reader.next()) !== undefined; i++) {
    if (i % 100 === 0) most = Math.max(most, process.memoryUsage().arrayBuffers);
  }
  t.ok(most - before < 8 * mebibyte, `${most - before} bytes more at most`);
});

t.test('the digest is available once everything was read, and not before', async (t) => {
  const content = randomBytes(3 * mebibyte);
  const reader = await Reader.open(t, writeOldFile(t.testdir(), content), 1000);
  await reader.next();
  t.equal(reader.source.digest(), undefined);
  await reader.rest();
  t.equal(reader.source.digest(), sha256(content));
});

t.test('an untouched file is confirmed', async (t) => {
  const reader = await Reader.open(t, writeOldFile(t.testdir(), randomBytes(1000)), 100);
  await reader.rest();
  await t.resolves(reader.source.verify());
});

t.test('a file that shrinks during the transfer is reported by name', async (t) => {
  const path = writeOldFile(t.testdir(), randomBytes(5 * mebibyte));
  const reader = await Reader.open(t, path, 1000);
  await reader.next();
  truncateSync(path, 100);
  await t.rejects(reader.rest(), {
    code: 'SOURCE_CHANGED',
    message: new RegExp(
      `^${path}: went from ${5 * mebibyte} to \\d+ bytes while it was being sent`,
    ),
  });
});

const changes = {
  'grows after its last block': {
    change: (path: string) => appendFileSync(path, 'more'),
    how: 'went from 1000 to 1004 bytes',
  },
  'shrinks after its last block': {
    change: (path: string) => truncateSync(path, 7),
    how: 'went from 1000 to 7 bytes',
  },
  'is written to in place': {
    change: (path: string) => writeFileSync(path, randomBytes(1000), { flag: 'r+' }),
    how: 'was written to',
  },
  'is touched': {
    change: (path: string) => utimesSync(path, 1_000_000_001, 1_000_000_001),
    how: 'was written to',
  },
};

for (const [what, { change, how }] of Object.entries(changes)) {
  t.test(`a file that ${what} no longer matches what was sent`, async (t) => {
    const path = writeOldFile(t.testdir(), randomBytes(1000));
    const reader = await Reader.open(t, path, 100);
    await reader.rest();
    change(path);
    await t.rejects(reader.source.verify(), {
      code: 'SOURCE_CHANGED',
      message: `${path}: ${how} while it was being sent; send it again once nothing writes to it`,
    });
  });
}

t.test('a file that is replaced by another is sent as it was', async (t) => {
  const content = randomBytes(3 * mebibyte);
  const path = writeOldFile(t.testdir(), content);
  const reader = await Reader.open(t, path, 1000);
  writeFileSync(`${path}.new`, 'new');
  renameSync(`${path}.new`, path);
  t.ok((await reader.rest()).equals(content));
  await t.resolves(reader.source.verify());
});

async function refuse(t: Test, path: string, message: RegExp): Promise<void> {
  await t.rejects(Reader.open(t, path, 100), { code: 'SOURCE_UNREADABLE', message });
}

t.test('a source that cannot be sent is refused with a reason', async (t) => {
  const folder = t.testdir({ file: 'content' });
  await refuse(t, join(folder, 'missing'), /missing: does not exist; check the name$/);
  await refuse(t, folder, /: is a folder; name a file$/);
  await refuse(t, join(folder, 'file', 'x'), /x: a part of the path is not a folder/);
  await refuse(t, join(folder, 'x'.repeat(300)), /: the name is too long/);
});

const noPipes = process.platform === 'win32' && 'no named pipes in the file system here';

t.test('a pipe is refused at once, even without a writer', { skip: noPipes }, async (t) => {
  const path = join(t.testdir(), 'pipe');
  execFileSync('mkfifo', [path]);
  await refuse(
    t,
    path,
    /pipe: is not a regular file; copy its content to a regular file and send that$/,
  );
});

const isRoot = process.getuid?.() === 0;

t.test(
  'a file without permission is refused',
  { skip: isRoot && 'root may read all' },
  async (t) => {
    const path = writeOldFile(t.testdir(), randomBytes(10));
    chmodSync(path, 0);
    await refuse(t, path, /: permission denied; check the permissions$/);
  },
);

const noProcFiles = process.platform !== 'linux' && 'no /proc here';

t.test('a file whose size is not its content is refused', { skip: noProcFiles }, async (t) => {
  await refuse(
    t,
    '/proc/cpuinfo',
    /has content although its size is 0; copy its content to a file and send that: cat \/proc\/cpuinfo > copy$/,
  );
  await refuse(t, '/proc/self/status', /has content although its size is 0/);
  const path = '/sys/class/net/lo/mtu';
  if (existsSync(path)) await refuse(t, path, /has less content than its size of 4096 bytes/);
});
