/**
 * What a part holds after its process was killed, after a full disk, and after arbitrary
 * operations.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import * as fc from 'fast-check';
import t, { type Test } from 'tap';
import type { Hash } from '../../../../src/base/hash.js';
import { PartStore } from '../../../../src/node/disk/parts/part-store.js';
import type { PartStoreOptions } from '../../../../src/node/disk/parts/part-store-options.js';
import { FileBudget } from '../../../../src/node/disk/store/file-budget.js';
import type { HeldBlock } from '../../../../src/object/content-store.js';
import { hashLeaf } from '../../../../src/object/hash-tree.js';
import type { Manifest } from '../../../../src/object/manifest.js';
import { createManifest } from '../../../../src/object/manifest.js';

const partId = 'cd'.repeat(32);
const projectFolder = fileURLToPath(new URL('../../../../', import.meta.url));
const storeUrl = pathToFileURL(join(projectFolder, 'src/node/disk/parts/part-store.ts')).href;

function createFiles(sizesBytes: readonly number[]): Manifest {
  return createManifest(
    sizesBytes.map((sizeBytes, i) => {
      return { kind: 'file', name: `f${i}`, mode: 0o644, modifiedMs: 0, sizeBytes };
    }),
  );
}

/** The byte at each offset of an object; every process can compute it. */
function byteAt(offsetBytes: number): number {
  return (offsetBytes * 31 + (offsetBytes >>> 8) * 17) & 255;
}

function contentOf(start: number, end: number): Buffer {
  return Buffer.from(Array.from({ length: end - start }, (_, i) => byteAt(start + i)));
}

const sha256: Hash = (...parts) =>
  parts.reduce((sum, part) => sum.update(part), createHash('sha256')).digest();

function leafOf(block: Uint8Array): string {
  return Buffer.from(hashLeaf(sha256, block)).toString('hex');
}

function leavesOf(held: readonly HeldBlock[]): Map<number, string> {
  return new Map(held.map(({ index, leaf }) => [index, Buffer.from(leaf).toString('hex')]));
}

