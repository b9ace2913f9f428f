/**
 * A network in virtual time: hosts that run protocol machines, connected by links. The machines are those
 * that also run on real sockets. The same seed reproduces a run down to the last event.
 */
import type { Address } from '../base/address.js';
import { formatCrc32 } from '../base/crc32.js';
import { P2mpError } from '../base/errors.js';
import type { Machine, TimeMs } from '../base/machine.js';
import type { Checks } from '../base/options/check-options.js';
import { callback, required, text } from '../base/options/check-options.js';
import { describe } from '../packet.js';
import { describeSession, isSessionDatagram } from '../wire/header.js';
import { EventQueue } from './event-queue.js';
import type { HostOptions, Role, SimulatedHost } from './host.js';
import { createHost } from './host.js';
import type { LinkOptions } from './link.js';
import { Link } from './link.js';
import type { TraceRecord } from './trace.js';

/** Options of a simulation. */
export interface SimulationOptions {
  /** Seed of all random streams. The same seed reproduces the run. */
  readonly seed: string;
  /** Called with each trace record as it occurs; `formatTraceLine` formats a record. */
  readonly trace?: (record: TraceRecord) => void;
  /**
   * Puts other datagrams on the network in place of one that a host sends. Called for each receiver of a multicast
   * datagram.
   */
  readonly intercept?: (passing: Passing) => readonly Uint8Array[];
}

export const simulationChecks: Checks<SimulationOptions> = {
  seed: required(text),
  trace: callback,
  intercept: callback,
};

/** A datagram on the simulated network, between two addresses. */
export interface Passing {
  readonly atMs: TimeMs;
  readonly from: string;
  readonly to: string;
  readonly bytes: Uint8Array;
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
  private readonly hostsByAddress = new Map<string, SimulatedHost>();
  /** Addresses of members, by group. */
  private readonly groups = new Map<string, Set<string>>();
  /** By the addresses at both ends. */
  private readonly paths = new Map<string, Map<string, readonly Link[]>>();
  private readonly trace: ((record: TraceRecord) => void) | undefined;
  private readonly intercept: SimulationOptions['intercept'];
  /** Events executed so far. */
  private stepCount = 0;

  constructor(options: SimulationOptions) {
    this.seed = options.seed;
    this.trace = options.trace;
    this.intercept = options.intercept;
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
   * @throws P2mpError INVALID_ARGUMENT if the name or an address is taken
   */
  addHost<Event extends object>(
    name: string,
    machine: Machine<Event>,
    handleEvent: (event: Event) => void,
    options: HostOptions = {},
  ): SimulatedHost {
    return this.addRole(name, { boot: () => machine, handleEvent }, options);
  }

  /**
   * Adds a host that plays a role. Each start of the host boots the role, so the host can be killed and
   * restarted.
   * @throws P2mpError INVALID_ARGUMENT if the name or an address is taken
   */
  addRole<Event extends object>(
    name: string,
    role: Role<Event>,
    options: HostOptions = {},
  ): SimulatedHost {
    const host = createHost(this, name, options, role);
    for (const address of host.addresses) {
      if (this.hostsByAddress.has(address)) {
        throw new P2mpError('INVALID_ARGUMENT', `host ${address}: this name is already in use`);
      }
    }
    for (const address of host.addresses) this.hostsByAddress.set(address, host);
    host.start();
    return host;
  }

  /** Records an event of a machine in the trace. */
  traceEvent(host: string, event: object): void {
    this.trace?.({ atMs: this.currentMs, what: 'event', host, event });
  }

  /** Creates a one-way link whose random stream depends on its name. */
  createLink(name: string, options: LinkOptions = {}): Link {
    return new Link(name, this.seed, options);
  }

  /**
   * Sets the path from one address to another: one or more links, in the order given. Several paths can share
   * a link, such as a bottleneck. A host's only address is its name, unless its options list others.
   */
  connect(from: string, to: string, links: readonly Link[]): void {
    let ways = this.paths.get(from);
    if (ways === undefined) {
      ways = new Map();
      this.paths.set(from, ways);
    }
    ways.set(to, links);
  }

  /** Gives a host another address in place of one that it has, on the same links. It leaves its multicast groups. */
  move(from: string, to: string): void {
    const host = this.hostsByAddress.get(from);
    if (host === undefined) return;
    this.hostsByAddress.delete(from);
    this.hostsByAddress.set(to, host);
    for (const members of this.groups.values()) members.delete(from);
    const ways = this.paths.get(from);
    if (ways !== undefined) this.paths.set(to, ways);
    for (const others of this.paths.values()) {
      const links = others.get(from);
      if (links !== undefined) others.set(to, links);
    }
  }

  /** Adds an address of a host to a multicast group. */
  joinGroup(group: string, address: string): void {
    const members = this.groups.get(group) ?? new Set();
    members.add(address);
    this.groups.set(group, members);
  }

  /** Removes an address of a host from a multicast group. */
  leaveGroup(group: string, address: string): void {
    this.groups.get(group)?.delete(address);
  }

  /** Whether a datagram can go from one address to another or to a group. */
  hasPath(from: string, to: string): boolean {
    return this.groups.has(to) || this.paths.get(from)?.has(to) === true;
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

  /** Hosts call this to send a datagram from one of their addresses to another address or to a group. */
  send(from: string, to: string, bytes: Uint8Array): void {
    this.record('sent', from, to, bytes);
    const members = this.groups.get(to);
    if (members === undefined) {
      this.carry(from, to, bytes);
      return;
    }
    const sender = this.hostsByAddress.get(from);
    const others = [...members].filter(
      (member) => member !== from && this.hostsByAddress.get(member) !== sender,
    );
    if (this.intercept === undefined) this.carryToGroup(from, others, bytes);
    else for (const member of others) this.carry(from, member, bytes);
  }

  /** A link with which the paths to several members begin carries the datagram once. */
  private carryToGroup(from: string, members: readonly string[], bytes: Uint8Array): void {
    const ways = this.paths.get(from);
    const byFirst = new Map<Link | undefined, string[]>();
    for (const member of members) {
      const first = ways?.get(member)?.[0];
      const some = byFirst.get(first);
      if (some === undefined) byFirst.set(first, [member]);
      else some.push(member);
    }
    for (const [first, some] of byFirst) {
      if (first === undefined || some.length === 1) {
        for (const member of some) this.carryAsIs(from, member, bytes);
        continue;
      }
      const fate = first.send(this.currentMs, bytes, (atMs, copy) => {
        for (const member of some) {
          const links = ways?.get(member) ?? [];
          this.queue.push(atMs, () => this.forward(from, member, links, 1, copy));
        }
      });
      if (fate !== 'delivered') for (const member of some) this.record(fate, from, member, bytes);
    }
  }

  private carry(from: string, to: string, bytes: Uint8Array): void {
    if (this.intercept === undefined) {
      this.carryAsIs(from, to, bytes);
      return;
    }
    const passing = { atMs: this.currentMs, from, to, bytes };
    for (const other of this.intercept(passing)) this.carryAsIs(from, to, other);
  }

  private carryAsIs(from: string, to: string, bytes: Uint8Array): void {
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
    const host = this.hostsByAddress.get(to);
    if (host === undefined || host.isDown) {
      this.record('unreachable', from, to, bytes);
      return;
    }
    this.record('received', from, to, bytes);
    host.receive(Simulation.address(from), bytes, to);
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
