/** Values of options that only their text decides. */
import t from 'tap';
import { parseJobs, parseShard } from '../../src/cli/arguments.js';

t.test('a number of threads', async (t) => {
  t.equal(parseJobs('1'), 1);
  t.equal(parseJobs('1024'), 1024);
  const expected = { code: 'INVALID_ARGUMENT' };
  for (const text of ['0', '1.5', 'many', '100000']) {
    const message = `--jobs ${text}: must be a whole number from 1 to 1024`;
    t.throws(() => parseJobs(text), { ...expected, message });
  }
});

t.test('a shard', async (t) => {
  t.same(parseShard('1/1'), { index: 1, count: 1 });
  t.same(parseShard('3/8'), { index: 3, count: 8 });
  for (const text of ['0/3', '4/3', '1', '1/2/3', '1.5/2', 'a/b']) {
    const message = `--shard ${text}: must be i/n with i from 1 to n, such as 1/4`;
    t.throws(() => parseShard(text), { code: 'INVALID_ARGUMENT', message });
  }
});
