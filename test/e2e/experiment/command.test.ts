/** `p2mp experiment`: output and refusals. */
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import {
  countRows,
  isSameData,
  leftFiles,
  read,
  readTable,
  writePlan,
} from '../../support/experiment-commands.js';
import {
  type Exit,
  type Program,
  parseEvents,
  parseResult,
  projectFolder,
  startCommand,
  startExperiment,
} from '../../support/processes.js';
import { smallPlan } from '../../support/results.js';

t.jobs = 4;
const buffered = true;

const plan = {
  ...smallPlan,
  title: 'Small & <quick>',
  about: 'What is left of a "small" plan?',
};

/** Checks a one-line error message that starts with the name of the command. */
function checkComplaint(t: Test, exit: Exit, code: number, line: RegExp | string): void {
  t.equal(exit.code, code, `exit code ${code}`);
  t.equal(exit.stdout, '', 'nothing on standard output');
  t.match(exit.stderr, /^p2mp experiment: [^\n]+\n$/, 'one line');
  t.match(exit.stderr, line);
}

// References for several tests: the plan run by one process with one thread, and as shards.
const shared = t.testdir({ shards: {} });
writePlan(shared, plan);
const whole = join(shared, 'whole');
const wholeArgs = ['plan.json', '--out', 'whole', '--jobs', '1'];
const wholeProgram = startExperiment(t, wholeArgs, { cwd: shared });
// All at the same time, as in an array job.
const shardPrograms = [1, 2, 3].map((shard) =>
  startExperiment(t, ['../plan.json', '--shard', `${shard}/3`], { cwd: join(shared, 'shards') }),
);
const wholeExit = await wholeProgram.exited;
const shardExits = await Promise.all(shardPrograms.map((program) => program.exited));
const shards = [1, 2, 3].map((shard) =>
  join(shared, 'shards', 'plan-results', `shard-${shard}-of-3`),
);

t.test('an experiment writes data, plots and a report', async (t) => {
  t.equal(wholeExit.code, 0, wholeExit.stderr);
  t.equal(wholeExit.stderr, '');
  t.match(wholeExit.stdout, /^Small & <quick>: 24 runs\n/);
  t.match(wholeExit.stdout, /^In whole: runs\.csv, summary\.csv, .*report\.html$/m);
  t.same(readdirSync(whole).toSorted(), leftFiles);
  t.equal(read(whole, 'plan.json'), read(shared, 'plan.json'), 'the plan is saved unchanged');
  t.match(read(whole, 'plot.svg'), /^<svg /);
  const png = readFileSync(join(whole, 'plot.png'));
  t.equal(png.subarray(0, 8).toString('latin1'), '\x89PNG\r\n\x1a\n');
  t.ok(png.readUInt32BE(16) >= 800 && png.readUInt32BE(20) >= 400, 'large enough for print');
});

