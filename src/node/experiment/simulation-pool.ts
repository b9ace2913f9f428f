/** Simulates runs on worker threads and yields them in the order of the plan. */
import Tinypool from 'tinypool';
import type { Run } from '../../experiment/plan.js';
import type { RunResult, RunRow } from '../../experiment/run-result.js';
import { toRunRow } from '../../experiment/run-result.js';
import type { SimulationTask } from './simulation-worker.js';

/** Runs per thread that may start before the oldest unfinished run is done, because runs differ in length. */
const aheadPerJob = 16;

/** Ends early after the signal; unfinished runs are lost. */
export async function* simulateRuns(
  runs: readonly Run[],
  jobs: number,
  signal: AbortSignal,
): AsyncGenerator<RunRow> {
  if (runs.length === 0) return;
  const threads = Math.min(jobs, runs.length);
  const pool = new Tinypool({
    filename: new URL('./simulation-worker.js', import.meta.url).href,
    minThreads: threads,
    maxThreads: threads,
    // An idle thread costs nothing, but starting one does.
    idleTimeout: Number.MAX_SAFE_INTEGER,
  });
  // Runs in the pool then reject, and their consumer handles that.
  const stop = () => void pool.destroy();
  signal.addEventListener('abort', stop, { once: true });
  const waiting: { run: Run; result: Promise<RunResult> }[] = [];
  const next = async (): Promise<RunRow | undefined> => {
    const first = waiting.shift();
    if (first === undefined) return undefined;
    try {
      return toRunRow(first.run, await first.result);
    } catch (error) {
      if (signal.aborted) return undefined;
      throw error;
    }
  };
  try {
    for (const run of runs) {
      if (signal.aborted) return;
      const task: SimulationTask = { point: run.point, seed: run.seed };
      const result = pool.run(task) as Promise<RunResult>;
      // The consumer handles the rejection later; until then it must not count as unhandled.
      result.catch(() => undefined);
      waiting.push({ run, result });
      if (waiting.length <= threads * aheadPerJob) continue;
      const row = await next();
      if (row === undefined) return;
      yield row;
    }
    while (waiting.length > 0) {
      const row = await next();
      if (row === undefined) return;
      yield row;
    }
  } finally {
    signal.removeEventListener('abort', stop);
    await pool.destroy();
  }
}
