/** What came of a run, and what a row of runs.csv says of it. */
import type { Run } from './plan.js';

export interface RunResult {
  /** From the first datagram to the last acknowledgement of data. */
  readonly delayMs: number;
  readonly rounds: number;
  /** Rounds whose deadline passed with receivers pending. */
  readonly timeouts: number;
  readonly retransmissions: number;
  /** Data packets sent, end markers among them. */
  readonly datagrams: number;
  readonly acks: number;
  /** Receivers that have every byte. */
  readonly completeReceivers: number;
  /** Simulated: the path's round trip. Real: as measured without loss, at the same setting. */
  readonly rttMs: number;
  /** Of a real run: the delay of the same run in the simulator with the measured round trip. */
  readonly twinDelayMs?: number;
}

/** Numbers are as the CSV holds them, so that a resumed sweep sums up to the same digits. */
export interface RunRow extends Run {
  readonly rttMs: number;
  readonly delayS: number;
  readonly rounds: number;
  readonly timeouts: number;
  readonly retransmissions: number;
  readonly datagrams: number;
  readonly acks: number;
  readonly completeReceivers: number;
  readonly twinDelayS: number | undefined;
}

export function toRunRow(run: Run, result: RunResult): RunRow {
  const { delayMs, rttMs, twinDelayMs, ...counts } = result;
  return {
    ...run,
    ...counts,
    rttMs: roundTo(6, rttMs),
    delayS: roundTo(6, delayMs / 1000),
    twinDelayS: twinDelayMs === undefined ? undefined : roundTo(6, twinDelayMs / 1000),
  };
}

/** A run in which a receiver was given up on says nothing of the delay to all. */
export function isComplete(row: RunRow): boolean {
  return row.completeReceivers === row.point.receivers;
}

export function roundTo(decimals: number, value: number): number {
  return Number(value.toFixed(decimals));
}
