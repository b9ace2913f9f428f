/** Target folders: one that cannot take files is refused at once, with a reason. */
import { chmodSync, existsSync, readdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { TargetFolder } from '../../../../src/node/disk/store/target-folder.js';

const isWindows = process.platform === 'win32';

async function open(path: string): Promise<TargetFolder> {
  const target = await TargetFolder.open(path);
  await target.checkTakesFiles();
  return target;
}

async function refuse(t: Test, path: string, reason: string): Promise<void> {
  const message = `${path}: ${reason}`;
  await t.rejects(open(path), { code: 'TARGET_UNWRITABLE', message }, message);
}

t.test('a missing folder is created and kept', async (t) => {
  const folder = t.testdir();
  for (const path of ['a', 'b/c/d', 'b/c/e/', 'b/c']) {
    await open(join(folder, path));
    t.ok(statSync(join(folder, path)).isDirectory(), path);
  }
  t.same(readdirSync(folder).sort(), ['a', 'b']);
  t.same(readdirSync(join(folder, 'b', 'c')).sort(), ['d', 'e']);
  const both = await Promise.all([1, 2, 3].map(() => open(join(folder, 'x/y/z'))));
  t.equal(both.length, 3, 'several levels at once');
});

t.test('a link to a folder is followed', { skip: isWindows }, async (t) => {
  const folder = t.testdir({ real: {} });
  symlinkSync('real', join(folder, 'link'));
  t.equal((await open(join(folder, 'link'))).root, (await open(join(folder, 'real'))).root);
});

const noProc = !existsSync('/proc/self/status') && 'no /proc here';

t.test('a file system that does not allow folders', { skip: noProc }, async (t) => {
  const reason = 'cannot create files there; choose another folder';
  await refuse(t, '/proc/x', reason);
  await refuse(t, '/proc/x/y/z', reason);
});

t.test('what is not a folder', { skip: isWindows }, async (t) => {
  const folder = t.testdir({ file: 'content' });
  const path = (name: string) => join(folder, name);
  await t.rejects(open(''), { message: 'empty folder name; name a folder' });
  await refuse(t, path('file'), 'is not a folder; name a folder');
  await refuse(t, path('file/x'), 'a part of the path is not a folder; check the name');
  for (const target of ['nowhere', 'circle']) {
    symlinkSync(target, path(target === 'circle' ? 'circle' : 'dangling'));
  }
  const remedy = 'is a dangling symbolic link; create its target or remove it';
  await refuse(t, path('dangling'), remedy);
  await refuse(t, path('circle'), remedy);
  t.notOk(existsSync(path('nowhere')));
});

const mayAll = process.getuid?.() === 0 && 'root may write everywhere';

t.test('a folder without write permission', { skip: mayAll }, async (t) => {
  const folder = t.testdir({ closed: {}, file: '' });
  const closed = join(folder, 'closed');
  chmodSync(closed, 0o500);
  const reason = 'permission denied; check the permissions';
  await refuse(t, closed, reason);
  await refuse(t, join(closed, 'x'), reason);
  chmodSync(closed, 0o700);
  writeFileSync(join(closed, 'x'), '');
});
