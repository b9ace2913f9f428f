/**
 * Decides which rejected packets to diagnose (PROTOCOL 6.8). Each kind of mistake is reported once per peer.
 * A fault that chance or the network might cause is reported only if it repeats.
 */

import type { Address } from '../../base/address.js';
import { formatAddress } from '../../base/address.js';
import type { TimeMs } from '../../base/machine.js';
import type { DataPacket } from '../../packet.js';
import { decode, headerSizeBytes } from '../../packet.js';
import type { FaultKind } from '../../wire/faults.js';
import { receiverDefaults } from '../config.js';
import type { IncomingTransfer } from '../incoming-transfer.js';
import { numberingMistake } from './numbering.js';
import type { Diagnosis, DiagnosisEvent, DiagnosisKind } from './packet-diagnosis.js';
import {
  diagnoseChecksum,
  diagnoseFormat,
  diagnoseNumber,
  diagnoseReuse,
} from './packet-diagnosis.js';

interface RejectedPeer {
  lastSeenMs: TimeMs;
  readonly reported: Set<DiagnosisKind>;
  /** Number of packets with a wrong checksum since the last accepted segment. */
  checksumCount: number;
  /** Last unexpected sequence number, and the number of consecutive packets with that number. */
  lastNumber: number | undefined;
  numberCount: number;
}

/**
 * Number of occurrences after which a fault is reported. Chance rarely damages so many packets or repeats a
 * wrong number so often.
 */
const repetitions = 3;

/**
 * Minimum MSS for diagnosing sequence numbers. With smaller segments, a byte offset might equal the number of
 * a nearby segment.
 */
const minMssBytes = 16;

/**
 * Reports the likely mistakes of peers whose packets were rejected. Reports each kind of mistake once per
 * peer.
 */
export class DiagnosisLog {
  /** The rejected peers by address, least recently seen first. */
  private readonly peers = new Map<string, RejectedPeer>();

  constructor(private readonly emit: (event: DiagnosisEvent) => void) {}

  /**
   * Records a rejected packet, and reports its likely cause if the evidence suffices.
   * @param transfer the peer's current transfer, if any
   */
  add(
    nowMs: TimeMs,
    kind: FaultKind,
    from: Address,
    bytes: Uint8Array,
    transfer: IncomingTransfer | undefined,
  ): void {
    if (!diagnosed.has(kind)) return;
    const peer = this.find(nowMs, from);
    if (peer === undefined) return;
    const diagnosis = diagnose(kind, peer, bytes, transfer);
    if (diagnosis === undefined || peer.reported.has(diagnosis.kind)) return;
    peer.reported.add(diagnosis.kind);
    this.emit({ type: 'diagnosis', from: formatAddress(from), ...diagnosis });
  }

  /** Resets the peer's counts. An accepted segment shows that earlier rejections might have been chance. */
  noteAccepted(from: Address): void {
    const peer = this.peers.size === 0 ? undefined : this.peers.get(formatAddress(from));
    if (peer === undefined) return;
    peer.checksumCount = 0;
    peer.lastNumber = undefined;
  }

  /**
   * @returns undefined if too many other peers were rejected recently; this limits the reports during a flood
   */
  private find(nowMs: TimeMs, from: Address): RejectedPeer | undefined {
    const { maxDiagnosedPeers, diagnosedPeerMemoryMs, diagnosisPauseMs } = receiverDefaults;
    const key = formatAddress(from);
    const known = this.peers.get(key);
    this.peers.delete(key);
    const [oldest] = this.peers;
    if (oldest !== undefined && this.peers.size >= maxDiagnosedPeers) {
      if (nowMs - oldest[1].lastSeenMs < diagnosedPeerMemoryMs) return undefined;
      this.peers.delete(oldest[0]);
    }
    // After a pause, the packets probably come from another run of the program, perhaps with another mistake.
    const isSameRun = known !== undefined && nowMs - known.lastSeenMs < diagnosisPauseMs;
    const peer = isSameRun ? known : createPeer(nowMs);
    peer.lastSeenMs = nowMs;
    this.peers.set(key, peer);
    return peer;
  }
}

function createPeer(nowMs: TimeMs): RejectedPeer {
  return {
    lastSeenMs: nowMs,
    reported: new Set(),
    checksumCount: 0,
    lastNumber: undefined,
    numberCount: 0,
  };
}

const diagnosed: ReadonlySet<FaultKind> = new Set<FaultKind>([
  'too-short',
  'unknown-type',
  'wrong-direction',
  'bad-checksum',
  'no-transfer',
  'out-of-sequence',
  'duplicate',
]);

function diagnose(
  kind: FaultKind,
  peer: RejectedPeer,
  bytes: Uint8Array,
  transfer: IncomingTransfer | undefined,
): Diagnosis | undefined {
  const packet = decode(bytes);
  if (typeof packet === 'string' || packet.kind !== 'data') {
    // ACKs and other programs' end packets are not malformed data.
    const isOther = typeof packet !== 'string' && bytes.length === headerSizeBytes;
    const isReported = peer.reported.has('format') && peer.reported.has('type');
    return isOther || isReported ? undefined : diagnoseFormat(bytes);
  }
  if (kind !== 'bad-checksum') {
    // Late duplicates of an ended transfer are not the program's mistake.
    const isLate = kind === 'duplicate' && transfer === undefined;
    return isLate ? undefined : diagnoseNumbering(peer, packet, transfer);
  }
  // A wrong checksum before the first accepted segment is a mistake of the program, not chance.
  const isCertain = transfer === undefined || ++peer.checksumCount >= repetitions;
  return isCertain && !peer.reported.has('checksum') ? diagnoseChecksum(packet, bytes) : undefined;
}

function diagnoseNumbering(
  peer: RejectedPeer,
  packet: DataPacket,
  transfer: IncomingTransfer | undefined,
): Diagnosis | undefined {
  const { sequence, payload } = packet;
  // An empty packet is a marker, perhaps of an unknown transfer, so its number shows no mistake.
  if (payload.length === 0) return undefined;
  if (sequence !== peer.lastNumber) {
    peer.lastNumber = sequence;
    peer.numberCount = 0;
  }
  peer.numberCount++;
  if (peer.numberCount < repetitions || peer.reported.has('numbering')) return undefined;
  if (transfer === undefined) return diagnoseNumber(packet, 0, payload.length);
  const { segmentCount, mssBytes } = transfer;
  if (sequence < segmentCount) return transfer.hasChanged ? diagnoseReuse(packet) : undefined;
  // If the number fits no known mistake, a segment was probably lost, and a sender with a large window sent
  // the later segments.
  const isMistake =
    mssBytes >= minMssBytes && numberingMistake(sequence, segmentCount, mssBytes) !== undefined;
  return isMistake ? diagnoseNumber(packet, segmentCount, mssBytes) : undefined;
}
