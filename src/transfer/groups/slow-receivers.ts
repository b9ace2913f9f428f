/** Finds slow receivers: those whose paths are much slower than the paths of the others (SESSIONS 5.11). */
import type { TimeMs } from '../../base/machine.js';
import type { Demand } from '../demand.js';

/**
 * A receiver is slow if its rate is less than this fraction of the next faster receiver's rate. Where several hosts send
 * to the same receivers, each gets a part of a link that varies, so the fraction is divided by their number.
 */
const slowShare = 0.5;

/**
 * Minimum time and minimum number of round trips for which a receiver must have been slow, to rule out noise.
 */
const slowForMs = 1000;
const slowForRounds = 4;

export class SlowReceivers {
  /** Since when each slow receiver has been much slower than others. */
  private since: ReadonlyMap<Demand, TimeMs> = new Map();

  /**
   * Sorts the members by rate, and finds a step in the slower half at which the rate more than doubles. Returns the
   * members that have been below that step for long enough. Call this function often, because it records since
   * when each receiver has been slow.
   */
  find(nowMs: TimeMs, members: readonly Demand[], senderCount = 1): Demand[] {
    const slow = findBelowStep(members, slowShare / senderCount);
    this.since = new Map(slow.map((demand) => [demand, this.since.get(demand) ?? nowMs]));
    return slow.filter((demand) => {
      const forMs = Math.max(slowForMs, slowForRounds * demand.path.model.rttMs);
      return nowMs - (this.since.get(demand) ?? nowMs) >= forMs;
    });
  }
}

/** The members that are much slower than the others at the moment, slowest first. */
function findBelowStep(members: readonly Demand[], share: number): Demand[] {
  const known = members.filter(
    ({ path, missingBytes, isProbed }) =>
      path.model.rounds >= slowForRounds && missingBytes !== 0 && !isProbed,
  );
  known.sort((a, b) => rateOf(a) - rateOf(b));
  let slowCount = 0;
  for (let i = 1; 2 * i <= known.length; i++) {
    const below = known[i - 1] as Demand;
    const above = known[i] as Demand;
    if (rateOf(below) < share * rateOf(above)) slowCount = i;
  }
  return known.slice(0, slowCount);
}

function rateOf({ path }: Demand): number {
  return path.model.deliveryRate;
}
