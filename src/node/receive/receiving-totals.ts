/** Sums over the sessions of a receiver, ended and active, and what ended last. */
import type { Address } from '../../base/address.js';
import type {
  IncomingResult,
  IncomingStatus,
  SessionReceiverResult,
} from '../../session/receiver-events.js';

export interface Sums {
  receivedBytes: number;
  datagramsReceived: number;
  duplicates: number;
  badBlocks: number;
}

/** Counts of a session receiver since it started. */
export interface ReceivingTotals extends Readonly<Sums>, SessionReceiverResult {}

/** A session whose object is on disk. */
export interface CompleteSession {
  readonly result: IncomingResult;
  /** The time of day when it ended, in milliseconds since 1970. */
  readonly endedAtMs: number;
}

/** What a receiver, or a relay that sends on, shows of itself. */
export interface ReceivingState {
  readonly addresses: readonly Address[];
  readonly dir: string;
  readonly activeCount: number;
  readonly refusal: string | undefined;
  readonly bufferedBytes: number;
  readonly lastComplete: CompleteSession | undefined;
  statuses(): IncomingStatus[];
  totals(): ReceivingTotals;
}

export function addTo(sums: Sums, status: IncomingStatus): void {
  sums.receivedBytes += status.receivedBytes;
  sums.datagramsReceived += status.datagramsReceived;
  sums.duplicates += status.duplicates;
  sums.badBlocks += status.badBlocks;
}
