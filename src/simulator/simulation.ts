/**
 * A network in virtual time: hosts that run protocol machines, connected by links. The machines are those
 * that also run on real sockets. The same seed reproduces a run down to the last event.
 */
import type { Address } from '../base/address.js';
import { formatCrc32 } from '../base/crc32.js';
import { P2mpError } from '../base/errors.js';
import type { Machine, Shell, TimeMs, Transmit } from '../base/machine.js';
import { datagramsOf, Runner } from '../base/machine.js';
import { describe } from '../packet.js';
import { describeSession, isSessionDatagram } from '../wire/header.js';
import { EventQueue } from './event-queue.js';
import type { LinkOptions } from './link.js';
import { Link } from './link.js';
import type { TraceRecord } from './trace.js';

/** Options of a simulation. */
export interface SimulationOptions {
  /** Seed of all random streams. The same seed reproduces the run. */
  readonly seed: string;
  /** Called with each trace record as it occurs; `formatTraceLine` formats a record. */
  readonly trace?: (record: TraceRecord) => void;
}

/** Properties of a simulated host. */
export interface HostOptions {
  /**
   * Time that the host's program or network interface spends on each datagram; the host sends one datagram
   * after another. This is `t` in the delay formula for stop-and-wait.
   */
  readonly sendTimeMs?: number;
}

const simulatedPort = 7735;

/**
 * A simulated network: hosts, links, and an event queue that advances the clock.
 * @example
 * ```ts
 * import { encodeAck, Receiver, Simulation } from 'p2mp/core';
 *
 * const simulation = new Simulation({ seed: 'example' });
 * simulation.addHost('a', new Receiver(), ({ type }) => console.log(type)); // fault
 * simulation.connect('b', 'a', [simulation.createLink('to a', { delayMs: 5 })]);
 * simulation.send('b', 'a', encodeAck(0));
 * simulation.run();
 * console.log(simulation.nowMs); // 5
 * ```
 */
export class Simulation {
  readonly seed: string;
  private currentMs: TimeMs = 0;
  private readonly queue = new EventQueue();
  private readonly hosts = new Map<string, SimulatedHost>();
  private readonly groups = new Map<string, Set<string>>();
  private readonly paths = new Map<string, Map<string, readonly Link[]>>();
  private readonly trace: ((record: TraceRecord) => void) | undefined;
  /** Events executed so far. */
  private stepCount = 0;

  constructor(options: SimulationOptions) {
    this.seed = options.seed;
    this.trace = options.trace;
  }

  /** The current virtual time. */
  get nowMs(): TimeMs {
    return this.currentMs;
  }

  /** Number of events executed so far. */
  get steps(): number {
    return this.stepCount;
  }

  /** The address that a host of this name has, even before such a host is added. */
  static address(name: string): Address {
    return { host: name, port: simulatedPort };
  }

  /**
   * Adds a host that runs `machine`. The machine starts when the simulation runs. `handleEvent` gets the
   * machine's events and is allowed to call the machine.
   * @throws P2mpError INVALID_ARGUMENT if the name is taken
   */
  addHost<Event extends object>(
    name: string,
    machine: Machine<Event>,
    handleEvent: (event: Event) => void,
    options: HostOptions = {},
  ): SimulatedHost {
    if (this.hosts.has(name)) {
      throw new P2mpError('INVALID_ARGUMENT', `host ${name}: this name is already in use`);
    }
    const host = new SimulatedHost(this, name, options.sendTimeMs ?? 0);
    this.hosts.set(name, host);
    this.install(host, machine, handleEvent);
    return host;
  }

  /** Restarts a host that is down. The new machine has no memory of the old one. */
  restart<Event extends object>(
    host: SimulatedHost,
    machine: Machine<Event>,
    handleEvent: (event: Event) => void,
  ): void {
    host.isDown = false;
    this.install(host, machine, handleEvent);
  }

