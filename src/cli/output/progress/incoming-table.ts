/** The live table of `p2mp receive`: a row for each session, and a total line. */
import { bytesPerSec, formatPlural, formatRate } from '../../../base/format.js';
import { secondsFor } from '../../../base/recent-rate.js';
import type { IncomingStatus } from '../../../session/receiver-events.js';
import { incomingPathRows } from '../paths/path-rows.js';
import { joinFitting } from '../table.js';
import type { Text } from '../text.js';
import type { ViewArea } from './live-view.js';
import {
  bar,
  barColumns,
  etaPart,
  formatLoss,
  isWide,
  percent,
  shareOf,
} from './progress-parts.js';
import { type ProgressRow, progressTable, withParts } from './progress-table.js';

/** What the receiver knows at one moment. */
export interface ReceivingStatus {
  /** The sessions that have not ended. */
  readonly statuses: readonly IncomingStatus[];
  /** The current rate of each session in bytes per second, in the order of the sessions. */
  readonly rates: readonly (number | undefined)[];
  /** Number of complete sessions since the start. */
  readonly completeCount: number;
  /** The rates of the paths of each session, if they have rows of their own. */
  readonly pathRates?: readonly (readonly (number | undefined)[])[];
}

const extras = ['loss', 'ETA', 'average', 'allowed', 'from'];

export function incomingTable(receiving: ReceivingStatus, area: ViewArea): Text[] {
  const { statuses, rates, pathRates } = receiving;
  const isAnyLimited = statuses.some(({ allowedBytesPerSec }) => allowedBytesPerSec !== undefined);
  const showsAllowed = pathRates !== undefined && isAnyLimited;
  const rows = statuses.map(
    (status, i): ProgressRow => ({
      name: status.label,
      state: status.activity,
      standing: 'active',
      heldBytes: status.heldBytes,
      sizeBytes: status.contentSizeBytes,
      rate: rates[i],
      average: bytesPerSec(status.receivedBytes, status.elapsedMs),
      more: {
        from: status.from,
        loss: formatLoss(status.lossRatio),
        ...(showsAllowed && { allowed: formatAllowed(status) }),
      },
    }),
  );
  const total = totalLine(receiving, area);
  const partsOf = (i: number, row: ProgressRow) =>
    pathRates === undefined ? [] : incomingPathRows(row, statuses[i]?.paths, pathRates[i]);
  const all = withParts(rows, partsOf, area);
  return progressTable({ head: 'object', rows: all, extras, total }, area);
}

/** What the sender of a session may send, while several senders overload the link to this host. */
function formatAllowed({ allowedBytesPerSec }: IncomingStatus): string {
  return allowedBytesPerSec === undefined ? '-' : formatRate(allowedBytesPerSec);
}

function totalLine(receiving: ReceivingStatus, { columns, glyphs }: ViewArea): Text {
  const { statuses, rates, completeCount } = receiving;
  const held = statuses.reduce((sum, { heldBytes }) => sum + heldBytes, 0);
  const size = statuses.reduce((sum, { contentSizeBytes }) => sum + contentSizeBytes, 0);
  const rate = rates.reduce<number>((sum, each) => sum + (each ?? 0), 0);
  const complete = completeCount === 0 ? '' : `, ${completeCount} complete`;
  const seconds = statuses.map(({ contentSizeBytes, heldBytes }, i) =>
    secondsFor(contentSizeBytes - heldBytes, rates[i]),
  );
  const isKnown = seconds.every((each) => each !== undefined);
  const parts = [
    `${isWide(columns) ? 'receiving ' : ''}${formatPlural(statuses.length, 'object')}${complete}`,
    bar(shareOf(held, size), barColumns(columns), glyphs),
    `${percent(held, size)}%`.padStart(4),
    rate > 0 ? formatRate(rate) : '',
    isKnown ? etaPart(Math.max(...seconds)) : '',
  ];
  return joinFitting(parts, '  ', columns, [1, 3, 4, 2]);
}
