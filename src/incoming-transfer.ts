/** The receiver's view of the transfer in progress. */
import type { Address } from './address.js';
import { receiverDefaults } from './config.js';
import type { TimeMs } from './machine.js';
import type { DataPacket } from './packet.js';
import type { TransferEnd } from './receiver-events.js';

export class IncomingTransfer {
  /** Payload of the first segment: the MSS, unless it is also the last. */
  readonly mssBytes: number;
  /** Checksum of the first segment, by which another file from the same address is told apart. */
  readonly firstChecksum: number;
  /** Segments received, all in sequence. */
  segmentCount = 0;
  /** Segments acknowledged; lags behind where an ACK waits for the disk. */
  ackedSegments = 0;
  sizeBytes = 0;
  writtenBytes = 0;
  /** Whether the last segment was shorter than the first: the file ends there (PROTOCOL 3.1). */
  isLastShort = false;
  lastHeardMs: TimeMs;
  lastProgressMs: TimeMs;
  /** Set once the end is known and the shell is at work on it. */
  end: TransferEnd | undefined;
  /** What answers the end once the file is durable. */
  endReply: Uint8Array | undefined;

  constructor(
    readonly startedAtMs: TimeMs,
    readonly from: Address,
    first: DataPacket,
  ) {
    this.mssBytes = first.payload.length;
    this.firstChecksum = first.checksum;
    this.lastHeardMs = startedAtMs;
    this.lastProgressMs = startedAtMs;
  }

  /** Notes a segment in sequence. */
  add(nowMs: TimeMs, payload: Uint8Array): void {
    this.isLastShort = payload.length < this.mssBytes;
    this.segmentCount++;
    this.sizeBytes += payload.length;
    this.lastProgressMs = nowMs;
  }

  /** The number of the last ACK sent; undefined before the first. */
  get lastAcked(): number | undefined {
    return this.ackedSegments === 0 ? undefined : this.ackedSegments - 1;
  }

  /** Whether the end is known and not guessed (PROTOCOL 5.4). */
  get isCertain(): boolean {
    return this.end !== undefined && (this.end !== 'silence' || this.isLastShort);
  }

  /** When silence will end the transfer. */
  idleAtMs(idleTimeoutMs: number): TimeMs {
    const { shortTailTimeoutMs } = receiverDefaults;
    const patienceMs = this.isLastShort
      ? Math.min(shortTailTimeoutMs, idleTimeoutMs)
      : idleTimeoutMs;
    return this.lastHeardMs + patienceMs;
  }
}
