/**
 * What one incoming session gives out: messages to its sender, events for the shell, and faults of the sender. All of
 * it goes into queues of the session receiver.
 */
import type { Address } from '../../base/address.js';
import { sameAddress } from '../../base/address.js';
import type { Transmit } from '../../base/machine.js';
import type { Queue } from '../../base/queue.js';
import type { SecureChannel } from '../../security/secure-channel.js';
import type { FaultKind, FaultLog } from '../../wire/faults.js';
import { sessionHeaderSizeBytes } from '../../wire/header.js';
import type { Message } from '../../wire/messages.js';
import { encodeMessage } from '../../wire/messages.js';
import { allowanceFactor } from '../../wire/paths.js';
import { tagSizeBytes } from '../../wire/sizes.js';
import type { SessionReceiverEvent } from '../receiver-events.js';

export interface OutputQueues {
  readonly events: Queue<SessionReceiverEvent>;
  readonly transmits: Queue<Transmit>;
  readonly faults: FaultLog;
}

/** Every message is larger than this. */
const leastMessageBytes = sessionHeaderSizeBytes + tagSizeBytes;

export class SessionOutput {
  /** Whether the sender has repeated the handshake and has not offered the object again since then. */
  private isChannelNew = false;
  /** Number of the newest message that has said where the sender is. */
  private newest = -1;
  /** The last proven address, while the sender's newest message has come from one that is not. */
  private proven: Address | undefined;
  /** The address that is not proven, or that data has come from and no message yet, and what may still be sent to it. */
  private unproven: Address | undefined;
  private allowanceBytes = 0;

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

  /**
   * The message that was opened last has come from this address. One that took a slower path may be older.
   * @param isProven whether the sender has shown on another path that it gets what is sent there
   */
  noteMessage(from: Address, isProven: boolean): void {
    const { openedNumber } = this.currentChannel;
    if (openedNumber >= this.newest) {
      this.newest = openedNumber;
      if (!sameAddress(from, this.address)) this.moveTo(from, isProven);
      this.address = from;
    }
    this.noteArrival(from);
  }

  private moveTo(address: Address, isProven: boolean): void {
    this.proven ??= this.address;
    if (isProven || sameAddress(address, this.proven)) this.proven = undefined;
  }

  /** Something has come from this address. Its source can be forged, so little is sent there before it is proven. */
  noteArrival(from: Address, sizeBytes = leastMessageBytes): void {
    const { address, proven, unproven } = this;
    if ((proven === undefined) === sameAddress(from, address)) return;
    if (unproven === undefined || !sameAddress(from, unproven)) {
      this.unproven = from;
      this.allowanceBytes = 0;
    }
    this.allowanceBytes += allowanceFactor * sizeBytes;
  }

  get channel(): SecureChannel {
    return this.currentChannel;
  }

  /** Switches to a new channel, because the sender has repeated the handshake. */
  rechannel(channel: SecureChannel, from: Address): void {
    this.currentChannel = channel;
    this.address = from;
    this.proven = undefined;
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
    this.queues.transmits.push({ to: this.allowed(to, bytes.length), bytes });
  }

  private allowed(to: Address, sizeBytes: number): Address {
    const { proven, unproven } = this;
    if (proven === undefined || !sameAddress(to, this.address)) return to;
    const isKnown = unproven !== undefined && sameAddress(to, unproven);
    if (!isKnown || this.allowanceBytes < sizeBytes) return proven;
    this.allowanceBytes -= sizeBytes;
    return to;
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
