/** Liveness timeout: a receiver that acknowledges nothing new for too long fails (PROTOCOL 4.6). */
import type { TimeMs } from '../base/machine.js';
import { stoppedTimeMs } from '../base/machine.js';
import type { Peer } from './peer.js';

/** Tracks which receivers have exceeded the liveness timeout. */
export class LivenessTimeout {
  private checkAtMs: TimeMs | undefined;

  constructor(
    readonly limitMs: number,
    private readonly peers: readonly Peer[],
  ) {}

  /** Time of the next check for receivers that have timed out; undefined if no check is scheduled. */
  get dueAtMs(): TimeMs | undefined {
    return this.checkAtMs;
  }

  /** Starts the timeout, because some receivers now have data to acknowledge. */
  begin(nowMs: TimeMs): void {
    this.checkAtMs ??= nowMs + this.limitMs;
  }

  end(): void {
    this.checkAtMs = undefined;
  }

  /**
   * Extends the timeout by the time for which this process was stopped, because answers may be waiting to be
   * read.
   * @param dueAtMs time at which the timeout being handled was due
   */
  forgiveStoppedTime(nowMs: TimeMs, dueAtMs: TimeMs): void {
    const stoppedMs = stoppedTimeMs(nowMs, dueAtMs);
    if (stoppedMs === 0 || this.checkAtMs === undefined) return;
    this.checkAtMs += stoppedMs;
    for (const peer of this.peers) peer.waitingSinceMs += stoppedMs;
  }

  /** The receivers whose liveness timeout has expired. */
  takeExpired(nowMs: TimeMs): Peer[] {
    if (this.checkAtMs === undefined || nowMs < this.checkAtMs) return [];
    const expired: Peer[] = [];
    let nextCheckAtMs: TimeMs | undefined;
    for (const peer of this.peers) {
      if (!peer.isPending) continue;
      const endsAtMs = peer.waitingSinceMs + this.limitMs;
      if (endsAtMs <= nowMs) expired.push(peer);
      else nextCheckAtMs = Math.min(nextCheckAtMs ?? endsAtMs, endsAtMs);
    }
    this.checkAtMs = nextCheckAtMs;
    return expired;
  }

  /** The reason why a receiver failed, as text for the user. */
  reason(peer: Peer, segmentCount: number): string {
    const seconds = this.limitMs / 1000;
    const refusal = peer.addresses.describeRefusal('p2mpserver');
    const odd = peer.unexpectedAnswers.describe();
    if (!peer.hasAnswered) {
      if (odd !== undefined) return `no valid ACK for ${seconds} s: ${odd}`;
      return (
        refusal ??
        `no answer${peer.addresses.describe()} for ${seconds} s; is p2mpserver running there, and does a firewall let UDP port ${peer.address.port} through?`
      );
    }
    const causes = [
      ...(odd === undefined ? [] : [odd]),
      ...(refusal === undefined ? [] : [`now ${refusal}`]),
    ];
    const cause = causes.map((text) => `; ${text}`).join('');
    return `acknowledged nothing new for ${seconds} s, stuck at segment ${peer.ackedSegments} of ${segmentCount}${cause}`;
  }
}
