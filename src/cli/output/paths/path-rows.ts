/** Rows for the paths to one receiver, below its own row. */
import type { PathStatus } from '../../../session/sender-events.js';
import { formatLoss } from '../progress/progress-parts.js';
import type { ProgressRow } from '../progress/progress-table.js';
import { describePath, nameOfPath } from './path-figures.js';

/** @param row the receiver's own row */
export function pathRows(row: ProgressRow, paths: readonly PathStatus[] = []): ProgressRow[] {
  return paths.map((path) => {
    const figures: Readonly<Record<string, string>> = {
      loss: formatLoss(path.lossRatio),
      rtt: path.rttMs === undefined ? '-' : `${path.rttMs.toFixed(1)} ms`,
    };
    const names = Object.keys(row.more);
    return {
      name: `  ${nameOfPath(path)}`,
      state: describePath(path),
      // Rows of one standing stay together.
      standing: row.standing,
      heldBytes: path.receivedBytes,
      sizeBytes: row.sizeBytes,
      rate: path.isInUse ? path.rateBytesPerSec : undefined,
      average: undefined,
      isPart: true,
      more: Object.fromEntries(names.map((name) => [name, figures[name] ?? ''])),
    };
  });
}
