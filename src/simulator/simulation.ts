/**
 * A network in virtual time: hosts that run protocol machines, joined by links. It is the third
 * shell beside real sockets and a web page, and runs the very same machines. The same seed gives
 * the same run to the last event.
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
  readonly seed: string;
  /** Takes each record as it happens; `formatTraceLine` makes a line of it. */
  readonly trace?: (record: TraceRecord) => void;
}

/** Properties of a host of a simulation. */
export interface HostOptions {
  /**
   * Serial time that the host spends on sending one datagram: its program's or its interface's.
   * This is `t` of the stop-and-wait delay formula.
   */
  readonly sendTimeMs?: number;
}

const simulatedPort = 7735;

/** Virtual time: hosts, links, and an event queue that advances the clock. */
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

  get nowMs(): TimeMs {
    return this.currentMs;
  }

  get steps(): number {
    return this.stepCount;
  }

  /** The address of a host of this name, existing or not. */
  static address(name: string): Address {
    return { host: name, port: simulatedPort };
  }

  /**
   * Adds a host that runs `machine`; its events go to `handleEvent`, which may feed the machine.
   * The machine starts when the simulation runs.
   */
  addHost<Event extends object>(
    name: string,
    machine: Machine<Event>,
    handleEvent: (event: Event) => void,
    options: HostOptions = {},
  ): SimulatedHost {
    if (this.hosts.has(name)) {
      throw new P2mpError('INVALID_ARGUMENT', `host ${name}: there is one of this name already`);
    }
    const host = new SimulatedHost(this, name, options.sendTimeMs ?? 0);
    this.hosts.set(name, host);
    this.install(host, machine, handleEvent);
    return host;
  }

  /** A host that was down comes up again, with nothing in its memory but this machine. */
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

  /** Makes a one-way link whose random numbers depend on its name. */
  createLink(name: string, options: LinkOptions = {}): Link {
    return new Link(name, this.seed, options);
  }

  /**
   * Lays the way from one host to another over one or more links in turn. A link that lies on
   * several ways is shared by them: a bottleneck.
   */
  connect(from: string, to: string, links: readonly Link[]): void {
    let ways = this.paths.get(from);
    if (ways === undefined) {
      ways = new Map();
      this.paths.set(from, ways);
    }
    ways.set(to, links);
  }

  /** From now on, what is sent to the group reaches this host too. */
  joinGroup(group: string, host: string): void {
    const members = this.groups.get(group) ?? new Set();
    members.add(host);
    this.groups.set(group, members);
  }

  /** Takes a host out of a multicast group. */
  leaveGroup(group: string, host: string): void {
    this.groups.get(group)?.delete(host);
  }

  /** Runs `action` at a moment of virtual time; at once, if that has passed. */
  at(atMs: TimeMs, action: () => void): void {
    this.queue.push(Math.max(atMs, this.currentMs), action);
  }

  /**
   * Runs until nothing is left to happen, `isOver` says so, or virtual time would pass `untilMs`.
   * @returns whether it ended by itself, that is before `untilMs`
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

  /** Carries a datagram; used by hosts. */
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

/** What a simulated host offers its Runner. */
export type HostShell = Omit<Shell<never>, 'handleEvent'>;
/** What a simulated host drives: the Runner of its machine. */
export type HostRunner = Pick<Runner<never>, 'handleDatagram' | 'handleTimeout' | 'drain'>;

/** A machine on the simulated network. */
export class SimulatedHost {
  /** A host that is down neither hears nor sends nor notices time. */
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

  /** Runs this machine from now on; used by the simulation. */
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

  /** Takes the machine's outputs after an input that did not come over the network. */
  drain(): void {
    if (!this.isDown) this.runner?.drain();
  }

  /** Delivers a datagram to the host; a host that is down loses it. */
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

  /** Each datagram leaves once the host has spent its time on it. */
  private transmit(transmit: Transmit): void {
    const { simulation, sendTimeMs } = this;
    const { host } = transmit.to;
    this.sendsUntilMs = simulation.nowMs;
    // What is on its way stays as it was sent, whatever becomes of the sender's memory.
    const sent = transmit.datagramSizeBytes === undefined ? transmit.bytes : transmit.bytes.slice();
    for (const bytes of datagramsOf({ ...transmit, bytes: sent })) {
      this.sendsUntilMs += sendTimeMs;
      if (sendTimeMs === 0) simulation.send(this.name, host, bytes);
      else simulation.at(this.sendsUntilMs, () => simulation.send(this.name, host, bytes));
    }
  }

  /** Keeps one wake-up in the queue, moved only to an earlier time; a late one asks again. */
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
