/**
 * The interface of every protocol state machine, and the loop that drives a machine. A machine has no access
 * to sockets, files or clocks: every input, including the time, is an argument, and every output is polled.
 */

import type { Address } from './address.js';
import { assert } from './assert.js';

/** Milliseconds since an arbitrary fixed moment; monotonic. */
export type TimeMs = number;

/** A clock that runs actions later. In simulations, its time is virtual. */
export interface Clock {
  readonly nowMs: TimeMs;
  /** Runs the action at this time. */
  at(atMs: TimeMs, action: () => void): void;
}

/**
 * Bytes to send to one destination: a single datagram, or a batch of datagrams of `datagramSizeBytes` each.
 */
export interface Transmit {
  readonly to: Address;
  /**
   * The local host to send from. It and `to` name the path. If it is undefined, or the shell has no such host, the
   * shell chooses.
   */
  readonly from?: string;
  /**
   * A shell is allowed to keep the bytes of a single datagram, because they never change. The bytes of a
   * batch can change once the whole batch is acknowledged.
   */
  readonly bytes: Uint8Array;
  /**
   * The size of each datagram in a batch; only the last datagram can be shorter. Undefined if `bytes` is a
   * single datagram.
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
  /** Handles a timeout. Call it at the time that `pollTimeout` returned; early or late calls are harmless. */
  handleTimeout(nowMs: TimeMs): void;
  /** Removes and returns the next datagram or batch to send, if any. */
  pollTransmit(nowMs: TimeMs): Transmit | undefined;
  /** The time at which to call `handleTimeout`; undefined if no timeout is pending. */
  pollTimeout(): TimeMs | undefined;
  /** Removes and returns the oldest pending event, if any. */
  pollEvent(): Event | undefined;
}

/** A timeout handled this late shows that the process was stopped (SIGSTOP, suspend). */
const lateTimeoutMs = 500;

/**
 * The time for which this process was stopped, estimated from how late a timeout is; 0 if the process was not
 * stopped. Datagrams that arrived meanwhile are still unread, so this time must not count as a peer's
 * silence.
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
  /** False while the transport is blocked. The shell calls `drain` once the transport is writable again. */
  canTransmit(): boolean;
  /** Sends a datagram or a batch. */
  transmit(transmit: Transmit): void;
  /**
   * Handles an event. The handler is allowed to feed the machine (for example with requested bytes) but must
   * not call `drain`.
   */
  handleEvent(event: Event): void;
  /** Sets the machine's next timeout; called after each drain. */
  scheduleTimeout(atMs: TimeMs | undefined): void;
}

/**
 * Runs one machine in one shell. After each input, the runner drains the machine: it handles all outputs
 * until only a timeout is left.
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

  /** Passes a datagram to the machine, then drains the machine. */
  handleDatagram(from: Address, bytes: Uint8Array): void {
    this.machine.handleDatagram(this.shell.now(), from, bytes);
    this.drain();
  }

  /**
   * Passes a datagram to the machine, and handles the events that follow. Nothing is sent before the next drain, which
   * can follow several datagrams.
   */
  takeDatagram(from: Address, bytes: Uint8Array): void {
    this.machine.handleDatagram(this.shell.now(), from, bytes);
    this.alone(() => this.takeEvents());
  }

  /** Lets the machine handle its timeout, then drains the machine. */
  handleTimeout(): void {
    this.machine.handleTimeout(this.shell.now());
    this.drain();
  }

  /** Handles every pending output. Call it after an input that bypassed the runner. */
  drain(): void {
    this.alone(() => {
      let isQuiet = false;
      while (!isQuiet) {
        const hasTransmitted = this.takeTransmits();
        const hasEmitted = this.takeEvents();
        isQuiet = !hasTransmitted && !hasEmitted;
      }
    });
    this.shell.scheduleTimeout(this.machine.pollTimeout());
  }

  private alone(work: () => void): void {
    assert(!this.isDraining, 'an event handler drained its own machine');
    this.isDraining = true;
    try {
      work();
    } finally {
      this.isDraining = false;
    }
  }

  /** @returns whether anything was transmitted; transmitting can cause events */
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

  /** @returns whether there were any events; handling an event can give the machine more to transmit */
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

/** Ignores every datagram. Serves a protocol that a port does not offer. */
export const ignoringMachine: Machine<never> = {
  handleDatagram: () => undefined,
  handleTimeout: () => undefined,
  pollTransmit: () => undefined,
  pollTimeout: () => undefined,
  pollEvent: () => undefined,
};