t.test('the report is one page that says what was run and how', async (t) => {
  const report = read(whole, 'report.html');
  t.notMatch(report, /<(script|link|img|iframe|a)\b|\b(src|href)=|url\(|@import/, 'no links');
  const picture = read(whole, 'plot.svg');
  t.ok(report.includes(picture), 'the picture');
  const rest = report.replace(picture, '');
  t.match(rest, '<h1>Small &amp; &lt;quick&gt;</h1>');
  t.match(rest, 'What is left of a &quot;small&quot; plan?');
  t.match(rest, 'p2mp experiment plan.json --out whole', 'the command');
  t.match(rest, 'a, &quot;quoted&quot; seed');
  t.match(rest, process.version, 'the machine');
  t.match(rest, '24 simulated runs in ', 'the effort');
  t.match(rest, '&quot;fileSizeBytes&quot;: 20000', 'the plan');
  t.equal(
    rest.match(/<tr>/g)?.length,
    1 + 6 + rowsOf(rest, 'How it was made'),
    'one row for each point',
  );
});

/** The rows of the table after a heading. */
function rowsOf(html: string, headline: string): number {
  const [, tail = ''] = html.split(`<h2>${headline}</h2>`);
  const [table = ''] = tail.split('</table>');
  return table.match(/<tr>/g)?.length ?? 0;
}

t.test('both CSV files have the documented columns', async (t) => {
  const documentation = read(projectFolder, 'docs/EXPERIMENTS.md');
  const namesAfter = (headline: string): string[] => {
    const [, tail = ''] = documentation.split(headline);
    const [table = ''] = tail.trimStart().split('\n\n');
    const names = [...table.matchAll(/^\|([^|]+)\|/gm)].map(([, cell = '']) => cell);
    return names.flatMap((cell) => [...cell.matchAll(/`(\w+)`/g)].map(([, name = '']) => name));
  };
  const headerOf = (name: string) => read(whole, name).split('\r\n')[0]?.split(',') ?? [];

  const runs = headerOf('runs.csv');
  // Only a plan that names these parameters has their columns.
  const optional = [
    ...['enter_bad', 'leave_bad', 'loss_in_good', 'loss_in_bad', 'protocol'],
    ...['senders', 'order', 'sender_rate_bytes_per_s'],
    ...['sources', 'split', 'rates', 'deaths', 'source_rate_bytes_per_s'],
    ...['hops', 'passing', 'lossy_link'],
    ...['objects', 'requests', 'zipf_exponent', 'cached_objects'],
    ...['peers', 'shape', 'peer_deaths', 'peer_rate_bytes_per_s'],
    ...['rate_ratio', 'rtt_ratio', 'first_path', 'path_count', 'shares'],
    ...['origin_bytes', 'hit_ratio', 'fast_alone_s', 'slow_alone_s', 'benefit'],
  ];
  const named = namesAfter('a row for each run:');
  for (const name of optional) t.ok(named.includes(name), `${name} is documented`);
  t.same(
    runs,
    named.filter((name) => !optional.includes(name)),
  );
  const parameters = runs.slice(runs.indexOf('mode') + 1, runs.indexOf('repetition'));
  t.equal(parameters.length, 10);

  const summary = headerOf('summary.csv');
  const leading = 'receivers,mss_bytes,loss,window,mode,runs,mean_s,sd_s,ci95_low_s,ci95_high_s';
  t.equal(summary.slice(0, 12).join(), `${leading},model_s,deviation_se`);
  const optionalSummaries = [
    ...['speedup', 'origin_bytes', 'origin_share', 'fast_alone_s', 'slow_alone_s'],
  ];
  const documented = namesAfter('a row for each point and mode:').filter(
    (name) => !optionalSummaries.includes(name),
  );
  t.same(summary.toSorted(), [...new Set([...parameters, ...documented])].toSorted());

  for (const [name, rows] of [
    ['runs.csv', 24],
    ['summary.csv', 6],
  ] as const) {
    const lines = read(whole, name).split('\n');
    t.equal(lines.length, 1 + rows + 1, `${name}: one line for each row`);
    t.equal(lines.pop(), '');
    t.ok(
      lines.every((line) => line.endsWith('\r')),
      `${name}: lines end in CRLF`,
    );
  }
});

t.test('runs are in order, and the summary matches them', async (t) => {
  const runs = readTable(whole, 'runs.csv');
  t.same(
    runs.map(({ run }) => run),
    runs.map((_, i) => String(i + 1)),
  );
  for (const { receivers, complete_receivers, file_bytes, delay_s, goodput_bytes_per_s } of runs) {
    t.equal(complete_receivers, receivers);
    t.equal(file_bytes, '20000');
    const goodput = Number(file_bytes) / Number(delay_s);
    t.ok(Math.abs(goodput / Number(goodput_bytes_per_s) - 1) < 1e-6, 'goodput');
  }
  const { version } = JSON.parse(read(projectFolder, 'package.json'));
  t.match(runs[0], {
    mode: 'simulated',
    mss_bytes: '500',
    loss_model: 'bernoulli',
    timeout_ms: '100',
    window: '1',
    send_time_ms: '0',
    queue_bytes: '',
    rate_bytes_per_s: '',
    rtt_ms: '20',
    twin_delay_s: '',
    version,
  });
  t.ok(
    runs.every(({ seed }) => seed?.startsWith(`${plan.seed} `)),
    'seeds bear the name of the plan’s',
  );
  t.equal(new Set(runs.map(({ seed }) => seed)).size, runs.length, 'each run has its own seed');

  for (const summary of readTable(whole, 'summary.csv')) {
    const { receivers, loss } = summary;
    const rows = runs.filter((run) => run['receivers'] === receivers && run['loss'] === loss);
    t.equal(rows.length, plan.repetitions);
    t.match(summary, { runs: '4', failed_runs: '0' });
    const meanOf = (column: string) =>
      rows.reduce((sum, row) => sum + Number(row[column]), 0) / rows.length;
    const isNear = (column: string, value: number) =>
      t.ok(Math.abs(Number(summary[column]) - value) <= Math.abs(value) * 1e-6 + 1e-9, column);
    isNear('mean_s', meanOf('delay_s'));
    for (const column of ['rounds', 'timeouts', 'retransmissions']) isNear(column, meanOf(column));
    const half = Number(summary['ci95_high_s']) - Number(summary['mean_s']);
    // Student's t for three degrees of freedom.
    t.ok(Math.abs(half / ((3.182446 * Number(summary['sd_s'])) / 2) - 1) < 1e-4, 'interval');
    const standardErrorS = Number(summary['model_sd_s']) / 2;
    const deviation = (Number(summary['mean_s']) - Number(summary['model_s'])) / standardErrorS;
    t.ok(Math.abs(deviation - Number(summary['deviation_se'])) < 1e-3, 'deviation');
    t.ok(Math.abs(deviation) < 5, 'the simulator agrees with the model');
  }
});

t.test('concurrent shards merge to the result of a single process', async (t) => {
  for (const [i, { code, stdout, stderr }] of shardExits.entries()) {
    t.equal(code, 0, stderr);
    t.match(stdout, `shard-${i + 1}-of-3; merge this folder with `);
    t.same(readdirSync(shards[i] ?? ''), ['plan.json', 'runs.csv'], 'the rest is for all');
  }
  const numbers = shards.map((shard) => readTable(shard, 'runs.csv').map(({ run }) => Number(run)));
  t.same(
    numbers.map((runs) => runs.slice(0, 2)),
    [
      [1, 4],
      [2, 5],
      [3, 6],
    ],
    'every third',
  );
  t.same(
    numbers.flat().toSorted((a, b) => a - b),
    Array.from({ length: 24 }, (_, i) => i + 1),
    'each run once',
  );
  // In any order, and into the folder that contains the shards.
  const out = join(shared, 'shards', 'plan-results');
  const { code, stdout, stderr } = await startExperiment(t, [
    'merge',
    ...shards.toReversed(),
    '--out',
    out,
  ]).exited;
  t.equal(code, 0, stderr);
  t.match(stdout, /^Small & <quick>: 24 runs/);
  t.ok(isSameData(out, whole));
  const names = readdirSync(out).filter((name) => !name.startsWith('shard-'));
  t.same(names.toSorted(), leftFiles);
  t.ok(readFileSync(join(out, 'plot.svg')).equals(readFileSync(join(whole, 'plot.svg'))));
});

t.test('missing runs of a shard are listed', { buffered }, async (t) => {
  const folder = t.testdir();
  const [first = '', , third = ''] = shards;
  const args = ['merge', first, third, '--out', join(folder, 'out')];
  const exit = await startExperiment(t, args).exited;
  checkComplaint(
    t,
    exit,
    4,
    /: 8 of 24 runs are in none of the folders: 2, 5, 8, 11, 14, \.\.\.; /,
  );
  t.match(exit.stderr, 'run their shards again');
  t.same(readdirSync(folder), []);
});

for (const [what, args, code, line] of [
  ['without --out', ['merge', ...shards], 2, 'merge: no target folder given'],
  ['without folders', ['merge', '--out', 'out'], 2, /merge: .*folder/],
  [
    'with --shard',
    ['merge', ...shards, '--out', 'out', '--shard', '1/3'],
    2,
    'does not support --shard',
  ],
  ['of nothing', ['merge', 'nowhere', '--out', 'out'], 4, /nowhere: contains no plan\.json; /],
  ['of a file', ['merge', 'file', '--out', 'out'], 4, /file: (?!E[A-Z]+:)/],
] as const) {
  t.test(`merge ${what} is refused`, { buffered }, async (t) => {
    const cwd = t.testdir({ file: 'old' });
    const exit = await startExperiment(t, args, { cwd }).exited;
    checkComplaint(t, exit, code, line);
    t.same(readdirSync(cwd), ['file']);
  });
}

t.test('merge with --dry-run writes nothing', { buffered }, async (t) => {
  const cwd = t.testdir({});
  await startExperiment(t, ['merge', ...shards, '--out', 'out', '--dry-run'], { cwd }).exited;
  t.same(readdirSync(cwd), []);
});

t.test('a complete folder is not run again, but its plots are redrawn', async (t) => {
  const folder = t.testdir();
  cpSync(whole, folder, { recursive: true });
  for (const name of ['plot.svg', 'plot.png', 'summary.csv']) writeFileSync(join(folder, name), '');
  rmSync(join(folder, 'report.html'));
  const args = [join(shared, 'plan.json'), '--out', folder, '--json', '--verbose'];
  const exit = await startExperiment(t, args).exited;
  t.equal(exit.code, 0, exit.stderr);
  t.same(
    parseEvents(exit.stdout).map(({ event }) => event),
    ['result'],
    'no run, no progress',
  );
  const result = parseResult(exit);
  t.match(result, { status: 'complete', folder, runs: 24, keptRuns: 24 });
  t.match(result['effort'], { simulatedRuns: 0, realRuns: 0 });
  t.ok(isSameData(folder, whole));
  for (const name of ['plot.svg', 'plot.png']) {
    t.ok(readFileSync(join(folder, name)).equals(readFileSync(join(whole, name))), name);
  }
  t.ok(read(folder, 'report.html').includes(read(whole, 'plot.svg')));
});

t.test('a folder of another plan is refused, and stays as it is', { buffered }, async (t) => {
  const folder = t.testdir();
  const out = join(folder, 'out');
  cpSync(whole, out, { recursive: true });
  const path = writePlan(folder, { ...plan, loss: [0.05, 0.2] });
  const exit = await startExperiment(t, [path, '--out', out]).exited;
  checkComplaint(t, exit, 4, /:14: belongs to another plan: loss is 0\.1 instead of 0\.2; /);
  t.ok(exit.stderr.startsWith(`p2mp experiment: ${out}/runs.csv:`), 'the place');
  t.match(exit.stderr, /; name another folder with --out, or start over with --overwrite\n$/);
  t.same(readdirSync(out).toSorted(), leftFiles);
  for (const name of leftFiles) {
    t.ok(readFileSync(join(out, name)).equals(readFileSync(join(whole, name))), `${name} stays`);
  }
});

t.test('--overwrite starts from scratch', { buffered }, async (t) => {
  const folder = t.testdir();
  const out = join(folder, 'out');
  cpSync(whole, out, { recursive: true });
  const path = writePlan(folder, { ...plan, loss: 0.2, repetitions: 1 });
  const exit = await startExperiment(t, [path, '--out', out, '--overwrite', '--json']).exited;
  t.equal(exit.code, 0, exit.stderr);
  t.match(parseResult(exit), { runs: 3, keptRuns: 0 });
  t.equal(countRows(out), 3);
  t.equal(read(out, 'plan.json'), read(folder, 'plan.json'));
  t.same(readdirSync(out).toSorted(), leftFiles);
});

t.test('--dry-run counts runs and writes nothing', { buffered }, async (t) => {
  const cwd = t.testdir();
  writePlan(cwd, plan);
  const people = await startExperiment(t, ['plan.json', '--dry-run'], { cwd }).exited;
  t.match(people, { code: 0, stdout: 'Small & <quick>: 6 points, 24 runs\n', stderr: '' });
  const args = ['plan.json', '--dry-run', '--json', '--shard', '3/5'];
  const programs = await startExperiment(t, args, { cwd }).exited;
  t.equal(programs.code, 0);
  t.match(parseResult(programs), { status: 'dry-run', points: 6, runs: 5 });
  t.same(readdirSync(cwd), ['plan.json']);
});

const lines = (...text: string[]) => text.join('\n');

for (const [what, text, places] of [
  [
    'no JSON',
    lines('{', '  "title": "x",', '}'),
    [/^2:15: not JSON: a trailing comma before the closing \}; /],
  ],
  [
    'a value out of range and a misspelt key',
    lines(
      '{',
      '  "title": "x",',
      '  "seed": "x",',
      '  "fileSizeBytes": 1000,',
      '  "loss": 1,',
      '  "recievers": 3,',
      '  "receivers": 3',
      '}',
    ),
    [
      /^5:11: loss: .*must be below 1, because 1 would lose everything$/,
      /^6:3: recievers: unknown key; did you mean receivers\?$/,
    ],
  ],
] as const) {
  t.test(`a plan with ${what} is refused before anything is written`, { buffered }, async (t) => {
    const cwd = t.testdir({ 'my-plan.json': text });
    const exit = await startExperiment(t, ['my-plan.json', '--out', 'out'], { cwd }).exited;
    t.equal(exit.code, 2);
    t.equal(exit.stdout, '');
    const start = 'p2mp experiment: ';
    t.ok(exit.stderr.startsWith(start));
    const problems = exit.stderr.slice(start.length).trimEnd().split('\n');
    t.equal(problems.length, places.length, 'one line for each problem');
    for (const [i, place] of places.entries()) {
      t.ok(problems[i]?.startsWith('my-plan.json:'));
      t.match(problems[i]?.slice('my-plan.json:'.length), place);
    }
    t.same(readdirSync(cwd), ['my-plan.json']);
  });
}

