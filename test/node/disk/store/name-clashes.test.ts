/**
 * Names that are distinct on one disk and equal on another: detected on the disk itself, and
 * refused naming both.
 */
import { existsSync, linkSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { openPart } from '../../../../src/node/disk/parts/open-part.js';
import { PartStore } from '../../../../src/node/disk/parts/part-store.js';
import { ContentLayout } from '../../../../src/node/disk/store/content-layout.js';
import { surveyTarget } from '../../../../src/node/disk/store/existing-files.js';
import { refuseClashes } from '../../../../src/node/disk/store/name-clashes.js';
import { placeEntries } from '../../../../src/node/disk/store/place-entries.js';
import { prepareFiles } from '../../../../src/node/disk/store/prepare-files.js';
import { TargetFolder } from '../../../../src/node/disk/store/target-folder.js';
import type { Entry } from '../../../../src/object/manifest.js';
import { createManifest } from '../../../../src/object/manifest.js';

const file = (name: string): Entry => ({
  kind: 'file',
  name,
  mode: 0o644,
  modifiedMs: 1000,
  sizeBytes: 0,
});
const folder = (name: string): Entry => ({ kind: 'folder', name, mode: 0o755, modifiedMs: 1000 });
const link = (name: string): Entry => ({ kind: 'link', name, target: 'x' });

/** A folder that folds names as such a disk does, on any disk that the tests run on. */
async function openAs(t: Test, fold: (name: string) => string): Promise<TargetFolder> {
  const target = await TargetFolder.open(t.testdir());
  mkdirSync(join(target.root, '.p2mp-part'));
  return Object.assign(Object.create(target), {
    path: (name: string) => join(target.root, fold(name)),
  });
}

const disks = {
  /** As on macOS: neither case nor normalization counts. */
  foldsAll: (name: string) => name.normalize('NFD').toLowerCase(),
  /** As APFS can be formatted: case counts, normalization does not. */
  foldsForm: (name: string) => name.normalize('NFD'),
  /** As FAT and Windows do: trailing dots and spaces do not count. */
  dropsDots: (name: string) => name.replace(/[. ]+(?=\/|$)/g, ''),
  foldsNothing: (name: string) => name,
};

const composed = 'caf\u00e9';
const decomposed = 'cafe\u0301';

t.test(
  'two names that the disk folds to one are refused naming both, before anything is written',
  async (t) => {
    const clashes: [disk: keyof typeof disks, entries: Entry[], first: string, second: string][] = [
      ['foldsAll', [file('a'), file('Readme'), file('README')], 'Readme', 'README'],
      ['foldsAll', [folder('A'), file('A/x'), folder('a'), file('a/x')], 'A', 'a'],
      ['foldsAll', [folder('d'), file('d/F'), link('d/f')], 'd/F', 'd/f'],
      [
        'foldsAll',
        [file(composed), file(decomposed.toUpperCase())],
        composed,
        decomposed.toUpperCase(),
      ],
      ['foldsForm', [file(composed), file(decomposed)], composed, decomposed],
      ['dropsDots', [file('a'), file('a.')], 'a', 'a.'],
      ['dropsDots', [folder('b'), file('b/x'), folder('b .')], 'b', 'b .'],
    ];
    for (const [disk, entries, first, second] of clashes) {
      const target = await openAs(t, disks[disk]);
      await t.rejects(refuseClashes(target, createManifest(entries)), {
        code: 'TARGET_UNWRITABLE',
        message: `${join(target.name, first)} and ${join(target.name, second)} are the same name on this disk; rename one at the sender, or choose a folder on a disk that distinguishes them`,
      });
      t.same(readdirSync(join(target.root, '.p2mp-part')), [], 'no probe file is left');
    }
  },
);

t.test('names that the disk distinguishes are accepted', async (t) => {
  const all = [file('Readme'), file('README'), folder('A'), file('A/x'), folder('a'), file('a/x')];
  await refuseClashes(await openAs(t, disks.foldsNothing), createManifest(all));
  await refuseClashes(await openAs(t, disks.foldsForm), createManifest(all));
  // No disk folds these names to one; only the coarse key does.
  const coarse = [file('stra\u00dfe'), file('STRASSE'), file('\ufb01x'), file('fix')];
  await refuseClashes(await openAs(t, disks.foldsAll), createManifest(coarse));
  t.pass();
});

t.test("the probe's answer for the disk of the tests is used", async (t) => {
  const dir = t.testdir({ probe: '' });
  const isOneName = existsSync(join(dir, 'PROBE'));
  const store = PartStore.open({
    dir,
    partId: 'ab'.repeat(32),
    manifest: createManifest([file('x'), file('X')]),
    blockSizeBytes: 100,
    existing: 'update',
  });
  if (isOneName) await t.rejects(store, { message: /x and .*X are the same name on this disk/ });
  else {
    await (await store).finish();
    t.same(readdirSync(dir).sort(), ['X', 'probe', 'x']);
  }
});

t.test('names that fold to the folder of parts are reserved too', async (t) => {
  // Windows creates short names, and older macOS disks ignore invisible characters.
  const target = await openAs(t, (name) =>
    name.replace(/^(P2MP-P~1|\.p2mp\u200c-part)/, '.p2mp-part'),
  );
  writeFileSync(join(target.root, 'other'), '');
  for (const name of ['P2MP-P~1', '.p2mp\u200c-part']) {
    for (const entries of [[folder(name)], [folder(name), file(`${name}/f`)], [file(name)]]) {
      const manifest = createManifest(entries);
      await t.rejects(
        surveyTarget(target, manifest, await ContentLayout.create(manifest), 'update', undefined),
        {
          code: 'TARGET_UNWRITABLE',
          message: /: (this name is reserved for unfinished transfers|is a folder); /,
        },
      );
    }
  }
});

/** Stores an object on a disk that folds names which the check does not suspect: short names. */
async function place(
  t: Test,
  entries: readonly Entry[],
  existing: 'update' | 'keep',
  begin: (root: string) => void = () => undefined,
) {
  const part = await openPart({
    dir: t.testdir({ linked: 'old' }),
    partId: 'ab'.repeat(32),
    manifest: createManifest(entries),
    blockSizeBytes: 100,
    existing,
  });
  t.teardown(async () => {
    await part.openFiles.closeAll();
    await part.journal.close();
    await part.lock.release();
  });
  const { root } = part.target;
  linkSync(join(root, 'linked'), join(root, 'twin'));
  begin(root);
  const target = Object.assign(Object.create(part.target), {
    path: (name: string) => join(root, name.replace('LONGNA~1', 'long name')),
  });
  const placing = { ...part, target };
  await prepareFiles(placing);
  await placeEntries(placing);
  return root;
}

t.test('an entry that would replace another one of the object ends the session', async (t) => {
  const cases: Record<string, Entry[]> = {
    files: [file('LONGNA~1'), file('long name')],
    folders: [folder('LONGNA~1'), folder('long name')],
    links: [link('LONGNA~1'), link('long name')],
    'files in folders': [
      ...[folder('LONGNA~1'), file('LONGNA~1/f')],
      ...[folder('long name'), file('long name/f')],
    ],
    'a link and a file': [link('LONGNA~1'), file('long name')],
  };
  for (const [what, entries] of Object.entries(cases)) {
    for (const existing of ['update', 'keep'] as const) {
      await t.rejects(
        place(t, entries, existing),
        { code: 'TARGET_FAILED', message: /are the same name on this disk/ },
        `${what}, ${existing}`,
      );
    }
  }
});

t.test('an entry does not replace a link that was right before either', async (t) => {
  const entries = [link('LONGNA~1'), { ...link('long name'), target: 'y' } as Entry];
  const isThere = (root: string) => symlinkSync('x', join(root, 'long name'));
  await t.rejects(place(t, entries, 'update', isThere), {
    message: /are the same name on this disk/,
  });
});

t.test('a file with two names is no clash', async (t) => {
  const root = await place(t, [file('linked'), file('twin'), file('x')], 'update');
  t.same(readdirSync(root).sort(), ['.p2mp-part', 'linked', 'twin', 'x']);
});
