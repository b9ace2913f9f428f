/**
 * Decides which rejected packets are worth a diagnosis (PROTOCOL 6.8). Each peer hears of each kind once; what
 * chance or the network may have done has to come several times.
 */

import type { Address } from '../base/address.js';
import { formatAddress } from '../base/address.js';
import type { TimeMs } from '../base/machine.js';
import type { DataPacket } from '../packet.js';
import { decode, headerSizeBytes } from '../packet.js';
import type { FaultKind } from '../wire/faults.js';
import { receiverDefaults } from './config.js';
import type { IncomingTransfer } from './incoming-transfer.js';
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
  readonly told: Set<DiagnosisKind>;
  /** Checksums rejected since the last segment that was accepted. */
  checksumCount: number;
  /** The last unexpected number, and how often it came in a row. */
  lastNumber: number | undefined;
  numberCount: number;
}

/** So often chance hardly damages a packet, or brings the same number out of turn. */
const repetitions = 3;

/** With smaller segments, a number of bytes may as well be that of a segment nearby. */
const minMssBytes = 16;

export class DiagnosisLog {
  /** By address, oldest first. */
  private readonly peers = new Map<string, RejectedPeer>();

  constructor(private readonly emit: (event: DiagnosisEvent) => void) {}

  /** @param transfer of this peer, if one is in progress */
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
    if (diagnosis === undefined || peer.told.has(diagnosis.kind)) return;
    peer.told.add(diagnosis.kind);
    this.emit({ type: 'diagnosis', from: formatAddress(from), ...diagnosis });
  }

  /** A segment was accepted: what was rejected before may have been chance. */
  noteAccepted(from: Address): void {
    const peer = this.peers.size === 0 ? undefined : this.peers.get(formatAddress(from));
    if (peer === undefined) return;
    peer.checksumCount = 0;
    peer.lastNumber = undefined;
  }

  /** @returns undefined where too many others were rejected in a short time: a flood is not reported */
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
    // Behind a pause, it is likely to be another run of a program, perhaps with another mistake.
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
    told: new Set(),
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
    // ACKs, and ends of other programs, are no data that went wrong.
    const isOther = typeof packet !== 'string' && bytes.length === headerSizeBytes;
    const isTold = peer.told.has('format') && peer.told.has('type');
    return isOther || isTold ? undefined : diagnoseFormat(bytes);
  }
  if (kind !== 'bad-checksum') {
    // Late duplicates of a transfer that has ended are none of a program's mistakes.
    const isLate = kind === 'duplicate' && transfer === undefined;
    return isLate ? undefined : diagnoseNumbering(peer, packet, transfer);
  }
  // Before the first good packet, a bad one is no chance.
  const isCertain = transfer === undefined || ++peer.checksumCount >= repetitions;
  return isCertain && !peer.told.has('checksum') ? diagnoseChecksum(packet, bytes) : undefined;
}

function diagnoseNumbering(
  peer: RejectedPeer,
  packet: DataPacket,
  transfer: IncomingTransfer | undefined,
): Diagnosis | undefined {
  const { sequence, payload } = packet;
  // Marks, and ends of a transfer that is not known here.
  if (payload.length === 0) return undefined;
  if (sequence !== peer.lastNumber) {
    peer.lastNumber = sequence;
    peer.numberCount = 0;
  }
  peer.numberCount++;
  if (peer.numberCount < repetitions || peer.told.has('numbering')) return undefined;
  if (transfer === undefined) return diagnoseNumber(packet, 0, payload.length);
  const { segmentCount, mssBytes } = transfer;
  if (sequence < segmentCount) return transfer.hasChanged ? diagnoseReuse(packet) : undefined;
  // Without a mistake that shows, a segment in front of it was lost: windows of some programs are large.
  const isMistake =
    mssBytes >= minMssBytes && numberingMistake(sequence, segmentCount, mssBytes) !== undefined;
  return isMistake ? diagnoseNumber(packet, segmentCount, mssBytes) : undefined;
}
