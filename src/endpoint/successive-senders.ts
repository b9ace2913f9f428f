/**
 * A restartable sender. It combines successive senders of one object into a single machine, so that a session can
 * restart on the same sockets. Earlier senders only confirm the receivers' outcomes.
 */
import type { Address } from '../base/address.js';
import { at } from '../base/assert.js';
import type { Machine, TimeMs, Transmit } from '../base/machine.js';
import { readUint32 } from '../base/network-order.js';
import type { SessionSender } from '../session/sender.js';
import type { SessionSenderEvent } from '../session/sender-events.js';
import { sessionField, sessionHeaderSizeBytes } from '../wire/header.js';

export class SuccessiveSenders implements Machine<SessionSenderEvent> {
  private readonly retired: SessionSender[] = [];
  private newest: SessionSender;

  constructor(first: SessionSender) {
    this.newest = first;
  }

  get current(): SessionSender {
    return this.newest;
  }

  succeed(next: SessionSender): void {
    // The address at which a receiver answers and the refusals of its ports stay valid in the next session.
    for (const peer of next.peers) peer.addresses = at(this.newest.peers, peer.index).addresses;
    this.newest.retire();
    this.retired.push(this.newest);
    this.newest = next;
  }

  handleDatagram(nowMs: TimeMs, from: Address, bytes: Uint8Array): void {
    this.senderOf(bytes).handleDatagram(nowMs, from, bytes);
  }

  handleTimeout(nowMs: TimeMs): void {
    this.newest.handleTimeout(nowMs);
  }

  pollTransmit(nowMs: TimeMs): Transmit | undefined {
    for (const sender of this.retired) {
      const transmit = sender.pollTransmit(nowMs);
      if (transmit !== undefined) return transmit;
    }
    return this.newest.pollTransmit(nowMs);
  }

  pollTimeout(): TimeMs | undefined {
    return this.newest.pollTimeout();
  }

  /** Drops the events that earlier senders still have in their queues. */
  pollEvent(): SessionSenderEvent | undefined {
    for (const sender of this.retired) while (sender.pollEvent() !== undefined);
    return this.newest.pollEvent();
  }

  private senderOf(bytes: Uint8Array): SessionSender {
    if (this.retired.length === 0 || bytes.length < sessionHeaderSizeBytes) return this.newest;
    const session = readUint32(bytes, sessionField.session);
    return this.retired.find((sender) => sender.session === session) ?? this.newest;
  }
}
