/** A malicious trusted sender chooses modes: it must not widen permissions at the receiver. */
import { randomBytes } from 'node:crypto';
import { chmodSync, lstatSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { PartStore } from '../../src/node/disk/parts/part-store.js';
import type { PartStoreOptions } from '../../src/node/disk/parts/part-store-options.js';
import { fileModeFor } from '../../src/node/disk/store/kept-modes.js';
import type { Entry } from '../../src/object/manifest.js';
import { createManifest } from '../../src/object/manifest.js';
import { SessionHost, sendTo } from '../support/session-host.js';

const skip = process.platform === 'win32';
const partId = '5e'.repeat(32);
const sizeBytes = 30;
const content = randomBytes(sizeBytes);

function file(name: string, mode: number): Entry {
  return { kind: 'file', name, mode, modifiedMs: 1000, sizeBytes };
}

function folder(name: string, mode: number): Entry {
  return { kind: 'folder', name, mode, modifiedMs: 1000 };
}

function modeOf(...names: string[]): string {
  return (lstatSync(join(...names)).mode & 0o7777).toString(8);
}

/** @param meanwhile called before the files get their names */
async function place(
  dir: string,
  entries: readonly Entry[],
  options: Partial<PartStoreOptions> = {},
  meanwhile: () => void = () => undefined,
): Promise<void> {
  const manifest = createManifest(entries);
  const store = await PartStore.open({
    ...{ dir, partId, manifest, blockSizeBytes: 10, existing: 'update', ...options },
  });
  for (let start = 0; start < manifest.contentSizeBytes; start += sizeBytes) {
    await store.write(start, content);
  }
  meanwhile();
  try {
    await store.finish();
  } finally {
    await store.suspend();
  }
}

function makePrivate(dir: string): string {
  mkdirSync(join(dir, 'private/deep'), { recursive: true });
  writeFileSync(join(dir, 'private/key'), 'secret');
  writeFileSync(join(dir, 'private/deep/same'), content);
  for (const name of ['private', 'private/deep']) chmodSync(join(dir, name), 0o700);
  for (const name of ['private/key', 'private/deep/same']) chmodSync(join(dir, name), 0o600);
  return dir;
}

t.test('existing folders and files keep their modes', { skip }, async (t) => {
  const entries = [
    folder('private', 0o777),
    file('private/key', 0o666),
    folder('private/deep', 0o777),
    file('private/deep/same', 0o777),
    folder('private/new', 0o751),
    file('private/new/tool', 0o755),
  ];
  for (const existing of ['update', 'overwrite', 'keep'] as const) {
    const dir = makePrivate(t.testdir());
    await place(dir, entries, { existing });
    for (const name of ['private', 'private/deep']) {
      t.equal(modeOf(dir, name), '700', `${existing}: ${name}`);
    }
    for (const name of ['private/key', 'private/deep/same']) {
      t.equal(modeOf(dir, name), '600', `${existing}: ${name}`);
    }
    if (existing !== 'keep') t.ok(readFileSync(join(dir, 'private/key')).equals(content));
    t.equal(modeOf(dir, 'private/new'), '751', 'a new folder gets the mode of the sender');
    t.equal(modeOf(dir, 'private/new/tool'), '755');
  }
});

t.test('with updatesModes, they get the permission bits of the sender', { skip }, async (t) => {
  const entries = [folder('private', 0o755), file('private/key', 0o640)];
  const dir = makePrivate(t.testdir());
  await place(dir, entries, { updatesModes: true });
  t.equal(modeOf(dir, 'private'), '755');
  t.equal(modeOf(dir, 'private/key'), '640');
  chmodSync(join(dir, 'private'), 0o700);
  await place(dir, entries, { updatesModes: true, existing: 'keep' });
  t.equal(modeOf(dir, 'private'), '700', "but not with existing: 'keep'");
});

t.test('a replaced file does not become executable, and loses setuid', { skip }, async (t) => {
  const dir = t.testdir({ plain: 'text', tool: 'program', target: '' });
  chmodSync(join(dir, 'plain'), 0o644);
  chmodSync(join(dir, 'tool'), 0o4755);
  symlinkSync('target', join(dir, 'link'));
  await place(dir, [file('plain', 0o755), file('tool', 0o644), file('link', 0o640)]);
  t.equal(modeOf(dir, 'plain'), '644');
  t.equal(modeOf(dir, 'tool'), '755');
  t.equal(modeOf(dir, 'link'), '640', 'a link has no mode to keep');
});

t.test('modes that are narrowed during the transfer stay narrowed', { skip }, async (t) => {
  const dir = t.testdir({ d: { f: 'old' } });
  for (const [name, mode] of [
    ['d', 0o755],
    ['d/f', 0o644],
  ] as const) {
    chmodSync(join(dir, name), mode);
  }
  await place(dir, [folder('d', 0o777), file('d/f', 0o666), file('g', 0o666)], {}, () => {
    chmodSync(join(dir, 'd'), 0o700);
    chmodSync(join(dir, 'd/f'), 0o600);
    writeFileSync(join(dir, 'g'), 'appeared', { mode: 0o600 });
  });
  t.equal(modeOf(dir, 'd'), '700');
  t.equal(modeOf(dir, 'd/f'), '600');
  t.equal(modeOf(dir, 'g'), '600');
});

t.test(
  'a folder that is temporarily writable gets its mode back after a failure',
  { skip },
  async (t) => {
    const dir = t.testdir({ d: {} });
    chmodSync(join(dir, 'd'), 0o500);
    const entries = [folder('d', 0o777), folder('d/e', 0o550), file('f', 0o644)];
    const failing = place(dir, entries, {}, () => mkdirSync(join(dir, 'f')));
    await t.rejects(failing, { code: 'TARGET_FAILED' });
    t.equal(modeOf(dir, 'd'), '500');
    t.equal(modeOf(dir, 'd/e'), '550');
  },
);

t.test(
  'a new group gets only permissions that both the old group and others had',
  { skip },
  (t) => {
    const entry = { kind: 'file', name: 'f', mode: 0o777, modifiedMs: 0, sizeBytes: 0 } as const;
    const mode = (old: number, gid: number) => {
      const stats = { mode: 0o100000 | old, uid: 5, gid: 7, isSymbolicLink: () => false };
      return fileModeFor(entry, stats, { uid: 5, gid }).toString(8);
    };
    t.equal(mode(0o660, 7), '660');
    t.equal(mode(0o660, 8), '600');
    t.equal(mode(0o664, 8), '644');
    t.equal(mode(0o607, 8), '600');
    t.end();
  },
);

t.test(
  "replacing another user's file grants no more than the mode of the sender",
  { skip },
  (t) => {
    const mode = (sent: number, old: number, gid = 7) => {
      const entry = { kind: 'file', name: 'f', mode: sent, modifiedMs: 0, sizeBytes: 0 } as const;
      const stats = { mode: 0o100000 | old, uid: 5, gid: 7, isSymbolicLink: () => false };
      return fileModeFor(entry, stats, { uid: 6, gid }).toString(8);
    };
    t.equal(mode(0o600, 0o666), '600');
    t.equal(mode(0o640, 0o666), '640');
    t.equal(mode(0o644, 0o640), '640', 'and no more than before');
    t.equal(mode(0o640, 0o666, 8), '640', 'also with another group');
    t.equal(mode(0o664, 0o604, 8), '600');
    t.end();
  },
);

t.test(
  'an object with a world-writable folder does not open a folder of the receiver',
  { skip },
  async (t) => {
    const folders = t.testdir({ sent: { private: {} }, received: { private: { key: 'secret' } } });
    const sent = join(folders, 'sent/private');
    const received = join(folders, 'received/private');
    chmodSync(sent, 0o777);
    for (const updatesModes of [false, true]) {
      chmodSync(received, 0o700);
      const host = await SessionHost.open(t, join(folders, 'received'), { updatesModes });
      const { receivers } = await sendTo([host], [sent]);
      t.equal(receivers[0]?.status, 'complete');
      t.equal(modeOf(received), updatesModes ? '777' : '700');
    }
  },
);
