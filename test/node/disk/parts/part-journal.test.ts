/** The journal of a part: what a crash may leave of it, and when it may be written. */
import { randomBytes } from 'node:crypto';
import {
  appendFileSync,
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { open } from 'node:fs/promises';
import { basename, join } from 'node:path';
import t, { type Test } from 'tap';
import type { Range } from '../../../../src/base/range-set.js';
import { RangeSet } from '../../../../src/base/range-set.js';
import { PartJournal, readJournal } from '../../../../src/node/disk/parts/part-journal.js';
import { PartStore } from '../../../../src/node/disk/parts/part-store.js';
import { FileBudget } from '../../../../src/node/disk/store/file-budget.js';
import type { Entry } from '../../../../src/object/manifest.js';
import { createManifest } from '../../../../src/object/manifest.js';

const key = { partId: '0b'.repeat(32), contentSizeBytes: 1000 };

async function read(path: string): Promise<Range[] | undefined> {
  const content = await readJournal(path, key);
  return content && [...content.held.ranges()];
}

/** Writes a journal with three appends, and the expected state after each. */
async function writeJournal(t: Test) {
  const path = join(t.testdir(), 'journal');
  const journal = await PartJournal.create(path, key, new RangeSet([{ start: 0, end: 100 }]));
  const stages = [{ sizeBytes: statSync(path).size, ranges: [{ start: 0, end: 100 }] }];
  const addStage = () =>
    stages.push({ sizeBytes: statSync(path).size, ranges: [...journal.held.ranges()] });
  await journal.add([{ start: 200, end: 300 }]);
  addStage();
  await journal.forget({ start: 50, end: 250 });
  addStage();
  await journal.add([{ start: 990, end: 1000 }]);
  addStage();
  await journal.close();
  return { path, stages };
}

t.test('it contains what was added and not forgotten', async (t) => {
  const { path, stages } = await writeJournal(t);
  t.same(await read(path), [
    { start: 0, end: 50 },
    { start: 250, end: 300 },
    { start: 990, end: 1000 },
  ]);
  t.same(stages.at(-1)?.ranges, await read(path));
});

t.test('truncated anywhere, it keeps its whole records', async (t) => {
  const { path, stages } = await writeJournal(t);
  const whole = readFileSync(path);
  const [first] = stages;
  for (let size = 0; size <= whole.length; size++) {
    writeFileSync(path, whole.subarray(0, size));
    const stage = stages.filter(({ sizeBytes }) => sizeBytes <= size).at(-1);
    // A new journal gets its name by a rename, with all its records.
    if (stage === undefined && size >= (first?.sizeBytes ?? 0) - 24) continue;
    const ranges = await read(path);
    if (JSON.stringify(ranges) !== JSON.stringify(stage?.ranges)) {
      t.fail(`${size} bytes`, { ranges, stage });
    }
  }
});

t.test('a corrupt byte ends it before its record', async (t) => {
  const { path, stages } = await writeJournal(t);
  const whole = readFileSync(path);
  const firstSize = stages[0]?.sizeBytes ?? 0;
  for (let at = 0; at < whole.length; at++) {
    const bytes = Buffer.from(whole);
    bytes[at] = (bytes[at] as number) ^ 0x10;
    writeFileSync(path, bytes);
    const stage = stages.filter(({ sizeBytes }) => sizeBytes <= at).at(-1);
    const ranges = await read(path);
    const expected = stage?.ranges ?? (at >= firstSize - 24 ? [] : undefined);
    if (JSON.stringify(ranges) !== JSON.stringify(expected)) t.fail(`byte ${at}`, { ranges });
  }
});

t.test('zeros, noise or records of another object at its end are ignored', async (t) => {
  const { path } = await writeJournal(t);
  const other = join(t.testdirName, 'other');
  const otherKey = { ...key, partId: '0c'.repeat(32) };
  const full = new RangeSet([{ start: 0, end: 1000 }]);
  await (await PartJournal.create(other, otherKey, full)).close();
  const expected = await read(path);
  const whole = readFileSync(path);
  for (const tail of [Buffer.alloc(96), randomBytes(96), readFileSync(other).subarray(-24)]) {
    writeFileSync(path, Buffer.concat([whole, tail]));
    t.same(await read(path), expected);
  }
  t.equal(await readJournal(other, key), undefined, 'the journal of another object is not read');
  t.equal(await readJournal(path, { ...key, contentSizeBytes: 999 }), undefined);
  t.equal(await readJournal(join(t.testdirName, 'none'), key), undefined);
});

t.test('it is rewritten when most of it is obsolete', async (t) => {
  const path = join(t.testdir(), 'journal');
  const journal = await PartJournal.create(path, key, new RangeSet());
  const same = Array.from({ length: 40_000 }, () => ({ start: 7, end: 9 }));
  const sizes: number[] = [];
  for (let i = 0; i < 4; i++) {
    await journal.add(same);
    sizes.push(statSync(path).size);
  }
  t.ok((sizes[3] ?? 0) < 100, `shrinks: ${sizes}`);
  await journal.add([{ start: 500, end: 600 }]);
  await journal.close();
  t.same(await read(path), [
    { start: 7, end: 9 },
    { start: 500, end: 600 },
  ]);
});

t.test('what was written and not synced is not counted as durable', async (t) => {
  const path = join(t.testdir(), 'journal');
  const readBoth = async () => {
    const { held, written } = (await readJournal(path, key)) ?? {};
    return [[...(held?.ranges() ?? [])], [...(written?.ranges() ?? [])]];
  };
  const journal = await PartJournal.create(path, key, new RangeSet([{ start: 0, end: 100 }]));
  // Ranges that come at once share an append.
  journal.noteWritten({ start: 50, end: 200 });
  journal.noteWritten({ start: 300, end: 400 });
  journal.noteWritten({ start: 600, end: 700 });
  await journal.add([{ start: 100, end: 150 }]);
  await journal.forget({ start: 350, end: 360 });
  const expected = [
    [{ start: 0, end: 150 }],
    [
      { start: 150, end: 200 },
      { start: 300, end: 350 },
      { start: 360, end: 400 },
      { start: 600, end: 700 },
    ],
  ];
  t.same(await readBoth(), expected);
  // A new journal keeps both.
  for (let i = 0; i < 4; i++)
    await journal.add(Array.from({ length: 40_000 }, () => ({ start: 0, end: 150 })));
  t.ok(statSync(path).size < 300);
  await journal.close();
  t.same(await readBoth(), expected);
});

const partId = 'a1'.repeat(32);
const blockSizeBytes = 100;

function createObject(sizesBytes: readonly number[]) {
  const entries = sizesBytes.map(
    (sizeBytes, i): Entry => ({
      kind: 'file',
      name: `f${i}`,
      mode: 0o644,
      modifiedMs: 0,
      sizeBytes,
    }),
  );
  const manifest = createManifest(entries);
  const openStore = (dir: string, maxOpenFiles = 16) =>
    PartStore.open({
      ...{ dir, partId, manifest, blockSizeBytes, existing: 'update' },
      fileBudget: new FileBudget(maxOpenFiles),
    });
  return { content: randomBytes(manifest.contentSizeBytes), openStore };
}

t.test('a store continues a torn journal', async (t) => {
  const { content, openStore } = createObject([250, 250]);
  const dir = t.testdir();
  const store = await openStore(dir);
  const parts = join(dir, '.p2mp-part', partId);
  const indices = [0, 3];
  for (const i of indices) {
    await store.write(
      i * blockSizeBytes,
      content.subarray(i * blockSizeBytes, (i + 1) * blockSizeBytes),
    );
    await store.checkpoint();
  }
  const whole = readFileSync(join(parts, 'journal'));
  // The last record says that block 3 is durable, and the one before it that it was written.
  for (let torn = 0; torn <= 48; torn++) {
    const copy = join(dir, `copy${torn}`);
    mkdirSync(join(copy, '.p2mp-part', partId), { recursive: true });
    const copyParts = join(copy, '.p2mp-part', partId);
    for (const name of readdirSync(parts)) copyFileSync(join(parts, name), join(copyParts, name));
    writeFileSync(join(copyParts, 'journal'), whole.subarray(0, whole.length - torn));
    const reopened = await openStore(copy);
    const held = torn <= 24 ? [0, 3] : [0];
    t.same(
      reopened.held.map(({ index }) => index),
      held,
      `${torn} bytes are missing`,
    );
    await reopened.write(400, content.subarray(400));
    await reopened.suspend();
    appendFileSync(join(copyParts, 'journal'), 'torn a second time');
    const again = await openStore(copy);
    t.same(
      again.held.map(({ index }) => index),
      [...held, 4],
    );
    await again.discard();
  }
  await store.discard();
});

const skip = process.platform !== 'linux' && 'open files have no names there';

interface DiskEvent {
  readonly kind: 'write' | 'datasync' | 'sync';
  readonly path: string;
  /** Open files in the folder. */
  readonly openCount: number;
}

/** A record of what was written and need not be durable. */
const isNoteOfWrite = (path: string, bytes: unknown) =>
  basename(path) === 'journal' && Buffer.isBuffer(bytes) && bytes.readUInt32BE(0) === 3;

/** Records what happens to the files of a folder: operations as they end, writes as they begin. */
async function watchDisk(t: Test, folder: string): Promise<DiskEvent[]> {
  const events: DiskEvent[] = [];
  const handle = await open('/dev/null', 'r');
  const prototype = Object.getPrototypeOf(handle) as FileHandle;
  await handle.close();
  const pathOf = (fd: number | string) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      return '';
    }
  };
  const note = (kind: DiskEvent['kind'], fd: number) => {
    const open = readdirSync('/proc/self/fd').map(pathOf);
    const openCount = open.filter((path) => path.startsWith(`${folder}/`)).length;
    events.push({ kind, path: pathOf(fd), openCount });
  };
  const { write, writev, datasync, sync } = prototype;
  t.intercept(prototype, 'write', {
    value: function (this: FileHandle, ...args: Parameters<typeof write>) {
      if (!isNoteOfWrite(pathOf(this.fd), args[0])) note('write', this.fd);
      return write.apply(this, args);
    },
  });
  t.intercept(prototype, 'writev', {
    value: function (this: FileHandle, ...args: Parameters<typeof writev>) {
      note('write', this.fd);
      return writev.apply(this, args);
    },
  });
  for (const [kind, original] of Object.entries({ datasync, sync })) {
    t.intercept(prototype, kind as 'sync', {
      value: async function (this: FileHandle) {
        await original.call(this);
        note(kind as 'sync', this.fd);
      },
    });
  }
  return events;
}

