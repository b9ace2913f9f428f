/** Sums over the sessions of a receiver, ended and active. */
import type { IncomingStatus, SessionReceiverResult } from '../session/receiver-events.js';

export interface Sums {
  receivedBytes: number;
  datagramsReceived: number;
  duplicates: number;
  badBlocks: number;
}

/** Counts of a session receiver since it started. */
export interface ReceivingTotals extends Readonly<Sums>, SessionReceiverResult {}

export function addTo(sums: Sums, status: IncomingStatus): void {
  sums.receivedBytes += status.receivedBytes;
  sums.datagramsReceived += status.datagramsReceived;
  sums.duplicates += status.duplicates;
  sums.badBlocks += status.badBlocks;
}
