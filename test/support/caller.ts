/**
 * A sender that a receiver trusts, from the hello on: it sends what a test wants, without wire or
 * clock.
 */
import type { Address } from '../../src/base/address.js';
import { datagramsOf } from '../../src/base/machine.js';
import type { SessionCrypto } from '../../src/security/crypto.js';
import { OutgoingHandshake } from '../../src/security/handshake.js';
import type { SecureChannel } from '../../src/security/secure-channel.js';
import type { SessionReceiver } from '../../src/session/receiver.js';
import { createSimulatedCrypto } from '../../src/simulator/session-crypto.js';
import type { ChannelPacket } from '../../src/wire/header.js';
import { decodeSession } from '../../src/wire/header.js';
import type { Message } from '../../src/wire/messages.js';
import { decodeMessage, encodeMessage } from '../../src/wire/messages.js';

const address: Address = { host: '192.0.2.1', port: 7735 };

export class Caller {
  readonly crypto: SessionCrypto;
  private readonly handshake: OutgoingHandshake;

  /** @param atMs start of the handshake; receivers limit their rate, and accept each nonce once */
  constructor(
    private readonly machine: SessionReceiver,
    readonly session: number,
    private readonly atMs = 0,
  ) {
    this.crypto = createSimulatedCrypto(`findings ${atMs}`, 'caller');
    this.handshake = new OutgoingHandshake(this.crypto, session, 0);
    for (let step = 0; step < 3; step++) {
      const answers = this.deliver(this.handshake.datagram as Uint8Array);
      for (const bytes of answers) this.handshake.handle(decodeSession(bytes) as ChannelPacket);
      if (this.handshake.stage === 'trust') this.handshake.prove();
    }
  }

  /** @returns the replies of the receiver */
  sendMessage(message: Message | Uint8Array): (Message | undefined)[] {
    const bytes = message instanceof Uint8Array ? message : encodeMessage(message);
    const answers = this.deliver(this.channel.seal(bytes));
    return answers.map((answer) => {
      const opened = this.channel.open(decodeSession(answer) as ChannelPacket);
      return typeof opened === 'string' ? undefined : decodeMessage(opened);
    });
  }

  deliver(bytes: Uint8Array): Uint8Array[] {
    this.machine.handleDatagram(this.atMs, address, bytes);
    const answers: Uint8Array[] = [];
    for (let next = this.machine.pollTransmit(); next !== undefined; ) {
      answers.push(...datagramsOf(next));
      next = this.machine.pollTransmit();
    }
    return answers;
  }

  private get channel(): SecureChannel {
    if (this.handshake.channel === undefined) throw new Error('not open');
    return this.handshake.channel;
  }
}
