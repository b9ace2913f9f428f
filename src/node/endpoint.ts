/** UDP sockets behind the address type of the core: open, send with backpressure, close. */
import dgram from 'node:dgram';
import { isIPv6 } from 'node:net';
import type { NetworkInterfaceInfo } from 'node:os';
import { networkInterfaces } from 'node:os';
import type { Address } from '../address.js';
import { formatAddress } from '../address.js';
import type { ErrorCode } from '../errors.js';
import { P2mpError } from '../errors.js';
import type { Transmit } from '../machine.js';

/** An address that remembers which socket its datagrams came in by: answers leave by the same. */
interface SocketAddress extends Address {
  readonly socket: dgram.Socket;
}

export interface EndpointOptions {
  /** Addresses to bind; the wildcards of IPv4 and, where the host has it, IPv6 if left out. */
  readonly bind?: readonly string[];
  /** 0 for any free port. */
  readonly port: number;
  readonly handleDatagram: (from: Address, bytes: Uint8Array) => void;
  /** Called when datagrams have left after `canSend` was false. */
  readonly handleWritable: () => void;
  /** A datagram was not sent; the protocol repeats what matters. */
  readonly handleSendError: (error: NodeJS.ErrnoException) => void;
}

/** Bytes handed to the system but not yet taken by it; beyond it, `canSend` is false. */
const maxUnsentBytes = 256 * 1024;

/**
 * Of this many sends, one asks for its result: a callback for each costs a fifth of a round trip on
 * loopback. What fails, fails again, so nothing stays unnoticed; and the first ones all ask.
 */
const sendsPerResult = 16;

/** Asked of the system, which may grant less. */
const receiveBufferSizeBytes = 4 * 1024 * 1024;

export class Endpoint {
  private readonly sockets: dgram.Socket[] = [];
  private sentCount = 0;
  private isBlocked = false;
  private isClosed = false;
  /** Where it listened before it was closed. */
  private lastAddresses: Address[] = [];

  private constructor(private readonly options: EndpointOptions) {}

  /** @throws P2mpError PORT_UNAVAILABLE */
  static async open(options: EndpointOptions): Promise<Endpoint> {
    const endpoint = new Endpoint(options);
    try {
      if (options.bind === undefined) await endpoint.bindWildcards();
      else for (const host of options.bind) await endpoint.bind(host, options.port);
    } catch (error) {
      await endpoint.close();
      throw error;
    }
    return endpoint;
  }

  /** Where it listens. */
  get addresses(): Address[] {
    if (this.isClosed) return this.lastAddresses;
    return this.sockets.map((socket) => {
      const { address, port } = socket.address();
      return { host: address, port };
    });
  }

  /** False while datagrams pile up; `handleWritable` is called once they have left. */
  canSend(): boolean {
    if (this.isBlocked || this.isClosed) return false;
    // The system nearly always takes a datagram at once: to look now and then is enough.
    if (this.sentCount % sendsPerResult !== 0 || this.unsentBytes <= maxUnsentBytes) return true;
    this.isBlocked = true;
    setImmediate(this.awaitRoom);
    return false;
  }

  send({ to, bytes }: Transmit): void {
    if (this.isClosed) return;
    const socket = 'socket' in to ? (to as SocketAddress).socket : this.socketFor(to);
    if (socket === undefined) return;
    this.sentCount++;
    if (this.sentCount <= sendsPerResult || this.sentCount % sendsPerResult === 0) {
      socket.send(bytes, to.port, to.host, this.handleSent);
    } else {
      socket.send(bytes, to.port, to.host);
    }
  }

  /**
   * What is sent to this group reaches this host from now on, by whichever interface it comes.
   * @returns whether any interface could join
   */
  joinGroup(group: string): boolean {
    const socket = this.socketFor({ host: group, port: 0 });
    if (socket === undefined || this.isClosed) return false;
    let hasJoined = false;
    for (const name of multicastInterfaces(group)) {
      try {
        socket.addMembership(group, name);
        hasJoined = true;
      } catch {
        // Joined before, or an interface that cannot: the others may.
      }
    }
    return hasJoined;
  }

  leaveGroup(group: string): void {
    const socket = this.socketFor({ host: group, port: 0 });
    if (socket === undefined || this.isClosed) return;
    for (const name of multicastInterfaces(group)) {
      try {
        socket.dropMembership(group, name);
      } catch {
        // It was not joined there.
      }
    }
  }

  /** Datagrams to groups leave by the interface that has this address, and pass `ttl - 1` routers. */
  sendGroupsBy(address: string, ttl: number): void {
    const socket = this.socketFor({ host: address, port: 0 });
    if (socket === undefined || this.isClosed) return;
    const found = multicastInterfaces(address, (info) => info.address === address)[0];
    if (found !== undefined) socket.setMulticastInterface(found);
    socket.setMulticastTTL(ttl);
  }

