/**
 * The aggregation benefit of several paths (Kaspar 2012): (Gm - Gmax) / (sum of Gi - Gmax), where Gm is the goodput by all
 * paths together, Gi that by each path alone, and Gmax the highest one of these. It is 1 if the rates add up, and 0 if all
 * together are as fast as the best one alone. If they are slower, it is (Gm - Gmax) / Gmax (Paasch et al., CoNEXT 2013),
 * which is at least -1, however little the other paths could add.
 * @param together the goodput by all paths, in the unit of `alone`
 * @param alone the goodput by each path alone
 * @returns undefined if fewer than two paths have carried anything
 */
export function aggregationBenefit(together: number, alone: readonly number[]): number | undefined {
  const carrying = alone.filter((rate) => rate > 0);
  if (carrying.length < 2) return undefined;
  const best = Math.max(...carrying);
  const sum = carrying.reduce((total, rate) => total + rate, 0);
  return (together - best) / (together < best ? best : sum - best);
}
