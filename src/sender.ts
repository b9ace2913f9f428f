/**
 * The sender sends one object to N receivers. For each block in flight, it tracks the pending receivers and
 * the segments that each of them is missing. Each round has a single deadline, which is set when the whole
 * round has been sent and which bounds every wait in that round (PROTOCOL 4.1). After the deadline, the
 * sender retransmits only to the pending receivers. Stop-and-wait is a window of one block.
 */

import type { Address } from './base/address.js';
import { at } from './base/assert.js';
import type { Machine, TimeMs, Transmit } from './base/machine.js';
import { Queue } from './base/queue.js';
import type { Refusal } from './base/refusal.js';
import { senderDefaults } from './classic/config.js';
import { EndConfirmation } from './classic/end-confirmation.js';
import type { GoBackRules } from './classic/go-back-n.js';
import { goBack } from './classic/go-back-n.js';
import type { AckMeaning } from './classic/incoming-acks.js';
import { IncomingAcks } from './classic/incoming-acks.js';
import { LivenessTimeout } from './classic/liveness.js';
import { Outcomes } from './classic/outcomes.js';
import { OutgoingBlocks } from './classic/outgoing-blocks.js';
import type { PeerStatus } from './classic/peer.js';
import { Peer } from './classic/peer.js';
import type { Geometry } from './classic/segment.js';
import { createGeometry } from './classic/segment.js';
import type { SenderEvent, SenderResult } from './classic/sender-events.js';
import type { SenderOptions, SenderTerms } from './classic/sender-options.js';
import { completeSenderOptions } from './classic/sender-options.js';
import type { AckPacket } from './packet.js';
import { encodeAbort } from './packet.js';
import { otherAddressEvent } from './path/candidate-addresses.js';
import type { BlockWindow } from './transfer/block-window.js';
import { Block } from './transfer/block-window.js';
import { Rounds } from './transfer/rounds.js';

type Phase =
  | 'data'
  /** All data is settled; the shell is checking that the source has not changed. */
  | 'checking'
  /** The end marker has been sent. */
  | 'ending'
  | 'done';

/**
 * The P2MP-FTP sender as a state machine. All receivers share one window of blocks (PROTOCOL 4).
 * @example
 * ```ts
 * import { Sender } from 'p2mp/core';
 *
 * const sender = new Sender({
 *   receivers: [{ name: 'a', address: { host: '192.0.2.1', port: 7735 } }],
 *   sizeBytes: 2,
 *   mssBytes: 1400,
 * });
 * const event = sender.pollEvent();
 * if (event?.type === 'need') sender.provideBlock(0, event.blockIndex, Uint8Array.of(1, 2));
 * console.log(sender.pollTransmit(0)?.bytes.length); // 10
 * ```
 */
export class Sender implements Machine<SenderEvent> {
  readonly geometry: Geometry;
  readonly peers: readonly Peer[];

  private readonly terms: SenderTerms;
  private readonly acks: IncomingAcks;
  private readonly flight: Rounds;
  private readonly window: BlockWindow;
  private readonly goBackRules: GoBackRules = {
    handleDeadline: (nowMs, block) => this.handleDeadline(nowMs, block),
    beginRound: (block, receivers) => this.beginRound(block, receivers),
  };
  private readonly liveness: LivenessTimeout;
  private readonly blocks: OutgoingBlocks;
  private readonly ending: EndConfirmation;
  private readonly outcomes: Outcomes;
  private readonly events = new Queue<SenderEvent>();
  private readonly farewells = new Queue<Transmit>();

  private phase: Phase = 'data';
  private rounds = 0;
  private timeouts = 0;

  /** @throws P2mpError INVALID_ARGUMENT */
  constructor(options: SenderOptions) {
    const { receivers, segmentsPerBlock = 1 } = options;
    this.geometry = createGeometry(options.sizeBytes, options.mssBytes, segmentsPerBlock);
    this.terms = completeSenderOptions(options);
    const { livenessTimeoutMs, rttLimits } = this.terms;
    this.peers = receivers.map(
      ({ name, address, otherAddresses }, index) =>
        new Peer(index, name, address, rttLimits, otherAddresses),
    );
    const { mssBytes } = this.geometry;
    this.acks = new IncomingAcks(this.peers, mssBytes, (event) => this.events.push(event));
    this.outcomes = new Outcomes(this.peers, this.geometry);
    this.ending = new EndConfirmation(this.peers, this.geometry.segmentCount);
    this.liveness = new LivenessTimeout(livenessTimeoutMs, this.peers);
    this.flight = new Rounds(() => new Block(segmentsPerBlock), {
      maxSegments: segmentsPerBlock,
      isUninterrupted: false,
      receiverCount: () => this.peers.length,
      batchLimit: () => 1,
      timeoutMs: (_nowMs, block) => this.roundTimeoutMs(block),
      isMulticastReachable: () => false,
    });
    this.window = this.flight.window;
    this.blocks = new OutgoingBlocks(this.geometry, this.window, (event) =>
      this.events.push(event),
    );
    this.openBlocks();
    this.advancePhase(0);
  }