  private install<Event extends object>(
    host: SimulatedHost,
    machine: Machine<Event>,
    handleEvent: (event: Event) => void,
  ): void {
    const traced = (event: Event) => {
      this.trace?.({ atMs: this.currentMs, what: 'event', host: host.name, event });
      handleEvent(event);
    };
    host.start((shell) => new Runner(machine, { ...shell, handleEvent: traced }));
    this.at(this.currentMs, () => host.drain());
  }

  /** Creates a one-way link whose random stream depends on its name. */
  createLink(name: string, options: LinkOptions = {}): Link {
    return new Link(name, this.seed, options);
  }

  /**
   * Sets the path from one host to another: one or more links, in the order given. Several paths can share a
   * link, such as a bottleneck.
   */
  connect(from: string, to: string, links: readonly Link[]): void {
    let ways = this.paths.get(from);
    if (ways === undefined) {
      ways = new Map();
      this.paths.set(from, ways);
    }
    ways.set(to, links);
  }

  /** Adds a host to a multicast group. */
  joinGroup(group: string, host: string): void {
    const members = this.groups.get(group) ?? new Set();
    members.add(host);
    this.groups.set(group, members);
  }

  /** Removes a host from a multicast group. */
  leaveGroup(group: string, host: string): void {
    this.groups.get(group)?.delete(host);
  }

  /** Runs `action` at a virtual time, or as soon as possible if that time has passed. */
  at(atMs: TimeMs, action: () => void): void {
    this.queue.push(Math.max(atMs, this.currentMs), action);
  }

  /**
   * Runs until no event is pending, `isOver` returns true, or the next event is later than `untilMs`.
   * @returns false if it stopped at `untilMs`, true otherwise
   */
  run(options: { untilMs?: TimeMs; isOver?: () => boolean } = {}): boolean {
    const { untilMs = Infinity, isOver } = options;
    for (;;) {
      if (isOver?.()) return true;
      const nextAtMs = this.queue.nextAtMs;
      if (nextAtMs === undefined) return true;
      if (nextAtMs > untilMs) {
        this.currentMs = untilMs;
        return false;
      }
      this.currentMs = nextAtMs;
      this.stepCount++;
      this.queue.pop()?.();
    }
  }

  /** Hosts call this to send a datagram to a host or to a group. */
  send(from: string, to: string, bytes: Uint8Array): void {
    this.record('sent', from, to, bytes);
    const members = this.groups.get(to);
    if (members === undefined) this.carry(from, to, bytes);
    else for (const member of members) if (member !== from) this.carry(from, member, bytes);
  }

  private carry(from: string, to: string, bytes: Uint8Array): void {
    const links = this.paths.get(from)?.get(to);
    if (links === undefined) this.record('unreachable', from, to, bytes);
    else this.forward(from, to, links, 0, bytes);
  }

  private forward(
    from: string,
    to: string,
    links: readonly Link[],
    hop: number,
    bytes: Uint8Array,
  ): void {
    const link = links[hop];
    if (link === undefined) {
      this.arrive(from, to, bytes);
      return;
    }
    const fate = link.send(this.currentMs, bytes, (atMs, copy) => {
      this.queue.push(atMs, () => this.forward(from, to, links, hop + 1, copy));
    });
    if (fate !== 'delivered') this.record(fate, from, to, bytes);
  }

  private arrive(from: string, to: string, bytes: Uint8Array): void {
    const host = this.hosts.get(to);
    if (host === undefined || host.isDown) {
      this.record('unreachable', from, to, bytes);
      return;
    }
    this.record('received', from, to, bytes);
    host.receive(from, bytes);
  }

  private record(
    what: 'sent' | 'lost' | 'queue-full' | 'received' | 'unreachable',
    from: string,
    to: string,
    bytes: Uint8Array,
  ): void {
    if (this.trace === undefined) return;
    this.trace({
      atMs: this.currentMs,
      what,
      from,
      to,
      sizeBytes: bytes.length,
      crc32: formatCrc32(bytes),
      packet: isSessionDatagram(bytes) ? describeSession(bytes) : describe(bytes),
    });
  }
}

