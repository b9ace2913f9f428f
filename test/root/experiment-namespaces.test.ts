/** Real runs of `p2mp experiment` in network namespaces whose paths have a rate and a queue. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'csv-parse/sync';
import t, { type Test } from 'tap';
import {
  commandLinesWith,
  distFolder,
  Program,
  parseResult,
  startExperiment,
} from '../support/processes.js';

const skip =
  (process.getuid?.() !== 0 && 'network namespaces need root') ||
  (spawnSync('ip', ['-V']).status !== 0 && 'iproute2 is not available');

/** One timeout per run, far longer than a round trip on a busy machine. */
const plan = {
  title: 'Namespaces',
  seed: 'ns-1',
  repetitions: 2,
  mode: ['simulated', 'real'],
  network: 'namespaces',
  fileSizeBytes: 20_000,
  receivers: 2,
  mssBytes: 1000,
  loss: 0.04,
  timeoutMs: 10_000,
  link: { rateBytesPerSec: 1_000_000, queueBytes: 30_000 },
};

interface Place {
  readonly args: string[];
  readonly out: string;
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

function readRuns(folder: string): Record<string, string>[] {
  return parse(readFileSync(join(folder, 'runs.csv')), { columns: true });
}

/** The namespaces that a program has created, without its prefix. */
function namespacesOf({ pid }: Program): string[] {
  const names = execFileSync('ip', ['netns', 'list'], { encoding: 'utf8' }).split('\n');
  const prefix = `p2mp-${pid}-`;
  return names
    .filter((name) => name.startsWith(prefix))
    .map((name) => name.slice(prefix.length).split(' ')[0] ?? '')
    .toSorted();
}

/** Deletes namespaces that a program should have deleted. */
function removeNamespaces(program: Program): void {
  for (const name of namespacesOf(program)) {
    execFileSync('ip', ['netns', 'del', `p2mp-${program.pid}-${name}`]);
  }
}

/** Starts an experiment with a plan that uses namespaces. */
function start(t: Test, args: readonly string[], env: Place['env']): Program {
  const program = startExperiment(t, args, { env });
  t.teardown(() => removeNamespaces(program));
  return program;
}

/** The rate limits of a device. */
function limitsOf({ pid }: Program, name: string, device: string): string {
  const args = ['netns', 'exec', `p2mp-${pid}-${name}`, 'tc', 'qdisc', 'show', 'dev', device];
  return execFileSync('ip', args, { encoding: 'utf8' });
}

/** Waits until a receiver starts writing in a real run after the first one. */
async function waitForTransfer(program: Program, temporary: string): Promise<void> {
  await program.waitFor(/"event":"run",.*"mode":"real"/);
  const folder = await program.waitForFile(temporary, /^p2mp experiment /);
  await program.waitForFile(folder, /^\.copy [12]\.bin\..*\.part$/);
}

t.test('runs in namespaces match the simulator', { skip }, async (t) => {
  const { args, out, temporary, env } = prepare(t, plan);
  const program = start(t, [...args, '--verbose'], env);
  await waitForTransfer(program, temporary);
  t.same(namespacesOf(program), ['0', '1', '2', 'bridge'], 'one host for each process');
  for (const [name, device] of [
    ['1', 'eth0'],
    ['2', 'eth0'],
    ['bridge', 'p1'],
    ['bridge', 'p2'],
  ] as const) {
    t.match(limitsOf(program, name, device), /^qdisc tbf .* rate 8Mbit .*/, `${name} ${device}`);
  }
  t.notMatch(limitsOf(program, '0', 'eth0'), 'tbf', 'the sender has no limit of its own');
  const exit = await program.exited;
  t.equal(exit.code, 0, exit.stderr);
  t.equal(exit.stderr, '');
  t.same(namespacesOf(program), [], 'no namespace remains');
  t.same(readdirSync(temporary), [], 'no temporary folder remains');
  t.same(commandLinesWith(temporary), [], 'no process remains');

  const rows = readRuns(out);
  const counts = rows.map(({ seed, rounds, timeouts, retransmissions, complete_receivers }) => {
    return { seed, rounds, timeouts, retransmissions, complete_receivers };
  });
  t.equal(counts.length, 4);
  t.same(counts.slice(2), counts.slice(0, 2));
  for (const { mode, rtt_ms, twin_delay_s, timeouts, complete_receivers } of rows.slice(2)) {
    t.equal(mode, 'real');
    t.equal(complete_receivers, '2');
    t.ok(Number(timeouts) > 0);
    t.ok(Number(rtt_ms) > 0);
    t.ok(Number(twin_delay_s) > 0);
  }
});

t.test('no run is faster than the rate of its path', { skip }, async (t) => {
  const [bytes, rate, bucketBytes] = [400_000, 400_000, 66_000];
  const link = { rateBytesPerSec: rate };
  const content = { ...plan, mode: 'real', repetitions: 1, loss: 0, fileSizeBytes: bytes, link };
  const { args, out, env } = prepare(t, content);
  const exit = await start(t, args, env).exited;
  t.equal(exit.code, 0, exit.stderr);
  const [row] = readRuns(out);
  t.match(row, { rate_bytes_per_s: `${rate}`, queue_bytes: '', complete_receivers: '2' });
  // A full token bucket passes at once.
  const leastS = (bytes - bucketBytes) / rate;
  t.ok(Number(row?.['delay_s']) > leastS, `${row?.['delay_s']} s, at least ${leastS} s`);
  t.ok(
    Number(row?.['rtt_ms']) > (leastS * 1000) / 400,
    'the measuring transfer is not faster either',
  );
});

t.test('points with other receiver counts and rates run in sequence', { skip }, async (t) => {
  const link = { rateBytesPerSec: [1_000_000, 2_000_000], queueBytes: [20_000, 40_000] };
  const receivers = { from: 1, to: 2 };
  const content = { ...plan, mode: 'real', repetitions: 1, loss: 0, receivers, link };
  const { args, out, temporary, env } = prepare(t, content);
  const program = start(t, args, env);
  const exit = await program.exited;
  t.equal(exit.code, 0, exit.stderr);
  const rows = readRuns(out);
  t.equal(rows.length, 8);
  for (const row of rows) t.equal(row['complete_receivers'], row['receivers']);
  t.same(namespacesOf(program), []);
  t.same(readdirSync(temporary), []);
});

t.test('SIGINT leaves neither namespaces nor processes', { skip }, async (t) => {
  const { args, out, temporary, env } = prepare(t, plan);
  const program = start(t, [...args, '--verbose'], env);
  await waitForTransfer(program, temporary);
  t.same(namespacesOf(program), ['0', '1', '2', 'bridge']);
  program.kill('SIGINT');
  const exit = await program.exited;
  t.equal(exit.code, 130);
  t.match(exit.stderr, /^p2mp experiment: interrupted after 3 of 4 runs, saved in [^\n]+\n$/);
  t.same(namespacesOf(program), [], 'no namespace remains');
  t.same(commandLinesWith(temporary), [], 'no process remains');
  t.same(readdirSync(temporary), [], 'no temporary folder remains');

  const again = start(t, args, env);
  const exitAgain = await again.exited;
  t.equal(exitAgain.code, 0, exitAgain.stderr);
  t.match(parseResult(exitAgain), { status: 'complete', runs: 4, keptRuns: 3 });
  t.same(namespacesOf(again), []);
  t.equal(readRuns(out).length, 4);
});

t.test('a missing temporary folder leaves no namespace', { skip }, async (t) => {
  const { args, temporary } = prepare(t, { ...plan, mode: 'real' });
  const program = start(t, args, { TMPDIR: join(temporary, 'none') });
  t.equal((await program.exited).code, 4);
  t.same(namespacesOf(program), []);
});

t.test('the error without iproute2 says what is missing', { skip }, async (t) => {
  const { args, env } = prepare(t, { ...plan, mode: 'real' });
  const words = [process.execPath, join(distFolder, 'cli/p2mp.js'), 'experiment', ...args];
  const program = new Program(t, 'env', ['PATH=/nonexistent', ...words], { env });
  const { code, stdout, stderr } = await program.exited;
  t.equal(code, 4);
  t.match(parseResult({ stdout }), { error: { code: 'RUN_FAILED' } });
  t.match(stderr, /^p2mp experiment: network namespaces: .*iproute2.*"network": "loopback".*\n$/);
});
