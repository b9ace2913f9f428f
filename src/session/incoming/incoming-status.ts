/** Creates the status of an incoming session, and the message that reports its outcome. */
import { withoutUndefined } from '../../base/without-undefined.js';
import { toHex } from '../../wire/byte-codec.js';
import type { Message } from '../../wire/messages.js';
import { heldBefore, lossRatioOf } from '../figures.js';
import type {
  IncomingInfo,
  IncomingPathStatus,
  IncomingResult,
  IncomingStatus,
} from '../receiver-events.js';

export interface DatagramFigures {
  readonly datagramsReceived: number;
  readonly duplicates: number;
  readonly datagramsLost: number;
}

/** What a session has received so far. */
export interface ReceptionFigures extends DatagramFigures {
  /**
   * Missing bytes of manifest and content. All content counts as missing until the blocks on disk are known.
   */
  readonly missingBytes: number;
  /** Content bytes of completed blocks. */
  readonly receivedBytes: number;
  readonly usesGroup: boolean;
  readonly paths: readonly IncomingPathStatus[];
  /** What the sender may send, in bytes per second; undefined for no limit. */
  readonly allowedBytesPerSec?: number | undefined;
  /** Blocks that were damaged on the way or on disk. */
  readonly badBlocks: number;
  /** Blocks that were held, and differ from the sender's. */
  readonly updatedBlocks: number;
}

/** The course of a session so far. */
export interface SessionCourse {
  readonly activity: string;
  readonly elapsedMs: number;
  /** Undefined if the round-trip time could not be measured. */
  readonly rttMs: number | undefined;
  readonly contentRoot: Uint8Array | undefined;
  readonly unchangedFiles: number;
  readonly deletedEntries: number;
  readonly undeletedEntries: number;
}

/** @param figures undefined until the session can receive data */
export function describeIncoming(
  info: IncomingInfo,
  { activity, elapsedMs, rttMs, contentRoot, ...counts }: SessionCourse,
  figures: ReceptionFigures = nothingReceived(info),
): IncomingStatus {
  const { contentSizeBytes } = info;
  const { receivedBytes, datagramsReceived, datagramsLost, allowedBytesPerSec } = figures;
  const heldBytes = contentSizeBytes - Math.min(contentSizeBytes, figures.missingBytes);
  return {
    ...info,
    activity,
    heldBytes,
    heldBeforeBytes: heldBefore(heldBytes, receivedBytes),
    receivedBytes,
    elapsedMs,
    datagramsReceived,
    duplicates: figures.duplicates,
    datagramsLost,
    lossRatio: lossRatioOf(datagramsLost, datagramsReceived),
    ...withoutUndefined({ rttMs, contentRoot: contentRoot && toHex(contentRoot) }),
    usesGroup: figures.usesGroup,
    ...(figures.paths.length > 1 && { paths: figures.paths }),
    ...withoutUndefined({ allowedBytesPerSec }),
    badBlocks: figures.badBlocks,
    updatedBlocks: figures.updatedBlocks,
    ...counts,
  };
}

/** The message that reports the outcome to the sender. */
export function outcomeMessage(result: IncomingResult, receipt?: Uint8Array): Message {
  const { status, reason = '', datagramsReceived, datagramsLost, receivedBytes } = result;
  const { unchangedFiles, deletedEntries, undeletedEntries, deletion } = result;
  if (status === 'refused') return { kind: 'refuse', reason, isTemporary: false };
  return {
    kind: 'done',
    segmentsReceived: datagramsReceived,
    segmentsLost: datagramsLost,
    ...{ receivedBytes, unchangedFiles, deletedEntries, undeletedEntries },
    undeleted: deletion?.undeleted ?? [],
    isComplete: status === 'complete' || status === 'listed',
    reason,
    ...withoutUndefined({ receipt }),
  };
}

function nothingReceived({ contentSizeBytes }: IncomingInfo): ReceptionFigures {
  return {
    missingBytes: contentSizeBytes,
    receivedBytes: 0,
    datagramsReceived: 0,
    duplicates: 0,
    datagramsLost: 0,
    usesGroup: false,
    paths: [],
    badBlocks: 0,
    updatedBlocks: 0,
  };
}
