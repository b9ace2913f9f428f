/** What the runs of a plan measure: its unit, its names in outputs, and what the model predicts for it. */
import { benefitOf } from './benefit.js';
import { predictHitRatio } from './cache-model.js';
import { createModel } from './model.js';
import type { Point } from './parameters.js';
import type { RunRow } from './run-result.js';

export interface Measure {
  /** In sentences, for one run. */
  readonly name: string;
  /** Empty, or the unit. */
  readonly unit: string;
  /** At the end of the names of columns. */
  readonly suffix: string;
  /** No value can be lower. */
  readonly least: number;
  readonly valueOf: (row: RunRow) => number;
}

const delay: Measure = {
  name: 'delay',
  unit: 's',
  suffix: 's',
  least: 0,
  valueOf: ({ delayS }) => delayS,
};

const hits: Measure = {
  name: 'hit ratio',
  unit: '',
  suffix: 'hit_ratio',
  least: 0,
  valueOf: ({ hitRatio }) => hitRatio ?? 0,
};

const benefit: Measure = {
  name: 'benefit',
  unit: '',
  suffix: 'benefit',
  least: -Infinity,
  valueOf: (row) => benefitOf(row) ?? 0,
};

/** All points of a plan have the same measure. */
export function measureOf(point: Point | undefined): Measure {
  if (point?.rateRatio !== undefined) return benefit;
  return point?.objects === undefined ? delay : hits;
}

/** What the model predicts, in the unit of the measure. */
export interface Prediction {
  readonly mean: number;
  /** Standard deviation of one run. */
  readonly deviation: number;
  /** Total rounds; undefined where there are none. */
  readonly rounds: number | undefined;
}

/**
 * @param tripMs the measured round-trip time; by default, that of the simulated path
 * @returns undefined if no model covers the point
 */
export function predict(point: Point, tripMs?: number): Prediction | undefined {
  if (point.objects !== undefined) return { ...predictHitRatio(point), rounds: undefined };
  const model = createModel(point, tripMs);
  if (model === undefined) return undefined;
  const { meanDelayMs, deviationMs, rounds } = model;
  return { mean: meanDelayMs / 1000, deviation: deviationMs / 1000, rounds };
}

/** A title with the unit, if there is one. */
export function titleOf(title: string, { unit }: Measure): string {
  return unit === '' ? title : `${title}, ${unit}`;
}

/** A formatted value with its unit, if there is one. */
export function withUnit(text: string, { unit }: Measure): string {
  return unit === '' ? text : `${text} ${unit}`;
}
