/** Gathered writes: their order, which run at the same time, and the effect of failures. */
import { randomBytes } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import * as fc from 'fast-check';
import t, { type Test } from 'tap';
import { writeParts } from '../../../../src/node/disk/fsync.js';
import type { Run } from '../../../../src/node/disk/store/write-behind.js';
import { WriteBehind } from '../../../../src/node/disk/store/write-behind.js';

interface StartedRun extends Run {
  readonly sizeBytes: number;
  readonly end: (error?: Error) => void;
}

/** A disk whose runs end when the test ends them. */
function createDisk() {
  const started: StartedRun[] = [];
  const behind = new WriteBehind((run) => {
    const sizeBytes = run.parts.reduce((sum, { length }) => sum + length, 0);
    return new Promise<void>((resolve, reject) => {
      const end = (error?: Error) => (error === undefined ? resolve() : reject(error));
      started.push({ ...run, sizeBytes, end });
    });
  }, 0);
  /** The runs that were started since the last call. */
  const take = async (): Promise<StartedRun[]> => {
    // A turn begins after one poll of the sockets, and the end of one may begin the next.
    for (let i = 0; i < 3; i++) await setImmediate();
    return started.splice(0);
  };
  /** Starts a run, during which writes are gathered. */
  const begin = async (offsetBytes: number): Promise<StartedRun> => {
    behind.write(offsetBytes, bytes(1)).catch(() => undefined);
    const [run] = await take();
    return run as StartedRun;
  };
  return { behind, take, begin };
}

/** The offset, size and number of parts of each run. */
const shapes = (runs: readonly StartedRun[]) =>
  runs.map(({ offsetBytes, sizeBytes, parts }) => [offsetBytes, sizeBytes, parts.length]);

/** The outcome of a promise; `how` is undefined until then. */
function watch(promise: Promise<void>): { how: string | undefined } {
  const watched: { how: string | undefined } = { how: undefined };
  promise.then(
    () => {
      watched.how = 'done';
    },
    (error: Error) => {
      watched.how = error.message;
    },
  );
  return watched;
}

const bytes = (sizeBytes: number, value = 0) => new Uint8Array(sizeBytes).fill(value);

t.test('writes start soon; those that arrive meanwhile are gathered', async (t) => {
  const { behind, take } = createDisk();
  const first = watch(behind.write(0, bytes(10)));
  const [run] = await take();
  t.same(shapes([run as StartedRun]), [[0, 10, 1]]);
  const others = [30, 10, 20, 50, 40, 70].map((offset) => watch(behind.write(offset, bytes(10))));
  t.same(await take(), [], 'one turn at a time');
  t.equal(first.how, undefined);
  run?.end();
  const runs = await take();
  t.equal(first.how, 'done');
  t.same(
    shapes(runs),
    [
      [10, 50, 5],
      [70, 10, 1],
    ],
    'adjacent writes become one run, whatever their order',
  );
  runs[0]?.end();
  await setImmediate();
  t.ok(others.every(({ how }) => how === undefined));
  runs[1]?.end();
  await setImmediate();
  t.ok(others.every(({ how }) => how === 'done'));
  behind.write(80, bytes(1));
  t.same(shapes(await take()), [[80, 1, 1]], 'the next run does not wait for the others');
});

t.test('writes that are handed over together start together, in order', async (t) => {
  const { behind, take } = createDisk();
  for (const offset of [20, 0, 10]) behind.write(offset, bytes(10));
  t.same(shapes(await take()), [[0, 30, 3]]);
});

t.test('a run consists of the buffers that were handed over', async (t) => {
  const { behind, take, begin } = createDisk();
  const first = await begin(0);
  const parts = [bytes(3, 1), bytes(4, 2), bytes(5, 3)];
  behind.write(107, parts[2] as Uint8Array);
  behind.write(100, parts[0] as Uint8Array);
  behind.write(103, parts[1] as Uint8Array);
  first.end();
  const [run] = await take();
  t.equal(run?.parts.length, 3);
  t.ok(run?.parts.every((part, i) => part === parts[i]));
});

t.test('runs have a maximum size, so that no write waits for all others', async (t) => {
  const { behind, take } = createDisk();
  const blockBytes = 100_000;
  const block = bytes(blockBytes);
  for (let i = 0; i < 50; i++) behind.write(i * blockBytes, block);
  for (let i = 0; i < 1500; i++) behind.write(10 ** 8 + i, block.subarray(0, 1));
  const runs = await take();
  t.ok(runs.every(({ sizeBytes }) => sizeBytes <= 1024 * 1024 + blockBytes));
  t.ok(
    runs.every(({ parts }) => parts.length <= 1024),
    'systems accept no more pieces in one call',
  );
  t.ok(runs.length <= 10, `${runs.length} runs`);
  t.equal(
    runs.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    50 * blockBytes + 1500,
  );
});

