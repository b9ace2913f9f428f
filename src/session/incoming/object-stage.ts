/** The stages of an incoming object. */
import type { ReceiverState } from '../../wire/report.js';

export type ObjectStage =
  /** Receiving the manifest. */
  | 'manifest'
  /** The manifest is complete and is being checked step by step. */
  | 'checking'
  /** The shell is finding out which blocks the disk holds. */
  | 'preparing'
  /** Sending the sender the lists of what this receiver keeps and what it would delete. */
  | 'announcing'
  | 'receiving'
  /** All blocks have arrived; waiting for its root. */
  | 'whole'
  /** The roots differ; searching for the wrong blocks. */
  | 'searching'
  | 'storing'
  /** The session has its outcome. */
  | 'closed';

/** Receiver state to report in each stage. In a stage without an entry, no report is sent. */
export const reportedStates: Partial<Record<ObjectStage, ReceiverState>> = {
  manifest: 'receiving',
  checking: 'preparing',
  preparing: 'preparing',
  announcing: 'preparing',
  receiving: 'receiving',
  whole: 'whole',
  searching: 'whole',
  storing: 'storing',
};
