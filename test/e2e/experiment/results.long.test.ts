/** The plans that come with p2mp, their schema, and their committed results. */
import { cpSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'csv-parse/sync';
import t from 'tap';
import { describeFindings } from '../../../src/experiment/findings.js';
import { countRuns, listRuns, parsePlan } from '../../../src/experiment/plan.js';
import { planJsonSchema } from '../../../src/experiment/plan-schema.js';
import { summarize } from '../../../src/experiment/summary.js';
import { ResultsFolder } from '../../../src/node/experiment/results-folder.js';
import { formatSummaries } from '../../../src/node/experiment/summary-csv.js';
import { parseResult, projectFolder, startExperiment } from '../../support/processes.js';

t.jobs = 4;
const buffered = true;

const experiments = join(projectFolder, 'experiments');
const plans = readdirSync(join(experiments, 'plans'))
  .map((name) => name.replace(/\.json$/, ''))
  .toSorted();

const planPath = (name: string) => join(experiments, 'plans', `${name}.json`);
const readPlanText = (name: string) => readFileSync(planPath(name), 'utf8');
const resultPath = (name: string, file: string) => join(experiments, 'results', name, file);

/** Whether both files have the same bytes. */
function isSame(one: string, other: string): boolean {
  return readFileSync(one).equals(readFileSync(other));
}

t.test('the documented plans exist', async (t) => {
  const documentation = readFileSync(join(projectFolder, 'docs/EXPERIMENTS.md'), 'utf8');
  const [paragraph = ''] = /Plans that come with p2mp: [\s\S]*?\n\n/.exec(documentation) ?? [];
  const named = [...paragraph.matchAll(/`([\w-]+)`/g)].map(([, name = '']) => name);
  t.same(named.toSorted(), plans);
});

t.test('the schema for editors is the one that validates plans', async (t) => {
  const text = readFileSync(join(experiments, 'plan.schema.json'), 'utf8');
  t.strictSame(JSON.parse(text), planJsonSchema(), 'if this fails: npm run schema');
});

t.test('results of the plan "quick" are reproduced byte for byte', { buffered }, async (t) => {
  const out = join(t.testdir(), 'out');
  const { code, stderr } = await startExperiment(t, ['quick', '--out', out]).exited;
  t.equal(code, 0, stderr);
  for (const file of ['runs.csv', 'summary.csv']) {
    t.ok(isSame(join(out, file), resultPath('quick', file)), file);
  }
});

for (const name of plans) {
  t.test(`plan ${name} is valid, and its schema exists`, async (t) => {
    const text = readPlanText(name);
    const plan = parsePlan(text, planPath(name));
    t.ok(plan.title !== '' && plan.about !== '', 'the plan has a title and a description');
    const { $schema } = JSON.parse(text);
    t.equal(join(experiments, 'plans', $schema), join(experiments, 'plan.schema.json'));
  });

  t.test(`results of plan ${name} exist, with the way they were made`, async (t) => {
    const text = readPlanText(name);
    const made = JSON.parse(readFileSync(resultPath(name, 'made.json'), 'utf8'));
    t.equal(made.command, `npm run results -- ${name}`);
    t.equal(made.seed, JSON.parse(text).seed);
    t.match(made.commit, /^[0-9a-f]{7,40}$/, 'made from a commit without local changes');
    t.match(made.date, /^\d{4}-\d\d-\d\d$/);
    t.ok(made.findings.length > 0);
    const rows: unknown[] = parse(readFileSync(resultPath(name, 'runs.csv')), { columns: true });
    t.equal(rows.length, countRuns(parsePlan(text, planPath(name))));
    t.match(readFileSync(resultPath(name, 'plot.svg'), 'utf8'), /^<svg /);
    const png = readFileSync(resultPath(name, 'plot.png'));
    t.equal(png.subarray(0, 8).toString('latin1'), '\x89PNG\r\n\x1a\n');
    const report = readFileSync(resultPath(name, 'report.html'), 'utf8');
    for (const finding of made.findings) t.ok(report.includes(finding), finding);

    const index = readFileSync(join(experiments, 'results', 'README.md'), 'utf8');
    t.ok(index.includes(`](${name}/plot.png)`), 'the index shows the plot');
    for (const finding of made.findings) t.ok(index.includes(`- ${finding}\n`), finding);
  });

  t.test(`the summary of ${name} matches its runs and its plan`, async (t) => {
    const text = readPlanText(name);
    const plan = parsePlan(text, planPath(name));
    const out = t.testdir();
    cpSync(resultPath(name, 'runs.csv'), join(out, 'runs.csv'));
    const folder = await ResultsFolder.open(out, text, [...listRuns(plan)], false);
    await folder.close();
    t.equal(folder.rows.length, countRuns(plan), 'no run would be run again');
    const summaries = summarize(folder.rows);
    const summary = readFileSync(resultPath(name, 'summary.csv'), 'utf8');
    t.equal(formatSummaries(summaries), summary);
    const made = JSON.parse(readFileSync(resultPath(name, 'made.json'), 'utf8'));
    t.same(describeFindings(plan, summaries), made.findings);
  });
}

t.test('a run that is not missing is not repeated, not even a real one', async (t) => {
  const [name] = plans.filter((each) => readPlanText(each).includes('"real"'));
  const folder = t.testdir();
  cpSync(resultPath(name ?? '', 'runs.csv'), join(folder, 'runs.csv'));
  const exit = await startExperiment(t, [name ?? '', '--out', folder, '--json']).exited;
  t.equal(exit.code, 0, exit.stderr);
  const { runs, keptRuns } = parseResult(exit);
  t.equal(keptRuns, runs);
});
