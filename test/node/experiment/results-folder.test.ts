/** The folder of results: what an interrupted or another experiment left there. */
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'csv-parse/sync';
import t from 'tap';
import { experimentOf, readRuns, runInto, smallPlan } from '../../support/results.js';

const experiment = experimentOf(smallPlan);
const whole = join(t.testdir(), 'whole');
await runInto(whole, experiment);
/** What is written once all runs are done. */
const conclusions = ['plot.png', 'plot.svg', 'report.html', 'summary.csv'];
for (const name of conclusions) writeFileSync(join(whole, name), name);
const all = [...conclusions, 'plan.json', 'runs.csv'].toSorted();

const rowsOf = (path: string): Record<string, string>[] => parse(readRuns(path), { columns: true });

for (const [what, size, kept] of [
  ['within its line end', -1, 23],
  ['within a row', -30, 23],
  ['within the header', 40, 0],
  ['before the header', 0, 0],
] as const) {
  t.test(`a runs.csv that is truncated ${what} is repaired`, async (t) => {
    const folder = join(t.testdir(), 'out');
    cpSync(whole, folder, { recursive: true });
    const cut = readRuns(whole).slice(0, size);
    t.not(cut.slice(-2), '\r\n');
    writeFileSync(join(folder, 'runs.csv'), cut);
    t.equal(await runInto(folder, experiment), kept, 'the whole rows are kept');
    t.equal(readRuns(folder), readRuns(whole));
    t.same(readdirSync(folder).toSorted(), ['plan.json', 'runs.csv'], 'no plot of fewer runs');
  });
}

t.test('a complete folder stays as it is', async (t) => {
  const folder = join(t.testdir(), 'out');
  cpSync(whole, folder, { recursive: true });
  t.equal(await runInto(folder, experiment), 24);
  t.same(readdirSync(folder).toSorted(), all);
  for (const name of all) {
    t.ok(readFileSync(join(folder, name)).equals(readFileSync(join(whole, name))), name);
  }
});

for (const [what, change, line] of [
  [
    'a value',
    { loss: [0.05, 0.2] },
    /:14: belongs to another plan: loss is 0\.1 instead of 0\.2; /,
  ],
  ['a parameter of the path alone', { link: { rttMs: 21 } }, /:2: .*: seed is .* instead of /],
  ['the seed', { seed: 'other' }, /:2: .*: seed is a, "quoted" seed .* instead of other /],
  ['fewer runs', { loss: 0.05 }, /:14: .*: the plan has no run 13; /],
  ['the mode', { mode: 'real', link: {} }, /:2: .*: mode is simulated instead of real; /],
] as const) {
  t.test(`a folder with a different ${what} in its plan is refused`, async (t) => {
    const out = join(t.testdir(), 'out');
    cpSync(whole, out, { recursive: true });
    const other = experimentOf({ ...smallPlan, ...change });
    const error = await runInto(out, other).then(
      () => new Error('not refused'),
      (reason) => reason,
    );
    t.match(error, { code: 'RESULTS_DIFFER', message: line });
    t.ok(error.message.startsWith(`${out}/runs.csv:`), 'the place');
    t.match(error.message, /; name another folder with --out, or start over with --overwrite$/);
    t.same(readdirSync(out).toSorted(), all);
    for (const name of all) {
      t.ok(readFileSync(join(out, name)).equals(readFileSync(join(whole, name))), `${name} stays`);
    }
  });
}

t.test('an unrelated runs.csv is refused', async (t) => {
  const out = join(t.testdir(), 'out');
  mkdirSync(out);
  writeFileSync(join(out, 'runs.csv'), 'name,value\r\none,1\r\n');
  await t.rejects(runInto(out, experiment), {
    code: 'RESULTS_DIFFER',
    message: /runs\.csv:1: these are not the columns of runs\.csv; name another/,
  });
  t.same(readdirSync(out), ['runs.csv']);
  t.equal(readRuns(out), 'name,value\r\none,1\r\n');
});

t.test('a fresh start discards the runs of another plan, and its conclusions', async (t) => {
  const out = join(t.testdir(), 'out');
  await runInto(out, experimentOf({ ...smallPlan, loss: 0.2, repetitions: 1 }));
  t.equal(rowsOf(out).length, 3);
  for (const name of conclusions) writeFileSync(join(out, name), name);
  t.equal(await runInto(out, experiment, true), 0);
  t.equal(readRuns(out), readRuns(whole));
  t.same(readdirSync(out).toSorted(), ['plan.json', 'runs.csv']);
  t.ok(readFileSync(join(out, 'plan.json')).equals(readFileSync(join(whole, 'plan.json'))));
});

t.test('a plan with more repetitions reuses the runs that it shares', async (t) => {
  const out = join(t.testdir(), 'out');
  const one = { ...smallPlan, receivers: 2, loss: 0.1 };
  t.equal(await runInto(out, experimentOf({ ...one, repetitions: 2 })), 0);
  t.equal(await runInto(out, experimentOf(one)), 2);
  // Other parameters of a plan do not shift the losses of a run either.
  const rows = rowsOf(whole)
    .filter(({ receivers, loss }) => receivers === '2' && loss === '0.1')
    .map((row, i) => ({ ...row, run: String(i + 1) }));
  t.same(rowsOf(out), rows);
});

t.test('real runs of another network are not continued', async (t) => {
  const out = join(t.testdir(), 'out');
  const real = { ...smallPlan, loss: 0, link: {}, mode: 'real', receivers: 1, repetitions: 1 };
  await runInto(out, experimentOf(real));
  await t.rejects(runInto(out, experimentOf({ ...real, network: 'namespaces' })), {
    code: 'RESULTS_DIFFER',
    message: /plan\.json: its real runs used .*network.*; name another folder with --out, or /,
  });
  t.same(JSON.parse(readFileSync(join(out, 'plan.json'), 'utf8')), real);
});
