/** What several paths gain over the faster one alone. */
import type { RunRow } from './run-result.js';

/**
 * The part of the rate of the slower path that is gained: (Gm - Gmax) / (sum of Gi - Gmax), where Gm is the goodput by
 * both paths, Gi that by each path alone, and Gmax the higher one of these. It is 1 if the rates add up, 0 if both paths
 * are as fast as the faster one alone, and negative if they are slower.
 * @returns undefined without several paths, or if no time has passed
 */
export function benefitOf({ delayS, fastAloneS, slowAloneS }: RunRow): number | undefined {
  if (fastAloneS === undefined || slowAloneS === undefined || delayS === 0) return undefined;
  // Each goodput is the same file size divided by the time.
  const leastS = Math.min(fastAloneS, slowAloneS);
  return (1 / delayS - 1 / leastS) * Math.max(fastAloneS, slowAloneS);
}
