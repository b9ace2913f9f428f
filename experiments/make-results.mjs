/**
 * Regenerates experiments/results: `npm run results` for all plans, `npm run results -- quick loss`
 * for some. Real runs are timed: leave the machine alone meanwhile.
 */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const results = join(root, 'experiments/results');
const plans = readdirSync(join(root, 'experiments/plans'))
  .map((name) => basename(name, '.json'))
  .toSorted();
const named = process.argv.slice(2);

for (const plan of named) {
  if (!plans.includes(plan))
    throw new Error(`${plan}: no such plan; there are ${plans.join(', ')}`);
}
for (const plan of named.length === 0 ? plans : named) makeResult(plan);
writeFileSync(join(results, 'README.md'), createIndex());

function makeResult(plan) {
  const commit = describeCommit();
  // How busy other programs kept the machine before the runs.
  const [load] = loadavg();
  const folder = `experiments/results/${plan}`;
  const args = ['dist/cli/p2mp.js', 'experiment', plan, '--out', folder, '--overwrite', '--json'];
  const output = execFileSync(process.execPath, args, { cwd: root, encoding: 'utf8' });
  const { findings, effort } = JSON.parse(output.trim().split('\n').at(-1));
  const made = {
    command: `npm run results -- ${plan}`,
    seed: readPlan(plan).seed,
    commit,
    date: new Date().toISOString().slice(0, 10),
    machine: `${cpus().length} × ${cpus()[0].model}, Node ${process.version}`,
    load: Number(load.toFixed(1)),
    seconds: Math.round(effort.simulationSeconds + effort.realSeconds),
    findings,
  };
  // Made with this very commit, which the CSV does not record.
  writeFileSync(join(root, folder, 'made.json'), `${JSON.stringify(made, null, 2)}\n`);
  rmSync(join(root, folder, 'plan.json'));
  console.log(`${plan}: ${findings.at(-1)}`);
}

/** The checked-out commit, marked if files differ from it. */
function describeCommit() {
  const git = (...args) => execFileSync('git', args, { cwd: root, encoding: 'utf8' }).trim();
  const isChanged = git('status', '--porcelain', 'src', 'experiments/plans') !== '';
  return `${git('rev-parse', '--short=10', 'HEAD')}${isChanged ? ' with changes' : ''}`;
}

function readPlan(plan) {
  return JSON.parse(readFileSync(join(root, `experiments/plans/${plan}.json`), 'utf8'));
}

function createIndex() {
  const made = readdirSync(results).filter((name) => plans.includes(name));
  return [
    '# Results',
    '',
    'Made by `npm run results` (all), each by the command beside it; columns and terms are in',
    '[EXPERIMENTS.md](../../docs/EXPERIMENTS.md). Simulated CSV is the same to the byte anywhere; real',
    'runs are as fast as their machine. `report.html` has the table and the plan.',
    '',
    ...made.flatMap(describeResult),
  ].join('\n');
}

function describeResult(plan) {
  const folder = join(results, plan);
  const { command, seed, commit, date, machine, load, seconds, findings } = JSON.parse(
    readFileSync(join(folder, 'made.json'), 'utf8'),
  );
  const { title } = readPlan(plan);
  return [
    `## ${title}`,
    '',
    `[plan](../plans/${plan}.json) · [runs.csv](${plan}/runs.csv) · [summary.csv](${plan}/summary.csv) ·`,
    `[report](${plan}/report.html) · \`${command}\` · seed \`${seed}\` · commit ${commit} · ${date} ·`,
    `${machine} · ${load === undefined ? '' : `load ${load} before · `}${seconds} s`,
    '',
    `![${title}](${plan}/plot.png)`,
    '',
    ...findings.map((finding) => `- ${finding}`),
    '',
  ];
}