t.test('an unknown plan: the existing plans are listed', { buffered }, async (t) => {
  const cwd = t.testdir();
  const exit = await startExperiment(t, ['recievers', '--out', 'out'], { cwd }).exited;
  checkComplaint(
    t,
    exit,
    4,
    /: plan recievers: does not exist; check the name.*did you mean receivers\?/,
  );
  for (const name of readdirSync(join(projectFolder, 'experiments/plans'))) {
    t.match(exit.stderr, name.replace('.json', ''));
  }
  t.same(readdirSync(cwd), []);
});

for (const [args, line] of [
  [[], '0 arguments: expected exactly 1, <plan>'],
  [['plan.json', 'plan.json'], '2 arguments: expected exactly 1, <plan>'],
  [['plan.json', '--jobs', '0'], '--jobs 0: must be a whole number from 1 to '],
  [['plan.json', '--jobs', '1', '--jobs', '2'], '--jobs: given more than once'],
  [['plan.json', '--shard', '0/3'], '--shard 0/3: must be i/n with i from 1 to n, such as 1/4'],
  [['plan.json', '--colour'], /colour/],
] as const) {
  const words = args.join(' ') || 'no argument';
  t.test(
    `usage errors are reported before anything is written: ${words}`,
    { buffered },
    async (t) => {
      const cwd = t.testdir();
      writePlan(cwd, plan);
      const exit = await startExperiment(t, args, { cwd }).exited;
      checkComplaint(t, exit, 2, line);
      t.match(exit.stderr, / \(see p2mp experiment --help\)\n$/);
      t.same(readdirSync(cwd), ['plan.json']);
    },
  );
}