t.test('overlapping writes are done in order', async (t) => {
  const { behind, take } = createDisk();
  const older = watch(behind.write(0, bytes(10, 1)));
  behind.write(10, bytes(10, 1));
  const newer = watch(behind.write(0, bytes(10, 2)));
  behind.write(20, bytes(10, 2));
  const [first, ...none] = await take();
  t.same(shapes([first as StartedRun]), [[0, 20, 2]]);
  t.equal(first?.parts[0]?.[0], 1);
  t.same(none, []);
  first?.end();
  const runs = await take();
  t.same(shapes(runs), [
    [0, 10, 1],
    [20, 10, 1],
  ]);
  t.equal(runs[0]?.parts[0]?.[0], 2);
  t.equal(newer.how, undefined);
  for (const { end } of runs) end();
  await setImmediate();
  t.same([older.how, newer.how], ['done', 'done']);
});

t.test('a failure rejects the writes of its turn, and no others', async (t) => {
  const { behind, take } = createDisk();
  const before = watch(behind.write(0, bytes(1)));
  const [first] = await take();
  const one = watch(behind.write(10, bytes(1)));
  const two = watch(behind.write(20, bytes(1)));
  first?.end();
  const runs = await take();
  const after = watch(behind.write(30, bytes(1)));
  runs[0]?.end(new Error('full'));
  runs[1]?.end();
  const [last] = await take();
  t.same([before.how, one.how, two.how, after.how], ['done', 'full', 'full', undefined]);
  last?.end();
  await setImmediate();
  t.equal(after.how, 'done', 'the next turn tries again');
});

t.test('an unobserved failure is not an unhandled rejection', async (t) => {
  const { behind, take } = createDisk();
  for (const offset of [0, 10]) void behind.write(offset, bytes(1)).catch(() => undefined);
  for (const { end } of await take()) end(new Error('full'));
  await behind.settle();
  t.same(await take(), []);
});

t.test('after a failed run, nothing else starts before the other runs end', async (t) => {
  const { behind, take } = createDisk();
  for (const offset of [10, 20]) behind.write(offset, bytes(1)).catch(() => undefined);
  const [bad, slow] = await take();
  const again = watch(behind.write(20, bytes(1, 2)));
  let isSettled = false;
  void behind.settle().then(() => {
    isSettled = true;
  });
  bad?.end(new Error('full'));
  t.same(shapes(await take()), [], 'the same bytes are not written twice at once');
  t.equal(isSettled, false);
  slow?.end();
  const [last] = await take();
  t.same(shapes([last as StartedRun]), [[20, 1, 1]]);
  t.equal(isSettled, false);
  last?.end();
  await setImmediate();
  t.equal(again.how, 'done');
  t.equal(isSettled, true);
});

t.test('settling waits for everything handed over, whatever its outcome', async (t) => {
  const { behind, take, begin } = createDisk();
  await t.resolves(behind.settle(), 'nothing to wait for');
  const first = await begin(0);
  behind.write(5, bytes(1)).catch(() => undefined);
  let isSettled = false;
  const settling = behind.settle().then(() => {
    isSettled = true;
  });
  first.end(new Error('full'));
  const [second] = await take();
  t.equal(isSettled, false);
  // Also for writes that are added while it waits.
  const last = watch(behind.write(9, bytes(1)));
  second?.end(new Error('full'));
  const [third] = await take();
  t.equal(isSettled, false);
  third?.end();
  await settling;
  t.equal(last.how, 'done');
});

t.test('a disk that fails at once is reported like one that fails later', async (t) => {
  const behind = new WriteBehind(async () => {
    throw new Error('full');
  });
  await t.rejects(behind.write(0, bytes(1)), { message: 'full' });
  const both = [behind.write(0, bytes(1)), behind.write(1, bytes(1))];
  t.same(
    (await Promise.allSettled(both)).map(({ status }) => status),
    ['rejected', 'rejected'],
  );
});

// --- Any sequence

interface AnyWrite {
  readonly offset: number;
  readonly sizeBytes: number;
  /** How many runs end before this write is added. */
  readonly steps: number;
  readonly fails: boolean;
}

