/** Outcomes of the receivers of a transfer, and the time that each receiver took. */

import { formatAddress } from '../base/address.js';
import type { TimeMs } from '../base/machine.js';
import { withoutUndefined } from '../base/without-undefined.js';
import type { Peer, PeerStatus } from './peer.js';
import type { Geometry } from './segment.js';
import { segmentOffsetBytes } from './segment.js';
import type { ReceiverOutcome, SenderResult } from './sender-events.js';

/** Counts the receivers without an outcome, and measures the time from the first datagram to each outcome. */
export class Outcomes {
  /** Number of receivers without an outcome. */
  activeCount: number;
  /** Number of receivers that have not yet shown that they number segments as p2mp does (PROTOCOL 6.4). */
  unprovenCount: number;
  private startedAtMs: TimeMs | undefined;
  private settledAtMs: TimeMs = 0;

  constructor(
    private readonly peers: readonly Peer[],
    private readonly geometry: Geometry,
  ) {
    this.activeCount = peers.length;
    this.unprovenCount = peers.length;
  }

  /** Records that a datagram is sent. The first datagram starts the clock. */
  noteSent(nowMs: TimeMs): void {
    this.startedAtMs ??= nowMs;
  }

  /** Records that a receiver has acknowledged its first segment. */
  noteFirstAck(): void {
    this.unprovenCount--;
  }

  /** Records that the receiver has acknowledged all data or has reached another outcome. */
  noteDataSettled(nowMs: TimeMs, peer: Peer): void {
    if (peer.completedAtMs !== undefined) return;
    peer.completedAtMs = nowMs;
    this.settledAtMs = nowMs;
  }

  /** Records the outcome of an active receiver. */
  settle(
    nowMs: TimeMs,
    peer: Peer,
    status: Exclude<PeerStatus, 'active'>,
    reason: string | undefined,
  ): void {
    peer.status = status;
    peer.reason = reason;
    this.noteDataSettled(nowMs, peer);
    if (peer.ackedSegments === 0) this.unprovenCount--;
    this.activeCount--;
  }

  /** Stops the clock: every receiver has an outcome. */
  end(nowMs: TimeMs): void {
    this.settledAtMs = Math.max(this.settledAtMs, this.startedAtMs ?? nowMs);
  }

  /** The outcome of one receiver; `aborted` if it is still active. */
  of(peer: Peer): ReceiverOutcome {
    const { rttMs } = peer.rtt;
    return {
      receiver: peer.name,
      address: formatAddress(peer.address),
      status: peer.status === 'active' ? 'aborted' : peer.status,
      ...withoutUndefined({ reason: peer.reason }),
      isConfirmed: peer.isConfirmed,
      isIdentified: peer.isIdentified,
      ackedBytes: segmentOffsetBytes(this.geometry, peer.ackedSegments),
      elapsedMs: this.elapsedMs(peer.completedAtMs ?? this.settledAtMs),
      datagramsSent: peer.datagramsSent,
      retransmissions: peer.retransmissions,
      ...withoutUndefined({ rttMs }),
    };
  }

  /** The result for all receivers so far, with the counts of the transfer that the sender passes in. */
  result(counts: Pick<SenderResult, 'rounds' | 'timeouts' | 'faults'>): SenderResult {
    const { peers, geometry } = this;
    const { rounds, timeouts, faults } = counts;
    const sum = (count: (peer: Peer) => number) =>
      peers.reduce((total, peer) => total + count(peer), 0);
    return {
      sizeBytes: geometry.sizeBytes,
      segmentCount: geometry.segmentCount,
      elapsedMs: this.elapsedMs(this.settledAtMs),
      rounds,
      timeouts,
      datagramsSent: sum((peer) => peer.datagramsSent),
      retransmissions: sum((peer) => peer.retransmissions),
      acksReceived: sum((peer) => peer.acks),
      receivers: peers.map((peer) => this.of(peer)),
      faults,
    };
  }

  private elapsedMs(untilMs: TimeMs): number {
    return this.startedAtMs === undefined ? 0 : Math.max(0, untilMs - this.startedAtMs);
  }
}
