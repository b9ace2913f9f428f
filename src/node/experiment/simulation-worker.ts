/** The worker thread: runs one simulation after another. */
import type { Point } from '../../experiment/parameters.js';
import type { RunResult } from '../../experiment/run-result.js';
import { simulateRun } from '../../experiment/simulated/run.js';

export interface SimulationTask {
  readonly point: Point;
  readonly seed: string;
}

export default function simulate({ point, seed }: SimulationTask): RunResult {
  return simulateRun(point, seed);
}
