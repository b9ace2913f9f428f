/**
 * Seeded loss models. A loss model decides which arriving data packets a receiver drops (PROTOCOL 3.5), or
 * which datagrams a simulated link loses. It knows nothing about them except their order of arrival.
 */
import { P2mpError } from './base/errors.js';
import { checkOptions, listOf, number, required, variantOf } from './base/options/check-options.js';
import type { Random } from './base/random.js';

/** The parameters of a loss model, as given on a command line, in a plan or in a test. */
export type LossSpec =
  | { readonly model: 'none' }
  /** Each arrival is lost independently with this probability. */
  | { readonly model: 'bernoulli'; readonly probability: number }
  | GilbertElliottSpec
  /** Exactly the arrivals with these numbers, counted from 0, are lost. */
  | { readonly model: 'scripted'; readonly lost: readonly number[] };

/**
 * A two-state model with a loss probability per state; losses come in bursts (Gilbert 1960, Elliott
 * 1963).
 */
export interface GilbertElliottSpec {
  /** Selects this model. */
  readonly model: 'gilbert-elliott';
  /** Probability, before each arrival, of a change from the good state to the bad state. */
  readonly enterBad: number;
  /**
   * Probability, before each arrival, of a change from the bad state to the good state. The bad state lasts
   * 1/leaveBad arrivals on average.
   */
  readonly leaveBad: number;
  /** Probability that an arrival in the good state is lost. */
  readonly lossInGood: number;
  /** Probability that an arrival in the bad state is lost. */
  readonly lossInBad: number;
}

export const lossCheck = variantOf('model', {
  none: {},
  bernoulli: { probability: required(number) },
  'gilbert-elliott': {
    enterBad: required(number),
    leaveBad: required(number),
    lossInGood: required(number),
    lossInBad: required(number),
  },
  scripted: { lost: required(listOf(number)) },
});

/** Decides, for each arrival in turn, whether it is lost. */
export type LossModel = () => boolean;

/**
 * Creates a loss model that draws from `random`.
 * @throws P2mpError INVALID_ARGUMENT if there is no such model, a probability is out of range or everything would be lost
 * @example
 * ```ts
 * import { createLossModel, createRandom } from 'p2mp/core';
 *
 * const isLost = createLossModel({ model: 'scripted', lost: [1] }, createRandom('seed'));
 * console.log(isLost(), isLost(), isLost()); // false true false
 * ```
 */
export function createLossModel(spec: LossSpec, random: Random): LossModel {
  checkOptions({ loss: spec }, { loss: required(lossCheck) });
  switch (spec.model) {
    case 'none':
      return () => false;
    case 'bernoulli': {
      const { probability } = spec;
      checkLoss('loss probability', probability);
      // The course text draws r in (0, 1) and loses the packet if r <= p. Here r can be 0, which must not
      // cause a loss at p = 0.
      return probability === 0 ? () => false : () => random() <= probability;
    }
    case 'gilbert-elliott':
      return createGilbertElliott(spec, random);
    case 'scripted': {
      const lost = new Set(spec.lost);
      let arrival = 0;
      return () => lost.has(arrival++);
    }
  }
}

/**
 * A Gilbert-Elliott model with this mean loss rate and with loss bursts of `meanBurst` packets on average. The good
 * state loses no packet, and the bad state loses every packet.
 * @throws P2mpError INVALID_ARGUMENT
 * @example
 * ```ts
 * import { burstLoss, meanLoss } from 'p2mp/core';
 *
 * console.log(meanLoss(burstLoss(0.02, 5)).toFixed(4)); // 0.0200
 * ```
 */
export function burstLoss(meanLoss: number, meanBurst: number): GilbertElliottSpec {
  checkLoss('loss probability', meanLoss);
  if (!(meanBurst >= 1) || !Number.isFinite(meanBurst)) {
    throw new P2mpError('INVALID_ARGUMENT', `mean burst ${meanBurst}: must be 1 packet or more`);
  }
  const leaveBad = 1 / meanBurst;
  const enterBad = (leaveBad * meanLoss) / (1 - meanLoss);
  if (enterBad > 1) {
    throw new P2mpError(
      'INVALID_ARGUMENT',
      `mean burst ${meanBurst}: too short for a mean loss of ${meanLoss}; ` +
        `take at least ${(Math.ceil((100 * meanLoss) / (1 - meanLoss)) / 100).toFixed(2)} packets`,
    );
  }
  return { model: 'gilbert-elliott', enterBad, leaveBad, lossInGood: 0, lossInBad: 1 };
}

/**
 * The share of arrivals that a model loses in the long run. A scripted model loses a finite number of
 * arrivals, so its share is 0.
 * @throws P2mpError INVALID_ARGUMENT for a loss model that does not exist
 * @example
 * ```ts
 * import { meanLoss } from 'p2mp/core';
 *
 * console.log(meanLoss({ model: 'bernoulli', probability: 0.05 })); // 0.05
 * ```
 */
export function meanLoss(spec: LossSpec): number {
  checkOptions({ loss: spec }, { loss: required(lossCheck) });
  switch (spec.model) {
    case 'none':
    case 'scripted':
      return 0;
    case 'bernoulli':
      return spec.probability;
    case 'gilbert-elliott': {
      const bad = badShare(spec);
      return (1 - bad) * spec.lossInGood + bad * spec.lossInBad;
    }
  }
}

function createGilbertElliott(spec: GilbertElliottSpec, random: Random): LossModel {
  checkProbability('probability to enter the bad state', spec.enterBad);
  checkProbability('probability to leave the bad state', spec.leaveBad);
  checkProbability('loss in the good state', spec.lossInGood);
  checkProbability('loss in the bad state', spec.lossInBad);
  if (meanLoss(spec) >= 1) {
    throw new P2mpError(
      'INVALID_ARGUMENT',
      'loss model: would lose every packet; lower its loss probability',
    );
  }
  // Start in the stationary distribution, so that the mean loss holds from the first arrival.
  let isBad = random() < badShare(spec);
  return () => {
    isBad = isBad ? random() >= spec.leaveBad : random() < spec.enterBad;
    const loss = isBad ? spec.lossInBad : spec.lossInGood;
    return loss > 0 && random() <= loss;
  };
}

function badShare(spec: GilbertElliottSpec): number {
  const total = spec.enterBad + spec.leaveBad;
  return total === 0 ? 0 : spec.enterBad / total;
}

function checkProbability(name: string, value: number): void {
  if (!(value >= 0 && value <= 1)) {
    throw new P2mpError('INVALID_ARGUMENT', `${name} ${value}: must be from 0 to 1`);
  }
}

function checkLoss(name: string, value: number): void {
  if (!(value >= 0 && value < 1)) {
    throw new P2mpError(
      'INVALID_ARGUMENT',
      `${name} ${value}: must be at least 0 and below 1 (1 would lose everything)`,
    );
  }
}