const p2mp = (t: Test, ...args: string[]): Promise<Exit> => startCommand(t, 'p2mp', args).exited;

t.test('p2mp without a command prints its help, but is no success', { buffered }, async (t) => {
  const help = await p2mp(t, '--help');
  t.same(await p2mp(t), { ...help, code: 2 });
});

t.test('p2mp help', { buffered }, async (t) => {
  t.same(await p2mp(t, 'help'), await p2mp(t, '--help'));
  t.same(await p2mp(t, 'help', 'send'), await p2mp(t, 'send', '--help'));
  t.match(await p2mp(t, 'help', 'recieve'), { code: 2, stderr: /did you mean receive\?/ });
});

const commandList =
  'the commands are send, receive, serve, fetch, relay, exchange, list, peers, digest, keygen, experiment, completion';

for (const [verb, remedy] of [
  ['experimant', 'did you mean experiment?'],
  ['hlep', 'did you mean help?'],
  ['rec', 'did you mean receive?'],
  ['toString', commandList],
  ['__proto__', commandList],
] as const) {
  t.test(`p2mp with an unknown command says what exists: ${verb}`, { buffered }, async (t) => {
    const { code, stdout, stderr } = await p2mp(t, verb, 'quick');
    t.equal(code, 2);
    t.equal(stdout, '');
    t.equal(stderr, `p2mp: ${verb}: unknown command; ${remedy} (see p2mp --help)\n`);
  });
}

