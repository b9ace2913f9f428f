/** Runs summed up: a row for each point and mode, beside what the model says. */
import type { Model } from './model.js';
import { createModel, roundTripMs } from './model.js';
import type { Mode, Point } from './parameters.js';
import type { RunRow } from './run-result.js';
import { isComplete } from './run-result.js';
import { describeSample } from './statistics.js';

export interface PointSummary {
  readonly point: Point;
  readonly mode: Mode;
  /** Complete runs: what the rest is about. */
  readonly runs: number;
  /** Runs in which a receiver was given up on. */
  readonly failedRuns: number;
  /** Simulated: the path's. Real: measured, mean of the runs. Undefined without complete runs. */
  readonly rttMs: number | undefined;
  readonly meanS: number | undefined;
  /** Undefined of fewer than two runs; so is the interval. */
  readonly sdS: number | undefined;
  readonly ci95LowS: number | undefined;
  readonly ci95HighS: number | undefined;
  readonly rounds: number | undefined;
  readonly timeouts: number | undefined;
  readonly retransmissions: number | undefined;
  readonly goodputBytesPerSec: number | undefined;
  readonly modelS: number | undefined;
  /** Standard deviation of one run by the model. */
  readonly modelSdS: number | undefined;
  readonly modelRounds: number | undefined;
  /** Mean less model, in the model's standard errors of the mean. */
  readonly deviationSe: number | undefined;
  /** Of real runs: mean delay of the same runs in the simulator, the measured round trip put in. */
  readonly twinS: number | undefined;
}

/** @param rows in the order of the runs */
export function summarize(rows: Iterable<RunRow>): PointSummary[] {
  const groups = new Map<string, RunRow[]>();
  for (const row of rows) {
    const key = `${row.mode} ${JSON.stringify(row.point)}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [row]);
    else group.push(row);
  }
  return [...groups.values()].map(summarizePoint);
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
    rounds: mean((row) => row.rounds),
    timeouts: mean((row) => row.timeouts),
    retransmissions: mean((row) => row.retransmissions),
    goodputBytesPerSec: mean((row) => goodputBytesPerSec(row)),
    modelS: model === undefined ? undefined : model.meanDelayMs / 1000,
    modelSdS: model === undefined ? undefined : model.deviationMs / 1000,
    modelRounds: model?.rounds,
    deviationSe: deviation(meanS, complete.length, model),
    twinS: mean((row) => row.twinDelayS),
  };
}

/** Of real runs the measured round trip holds all that the path adds. */
function modelOf(point: Point, mode: Mode, rttMs: number): Model | undefined {
  return createModel(point, mode === 'real' ? rttMs : roundTripMs(point));
}

/** File bytes that each receiver had per second. */
export function goodputBytesPerSec({ point, delayS }: RunRow): number | undefined {
  return delayS > 0 ? point.fileSizeBytes / delayS : undefined;
}

function deviation(meanS: number | undefined, runs: number, model: Model | undefined) {
  if (meanS === undefined || model === undefined || model.deviationMs === 0) return undefined;
  const standardErrorS = model.deviationMs / 1000 / Math.sqrt(runs);
  return (meanS - model.meanDelayMs / 1000) / standardErrorS;
}
