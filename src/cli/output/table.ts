/** Text tables, aligned by display width. */
import cliTruncate from 'cli-truncate';
import stringWidth from 'string-width';

const gap = '  ';

/** Minimum width of a shortened cell. A line that is still too long is truncated at its end. */
const minCellColumns = 8;

/**
 * Formats rows. Each column is as wide as its widest cell.
 * @param maxColumns maximum width of a line. If a line is too long, cells of the widest columns are shortened
 *   in the middle.
 */
export function formatTable(
  rows: readonly (readonly string[])[],
  maxColumns = Number.POSITIVE_INFINITY,
): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, i) => {
      widths[i] = Math.max(widths[i] ?? 0, stringWidth(cell));
    });
  }
  narrow(widths, maxColumns - gap.length * (widths.length - 1));
  return rows.map((row) =>
    cut(row.map((cell, i) => fill(cell, widths[i] ?? 0)).join(gap), maxColumns).trimEnd(),
  );
}

/** Formats a table and adds a line with the number of hidden rows, if any. */
export function formatPartOfTable(
  rows: readonly (readonly string[])[],
  hiddenCount: number,
  maxColumns: number,
): string[] {
  return [
    ...formatTable(rows, maxColumns),
    ...(hiddenCount > 0 ? [`and ${hiddenCount} more`] : []),
  ];
}

/** Narrows the widest columns until the line fits. */
function narrow(widths: number[], room: number): void {
  let excess = widths.reduce((sum, width) => sum + width, 0) - room;
  while (excess > 0) {
    const [widest = 0, next = 0] = [...widths].sort((a, b) => b - a);
    if (widest <= minCellColumns) return;
    const least = Math.max(minCellColumns, Math.min(next, widest - 1));
    const taken = Math.min(excess, widest - least);
    widths[widths.indexOf(widest)] = widest - taken;
    excess -= taken;
  }
}

function fill(cell: string, columns: number): string {
  const width = stringWidth(cell);
  if (width <= columns) return cell + ' '.repeat(columns - width);
  const shorter = cliTruncate(cell, columns, { position: 'middle' });
  return shorter + ' '.repeat(Math.max(0, columns - stringWidth(shorter)));
}

/** Truncates the line at its end to the maximum width. */
export function cut(line: string, maxColumns: number): string {
  return maxColumns === Number.POSITIVE_INFINITY ? line : cliTruncate(line, maxColumns);
}

/** @returns how many rows fit in `lineCount` lines, with one line for the number of hidden rows, if any */
export function shownRows(rowCount: number, lineCount: number): number {
  return rowCount <= lineCount ? rowCount : Math.max(0, lineCount - 1);
}
