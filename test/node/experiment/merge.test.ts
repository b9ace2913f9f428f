/** Merging the shards of an experiment: what is refused, and where that is said. */
import { cpSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { mergeShards } from '../../../src/node/experiment/merge.js';
import { experimentOf, readRuns, runInto, smallPlan } from '../../support/results.js';

const shared = t.testdir();
const shards = [1, 2, 3].map((index) => join(shared, `shard-${index}-of-3`));
for (const [i, path] of shards.entries()) {
  await runInto(path, experimentOf(smallPlan, { index: i + 1, count: 3 }));
}
const [first = '', second = '', third = ''] = shards;

t.test('shards in any order merge to the runs of one process', async (t) => {
  const folder = t.testdir();
  await runInto(join(folder, 'whole'), experimentOf(smallPlan));
  await mergeShards(shards.toReversed(), join(folder, 'out'), false);
  t.equal(readRuns(join(folder, 'out')), readRuns(join(folder, 'whole')));
});

t.test('the missing last run of a truncated shard is listed', async (t) => {
  const folder = t.testdir();
  const cut = join(folder, 'cut');
  cpSync(third, cut, { recursive: true });
  const lines = readRuns(third).split('\r\n');
  writeFileSync(join(cut, 'runs.csv'), `${lines.slice(0, -2).join('\r\n')}\r\n24,simu`);
  await t.rejects(mergeShards([first, second, cut], join(folder, 'out'), false), {
    code: 'RESULTS_DIFFER',
    message: /^1 of 24 runs are in none of the folders: 24; /,
  });
  t.same(readdirSync(folder), ['cut']);
});

t.test('shards of different plans are refused', async (t) => {
  const folder = t.testdir();
  const other = join(folder, 'other');
  await runInto(other, experimentOf({ ...smallPlan, loss: [0.05, 0.2] }, { index: 3, count: 3 }));
  await t.rejects(mergeShards([first, second, other], join(folder, 'out'), false), {
    code: 'RESULTS_DIFFER',
    message: `${other}: its plan differs from the plan in ${first}`,
  });
  t.same(readdirSync(folder), ['other']);
});

t.test('duplicate results of a run are refused', async (t) => {
  const folder = t.testdir();
  const changed = join(folder, 'changed');
  cpSync(first, changed, { recursive: true });
  const lines = readRuns(first).split('\r\n');
  const cells = lines[2]?.split(',') ?? [];
  // The last cells: acks, complete receivers, goodput, twin.
  cells.splice(-4, 1, '99999');
  lines[2] = cells.join();
  writeFileSync(join(changed, 'runs.csv'), lines.join('\r\n'));
  await t.rejects(mergeShards([...shards, changed], join(folder, 'out'), false), {
    code: 'RESULTS_DIFFER',
    message: /changed\/runs\.csv:3: run 4 has a different result in .*shard-1-of-3/,
  });
  t.same(readdirSync(folder), ['changed']);
});
