/** UDP sockets that use the address type of the core. They open, send with backpressure, and close. */
import type dgram from 'node:dgram';
import type { Address, Arrival } from '../../base/address.js';
import { isIPv6, isWildcardHost } from '../../base/address.js';
import { P2mpError } from '../../base/errors.js';
import type { Transmit } from '../../base/machine.js';
import type { Refusal } from '../../base/refusal.js';
import { withoutUndefined } from '../../base/without-undefined.js';
import { bindError } from './bind-error.js';
import { EndpointGroups, sendMulticastBy } from './groups/endpoint-groups.js';
import { GroupMemberships } from './groups/group-memberships.js';
import { openSocket } from './offload/offload-open.js';
import type { SendingSocket } from './offload/offload-sender.js';
import { OffloadSender } from './offload/offload-sender.js';
import type { Offload } from './offload/offload-socket.js';
import type { SystemCalls } from './offload/offload-system.js';
import { loadSystemCalls } from './offload/offload-system.js';
import type { LocalPath } from './paths/local-paths.js';
import type { Port } from './paths/port.js';
import { addressOf, closePort } from './paths/port.js';
import { familyOf, isGroupHost, portAt, portNear } from './paths/port-choice.js';
import { receiveBufferBytes } from './receive-buffer.js';
import type { RefusalWatch } from './refusal-watch.js';
import { openRefusalWatch } from './refusal-watch.js';
import { SendBuffer } from './send-buffer.js';

/**
 * The source address of a datagram, with the socket that received it. Answers leave through the same socket. The local
 * host is known if that socket is bound to it alone.
 */
interface PortAddress extends Arrival {
  readonly by: Port;
}

export interface EndpointOptions {
  /** Addresses to bind; by default the IPv4 wildcard and, if the host has IPv6, the IPv6 wildcard. */
  readonly bind?: readonly string[];
  /**
   * Local addresses from which paths begin, to bind before those of `bind`, and by default in place of the wildcards.
   * What is sent from one leaves by its interface, where the system allows that.
   */
  readonly paths?: readonly LocalPath[];
  /** 0 for any free port. */
  readonly port: number;
  /**
   * Whether `handleDatagram` accepts several datagrams that arrived together, joined into one buffer. All
   * datagrams in a buffer have the same size; only the last one can be shorter. Node does not report the
   * size, so the protocol must be able to derive it.
   */
  readonly receivesBatches?: boolean;
  /** Whether to use UDP GSO and GRO where available; P2MP_OFFLOAD=off disables them everywhere. */
  readonly offload?: 'auto' | 'off';
  /**
   * Loads the system calls that Node does not offer. Throws an error with the reason if they are unavailable.
   */
  readonly loadSystemCalls?: () => SystemCalls;
  readonly handleDatagram: (from: Arrival, bytes: Uint8Array) => void;
  /** Called when `canSend` becomes true again. */
  readonly handleWritable: () => void;
  /** Called when a datagram was not sent. The protocol retransmits lost data, so this is not fatal. */
  readonly handleSendError: (error: NodeJS.ErrnoException) => void;
}

/** Maximum number of bytes that Node holds and has not passed to the kernel. Above it, `canSend` is false. */
const maxUnsentBytes = 256 * 1024;

/**
 * Number of bytes to send before the unsent bytes are counted again. The kernel nearly always takes all bytes
 * at once, so it would be wasteful to count after each send.
 */
const bytesPerLook = 16 * 1024;

export class Endpoint {
  private readonly ports: Port[] = [];
  /** Sockets that only send to groups, by the local address of their interface. */
  private readonly groupPorts = new Map<string, Port>();
  /** The socket for each group that has one of these. */
  private readonly portOfGroup = new Map<string, Port>();
  private readonly groups = new EndpointGroups();
  /** The port of the sockets of each IP version, also while none of them is open. */
  private readonly portNumbers = new Map<string, number>();
  private readonly watches = new Set<RefusalWatch>();
  private readonly system: SystemCalls | undefined;
  /** Why `system` is undefined. */
  private readonly noOffload: string | undefined;
  private leastReceiveBufferBytes = Number.POSITIVE_INFINITY;
  /** Bytes sent since the unsent bytes were last counted. */
  private sentBytes = 0;
  private isBlocked = false;
  private isPolling = false;
  private isClosed = false;
  /** The addresses that the endpoint had before it was closed. */
  private lastAddresses: Address[] = [];