t.test('nothing is noted before it is durable, and few files are open', { skip }, async (t) => {
  const dir = t.testdir();
  const { content, openStore } = createObject(Array.from({ length: 30 }, (_, i) => 70 + i));
  const maxOpenFiles = 4;
  const store = await openStore(dir, maxOpenFiles);
  const events = await watchDisk(t, dir);
  const part = join(dir, '.p2mp-part', partId);
  for (let i = 0; i * blockSizeBytes < content.length; i++) {
    await store.write(i * blockSizeBytes, content.subarray(i * blockSizeBytes).subarray(0, 100));
    if (i % 5 === 4) await store.checkpoint();
    if (i === 12) await store.forget(3);
    if (i === 12) await store.write(300, content.subarray(300, 400));
  }
  await store.finish();

  const [unsynced, unnamed, seen] = [new Set<string>(), new Set<string>(), new Set<string>()];
  let isJournalSynced = true;
  let noteCount = 0;
  for (const { kind, path, openCount } of events) {
    t.ok(openCount <= maxOpenFiles, `${openCount} files are open`);
    const name = basename(path);
    if (path === part) unnamed.clear();
    else if (name === 'journal' && kind === 'write') {
      noteCount++;
      // A block is forgotten before the files of other blocks are synced, so that note lists none
      // of them.
      const isForgetting = noteCount === 3;
      if (!isForgetting) t.same([[...unsynced], [...unnamed]], [[], []], `note ${noteCount}`);
      isJournalSynced = false;
    } else if (name === 'journal') isJournalSynced = true;
    else if (kind !== 'write') unsynced.delete(name);
    else if (path.startsWith(part)) {
      unsynced.add(name);
      if (!seen.has(name)) unnamed.add(name);
      seen.add(name);
    }
  }
  t.equal(noteCount, 7, 'five checkpoints, the forgotten block, and the end');
  t.ok(isJournalSynced);
  t.equal(seen.size, 30);
});

