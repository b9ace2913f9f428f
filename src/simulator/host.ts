/** A host of the simulated network: plays a role, and can be killed, started again and disconnected. */
import type { Address, Arrival } from '../base/address.js';
import type { Machine, Shell, TimeMs, Transmit } from '../base/machine.js';
import { Runner } from '../base/machine.js';

/** Properties of a simulated host. */
export interface HostOptions {
  /**
   * Time that the host's program or network interface spends on each datagram; the host sends one datagram
   * after another. This is `t` in the delay formula for stop-and-wait.
   */
  readonly sendTimeMs?: number;
  /** The host's addresses; its name by default. A datagram leaves from the first one that has a path. */
  readonly addresses?: readonly string[];
}

/** What a host uses of the network that it is on. */
export interface HostNetwork {
  readonly nowMs: TimeMs;
  /** Runs `action` at a virtual time. */
  at(atMs: TimeMs, action: () => void): void;
  /** Sends a datagram from an address of the host. */
  send(from: string, to: string, bytes: Uint8Array): void;
  /** Whether a datagram can go from one address to another or to a group. */
  hasPath(from: string, to: string): boolean;
  /** The host has another address from now on. */
  move(from: string, to: string): void;
  /** Records an event of the host's machine. */
  traceEvent(host: string, event: object): void;
}

/** What a host does: creates a machine at each start, and answers the machine's events. */
export interface Role<Event extends object> {
  /** Creates the machine for one life of the host. It has no memory of the previous life. */
  boot(host: SimulatedHost): Machine<Event>;
  /** Handles an event. The handler is allowed to call the machine. */
  handleEvent(event: Event): void;
  /** The host is killed. Whatever is not durable is lost. */
  handleKill?(): void;
  /** Called for each datagram or batch that the host sends. */
  handleTransmit?(transmit: Transmit): void;
  /** Called after the machine has handled a datagram. */
  handleTaken?(): void;
}

/** A fault of a host or of its network connection, or the recovery from such a fault. */
export type HostFault =
  /** The host is killed. It loses its memory and all data that is not yet durable. */
  | 'kill'
  /** The host is started again. A sender begins a new session. */
  | 'start'
  /** The host is disconnected. No datagram reaches or leaves it. */
  | 'disconnect'
  | 'reconnect'
  /** The host's first address is replaced by another one, on the same links. Nothing arrives at the old one. */
  | 'move';

/** What a simulated host provides to its Runner: the clock, sending and the timer. */
export type HostShell = Omit<Shell<never>, 'handleEvent'>;
/** The part of a Runner that a simulated host uses. */
export type HostRunner = Pick<Runner<never>, 'handleDatagram' | 'handleTimeout' | 'drain'>;
/** The part of a role that does not depend on the type of its events. */
export type AnyRole = Pick<Role<never>, 'handleKill' | 'handleTransmit' | 'handleTaken'>;

/**
 * A host on the simulated network.
 * @example
 * ```ts
 * import { Receiver, Simulation } from 'p2mp/core';
 *
 * const simulation = new Simulation({ seed: 'example' });
 * const host = simulation.addHost('a', new Receiver(), () => undefined);
 * host.inject('kill');
 * console.log(host.name, host.isDown); // a true
 * ```
 */
export class SimulatedHost {
  private ownAddresses: readonly string[];
  private readonly sendTimeMs: number;
  private isKilled = false;
  private isCut = false;
  private runner: HostRunner | undefined;
  private sendsUntilMs: TimeMs = 0;
  private timeoutAtMs: TimeMs | undefined;
  private wakesAtMs: TimeMs | undefined;
  private isDrainDue = false;
  /** Number of starts so far. */
  private lives = 0;
  private moves = 0;

  constructor(
    private readonly network: HostNetwork,
    readonly name: string,
    options: HostOptions,
    private readonly role: AnyRole,
    private readonly createRunner: (host: SimulatedHost, shell: HostShell) => HostRunner,
  ) {
    this.ownAddresses = options.addresses ?? [name];
    this.sendTimeMs = options.sendTimeMs ?? 0;
  }

  /** The virtual time. */
  get nowMs(): TimeMs {
    return this.network.nowMs;
  }

  get addresses(): readonly string[] {
    return this.ownAddresses;
  }

  /** Whether the host is killed: it neither receives nor sends, and its timeouts do not fire. */
  get isDown(): boolean {
    return this.isKilled;
  }

  /** Boots the role; used by the simulation. The machine runs as soon as the simulation does. */
  start(): void {
    this.isKilled = false;
    this.lives++;
    this.timeoutAtMs = undefined;
    this.wakesAtMs = undefined;
    this.runner = this.createRunner(this, {
      now: () => this.network.nowMs,
      canTransmit: () => this.canTransmit(),
      transmit: (transmit) => this.transmit(transmit),
      scheduleTimeout: (atMs) => this.scheduleTimeout(atMs),
    });
    this.network.at(this.network.nowMs, () => this.drain());
  }

  /** Injects a fault, or ends one. */
  inject(fault: HostFault): void {
    switch (fault) {
      case 'disconnect':
        this.isCut = true;
        break;
      case 'reconnect':
        this.isCut = false;
        break;
      case 'kill':
        if (this.isKilled) return;
        this.isKilled = true;
        this.role.handleKill?.();
        break;
      case 'start':
        if (this.isKilled) this.start();
        break;
      case 'move':
        this.move();
        break;
    }
  }