  private constructor(private readonly options: EndpointOptions) {
    try {
      if (options.offload === 'off') throw new Error('switched off');
      this.system = (options.loadSystemCalls ?? loadSystemCalls)();
    } catch (error) {
      this.noOffload = error instanceof Error ? error.message : String(error);
    }
  }

  /** @throws P2mpError PORT_UNAVAILABLE */
  static async open(options: EndpointOptions): Promise<Endpoint> {
    const endpoint = new Endpoint(options);
    try {
      const { bind, paths = [], port } = options;
      for (const path of paths) await endpoint.bind(path.host, port, path);
      if (bind === undefined && paths.length === 0) await endpoint.bindWildcards();
      const isNew = (host: string) => !paths.some((path) => path.host === host);
      for (const host of (bind ?? []).filter(isNew)) await endpoint.bind(host, port);
    } catch (error) {
      await endpoint.close();
      throw error;
    }
    return endpoint;
  }

  /** The addresses that the endpoint listens on. */
  get addresses(): Address[] {
    if (this.isClosed) return this.lastAddresses;
    return this.ports.map(addressOf);
  }

  /** Where paths begin. */
  get pathAddresses(): Address[] {
    return this.isClosed ? [] : this.ports.filter(({ isPath }) => isPath).map(addressOf);
  }

  /**
   * From now on, paths begin at these addresses. Opens what is new at the port of the other sockets, and closes what is not
   * named any more, unless that is all that is open. A socket that is bound to all addresses of an IP version makes room for
   * those of paths, and one at the address of a path becomes that of the path.
   * @returns whether all of them are open
   */
  async setPaths(paths: readonly LocalPath[]): Promise<boolean> {
    if (this.isClosed) return true;
    const before = new Set(this.ports);
    const isNamed = ({ host }: Port) => paths.some((path) => path.host === host);
    const isOpen = ({ host }: LocalPath) => this.ports.some((port) => port.host === host);
    const isOf = ({ family }: Port) => paths.some(({ host }) => familyOf({ host }) === family);
    const wildcards = this.ports.filter((port) => isWildcardHost(port.host) && isOf(port));
    const replaced = [...wildcards, ...this.ports.filter((port) => !port.isPath && isNamed(port))];
    for (const port of this.ports) this.portNumbers.set(port.family, addressOf(port).port);
    const [anyNumber = 0] = this.portNumbers.values();
    const numberFor = (host: string) => this.portNumbers.get(familyOf({ host })) ?? anyNumber;
    if (replaced.length > 0) this.endWatches();
    await Promise.all(replaced.map((port) => this.drop(port)));
    // An address that is quite new may not be usable yet.
    for (const path of paths)
      if (!isOpen(path)) await this.bind(path.host, numberFor(path.host), path).catch(ignore);
    for (const { host, family } of wildcards)
      if (!this.ports.some((port) => port.family === family))
        await this.bind(host, numberFor(host)).catch(ignore);
    const gone = this.ports.filter((port) => port.isPath && !isNamed(port));
    if (this.isClosed) return true;
    if (gone.length < this.ports.length) for (const port of gone) void this.drop(port);
    const opened = this.ports.filter((port) => !before.has(port));
    this.groups.handlePorts(this.ports, opened);
    return this.ports.length > 0 && paths.every(isOpen);
  }

  private drop(port: Port): Promise<void> {
    this.ports.splice(this.ports.indexOf(port), 1);
    return closePort(port);
  }

  /** The offload in use. `send` becomes false if the kernel refuses a batch. */
  get offload(): Offload {
    const all = this.ports.map(({ sender }) => sender.offload);
    const reason = all.find((each) => each.reason !== undefined)?.reason;
    const routedHosts = this.ports.filter(({ isRouted }) => isRouted).map(({ host }) => host);
    return {
      send: all.every(({ send }) => send),
      receive: all.every(({ receive }) => receive),
      ...withoutUndefined({ reason }),
      ...(routedHosts.length === 0 ? {} : { routedHosts }),
    };
  }

  /**
   * Size of the smallest receive buffer among the sockets. Linux reserves twice this size, but each datagram
   * also takes up kernel overhead in the buffer, so many small datagrams fill the buffer with less payload.
   */
  get receiveBufferSizeBytes(): number {
    return this.leastReceiveBufferBytes;
  }

  /**
   * @returns false while too many datagrams are unsent. `handleWritable` is called when sending is possible
   *   again.
   */
  canSend(): boolean {
    if (this.isBlocked || this.isClosed) return false;
    if (this.sentBytes < bytesPerLook) return true;
    this.sentBytes = 0;
    if (this.unsentBytes <= maxUnsentBytes) return true;
    this.isBlocked = true;
    this.awaitRoom();
    return false;
  }

