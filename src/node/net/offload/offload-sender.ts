/** Sends batches of datagrams through a socket with UDP GSO, without affecting other datagrams. */
import type dgram from 'node:dgram';
import type { Address } from '../../../base/address.js';
import { isIPv6 } from '../../../base/address.js';
import type { Transmit } from '../../../base/machine.js';
import { datagramsOf } from '../../../base/machine.js';
import type { Offload, OffloadSocket } from './offload-socket.js';

/** Maximum number of segments in one call (UDP_MAX_SEGMENTS of Linux). Newer kernels allow 128. */
const maxSegments = 64;

/**
 * Maximum size of a batch: with its Ethernet, VLAN, IP and UDP headers, the batch must stay below the 64 KiB
 * limit of the kernel. The kernel accepts slightly larger batches, but segments them in software immediately,
 * so they save nothing.
 */
const maxCallBytes = { IPv4: 65_535 - 18 - 28, IPv6: 65_535 - 18 - 48 };

/**
 * Errors that can mean that the kernel refuses batches. The first datagram of the batch is then sent alone:
 * if that succeeds, the kernel refuses batches.
 */
const refusalCodes = new Set(['EINVAL', 'EMSGSIZE', 'EIO', 'ENOPROTOOPT', 'EOPNOTSUPP', 'ENOTSUP']);

/**
 * After the first few sends, only one send in this many requests a result from Node, because the callback of
 * a send costs a fifth of a round trip on loopback. A persistent error is still noticed.
 */
const sendsPerResult = 16;

/** What a sender needs from its socket. */
export interface SendingSocket extends Pick<OffloadSocket, 'socket' | 'offload'> {
  /** Whether datagrams leave by another interface than the wanted one, if the routing says so. */
  readonly isRouted?: boolean;
  /** Undefined for a socket without GSO. */
  readonly setSegmentSize?: OffloadSocket['setSegmentSize'];
  /** Undefined if the system calls are unavailable. */
  readonly setPortSharing?: OffloadSocket['setPortSharing'];
}

/** Datagrams that the system refused. */
interface Refused {
  readonly transmit: Transmit;
  /** The error of the whole batch; undefined for a single datagram. */
  readonly error?: NodeJS.ErrnoException;
}

/**
 * Sends batches and single datagrams through one socket. The segment size is a socket option. dgram queues
 * datagrams, and the kernel cuts each batch by the value that the option has when the batch leaves the queue.
 * The option is therefore changed only while the queue is empty. Items that need another value wait.
 */
export class OffloadSender {
  private readonly socket: dgram.Socket;
  private state: Offload;
  /** The current segment size of the socket; 0 means that GSO is off. */
  private segmentSizeBytes = 0;
  private sentCount = 0;
  /** Items to send later, in sending order. A refused batch is sent one datagram at a time. */
  private readonly waiting: (Transmit | Refused)[] = [];
  private waitingBytes = 0;
  /** Number of sends whose requested result is pending. */
  private openCount = 0;
  private isPolling = false;
  private isClosed = false;

  /** @param handleResult called with the error, or with null, for each send whose result was requested */
  constructor(
    private readonly options: SendingSocket,
    private readonly handleResult: (error: Error | null) => void,
  ) {
    this.socket = options.socket;
    this.state = options.offload;
  }

  get offload(): Offload {
    return this.state;
  }

  /** Number of bytes that Node holds and has not passed to the kernel. */
  get unsentBytes(): number {
    return this.waitingBytes + this.socket.getSendQueueSize();
  }

  /** Whether `handleResult` will be called. */
  get awaitsResult(): boolean {
    return this.openCount > 0;
  }

  send(transmit: Transmit): void {
    this.sendOrWait(transmit);
  }

  /** Drops waiting items. */
  close(): void {
    this.isClosed = true;
    this.waiting.length = 0;
    this.waitingBytes = 0;
  }

  private sendOrWait(item: Transmit | Refused): void {
    if (this.isClosed || (this.waiting.length === 0 && this.trySend(item))) return;
    this.waiting.push(item);
    this.waitingBytes += transmitOf(item).bytes.length;
    this.pollWaiting();
  }

  private sendWaiting(): void {
    for (let item = this.waiting[0]; item !== undefined; item = this.waiting[0]) {
      if (!this.trySend(item)) {
        this.pollWaiting();
        return;
      }
      this.waiting.shift();
      this.waitingBytes -= transmitOf(item).bytes.length;
    }
  }

