/** Rows for the paths of one transfer, below its own row. */
import { formatBytes } from '../../../base/format.js';
import type { IncomingPathStatus } from '../../../session/receiver-events.js';
import type { PathStatus } from '../../../session/sender-events.js';
import { formatLoss } from '../progress/progress-parts.js';
import type { ProgressRow } from '../progress/progress-table.js';
import { describePath, nameOfIncomingPath, nameOfPath, sharesOf } from './path-figures.js';

/** @param row the row of the receiver or client */
export function pathRows(row: ProgressRow, paths: readonly PathStatus[] = []): ProgressRow[] {
  return paths.map((path) =>
    partOf(row, {
      name: nameOfPath(path),
      state: describePath(path),
      heldBytes: path.receivedBytes,
      rate: path.isInUse ? path.rateBytesPerSec : undefined,
      figures: {
        loss: formatLoss(path.lossRatio),
        rtt: path.rttMs === undefined ? '-' : `${path.rttMs.toFixed(1)} ms`,
      },
    }),
  );
}

/**
 * @param row the row of the session or source
 * @param rates the current rate of each path in bytes per second
 */
export function incomingPathRows(
  row: ProgressRow,
  paths: readonly IncomingPathStatus[] = [],
  rates: readonly (number | undefined)[] = [],
): ProgressRow[] {
  const shares = sharesOf(paths);
  return paths.map((path, i) =>
    partOf(row, {
      name: nameOfIncomingPath(path),
      state: path.from === undefined ? 'not proven' : 'open',
      heldBytes: path.receivedBytes,
      rate: rates[i],
      figures: {
        received: formatBytes(path.receivedBytes),
        share: `${Math.round(100 * (shares[i] ?? 0))}%`,
      },
    }),
  );
}

interface PathRow extends Pick<ProgressRow, 'name' | 'state' | 'heldBytes' | 'rate'> {
  /** What is known of the path, by the names of columns. */
  readonly figures: Readonly<Record<string, string>>;
}

/** A row with the columns of the row above it. */
function partOf(row: ProgressRow, { name, figures, ...path }: PathRow): ProgressRow {
  return {
    ...path,
    name: `  ${name}`,
    // Rows of one standing stay together.
    standing: row.standing,
    sizeBytes: row.sizeBytes,
    average: undefined,
    isPart: true,
    more: Object.fromEntries(
      Object.keys(row.more).map((column) => [column, figures[column] ?? '']),
    ),
  };
}
