/** Folders of results made in this process, for tests of what happens to them. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parsePlan, type Run } from '../../src/experiment/plan.js';
import { toRunRow } from '../../src/experiment/run-result.js';
import { simulateRun } from '../../src/experiment/simulated/run.js';
import { runsOf, type Shard } from '../../src/node/experiment/experiment.js';
import { ResultsFolder } from '../../src/node/experiment/results-folder.js';

/** 24 runs of a few milliseconds each. */
export const smallPlan = {
  title: 'Small',
  seed: 'a, "quoted" seed',
  repetitions: 4,
  fileSizeBytes: 20_000,
  receivers: [1, 2, 3],
  loss: [0.05, 0.1],
  link: { rttMs: 20 },
};

export interface Experiment {
  readonly planText: string;
  readonly runs: readonly Run[];
}

export function experimentOf(content: object, shard?: Shard): Experiment {
  const planText = JSON.stringify(content, null, 2);
  return { planText, runs: runsOf(parsePlan(planText, 'plan.json'), shard) };
}

/** Opens the folder and adds the missing runs. @returns the number of runs that were there */
export async function runInto(
  path: string,
  { planText, runs }: Experiment,
  isFresh = false,
): Promise<number> {
  const folder = await ResultsFolder.open(path, planText, runs, isFresh);
  const keptRuns = folder.rows.length;
  try {
    for (const run of runs.slice(keptRuns)) {
      await folder.append(toRunRow(run, simulateRun(run.point, run.seed)));
    }
  } finally {
    await folder.close();
  }
  return keptRuns;
}

export function readRuns(path: string): string {
  return readFileSync(join(path, 'runs.csv'), 'utf8');
}