  /** Number of payload bytes that every active receiver has acknowledged. */
  get deliveredBytes(): number {
    return this.blocks.deliveredBytes;
  }

  get isDone(): boolean {
    return this.phase === 'done';
  }

  /**
   * Supplies exactly the bytes that a `need` event requested. Call it in the order of these events. The bytes
   * are copied.
   */
  provideBlock(nowMs: TimeMs, blockIndex: number, bytes: Uint8Array): void {
    const block = this.blocks.fill(blockIndex, bytes);
    // There is no block if the last receiver failed while the bytes were being read.
    if (block !== undefined) this.launch(nowMs, block);
  }

  /** Confirms, after a `check-source` event, that the source is unchanged, so that the transfer can end. */
  confirmSource(nowMs: TimeMs): void {
    if (this.phase !== 'checking') return;
    if (this.terms.hasEndMarker && this.outcomes.activeCount > 0) {
      this.phase = 'ending';
      this.ending.begin();
      this.launch(nowMs, this.blocks.openEndMarker());
    } else {
      for (const peer of this.peers) this.settle(nowMs, peer, 'complete');
      this.advancePhase(nowMs);
    }
  }

  /** Fails a receiver to which nothing can be sent, and continues with the others. */
  failReceiver(nowMs: TimeMs, index: number, reason: string): void {
    this.settle(nowMs, at(this.peers, index), 'failed', reason);
    this.advance(nowMs);
  }

  /**
   * Handles an ICMP error for a receiver's port. A server might still be started on that port, so the
   * liveness timeout does not change.
   */
  handleRefusal(nowMs: TimeMs, index: number, at: Address, refusal: Refusal): void {
    const peer = this.peers[index];
    if (peer?.status !== 'active') return;
    if (refusal.code === 'port-closed' && this.phase !== 'data' && peer.ackedSegments > 0) {
      // This receiver has the whole file and has exited, so it needs no end marker (PROTOCOL 5.3).
      if (this.phase === 'ending') this.settleUnconfirmed(nowMs, peer);
      this.advance(nowMs);
      return;
    }
    const refused = peer.addresses.noteRefusal(at, refusal, 'p2mpserver');
    if (refused === undefined) return;
    const { limitMs: livenessTimeoutMs } = this.liveness;
    this.events.push({ ...refused, receiver: peer.name, livenessTimeoutMs });
  }

  /** Aborts the transfer: notifies every unfinished receiver (PROTOCOL 5.6), then emits `done`. */
  abort(nowMs: TimeMs, reason: string): void {
    for (const peer of this.peers) {
      if (peer.status !== 'active') continue;
      if (this.phase === 'ending' && peer.ackedSegments > 0) {
        this.settleUnconfirmed(nowMs, peer);
        continue;
      }
      if (peer.sentSegments > 0) {
        const bytes = encodeAbort(peer.ackedSegments);
        for (let i = 0; i < senderDefaults.abortCopies; i++) {
          this.farewells.push({ to: peer.address, bytes });
        }
      }
      this.settle(nowMs, peer, 'aborted', reason);
    }
    this.advancePhase(nowMs);
  }

  /**
   * Handles a datagram from any address. Anything but an ACK from a receiver is counted as a fault.
   */
  handleDatagram(nowMs: TimeMs, from: Address, bytes: Uint8Array): void {
    const packet = this.acks.decode(from, bytes);
    const peer = packet && this.acks.peerOf(packet, from, bytes);
    if (packet === undefined || peer === undefined) return;
    if (peer.addresses.noteAnswer(from)) {
      this.events.push(otherAddressEvent(peer.name, peer.addresses));
    }
    this.handleAck(nowMs, peer, packet, this.acks.judge(peer, packet, from, bytes));
  }

