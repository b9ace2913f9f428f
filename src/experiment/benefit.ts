/** What several paths gain over the faster one alone. */
import { aggregationBenefit } from '../path/aggregation-benefit.js';
import type { RunRow } from './run-result.js';

/** @returns the aggregation benefit of a run; undefined without several paths, or if no time has passed */
export function benefitOf({ delayS, fastAloneS, slowAloneS }: RunRow): number | undefined {
  if (fastAloneS === undefined || slowAloneS === undefined || delayS === 0) return undefined;
  // Each goodput is the same file size divided by the time.
  return aggregationBenefit(1 / delayS, [1 / fastAloneS, 1 / slowAloneS]);
}