  /** Resolves once all that was sent has left, or after a while at the latest. */
  async flush(): Promise<void> {
    const endsAtMs = performance.now() + 1000;
    while (!this.isClosed && this.unsentBytes > 0 && performance.now() < endsAtMs) {
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  async close(): Promise<void> {
    if (this.isClosed) return;
    this.lastAddresses = this.addresses;
    this.isClosed = true;
    await Promise.all(
      this.sockets.map((socket) => new Promise<void>((resolve) => socket.close(() => resolve()))),
    );
  }

  private get unsentBytes(): number {
    let total = 0;
    for (const socket of this.sockets) total += socket.getSendQueueSize();
    return total;
  }

  private readonly awaitRoom = (): void => {
    if (this.isClosed) return;
    if (this.unsentBytes > maxUnsentBytes / 2) {
      setImmediate(this.awaitRoom);
      return;
    }
    this.isBlocked = false;
    this.options.handleWritable();
  };

  private readonly handleSent = (error: Error | null): void => {
    if (error !== null && !this.isClosed) this.options.handleSendError(error);
  };

  private socketFor(to: Address): dgram.Socket | undefined {
    const [first] = this.sockets;
    if (this.sockets.length <= 1) return first;
    const family = isIPv6(to.host) ? 'IPv6' : 'IPv4';
    return this.sockets.find((socket) => socket.address().family === family) ?? first;
  }

  private async bindWildcards(): Promise<void> {
    const first = await this.bind('0.0.0.0', this.options.port);
    try {
      await this.bind('::', first.address().port);
    } catch (error) {
      // A host without IPv6 is served by IPv4 alone; a port that somebody else has is an error.
      const cause = error instanceof P2mpError ? (error.cause as NodeJS.ErrnoException) : undefined;
      if (cause?.code !== 'EAFNOSUPPORT' && cause?.code !== 'EADDRNOTAVAIL') throw error;
    }
  }

  private bind(host: string, port: number): Promise<dgram.Socket> {
    const socket = dgram.createSocket({
      ...(isIPv6(host) ? { type: 'udp6', ipv6Only: true } : { type: 'udp4' }),
      // Hosts are resolved before they come here; the default would put each send off to a later tick.
      lookup: passThrough as unknown as NonNullable<dgram.SocketOptions['lookup']>,
    });
    return new Promise((resolve, reject) => {
      socket.once('error', (error: NodeJS.ErrnoException) => {
        socket.close();
        reject(bindError(error, { host, port }));
      });
      socket.bind({ address: host, port, exclusive: true }, () => {
        socket.removeAllListeners('error');
        this.sockets.push(socket);
        this.listen(socket);
        resolve(socket);
      });
    });
  }

  private listen(socket: dgram.Socket): void {
    try {
      socket.setRecvBufferSize(receiveBufferSizeBytes);
    } catch {
      // Some systems refuse in place of granting less; their default serves as well.
    }
    socket.on('error', (error: NodeJS.ErrnoException) => this.options.handleSendError(error));
    socket.on('message', (bytes, { address, port }) => {
      const from: SocketAddress = { host: address, port, socket };
      this.options.handleDatagram(from, bytes);
    });
  }
}

/** The host's interfaces of this family, in the form that membership takes. */
function multicastInterfaces(
  group: string,
  isWanted: (info: NetworkInterfaceInfo) => boolean = () => true,
): string[] {
  const family = isIPv6(group) ? 'IPv6' : 'IPv4';
  const found: string[] = [];
  for (const [name, infos = []] of Object.entries(networkInterfaces())) {
    const info = infos.find((each) => each.family === family && isWanted(each));
    if (info !== undefined) found.push(family === 'IPv6' ? `::%${name}` : info.address);
  }
  return found;
}

function passThrough(host: string, ...rest: unknown[]): void {
  const callback = rest.at(-1) as (error: null, host: string) => void;
  callback(null, host);
}

function bindError(error: NodeJS.ErrnoException, address: Address): P2mpError {
  const remedies: Record<string, string> = {
    EADDRINUSE: 'the port is taken; stop the program that has it, or choose another port',
    EACCES: 'not allowed; choose a port from 1024 on, or run with the right to bind it',
    EADDRNOTAVAIL: 'this host has no such address; bind one of its own',
    EINVAL: 'no IP address; give one of this host',
    ENOTFOUND: 'no IP address; give one of this host',
    EAFNOSUPPORT: 'this host does not speak that version of IP',
  };
  const remedy = remedies[error.code ?? ''] ?? error.message;
  return new P2mpError('PORT_UNAVAILABLE', `UDP ${formatAddress(address)}: ${remedy}`, {
    cause: error,
  });
}

/** Codes of send errors that no repetition mends, with what to tell. */
export function fatalSendError(
  error: NodeJS.ErrnoException,
  mssBytes: number,
): P2mpError | undefined {
  const codes: Record<string, [ErrorCode, string]> = {
    EMSGSIZE: [
      'DATAGRAM_TOO_LARGE',
      `MSS ${mssBytes}: larger than this system can send in one datagram; take a smaller MSS`,
    ],
  };
  const found = codes[error.code ?? ''];
  return found === undefined ? undefined : new P2mpError(found[0], found[1], { cause: error });
}