  /** Sends a batch in as few system calls as possible. */
  send(transmit: Transmit): void {
    if (this.isClosed) return;
    const { bytes } = transmit;
    const port = this.portOf(transmit);
    this.sentBytes += bytes.length;
    port?.sendBuffer.handleSent(bytes.length, now);
    port?.sender.send(transmit);
  }

  private portOf({ to, from }: Transmit): Port | undefined {
    const { ports } = this;
    // Most endpoints have one socket of each IP version, and no choice.
    if (from !== undefined) {
      const own = portAt(ports, from, to);
      if (own !== undefined) return own;
    }
    const group = this.portOfGroup.get(to.host);
    if (group !== undefined) return group;
    if ('by' in to && (to as PortAddress).by.isOpen) return (to as PortAddress).by;
    const sender = this.groups.senderTo(to);
    return sender !== undefined && isGroupHost(to.host) ? sender : portNear(ports, to);
  }

  /**
   * Joins a multicast group on the interface of each address that the endpoint listens on; on all interfaces
   * if it listens on all addresses.
   * @returns the reason why no interface could join; undefined if at least one interface joined
   */
  joinGroup(group: Address): string | undefined {
    return this.isClosed ? 'the sockets are closed' : this.groups.join(group, this.ports);
  }

  leaveGroup(group: Address): void {
    if (!this.isClosed) this.groups.leave(group, this.ports);
  }

  /** Sets the TTL of multicast datagrams and makes them leave through the interface that has this address. */
  sendGroupsBy(address: string, ttl: number): void {
    if (!this.isClosed) this.groups.sendBy(address, ttl, this.ports);
  }

  /**
   * Opens a socket that sends to groups with this TTL by the interface that has this address.
   * @throws NodeJS.ErrnoException if that is impossible
   */
  async openGroupPort(address: string, ttl: number): Promise<void> {
    if (this.groupPorts.has(address)) return;
    const opened = await this.openSocket(isIPv6(address) ? '::' : '0.0.0.0', 0);
    // Meanwhile, the endpoint may have been closed, or another call may have opened a socket.
    if (this.isClosed || this.groupPorts.has(address)) {
      opened.socket.close();
      return;
    }
    sendMulticastBy(opened.socket, address, ttl);
    this.groupPorts.set(address, this.createPort(opened));
  }

  /**
   * Makes datagrams to this group leave through the socket that `openGroupPort` has opened for this address.
   * @returns false if there is none
   */
  sendGroupBy(group: string, address: string): boolean {
    const port = this.groupPorts.get(address);
    if (port !== undefined) this.portOfGroup.set(group, port);
    return port !== undefined;
  }

  /** No more datagrams go to this group. */
  endGroup(group: string): void {
    this.portOfGroup.delete(group);
  }

  /**
   * Watches whether a remote port refuses datagrams. Datagrams from that port are still passed to
   * `handleDatagram`. A datagram that arrives at the moment when the watch stops can be lost.
   * @returns a function that stops the watch; undefined if the port cannot be watched
   */
  watchRefusals(to: Address, handleRefusal: (refusal: Refusal) => void): (() => void) | undefined {
    const port = portNear(this.ports, to);
    const { system } = this;
    if (port?.setPortSharing === undefined || system === undefined || this.isClosed)
      return undefined;
    try {
      const { socket, setPortSharing } = port;
      const take = this.takeFrom(port);
      const handleMessage: typeof take = (bytes, info) => {
        if (!this.isClosed) take(bytes, info);
      };
      const options = { system, socket, setPortSharing, to, handleMessage, handleRefusal };
      const watch = openRefusalWatch(options);
      this.watches.add(watch);
      return () => {
        if (this.watches.delete(watch)) watch.end();
      };
    } catch {
      // The additional socket could not be opened, for example because no descriptor is free. Sending does
      // not need this socket, so continue without it.
      return undefined;
    }
  }

