/** Summarizes runs: one row per point and mode, with the model's predictions. */
import type { Model } from './model.js';
import { createModel, roundTripMs } from './model.js';
import type { Mode, Point } from './parameters.js';
import { isSession } from './parameters.js';
import type { RunRow } from './run-result.js';
import { isComplete } from './run-result.js';
import { describeSample } from './statistics.js';

/** Summary of the runs of one point in one mode. */
export interface PointSummary {
  readonly point: Point;
  readonly mode: Mode;
  /** Number of complete runs, on which the statistics are based. */
  readonly runs: number;
  /** Number of runs in which a receiver failed. */
  readonly failedRuns: number;
  /**
   * For simulated runs, the RTT of the path. For real runs, the mean measured RTT. Undefined if no
   * run is complete.
   */
  readonly rttMs: number | undefined;
  readonly meanS: number | undefined;
  /**
   * Standard deviation of the delay. Like the confidence interval, it is undefined for fewer than two runs.
   */
  readonly sdS: number | undefined;
  readonly ci95LowS: number | undefined;
  readonly ci95HighS: number | undefined;
  /** Undefined for sessions, which have no rounds. `timeouts` is undefined for them, too. */
  readonly rounds: number | undefined;
  readonly timeouts: number | undefined;
  readonly retransmissions: number | undefined;
  readonly goodputBytesPerSec: number | undefined;
  readonly modelS: number | undefined;
  /** Standard deviation of the delay of one run, as predicted by the model. */
  readonly modelSdS: number | undefined;
  readonly modelRounds: number | undefined;
  /**
   * Measured mean minus predicted mean, divided by the predicted standard error of the mean. Undefined if the
   * model predicts no spread, which is the case without losses.
   */
  readonly deviationSe: number | undefined;
  /** Mean delay of the same uploads one after another, divided by this one; only for uploads at once. */
  readonly speedup: number | undefined;
  /** Mean delay of the same runs in the simulator, with the measured RTT. Real runs only. */
  readonly twinS: number | undefined;
}

/**
 * Summarizes runs by point and mode.
 * @param rows in the order of the runs
 */
export function summarize(rows: Iterable<RunRow>): PointSummary[] {
  const groups = new Map<string, RunRow[]>();
  for (const row of rows) {
    const key = `${row.mode} ${JSON.stringify(row.point)}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [row]);
    else group.push(row);
  }
  const summaries = [...groups.values()].map(summarizePoint);
  return summaries.map((summary) => ({ ...summary, speedup: speedupOf(summary, summaries) }));
}

function speedupOf(own: PointSummary, summaries: readonly PointSummary[]): number | undefined {
  if (own.point.order !== 'parallel' || own.meanS === undefined) return undefined;
  const key = JSON.stringify({ ...own.point, order: 'sequence' });
  const sequence = summaries.find(({ point }) => JSON.stringify(point) === key);
  return sequence?.meanS === undefined ? undefined : sequence.meanS / own.meanS;
}

function summarizePoint(rows: readonly RunRow[]): PointSummary {
  const { point, mode } = rows[0] as RunRow;
  const complete = rows.filter(isComplete);
  const mean = (value: (row: RunRow) => number | undefined) => {
    const values = complete.map(value).filter((one) => one !== undefined);
    return values.length === 0 ? undefined : describeSample(values).mean;
  };
  const rttMs = mean((row) => row.rttMs);
  const sample =
    complete.length > 0 ? describeSample(complete.map((row) => row.delayS)) : undefined;
  const model = rttMs === undefined ? undefined : modelOf(point, mode, rttMs);
  const halfS = sample?.ci95HalfWidth;
  const meanS = sample?.mean;
  return {
    point,
    mode,
    runs: complete.length,
    failedRuns: rows.length - complete.length,
    rttMs,
    meanS,
    sdS: sample?.standardDeviation,
    ci95LowS: meanS === undefined || halfS === undefined ? undefined : meanS - halfS,
    ci95HighS: meanS === undefined || halfS === undefined ? undefined : meanS + halfS,
    rounds: mean((row) => (isSession(point) ? undefined : row.rounds)),
    timeouts: mean((row) => (isSession(point) ? undefined : row.timeouts)),
    retransmissions: mean((row) => row.retransmissions),
    goodputBytesPerSec: mean((row) => goodputBytesPerSec(row)),
    modelS: model === undefined ? undefined : model.meanDelayMs / 1000,
    modelSdS: model === undefined ? undefined : model.deviationMs / 1000,
    modelRounds: model?.rounds,
    deviationSe: deviation(meanS, complete.length, model),
    speedup: undefined,
    twinS: mean((row) => row.twinDelayS),
  };
}

/** In real runs, the measured RTT already includes all delays of the path. */
function modelOf(point: Point, mode: Mode, rttMs: number): Model | undefined {
  return createModel(point, mode === 'real' ? rttMs : roundTripMs(point));
}

/** File bytes per second at each receiver, from all senders together; undefined if no time has passed. */
export function goodputBytesPerSec({ point, delayS }: RunRow): number | undefined {
  return delayS > 0 ? ((point.senders ?? 1) * point.fileSizeBytes) / delayS : undefined;
}

function deviation(meanS: number | undefined, runs: number, model: Model | undefined) {
  if (meanS === undefined || model === undefined) return undefined;
  // Without losses, the model predicts no spread. A value far below the mean is only a rounding error.
  if (model.deviationMs <= 1e-9 * model.meanDelayMs) return undefined;
  const standardErrorS = model.deviationMs / 1000 / Math.sqrt(runs);
  return (meanS - model.meanDelayMs / 1000) / standardErrorS;
}
