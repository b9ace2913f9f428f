/**
 * Senders of one object, each in the place of the one before, as one machine: a session that has to begin
 * anew does so on the same sockets. Those before only confirm what receivers say of their end.
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
    // Which address a receiver answers at, and which ones refuse, does not change with the session.
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

  /** What those before still had to tell is over with them. */
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
