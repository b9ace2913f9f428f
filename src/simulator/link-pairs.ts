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

/** The address of the sender, or of a receiver by its index, on a further path. Paths have numbers from 1 on. */
export function addressOnPath(host: 'sender' | number, path: number): string {
  const number = host === 'sender' ? 1 : host + 2;
  return `10.${path}.${number >>> 8}.${number & 255}`;
}

/** The addresses of a host on all of its further paths. */
export function furtherAddresses(host: 'sender' | number, furtherCount: number): string[] {
  return Array.from({ length: furtherCount }, (_, i) => addressOnPath(host, i + 1));
}

/** Totals of the links' counters. */
export function sumCounts(links: readonly Link[]): LinkCounts {
  const total = createLinkCounts();
  for (const { counts } of links) {
    for (const key of Object.keys(total) as (keyof LinkCounts)[]) total[key] += counts[key];
  }
  return total;
}
