/**
 * The interface of every protocol state machine, and the loop that drives it. A machine has no
 * access to sockets, files or clocks: every input is an argument, including the time, and every
 * output is polled.
 */

import type { Address } from './address.js';
import { assert } from './assert.js';

/** Milliseconds since an arbitrary fixed moment; monotonic. */
export type TimeMs = number;

/**
 * Bytes to send to one destination: a single datagram, or a batch split every `datagramSizeBytes`.
 */
export interface Transmit {
  readonly to: Address;
  /**
   * A shell may keep these bytes, because they do not change. The bytes of a batch may change once all of it is
   * acknowledged.
   */
  readonly bytes: Uint8Array;
  /**
   * The size of each datagram in a batch, of which only the last may be shorter. Undefined if `bytes` is a single
   * datagram.
   */
  readonly datagramSizeBytes?: number;
}

/**
 * Splits a transmit into its datagrams.
 * @example
 * ```ts
 * import { datagramsOf } from 'p2mp/core';
 *
 * const to = { host: '192.0.2.1', port: 7735 };
 * const batch = { to, bytes: new Uint8Array(2500), datagramSizeBytes: 1000 };
 * console.log([...datagramsOf(batch)].map(({ length }) => length).join(' ')); // 1000 1000 500
 * ```
 */
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
 * A protocol state machine that performs no I/O: its shell passes in datagrams and timeouts, then
 * polls for the outputs.
 */
export interface Machine<Event> {
  /** Handles a datagram, or a batch if the machine accepts batches. */
  handleDatagram(nowMs: TimeMs, from: Address, bytes: Uint8Array): void;
  /** Call at the time that `pollTimeout` returned; early or late calls are harmless. */
  handleTimeout(nowMs: TimeMs): void;
  /** The next datagram to send, if any. */
  pollTransmit(nowMs: TimeMs): Transmit | undefined;
  /** When to call `handleTimeout`; undefined if no timeout is pending. */
  pollTimeout(): TimeMs | undefined;
  /** The next event for the shell, oldest first. */
  pollEvent(): Event | undefined;
}

/** A timeout handled this late shows that the process was stopped (SIGSTOP, suspend). */
const lateTimeoutMs = 500;

/**
 * How long this process was stopped, judged by a late timeout; 0 if it was not. Datagrams that
 * arrived meanwhile are still unread, so this time must not count as a peer's silence.
 * @example
 * ```ts
 * import { stoppedTimeMs } from 'p2mp/core';
 *
 * // A timeout that was due at 1000 fires at 9000: the process stood still for these milliseconds.
 * console.log(stoppedTimeMs(9000, 1000)); // 8000
 * ```
 */
export function stoppedTimeMs(nowMs: TimeMs, dueAtMs: TimeMs): number {
  const lateMs = nowMs - dueAtMs;
  return lateMs >= lateTimeoutMs ? lateMs : 0;
}

/** The environment that runs a machine: real sockets and clocks, or simulated ones. */
export interface Shell<Event> {
  /** The current time in milliseconds; monotonic. */
  now(): TimeMs;
  /** False while the transport is blocked; the shell calls `drain` once it is writable again. */
  canTransmit(): boolean;
  /** Sends a datagram or a batch. */
  transmit(transmit: Transmit): void;
  /**
   * Handles an event. It may feed the machine (for example with requested bytes) but must not drain
   * it.
   */
  handleEvent(event: Event): void;
  /** Sets the machine's next timeout; called after each drain. */
  scheduleTimeout(atMs: TimeMs | undefined): void;
}

/**
 * Runs one machine in one shell. After each input, it drains all outputs until only a timeout is left.
 * @example
 * ```ts
 * import { Receiver, Runner } from 'p2mp/core';
 *
 * // A shell that prints what its machine wants: this one is idle, so it sets no timer.
 * const runner = new Runner(new Receiver(), {
 *   now: () => performance.now(),
 *   canTransmit: () => true,
 *   transmit: ({ to, bytes }) => console.log(to, bytes),
 *   scheduleTimeout: (atMs) => {
 *     console.log('due:', atMs); // due: undefined
 *   },
 *   handleEvent: (event) => console.log(event),
 * });
 * runner.drain();
 * ```
 */
export class Runner<Event> {
  private isDraining = false;

  constructor(
    private readonly machine: Machine<Event>,
    private readonly shell: Shell<Event>,
  ) {}

  /** Passes a datagram to the machine, then drains it. */
  handleDatagram(from: Address, bytes: Uint8Array): void {
    this.machine.handleDatagram(this.shell.now(), from, bytes);
    this.drain();
  }

  /** Lets the machine handle its timeout, then drains it. */
  handleTimeout(): void {
    this.machine.handleTimeout(this.shell.now());
    this.drain();
  }

  /** Handles every pending output. Call it after any input that bypassed this runner. */
  drain(): void {
    assert(!this.isDraining, 'an event handler drained its own machine');
    this.isDraining = true;
    try {
      let isQuiet = false;
      while (!isQuiet) {
        const hasTransmitted = this.takeTransmits();
        const hasEmitted = this.takeEvents();
        isQuiet = !hasTransmitted && !hasEmitted;
      }
    } finally {
      this.isDraining = false;
    }
    this.shell.scheduleTimeout(this.machine.pollTimeout());
  }

  /** @returns whether there were any transmits; each may raise events */
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

  /** @returns whether there were any events; each may feed the machine, which may then transmit */
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
