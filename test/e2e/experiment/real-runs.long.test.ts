/** Real runs of `p2mp experiment` over loopback, with processes and sockets. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'csv-parse/sync';
import t, { type Test } from 'tap';
import { commandLinesWith, parseResult, startExperiment } from '../../support/processes.js';

t.jobs = 2;
const buffered = true;

/** One timeout per run, far longer than a round trip on a busy machine. */
const plan = {
  title: 'Real',
  seed: 'run-11',
  repetitions: 2,
  mode: ['real', 'simulated'],
  fileSizeBytes: 20_000,
  receivers: 2,
  mssBytes: 1000,
  loss: 0.04,
  timeoutMs: 10_000,
};
const segments = 20;

interface Place {
  readonly args: string[];
  readonly out: string;
  /** The folder for temporary files. */
  readonly temporary: string;
  readonly env: Readonly<Record<string, string>>;
}

function prepare(t: Test, content: object): Place {
  const folder = t.testdir();
  const [out, temporary] = [join(folder, 'out'), join(folder, 'temporary')];
  mkdirSync(temporary);
  const path = join(folder, 'plan.json');
  writeFileSync(path, JSON.stringify(content));
  return { args: [path, '--out', out, '--json'], out, temporary, env: { TMPDIR: temporary } };
}

function readTable(folder: string, name: string): Record<string, string>[] {
  return parse(readFileSync(join(folder, name)), { columns: true });
}

/** Checks that real runs lose the same packets as simulated runs, with the same reaction. */
function checkTwins(t: Test, out: string): void {
  const { repetitions } = plan;
  const rows = readTable(out, 'runs.csv');
  t.same(
    rows.map(({ mode }) => mode),
    ['simulated', 'real'].flatMap((mode) => Array(repetitions).fill(mode)),
    'simulated runs come first',
  );
  for (const real of rows.slice(repetitions)) {
    const { repetition, seed, rounds, timeouts, retransmissions } = real;
    const twin = rows.find((row) => row['repetition'] === repetition);
    const what = { mode: 'simulated', repetition, seed, rounds, timeouts, retransmissions };
    t.match(twin, what, `repetition ${repetition}`);
    t.ok(Number(timeouts) > 0 && Number(retransmissions) > 0, 'packets were lost');
    t.equal(Number(rounds), segments + Number(timeouts));
    t.equal(real['complete_receivers'], '2');
    t.ok(Number(real['rtt_ms']) > 0, 'a round trip was measured');
    // Each timeout elapses, whatever the round trip.
    const leastS = (Number(timeouts) * plan.timeoutMs) / 1000;
    t.ok(Number(real['twin_delay_s']) > leastS, 'the twin waited for each timeout');
    t.equal(twin?.['twin_delay_s'], '', 'the simulator has no twin');
  }
  const [simulated, real] = readTable(out, 'summary.csv');
  t.match(simulated, { mode: 'simulated', runs: `${repetitions}`, twin_mean_s: '' });
  t.match(real, { mode: 'real', runs: `${repetitions}`, failed_runs: '0', twin_mean_s: /^\d/ });
  t.match(real, { model_s: /^\d/, deviation_se: /\d/ }, 'the model uses the measured round trip');
}

t.test('real runs match the same runs in the simulator', { buffered }, async (t) => {
  const { args, out, temporary, env } = prepare(t, plan);
  const exit = await startExperiment(t, args, { env }).exited;
  t.equal(exit.code, 0, exit.stderr);
  t.equal(exit.stderr, '');
  t.match(parseResult(exit), { status: 'complete', runs: 4, keptRuns: 0 });
  checkTwins(t, out);
  t.same(readdirSync(temporary), [], 'no temporary folder remains');
  t.same(commandLinesWith(temporary), [], 'no process remains');
});

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  t.test(
    `${signal} in a real run leaves nothing${signal === 'SIGINT' ? ', and the experiment resumes' : ''}`,
    { buffered },
    async (t) => {
      // The run waits for a timeout, so the test can see that it has started.
      const { args, out, temporary, env } = prepare(t, plan);
      const program = startExperiment(t, [...args, '--verbose'], { env });
      await program.waitFor(/"event":"run",.*"mode":"real"/);
      const folder = await program.waitForFile(temporary, /^p2mp experiment /);
      // A receiver has started writing.
      await program.waitForFile(folder, /^\.copy [12]\.bin\..*\.part$/);
      const running = commandLinesWith(folder).map((line) => /p2mp(server|client)/.exec(line)?.[1]);
      t.same(running.toSorted(), ['client', 'server', 'server']);
      program.kill(signal);
      const exit = await program.exited;
      t.equal(exit.code, 130);
      t.equal(
        exit.stderr,
        `p2mp experiment: interrupted after 3 of 4 runs, saved in ${out}; ` +
          'to resume, run the same command again\n',
      );
      t.match(parseResult(exit), { status: 'interrupted', runs: 3 });
      t.same(commandLinesWith(temporary), [], 'no process remains');
      t.same(readdirSync(temporary), [], 'no temporary folder remains');
      t.same(readdirSync(out).toSorted(), ['plan.json', 'runs.csv']);
      const before = readTable(out, 'runs.csv');
      t.equal(before.length, 3, 'the interrupted run is not counted');

      if (signal === 'SIGTERM') return;

      const again = await startExperiment(t, args, { env }).exited;
      t.equal(again.code, 0, again.stderr);
      t.match(parseResult(again), { status: 'complete', runs: 4, keptRuns: 3 });
      t.same(readTable(out, 'runs.csv').slice(0, 3), before);
      checkTwins(t, out);
      t.same(readdirSync(temporary), []);
    },
  );
}

