/** Finds slow receivers: those whose paths are much slower than the paths of the others (SESSIONS 5.11). */
import type { TimeMs } from '../base/machine.js';
import type { SessionPeer } from './peer.js';

/** A receiver is slow if its rate is less than this fraction of the next faster receiver's rate. */
const slowShare = 0.5;

/**
 * Minimum time and minimum number of round trips for which a receiver must have been slow, to rule out noise.
 */
const slowForMs = 1000;
const slowForRounds = 4;

/**
 * If data reaches some members but not others, returns the members that no data reaches. Otherwise, sorts the
 * members by rate, and finds a step in the slower half at which the rate more than doubles. Returns the
 * members that have been below that step for long enough. Call this function often, because it records since
 * when each receiver has been slow.
 */
export function findSlowReceivers(nowMs: TimeMs, members: readonly SessionPeer[]): SessionPeer[] {
  const unreached = members.filter(isUnreached);
  if (unreached.length > 0 && unreached.length < members.length) return unreached;
  const known: SessionPeer[] = [];
  for (const peer of members) {
    if (peer.model.rounds >= slowForRounds && peer.missingBytes !== 0) known.push(peer);
    else peer.slowSinceMs = undefined;
  }
  known.sort((a, b) => a.model.deliveryRate - b.model.deliveryRate);
  let slowCount = 0;
  for (let i = 1; 2 * i <= known.length; i++) {
    const below = known[i - 1] as SessionPeer;
    const above = known[i] as SessionPeer;
    if (below.model.deliveryRate < slowShare * above.model.deliveryRate) slowCount = i;
  }
  for (const [i, peer] of known.entries()) {
    if (i >= slowCount) peer.slowSinceMs = undefined;
    else peer.slowSinceMs ??= nowMs;
  }
  return known.slice(0, slowCount).filter(({ slowSinceMs, model }) => {
    const forMs = Math.max(slowForMs, slowForRounds * model.rttMs);
    return slowSinceMs !== undefined && nowMs - slowSinceMs >= forMs;
  });
}

/** Whether the receiver's reports have shown no arriving datagrams for long enough. */
function isUnreached({ unreachedMs, rtt }: SessionPeer): boolean {
  return unreachedMs > Math.max(slowForMs, slowForRounds * rtt.timeoutMs);
}