t.test('p2mp and its command print help', { buffered }, async (t) => {
  const help = await p2mp(t, '--help');
  t.match(help, { code: 0, stderr: '' });
  t.match(help.stdout, /^p2mp <command> \[options\]\n/);
  t.match(help.stdout, /^ +experiment +\w+/m);

  const { version } = JSON.parse(read(projectFolder, 'package.json'));
  t.match(await p2mp(t, '--version'), { code: 0, stdout: `${version}\n`, stderr: '' });

  const verb = await p2mp(t, 'experiment', '--help');
  t.match(verb, { code: 0, stderr: '' });
  t.match(verb.stdout, /^p2mp experiment <plan> \[options\]\n/);
  t.match(verb.stdout, /^p2mp experiment merge <folder>\.\.\. --out DIR/m);
  for (const option of ['out', 'jobs', 'shard', 'overwrite', 'dry-run', 'json', 'quiet']) {
    t.match(verb.stdout, new RegExp(` --${option}\\b`), option);
  }
  for (const name of readdirSync(join(projectFolder, 'experiments/plans'))) {
    t.match(verb.stdout, name.replace('.json', ''));
  }
});

t.test('plan and folder names may contain blanks', { buffered }, async (t) => {
  const cwd = t.testdir({ 'some plans': {} });
  writePlan(join(cwd, 'some plans'), plan, 'my plan.json');
  const plain = await startExperiment(t, ['some plans/my plan.json'], { cwd }).exited;
  t.equal(plain.code, 0, plain.stderr);
  t.ok(
    isSameData(join(cwd, 'my plan-results'), whole),
    'the default folder is named after the plan',
  );
  const report = read(join(cwd, 'my plan-results'), 'report.html');
  t.match(report, "p2mp experiment 'some plans/my plan.json' --out 'my plan-results'");
  // A shard draws no plots.
  const args = ['some plans/my plan.json', '--out', 'new/for the results', '--shard', '1/3'];
  const named = await startExperiment(t, args, { cwd }).exited;
  t.equal(named.code, 0, named.stderr);
  t.equal(countRows(join(cwd, 'new/for the results')), 8);
});

