/** Simulated transfers over a grid of settings, each with the results of the formulas. */

import {
  deviationOfDelayMs,
  meanDelayMs,
  meanRounds,
  type StopAndWait,
  varianceOfRounds,
} from '../../src/experiment/theory.js';
import { simulateTransfer } from '../../src/simulator/transfer.js';

export interface Comparison {
  readonly expected: number;
  readonly measured: number;
  readonly standardError: number;
  /** Measured minus expected, in standard errors. */
  readonly deviation: number;
}

export interface Cell {
  readonly run: StopAndWait;
  /** Rounds per segment. */
  readonly rounds: Comparison;
  readonly delayMs: Comparison;
}

export const gridSeed = 'theory';
export const timeoutMs = 100;
export const oneWayDelayMs = 10;
export const mssBytes = 8;

/**
 * Fewer segments for more receivers: about the same number of datagrams, and the same precision.
 */
const segmentsByReceivers: ReadonlyMap<number, number> = new Map([
  [1, 40_000],
  [2, 40_000],
  [5, 20_000],
  [10, 10_000],
  [100, 2_000],
]);

export const grid: readonly StopAndWait[] = [0, 0.5].flatMap((sendTimeMs) =>
  [0.01, 0.05, 0.1].flatMap((loss) =>
    [...segmentsByReceivers].map(([receivers, segments]) => ({
      receivers,
      loss,
      segments,
      timeoutMs,
      rttMs: 2 * oneWayDelayMs,
      sendTimeMs,
    })),
  ),
);

/**
 * Runs one setting. `trueLoss` differs from the loss of the setting only in tests of the comparison
 * itself.
 *
 * How simulated time relates to the formula: the host spends t on each datagram before it
 * leaves, and the deadline of a round starts when the last datagram has left. So a failed round
 * takes t per datagram plus RTO, and the last round takes t per datagram plus RTT. All sending time
 * is in t * D, including the last datagram, and RTT is only the time there and back.
 */
export function runCell(run: StopAndWait, trueLoss = run.loss): Cell {
  const { receivers, loss, segments, sendTimeMs } = run;
  const { sender } = simulateTransfer({
    seed: `${gridSeed} ${receivers} ${loss} ${sendTimeMs}`,
    receiverCount: receivers,
    sizeBytes: segments * mssBytes,
    mssBytes,
    timeout: { mode: 'fixed', timeoutMs },
    loss: { model: 'bernoulli', probability: trueLoss },
    forwardLink: { delayMs: oneWayDelayMs },
    backwardLink: { delayMs: run.rttMs - oneWayDelayMs },
    sendTimeMs,
  });
  if (sender === undefined) throw new Error('the transfer did not end');
  return {
    run,
    rounds: compare(
      meanRounds(receivers, loss),
      sender.rounds / segments,
      Math.sqrt(varianceOfRounds(receivers, loss) / segments),
    ),
    delayMs: compare(meanDelayMs(run), sender.elapsedMs, deviationOfDelayMs(run)),
  };
}

function compare(expected: number, measured: number, standardError: number): Comparison {
  return { expected, measured, standardError, deviation: (measured - expected) / standardError };
}
