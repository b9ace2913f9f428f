/** `p2mp experiment` is stopped midway, and the same command resumes. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import {
  countRows,
  isSameData,
  leftFiles,
  read,
  writePlan,
} from '../../support/experiment-commands.js';
import { type Exit, parseEvents, parseResult, startExperiment } from '../../support/processes.js';

t.jobs = 4;
const buffered = true;

/** Runs that take seconds in total, shortest first, so that a signal arrives midway. */
const plan = {
  title: 'Long',
  seed: 'long',
  repetitions: 6,
  fileSizeBytes: 100_000,
  receivers: [1, 30, 60],
  loss: 0.05,
};
const runCount = 18;

const shared = t.testdir({});
let whole: Promise<string> | undefined;

/** Runs the plan once without interruption. @returns its folder */
function runWhole(): Promise<string> {
  whole ??= (async () => {
    const folder = join(shared, 'long');
    const path = writePlan(shared, plan, 'long.json');
    const { code, stderr } = await startExperiment(t, [path, '--out', folder]).exited;
    if (code !== 0) throw new Error(stderr);
    return folder;
  })();
  return whole;
}

interface Stopped {
  readonly exit: Exit;
  readonly folder: string;
  readonly runAgain: () => Promise<Exit>;
}

/** Runs the plan and stops it after the first rows. */
async function stopMidway(t: Test, signal: NodeJS.Signals): Promise<Stopped> {
  const base = t.testdir();
  const folder = join(base, 'out');
  const args = [writePlan(base, plan), '--out', folder, '--json'];
  const program = startExperiment(t, [...args, '--jobs', '1', '--verbose']);
  await program.waitForEvent('run');
  program.kill(signal);
  const exit = await program.exited;
  return { exit, folder, runAgain: () => startExperiment(t, args).exited };
}

async function checkGoingOn(t: Test, { folder, runAgain }: Stopped): Promise<void> {
  const rows = countRows(folder);
  t.ok(rows < runCount, `${rows} of ${runCount} runs are there`);
  t.same(readdirSync(folder).toSorted(), ['plan.json', 'runs.csv']);
  const again = await runAgain();
  t.equal(again.code, 0, again.stderr);
  const { status, runs, keptRuns, effort } = parseResult(again);
  t.same({ status, runs, keptRuns }, { status: 'complete', runs: runCount, keptRuns: rows });
  t.equal(effort.simulatedRuns, runCount - rows, 'no run is repeated');
  t.ok(isSameData(folder, await runWhole()));
  t.same(readdirSync(folder).toSorted(), leftFiles);
}

t.test(
  'after SIGINT midway, only whole rows remain, and the run resumes',
  { buffered },
  async (t) => {
    const stopped = await stopMidway(t, 'SIGINT');
    const { exit, folder } = stopped;
    t.equal(exit.code, 130);
    const rows = countRows(folder);
    t.ok(rows > 0);
    t.ok(read(folder, 'runs.csv').endsWith('\r\n'), 'no partial row');
    t.equal(
      exit.stderr,
      `p2mp experiment: interrupted after ${rows} of ${runCount} runs, saved in ${folder}; ` +
        'to resume, run the same command again\n',
    );
    t.match(parseResult(exit), { status: 'interrupted', folder, runs: rows });
    const [progress] = parseEvents(exit.stdout).filter(({ event }) => event === 'progress');
    t.match(progress, { doneRuns: Number, runs: runCount, etaSeconds: Number });
    await checkGoingOn(t, stopped);
  },
);

t.test('after SIGKILL midway, the run resumes', { buffered }, async (t) => {
  const stopped = await stopMidway(t, 'SIGKILL');
  t.equal(stopped.exit.signal, 'SIGKILL');
  await checkGoingOn(t, stopped);
});
