/** The receiver's state of the current transfer. */
import type { Address } from '../base/address.js';
import { formatAddress } from '../base/address.js';
import { formatPlural } from '../base/format.js';
import type { TimeMs } from '../base/machine.js';
import { withoutUndefined } from '../base/without-undefined.js';
import type { DataPacket } from '../packet.js';
import { receiverDefaults } from './config.js';
import { numberingMistake } from './diagnosis/numbering.js';
import type { EndedTransferFacts } from './ended-transfers.js';
import type { TransferEnd, TransferResult } from './receiver-events.js';

/**
 * The transfer that a receiver is handling: its progress, its end, and any evidence of a faulty
 * sender.
 */
export class IncomingTransfer {
  /** Payload size of the first segment. It is the MSS unless the first segment is also the last. */
  readonly mssBytes: number;
  /** Checksum of the first segment. It distinguishes this file from another one that the same address sends. */
  readonly firstChecksum: number;
  /** Segments received, all in sequence. */
  segmentCount = 0;
  /** Segments acknowledged; fewer than received while an ACK waits for the disk. */
  ackedSegments = 0;
  sizeBytes = 0;
  writtenBytes = 0;
  /**
   * Whether the last segment was shorter than the first, which means that the file ends there (PROTOCOL 3.1).
   */
  isLastShort = false;
  lastReceivedMs: TimeMs;
  lastProgressMs: TimeMs;
  /**
   * Packets that arrived since the last segment in sequence: packets of later segments, the number of the first one,
   * and duplicates.
   */
  private aheadCount = 0;
  private firstAhead = 0;
  private duplicateCount = 0;
  private lastDuplicateMs = Number.NEGATIVE_INFINITY;
  /**
   * Packets of new segments with a wrong checksum, and packets that reuse the number of another segment for other data.
   */
  private damagedCount = 0;
  private changedCount = 0;
  private lastChecksum = 0;
  /** Set once the end is known and the shell is storing the file. */
  end: TransferEnd | undefined;
  /** The answer to the end, sent once the file is durable. */
  endReply: Uint8Array | undefined;

  constructor(
    readonly startedAtMs: TimeMs,
    readonly from: Address,
    first: DataPacket,
  ) {
    this.mssBytes = first.payload.length;
    this.firstChecksum = first.checksum;
    this.lastReceivedMs = startedAtMs;
    this.lastProgressMs = startedAtMs;
  }

  /** Notes the next segment in sequence. */
  add(nowMs: TimeMs, { payload, checksum }: DataPacket): void {
    this.isLastShort = payload.length < this.mssBytes;
    this.aheadCount = 0;
    this.duplicateCount = 0;
    this.damagedCount = 0;
    this.changedCount = 0;
    this.lastChecksum = checksum;
    this.segmentCount++;
    this.sizeBytes += payload.length;
    this.lastProgressMs = nowMs;
  }

  /**
   * Notes data other than the next segment. An empty packet may be another program's end marker, so
   * it is ignored.
   */
  noteOutOfSequence(nowMs: TimeMs, { sequence, payload, checksum }: DataPacket): void {
    if (payload.length === 0) return;
    if (sequence < this.segmentCount) {
      this.noteDuplicate(nowMs);
      const isFirst = sequence === 0 && checksum !== this.firstChecksum;
      const isLast = sequence === this.segmentCount - 1 && checksum !== this.lastChecksum;
      if (isFirst || isLast) this.changedCount++;
    } else if (this.aheadCount++ === 0) this.firstAhead = sequence;
  }

  /**
   * Counts only duplicates that were sent despite an ACK. Duplicates that crossed the ACK do not count. If several
   * queued in the socket buffer and are read together on a slow machine, only one counts.
   */
  private noteDuplicate(nowMs: TimeMs): void {
    const isAcked = this.ackedSegments === this.segmentCount;
    if (!isAcked || nowMs - this.lastDuplicateMs < joinedMs) return;
    this.duplicateCount++;
    this.lastDuplicateMs = nowMs;
  }