  /**
   * Makes sure that waiting items are sent: by the callback of a pending send, or else in the next turn of
   * the event loop.
   */
  private pollWaiting(): void {
    if (this.isPolling || this.openCount > 0) return;
    this.isPolling = true;
    setImmediate(() => {
      this.isPolling = false;
      this.sendWaiting();
    });
  }

  /** @returns false if the item has to wait */
  private trySend(item: Transmit | Refused): boolean {
    if ('transmit' in item) return this.trySendRefused(item);
    const { to, bytes, datagramSizeBytes } = item;
    if (datagramSizeBytes === undefined || bytes.length <= datagramSizeBytes) {
      if (bytes.length > this.segmentSizeBytes && !this.setSegmentSize(0)) return false;
      this.sendOne(to, bytes);
      return true;
    }
    const callBytes = this.state.send ? largestCallBytes(to, datagramSizeBytes) : 0;
    if (callBytes <= datagramSizeBytes) return this.trySendSingly(item, datagramSizeBytes);
    if (!this.setSegmentSize(datagramSizeBytes)) return false;
    for (let from = 0; from < bytes.length; from += callBytes) {
      this.sendAsking({ to, bytes: bytes.subarray(from, from + callBytes), datagramSizeBytes });
    }
    return true;
  }

  private trySendSingly(batch: Transmit, datagramSizeBytes: number): boolean {
    if (datagramSizeBytes > this.segmentSizeBytes && !this.setSegmentSize(0)) return false;
    for (const bytes of datagramsOf(batch)) this.sendOne(batch.to, bytes);
    return true;
  }

  private trySendRefused({ transmit, error }: Refused): boolean {
    if (!this.setSegmentSize(0)) return false;
    let verdict = error;
    for (const bytes of datagramsOf(transmit)) {
      if (verdict === undefined) this.sendOne(transmit.to, bytes);
      else this.sendDeciding(transmit.to, bytes, verdict);
      verdict = undefined;
    }
    return true;
  }

  /** @returns false if the change has to wait */
  private setSegmentSize(sizeBytes: number): boolean {
    if (sizeBytes === this.segmentSizeBytes) return true;
    if (this.socket.getSendQueueSize() > 0) return false;
    this.options.setSegmentSize?.(sizeBytes);
    this.segmentSizeBytes = sizeBytes;
    return true;
  }

  private sendOne(to: Address, bytes: Uint8Array): void {
    this.sentCount++;
    if (this.segmentSizeBytes !== 0) this.sendAsking({ to, bytes });
    else if (this.sentCount <= sendsPerResult || this.sentCount % sendsPerResult === 0) {
      this.openCount++;
      this.socket.send(bytes, to.port, to.host, this.takeResult);
    } else {
      this.socket.send(bytes, to.port, to.host);
    }
  }

  private readonly takeResult = (error: Error | null): void => {
    this.openCount--;
    if (this.waiting.length > 0) this.sendWaiting();
    this.handleResult(error);
  };

  /** Sends with GSO enabled and requests the result. If the kernel refuses, sends again without GSO. */
  private sendAsking(transmit: Transmit): void {
    const { to, bytes, datagramSizeBytes } = transmit;
    this.openCount++;
    this.socket.send(bytes, to.port, to.host, (error: NodeJS.ErrnoException | null) => {
      const isRefused = error !== null && refusalCodes.has(error.code ?? '');
      // With GSO enabled, kernels before Linux 6.14 refuse even a small datagram if the segment size exceeds
      // the path MTU.
      if (isRefused) this.sendOrWait(datagramSizeBytes ? { transmit, error } : { transmit });
      this.takeResult(isRefused ? null : error);
    });
  }

  /**
   * Sends the first datagram of a refused batch alone. If this succeeds, the kernel refuses batches, so GSO
   * is turned off.
   */
  private sendDeciding(to: Address, bytes: Uint8Array, refused: NodeJS.ErrnoException): void {
    this.openCount++;
    this.socket.send(bytes, to.port, to.host, (error) => {
      const reason = `the kernel refuses to send batches: ${refused.code}`;
      if (error === null) this.state = { ...this.state, send: false, reason };
      this.takeResult(error);
    });
  }
}

function transmitOf(item: Transmit | Refused): Transmit {
  return 'transmit' in item ? item.transmit : item;
}

/** @returns the maximum number of bytes per call: as many whole segments as the kernel allows */
function largestCallBytes(to: Address, segmentSizeBytes: number): number {
  const limitBytes = isIPv6(to.host) ? maxCallBytes.IPv6 : maxCallBytes.IPv4;
  return Math.min(maxSegments, Math.floor(limitBytes / segmentSizeBytes)) * segmentSizeBytes;
}
