/** A part that somebody removes at any moment: the failure says so, and nothing incomplete gets a file name. */
import { createHash, randomBytes } from 'node:crypto';
import fs, { existsSync, readFileSync, renameSync, rmSync } from 'node:fs';
import fsPromises, { open } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import t from 'tap';
import type { Hash } from '../../../../src/base/hash.js';
import { PartStore } from '../../../../src/node/disk/parts/part-store.js';
import { hashLeaf } from '../../../../src/object/hash-tree.js';
import type { Entry } from '../../../../src/object/manifest.js';
import { createManifest } from '../../../../src/object/manifest.js';

const sha256: Hash = (...parts) =>
  parts.reduce((sum, part) => sum.update(part), createHash('sha256')).digest();

/** Calls a function before one of the file operations of this process. */
class Interruption {
  /** Undefined if there were fewer operations. */
  interrupted: string | undefined;
  private callsLeft: number;

  private static current: Interruption | undefined;

  /** @param index of the operation, from 0 */
  constructor(
    index: number,
    private readonly interrupt: () => void,
  ) {
    this.callsLeft = index;
    Interruption.current = this;
  }

  end(): void {
    Interruption.current = undefined;
  }

  /** Watches all functions of a module or of a class that belong to the file system. */
  static watch(functions: object, where: string, names = Object.keys(functions)): void {
    const table = functions as Record<string, unknown>;
    for (const name of names) {
      const real = table[name];
      if (typeof real !== 'function' || !/^[a-z]/.test(name) || /[a-z]Stream$/.test(name)) continue;
      table[name] = function (this: unknown, ...args: unknown[]) {
        Interruption.current?.note(`${where} ${name}`);
        return Reflect.apply(real, this, args);
      };
    }
  }

  private note(operation: string): void {
    if (this.callsLeft-- > 0) return;
    this.end();
    this.interrupted = operation;
    this.interrupt();
  }
}

const remove = (dir: string) => rmSync(join(dir, '.p2mp-part'), { recursive: true, force: true });
const moveAway = (dir: string) => {
  if (existsSync(join(dir, '.p2mp-part'))) renameSync(join(dir, '.p2mp-part'), join(dir, 'away'));
};

function file(name: string, sizeBytes: number): Entry {
  return { kind: 'file', name, mode: 0o644, modifiedMs: 1000, sizeBytes };
}

const blockSizeBytes = 20;
const manifest = createManifest([
  { kind: 'folder', name: 'd', mode: 0o755, modifiedMs: 0 },
  file('a', 30),
  file('d/b', 40),
  { kind: 'link', name: 'l', target: 'a' },
]);
const content = randomBytes(manifest.contentSizeBytes);
const leafOf = (index: number) =>
  hashLeaf(sha256, content.subarray(index * blockSizeBytes, (index + 1) * blockSizeBytes));

function openStore(dir: string): Promise<PartStore> {
  const partId = 'ab'.repeat(32);
  const options = { dir, partId, manifest, blockSizeBytes, existing: 'update' as const };
  return PartStore.open({ ...options, gatherMs: 0 });
}

async function write(store: PartStore, start: number, end: number): Promise<void> {
  const going: Promise<void>[] = [];
  for (let at = start; at < end; at += blockSizeBytes) {
    going.push(store.write(at, content.subarray(at, at + blockSizeBytes)));
  }
  await Promise.all(going);
}

/** Receives the object in small steps. */
async function receive(dir: string): Promise<void> {
  const store = await openStore(dir);
  try {
    await write(store, 0, 40);
    await store.checkpoint();
    await write(store, 40, 70);
    await store.forget(0);
    await write(store, 0, blockSizeBytes);
    await store.findDamage(leafOf);
    await store.finish();
  } catch (error) {
    await store.suspend();
    throw error;
  }
}

t.before(async () => {
  const handle = await open('/dev/null');
  const prototype = Object.getPrototypeOf(handle);
  Interruption.watch(prototype, 'handle', Object.getOwnPropertyNames(prototype));
  await handle.close();
  Interruption.watch(fsPromises, 'promises');
  Interruption.watch(fs, 'fs');
  syncBuiltinESMExports();
});

/** @returns whether each file has the right bytes; undefined if it is not there */
function placedFiles(dir: string): (boolean | undefined)[] {
  return [
    { name: 'a', bytes: content.subarray(0, 30) },
    { name: 'd/b', bytes: content.subarray(30) },
  ].map(({ name, bytes }) => {
    const path = join(dir, name);
    return existsSync(path) ? readFileSync(path).equals(bytes) : undefined;
  });
}

for (const [what, lose, isResumed, step] of [
  ['a new part is removed before each file operation', remove, false, 1],
  ['a resumed part is moved away before every third one', moveAway, true, 3],
] as const) {
  t.test(what, async (t) => {
    const counts = { failed: 0, complete: 0 };
    for (let index = 0; ; index += step) {
      const dir = t.testdir();
      if (isResumed) {
        const earlier = await openStore(dir);
        await write(earlier, 0, 40);
        await earlier.suspend();
      }
      const interruption = new Interruption(index, () => lose(dir));
      const failure = await receive(dir).catch((error: unknown) => error);
      interruption.end();
      const { interrupted } = interruption;
      if (interrupted === undefined) break;
      const files = placedFiles(dir);
      const isNamed = /\.p2mp-part: somebody removed what had arrived; send/.test(`${failure}`);
      // It may have been removed too early or too late to be missed.
      const isRight = failure === undefined ? files.every((isWhole) => isWhole) : isNamed;
      const shown = `before ${interrupted}, number ${index}: ${failure}; ${files}`;
      if (!isRight || files.includes(false)) t.fail(shown);
      counts[failure === undefined ? 'complete' : 'failed']++;
    }
    t.ok(counts.failed > 50 / step, `${counts.failed} failed`);
    t.ok(counts.complete > 5 / step, `${counts.complete} complete`);
  });
}
