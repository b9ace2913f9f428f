/** Connects one host with others, each by a pair of links. */
import type { Link, LinkCounts, LinkOptions } from './link.js';
import { createLinkCounts } from './link.js';
import type { Simulation } from './simulation.js';

/** A host at the far end of a pair of links. */
export interface FarEnd {
  readonly name: string;
  readonly forwardLink?: LinkOptions | undefined;
  readonly backwardLink?: LinkOptions | undefined;
}

/** Connects a host with each of the others. @returns all links */
export function connectPairs(
  simulation: Simulation,
  from: string,
  ends: readonly FarEnd[],
): Link[] {
  return ends.flatMap(({ name, forwardLink, backwardLink }) => {
    const forward = simulation.createLink(`to ${name}`, forwardLink);
    const backward = simulation.createLink(`from ${name}`, backwardLink);
    simulation.connect(from, name, [forward]);
    simulation.connect(name, from, [backward]);
    return [forward, backward];
  });
}

/** Totals of the links' counters. */
export function sumCounts(links: readonly Link[]): LinkCounts {
  const total = createLinkCounts();
  for (const { counts } of links) {
    for (const key of Object.keys(total) as (keyof LinkCounts)[]) total[key] += counts[key];
  }
  return total;
}
