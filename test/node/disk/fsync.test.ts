/** What disks can do, and what only some of them can. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { syncFolder } from '../../../src/node/disk/fsync.js';
import { replaceError } from '../../../src/node/system-error.js';

const onLinux = process.platform === 'linux';

t.test('a folder is synced; one that is not there is told of', async (t) => {
  const folder = join(t.testdir(), 'folder');
  mkdirSync(folder);
  await t.resolves(syncFolder(folder));
  if (process.platform === 'win32') return;
  await t.rejects(syncFolder(join(folder, 'none')), { code: 'ENOENT' });
});

t.test(
  'a disk that syncs no folders is no failure',
  { skip: !onLinux && 'has no /proc' },
  async (t) => {
    // Its folders answer as those of some shares do: EINVAL.
    await t.resolves(syncFolder('/proc/self'));
  },
);

t.test('a name that could not be given says why, as each system means it', (t) => {
  const told = (systemCode: string, platform: NodeJS.Platform) => {
    const error = Object.assign(new Error('rename'), { code: systemCode });
    return replaceError('TARGET_FAILED', 'in/f', error, platform).message;
  };
  for (const code of ['EPERM', 'EACCES', 'EBUSY']) {
    t.match(told(code, 'win32'), /^in\/f: is open in another program or read-only; close it/);
  }
  t.match(told('EACCES', 'linux'), /^in\/f: permission denied; /);
  t.match(told('EBUSY', 'linux'), /^in\/f: is in use by another program; /);
  t.match(told('ENOSPC', 'win32'), /^in\/f: the disk is full; /);
  t.end();
});
