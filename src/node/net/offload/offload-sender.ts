/** Sends batches of datagrams by a socket that the system cuts for, without losing or cutting others. */
import type dgram from 'node:dgram';
import { isIPv6 } from 'node:net';
import type { Address } from '../../../base/address.js';
import type { Transmit } from '../../../base/machine.js';
import { datagramsOf } from '../../../base/machine.js';
import type { Offload, OffloadSocket } from './offload-socket.js';

/** What Linux cuts at most in one call (UDP_MAX_SEGMENTS; later kernels take 128). */
const maxSegments = 64;

/**
 * What goes through the system in one piece, that is, with the headers of Ethernet, VLAN, IP and UDP, stays
 * below its limit of 64 KiB. It takes a little more, but cuts that at once, and all is as dear as without.
 */
const maxCallBytes = { IPv4: 65_535 - 18 - 28, IPv6: 65_535 - 18 - 48 };

/** With these a system refuses to cut; what it says about single datagrams decides what they mean. */
const refusalCodes = new Set(['EINVAL', 'EMSGSIZE', 'EIO', 'ENOPROTOOPT', 'EOPNOTSUPP', 'ENOTSUP']);

/**
 * Of this many sends, one asks for its result: a callback for each costs a fifth of a round trip on
 * loopback. What fails, fails again, so nothing stays unnoticed; and the first ones all ask.
 */
const sendsPerResult = 16;

/** What a sender needs of its socket. */
export interface SendingSocket extends Pick<OffloadSocket, 'socket' | 'offload'> {
  /** Undefined for a socket that cannot cut. */
  readonly setSegmentSize?: OffloadSocket['setSegmentSize'];
  /** Undefined where the system cannot be asked. */
  readonly setPortSharing?: OffloadSocket['setPortSharing'];
}

/** Datagrams that the system did not take as they were. */
interface Refused {
  readonly transmit: Transmit;
  /** What the whole batch was refused with; undefined for a single datagram. */
  readonly error?: NodeJS.ErrnoException;
}

/**
 * The size of segments is an option of the socket, and what dgram has queued is cut by what it is set to
 * once it leaves. So it is changed only while nothing is queued; what needs another value waits.
 */
export class OffloadSender {
  private readonly socket: dgram.Socket;
  private state: Offload;
  /** As the socket has it; 0: it does not cut. */
  private segmentSizeBytes = 0;
  private sentCount = 0;
  /** In the order in which they leave; refused ones leave singly. */
  private readonly waiting: (Transmit | Refused)[] = [];
  private waitingBytes = 0;
  /** Sends whose result has been asked for, and is not there yet. */
  private openCount = 0;
  private isPolling = false;
  private isClosed = false;

  /** @param handleResult called after each send that was asked for its result, with its error if it has one */
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

  /** Handed over but not yet taken by the system. */
  get unsentBytes(): number {
    return this.waitingBytes + this.socket.getSendQueueSize();
  }

  /** Whether `handleResult` is going to be called. */
  get awaitsResult(): boolean {
    return this.openCount > 0;
  }

  send(transmit: Transmit): void {
    this.sendOrWait(transmit);
  }

  /** What waits is dropped. */
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

  /** Each result looks what can go on; where none is to come, the socket is asked again and again. */
  private pollWaiting(): void {
    if (this.isPolling || this.openCount > 0) return;
    this.isPolling = true;
    setImmediate(() => {
      this.isPolling = false;
      this.sendWaiting();
    });
  }

  /** @returns false where it has to wait */
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

  /** @returns false where that has to wait */
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

  /** Sends by a socket that cuts, and again by one that does not if the system refuses. */
  private sendAsking(transmit: Transmit): void {
    const { to, bytes, datagramSizeBytes } = transmit;
    this.openCount++;
    this.socket.send(bytes, to.port, to.host, (error: NodeJS.ErrnoException | null) => {
      const isRefused = error !== null && refusalCodes.has(error.code ?? '');
      // Before Linux 6.14, a small datagram is refused as well where a whole segment would not fit.
      if (isRefused) this.sendOrWait(datagramSizeBytes ? { transmit, error } : { transmit });
      this.takeResult(isRefused ? null : error);
    });
  }

  /** The first of a batch that was refused: if it goes by itself, batches are what does not work. */
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

/** What goes out in one call: whole segments, up to what the system takes. */
function largestCallBytes(to: Address, segmentSizeBytes: number): number {
  const limitBytes = isIPv6(to.host) ? maxCallBytes.IPv6 : maxCallBytes.IPv4;
  return Math.min(maxSegments, Math.floor(limitBytes / segmentSizeBytes)) * segmentSizeBytes;
}
