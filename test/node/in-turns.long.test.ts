/** Large amounts of work yield to the event loop in between. The tests count turns, not time. */
import { existsSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { createRandom } from '../../src/base/random.js';
import type { Steps } from '../../src/base/steps.js';
import { PartStore } from '../../src/node/disk/parts/part-store.js';
import { removePartFolder } from '../../src/node/disk/parts/remove-part.js';
import { sortInTurns } from '../../src/node/disk/source/sort-in-turns.js';
import { forEachInTurns, runInTurns } from '../../src/node/in-turns.js';
import { forEachLimited } from '../../src/node/limited-concurrency.js';
import type { Entry } from '../../src/object/manifest.js';
import { createManifest } from '../../src/object/manifest.js';
import { ifThere } from '../support/if-there.js';

/** Counts the turns of the event loop, and the most work done in one turn. */
class TurnCounter {
  turns = 0;
  most = 0;
  private done = 0;
  private isOver = false;

  constructor(t: Test) {
    t.teardown(() => {
      this.isOver = true;
    });
    void this.count();
  }

  /** Records one piece of work. */
  readonly note = (): void => {
    this.done++;
    this.most = Math.max(this.most, this.done);
  };

  private async count(): Promise<void> {
    while (!this.isOver) {
      await nextTurn();
      this.turns++;
      this.done = 0;
    }
  }
}

const numbers = Array.from({ length: 20_000 }, (_, i) => i);

t.test('each step has a turn of its own', async (t) => {
  const counter = new TurnCounter(t);
  function* count(): Steps<string> {
    for (let i = 0; i < 10; i++) {
      counter.note();
      yield;
    }
    return 'done';
  }
  t.equal(await runInTurns(count()), 'done');
  t.ok(counter.most <= 2, `${counter.most} at once`);
  const stopped = AbortSignal.abort(new Error('stopped'));
  await t.rejects(runInTurns(count(), stopped), { message: 'stopped' });
});

t.test('cheap work on many items yields between turns', async (t) => {
  const counter = new TurnCounter(t);
  const seen: number[] = [];
  await forEachInTurns(numbers, (number) => {
    seen.push(number);
    counter.note();
  });
  t.same(seen, numbers);
  t.ok(counter.most <= 2000, `${counter.most} at once`);
  const abort = new AbortController();
  let count = 0;
  const stopping = forEachInTurns(
    numbers,
    () => {
      count++;
      abort.abort(new Error('stopped'));
    },
    abort.signal,
  );
  await t.rejects(stopping, { message: 'stopped' });
  t.ok(count <= 1000, 'nothing was done after the turn in which it was stopped');
});

t.test('work that could have waited, but did not, yields too', async (t) => {
  const counter = new TurnCounter(t);
  await forEachLimited(numbers, 8, async () => counter.note());
  t.ok(counter.most <= 1024, `${counter.most} at once`);
});

t.test('sorting yields, and gives the same result as sort', async (t) => {
  const counter = new TurnCounter(t);
  const random = createRandom('sort in turns');
  const items = numbers.map((number) => ({ key: Math.floor(random() * 5000), number }));
  const compare = (a: { key: number }, b: { key: number }) => {
    counter.note();
    return a.key - b.key;
  };
  t.same(
    await sortInTurns(items, compare),
    [...items].sort((a, b) => a.key - b.key),
  );
  t.ok(counter.most < 4096 * 13, `${counter.most} comparisons at once`);
  for (const count of [0, 1, 4096, 4097]) {
    const some = numbers.slice(0, count).reverse();
    t.same(await sortInTurns(some, (a, b) => a - b), numbers.slice(0, count));
  }
});

t.test('a part of very many files is opened and finished over many turns', async (t) => {
  const counter = new TurnCounter(t);
  const fileCount = 3000;
  const entries = numbers.slice(0, fileCount).map((number): Entry => {
    const name = `f/${100_000 + number}`;
    return { kind: 'file', name, mode: 0o644, modifiedMs: 0, sizeBytes: 0 };
  });
  const folder: Entry = { kind: 'folder', name: 'f', mode: 0o755, modifiedMs: 0 };
  const options = {
    dir: join(t.testdir(), 'in'),
    partId: 'ab'.repeat(32),
    manifest: createManifest([folder, ...entries]),
    blockSizeBytes: 1000,
    existing: 'update' as const,
  };
  const store = await PartStore.open(options);
  // Five per item, a thousand per turn; work that may wait for the disk, 512 per turn.
  t.ok(counter.turns > fileCount / 200, `${counter.turns} turns to open it`);
  const before = counter.turns;
  await store.findDamage(() => new Uint8Array(32));
  t.ok(
    counter.turns - before >= fileCount / 500,
    `${counter.turns - before} turns to look for damage`,
  );
  // A stop midway, as when the sender leaves, waits until nothing reads any more.
  const finding = store.findDamage(() => new Uint8Array(32));
  await nextTurn();
  await store.suspend();
  t.equal(await finding, undefined, 'stopped');
  const again = await PartStore.open(options);
  const finishing = again.finish();
  await nextTurn();
  await again.suspend();
  await finishing;
  t.same(readdirSync(options.dir), ['f'], 'the stop waits for what is being moved into place');

  const abort = new AbortController();
  const opening = PartStore.open({ ...options, signal: abort.signal });
  setImmediate(() => abort.abort(new Error('stopped')));
  await t.rejects(opening, { message: 'stopped' });
});

t.test(
  'a part of very many files is removed a few at a time, and a link in its place is not followed',
  async (t) => {
    const dir = t.testdir({ part: { journal: 'j' }, outside: { '1': 'kept' } });
    const part = join(dir, 'part');
    for (let i = 0; i < 3000; i++) writeFileSync(join(part, `${i}`), '');
    // What remains after each turn: never much less than before it.
    const counts: number[] = [];
    let isOver = false;
    const watch = async () => {
      while (!isOver) {
        counts.push(ifThere(() => readdirSync(part))?.length ?? 0);
        await nextTurn();
      }
    };
    const watching = watch();
    await removePartFolder(part);
    isOver = true;
    await watching;
    t.notOk(existsSync(part));
    t.ok(counts.length > 100, `${counts.length} turns`);
    const steps = counts.map((count, i) => (counts[i - 1] ?? count) - count);
    t.ok(Math.max(...steps) < 500, `${Math.max(...steps)} at once`);
    symlinkSync(join(dir, 'outside'), part);
    await removePartFolder(part);
    t.same(readdirSync(dir), ['outside']);
    t.same(readdirSync(join(dir, 'outside')), ['1']);
    await removePartFolder(part);
  },
);
