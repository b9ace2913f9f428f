/** The live table of `p2mp send`: a row for each receiver, and a total line. */
import { bytesPerSec, formatBytes, formatSeconds } from '../../../base/format.js';
import { secondsFor } from '../../../base/recent-rate.js';
import type { SessionReceiverStatus } from '../../../session/sender-events.js';
import { pathRows } from '../paths/path-rows.js';
import { joinFitting } from '../table.js';
import { join, type Text, toned } from '../text.js';
import type { ViewArea } from './live-view.js';
import {
  bar,
  barColumns,
  countOf,
  etaPart,
  formatLoss,
  percent,
  shareOf,
} from './progress-parts.js';
import { type ProgressRow, progressTable, type Standing, withParts } from './progress-table.js';
import { receiverName } from './receiver-name.js';

/** What the sender knows at one moment. */
export interface SendingStatus {
  readonly receivers: readonly SessionReceiverStatus[];
  /** The current rate of each receiver in bytes per second, in the order of the receivers. */
  readonly rates: readonly (number | undefined)[];
  readonly contentSizeBytes: number;
  readonly elapsedMs: number;
  /** Whether the paths to a receiver have rows of their own; false by default. */
  readonly showsPaths?: boolean;
}

const extras = ['rtt', 'loss', 'ETA', 'average'];

export function sessionTable(sending: SendingStatus, area: ViewArea): Text[] {
  const { receivers, rates, contentSizeBytes } = sending;
  const rows = receivers.map((status, i): ProgressRow => {
    const standing = standingOf(status);
    return {
      name: receiverName(status),
      state: status.activity,
      standing,
      heldBytes: knownHeldBytes(status),
      sizeBytes: contentSizeBytes,
      rate: standing === 'active' ? rates[i] : undefined,
      average: bytesPerSec(status.receivedBytes, status.elapsedMs),
      more: {
        loss: formatLoss(status.lossRatio),
        rtt: status.rttMs === undefined ? '-' : `${status.rttMs.toFixed(1)} ms`,
      },
    };
  });
  const total = totalLine(sending, area);
  const partsOf = (i: number, row: ProgressRow) =>
    sending.showsPaths === true ? pathRows(row, receivers[i]?.paths) : [];
  const all = withParts(rows, partsOf, area);
  return progressTable({ head: 'receiver', rows: all, extras, total }, area);
}

function standingOf({ status }: SessionReceiverStatus): Standing {
  switch (status) {
    case 'active':
    case 'complete':
      return status;
    case 'connecting':
    case 'identifying':
    case 'offered':
      return 'waiting';
    default:
      return 'failed';
  }
}

/**
 * Before a receiver connects, the sender does not know which data the receiver already has. What a receiver behind a
 * relay has, the relay says.
 */
function knownHeldBytes({ selfName, via, heldBytes }: SessionReceiverStatus): number {
  return selfName === undefined && via === undefined ? 0 : heldBytes;
}

/** The progress of all receivers that have not failed. The ETA is that of the slowest active receiver. */
function totalLine(sending: SendingStatus, { columns, glyphs }: ViewArea): Text {
  const { receivers, rates, contentSizeBytes, elapsedMs } = sending;
  const complete = receivers.filter(({ status }) => status === 'complete').length;
  const running = receivers.filter((each) => standingOf(each) !== 'failed');
  const failed = receivers.length - running.length;
  const held = running.reduce((sum, each) => sum + knownHeldBytes(each), 0);
  const size = running.length * contentSizeBytes;
  const parts = [
    join([
      countOf(complete, receivers.length, columns),
      ...(failed === 0 ? [] : [', ', toned('bad', `${failed} failed`)]),
    ]),
    running.length === 0 ? '' : bar(shareOf(held, size), barColumns(columns), glyphs),
    running.length === 0 ? '' : `${percent(held, size)}%`.padStart(4),
    formatBytes(contentSizeBytes),
    formatSeconds(elapsedMs / 1000),
    etaPart(slowestSeconds(receivers, rates, contentSizeBytes)),
  ];
  return joinFitting(parts, '  ', columns, [4, 3, 1, 5, 2]);
}

/** @returns undefined if the remaining time of a receiver is not known that is active or was so before */
function slowestSeconds(
  receivers: readonly SessionReceiverStatus[],
  rates: readonly (number | undefined)[],
  contentSizeBytes: number,
): number | undefined {
  let slowest = 0;
  for (const [i, each] of receivers.entries()) {
    const standing = standingOf(each);
    const isWaitedFor = standing === 'waiting' && each.selfName !== undefined;
    if (standing !== 'active' && !isWaitedFor) continue;
    const rate = isWaitedFor ? undefined : rates[i];
    const seconds = secondsFor(contentSizeBytes - each.heldBytes, rate);
    if (seconds === undefined) return undefined;
    slowest = Math.max(slowest, seconds);
  }
  return slowest;
}
