/**
 * The surface of every protocol machine, and the one loop that serves it. A machine knows no
 * socket, file or clock: every input is an argument, time included, and every output is polled.
 */

import type { Address } from './address.js';
import { assert } from './assert.js';

/** Milliseconds since any fixed moment; it never goes back. */
export type TimeMs = number;

/** Bytes to send to one place: one datagram, or a batch that is cut every `datagramSizeBytes`. */
export interface Transmit {
  readonly to: Address;
  /** Stays as it is, so that a shell may hold on to it; of a batch, until all of it has been answered. */
  readonly bytes: Uint8Array;
  /**
   * Where `bytes` are several datagrams for one place, one behind the other: a batch. The size of each; the
   * last may be shorter.
   */
  readonly datagramSizeBytes?: number;
}

/** The datagrams of a transmit, one by one. */
export function* datagramsOf({ bytes, datagramSizeBytes }: Transmit): Iterable<Uint8Array> {
  if (datagramSizeBytes === undefined) {
    yield bytes;
    return;
  }
  for (let from = 0; from < bytes.length; from += datagramSizeBytes) {
    yield bytes.subarray(from, from + datagramSizeBytes);
  }
}

/**
 * A protocol machine without input or output of its own: it is called with datagrams and timeouts,
 * and polled for what follows from them.
 */
export interface Machine<Event> {
  /** Takes a datagram, or a batch where the machine accepts batches. */
  handleDatagram(nowMs: TimeMs, from: Address, bytes: Uint8Array): void;
  /** Call when the time that `pollTimeout` gave has come; early or late calls do no harm. */
  handleTimeout(nowMs: TimeMs): void;
  /** The next datagram to send, if there is one now. */
  pollTransmit(nowMs: TimeMs): Transmit | undefined;
  /** When to call `handleTimeout`; undefined for never. */
  pollTimeout(): TimeMs | undefined;
  /** The next thing to tell or to ask of the shell, oldest first. */
  pollEvent(): Event | undefined;
}

/** A timeout that is handled this late tells that the process was stopped (SIGSTOP, suspend). */
const lateTimeoutMs = 500;

/**
 * How long this process was stopped, as a late timeout shows: what a peer may have sent meanwhile is
 * still waiting to be read, so that time must not count as its silence.
 */
export function stoppedTimeMs(nowMs: TimeMs, dueAtMs: TimeMs): number {
  const lateMs = nowMs - dueAtMs;
  return lateMs >= lateTimeoutMs ? lateMs : 0;
}

/** What a machine is run by: real sockets and clocks, or simulated ones. */
export interface Shell<Event> {
  /** The time of the shell in milliseconds; it never goes back. */
  now(): TimeMs;
  /** False while datagrams pile up below; the shell calls `drain` again once they have left. */
  canTransmit(): boolean;
  /** Sends what a machine transmits. */
  transmit(transmit: Transmit): void;
  /** May feed the machine (hand it the bytes it asks for), never drain it. */
  handleEvent(event: Event): void;
  /** The machine's next timeout, told after each drain. */
  scheduleTimeout(atMs: TimeMs | undefined): void;
}

/** Runs one machine in one shell: after each input, outputs are drained until only a timeout is left. */
export class Runner<Event> {
  private isDraining = false;

  constructor(
    private readonly machine: Machine<Event>,
    private readonly shell: Shell<Event>,
  ) {}

  /** Passes a datagram to the machine and drains it. */
  handleDatagram(from: Address, bytes: Uint8Array): void {
    this.machine.handleDatagram(this.shell.now(), from, bytes);
    this.drain();
  }

  /** Lets the machine handle its deadline and drains it. */
  handleTimeout(): void {
    this.machine.handleTimeout(this.shell.now());
    this.drain();
  }

  /** Takes every output; call it after any input that did not come through this runner. */
  drain(): void {
    assert(!this.isDraining, 'an event handler drained its own machine');
    this.isDraining = true;
    try {
      let isQuiet = false;
      while (!isQuiet) {
        const hasTransmitted = this.takeTransmits();
        const hasTold = this.takeEvents();
        isQuiet = !hasTransmitted && !hasTold;
      }
    } finally {
      this.isDraining = false;
    }
    this.shell.scheduleTimeout(this.machine.pollTimeout());
  }

  /** @returns whether there was any; each may raise events */
  private takeTransmits(): boolean {
    const { machine, shell } = this;
    let count = 0;
    while (shell.canTransmit()) {
      const transmit = machine.pollTransmit(shell.now());
      if (transmit === undefined) break;
      shell.transmit(transmit);
      count++;
    }
    return count > 0;
  }

  /** @returns whether there was any; each may feed the machine, which then transmits */
  private takeEvents(): boolean {
    let count = 0;
    for (;;) {
      const event = this.machine.pollEvent();
      if (event === undefined) return count > 0;
      this.shell.handleEvent(event);
      count++;
    }
  }
}