  handleTimeout(nowMs: TimeMs): void {
    if (this.phase === 'done') return;
    this.liveness.forgiveStoppedTime(nowMs, this.pollTimeout() ?? nowMs);
    for (const peer of this.liveness.takeExpired(nowMs)) this.failSilent(nowMs, peer);
    goBack(nowMs, this.window, this.peers, this.goBackRules);
    this.advance(nowMs);
  }

  pollTransmit(nowMs: TimeMs): Transmit | undefined {
    const farewell = this.farewells.shift();
    if (farewell !== undefined) return farewell;
    // The transfer of an empty file begins with the end marker, so the marker precedes any identify request.
    return this.geometry.segmentCount === 0
      ? (this.transmitSegment(nowMs) ?? this.ending.pollTransmit())
      : (this.ending.pollTransmit() ?? this.transmitSegment(nowMs));
  }

  pollTimeout(): TimeMs | undefined {
    if (this.phase === 'done') return undefined;
    const livenessAtMs = this.liveness.dueAtMs ?? Infinity;
    const earliestMs = Math.min(livenessAtMs, this.flight.earliestDeadlineMs ?? Infinity);
    return earliestMs === Infinity ? undefined : earliestMs;
  }

  pollEvent(): SenderEvent | undefined {
    return this.events.shift();
  }

  /** Returns the outcomes and counts so far. A receiver that is still active is reported as aborted. */
  result(): SenderResult {
    const { rounds, timeouts } = this;
    return this.outcomes.result({ rounds, timeouts, faults: this.acks.faultCounts });
  }

  // --- Blocks and rounds

  private openBlocks(): void {
    // Send one block at a time until every receiver has shown that it acknowledges the number received and
    // not the next number. With more blocks in flight, an ACK of the next number would look like an ACK of a
    // segment that was sent (PROTOCOL 6.4).
    this.blocks.openUpTo(this.outcomes.unprovenCount > 0 ? 1 : this.terms.windowBlocks);
  }

  /**
   * Starts to send a block whose bytes have been provided: marks it as missing at every active receiver and
   * begins its first round.
   */
  private launch(nowMs: TimeMs, block: Block): void {
    for (const peer of this.peers) {
      if (peer.status !== 'active') continue;
      block.setMissing(peer.index);
      if (peer.pendingBlocks === 0) peer.waitingSinceMs = nowMs;
      peer.pendingBlocks++;
    }
    this.liveness.begin(nowMs);
    this.beginRound(block);
  }

  private beginRound(block: Block, receivers?: ReadonlySet<number>): void {
    block.beginRound(receivers);
    if (block.index < this.geometry.blockCount) this.rounds++;
  }

  private transmitSegment(nowMs: TimeMs): Transmit | undefined {
    const part = this.flight.next(nowMs);
    if (part === undefined) return undefined;
    const { block, segments } = part;
    const segment = segments.last;
    const peer = at(this.peers, part.receiver);
    const sequence = block.firstSequence + segment;
    this.outcomes.noteSent(nowMs);
    peer.addresses.noteAttempt();
    peer.handleSent(nowMs, sequence);
    // Do not time ACKs of the last segment or end marker: they wait for the receiver's disk (PROTOCOL 5.5).
    if (sequence >= this.geometry.segmentCount - 1) peer.stopTiming();
    return { to: peer.address, bytes: at(block.packets, segment) };
  }

  private roundTimeoutMs(block: Block): number {
    const { timeout } = this.terms;
    if (timeout.mode === 'fixed') return timeout.timeoutMs;
    let longestMs = 0;
    for (const peer of this.peers) {
      if (block.isPending(peer.index)) longestMs = Math.max(longestMs, peer.rtt.timeoutMs);
    }
    return longestMs;
  }

  private handleDeadline(nowMs: TimeMs, block: Block): void {
    if (this.phase === 'ending') {
      for (const peer of this.ending.takeUnanswered(nowMs, block)) {
        this.settleUnconfirmed(nowMs, peer);
      }
    }
    if (block.pendingCount === 0) return;
    for (const peer of this.peers) {
      // Several blocks in flight can time out at once. Only the oldest block that a receiver misses doubles
      // that receiver's timeout.
      const isOldest = block.firstSequence <= peer.ackedSegments;
      if (isOldest && block.isPending(peer.index)) peer.rtt.backOff();
    }
    if (this.phase === 'data') {
      this.timeouts++;
      const { firstSequence, round, pendingCount } = block;
      this.events.push({ type: 'timeout', sequence: firstSequence, round, pendingCount });
    } else {
      this.ending.requestIdentities();
    }
    this.beginRound(block);
  }

