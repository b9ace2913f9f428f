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

/**
 * Removes columns until it is enough to shorten the first cell of each row. So no figure loses its unit.
 * @param rows the first row has the names of the columns
 * @param order names of columns that can be left out, the least important first
 */
export function dropColumns(
  rows: readonly (readonly string[])[],
  maxColumns: number,
  order: readonly string[],
): string[][] {
  const kept = rows.map((row) => [...row]);
  const width = (i: number) => Math.max(...kept.map((row) => stringWidth(row[i] ?? '')));
  const total = () => {
    const widths = (kept[0] ?? []).map((_, i) => width(i));
    const [first = 0, ...others] = widths;
    const figures = others.reduce((sum, each) => sum + each + gap.length, 0);
    return figures + Math.min(first, Math.max(minCellColumns, ...others));
  };
  for (const name of order) {
    if (total() <= maxColumns) break;
    const index = kept[0]?.indexOf(name) ?? -1;
    if (index >= 0) for (const row of kept) row.splice(index, 1);
  }
  return kept;
}

/**
 * Joins the parts of a line that fit.
 * @param order indexes of parts that can be left out, the least important first
 */
export function joinFitting(
  parts: readonly string[],
  separator: string,
  maxColumns: number,
  order: readonly number[],
): string {
  const left = new Set<number>();
  const join = () => parts.filter((_, i) => !left.has(i)).join(separator);
  for (const index of order) {
    if (stringWidth(join()) <= maxColumns) break;
    left.add(index);
  }
  return join();
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
  let shorter = cliTruncate(cell, columns, { position: 'middle' });
  // With wide characters, cli-truncate can return one column too many.
  for (let room = columns - 1; stringWidth(shorter) > columns; room--) {
    shorter = cliTruncate(cell, room, { position: 'middle' });
  }
  return shorter + ' '.repeat(Math.max(0, columns - stringWidth(shorter)));
}

/** Truncates the line at its end to the maximum width. */
export function cut(line: string, maxColumns: number): string {
  return maxColumns === Number.POSITIVE_INFINITY ? line : cliTruncate(line, maxColumns);
}

/** @returns how many rows to show in `lineCount` lines; if some are hidden, one line is left to count them */
export function shownRows(rowCount: number, lineCount: number): number {
  return rowCount <= lineCount ? rowCount : Math.max(0, lineCount - 1);
}