t.test('a reader that closes the pipe does not stop the experiment', { buffered }, async (t) => {
  const folder = t.testdir();
  const out = join(folder, 'out');
  const args = [writePlan(folder, plan), '--out', out, '--json', '--verbose'];
  const program: Program = startExperiment(t, args);
  program.closeStdout();
  const { code, stderr } = await program.exited;
  t.equal(code, 0);
  t.equal(stderr, '');
  t.ok(isSameData(out, whole));
  t.same(readdirSync(out).toSorted(), leftFiles);
});

t.test(
  'with --json each line is an event, and the last one is the result',
  { buffered },
  async (t) => {
    const folder = t.testdir();
    const out = join(folder, 'out');
    const args = [writePlan(folder, plan), '--out', out, '--json', '--verbose', '--jobs', '3'];
    const exit = await startExperiment(t, args).exited;
    t.match(exit, { code: 0, stderr: '' });
    t.ok(isSameData(out, whole), 'three threads give the same bytes as one');
    const events = parseEvents(exit.stdout);
    const rows = readTable(out, 'runs.csv');
    t.same(
      events.filter(({ event }) => event === 'run').map(({ time: _, ...event }) => event),
      rows.map(({ run, mode, seed, delay_s, rounds, timeouts }) => ({
        event: 'run',
        run: Number(run),
        mode,
        seed,
        seconds: Number(delay_s),
        rounds: Number(rounds),
        timeouts: Number(timeouts),
        complete: true,
      })),
    );
    const { findings, effort, ...result } = parseResult(exit);
    t.match(result, { event: 'result', status: 'complete', folder: out, runs: 24, keptRuns: 0 });
    t.match(effort, { simulatedRuns: 24, simulatedSegments: 6 * 4 * 40 * 2, realRuns: 0 });
    t.ok(findings.length > 0);
    const report = read(out, 'report.html');
    for (const finding of findings) t.ok(report.includes(`<li>${finding}</li>`), finding);
  },
);

