/** Invariants of every machine under any input, and the accounting for them. */
import type { Address } from '../../src/base/address.js';
import { formatAddress } from '../../src/base/address.js';
import type { Machine, TimeMs, Transmit } from '../../src/base/machine.js';

/**
 * The effect of an input: its number of hostile datagrams, and a digest of everything the machine
 * sent.
 */
export interface Outcome {
  readonly datagrams: number;
  readonly digest: number;
  /** Events and their counts: without events, little is proven. */
  readonly seen: Readonly<Record<string, number>>;
}

/** Fails if an invariant is violated. Not an assertion of the product: the fuzzer found it. */
export class Violation extends Error {
  override name = 'Violation';
}

export function demand(isTrue: boolean, what: () => string): void {
  if (!isTrue) throw new Violation(what());
}

/** This many consecutive timeouts at one moment count as endless. */
const mostTimeoutsAtOnce = 20_000;

/** The most that is kept of what a machine sends over a long time. */
const mostRemembered = 5000;

/** Drives one machine in virtual time, delivers its events, and records what it sends. */
export class Driver<Event> {
  nowMs: TimeMs = 1000;
  datagrams = 0;
  /** A digest of everything sent: the same input gives the same digest. */
  digest = 0;
  /** Datagrams sent since the last input. */
  sent: Transmit[] = [];

  constructor(
    readonly machine: Machine<Event>,
    private readonly handleEvent: (event: Event) => void,
    /** The most datagrams in reply to one input. */
    private readonly mostTransmits: (inputBytes: number) => number,
  ) {}

  deliver(from: Address, bytes: Uint8Array): void {
    this.datagrams++;
    this.sent = [];
    this.machine.handleDatagram(this.nowMs, from, bytes);
    this.drain(bytes.length);
  }

  /** Advances time, with each timeout when it is due. */
  passTo(untilMs: TimeMs): void {
    this.sent = [];
    let atOnce = 0;
    for (;;) {
      const atMs = this.machine.pollTimeout();
      demand(atMs === undefined || !Number.isNaN(atMs), () => 'a timeout that is no number');
      if (atMs === undefined || atMs > untilMs) break;
      atOnce = atMs > this.nowMs ? 0 : atOnce + 1;
      demand(atOnce < mostTimeoutsAtOnce, () => 'timeouts without end at one moment');
      this.nowMs = Math.max(this.nowMs, atMs);
      this.machine.handleTimeout(this.nowMs);
      this.drain(Infinity);
    }
    this.nowMs = untilMs;
  }

  /** Handles a timeout that was not requested, possibly late after a suspension. */
  wake(): void {
    this.machine.handleTimeout(this.nowMs);
    this.drain(Infinity);
  }

  drain(inputBytes: number): void {
    let count = 0;
    const most = this.mostTransmits(inputBytes);
    for (let isQuiet = false; !isQuiet; ) {
      isQuiet = true;
      let transmit = this.machine.pollTransmit(this.nowMs);
      for (; transmit !== undefined; transmit = this.machine.pollTransmit(this.nowMs)) {
        isQuiet = false;
        count++;
        demand(count <= most, () => `${count} transmits for ${inputBytes} bytes`);
        this.note(transmit);
      }
      for (
        let event = this.machine.pollEvent();
        event !== undefined;
        event = this.machine.pollEvent()
      ) {
        isQuiet = false;
        this.handleEvent(event);
      }
    }
  }

  private note(transmit: Transmit): void {
    const { bytes } = transmit;
    let digest = this.digest ^ bytes.length;
    const step = 1 + (bytes.length >>> 6);
    for (let i = 0; i < bytes.length; i += step) {
      digest = Math.imul(digest ^ (bytes[i] as number), 0x01000193);
    }
    this.digest = digest;
    if (this.sent.length >= mostRemembered) this.sent = [];
    this.sent.push(transmit);
  }
}

/**
 * Bytes per address: an address that is not validated gets no more bytes than came from there
 * (SECURITY, "Guarantees", 5).
 */
export class Ledger {
  private readonly balances = new Map<string, number>();
  private readonly proven = new Set<string>();

  prove(address: Address): void {
    this.proven.add(formatAddress(address));
  }

  came(from: Address, sizeBytes: number): void {
    const key = formatAddress(from);
    this.balances.set(key, (this.balances.get(key) ?? 0) + sizeBytes);
  }

  went({ to, bytes }: Transmit): void {
    const key = formatAddress(to);
    if (this.proven.has(key)) return;
    const left = (this.balances.get(key) ?? 0) - bytes.length;
    demand(left >= 0, () => `${-left} bytes more to ${key} than came from there`);
    this.balances.set(key, left);
  }
}
