/** System calls that Node's sockets do not offer, made through koffi. */
import { getSystemErrorName } from 'node:util';
import type { Address } from '../../../base/address.js';
import { formatAddress, isIPv6 } from '../../../base/address.js';
import { type Koffi, loadKoffi } from '../../koffi.js';
import type { IcmpError, OtherError } from './error-queue.js';
import { createErrorReader } from './error-queue.js';

/** A file descriptor of a socket. */
export type Descriptor = number;

/** System calls. Each call throws an error with `code` and `syscall`, as Node does. */
export interface SystemCalls {
  openUdpSocket(isIPv6: boolean): Descriptor;
  setOption(fd: Descriptor, option: SocketOption, value: number): void;
  getOption(fd: Descriptor, option: SocketOption): number;
  bind(fd: Descriptor, address: Address): void;
  /** Connects a UDP socket; sends nothing. */
  connect(fd: Descriptor, address: Address): void;
  close(fd: Descriptor): void;
  /** Takes the next error from the error queue; undefined if the queue is empty. */
  takeError(fd: Descriptor): IcmpError | OtherError | undefined;
  /** 0 if there is no such interface. */
  interfaceIndex(name: string): number;
}

/**
 * Level and name of socket options. The values are those of Linux, the same on all architectures that koffi
 * supports.
 */
export type SocketOption = readonly [level: number, name: number];

const socketLevel = 1;
const ipv4Level = 0;
const ipv6Level = 41;
const udpLevel = 17;

export const socketOptions = {
  reuseAddress: [socketLevel, 2],
  /** Sets the size of the receive buffer without the limit that applies to other users; root only. */
  receiveBufferForce: [socketLevel, 33],
  ipv4MtuDiscover: [ipv4Level, 10],
  /** Queues each ICMP error, also those after which a datagram may still get through. */
  ipv4ReceiveErrors: [ipv4Level, 11],
  ipv4Mtu: [ipv4Level, 14],
  /** Whether a socket receives from groups that it has joined on another interface, or not at all. */
  ipv4MulticastAll: [ipv4Level, 49],
  /** The interface by which unicast datagrams leave. */
  ipv4UnicastInterface: [ipv4Level, 50],
  ipv6MulticastInterface: [ipv6Level, 17],
  ipv6MtuDiscover: [ipv6Level, 23],
  ipv6ReceiveErrors: [ipv6Level, 25],
  ipv6Mtu: [ipv6Level, 24],
  ipv6Only: [ipv6Level, 26],
  ipv6UnicastInterface: [ipv6Level, 76],
  ipv6MulticastAll: [ipv6Level, 29],
  /** Makes the kernel cut sent data into datagrams of this size (UDP GSO). */
  udpSegment: [udpLevel, 103],
  /** Makes one call receive all datagrams that arrived together (UDP GRO). */
  udpGro: [udpLevel, 104],
} as const satisfies Record<string, SocketOption>;

const inet = 2;
const inet6 = 10;
/** SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK */
const socketType = 2 | 0o2000000 | 0o4000;

let loaded: SystemCalls | undefined;

/**
 * Loads the system calls. The first call loads koffi, which takes a few milliseconds.
 * @throws Error if koffi is unavailable
 */
export function loadSystemCalls(): SystemCalls {
  const koffi = loadKoffi();
  loaded ??= declareSystemCalls(koffi);
  return loaded;
}

function declareSystemCalls(koffi: Koffi): SystemCalls {
  // Looks up functions in the libraries that Node itself is linked with, because the file name of the C
  // library varies.
  const libc = koffi.load(null);
  const socket = libc.func('int socket(int domain, int type, int protocol)');
  const setsockopt = libc.func('int setsockopt(int, int, int, const void *, uint32_t)');
  const getsockopt = libc.func('int getsockopt(int, int, int, void *, void *)');
  const bind = libc.func('int bind(int, const void *, uint32_t)');
  const connect = libc.func('int connect(int, const void *, uint32_t)');
  const close = libc.func('int close(int)');
  const inetPton = libc.func('int inet_pton(int, const char *, void *)');
  const nameToIndex = libc.func('unsigned int if_nametoindex(const char *)');

  const check = (syscall: string, result: number, address?: Address): number => {
    if (result < 0) throw systemError(syscall, koffi.errno(), address);
    return result;
  };
  const encode = (syscall: string, address: Address): Buffer => {
    const [host = '', scope] = address.host.split('%');
    const name = socketAddress(address, scope === undefined ? 0 : scopeId(scope, nameToIndex));
    const family = isIPv6(address.host) ? inet6 : inet;
    const ip = name.subarray(family === inet6 ? 8 : 4);
    if (inetPton(family, host, ip) !== 1) throw systemError(syscall, invalidArgument, address);
    return name;
  };
  const value = Buffer.alloc(4);
  const length = Buffer.alloc(4);
  return {
    openUdpSocket: (isV6) => check('socket', socket(isV6 ? inet6 : inet, socketType, 0)),
    setOption(fd, [level, name], number) {
      value.writeInt32LE(number);
      check('setsockopt', setsockopt(fd, level, name, value, value.length));
    },
    getOption(fd, [level, name]) {
      length.writeUInt32LE(value.length);
      check('getsockopt', getsockopt(fd, level, name, value, length));
      return value.readInt32LE();
    },
    bind(fd, address) {
      const name = encode('bind', address);
      check('bind', bind(fd, name, name.length), address);
    },
    connect(fd, address) {
      const name = encode('connect', address);
      check('connect', connect(fd, name, name.length), address);
    },
    close: (fd) => void close(fd),
    takeError: createErrorReader(koffi),
    interfaceIndex: (name) => nameToIndex(name),
  };
}

const invalidArgument = 22;

/**
 * Creates a sockaddr_in or sockaddr_in6 without its IP address. All architectures that koffi supports are
 * little-endian.
 */
function socketAddress({ host, port }: Address, scope: number): Buffer {
  const name = Buffer.alloc(isIPv6(host) ? 28 : 16);
  name.writeUInt16LE(isIPv6(host) ? inet6 : inet, 0);
  name.writeUInt16BE(port, 2);
  if (isIPv6(host)) name.writeUInt32LE(scope, 24);
  return name;
}

function scopeId(scope: string, nameToIndex: (name: string) => number): number {
  return /^\d+$/.test(scope) ? Number(scope) : nameToIndex(scope);
}

function systemError(syscall: string, errno: number, address?: Address): NodeJS.ErrnoException {
  const code = getSystemErrorName(-errno);
  const place = address === undefined ? '' : ` ${formatAddress(address)}`;
  return Object.assign(new Error(`${syscall} ${code}${place}`), { errno: -errno, code, syscall });
}