/** What a simulated host provides to its Runner: the clock, sending and the timer. */
export type HostShell = Omit<Shell<never>, 'handleEvent'>;
/** The part of a Runner that a simulated host uses. */
export type HostRunner = Pick<Runner<never>, 'handleDatagram' | 'handleTimeout' | 'drain'>;

/**
 * A host that runs a machine on the simulated network.
 * @example
 * ```ts
 * import { Receiver, Simulation } from 'p2mp/core';
 *
 * const simulation = new Simulation({ seed: 'example' });
 * const host = simulation.addHost('a', new Receiver(), () => undefined);
 * host.isDown = true;
 * console.log(host.name); // a
 * ```
 */
export class SimulatedHost {
  /** A host that is down neither receives nor sends, and its timeouts do not fire. */
  isDown = false;
  private runner: HostRunner | undefined;
  private sendsUntilMs: TimeMs = 0;
  private timeoutAtMs: TimeMs | undefined;
  private wakesAtMs: TimeMs | undefined;
  private isDrainDue = false;

  constructor(
    private readonly simulation: Simulation,
    readonly name: string,
    private readonly sendTimeMs: number,
  ) {}

  /** Starts a machine on this host; used by the simulation. */
  start(createRunner: (shell: HostShell) => HostRunner): void {
    this.timeoutAtMs = undefined;
    this.wakesAtMs = undefined;
    this.runner = createRunner({
      now: () => this.simulation.nowMs,
      canTransmit: () => this.canTransmit(),
      transmit: (transmit) => this.transmit(transmit),
      scheduleTimeout: (atMs) => this.scheduleTimeout(atMs),
    });
  }

  /** Drains the machine's outputs. Needed after an input that did not arrive over the network. */
  drain(): void {
    if (!this.isDown) this.runner?.drain();
  }

  /** Delivers a datagram to the machine. The simulation does not call this for a host that is down. */
  receive(from: string, bytes: Uint8Array): void {
    this.runner?.handleDatagram(Simulation.address(from), bytes);
  }

  private canTransmit(): boolean {
    if (this.sendsUntilMs <= this.simulation.nowMs) return true;
    if (!this.isDrainDue) {
      this.isDrainDue = true;
      this.simulation.at(this.sendsUntilMs, () => {
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
    const { simulation, sendTimeMs } = this;
    const { host } = transmit.to;
    this.sendsUntilMs = simulation.nowMs;
    // Copies a batch, because the sender can reuse the batch's memory while the datagrams are in transit.
    const sent = transmit.datagramSizeBytes === undefined ? transmit.bytes : transmit.bytes.slice();
    for (const bytes of datagramsOf({ ...transmit, bytes: sent })) {
      this.sendsUntilMs += sendTimeMs;
      if (sendTimeMs === 0) simulation.send(this.name, host, bytes);
      else simulation.at(this.sendsUntilMs, () => simulation.send(this.name, host, bytes));
    }
  }

  /**
   * Keeps at most one wake-up active and moves it only to an earlier time. A wake-up that fires before the
   * timeout schedules another one.
   */
  private scheduleTimeout(atMs: TimeMs | undefined): void {
    this.timeoutAtMs = atMs;
    if (atMs === undefined || (this.wakesAtMs !== undefined && this.wakesAtMs <= atMs)) return;
    this.wakesAtMs = atMs;
    this.simulation.at(atMs, () => {
      if (this.wakesAtMs !== atMs) return;
      this.wakesAtMs = undefined;
      this.wake();
    });
  }

  private wake(): void {
    if (this.isDown || this.timeoutAtMs === undefined) return;
    if (this.timeoutAtMs <= this.simulation.nowMs) this.runner?.handleTimeout();
    else this.scheduleTimeout(this.timeoutAtMs);
  }
}
