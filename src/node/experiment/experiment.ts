/** Runs a plan, or one shard of it, into a folder; runs that the folder already holds are kept. */

import type { Plan, Run } from '../../experiment/plan.js';
import { listRuns } from '../../experiment/plan.js';
import type { RunRow } from '../../experiment/run-result.js';
import { toRunRow } from '../../experiment/run-result.js';
import type { Effort } from './effort-meter.js';
import { EffortMeter } from './effort-meter.js';
import { RealRunner } from './real-run.js';
import { ResultsFolder } from './results-folder.js';
import { simulateRuns } from './simulation-pool.js';

/** One of the `count` shards of an experiment; `index` counts from 1. */
export interface Shard {
  readonly index: number;
  readonly count: number;
}

export interface ExperimentOptions {
  readonly plan: Plan;
  readonly planText: string;
  readonly outFolder: string;
  /** Number of simulation threads. Real runs are sequential, because they would slow each other down. */
  readonly jobs: number;
  readonly shard?: Shard;
  /** Whether to discard the results that the folder holds. */
  readonly isFresh: boolean;
  readonly signal: AbortSignal;
  readonly onRun?: (row: RunRow, progress: Progress) => void;
}

export interface Progress {
  readonly doneRuns: number;
  readonly totalRuns: number;
  readonly etaS: number;
}

export interface ExperimentResult {
  readonly folder: ResultsFolder;
  readonly isWhole: boolean;
  /** Runs that the folder already held. */
  readonly keptRuns: number;
  readonly effort: Effort;
}

/** The runs of a shard: every `count`-th run, so that each shard gets long and short runs. */
export function runsOf(plan: Plan, shard: Shard = { index: 1, count: 1 }): Run[] {
  return [...listRuns(plan)].filter(({ index }) => index % shard.count === shard.index - 1);
}

/** @throws P2mpError RESULTS_DIFFER, TARGET_UNWRITABLE, RUN_FAILED */
export async function runExperiment(options: ExperimentOptions): Promise<ExperimentResult> {
  const { plan, planText, outFolder, shard, isFresh, signal } = options;
  const runs = runsOf(plan, shard);
  const folder = await ResultsFolder.open(outFolder, planText, runs, isFresh);
  const keptRuns = folder.rows.length;
  const left = runs.slice(keptRuns);
  const meter = new EffortMeter(left);
  try {
    for await (const row of runAll(left, options)) {
      // Drop the row, because it can be wrong: if Ctrl-C stopped a process of the run, the other processes
      // can have reported that process as failed.
      if (signal.aborted) break;
      await folder.append(row);
      meter.add(row);
      const progress = { doneRuns: folder.rows.length, totalRuns: runs.length, etaS: meter.etaS };
      options.onRun?.(row, progress);
    }
  } finally {
    await folder.close();
  }
  const isWhole = folder.rows.length === runs.length;
  return { folder, isWhole, keptRuns, effort: meter.effort };
}

async function* runAll(
  runs: readonly Run[],
  { plan, jobs, signal }: ExperimentOptions,
): AsyncGenerator<RunRow> {
  yield* simulateRuns(
    runs.filter(({ mode }) => mode === 'simulated'),
    jobs,
    signal,
  );
  const realRuns = runs.filter(({ mode }) => mode === 'real');
  if (realRuns.length === 0 || signal.aborted) return;
  const runner = await RealRunner.open(plan, signal);
  try {
    for (const run of realRuns) {
      if (signal.aborted) return;
      yield toRunRow(run, await runner.run(run));
    }
  } catch (error) {
    // Ctrl-C also reaches the child processes. Their exit can be noticed before this process handles its own
    // signal.
    await new Promise((resolve) => setImmediate(resolve));
    if (!signal.aborted) throw error;
  } finally {
    await runner.close();
  }
}