  private move(): void {
    const [first = this.name, ...others] = this.ownAddresses;
    this.moves++;
    const next = `${this.name}-${this.moves}`;
    this.network.move(first, next);
    this.ownAddresses = [next, ...others];
  }

  /** Runs `action` at a virtual time, then drains the machine, unless the host was killed in the meantime. */
  at(atMs: TimeMs, action: () => void): void {
    const { lives } = this;
    this.network.at(atMs, () => {
      if (this.isKilled || this.lives !== lives) return;
      action();
      this.drain();
    });
  }

  /** Drains the machine's outputs. Needed after an input that did not arrive over the network. */
  drain(): void {
    if (!this.isKilled) this.runner?.drain();
  }

  /** Delivers a datagram to the machine. The simulation does not call this for a host that is down. */
  receive(from: Address, bytes: Uint8Array, to = this.name): void {
    if (this.isCut) this.drain();
    else this.runner?.handleDatagram(this.arrivalOf(from, to), bytes);
  }

  private arrivalOf(from: Address, to: string): Arrival {
    return this.addresses.length > 1 ? { ...from, localHost: to } : from;
  }

  private canTransmit(): boolean {
    if (this.sendsUntilMs <= this.network.nowMs) return true;
    if (!this.isDrainDue) {
      this.isDrainDue = true;
      this.network.at(this.sendsUntilMs, () => {
        this.isDrainDue = false;
        this.drain();
      });
    }
    return false;
  }

  /**
   * Sends the datagrams one after another. Each datagram leaves once the host has spent its sending time on
   * it.
   */
  private transmit(transmit: Transmit): void {
    if (this.isCut) return;
    this.role.handleTransmit?.(transmit);
    const { network, sendTimeMs } = this;
    const { host: to, localHost }: Arrival = transmit.to;
    const from = this.sourceFor(to, transmit.from ?? localHost);
    this.sendsUntilMs = network.nowMs;
    const send = (bytes: Uint8Array) => {
      this.sendsUntilMs += sendTimeMs;
      if (sendTimeMs === 0) network.send(from, to, bytes);
      else network.at(this.sendsUntilMs, () => network.send(from, to, bytes));
    };
    const { bytes, datagramSizeBytes } = transmit;
    if (datagramSizeBytes === undefined) {
      send(bytes);
      return;
    }
    // Copies a batch, because the sender can reuse the batch's memory while the datagrams are in transit.
    const copy = bytes.slice();
    for (let start = 0; start < copy.length; start += datagramSizeBytes) {
      send(copy.subarray(start, start + datagramSizeBytes));
    }
  }

  /** Chooses the local address as a system does by its routes, unless the transmit names one or is an answer. */
  private sourceFor(to: string, wanted: string | undefined): string {
    const { addresses, network } = this;
    if (wanted !== undefined && addresses.includes(wanted)) return wanted;
    if (addresses.length === 1) return addresses[0] as string;
    return addresses.find((own) => network.hasPath(own, to)) ?? (addresses[0] as string);
  }

  /**
   * Keeps at most one wake-up active and moves it only to an earlier time. A wake-up that fires before the
   * timeout schedules another one.
   */
  private scheduleTimeout(atMs: TimeMs | undefined): void {
    this.timeoutAtMs = atMs;
    if (atMs === undefined || (this.wakesAtMs !== undefined && this.wakesAtMs <= atMs)) return;
    this.wakesAtMs = atMs;
    this.network.at(atMs, () => {
      if (this.wakesAtMs !== atMs) return;
      this.wakesAtMs = undefined;
      this.wake();
    });
  }

  private wake(): void {
    if (this.isKilled || this.timeoutAtMs === undefined) return;
    if (this.timeoutAtMs <= this.network.nowMs) this.runner?.handleTimeout();
    else this.scheduleTimeout(this.timeoutAtMs);
  }
}

/** Creates a host that plays a role; used by the simulation. */
export function createHost<Event extends object>(
  network: HostNetwork,
  name: string,
  options: HostOptions,
  role: Role<Event>,
): SimulatedHost {
  const handleEvent = (event: Event) => {
    network.traceEvent(name, event);
    role.handleEvent(event);
  };
  return new SimulatedHost(network, name, options, role, (host, shell) => {
    return new Runner(watched(role.boot(host), role), { ...shell, handleEvent });
  });
}

/** Calls the role's `handleTaken` after the machine has handled a datagram. */
function watched<Event>(machine: Machine<Event>, role: AnyRole): Machine<Event> {
  if (role.handleTaken === undefined) return machine;
  return {
    handleDatagram: (nowMs, from, bytes) => {
      machine.handleDatagram(nowMs, from, bytes);
      role.handleTaken?.();
    },
    handleTimeout: (nowMs) => machine.handleTimeout(nowMs),
    pollTransmit: (nowMs) => machine.pollTransmit(nowMs),
    pollTimeout: () => machine.pollTimeout(),
    pollEvent: () => machine.pollEvent(),
  };
}
