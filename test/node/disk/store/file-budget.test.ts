/** The limit of open files for all sessions together. */
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { FileBudget } from '../../../../src/node/disk/store/file-budget.js';
import { OpenFiles } from '../../../../src/node/disk/store/open-files.js';

/** A process that has run out of handles. */
const scarce = () => Promise.reject(Object.assign(new Error('too many'), { code: 'EMFILE' }));

function createPlace(t: Test) {
  const folder = t.testdir();
  let openCount = 0;
  let mostCount = 0;
  const openFile = (name: string) => async () => {
    const handle = await open(join(folder, name), 'w');
    mostCount = Math.max(mostCount, ++openCount);
    const close = handle.close.bind(handle);
    handle.close = async () => {
      openCount--;
      await close();
    };
    return handle;
  };
  return { openFile, openCount: () => openCount, mostCount: () => mostCount };
}

const nothing = async () => undefined;

t.test('all sessions together stay within the limit of open files', async (t) => {
  const budget = new FileBudget(3);
  const { openFile, openCount, mostCount } = createPlace(t);
  const sessions = [new OpenFiles(budget), new OpenFiles(budget), new OpenFiles(budget)];
  const uses = sessions.flatMap((files, i) =>
    Array.from({ length: 20 }, (_, k) => files.use(`${i}.${k}`, openFile(`${i}.${k}`), nothing)),
  );
  await Promise.all(uses);
  t.equal(mostCount(), 3);
  await Promise.all(sessions.map((files) => files.end()));
  t.equal(openCount(), 0);
});

t.test('a later session gets the idle files of an earlier one', async (t) => {
  const budget = new FileBudget(2);
  const { openFile, openCount, mostCount } = createPlace(t);
  const earlier = new OpenFiles(budget);
  await earlier.use('a', openFile('a'), nothing);
  await earlier.use('b', openFile('b'), nothing);
  t.equal(openCount(), 2, 'kept open');
  const later = new OpenFiles(budget);
  const journal = await budget.takeLasting(openFile('journal'));
  await later.use('c', openFile('c'), nothing);
  t.equal(mostCount(), 2);
  await budget.close(journal);
  await Promise.all([earlier.end(), later.end()]);
});

t.test('pinned files always leave room for one more, however many they are', async (t) => {
  const budget = new FileBudget(1);
  const { openFile, mostCount } = createPlace(t);
  for (const name of ['one', 'two', 'three']) {
    const journal = await budget.takeLasting(openFile(name));
    t.teardown(() => journal.close());
  }
  const files = new OpenFiles(budget);
  await files.use('a', openFile('a'), nothing);
  await files.use('b', openFile('b'), nothing);
  t.equal(mostCount(), 4, 'three pinned, and one more');
  await files.end();
});

t.test('when the process has no handle left, a file of another session is closed', async (t) => {
  const budget = new FileBudget(100);
  const { openFile, openCount } = createPlace(t);
  const earlier = new OpenFiles(budget);
  await earlier.use('a', openFile('a'), nothing);
  const openWithoutA = (name: string) => () => (openCount() > 0 ? scarce() : openFile(name)());
  const later = new OpenFiles(budget);
  await later.use('b', openWithoutA('b'), nothing);
  t.equal(openCount(), 1, 'a was closed for b');
  const journal = await budget.takeLasting(openWithoutA('journal'));
  t.equal(openCount(), 1, 'b was closed for the pinned file');
  await t.rejects(
    later.use('c', openWithoutA('c'), nothing),
    { code: 'EMFILE' },
    'nothing is left to close',
  );
  await journal.close();
});