t.test('what is noted is forgotten before it is overwritten', { skip }, async (t) => {
  const dir = t.testdir();
  const { content, openStore } = createObject([250]);
  const store = await openStore(dir);
  await store.write(0, content);
  await store.checkpoint();
  const events = await watchDisk(t, dir);
  await store.write(120, content.subarray(120, 130));
  t.same(
    events.map(({ kind, path }) => `${kind} ${basename(path)}`),
    ['write journal', 'datasync journal', 'write 0'],
  );
  await store.discard();
});

t.test(
  'a copy of a candidate is durable, with its name, before it is noted',
  { skip },
  async (t) => {
    const dir = t.testdir({ f0: 'x'.repeat(250) });
    const { content, openStore } = createObject([250]);
    const store = await openStore(dir);
    const events = await watchDisk(t, dir);
    await store.checkpoint();
    t.same(events, [], 'nothing to note');
    await store.write(100, content.subarray(100, 200));
    await store.checkpoint();
    t.same(
      events.map(({ kind, path }) => `${kind} ${basename(path)}`),
      ['write 0', 'datasync 0', `sync ${partId}`, 'write journal', 'datasync journal'],
    );
    await store.suspend();
    const again = await openStore(dir);
    t.equal(again.held.length, 3);
    await again.discard();
  },
);

t.test('bytes that a candidate already has are neither copied nor noted', { skip }, async (t) => {
  const { content, openStore } = createObject([250]);
  const dir = t.testdir();
  writeFileSync(join(dir, 'f0'), content);
  const store = await openStore(dir);
  const events = await watchDisk(t, dir);
  await store.write(100, content.subarray(100, 200));
  await store.checkpoint();
  t.same(events, []);
  await store.finish();
});
