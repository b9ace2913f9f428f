/**
 * What one incoming session gives out: messages to its sender, events for the shell, and faults of the sender. All of
 * it goes into queues of the session receiver.
 */
import type { Address } from '../../base/address.js';
import type { Transmit } from '../../base/machine.js';
import type { Queue } from '../../base/queue.js';
import type { SecureChannel } from '../../security/secure-channel.js';
import type { FaultKind, FaultLog } from '../../wire/faults.js';
import type { Message } from '../../wire/messages.js';
import { encodeMessage } from '../../wire/messages.js';
import type { SessionReceiverEvent } from '../receiver-events.js';

export interface OutputQueues {
  readonly events: Queue<SessionReceiverEvent>;
  readonly transmits: Queue<Transmit>;
  readonly faults: FaultLog;
}

export class SessionOutput {
  /** Whether the sender has repeated the handshake and has not offered the object again since then. */
  private isChannelNew = false;
  /** Number of the newest message that has said where the sender is. */
  private newest = -1;

  /** @param from the sender's latest address */
  constructor(
    private readonly queues: OutputQueues,
    private currentChannel: SecureChannel,
    private address: Address,
  ) {}

  /** The address from which the sender's newest message has come. */
  get from(): Address {
    return this.address;
  }

  /** The message that was opened last has come from this address. One that took a slower path may be older. */
  noteMessage(from: Address): void {
    const { openedNumber } = this.currentChannel;
    if (openedNumber < this.newest) return;
    this.newest = openedNumber;
    this.address = from;
  }

  get channel(): SecureChannel {
    return this.currentChannel;
  }

  /** Switches to a new channel, because the sender has repeated the handshake. */
  rechannel(channel: SecureChannel, from: Address): void {
    this.currentChannel = channel;
    this.address = from;
    this.newest = -1;
    this.isChannelNew = true;
  }

  /** @returns whether the handshake was repeated since the last call */
  takeNewChannel(): boolean {
    const { isChannelNew } = this;
    this.isChannelNew = false;
    return isChannelNew;
  }

  /** Sends nothing once the channel's message counter is exhausted. */
  send(message: Message): void {
    this.sendTo(this.from, message);
  }

  /** Sends a message to another address of the sender. */
  sendTo(to = this.from, message: Message): void {
    const { currentChannel } = this;
    if (currentChannel.isSpent) return;
    const bytes = currentChannel.seal(encodeMessage(message));
    this.queues.transmits.push({ to, bytes });
  }

  emit(event: SessionReceiverEvent): void {
    this.queues.events.push(event);
  }

  /** Counts a fault of the sender that no single datagram shows. */
  countFault(kind: FaultKind): void {
    this.queues.faults.add(kind, this.from, nothing);
  }

  /** Counts a fault of one or more datagrams from this address; `bytes` is the first of them. */
  countFaultOf(kind: FaultKind, from: Address, bytes: Uint8Array, count?: number): void {
    this.queues.faults.add(kind, from, bytes, count);
  }
}

const nothing = new Uint8Array(0);
