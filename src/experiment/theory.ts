/**
 * Mean and variance of the delay of stop-and-wait to N receivers (docs/THEORY.md). Each receiver
 * loses each data packet independently with probability p; ACKs are not lost.
 */

import { assert } from '../base/assert.js';

/** P(R > m): the probability that at least one of N receivers still misses a segment after m rounds. */
function missingAfter(rounds: number, receivers: number, loss: number): number {
  assert(loss >= 0 && loss < 1, 'what is always lost never arrives');
  // Computed as 1 - (1 - p^m)^N, in a form without cancellation: small results keep all their digits.
  return -Math.expm1(receivers * Math.log1p(-(loss ** rounds)));
}

/** Sums over m = 0, 1, 2, ... until the sum no longer changes. */
function sumOverRounds(term: (rounds: number) => number): number {
  let sum = term(0);
  for (let rounds = 1; ; rounds++) {
    const next = sum + term(rounds);
    if (next === sum) return sum;
    sum = next;
  }
}

/**
 * E[R], the mean number of rounds until all N receivers have a segment. R is the maximum of N geometric
 * variables.
 * @example
 * ```ts
 * import { meanRounds } from 'p2mp/core';
 *
 * console.log(meanRounds(1, 0.5)); // 2
 * ```
 */
export function meanRounds(receivers: number, loss: number): number {
  return sumOverRounds((m) => missingAfter(m, receivers, loss));
}

/**
 * Var R: variance of the number of rounds.
 * @example
 * ```ts
 * import { varianceOfRounds } from 'p2mp/core';
 *
 * // One receiver: a geometric variable, p / (1 - p)^2.
 * console.log(varianceOfRounds(1, 0.5).toFixed(6)); // 2.000000
 * ```
 */
export function varianceOfRounds(receivers: number, loss: number): number {
  const meanSquare = sumOverRounds((m) => (2 * m + 1) * missingAfter(m, receivers, loss));
  return meanSquare - meanRounds(receivers, loss) ** 2;
}

/** Parameters of the stop-and-wait model (docs/THEORY.md). Times are in milliseconds. */
export interface StopAndWait {
  readonly receivers: number;
  readonly loss: number;
  readonly segments: number;
  /** Fixed timeout of a round, at least the round-trip time. */
  readonly timeoutMs: number;
  /** Constant round-trip time, excluding sending time. */
  readonly rttMs: number;
  /** Time that the sender spends on each datagram; the sender sends one datagram after another. */
  readonly sendTimeMs: number;
}

/**
 * E[T], the mean delay of the whole transfer: S * (t * N / (1 - p) + (E[R] - 1) * RTO + RTT).
 * @example
 * ```ts
 * import { meanDelayMs } from 'p2mp/core';
 *
 * const run = { receivers: 1, loss: 0.5, segments: 10, timeoutMs: 50, rttMs: 10, sendTimeMs: 0 };
 * console.log(meanDelayMs(run)); // 600
 * ```
 */
export function meanDelayMs(run: StopAndWait): number {
  const { receivers, loss, segments, timeoutMs, rttMs, sendTimeMs } = run;
  const datagrams = receivers / (1 - loss);
  return (
    segments * (sendTimeMs * datagrams + (meanRounds(receivers, loss) - 1) * timeoutMs + rttMs)
  );
}

/**
 * sd(T), the standard deviation of the delay. A segment takes t * D + (R - 1) * RTO + RTT, where D,
 * its number of datagrams, is the sum of N geometric variables and R is their maximum. Segments are
 * independent, so Var T = S * (t^2 * Var D + RTO^2 * Var R + 2 * t * RTO * Cov(D, R)).
 * @example
 * ```ts
 * import { deviationOfDelayMs } from 'p2mp/core';
 *
 * const run = { receivers: 1, loss: 0, segments: 10, timeoutMs: 50, rttMs: 10, sendTimeMs: 1 };
 * console.log(deviationOfDelayMs(run)); // 0
 * ```
 */
export function deviationOfDelayMs(run: StopAndWait): number {
  const { receivers, loss, segments, timeoutMs, sendTimeMs } = run;
  const varianceOfDatagrams = (receivers * loss) / (1 - loss) ** 2;
  const variance =
    sendTimeMs ** 2 * varianceOfDatagrams +
    timeoutMs ** 2 * varianceOfRounds(receivers, loss) +
    2 * sendTimeMs * timeoutMs * covarianceOfDatagramsAndRounds(receivers, loss);
  return Math.sqrt(segments * variance);
}

/**
 * Cov(D, R) = N * (E[G * R] - E[G] * E[R]), where G is one receiver's geometric variable. E[G * R]
 * is the sum over m of E[G; R > m] = E[G] - E[G; G <= m] * P(the others <= m), with E[G; G <= m] =
 * (1 - p^m) / (1 - p) - m * p^m.
 */
function covarianceOfDatagramsAndRounds(receivers: number, loss: number): number {
  const meanOne = 1 / (1 - loss);
  const product = sumOverRounds((m) => {
    const meanWithin = (1 - loss ** m) * meanOne - m * loss ** m;
    return meanOne - meanWithin * (1 - loss ** m) ** (receivers - 1);
  });
  return receivers * (product - meanOne * meanRounds(receivers, loss));
}