/** Runs a program that uses the store, optionally under a file size limit. */
function startProgram(t: Test, code: string, data: unknown, limitKib?: number) {
  const program = `
    // Node ignores what the limit sends, unless the loader listens to signals.
    process.on('SIGXFSZ', () => undefined);
    const { PartStore } = await import(${JSON.stringify(storeUrl)});
    const data = ${JSON.stringify(data)};
    ${byteAt}
    ${contentOf}
    ${code}`;
  const limit = limitKib === undefined ? '' : `ulimit -f ${limitKib};`;
  const node = [process.execPath, '--import', 'tsx'];
  const child = spawn(
    'bash',
    ['-c', `${limit} exec "$@"`, 'bash', ...node, '--input-type=module', '-e', program],
    {
      cwd: projectFolder,
      env: { ...process.env, NODE_OPTIONS: '' },
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  // By then all its output has arrived.
  const exited = once(child, 'close');
  t.teardown(async () => {
    child.kill('SIGKILL');
    await exited;
  });
  return { child, exited };
}

const skip = process.platform === 'win32' && 'no kill -9, and no limits, there';

t.test('after kill -9, what was written is held, without a checkpoint', { skip }, async (t) => {
  const blockSizeBytes = 4000;
  const manifest = createFiles([100_000, 300_000]);
  const options: PartStoreOptions = {
    ...{ dir: t.testdir(), partId, manifest, blockSizeBytes, existing: 'update', gatherMs: 0 },
    ...{ checkpointMs: 1_000_000 },
  };
  const code = `
    const { blockSizeBytes } = data.options;
    const store = await PartStore.open(data.options);
    for (let index = 0; index < 90; index++) {
      await store.write(index * blockSizeBytes, contentOf(index * blockSizeBytes, (index + 1) * blockSizeBytes));
      console.log(index);
    }
    setInterval(() => undefined, 1000);`;
  const { child, exited } = startProgram(t, code, { options });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (piece: string) => {
    text += piece;
    if (text.includes('89\n')) child.kill('SIGKILL');
  });
  await exited;
  const store = await PartStore.open(options);
  const held = leavesOf(store.held);
  t.ok(held.size >= 85, `${held.size} of 90 blocks`);
  for (const [index, leaf] of held) {
    const start = index * blockSizeBytes;
    if (leaf !== leafOf(contentOf(start, start + blockSizeBytes)))
      t.fail(`block ${index} is wrong`);
  }
  // It is durable after the next checkpoint.
  await store.suspend();
  const again = await PartStore.open(options);
  t.equal(again.held.length, held.size);
  await again.discard();
});

t.test(
  'after kill -9, everything noted is held, and nothing held is wrong',
  { skip },
  async (t) => {
    const blockSizeBytes = 4000;
    const manifest = createFiles([100_000, 1, 0, 300_000, 50_001, ...Array(200).fill(700)]);
    const blockCount = Math.ceil(manifest.contentSizeBytes / blockSizeBytes);
    const dir = t.testdir();
    const options: PartStoreOptions = {
      dir,
      partId,
      manifest,
      blockSizeBytes,
      existing: 'update',
      gatherMs: 0,
    };
    const code = `
    const { blockSizeBytes, manifest } = data.options;
    const store = await PartStore.open(data.options);
    const writeBlock = (index) => {
      const start = index * blockSizeBytes;
      const end = Math.min(start + blockSizeBytes, manifest.contentSizeBytes);
      return store.write(start, contentOf(start, end));
    };
    // Each block in turn, by jumps; again and again, so that the kill finds it at work.
    for (let turn = 0, index = data.seed; ; turn++) {
      const indices = [];
      for (let i = 0; i < 5; i++) indices.push((index = (index + 41) % data.blockCount));
      const going = turn % 3 === 2 ? store.checkpoint() : undefined;
      await Promise.all(indices.map(writeBlock));
      await going;
      if (turn % 2 === 1) {
        await store.checkpoint();
        console.log(JSON.stringify(indices));
      }
    }`;
    let heldCount = 0;
    for (let kill = 1; kill <= 4; kill++) {
      const { child, exited } = startProgram(t, code, { options, blockCount, seed: kill });
      const noted = new Set<number>();
      let text = '';
      child.stdout.setEncoding('utf8').on('data', (piece: string) => {
        text += piece;
        // By count, not by time: what the kill interrupts is left to chance.
        if (text.split('\n').length > 3 * kill + 2) child.kill('SIGKILL');
      });
      const [, signal] = await exited;
      t.equal(signal, 'SIGKILL');
      const lines = text.split('\n').slice(0, -1);
      // A later round may have been rewriting these blocks, but not the last ones.
      for (const index of JSON.parse(lines.at(-1) ?? '[]')) noted.add(index);
      const store = await PartStore.open(options);
      const held = leavesOf(store.held);
      for (const [index, leaf] of held) {
        const start = index * blockSizeBytes;
        const end = Math.min(start + blockSizeBytes, manifest.contentSizeBytes);
        if (leaf !== leafOf(contentOf(start, end))) t.fail(`block ${index} is wrong`);
      }
      t.same(
        [...noted].filter((index) => !held.has(index)),
        [],
        'what was noted last is held',
      );
      t.ok(held.size >= heldCount - 10, 'so is what an earlier process noted');
      heldCount = held.size;
      await store.suspend();
    }
    t.ok(heldCount > 0);
  },
);

t.test(
  'a full disk fails the write and names the file; what was noted remains',
  { skip },
  async (t) => {
    const blockSizeBytes = 10_000;
    const manifest = createFiles([30_000, 200_000]);
    for (const end of ['suspend', 'discard']) {
      const dir = t.testdir();
      const options: PartStoreOptions = {
        dir,
        partId,
        manifest,
        blockSizeBytes,
        existing: 'update',
        gatherMs: 0,
      };
      const code = `
      const store = await PartStore.open(data.options);
      const failures = [];
      for (let start = 0; start < 230_000; start += 10_000) {
        await store.write(start, contentOf(start, start + 10_000)).catch((error) => failures.push(error));
      }
      await store.checkpoint();
      await store.${end}();
      const [{ code, message }] = failures;
      console.log(JSON.stringify({ count: failures.length, code, message }));`;
      const { child, exited } = startProgram(t, code, { options }, 64);
      let text = '';
      child.stdout.setEncoding('utf8').on('data', (piece: string) => {
        text += piece;
      });
      const [exitCode] = await exited;
      t.equal(exitCode, 0);
      t.match(JSON.parse(text), {
        count: 14,
        code: 'TARGET_FAILED',
        message: `${join(dir, 'f1')}: the file exceeds the size limit; raise the limit or use another disk`,
      });
      const store = await PartStore.open(options);
      t.same(
        store.held.map(({ index }) => index),
        end === 'discard' ? [] : [0, 1, 2, 3, 4, 5, 6, 7, 8],
      );
      await store.discard();
      t.same(readdirSync(dir), []);
    }
  },
);

/** One step in the life of a part. */
const step = fc.oneof(
  fc.record({
    kind: fc.constant('write' as const),
    start: fc.nat({ max: 119 }),
    sizeBytes: fc.integer({ min: 1, max: 60 }),
    isBad: fc.boolean(),
  }),
  fc.record({ kind: fc.constant('forget' as const), place: fc.nat({ max: 119 }) }),
  fc.record({ kind: fc.constant('checkpoint' as const), isAwaited: fc.boolean() }),
  fc.record({
    kind: fc.constant('reopen' as const),
    blockSizeBytes: fc.integer({ min: 1, max: 50 }),
  }),
);

const life = fc.record({
  sizesBytes: fc.array(fc.nat({ max: 30 }), { minLength: 1, maxLength: 8 }),
  /** The files that exist before: right, wrong, or of another size. */
  before: fc.array(fc.constantFrom('none', 'right', 'wrong', 'longer'), { maxLength: 8 }),
  existing: fc.constantFrom('update' as const, 'overwrite' as const, 'keep' as const),
  maxOpenFiles: fc.integer({ min: 1, max: 4 }),
  blockSizeBytes: fc.integer({ min: 1, max: 50 }),
  steps: fc.array(step, { maxLength: 25 }),
});

/** The expected bytes of a part; undefined where it has none. */
class Model {
  private bytes: (number | undefined)[];
  private readonly isKept: boolean[];

  constructor(
    sizesBytes: readonly number[],
    before: readonly (Uint8Array | undefined)[],
    existing: string,
  ) {
    const files = sizesBytes.map((sizeBytes, i) => ({ sizeBytes, old: before[i] }));
    this.isKept = files.flatMap(({ sizeBytes, old }) =>
      Array<boolean>(sizeBytes).fill(existing === 'keep' && old !== undefined),
    );
    this.bytes = files.flatMap(({ sizeBytes, old }) => {
      const isHeld = existing === 'update' && old?.length === sizeBytes;
      return isHeld ? [...old] : Array<undefined>(sizeBytes).fill(undefined);
    });
  }

  get sizeBytes(): number {
    return this.bytes.length;
  }

  get missing(): number[] {
    return [...this.bytes.keys()].filter((i) => !this.isKept[i] && this.bytes[i] === undefined);
  }

  set(start: number, bytes: readonly (number | undefined)[]): void {
    bytes.forEach((byte, i) => {
      if (!this.isKept[start + i]) this.bytes[start + i] = byte;
    });
  }

  held(blockSizeBytes: number): Map<number, string> {
    const held = new Map<number, string>();
    for (let start = 0; start < this.bytes.length; start += blockSizeBytes) {
      const block = this.bytes.slice(start, start + blockSizeBytes);
      if (block.some((byte) => byte === undefined)) continue;
      held.set(start / blockSizeBytes, leafOf(Buffer.from(block as number[])));
    }
    return held;
  }

  get wrong(): number[] {
    return [...this.bytes.keys()].filter((i) => !this.isKept[i] && this.bytes[i] !== byteAt(i));
  }
}

t.test(
  'after any sequence of operations, a part holds what was written and completes as the object',
  async (t) => {
    const root = t.testdir();
    const property = fc.asyncProperty(
      life,
      async ({ sizesBytes, before, existing, steps, ...rest }) => {
        const dir = mkdtempSync(join(root, 'life-'));
        const manifest = createFiles(sizesBytes);
        const right = filesOf(sizesBytes);
        const old = right.map((bytes, i) => {
          if ((before[i] ?? 'none') === 'none') return undefined;
          if (before[i] === 'longer') return Buffer.concat([bytes, Buffer.of(1)]);
          return before[i] === 'wrong' ? bytes.map((byte) => byte ^ 255) : bytes;
        });
        old.forEach((bytes, i) => {
          if (bytes !== undefined) writeFileSync(join(dir, `f${i}`), bytes);
        });
        const model = new Model(sizesBytes, old, existing);
        let { blockSizeBytes } = rest;
        const { maxOpenFiles } = rest;
        const open = async () => {
          // Each write is awaited; gathering them would take too long.
          const pace = { fileBudget: new FileBudget(maxOpenFiles), gatherMs: 0 };
          const options = { dir, partId, manifest, blockSizeBytes, existing, ...pace };
          const store = await PartStore.open(options);
          const held = leavesOf(store.held);
          const expected = model.held(blockSizeBytes);
          if (JSON.stringify([...held]) !== JSON.stringify([...expected])) {
            throw new Error(
              `holds ${[...held.keys()]}, not ${[...expected.keys()]}, or other bytes`,
            );
          }
          return store;
        };
        let store = await open();
        const going: Promise<void>[] = [];
        for (const next of steps) {
          if (next.kind === 'write') {
            const end = Math.min(next.start + next.sizeBytes, model.sizeBytes);
            if (next.start >= end) continue;
            const bytes = contentOf(next.start, end).map((byte) => (next.isBad ? byte ^ 85 : byte));
            await store.write(next.start, bytes);
            model.set(next.start, [...bytes]);
          } else if (next.kind === 'forget') {
            const index = Math.floor(next.place / blockSizeBytes);
            const start = index * blockSizeBytes;
            if (start >= model.sizeBytes) continue;
            const end = Math.min(start + blockSizeBytes, model.sizeBytes);
            await store.forget(index);
            model.set(start, Array<undefined>(end - start).fill(undefined));
          } else if (next.kind === 'checkpoint') {
            going.push(store.checkpoint());
            if (next.isAwaited) await going.at(-1);
          } else {
            // A candidate that was not rewritten is read again, whatever the journal forgot.
            if (existing === 'update') await mendCandidates(store, model);
            await store.suspend();
            blockSizeBytes = next.blockSizeBytes;
            store = await open();
          }
        }
        await Promise.all(going);
        for (const at of new Set([...model.missing, ...model.wrong])) {
          await store.write(at, contentOf(at, at + 1));
        }
        await store.finish();
        right.forEach((bytes, i) => {
          const expected = existing === 'keep' ? (old[i] ?? bytes) : bytes;
          const found = readFileSync(join(dir, `f${i}`));
          if (!found.equals(expected)) throw new Error(`f${i} is ${found.toString('hex')}`);
        });
        if (readdirSync(dir).length !== sizesBytes.length)
          throw new Error('something was left over');
        rmSync(dir, { recursive: true });
      },
    );
    await fc.assert(property, { seed: 1, numRuns: 75 });
    t.ok(statSync(root).isDirectory());
  },
);

function filesOf(sizesBytes: readonly number[]): Buffer[] {
  let start = 0;
  return sizesBytes.map((sizeBytes) => {
    start += sizeBytes;
    return contentOf(start - sizeBytes, start);
  });
}

/** Writes what is missing, so that no candidate still differs. */
async function mendCandidates(store: PartStore, model: Model): Promise<void> {
  for (const at of model.missing) {
    await store.write(at, contentOf(at, at + 1));
    model.set(at, [byteAt(at)]);
  }
}