  /** Notes data with a wrong checksum. */
  noteDamaged({ sequence, payload }: DataPacket): void {
    if (payload.length > 0 && sequence >= this.segmentCount) this.damagedCount++;
  }

  /**
   * Says why silence now does not mean the end. The last packets may show that the sender has more data or misread the
   * ACKs. Undefined without such evidence. A few duplicates are no evidence, because an ACK may be lost or late.
   */
  get contradiction(): string | undefined {
    const { aheadCount, firstAhead, duplicateCount, segmentCount, mssBytes } = this;
    const { damagedCount, changedCount } = this;
    if (aheadCount > 0) {
      const packets = formatPlural(aheadCount, 'packet');
      const why = numberingMistake(firstAhead, segmentCount, mssBytes) ?? segmentMissing;
      return `expects segment ${segmentCount}, but the last it got was ${packets} from ${firstAhead} on; ${why}`;
    }
    if (damagedCount > 0) {
      return `expects segment ${segmentCount}, but the last it got was ${formatPlural(damagedCount, 'packet')} with a wrong checksum`;
    }
    if (changedCount > 0) {
      return `${formatPlural(changedCount, 'packet')} came with the number of a segment that was received, but with other data; each segment needs a number of its own, counted from 0`;
    }
    if (this.isLastShort || duplicateCount < manyDuplicates) return undefined;
    const last = segmentCount - 1;
    return `acknowledged segment ${last}, but its sender repeated it or earlier ones ${duplicateCount} times and never went on; it may wait for the ACK of another number: an ACK carries the number of the segment received`;
  }

  /** Whether different data arrived under the number of a segment already received. */
  get hasChanged(): boolean {
    return this.changedCount > 0;
  }

  /** The number in the last ACK sent; undefined before the first. */
  get lastAcked(): number | undefined {
    return this.ackedSegments === 0 ? undefined : this.ackedSegments - 1;
  }

  /** Whether the end is known rather than inferred from silence (PROTOCOL 5.4). */
  get isCertain(): boolean {
    return this.end !== undefined && (this.end !== 'silence' || this.isLastShort);
  }

  /** When the idle timeout will end the transfer. */
  idleAtMs(idleTimeoutMs: number): TimeMs {
    const { shortTailTimeoutMs } = receiverDefaults;
    const timeoutMs = this.isLastShort
      ? Math.min(shortTailTimeoutMs, idleTimeoutMs)
      : idleTimeoutMs;
    return this.lastReceivedMs + timeoutMs;
  }

  /** What to remember of this transfer, so that late duplicates get the same answer as before. */
  remembered(isFailed: boolean): EndedTransferFacts {
    const { mssBytes, firstChecksum, end, segmentCount, lastAcked } = this;
    // The end marker of a complete transfer was acknowledged with its own sequence number.
    const hasNumberedEnd = !isFailed && end === 'end-marker';
    const lastSequence = hasNumberedEnd ? segmentCount : lastAcked;
    return { isFailed, mssBytes, firstChecksum, end, lastSequence };
  }

  /** The result of the transfer, completed by these counts of the receiver. */
  result(
    status: TransferResult['status'],
    reason: string | undefined,
    counts: Pick<TransferResult, 'dataPackets' | 'acksSent' | 'losses' | 'faults'>,
  ): TransferResult {
    const { from, end, isCertain, sizeBytes, segmentCount } = this;
    return {
      from: formatAddress(from),
      status,
      ...withoutUndefined({ reason, end }),
      isCertain,
      sizeBytes,
      segmentCount,
      elapsedMs: this.lastProgressMs - this.startedAtMs,
      ...counts,
    };
  }
}

/** Losing this many ACKs of the last segment in a row is very unlikely. */
const manyDuplicates = 16;

/** Packets read within this time may have arrived together. */
const joinedMs = 5;

const segmentMissing = 'a segment is missing that its sender took for acknowledged';
