/** Disk operations, including those that only some systems support. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { syncFolder } from '../../../src/node/disk/fsync.js';
import { replaceError } from '../../../src/node/system-error.js';

const onLinux = process.platform === 'linux';

t.test('a folder is synced; a missing folder is reported', async (t) => {
  const folder = join(t.testdir(), 'folder');
  mkdirSync(folder);
  await t.resolves(syncFolder(folder));
  if (process.platform === 'win32') return;
  await t.rejects(syncFolder(join(folder, 'none')), { code: 'ENOENT' });
});

t.test(
  'a disk that cannot sync folders is no failure',
  { skip: !onLinux && 'has no /proc' },
  async (t) => {
    // Its folders fail with EINVAL, like those of some network shares.
    await t.resolves(syncFolder('/proc/self'));
  },
);

t.test('a failed rename is explained in the terms of each system', (t) => {
  const messageOf = (systemCode: string, platform: NodeJS.Platform) => {
    const error = Object.assign(new Error('rename'), { code: systemCode });
    return replaceError('TARGET_FAILED', 'in/f', error, platform).message;
  };
  for (const code of ['EPERM', 'EACCES', 'EBUSY']) {
    t.match(messageOf(code, 'win32'), /^in\/f: is open in another program or read-only; close it/);
  }
  t.match(messageOf('EACCES', 'linux'), /^in\/f: permission denied; /);
  t.match(messageOf('EBUSY', 'linux'), /^in\/f: is in use by another program; /);
  t.match(messageOf('ENOSPC', 'win32'), /^in\/f: the disk is full; /);
  t.end();
});
