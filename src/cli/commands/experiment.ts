/** `p2mp experiment <plan>` runs a plan; `p2mp experiment merge <folder>...` merges the results of shards. */
import { availableParallelism } from 'node:os';
import { P2mpError } from '../../base/errors.js';
import { formatPlural } from '../../base/format.js';
import { withoutUndefined } from '../../base/without-undefined.js';
import { isComplete } from '../../experiment/run-result.js';
import { conclude } from '../../node/experiment/conclusion.js';
import { describeEffort } from '../../node/experiment/effort-meter.js';
import { runExperiment, runsOf } from '../../node/experiment/experiment.js';
import { mergeShards } from '../../node/experiment/merge.js';
import { parseJobs, parseShard } from '../arguments.js';
import { createParser, flagOption, onInterrupt, parse, single, textOption } from '../command.js';
import type { ExitCode } from '../exit-code.js';
import { exitCode } from '../exit-code.js';
import { ExperimentProgress } from '../output/experiment-progress.js';
import type { Concluded } from '../output/experiment-summary.js';
import { experimentResultJson, printExperiment, printRun } from '../output/experiment-summary.js';
import { Output } from '../output/output.js';
import { defaultFolder, listPlans, readPlan } from '../plan-file.js';

const usage = [
  '$0 <plan> [options]',
  '$0 merge <folder>... --out DIR [options]',
  '',
  'Runs all transfers of a plan, in virtual time or over real sockets, and writes runs.csv,',
  'summary.csv, plot.svg, plot.png and report.html to a folder. <plan> is a JSON file or the name',
  'of a bundled plan:',
  `  ${listPlans().join(', ')}.`,
  'Results that are already in the folder are kept: to resume, run the same command again.',
  'merge combines the folders of all shards into one.',
].join('\n');

const exitCodes = [
  'Exit codes: 0 complete; 2 usage error or invalid plan; 3 a receiver failed in at least one run;',
  '4 file or process error, or the folder holds results of another plan; 130 interrupted.',
].join('\n');

const planOptions = {
  out: {
    ...textOption,
    alias: 'o',
    value: 'FOLDER',
    describe: 'Folder for the results',
    defaultDescription: '<plan>-results',
  },
  jobs: {
    ...textOption,
    alias: 'j',
    value: 'COUNT',
    default: String(availableParallelism()),
    describe: 'Number of simulation threads',
    defaultDescription: 'number of processors',
  },
  shard: {
    ...textOption,
    value: 'I/N',
    describe: 'Run only shard I of N, for array jobs; merge the folders afterwards',
  },
  overwrite: { ...flagOption, describe: 'Discard the results that the folder holds' },
  'dry-run': { ...flagOption, alias: 'n', describe: 'Check the plan without running it' },
} as const;

export function createExperimentParser() {
  return createParser({
    name: 'p2mp experiment',
    usage,
    groups: {
      Runs: planOptions,
      Output: { verbose: { ...flagOption, alias: 'v', describe: 'Print each run' } },
    },
    examples: [
      ['$0 receivers', 'delay against the number of receivers'],
      ['$0 my-plan.json --shard 2/8', 'second of eight array jobs'],
      ['$0 merge my-plan-results/shard-* --out my-plan-results', 'after all shards'],
    ],
    exitCodes,
  });
}

interface Arguments {
  readonly out: string | undefined;
  readonly jobs: string;
  readonly shard: string | undefined;
  readonly overwrite: boolean;
  readonly isDryRun: boolean;
  readonly isVerbose: boolean;
}

export async function experiment(args: readonly string[]): Promise<ExitCode> {
  const argv = await parse(createExperimentParser(), args);
  if (typeof argv === 'number') return argv;
  const output = new Output({ isJson: argv.json, isQuiet: argv.quiet, color: argv.color });
  const { out, jobs, shard, overwrite } = argv;
  const given: Arguments = {
    out: out === undefined ? undefined : single('out', out),
    jobs: single('jobs', jobs),
    shard: shard === undefined ? undefined : single('shard', shard),
    overwrite,
    isDryRun: argv['dry-run'],
    isVerbose: argv.verbose,
  };
  const [first, ...more] = argv._;
  if (first === 'merge') return merge(more, given, output);
  if (first === undefined || more.length > 0) {
    throw new P2mpError(
      'INVALID_ARGUMENT',
      `${argv._.length} arguments: expected exactly 1, <plan>`,
    );
  }
  return run(first, given, output);
}

