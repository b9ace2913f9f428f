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

/** The transfer that a receiver is handling: its progress, its end, and any evidence of a faulty sender. */
export class IncomingTransfer {
  /** Payload size of the first segment. It is the MSS unless the first segment is also the last. */
  readonly mssBytes: number;
  /** Checksum of the first segment. It distinguishes this file from another one that the same address sends. */
  readonly firstChecksum: number;
  /** Segments received, all in sequence. */
  segmentCount = 0;
  /** Number of segments acknowledged. It is less than `segmentCount` while an ACK waits for the disk. */
  ackedSegments = 0;
  sizeBytes = 0;
  writtenBytes = 0;
  /**
   * Whether the last segment received was shorter than the first. If so, the file ends there (PROTOCOL 3.1).
   */
  isLastShort = false;
  lastReceivedMs: TimeMs;
  lastProgressMs: TimeMs;
  /**
   * Since the last segment that arrived in sequence: the number of packets with later segments, the sequence
   * number of the first such packet, and the number of duplicates.
   */
  private aheadCount = 0;
  private firstAhead = 0;
  private duplicateCount = 0;
  private firstDuplicateMs: TimeMs = 0;
  private lastDuplicateMs = Number.NEGATIVE_INFINITY;
  /**
   * Since the last segment that arrived in sequence: the number of new segments with a wrong checksum, and
   * the number of packets that reuse an earlier sequence number for other data.
   */
  private damagedCount = 0;
  private changedCount = 0;
  private lastChecksum = 0;
  /** How the end was detected; undefined before the end. Once this field is set, the file is being stored. */
  end: TransferEnd | undefined;
  /** Datagram that answers the end. It is sent once the file is durable. */
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

  /** Records the next segment in sequence. */
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
   * Records data that is not the next segment. An empty packet might be another program's end marker, so it
   * is ignored.
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
   * Counts a duplicate if every segment received so far has been acknowledged. Duplicates that are read
   * within a short time count as one: they may have queued in the socket buffer of a slow machine.
   */
  private noteDuplicate(nowMs: TimeMs): void {
    const isAcked = this.ackedSegments === this.segmentCount;
    if (!isAcked || nowMs - this.lastDuplicateMs < joinedMs) return;
    if (this.duplicateCount === 0) this.firstDuplicateMs = nowMs;
    this.duplicateCount++;
    this.lastDuplicateMs = nowMs;
  }

  /** Records data with a wrong checksum. */
  noteDamaged({ sequence, payload }: DataPacket): void {
    if (payload.length > 0 && sequence >= this.segmentCount) this.damagedCount++;
  }

  /**
   * Explains why silence at this point does not mean the end: the last packets show that the sender has more
   * data or misreads the ACKs. Undefined without such evidence. A few duplicates are no evidence, because
   * ACKs may be lost or late.
   */
  get contradiction(): string | undefined {
    const { aheadCount, firstAhead, duplicateCount, segmentCount, mssBytes } = this;
    const { damagedCount, changedCount } = this;
    if (aheadCount > 0) {
      const packets = formatPlural(aheadCount, 'packet');
      const why = numberingMistake(firstAhead, segmentCount, mssBytes) ?? segmentMissing;
      return `expects segment ${segmentCount}, but received ${packets} of later segments, the first of them with number ${firstAhead}; ${why}`;
    }
    if (damagedCount > 0) {
      return `expects segment ${segmentCount}, but received ${formatPlural(damagedCount, 'packet')} with a wrong checksum`;
    }
    if (changedCount > 0) {
      return `${formatPlural(changedCount, 'packet')} arrived with the number of a received segment, but with other data; each segment needs a number of its own, counted from 0`;
    }
    const repeatedMs = this.lastDuplicateMs - this.firstDuplicateMs;
    const enough = repeatedMs >= manyDuplicatesMs ? manyDuplicates : quickDuplicates;
    const isRepeating = duplicateCount >= enough;
    if (this.isLastShort || !isRepeating) return undefined;
    const last = segmentCount - 1;
    return `acknowledged segment ${last}, but the sender repeated segments up to that number ${duplicateCount} times and sent nothing new; the sender may expect another number in the ACK: an ACK carries the number of the segment received`;
  }

  /** Whether any packet has reused the number of a received segment for other data. */
  get hasChanged(): boolean {
    return this.changedCount > 0;
  }

  /** Sequence number of the last ACK sent; undefined before the first ACK. */
  get lastAcked(): number | undefined {
    return this.ackedSegments === 0 ? undefined : this.ackedSegments - 1;
  }

  /** Whether the end is known rather than inferred from silence (PROTOCOL 5.4). */
  get isCertain(): boolean {
    return this.end !== undefined && (this.end !== 'silence' || this.isLastShort);
  }

  /** Time at which the idle timeout will end the transfer. */
  idleAtMs(idleTimeoutMs: number): TimeMs {
    const { shortTailTimeoutMs } = receiverDefaults;
    const timeoutMs = this.isLastShort
      ? Math.min(shortTailTimeoutMs, idleTimeoutMs)
      : idleTimeoutMs;
    return this.lastReceivedMs + timeoutMs;
  }

  /** What to remember about this transfer, so that late duplicates get the same answer as before. */
  remembered(isFailed: boolean): EndedTransferFacts {
    const { mssBytes, firstChecksum, end, segmentCount, lastAcked } = this;
    // The end marker of a complete transfer was acknowledged with its own sequence number.
    const hasNumberedEnd = !isFailed && end === 'end-marker';
    const lastSequence = hasNumberedEnd ? segmentCount : lastAcked;
    return { isFailed, mssBytes, firstChecksum, end, lastSequence };
  }

  /** The result of the transfer, with the counts that the receiver passes in. */
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

/** Number of duplicates that counts as evidence. It is very unlikely that so many ACKs in a row are lost. */
const manyDuplicates = 16;

/**
 * Duplicates that count within a shorter time. A sender with a window and a short first timeout sends its last segments
 * many times within a round trip, before the ACKs reach it.
 */
const quickDuplicates = 40;
const manyDuplicatesMs = 2000;

/** Duplicates that are read within this time of each other count as one. */
const joinedMs = 5;

const segmentMissing = 'a segment is missing, although the sender treats it as acknowledged';
