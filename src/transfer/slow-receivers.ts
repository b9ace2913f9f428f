/** Finds slow receivers: those whose paths carry much less than the others' (SESSIONS 5.11). */
import type { TimeMs } from '../base/machine.js';
import type { SessionPeer } from './peer.js';

/** A receiver below this share of the next faster one's rate is slow. */
const slowShare = 0.5;

/** How long, in time and in round trips, a receiver must have been slow, to rule out noise. */
const slowForMs = 1000;
const slowForRounds = 4;

/**
 * Returns the receivers that no data reaches, if data reaches any other. Otherwise returns the receivers below a
 * gap of more than half in rate, if they are no more than those above it. Call it often: it records since when
 * each receiver has been slow.
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

/** The receiver reports that nothing arrives: its rate is zero. */
function isUnreached({ unreachedMs, rtt }: SessionPeer): boolean {
  return unreachedMs > Math.max(slowForMs, slowForRounds * rtt.timeoutMs);
}