/** Random writes onto a disk that ends its runs in any order. @returns the faults */
async function replay(writes: readonly AnyWrite[], random: (below: number) => number) {
  const disk = new Uint8Array(400);
  /** For each byte, the last write that was reported as written. */
  const promised = new Uint8Array(disk.length);
  const faults: string[] = [];
  const open = new Set<{ from: number; to: number; end: () => void }>();
  const failing = new Set<number>();
  const behind = new WriteBehind(({ offsetBytes, parts }) => {
    const whole = Buffer.concat(parts);
    const run = { from: offsetBytes, to: offsetBytes + whole.length, end: () => {} };
    for (const other of open) {
      if (run.from < other.to && other.from < run.to) faults.push('two runs overlap');
    }
    if (parts.length === 0) faults.push('an empty run');
    return new Promise((resolve, reject) => {
      run.end = () => {
        open.delete(run);
        disk.set(whole, offsetBytes);
        if (whole.some((value) => failing.has(value))) reject(new Error('full'));
        else resolve();
      };
      open.add(run);
    });
  });
  const goOn = async () => {
    const runs = [...open];
    runs[random(runs.length)]?.end();
    await setImmediate();
  };
  const ends: Promise<void>[] = [];
  for (const [i, { offset, sizeBytes, steps, fails }] of writes.entries()) {
    for (let step = 0; step < steps; step++) await goOn();
    const content = new Uint8Array(sizeBytes).fill(i + 1);
    if (fails) failing.add(i + 1);
    const handleWritten = () => {
      for (let at = offset; at < offset + sizeBytes; at++) {
        // A later write may already have replaced it.
        if ((disk[at] as number) <= i) faults.push(`${i} was reported before it was written`);
        promised[at] = Math.max(promised[at] as number, i + 1);
      }
    };
    ends.push(behind.write(offset, content).then(handleWritten, () => undefined));
  }
  let isSettled = false;
  const settled = behind.settle().then(() => {
    isSettled = true;
    if (open.size > 0) faults.push('settled while runs were active');
  });
  for (let i = 0; !isSettled && i < 1000; i++) await goOn();
  if (!isSettled) return ['it hangs'];
  await settled;
  await Promise.all(ends);
  if (disk.some((value, at) => value < (promised[at] as number)))
    faults.push('overwritten by an older write');
  return faults;
}

for (const [what, place] of [
  ['blocks', fc.nat(19).map((block) => ({ offset: block * 20, sizeBytes: 20 }))],
  [
    'bytes anywhere',
    fc.record({ offset: fc.nat(300), sizeBytes: fc.integer({ min: 1, max: 100 }) }),
  ],
] as const) {
  t.test(`any sequence of writes of ${what} has the same result as sequential writes`, async () => {
    const write = fc
      .record({ place, steps: fc.constantFrom(0, 0, 0, 0, 1, 2, 5), fails: fc.nat(19) })
      .map(({ place, steps, fails }) => ({ ...place, steps, fails: fails === 0 }));
    const property = fc.asyncProperty(
      fc.array(write, { maxLength: 60 }),
      fc.infiniteStream(fc.nat()),
      async (writes, numbers) => {
        const random = (below: number) =>
          below === 0 ? 0 : (numbers.next().value as number) % below;
        const faults = await replay(writes, random);
        if (faults.length > 0) throw new Error(faults.join('; '));
      },
    );
    await fc.assert(property, { seed: 1, numRuns: 300 });
  });
}

// --- To files

/** Limits what the system accepts in each call of `writev`. */
function limitWrites(t: Test, handle: FileHandle, limitBytes: (callNumber: number) => number) {
  const { writev } = handle;
  let calls = 0;
  t.intercept(handle, 'writev', {
    value: (parts: readonly Uint8Array[], position: number) => {
      let leftBytes = limitBytes(calls++);
      const taken: Uint8Array[] = [];
      for (const part of parts) {
        taken.push(part.subarray(0, leftBytes));
        leftBytes -= taken.at(-1)?.length ?? 0;
      }
      return writev.call(handle, taken, position);
    },
  });
}

t.test('a partial write is continued to its end', async (t) => {
  const path = join(t.testdir(), 'file');
  const parts = [7, 1, 0, 20, 5].map((sizeBytes) => randomBytes(sizeBytes));
  const whole = Buffer.concat(parts);
  for (let taken = 0; taken <= whole.length; taken++) {
    const handle = await open(path, 'w+');
    limitWrites(t, handle, () => taken);
    await writeParts(handle, parts, 3);
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(100), 0, 100, 0);
    await handle.close();
    const found = buffer.subarray(0, bytesRead);
    if (!found.equals(Buffer.concat([bytes(3), whole]))) t.fail(`${taken} bytes taken`);
  }
});

t.test('an error on the rest is reported', async (t) => {
  const path = join(t.testdir(), 'file');
  const handle = await open(path, 'w+');
  t.teardown(() => handle.close());
  limitWrites(t, handle, () => 5);
  t.intercept(handle, 'write', {
    value: async () => {
      throw Object.assign(new Error('no space'), { code: 'ENOSPC' });
    },
  });
  await t.rejects(writeParts(handle, [bytes(3), bytes(4)], 0), { code: 'ENOSPC' });
});

t.test('many small pieces, onto a real file', async (t) => {
  const path = join(t.testdir(), 'file');
  const handle = await open(path, 'w+');
  t.teardown(() => handle.close());
  let calls = 0;
  const behind = new WriteBehind(({ offsetBytes, parts }) => {
    calls++;
    return writeParts(handle, parts, offsetBytes);
  });
  const content = randomBytes(300_000);
  const offsets = Array.from({ length: 3000 }, (_, i) => ((i * 1777) % 3000) * 100);
  await Promise.all(offsets.map((at) => behind.write(at, content.subarray(at, at + 100))));
  const { buffer } = await handle.read(Buffer.alloc(content.length), 0, content.length, 0);
  t.ok(buffer.equals(content));
  t.ok(calls < 20, `${calls} calls`);
});