t.test('real runs support a window and an automatic timeout', { buffered }, async (t) => {
  const content = { ...plan, mode: 'real', repetitions: 1, window: 8, timeoutMs: 'auto' };
  const { args, out, env } = prepare(t, content);
  const exit = await startExperiment(t, args, { env }).exited;
  t.equal(exit.code, 0, exit.stderr);
  const [row, ...more] = readTable(out, 'runs.csv');
  t.same(more, []);
  t.match(row, { mode: 'real', window: '8', timeout_ms: 'auto', complete_receivers: '2' });
  const [summary] = readTable(out, 'summary.csv');
  t.match(summary, { runs: '1', sd_s: '', model_s: '' }, 'no model covers it');
});

t.test('uploads run in both orders, and every file is verified', { buffered }, async (t) => {
  const uploads = { senders: [1, 3], rateBytesPerSec: 1_000_000 };
  const { title, seed, fileSizeBytes, mssBytes } = plan;
  const content = { title, seed, fileSizeBytes, mssBytes, receivers: 1, repetitions: 1, uploads };
  const { args, out, temporary, env } = prepare(t, { ...content, mode: 'real' });
  const exit = await startExperiment(t, args, { env }).exited;
  t.equal(exit.code, 0, exit.stderr);
  const rows = readTable(out, 'runs.csv');
  t.same(
    rows.map(({ order, senders }) => `${order} ${senders}`),
    ['sequence 1', 'sequence 3', 'parallel 1', 'parallel 3'],
  );
  for (const row of rows)
    t.match(row, { complete_receivers: '1', rounds: '', protocol: 'unicast' });
  t.ok(Number(rows[3]?.['datagrams']) >= 3 * segments);
  const [, , , parallel] = readTable(out, 'summary.csv');
  t.match(parallel, { senders: '3', order: 'parallel', speedup: /^\d/, model_s: '0.02' });
  t.same(readdirSync(temporary), [], 'no temporary folder remains');
  t.same(commandLinesWith(temporary), [], 'no process remains');
});

t.test(
  'fetches run with sources that stay or die, and the copy is verified',
  { buffered },
  async (t) => {
    const fetches = {
      sources: 2,
      split: ['speed', 'equal'],
      deaths: [0, 1],
      rateBytesPerSec: 400_000,
    };
    const { title, seed, mssBytes } = plan;
    const content = { title, seed, fileSizeBytes: 200_000, mssBytes, receivers: 1, fetches };
    const { args, out, temporary, env } = prepare(t, { ...content, mode: 'real', repetitions: 1 });
    const exit = await startExperiment(t, args, { env }).exited;
    t.equal(exit.code, 0, exit.stderr);
    const rows = readTable(out, 'runs.csv');
    t.same(
      rows.map(({ split, deaths }) => `${split} ${deaths}`),
      ['speed 0', 'equal 0', 'speed 1', 'equal 1'],
    );
    for (const row of rows)
      t.match(row, { complete_receivers: '1', rounds: '', datagrams: '', twin_delay_s: /^\d/ });
    t.same(readdirSync(temporary), [], 'no temporary folder remains');
    t.same(commandLinesWith(temporary), [], 'no process remains');
  },
);

t.test('a missing temporary folder is reported', { buffered }, async (t) => {
  const { args, temporary } = prepare(t, { ...plan, mode: 'real', repetitions: 1, loss: 0 });
  const env = { TMPDIR: join(temporary, 'none') };
  const { code, stderr } = await startExperiment(t, args, { env }).exited;
  t.equal(code, 4);
  t.match(stderr, /^p2mp experiment: [^\n]*none[^\n]*: does not exist; [^\n]*\n$/);
});