async function run(name: string, given: Arguments, output: Output): Promise<ExitCode> {
  const { plan, planText } = await readPlan(name);
  const shard = given.shard === undefined ? undefined : parseShard(given.shard);
  const outFolder = given.out ?? defaultFolder(name, shard);
  const jobs = parseJobs(given.jobs);
  if (given.isDryRun) {
    const runs = runsOf(plan, shard).length;
    const points = plan.points.length * plan.mode.length;
    output.line(`${plan.title}: ${formatPlural(points, 'point')}, ${formatPlural(runs, 'run')}`);
    output.json({ event: 'result', status: 'dry-run', points, runs });
    output.flush();
    return exitCode.ok;
  }
  const interruption = new AbortController();
  onInterrupt(() => interruption.abort());
  const progress = new ExperimentProgress(output);
  const result = await runExperiment({
    plan,
    planText,
    outFolder,
    jobs,
    isFresh: given.overwrite,
    signal: interruption.signal,
    onRun: (row, far) => {
      if (given.isVerbose) printRun(output, row);
      progress.show(far);
    },
    ...withoutUndefined({ shard }),
  }).finally(() => progress.end());
  const { folder, isWhole, keptRuns, effort } = result;
  if (!isWhole) {
    const total = runsOf(plan, shard).length;
    output.json({
      event: 'result',
      status: 'interrupted',
      folder: outFolder,
      runs: folder.rows.length,
    });
    output.error(
      `p2mp experiment: interrupted after ${folder.rows.length} of ${formatPlural(total, 'run')}, saved in ` +
        `${outFolder}; to resume, run the same command again`,
    );
    return exitCode.interrupted;
  }
  const command = commandLine([name, '--out', outFolder]);
  const concluded: Concluded = { plan, folder, keptRuns, effort };
  if (shard !== undefined && shard.count > 1) return end(output, concluded);
  const sentences = describeEffort(effort);
  const conclusion = await conclude(plan, planText, folder, command, sentences);
  return end(output, { ...concluded, conclusion });
}

async function merge(
  folders: readonly string[],
  given: Arguments,
  output: Output,
): Promise<ExitCode> {
  const { out, shard, overwrite } = given;
  if (folders.length === 0) {
    throw new P2mpError(
      'INVALID_ARGUMENT',
      'merge: no folder given; name the folders of the shards',
    );
  }
  if (out === undefined) {
    throw new P2mpError('INVALID_ARGUMENT', 'merge: no target folder given; name it with --out');
  }
  if (shard !== undefined) {
    throw new P2mpError('INVALID_ARGUMENT', 'merge: does not support --shard; leave it out');
  }
  if (given.isDryRun) {
    throw new P2mpError('INVALID_ARGUMENT', 'merge: does not support --dry-run; leave it out');
  }
  const { plan, planText, folder } = await mergeShards(folders, out, overwrite);
  const command = commandLine(['merge', ...folders, '--out', out]);
  const conclusion = await conclude(plan, planText, folder, command, []);
  return end(output, { plan, folder, keptRuns: folder.rows.length, conclusion });
}

function end(output: Output, concluded: Concluded): ExitCode {
  output.json(experimentResultJson(concluded));
  printExperiment(output, concluded);
  output.flush();
  const { missing } = concluded.conclusion ?? {};
  if (missing !== undefined) output.warn(`p2mp experiment: ${missing.message}`);
  return concluded.folder.rows.every(isComplete) ? exitCode.ok : exitCode.some;
}

/** @returns the command line, quoted for a POSIX shell */
function commandLine(args: readonly string[]): string {
  const quoted = args.map((arg) =>
    /^[\w@%+=:,./-]+$/.test(arg) ? arg : `'${arg.replaceAll("'", "'\\''")}'`,
  );
  return ['p2mp', 'experiment', ...quoted].join(' ');
}
