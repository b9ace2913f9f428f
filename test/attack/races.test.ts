/**
 * A local user who can write to the target folder replaces entries during a transfer: nothing
 * outside of the folder is read or modified, and another user's file does not widen the mode of a
 * received one.
 */
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { identityOf } from '../../src/node/disk/fsync.js';
import { PartFiles } from '../../src/node/disk/parts/part-files.js';
import { PartStore } from '../../src/node/disk/parts/part-store.js';
import { ContentLayout } from '../../src/node/disk/store/content-layout.js';
import { FileBudget } from '../../src/node/disk/store/file-budget.js';
import { OpenFiles } from '../../src/node/disk/store/open-files.js';
import { TargetFolder } from '../../src/node/disk/store/target-folder.js';
import type { Entry } from '../../src/object/manifest.js';
import { createManifest } from '../../src/object/manifest.js';
import { momentDuring } from '../support/meanwhile.js';

const noRoot = process.getuid?.() !== 0 && 'only root can change the owner of files';
const skip = process.platform === 'win32' && 'Windows requires privileges for links';
/** Entries of each kind: enough for the process to yield in between. */
const count = 300;
const numbers = Array.from({ length: count }, (_, i) => i);
const modifiedMs = 1_000_000;

const folder = (name: string, mode = 0o755): Entry => ({ kind: 'folder', name, mode, modifiedMs });
const file = (name: string, sizeBytes = 1): Entry => ({
  ...({ kind: 'file', name, mode: 0o644, modifiedMs, sizeBytes } as const),
});

function createPlace(t: Test) {
  const root = t.testdir({ dir: {}, outside: {} });
  const [dir, outside] = [join(root, 'dir'), join(root, 'outside')];
  /** Replaces a folder by a link. */
  const exchange = () => {
    renameSync(join(dir, 'a'), join(dir, 'moved'));
    symlinkSync(outside, join(dir, 'a'));
  };
  return { dir, outside, exchange };
}

/** Receives files of one byte, and exchanges folders once `isTime`. @returns how it ended */
async function receive(
  { dir, exchange }: ReturnType<typeof createPlace>,
  entries: readonly Entry[],
  isTime: () => boolean,
): Promise<string> {
  const partId = '7a'.repeat(32);
  const store = await PartStore.open({
    ...{ dir, partId, manifest: createManifest(entries), blockSizeBytes: 1 },
    ...{ existing: 'update', gatherMs: 0 },
  });
  const fileCount = entries.filter(({ kind }) => kind === 'file').length;
  for (let i = 0; i < fileCount; i++) await store.write(i, Uint8Array.of(1));
  const finishing = store.finish().then(
    () => 'whole',
    (error: Error) => error.message,
  );
  await momentDuring(finishing, isTime);
  exchange();
  const end = await finishing;
  if (end !== 'whole') await store.discard();
  return end;
}

function modeOf(path: string): string {
  return (statSync(path).mode & 0o777).toString(8);
}

t.test('after a failure, the mode of a folder outside does not change', { skip }, async (t) => {
  const place = createPlace(t);
  const outer = join(place.outside, 'b');
  mkdirSync(outer, { mode: 0o700 });
  const entries = [folder('a'), folder('a/b', 0o577), ...numbers.map((i) => file(`a/${i}`))];
  const end = await receive(place, entries, () => existsSync(join(place.dir, 'a/0')));
  t.match(end, 'is a symbolic link');
  t.equal(modeOf(outer), '700');
});

t.test('on completion, mode and time of a folder outside do not change', { skip }, async (t) => {
  const place = createPlace(t);
  const { dir, outside, exchange } = place;
  mkdirSync(join(outside, 'b'), { mode: 0o700 });
  const { useOnce } = OpenFiles.prototype;
  t.teardown(() => {
    OpenFiles.prototype.useOnce = useOnce;
  });
  OpenFiles.prototype.useOnce = function exchanged(open, work) {
    // Exchanged only while the folder is opened, and restored after that.
    const openExchanged = async () => {
      if (!existsSync(join(dir, 'a/b'))) return open();
      exchange();
      try {
        return await open();
      } finally {
        rmSync(join(dir, 'a'));
        renameSync(join(dir, 'moved'), join(dir, 'a'));
      }
    };
    return useOnce.call(this, openExchanged, work) as never;
  };
  const end = await receive(
    { ...place, exchange: () => undefined },
    [folder('a'), folder('a/b', 0o777)],
    () => true,
  );
  t.match(end, 'a/b: was replaced during the transfer; send again');
  const { mode, mtimeMs } = statSync(join(outside, 'b'));
  t.equal((mode & 0o777).toString(8), '700');
  t.not(mtimeMs, modifiedMs);
});

t.test(
  "another user's file does not widen the mode of its replacement",
  { skip: noRoot },
  async (t) => {
    const place = createPlace(t);
    const path = join(place.dir, 'f');
    writeFileSync(path, '');
    chownSync(path, 1000, 1000);
    chmodSync(path, 0o666);
    const secret = { ...file('f'), mode: 0o600 } as Entry;
    const nothing = () => undefined;
    t.equal(await receive({ ...place, exchange: nothing }, [secret], () => true), 'whole');
    t.equal(modeOf(path), '600');
  },
);

/** Replaces a file by a link just before an open, and restores it just after. */
class ExchangedFiles extends OpenFiles {
  constructor(
    private readonly path: string,
    private readonly secret: string,
  ) {
    super(new FileBudget(4));
  }

  override async withRoom<T>(work: () => Promise<T>): Promise<T> {
    const away = `${this.path}.away`;
    renameSync(this.path, away);
    symlinkSync(this.secret, this.path);
    try {
      return await super.withRoom(work);
    } finally {
      rmSync(this.path);
      renameSync(away, this.path);
    }
  }
}

for (const makesHoles of [false, true]) {
  const name = `a reused file is never another one, ${makesHoles ? 'with' : 'without'} holes`;
  t.test(name, { skip }, async (t) => {
    const { dir, outside } = createPlace(t);
    const [path, secret] = [join(dir, 'f'), join(outside, 'secret')];
    writeFileSync(path, 'received');
    writeFileSync(secret, 'a secret');
    const part = join(outside, 'part');
    mkdirSync(part);
    const layout = await ContentLayout.create(createManifest([file('f', 8)]));
    const [content] = layout.files;
    if (content === undefined) throw new Error('one file');
    const identity = identityOf(statSync(path, { bigint: true }));
    const places = [{ kind: 'candidate', identity, isShared: false } as const];
    const take = async (openFiles: OpenFiles) => {
      const target = await TargetFolder.open(dir);
      const files = new PartFiles(layout, target, part, openFiles, [...places], [], makesHoles);
      await files.copyCandidate(content);
    };
    await t.rejects(take(new ExchangedFiles(path, secret)), /changed while it was being compared/);
    t.notOk(existsSync(join(part, '0')), 'no byte of it was read');
    await take(new OpenFiles(new FileBudget(4)));
    t.equal(readFileSync(join(part, '0'), 'utf8'), 'received');
    chmodSync(join(part, '0'), 0o600);
  });
}
