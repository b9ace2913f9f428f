/** What disks can do, and what only some of them can. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { syncFolder } from '../src/node/disk.js';

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
