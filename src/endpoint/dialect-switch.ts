/** Serves both protocols on one port. The type field of each datagram selects the protocol (SESSIONS 2.1). */
import type { Address } from '../base/address.js';
import type { Machine, TimeMs, Transmit } from '../base/machine.js';
import { isSessionDatagram } from '../wire/header.js';

export type DialectEvent<Classic, Session> =
  | { readonly dialect: 'classic'; readonly event: Classic }
  | { readonly dialect: 'session'; readonly event: Session };

export class DialectSwitch<Classic, Session> implements Machine<DialectEvent<Classic, Session>> {
  constructor(
    private readonly classic: Machine<Classic>,
    private readonly session: Machine<Session>,
  ) {}

  handleDatagram(nowMs: TimeMs, from: Address, bytes: Uint8Array): void {
    const machine = isSessionDatagram(bytes) ? this.session : this.classic;
    machine.handleDatagram(nowMs, from, bytes);
  }

  handleTimeout(nowMs: TimeMs): void {
    this.classic.handleTimeout(nowMs);
    this.session.handleTimeout(nowMs);
  }

  pollTransmit(nowMs: TimeMs): Transmit | undefined {
    return this.session.pollTransmit(nowMs) ?? this.classic.pollTransmit(nowMs);
  }

  pollTimeout(): TimeMs | undefined {
    const classicMs = this.classic.pollTimeout();
    const sessionMs = this.session.pollTimeout();
    if (classicMs === undefined || sessionMs === undefined) return classicMs ?? sessionMs;
    return Math.min(classicMs, sessionMs);
  }

  pollEvent(): DialectEvent<Classic, Session> | undefined {
    const session = this.session.pollEvent();
    if (session !== undefined) return { dialect: 'session', event: session };
    const classic = this.classic.pollEvent();
    return classic === undefined ? undefined : { dialect: 'classic', event: classic };
  }
}
