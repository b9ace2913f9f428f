/** Disks mounted below the target folder: files cannot be renamed from one disk to another. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { SessionHost, sendTo } from '../support/session-host.js';

/** Creates `tree/inner/file` and `tree/file` to send, and a receiver with an empty folder. */
async function prepare(t: Test, options: Partial<Parameters<typeof SessionHost.open>[2]> = {}) {
  // tap would remove its own fixture before the disks in it are unmounted.
  const folder = mkdtempSync(join(tmpdir(), 'p2mp mounts '));
  t.teardown(() => rmSync(folder, { recursive: true }));
  mkdirSync(join(folder, 'tree', 'inner'), { recursive: true });
  for (const name of ['in', 'elsewhere']) mkdirSync(join(folder, name));
  writeFileSync(join(folder, 'tree', 'file'), 'x'.repeat(100_000));
  writeFileSync(join(folder, 'tree', 'inner', 'file'), 'y'.repeat(100_000));
  const host = await SessionHost.open(t, join(folder, 'in'), options);
  return { folder, sent: join(folder, 'tree'), host };
}

function mount(t: Test, path: string, ...options: string[]): void {
  execFileSync('mount', [...options, path]);
  t.teardown(() => execFileSync('umount', ['-l', path]));
}

const refused = (host: SessionHost, ...names: string[]) => [
  {
    status: 'refused',
    receivedBytes: 0,
    reason: `${host.path(...names)}: is on another disk than ${host.dir}; receive into it with a separate --dir`,
  },
];

t.test('another disk below the target folder', async (t) => {
  const { folder, sent, host } = await prepare(t);
  mkdirSync(host.path('tree', 'inner'), { recursive: true });
  mount(t, host.path('tree', 'inner'), '-t', 'tmpfs', 'none');
  t.match((await sendTo([host], [sent])).receivers, refused(host, 'tree', 'inner'));
  t.same(readdirSync(host.dir), ['tree'], 'nothing remains');
  const beside = join(folder, 'tree', 'file');
  t.match((await sendTo([host], [beside])).receivers, [{ status: 'complete' }]);
  t.ok(existsSync(host.path('file')));
});

t.test('a bind mount of a folder on the same disk', async (t) => {
  const { folder, sent, host } = await prepare(t);
  mkdirSync(host.path('tree', 'inner'), { recursive: true });
  mount(t, host.path('tree', 'inner'), '--bind', join(folder, 'elsewhere'));
  t.match((await sendTo([host], [sent])).receivers, refused(host, 'tree', 'inner'));
});

t.test('a single mounted file, as in containers', async (t) => {
  const { folder, sent, host } = await prepare(t);
  mkdirSync(host.path('tree'));
  writeFileSync(host.path('tree', 'file'), 'of old');
  writeFileSync(join(folder, 'elsewhere', 'file'), 'of old');
  mount(t, host.path('tree', 'file'), '--bind', join(folder, 'elsewhere', 'file'));
  t.match((await sendTo([host], [sent])).receivers, refused(host, 'tree', 'file'));
});

t.test('the folder of parts is a separate disk', async (t) => {
  const { sent, host } = await prepare(t);
  mkdirSync(host.path('.p2mp-part'));
  mount(t, host.path('.p2mp-part'), '-t', 'tmpfs', 'none');
  const reason = `${host.path('.p2mp-part')}: is a separate file system, so files cannot be renamed out of it; unmount it`;
  t.match((await sendTo([host], [sent])).receivers, [{ status: 'refused', reason }]);
});

t.test('kept files may be on any disk', async (t) => {
  const { sent, host } = await prepare(t, { existing: 'keep' });
  mkdirSync(host.path('tree', 'inner'), { recursive: true });
  mount(t, host.path('tree', 'inner'), '-t', 'tmpfs', 'none');
  writeFileSync(host.path('tree', 'inner', 'file'), 'mine');
  t.match((await sendTo([host], [sent])).receivers, [{ status: 'complete' }]);
});

t.test('a target folder that is itself a mount point', async (t) => {
  const { sent, folder } = await prepare(t);
  const disk = join(folder, 'a disk');
  mkdirSync(disk);
  mount(t, disk, '-t', 'tmpfs', 'none');
  const host = await SessionHost.open(t, disk);
  t.match((await sendTo([host], [sent])).receivers, [{ status: 'complete' }]);
});
