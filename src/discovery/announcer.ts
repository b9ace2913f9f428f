/** The side of receivers and servers in discovery: answers queries from hosts nearby, each after a random delay. */
import type { Address } from '../base/address.js';
import { sameAddress } from '../base/address.js';
import type { Machine, TimeMs, Transmit } from '../base/machine.js';
import type { Random } from '../base/random.js';
import { isEqualBytes } from '../wire/byte-codec.js';
import type { DiscoveryAnswer } from '../wire/discovery.js';
import { decodeDiscovery, encodeAnswer } from '../wire/discovery.js';
import { AnswerRates, answerLimits } from './answer-limits.js';

export interface AnnouncerOptions {
  /** What answers say. */
  readonly announced: Pick<DiscoveryAnswer, 'port' | 'receiverKey' | 'role' | 'name'>;
  /** Whether this address belongs to a network that this host is part of. Other sources get no answer. */
  readonly isNear: (from: Address) => boolean;
  readonly random: Random;
}

interface WaitingAnswer {
  readonly to: Address;
  readonly nonce: Uint8Array;
  readonly dueAtMs: TimeMs;
}

/** Emits no events: queries are nothing that a user acts on. */
export class Announcer implements Machine<never> {
  private readonly rates = new AnswerRates();
  private waiting: WaitingAnswer[] = [];
  private due: WaitingAnswer[] = [];

  constructor(private readonly options: AnnouncerOptions) {}

  /** Number of remembered sources and answers, which the limits bound. */
  get stateCount(): number {
    return this.rates.sourceCount + this.waiting.length + this.due.length;
  }

  handleDatagram(nowMs: TimeMs, from: Address, bytes: Uint8Array): void {
    const packet = decodeDiscovery(bytes);
    if (typeof packet === 'string' || packet.kind !== 'query') return;
    if (this.waiting.length + this.due.length >= answerLimits.waiting) return;
    if (!this.options.isNear(from)) return;
    // One answer is enough for copies of a query, which can arrive by several interfaces.
    const isCopy = this.waiting.some(
      ({ to, nonce }) => sameAddress(to, from) && isEqualBytes(nonce, packet.nonce),
    );
    if (isCopy || !this.rates.take(nowMs, from.host)) return;
    const dueAtMs = nowMs + this.options.random() * answerLimits.maxDelayMs;
    // The receive buffer is reused.
    this.waiting.push({ to: from, nonce: Uint8Array.from(packet.nonce), dueAtMs });
  }

  handleTimeout(nowMs: TimeMs): void {
    this.due.push(...this.waiting.filter(({ dueAtMs }) => dueAtMs <= nowMs));
    this.waiting = this.waiting.filter(({ dueAtMs }) => dueAtMs > nowMs);
  }

  pollTransmit(): Transmit | undefined {
    const next = this.due.shift();
    if (next === undefined) return undefined;
    const { to, nonce } = next;
    return { to, bytes: encodeAnswer({ kind: 'answer', nonce, ...this.options.announced }) };
  }

  pollTimeout(): TimeMs | undefined {
    if (this.waiting.length === 0) return undefined;
    return Math.min(...this.waiting.map(({ dueAtMs }) => dueAtMs));
  }

  pollEvent(): undefined {
    return undefined;
  }
}
