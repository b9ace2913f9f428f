/** Simulates runs on worker threads and yields them in the order of the plan. */
import Tinypool from 'tinypool';
import type { Run } from '../../experiment/plan.js';
import type { RunResult, RunRow } from '../../experiment/run-result.js';
import { toRunRow } from '../../experiment/run-result.js';
import type { SimulationTask } from './simulation-worker.js';

/**
 * Number of runs per thread that can be started before the oldest unfinished run has ended. Runs differ in
 * length, so without such a lead, threads would wait idle for a long run.
 */
const aheadPerJob = 16;

/** Ends early when the signal aborts; the results of unfinished runs are lost. */
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
  // Destroying the pool rejects its unfinished runs. `next` handles these rejections.
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
      // `next` handles a rejection later; until then, the rejection must not count as unhandled.
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
