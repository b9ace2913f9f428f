/** Tables for people, aligned by the columns that a terminal gives each character. */
import cliTruncate from 'cli-truncate';
import stringWidth from 'string-width';

const gap = '  ';

/** A cell is not cut below this: then the line is. */
const minCellColumns = 8;

/**
 * Lines of cells, each column as wide as its widest cell.
 * @param maxColumns of a line: where it has more, the widest columns lose the middle of their cells
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

/** A table of which only some rows are shown; it ends with how many are not. */
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

/** Takes columns off the widest cells until all of them have room. */
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

/** @returns the line, or as much of its beginning as fits */
export function cut(line: string, maxColumns: number): string {
  return maxColumns === Number.POSITIVE_INFINITY ? line : cliTruncate(line, maxColumns);
}

/** @returns how many rows to show where there is room for so many lines; those left out need one as well */
export function shownRows(rowCount: number, lineCount: number): number {
  return rowCount <= lineCount ? rowCount : Math.max(0, lineCount - 1);
}