  /** Resolves when all datagrams are sent, or after one second. */
  async flush(): Promise<void> {
    const endsAtMs = performance.now() + 1000;
    // Also wait for pending results, because the datagrams of a refused batch are sent again.
    const isUnsent = () => this.unsentBytes > 0 || this.awaitsResult;
    while (!this.isClosed && isUnsent() && performance.now() < endsAtMs) {
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  async close(): Promise<void> {
    if (this.isClosed) return;
    this.lastAddresses = this.addresses;
    this.isClosed = true;
    this.endWatches();
    await Promise.all([...this.ports, ...this.groupPorts.values()].map(closePort));
  }

  private endWatches(): void {
    for (const watch of this.watches) watch.close();
    this.watches.clear();
  }

  private get unsentBytes(): number {
    let total = 0;
    for (const { sender } of this.ports) total += sender.unsentBytes;
    for (const { sender } of this.groupPorts.values()) total += sender.unsentBytes;
    return total;
  }

  private get awaitsResult(): boolean {
    const awaits = ({ sender }: Port) => sender.awaitsResult;
    return this.ports.some(awaits) || [...this.groupPorts.values()].some(awaits);
  }

  private readonly handleSent = (error: Error | null): void => {
    if (this.isClosed) return;
    if (error !== null) this.options.handleSendError(error);
    if (this.isBlocked) this.lookForRoom();
  };

  private lookForRoom(): void {
    if (this.isClosed || !this.isBlocked) return;
    if (this.unsentBytes > maxUnsentBytes / 2) {
      this.awaitRoom();
    } else {
      this.isBlocked = false;
      this.options.handleWritable();
    }
  }

  /**
   * Makes sure that `lookForRoom` is called: by the callback of a pending send, or else in the next turn of
   * the event loop.
   */
  private awaitRoom(): void {
    if (this.isPolling || this.awaitsResult) return;
    this.isPolling = true;
    setImmediate(() => {
      this.isPolling = false;
      this.lookForRoom();
    });
  }

  private async bindWildcards(): Promise<void> {
    const first = await this.bind('0.0.0.0', this.options.port);
    try {
      await this.bind('::', first.address().port);
    } catch (error) {
      // Ignore the error if it only means that this host has no IPv6. Report all other errors, such as a port
      // that is in use.
      const cause = error instanceof P2mpError ? (error.cause as NodeJS.ErrnoException) : undefined;
      if (cause?.code !== 'EAFNOSUPPORT' && cause?.code !== 'EADDRNOTAVAIL') throw error;
    }
  }

  private async bind(host: string, port: number, path?: LocalPath): Promise<dgram.Socket> {
    const address = { host, port };
    try {
      const socket = await this.openSocket(host, port, path?.interfaceName);
      const opened = this.createPort(socket, path !== undefined);
      // Meanwhile, the endpoint may have been closed.
      if (this.isClosed) await closePort(opened);
      else this.ports.push(opened);
      return opened.socket;
    } catch (error) {
      throw bindError(error as NodeJS.ErrnoException, address);
    }
  }

  private openSocket(host: string, port: number, leaveBy?: string): Promise<SendingSocket> {
    const { system, noOffload } = this;
    const { receivesBatches = false } = this.options;
    return openSocket({ host, port }, { system, noOffload, receivesBatches, leaveBy });
  }

  private createPort(opened: SendingSocket, isPath = false): Port {
    const { socket } = opened;
    const { address: host, family } = socket.address();
    const sender = new OffloadSender(opened, this.handleSent);
    const { setPortSharing, isRouted = false } = opened;
    const sendBuffer = new SendBuffer(socket);
    const { receivesBatches = false, handleSendError: handleError } = this.options;
    const handleMessage: ReturnType<typeof this.takeFrom> = (bytes, info) => take(bytes, info);
    const groupOptions = {
      socket,
      system: this.system,
      receivesBatches,
      handleMessage,
      handleError,
    };
    const groups = new GroupMemberships(groupOptions);
    const port: Port = {
      ...{ socket, host, family, sender, sendBuffer, groups, isRouted, setPortSharing },
      ...{ isPath, isOpen: true },
    };
    const take = this.takeFrom(port);
    const grantedBytes = receiveBufferBytes(socket);
    this.leastReceiveBufferBytes = Math.min(this.leastReceiveBufferBytes, grantedBytes);
    socket.on('error', (error: NodeJS.ErrnoException) => this.options.handleSendError(error));
    socket.on('message', take);
    return port;
  }

  private takeFrom(port: Port): (bytes: Uint8Array, info: dgram.RemoteInfo) => void {
    const { host: localHost } = port;
    const isAnyHost = isWildcardHost(localHost);
    return (bytes, { address: host, port: number }) => {
      const from: PortAddress = isAnyHost
        ? { host, port: number, by: port }
        : { host, port: number, by: port, localHost };
      this.options.handleDatagram(from, bytes);
    };
  }
}

function ignore(): void {}

function now(): number {
  return performance.now();
}
