/** The store of a session answers while its part is still being opened, if nothing of the object is there. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { isNothingThere } from '../../../../src/node/disk/parts/nothing-there.js';
import { PartStore } from '../../../../src/node/disk/parts/part-store.js';
import type { PartStoreOptions } from '../../../../src/node/disk/parts/part-store-options.js';
import { SessionPart } from '../../../../src/node/disk/parts/session-part.js';
import type { FoundContent } from '../../../../src/object/content-store.js';
import { createManifest } from '../../../../src/object/manifest.js';

const blockSizeBytes = 10;
const partId = '6f'.repeat(32);
const manifest = createManifest([
  { kind: 'file', name: 'a', sizeBytes: 20, mode: 0o644, modifiedMs: 1e12 },
]);

function optionsFor(dir: string, more: Partial<PartStoreOptions> = {}): PartStoreOptions {
  return { dir, partId, manifest, blockSizeBytes, existing: 'update', ...more };
}

/** A store whose part opens when the returned promise is resolved. */
function openLater(options: PartStoreOptions) {
  let begin: () => void = () => undefined;
  const begun = new Promise<void>((resolve) => {
    begin = resolve;
  });
  const failures: unknown[] = [];
  const part = new SessionPart({
    request: {
      ...{ manifestDigest: partId, label: '', senderKey: new Uint8Array(0), session: 0, manifest },
      ...{ blockSizeBytes, existing: 'update', deletion: 'none', listedAtMs: 0 },
    },
    openPart: async (_signal, handleNothing) => {
      if (await isNothingThere(options)) handleNothing();
      await begun;
      return PartStore.open(options);
    },
    handleFailure: (error) => failures.push(error),
    handleBadBlock: () => undefined,
    handleEnd: () => undefined,
  });
  const found = new Promise<FoundContent>((resolve) => part.open(resolve));
  return { part, found, begin, failures };
}

t.test('blocks that arrive while the part is being opened are stored', async (t) => {
  const dir = t.testdir();
  const { part, found, begin, failures } = openLater(optionsFor(dir));
  t.match(await found, { held: [], kept: [], unchangedFiles: 0 });
  const written = new Promise<void>((resolve) => part.write(0, Buffer.alloc(20, 'x'), resolve));
  begin();
  await written;
  await new Promise((resolve) => part.verify(() => new Uint8Array(32), resolve));
  await new Promise((resolve) => part.complete([], resolve));
  part.end(true);
  await part.done;
  t.same(failures, []);
  t.equal(readFileSync(join(dir, 'a'), 'utf8'), 'x'.repeat(20));
});

t.test('an error of the disk comes after the answer', async (t) => {
  const dir = t.testdir();
  const { part, found, begin, failures } = openLater(optionsFor(dir));
  await found;
  mkdirSync(join(dir, 'a'));
  begin();
  while (failures.length === 0) await new Promise(setImmediate);
  t.match(failures, [{ code: 'TARGET_UNWRITABLE' }]);
  part.end(false);
  await part.done;
});

t.test('a file to keep that appears in the meantime is an error', async (t) => {
  const dir = t.testdir();
  const { part, found, begin, failures } = openLater(optionsFor(dir, { existing: 'keep' }));
  await found;
  writeFileSync(join(dir, 'a'), 'mine');
  begin();
  while (failures.length === 0) await new Promise(setImmediate);
  t.match(failures, [{ code: 'TARGET_FAILED', message: /have appeared in the meantime/ }]);
  part.end(false);
  await part.done;
  t.equal(readFileSync(join(dir, 'a'), 'utf8'), 'mine');
});

t.test('what may be of use is looked at closely', async (t) => {
  const isNew = (t: Test, files: Parameters<Test['testdir']>[0], more = {}) =>
    isNothingThere(optionsFor(t.testdir(files), more));
  t.ok(await isNew(t, {}));
  t.ok(await isNothingThere(optionsFor(join(t.testdirName, 'missing'))));
  t.notOk(await isNew(t, { a: 'older' }), 'a file of this name');
  t.notOk(await isNew(t, { '.p2mp-part': { [partId]: {} } }), 'a part');
  t.notOk(await isNew(t, {}, { earlierId: '5e'.repeat(32) }), 'a part of an older version');
  t.notOk(await isNew(t, {}, { listsExtras: true }), 'what the sender does not send');
});
