/** What must hold of a machine whatever comes to it, and what keeps the accounts for that. */
import type { Address } from '../../src/base/address.js';
import { formatAddress } from '../../src/base/address.js';
import type { Machine, TimeMs, Transmit } from '../../src/base/machine.js';

/** What an input did: how many hostile datagrams it was, and a digest of all that the machine answered. */
export interface Outcome {
  readonly datagrams: number;
  readonly digest: number;
  /** What has happened, and how often: where it never does, little is proven. */
  readonly seen: Readonly<Record<string, number>>;
}

/** Fails with what does not hold. Not an assertion of the project: it is the fuzzer that found it. */
export class Violation extends Error {
  override name = 'Violation';
}

export function demand(isTrue: boolean, what: () => string): void {
  if (!isTrue) throw new Violation(what());
}

/** A timeout that leads to another at the same moment, this often in a row, never ends. */
const mostTimeoutsAtOnce = 20_000;

/** What was sent while a long time passed: whoever hears it does not hear all of it. */
const mostRemembered = 5000;

/** Drives one machine in virtual time, hands out its events, and keeps what it sends. */
export class Driver<Event> {
  nowMs: TimeMs = 1000;
  datagrams = 0;
  /** Of everything that was sent: the same input gives the same one. */
  digest = 0;
  /** What was sent since the last input. */
  sent: Transmit[] = [];

  constructor(
    readonly machine: Machine<Event>,
    private readonly handleEvent: (event: Event) => void,
    /** More than this in answer to one input is more than it asked for. */
    private readonly mostTransmits: (inputBytes: number) => number,
  ) {}

  deliver(from: Address, bytes: Uint8Array): void {
    this.datagrams++;
    this.sent = [];
    this.machine.handleDatagram(this.nowMs, from, bytes);
    this.drain(bytes.length);
  }

  /** Lets time pass, with each timeout as it comes due. */
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

  /** A timeout that nobody asked for, perhaps late by a stop of the process. */
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
 * What goes to whom: nobody who has not shown that he reads at his address gets more than came from there
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