  // --- ACKs

  private handleAck(nowMs: TimeMs, peer: Peer, { sequence }: AckPacket, meaning: AckMeaning): void {
    if (meaning === 'identity') {
      peer.isIdentified = true;
      return;
    }
    peer.acks++;
    switch (meaning) {
      case 'abort':
        this.settle(nowMs, peer, 'failed', 'the receiver stopped, or could not store the file');
        break;
      case 'progress':
        if (peer.status !== 'active') break;
        peer.hasAnswered = true;
        this.handleProgress(nowMs, peer, sequence + 1);
        break;
      case 'repeated':
        peer.hasAnswered = true;
        if (this.phase === 'ending') this.ending.noteRepeatedAck(peer);
        peer.handleRepeatedAck(nowMs, sequence);
        break;
      case 'next-number':
        this.handleNextNumber(nowMs, peer, sequence);
        break;
      case 'unsent':
        break;
    }
    this.advance(nowMs);
  }

  /** A receiver that acknowledges the next number would report a false success if that were accepted. */
  private handleNextNumber(nowMs: TimeMs, peer: Peer, sequence: number): void {
    const isSuspect = peer.ackedSegments === 0 && this.phase === 'data';
    if (!isSuspect || peer.status !== 'active') return;
    peer.nextNumberAcks++;
    if (peer.nextNumberAcks < senderDefaults.nextNumberAcks) return;
    this.settle(
      nowMs,
      peer,
      'failed',
      `acknowledges the next number (${sequence}) instead of the number received ` +
        `(${sequence - 1}); its ACKs cannot be trusted`,
    );
  }

  private handleProgress(nowMs: TimeMs, peer: Peer, throughSegments: number): void {
    const { segmentCount } = this.geometry;
    const fromSegments = peer.ackedSegments;
    if (fromSegments === 0) this.outcomes.noteFirstAck();
    peer.handleProgress(nowMs, throughSegments);
    this.blocks.acknowledge(peer, fromSegments, throughSegments);
    if (throughSegments >= segmentCount) this.outcomes.noteDataSettled(nowMs, peer);
    if (throughSegments > segmentCount) {
      peer.isConfirmed = true;
      this.settle(nowMs, peer, 'complete');
    }
  }

  // --- Receivers

  private failSilent(nowMs: TimeMs, peer: Peer): void {
    if (this.phase === 'ending' && peer.ackedSegments > 0) {
      this.settleUnconfirmed(nowMs, peer);
    } else {
      this.settle(nowMs, peer, 'failed', this.liveness.reason(peer, this.geometry.segmentCount));
    }
  }

  /** Records a receiver's outcome. The sender then neither sends to this receiver nor waits for it. */
  private settle(
    nowMs: TimeMs,
    peer: Peer,
    status: Exclude<PeerStatus, 'active'>,
    reason?: string,
  ): void {
    if (peer.status !== 'active') return;
    this.outcomes.settle(nowMs, peer, status, reason);
    this.blocks.dropReceiver(peer);
    this.events.push({ type: 'receiver', outcome: this.outcomes.of(peer) });
  }

  private settleUnconfirmed(nowMs: TimeMs, peer: Peer): void {
    const { status, reason } = this.ending.judgeUnconfirmed(peer);
    this.settle(nowMs, peer, status, reason);
  }

  // --- Progress of the transfer

  /**
   * Releases settled blocks, opens the next ones and advances the phase. Call it after anything that can
   * settle a block.
   */
  private advance(nowMs: TimeMs): void {
    // If no receiver is left, blocks are released without delivery, so they do not count as delivered.
    const isDelivering = this.phase === 'data' && this.outcomes.activeCount > 0;
    this.blocks.releaseSettled(isDelivering);
    if (isDelivering) this.openBlocks();
    this.advancePhase(nowMs);
  }

  private advancePhase(nowMs: TimeMs): void {
    if (this.phase === 'done') return;
    if (this.outcomes.activeCount === 0) {
      this.phase = 'done';
      this.window.clear();
      this.liveness.end();
      this.outcomes.end(nowMs);
      this.events.push({ type: 'done', result: this.result() });
    } else if (this.phase === 'data' && this.window.length === 0) {
      this.phase = 'checking';
      this.events.push({ type: 'check-source' });
    }
  }
}
