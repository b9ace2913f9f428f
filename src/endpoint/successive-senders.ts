/**
 * A restartable sender. It combines successive senders of one object into a single machine, so that a session
 * can restart on the same sockets. After a restart, the earlier senders only confirm receivers' outcomes.
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
    // The address at which each receiver answers, and the recorded port refusals, stay valid in the next
    // session.
    for (const { index, path } of next.peers)
      path.adoptAddresses(at(this.newest.peers, index).path);
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

  /** The next event of the newest sender. Drops events that earlier senders have queued. */
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
