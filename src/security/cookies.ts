/**
 * Stateless cookies. A sender proves its address by returning a cookie; before that, the receiver keeps no
 * state for the sender (as in RFC 6347, 4.2.1). A cookie is a keyed digest of the sender's address, the
 * identifiers of the handshake, and the time.
 */
import type { Address } from '../base/address.js';
import { formatAddress } from '../base/address.js';
import type { TimeMs } from '../base/machine.js';
import { isEqualBytes } from '../wire/byte-codec.js';
import type { ChannelPacket } from '../wire/header.js';
import { keySizeBytes } from '../wire/sizes.js';
import type { SessionCrypto } from './crypto.js';
import { handshakeLimits } from './handshake-limits.js';

export class Cookies {
  private readonly secret: Uint8Array;

  constructor(private readonly crypto: SessionCrypto) {
    this.secret = crypto.random(keySizeBytes);
  }

  bake(nowMs: TimeMs, from: Address, packet: ChannelPacket): Uint8Array {
    return this.digest(period(nowMs), from, packet);
  }

  isGood(nowMs: TimeMs, from: Address, packet: ChannelPacket, cookie: Uint8Array): boolean {
    return [0, 1].some((age) =>
      isEqualBytes(cookie, this.digest(period(nowMs) - age, from, packet)),
    );
  }

  private digest(periodNumber: number, from: Address, packet: ChannelPacket): Uint8Array {
    const { session, receiver, counter } = packet;
    const text = `${periodNumber} ${formatAddress(from)} ${session} ${receiver} ${counter}`;
    return this.crypto.mac(this.secret, encoder.encode(text));
  }
}

const encoder = new TextEncoder();

function period(nowMs: TimeMs): number {
  return Math.floor(nowMs / handshakeLimits.cookieMs);
}
