/** The live table of `p2mp fetch`: a row for each source, and a total line. */
import { formatBytes, formatRate, formatSeconds } from '../../../base/format.js';
import { secondsFor } from '../../../base/recent-rate.js';
import type { FetchEvent } from '../../../node/fetch/fetch-options.js';
import type { FetchReport, SourceReport } from '../../../roles/fetch/fetch-events.js';
import { standardBlockSizeBytes } from '../../../wire/sizes.js';
import { incomingPathRows } from '../paths/path-rows.js';
import { joinFitting } from '../table.js';
import type { Text } from '../text.js';
import type { ViewArea } from './live-view.js';
import { etaPart, formatLoss, percent } from './progress-parts.js';
import { type ProgressRow, progressTable, withParts } from './progress-table.js';

/** What the fetch knows at one moment. */
export interface FetchingStatus extends Omit<Extract<FetchEvent, { type: 'progress' }>, 'type'> {
  /** The rates of the paths from each source, if they have rows of their own. */
  readonly pathRates?: readonly (readonly (number | undefined)[])[];
  /** The time for which nothing has arrived. */
  readonly quietMs?: number;
}

/** Whether anything arrives at the moment, in whole bytes per second. */
export function isArriving({ rateBytesPerSec }: FetchReport): boolean {
  return rateBytesPerSec >= 1;
}

export function fetchTable(fetching: FetchingStatus, area: ViewArea): Text[] {
  const { activity, report, contentSizeBytes = 0, elapsedMs, pathRates, quietMs = 0 } = fetching;
  const seconds = formatSeconds(elapsedMs / 1000);
  if (report === undefined) return [`${activity}  ${seconds}`];
  const rows = report.sources.map(
    (source): ProgressRow => ({
      name: source.name,
      state: source.state,
      standing: standingOf(source),
      heldBytes: source.deliveredBytes,
      sizeBytes: contentSizeBytes,
      rate: source.rateBytesPerSec,
      average: undefined,
      more: {
        received: formatBytes(source.deliveredBytes),
        share: `${Math.round(100 * source.share)}%`,
        rtt: `${source.rttMs.toFixed(1)} ms`,
        loss: lossOrDash(source.lossRatio),
        'in flight': String(source.blocksInFlight),
        replaced: source.replaced ?? '',
      },
    }),
  );
  const missing = Math.min(contentSizeBytes, report.missingBlocks * standardBlockSizeBytes);
  const parts = [
    activity,
    `${percent(contentSizeBytes - missing, contentSizeBytes)}% of ${formatBytes(contentSizeBytes)}`,
    isArriving(report) ? ratePart(report) : `no data for ${formatSeconds(quietMs / 1000)}`,
    seconds,
    etaPart(secondsFor(missing, report.rateBytesPerSec)),
  ];
  const total = joinFitting(parts, '  ', area.columns, [2, 0, 3]);
  const extras = ['in flight', 'loss', 'rtt', 'replaced', 'received', 'share'];
  const partsOf = (i: number, row: ProgressRow) =>
    pathRates === undefined ? [] : incomingPathRows(row, report.sources[i]?.paths, pathRates[i]);
  const all = withParts(rows, partsOf, area);
  return progressTable({ head: 'source', rows: all, extras, omitted, total }, area);
}

/** What the sources could deliver is unknown at first. */
function ratePart({ rateBytesPerSec, possibleBytesPerSec }: FetchReport): string {
  const rate = formatRate(rateBytesPerSec);
  return possibleBytesPerSec < 1 ? rate : `${rate} of ${formatRate(possibleBytesPerSec)} possible`;
}

/** A source delivers a part of the content, and nobody knows beforehand which. */
const omitted = ['bar', 'here', 'average', 'ETA'];

export function lossOrDash(lossRatio: number | undefined): string {
  return lossRatio === undefined ? '-' : formatLoss(lossRatio);
}

function standingOf({ state }: SourceReport) {
  if (state === 'left') return 'failed' as const;
  return state === 'delivering' ? ('active' as const) : ('waiting' as const);
}
