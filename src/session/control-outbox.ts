/** Datagrams of a session sender that carry no data, in the order in which they are to be sent. */
import { assert } from '../base/assert.js';
import type { Transmit } from '../base/machine.js';
import { Queue } from '../base/queue.js';
import type { SessionPeer } from '../transfer/peer.js';
import type { Message } from '../wire/messages.js';
import { encodeMessage } from '../wire/messages.js';
import { maxControlSizeBytes } from '../wire/sizes.js';

export class ControlOutbox {
  private readonly transmits = new Queue<Transmit>();

  push(transmit: Transmit): void {
    this.transmits.push(transmit);
  }

  /** Sends a datagram to the receiver's current address. */
  send({ address }: SessionPeer, bytes: Uint8Array): void {
    this.transmits.push({ to: address, bytes });
  }

  /** Sends a message on the receiver's channel. Sends nothing if no channel exists or its numbers are used up. */
  sendMessage(peer: SessionPeer, message: Message): void {
    if (peer.channel === undefined || peer.channel.isSpent) return;
    const encoded = encodeMessage(message);
    assert(encoded.length <= maxControlSizeBytes, 'a message fits one datagram');
    this.send(peer, peer.channel.seal(encoded));
  }

  shift(): Transmit | undefined {
    return this.transmits.shift();
  }

  clear(): void {
    this.transmits.clear();
  }
}