t.test('with --quiet nothing is printed, or only the result', { buffered }, async (t) => {
  const folder = t.testdir();
  const args = [writePlan(folder, plan), '--out', join(folder, 'out'), '--quiet', '--verbose'];
  t.match(await startExperiment(t, args).exited, { code: 0, stdout: '', stderr: '' });
  t.same(readdirSync(join(folder, 'out')).toSorted(), leftFiles);
  const exit = await startExperiment(t, [...args, '--json', '--overwrite']).exited;
  t.match(exit, { code: 0, stderr: '' });
  t.same(
    parseEvents(exit.stdout).map(({ event }) => event),
    ['result'],
  );
});

t.test('runs with a failed receiver are counted separately', { buffered }, async (t) => {
  const folder = t.testdir();
  const out = join(folder, 'out');
  // Bursts that outlast the liveness timeout of twenty rounds, but not at the start of all runs.
  const failing = {
    title: 'Given up on',
    seed: 'given up',
    repetitions: 10,
    fileSizeBytes: 2000,
    receivers: 2,
    loss: [0, 0.3, 0.95],
    lossModel: 'burst:1000',
    timeoutMs: 1000,
  };
  const exit = await startExperiment(t, [writePlan(folder, failing), '--out', out]).exited;
  t.equal(exit.code, 3);
  t.equal(exit.stderr, '');
  const [none, some, all] = readTable(out, 'summary.csv');
  t.match(none, { runs: '10', failed_runs: '0' });
  const runs = readTable(out, 'runs.csv');
  for (const [summary, isAll] of [
    [some, false],
    [all, true],
  ] as const) {
    const rows = runs.filter(({ loss }) => loss === summary?.['loss']);
    t.equal(rows.length, 10);
    const complete = rows.filter(({ complete_receivers }) => complete_receivers === '2');
    t.equal(summary?.['runs'], String(complete.length));
    t.equal(summary?.['failed_runs'], String(10 - complete.length));
    t.ok(complete.length < 10, 'some failed');
    t.equal(complete.length === 0, isAll, 'all runs, or only some');
    const mean = complete.reduce((sum, { delay_s }) => sum + Number(delay_s), 0) / complete.length;
    if (isAll) t.equal(summary?.['mean_s'], '', 'no mean without complete runs');
    else t.ok(Math.abs(Number(summary?.['mean_s']) - mean) < 1e-6, 'the mean of the complete runs');
  }
  const failed = Number(some?.['failed_runs']) + Number(all?.['failed_runs']);
  t.match(exit.stdout, `A receiver failed in ${failed} runs; the means exclude these runs.`);
  t.same(readdirSync(out).toSorted(), leftFiles);

  const args = [writePlan(folder, failing), '--out', out, '--json'];
  const again = await startExperiment(t, args).exited;
  t.equal(again.code, 3, 'existing results give the same exit code');
  t.match(parseResult(again), { status: 'incomplete', runs: 30, keptRuns: 30 });
});

for (const [what, out] of [
  ['a file has its name', 'file'],
  ['a parent is a file', 'file/out'],
] as const) {
  t.test(`a folder that cannot be created is reported: ${what}`, { buffered }, async (t) => {
    const cwd = t.testdir({ file: 'old' });
    writePlan(cwd, plan);
    const exit = await startExperiment(t, ['plan.json', '--out', out], { cwd }).exited;
    checkComplaint(t, exit, 4, new RegExp(`: ${out}: [^;]+; [^;]+\n$`));
    t.notMatch(exit.stderr, /\bE[A-Z]{3,}\b/, 'no error code of the system');
    t.equal(read(cwd, 'file'), 'old');
    t.same(readdirSync(cwd).toSorted(), ['file', 'plan.json']);
  });
}

const skip = process.getuid?.() === 0 && 'root may read and write everything';

t.test('an unwritable folder is reported', { buffered, skip }, async (t) => {
  const cwd = t.testdir();
  writePlan(cwd, plan);
  mkdirSync(join(cwd, 'closed'), { mode: 0o500 });
  for (const out of ['closed', 'closed/out']) {
    const exit = await startExperiment(t, ['plan.json', '--out', out], { cwd }).exited;
    checkComplaint(t, exit, 4, `: ${out}: permission denied; `);
  }
  t.same(readdirSync(join(cwd, 'closed')), []);
});
