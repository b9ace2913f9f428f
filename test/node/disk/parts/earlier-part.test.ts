/** What an unfinished part of an older version of an object is good for. */
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { PartStore } from '../../../../src/node/disk/parts/part-store.js';
import type { PartStoreOptions } from '../../../../src/node/disk/parts/part-store-options.js';
import { hashLeaf } from '../../../../src/object/hash-tree.js';
import { createManifest } from '../../../../src/object/manifest.js';

const blockSizeBytes = 10;
const earlierId = '5e'.repeat(32);
const partId = '6f'.repeat(32);
const content = randomBytes(100);

function leafOf(block: Uint8Array): string {
  const hash = (...parts: readonly Uint8Array[]) =>
    parts.reduce((sum, part) => sum.update(part), createHash('sha256')).digest();
  return Buffer.from(hashLeaf(hash, block)).toString('hex');
}

function open(dir: string, sizes: readonly number[], options: Partial<PartStoreOptions>) {
  const entries = sizes.map((sizeBytes, i) => {
    return { kind: 'file', name: `f${i}`, sizeBytes, mode: 0o644, modifiedMs: 1e12 } as const;
  });
  const manifest = createManifest(entries);
  return PartStore.open({ dir, partId, manifest, blockSizeBytes, existing: 'update', ...options });
}

/** Leaves an unfinished part of an older version, of which the blocks 0 to 5 have arrived. */
async function leaveEarlier(dir: string, sizes = [100]): Promise<PartStore> {
  const store = await open(dir, sizes, { partId: earlierId });
  await store.write(0, content.subarray(0, 60));
  return store;
}

const earlierPart = (dir: string) => join(dir, '.p2mp-part', earlierId);

t.test('the new version continues with its blocks, whatever its size', async (t) => {
  for (const sizeBytes of [100, 35, 200]) {
    const dir = t.testdir();
    await (await leaveEarlier(dir)).suspend();
    const store = await open(dir, [sizeBytes], { earlierId });
    const blockCount = Math.min(6, Math.floor(sizeBytes / blockSizeBytes));
    t.strictSame(
      store.held.slice(0, blockCount).map(({ leaf }) => Buffer.from(leaf).toString('hex')),
      Array.from({ length: blockCount }, (_, i) =>
        leafOf(content.subarray(i * blockSizeBytes, (i + 1) * blockSizeBytes)),
      ),
    );
    t.notOk(existsSync(earlierPart(dir)));
    // A block that differs is written again, as any other.
    await store.forget(1);
    const fresh = Buffer.concat([content, content]).subarray(0, sizeBytes);
    fresh.fill(7, 10, 20);
    await store.write(10, fresh.subarray(10, 20));
    if (sizeBytes > 60) await store.write(60, fresh.subarray(60));
    await store.finish();
    t.ok(readFileSync(join(dir, 'f0')).equals(fresh), `${sizeBytes} bytes`);
  }
});

t.test('a part that a process is receiving stays as it is', async (t) => {
  const dir = t.testdir();
  const earlier = await leaveEarlier(dir);
  const store = await open(dir, [100], { earlierId });
  t.strictSame(store.held, []);
  t.ok(existsSync(earlierPart(dir)));
  await store.discard();
  await earlier.discard();
});

t.test('what is of more use is preferred', async (t) => {
  const dir = t.testdir();
  await (await leaveEarlier(dir)).suspend();
  const own = await open(dir, [100], {});
  await own.write(0, content.subarray(0, 20));
  await own.suspend();
  const resumed = await open(dir, [100], { earlierId });
  t.equal(resumed.held.length, 2, 'its own part');
  await resumed.discard();
  writeFileSync(join(dir, 'f0'), content);
  const compared = await open(dir, [100], { earlierId });
  t.equal(compared.held.length, 10, 'the file of an older version');
  await compared.discard();
  t.ok(existsSync(earlierPart(dir)));
});

t.test('parts of several files, damaged ones and missing ones are not taken over', async (t) => {
  const several = t.testdir();
  await (await leaveEarlier(several)).suspend();
  const many = await open(several, [50, 50], { earlierId });
  t.strictSame(many.held, []);
  await many.discard();
  writeFileSync(join(earlierPart(several), 'journal'), 'something else');
  for (const id of [earlierId, '70'.repeat(32)]) {
    const store = await open(several, [100], { earlierId: id });
    t.strictSame(store.held, []);
    await store.discard();
  }
});
