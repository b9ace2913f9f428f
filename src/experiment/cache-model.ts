/**
 * Predicts how often a cache answers that removes what was not used for the longest time, by Che's approximation: an
 * object is there if it was asked for within the last T questions. T is the same for all objects, and such that the
 * expected number of objects that are there is that for which the cache has room.
 *
 * H. Che, Y. Tung, Z. Wang: Hierarchical Web Caching Systems: Modeling, Design and Experimental Results. IEEE Journal on
 * Selected Areas in Communications 20(7), 2002. Why it is so accurate: C. Fricker, P. Robert, J. Roberts: A Versatile and
 * Accurate Approximation for LRU Cache Performance. 24th International Teletraffic Congress, 2012.
 */
import type { Point } from './parameters.js';

type Caching = Pick<Point, 'objects' | 'zipfExponent' | 'cachedObjects'>;

/** The probabilities by which objects are asked for, the most popular one first. */
export function popularities({ objects = 1, zipfExponent = 0 }: Caching): number[] {
  const weights = Array.from({ length: objects }, (_, i) => (i + 1) ** -zipfExponent);
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return weights.map((weight) => weight / sum);
}

/** The share of questions about objects that are in the cache, in the long run. */
export function hitRatio(caching: Caching): number {
  const { objects = 1, cachedObjects = 1 } = caching;
  if (cachedObjects >= objects) return 1;
  const shares = popularities(caching);
  const horizon = findHorizon(shares, cachedObjects);
  return shares.reduce((sum, share) => sum + share * presence(share, horizon), 0);
}

/** How many of the questions that are counted are answered from the cache, and how much this varies. */
export function predictHitRatio(point: Point): { mean: number; deviation: number } {
  const mean = hitRatio(point);
  return { mean, deviation: Math.sqrt((mean * (1 - mean)) / countedRequests(point)) };
}

/** Questions before these only fill the cache. */
export function countedRequests({ requests = 2 }: Pick<Point, 'requests'>): number {
  return Math.ceil(requests / 2);
}

/** The probability that an object was asked for within the last questions. */
function presence(share: number, horizon: number): number {
  return -Math.expm1(-share * horizon);
}

/** T, by bisection: the expected number of objects that are there grows with it. */
function findHorizon(shares: readonly number[], cachedObjects: number): number {
  const present = (horizon: number) =>
    shares.reduce((sum, share) => sum + presence(share, horizon), 0);
  let [low, high] = [0, cachedObjects];
  while (present(high) < cachedObjects) high *= 2;
  for (let i = 0; i < bisections; i++) {
    const middle = (low + high) / 2;
    if (present(middle) < cachedObjects) low = middle;
    else high = middle;
  }
  return high;
}

/** As many as a number has bits. */
const bisections = 53;
