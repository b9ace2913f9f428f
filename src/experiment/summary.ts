/** Summarizes runs: one row per point and mode, with the model's predictions. */
import { countedRequests } from './cache-model.js';
import type { Prediction } from './measure.js';
import { measureOf, predict } from './measure.js';
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
  /** Mean of the plan's measure. */
  readonly mean: number | undefined;
  /**
   * Standard deviation. Like the confidence interval, it is undefined for fewer than two runs.
   */
  readonly sd: number | undefined;
  readonly ci95Low: number | undefined;
  readonly ci95High: number | undefined;
  /** Undefined for sessions, which have no rounds. `timeouts` is undefined for them, too. */
  readonly rounds: number | undefined;
  readonly timeouts: number | undefined;
  readonly retransmissions: number | undefined;
  readonly goodputBytesPerSec: number | undefined;
  readonly modelMean: number | undefined;
  /** Standard deviation of one run, as predicted by the model. */
  readonly modelSd: number | undefined;
  readonly modelRounds: number | undefined;
  /**
   * Measured mean minus predicted mean, divided by the predicted standard error of the mean. Undefined if the
   * model predicts no spread, which is the case without losses.
   */
  readonly deviationSe: number | undefined;
  /** Mean delay of the same uploads one after another, divided by this one; only for uploads at once. */
  readonly speedup: number | undefined;
  /** What the origin sends; only through relays. */
  readonly originBytes: number | undefined;
  /** That, divided by the content that receivers ask for while it is counted. */
  readonly originShare: number | undefined;
  /** Mean delays of the same transfers by the fast path alone, and by the slow one; only with several paths. */
  readonly fastAloneS: number | undefined;
  readonly slowAloneS: number | undefined;
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
  if (own.point.order !== 'parallel' || own.mean === undefined) return undefined;
  const key = JSON.stringify({ ...own.point, order: 'sequence' });
  const sequence = summaries.find(({ point }) => JSON.stringify(point) === key);
  return sequence?.mean === undefined ? undefined : sequence.mean / own.mean;
}

function summarizePoint(rows: readonly RunRow[]): PointSummary {
  const { point, mode } = rows[0] as RunRow;
  const complete = rows.filter(isComplete);
  const measure = measureOf(point);
  const meanOf = (value: (row: RunRow) => number | undefined) => {
    const values = complete.map(value).filter((one) => one !== undefined);
    return values.length === 0 ? undefined : describeSample(values).mean;
  };
  const rttMs = meanOf((row) => row.rttMs);
  const sample = complete.length > 0 ? describeSample(complete.map(measure.valueOf)) : undefined;
  const model = rttMs === undefined ? undefined : predictionOf(point, mode, rttMs);
  const halfWidth = sample?.ci95HalfWidth;
  const mean = sample?.mean;
  return {
    point,
    mode,
    runs: complete.length,
    failedRuns: rows.length - complete.length,
    rttMs,
    mean,
    sd: sample?.standardDeviation,
    ci95Low: mean === undefined || halfWidth === undefined ? undefined : mean - halfWidth,
    ci95High: mean === undefined || halfWidth === undefined ? undefined : mean + halfWidth,
    rounds: meanOf((row) => (isSession(point) ? undefined : row.rounds)),
    timeouts: meanOf((row) => (isSession(point) ? undefined : row.timeouts)),
    retransmissions: meanOf((row) => row.retransmissions),
    goodputBytesPerSec: meanOf((row) => goodputBytesPerSec(row)),
    modelMean: model?.mean,
    modelSd: model?.deviation,
    modelRounds: model?.rounds,
    deviationSe: deviation(mean, complete.length, model),
    speedup: undefined,
    originBytes: meanOf((row) => row.originBytes),
    originShare: meanOf((row) => originShare(row)),
    fastAloneS: meanOf((row) => row.fastAloneS),
    slowAloneS: meanOf((row) => row.slowAloneS),
    twinS: meanOf((row) => row.twinDelayS),
  };
}

/** In real runs, the measured RTT already includes all delays of the path. */
function predictionOf(point: Point, mode: Mode, rttMs: number): Prediction | undefined {
  return predict(point, mode === 'real' ? rttMs : undefined);
}

/** What the origin sends for each byte of content that a receiver gets. */
function originShare({ point, originBytes }: RunRow): number | undefined {
  if (originBytes === undefined) return undefined;
  const copies = point.objects === undefined ? point.receivers : countedRequests(point);
  return originBytes / (copies * point.fileSizeBytes);
}

/** File bytes per second at each receiver, from all senders together; undefined if no time has passed. */
export function goodputBytesPerSec({ point, delayS }: RunRow): number | undefined {
  if (delayS === 0) return undefined;
  const perReceiver = (point.requests ?? point.receivers) / point.receivers;
  return ((point.senders ?? 1) * perReceiver * point.fileSizeBytes) / delayS;
}

function deviation(mean: number | undefined, runs: number, model: Prediction | undefined) {
  if (mean === undefined || model === undefined) return undefined;
  // Without losses, the model predicts no spread. A value far below the mean is only a rounding error.
  if (model.deviation <= 1e-9 * model.mean) return undefined;
  const standardError = model.deviation / Math.sqrt(runs);
  return (mean - model.mean) / standardError;
}
