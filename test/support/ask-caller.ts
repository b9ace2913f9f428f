/** A receiver that asks, from the hello on: it sends what a test wants, without wire or clock. */
import type { Address } from '../../src/base/address.js';
import { datagramsOf, type Machine } from '../../src/base/machine.js';
import type { SessionCrypto } from '../../src/security/crypto.js';
import { OutgoingHandshake } from '../../src/security/handshake.js';
import type { SecureChannel } from '../../src/security/secure-channel.js';
import { askerNumber, type ChannelPacket, decodeSession } from '../../src/wire/header.js';
import { decodeMessage, encodeMessage, type Message } from '../../src/wire/messages.js';

export const ask = (name: string): Message => ({
  ...{ kind: 'ask', name, root: undefined, manifestDigest: undefined },
  mssBytes: 500,
  hops: [],
});

export class AskCaller {
  /** Everything that it sent and got, in bytes. */
  readonly sizes = { sent: 0, got: 0 };
  /** Everything that it sent. */
  readonly sent: Uint8Array[] = [];
  /** What answered the proof. */
  readonly greeting: (Message | undefined)[] = [];
  private readonly handshake: OutgoingHandshake;

  /** Completes the handshake, if the machine lets it. @param secret of an invitation */
  constructor(
    private readonly machine: Machine<unknown>,
    crypto: SessionCrypto,
    private readonly atMs: number,
    channelNumber: number,
    readonly address: Address = { host: '192.0.2.1', port: 7735 },
    receiver = askerNumber,
    secret?: Uint8Array,
  ) {
    this.handshake = new OutgoingHandshake(crypto, channelNumber, receiver);
    for (let step = 0; step < 2; step++) {
      for (const bytes of this.deliver(this.handshake.datagram as Uint8Array))
        this.handshake.handle(decodeSession(bytes) as ChannelPacket);
    }
    if (this.handshake.stage !== 'trust') return;
    this.handshake.prove(secret);
    const answers = this.deliver(this.handshake.datagram as Uint8Array);
    this.greeting.push(...answers.map((bytes) => this.read(bytes)));
  }

  get isConnected(): boolean {
    return this.handshake.channel !== undefined;
  }

  /** @returns the replies */
  say(message: Message): (Message | undefined)[] {
    return this.deliver(this.seal(message)).map((bytes) => this.read(bytes));
  }

  seal(message: Message): Uint8Array {
    return this.channel.seal(encodeMessage(message));
  }

  read(bytes: Uint8Array): Message | undefined {
    const opened = this.channel.open(decodeSession(bytes) as ChannelPacket);
    return typeof opened === 'string' ? undefined : decodeMessage(opened);
  }

  deliver(bytes: Uint8Array, from = this.address): Uint8Array[] {
    this.sizes.sent += bytes.length;
    this.sent.push(bytes);
    this.machine.handleDatagram(this.atMs, from, bytes);
    return this.drain();
  }

  /** Everything that the machine has to send. */
  drain(): Uint8Array[] {
    const answers: Uint8Array[] = [];
    for (let next = this.machine.pollTransmit(this.atMs); next !== undefined; ) {
      answers.push(...datagramsOf(next));
      next = this.machine.pollTransmit(this.atMs);
    }
    for (const { length } of answers) this.sizes.got += length;
    return answers;
  }

  private get channel(): SecureChannel {
    if (this.handshake.channel === undefined) throw new Error('not open');
    return this.handshake.channel;
  }
}
