/** Queue of a session sender's outgoing control datagrams, which carry no data. */
import { assert } from '../../base/assert.js';
import type { Transmit } from '../../base/machine.js';
import { Queue } from '../../base/queue.js';
import { withoutUndefined } from '../../base/without-undefined.js';
import type { Path, PathEnds } from '../../path/path.js';
import type { Message } from '../../wire/messages.js';
import { encodeMessage } from '../../wire/messages.js';
import type { PathChallenge } from '../../wire/paths.js';
import { maxControlSizeBytes } from '../../wire/sizes.js';
import type { SessionMember } from './member.js';

export class ControlOutbox {
  private readonly transmits = new Queue<Transmit>();

  push(transmit: Transmit): void {
    this.transmits.push(transmit);
  }

  /** Sends a datagram to the receiver's current address, by the first path. */
  send({ path }: SessionMember, bytes: Uint8Array): void {
    this.sendBy(path, bytes);
  }

  /** Sends a datagram between these addresses. */
  sendBetween({ address, localHost }: PathEnds, bytes: Uint8Array): void {
    this.transmits.push({ to: address, ...withoutUndefined({ from: localHost }), bytes });
  }

  /** Sends a challenge by the path that it is about. */
  sendChallenge(path: Path, { channel }: SessionMember, challenge: PathChallenge): void {
    if (channel === undefined || channel.isSpent) return;
    this.sendBy(path, channel.seal(encodeMessage(challenge)));
  }

  private sendBy(path: Path, bytes: Uint8Array): void {
    this.transmits.push(path.carry({ to: path.address, bytes }));
  }

  /**
   * Sends a message on the receiver's channel. Sends nothing if there is no channel or its message counter is
   * exhausted.
   */
  sendMessage(member: SessionMember, message: Message): void {
    const { channel } = member;
    if (channel === undefined || channel.isSpent) return;
    const encoded = encodeMessage(message);
    assert(encoded.length <= maxControlSizeBytes, 'a message fits one datagram');
    this.sendBy(member.route, channel.seal(encoded));
  }

  sendMessages(member: SessionMember, messages: readonly Message[]): void {
    for (const message of messages) this.sendMessage(member, message);
  }

  shift(): Transmit | undefined {
    return this.transmits.shift();
  }

  clear(): void {
    this.transmits.clear();
  }
}
