/** Who is left behind: receivers whose paths take much less than those of the others (SESSIONS 5.11). */
import type { TimeMs } from '../base/machine.js';
import type { SessionPeer } from './peer.js';

/** Below this share of what the next ones take, a receiver is not waited for. */
const slowShare = 0.5;

/** For so long, and so many round trips, it must have been so: it may be noise. */
const slowForMs = 1000;
const slowForRounds = 4;

/**
 * The receivers that data does not reach at all, as long as it reaches another; else the receivers below a
 * gap of more than half, where they are no more than those above it. Call it often: it remembers since
 * when each has been slow.
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

/** It reports, and its reports say that nothing arrives: a rate of zero. */
function isUnreached({ unreachedMs, rtt }: SessionPeer): boolean {
  return unreachedMs > Math.max(slowForMs, slowForRounds * rtt.timeoutMs);
}
