/**
 * Detects that a remote port refuses datagrams, or that they do not reach its host. Hosts and routers report this by
 * ICMP, and the local system passes the reports only to connected sockets. A second socket therefore shares the local port and is
 * connected to the remote address. The first socket sends as before; answers and ICMP errors arrive at the
 * second socket. No probe is sent, because any extra datagram could start a transfer at a server or crash it.
 */
import dgram from 'node:dgram';
import type { Address } from '../../base/address.js';
import { isIPv6 } from '../../base/address.js';
import type { Refusal, RefusalCode } from '../../base/refusal.js';
import type { IcmpError } from './offload/error-queue.js';
import type { OffloadSocket } from './offload/offload-socket.js';
import type { SystemCalls } from './offload/offload-system.js';
import { socketOptions } from './offload/offload-system.js';

export interface RefusalWatchOptions {
  readonly system: SystemCalls;
  /** The first socket, which sends to the address. */
  readonly socket: dgram.Socket;
  readonly setPortSharing: OffloadSocket['setPortSharing'];
  readonly to: Address;
  /** Called for each datagram from the address. During the watch, these datagrams do not reach `socket`. */
  readonly handleMessage: (bytes: Uint8Array, info: dgram.RemoteInfo) => void;
  /** Called for each reported refusal. The handler is allowed to close the socket. */
  readonly handleRefusal: (refusal: Refusal) => void;
}

export interface RefusalWatch {
  /** Ends the watch after all datagrams that have arrived at its socket are read. */
  readonly end: () => void;
  /** Closes the socket of the watch at once. */
  readonly close: () => void;
}

/** A port that no peer uses for UDP: the port of tcpmux. */
const unusedPort = 1;

/** What ICMP errors of each version, type and code mean. Other errors say nothing about the receiver. */
const meanings: Readonly<Record<string, RefusalCode>> = {
  ...meaningOf('no-route', ['4 3 0', '4 3 6', '4 3 8', '4 3 11', '6 1 0', '6 1 2']),
  ...meaningOf('no-host', ['4 3 1', '4 3 7', '4 3 12', '6 1 3']),
  ...meaningOf('port-closed', ['4 3 3', '6 1 4']),
  ...meaningOf('prohibited', ['4 3 9', '4 3 10', '4 3 13', '6 1 1', '6 1 5', '6 1 6']),
};

function meaningOf(code: RefusalCode, errors: readonly string[]): Record<string, RefusalCode> {
  return Object.fromEntries(errors.map((error) => [error, code]));
}

/** @param ownHost the address from which this host sends; an error from there is its own observation */
function refusalOf(error: IcmpError, ownHost: string): Refusal | undefined {
  const code = meanings[`${error.version} ${error.type} ${error.code}`];
  if (code === undefined) return undefined;
  return error.from === ownHost ? { code } : { code, router: error.from };
}

/** @throws NodeJS.ErrnoException if the system does not allow a watch. No socket stays open in this case. */
export function openRefusalWatch(options: RefusalWatchOptions): RefusalWatch {
  const { system, to, handleMessage, handleRefusal } = options;
  const { watch, fd } = openConnected(options);
  let readCount = 0;
  let isEnding = false;
  let isClosed = false;
  watch.on('message', (bytes, info) => {
    readCount++;
    handleMessage(bytes, info);
  });
  watch.on('error', () => {
    if (isClosed) return;
    // A socket with queued errors would wake the event loop without end.
    for (let error = system.takeError(fd); error !== undefined; error = system.takeError(fd)) {
      const refusal = error === 'other' ? undefined : refusalOf(error, watch.address().address);
      if (refusal !== undefined && !isEnding) handleRefusal(refusal);
      if (isClosed) return;
    }
  });
  const close = () => {
    if (!isClosed) watch.close();
    isClosed = true;
  };
  const closeOnceRead = (seenCount: number) => {
    // Wait for two turns of the event loop, because the socket is polled between them.
    setImmediate(() =>
      setImmediate(() => (readCount === seenCount ? close() : closeOnceRead(readCount))),
    );
  };
  const end = () => {
    if (isEnding || isClosed) return;
    isEnding = true;
    try {
      // New datagrams reach the first socket again. Those that are still queued here must be read first.
      system.connect(fd, { host: to.host, port: unusedPort });
      closeOnceRead(readCount);
    } catch {
      close();
    }
  };
  return { end, close };
}

/** Opens the second socket, with the port of the first one. */
function openConnected({ system, socket, setPortSharing, to }: RefusalWatchOptions) {
  const { address: host, port } = socket.address();
  const watch = dgram.createSocket(isIPv6(host) ? 'udp6' : 'udp4');
  const fd = system.openUdpSocket(isIPv6(host));
  try {
    if (isIPv6(host)) system.setOption(fd, socketOptions.ipv6Only, 1);
    // Without this option, Linux passes on no report after which a datagram may still get through, such as that no
    // host answers.
    const { ipv4ReceiveErrors, ipv6ReceiveErrors } = socketOptions;
    system.setOption(fd, isIPv6(host) ? ipv6ReceiveErrors : ipv4ReceiveErrors, 1);
    // The first socket allows port sharing only during `bind`, so that no other program can take the port.
    // Watching sockets always allow it, so that several of them can use the port.
    system.setOption(fd, socketOptions.reuseAddress, 1);
    setPortSharing(true);
    try {
      system.bind(fd, { host, port });
    } finally {
      setPortSharing(false);
    }
    system.connect(fd, to);
    watch.bind({ fd, exclusive: true });
  } catch (error) {
    watch.close();
    system.close(fd);
    throw error;
  }
  return { watch, fd };
}
