/** The result of a run, and its row in runs.csv. */
import type { Run } from './plan.js';

/** Measurements of one run. */
export interface RunResult {
  /** Time from the first datagram until every receiver has acknowledged all data or has failed. */
  readonly delayMs: number;
  readonly rounds: number;
  /** Number of rounds whose timeout expired before all receivers had acknowledged. */
  readonly timeouts: number;
  readonly retransmissions: number;
  /** Data packets sent, including end markers; undefined if nobody counts them. */
  readonly datagrams: number | undefined;
  readonly acks: number | undefined;
  /** Receivers that have every byte. */
  readonly completeReceivers: number;
  /** What the origin sends, with headers; only through relays. */
  readonly originBytes?: number;
  /** Share of the counted questions that a cache answers; only with caches. */
  readonly hitRatio?: number;
  /** Delays of the same transfer by the fast path alone, and by the slow one alone; only with several paths. */
  readonly fastAloneMs?: number;
  readonly slowAloneMs?: number;
  /**
   * For a simulated run, the RTT of the path. For a real run, the RTT that was measured on the same network
   * by transfers without loss.
   */
  readonly rttMs: number;
  /** Delay of the same run in the simulator, with the measured RTT. Real runs only. */
  readonly twinDelayMs?: number;
}

/**
 * A row of runs.csv. Numbers are rounded as in the CSV, so that a resumed sweep yields the same
 * summary.
 */
export interface RunRow extends Run {
  readonly rttMs: number;
  readonly delayS: number;
  readonly rounds: number;
  readonly timeouts: number;
  readonly retransmissions: number;
  readonly datagrams: number | undefined;
  readonly acks: number | undefined;
  readonly completeReceivers: number;
  readonly originBytes: number | undefined;
  readonly hitRatio: number | undefined;
  readonly fastAloneS: number | undefined;
  readonly slowAloneS: number | undefined;
  readonly twinDelayS: number | undefined;
}

/** Converts a result to its row. */
export function toRunRow(run: Run, result: RunResult): RunRow {
  const {
    delayMs,
    rttMs,
    originBytes,
    hitRatio,
    fastAloneMs,
    slowAloneMs,
    twinDelayMs,
    ...counts
  } = result;
  return {
    ...run,
    ...counts,
    originBytes,
    hitRatio: hitRatio === undefined ? undefined : roundTo(6, hitRatio),
    fastAloneS: toSeconds(fastAloneMs),
    slowAloneS: toSeconds(slowAloneMs),
    rttMs: roundTo(6, rttMs),
    delayS: roundTo(6, delayMs / 1000),
    twinDelayS: toSeconds(twinDelayMs),
  };
}

function toSeconds(timeMs: number | undefined): number | undefined {
  return timeMs === undefined ? undefined : roundTo(6, timeMs / 1000);
}

/**
 * Whether every receiver completed. A run in which a receiver failed does not measure the delay to
 * all receivers.
 */
export function isComplete(row: RunRow): boolean {
  return row.completeReceivers === row.point.receivers;
}

/** Rounds a number to this many decimals. */
export function roundTo(decimals: number, value: number): number {
  return Number(value.toFixed(decimals));
}
