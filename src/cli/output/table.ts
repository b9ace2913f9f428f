/** Text tables, aligned by display width. */
import { escapeText, join, plain, shorten, type Text, widthOf } from './text.js';

const gap = '  ';

/** Minimum width of a shortened cell. A line that is still too long is truncated at its end. */
const minCellColumns = 8;

/**
 * Formats rows. Each column is as wide as its widest cell. Control characters are escaped.
 * @param maxColumns maximum width of a line. If a line is too long, cells of the widest columns are shortened
 *   in the middle.
 */
export function formatTable(
  rows: readonly (readonly string[])[],
  maxColumns?: number,
  ellipsis?: string,
): string[];
export function formatTable(
  rows: readonly (readonly Text[])[],
  maxColumns?: number,
  ellipsis?: string,
): Text[];
export function formatTable(
  rows: readonly (readonly Text[])[],
  maxColumns = Number.POSITIVE_INFINITY,
  ellipsis = '…',
): Text[] {
  const table = rows.map((row) => row.map(escapeText));
  const widths: number[] = [];
  for (const row of table) {
    row.forEach((cell, i) => {
      widths[i] = Math.max(widths[i] ?? 0, widthOf(cell));
    });
  }
  narrow(widths, maxColumns - gap.length * (widths.length - 1));
  return table.map((row) => {
    // The last cell that has text is not filled, so that no line ends with blanks.
    const last = row.findLastIndex((cell) => widthOf(cell) > 0);
    const cells = row
      .slice(0, last + 1)
      .map((cell, i) => fill(cell, widths[i] ?? 0, i < last, ellipsis));
    return cut(join(cells, gap), maxColumns, ellipsis);
  });
}

/**
 * Removes columns until it is enough to shorten the first cell of each row. So no figure loses its unit.
 * @param rows the first row has the names of the columns
 * @param order names of columns that can be left out, the least important first
 * @param leastFirst width to which the first cells can be shortened
 */
export function dropColumns(
  rows: readonly (readonly Text[])[],
  maxColumns: number,
  order: readonly string[],
  leastFirst = minCellColumns,
): Text[][] {
  const kept = rows.map((row) => [...row]);
  const width = (i: number) => Math.max(...kept.map((row) => widthOf(row[i] ?? '')));
  const total = () => {
    const widths = (kept[0] ?? []).map((_, i) => width(i));
    const [first = 0, ...others] = widths;
    const figures = others.reduce((sum, each) => sum + each + gap.length, 0);
    return figures + Math.min(first, Math.max(leastFirst, ...others));
  };
  for (const name of order) {
    if (total() <= maxColumns) break;
    const index = kept[0]?.findIndex((cell) => plain(cell).trim() === name) ?? -1;
    if (index >= 0) for (const row of kept) row.splice(index, 1);
  }
  return kept;
}

/**
 * Joins the parts of a line that fit.
 * @param order indexes of parts that can be left out, the least important first
 */
export function joinFitting(
  parts: readonly Text[],
  separator: string,
  maxColumns: number,
  order: readonly number[],
): Text {
  const left = new Set<number>();
  const joined = () =>
    join(
      parts.filter((part, i) => !left.has(i) && widthOf(part) > 0),
      separator,
    );
  for (const index of order) {
    if (widthOf(joined()) <= maxColumns) break;
    left.add(index);
  }
  return joined();
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

function fill(cell: Text, columns: number, isPadded: boolean, ellipsis: string): Text {
  const shorter = shorten(cell, columns, 'middle', ellipsis);
  const blanks = columns - widthOf(shorter);
  return isPadded && blanks > 0 ? join([shorter, ' '.repeat(blanks)]) : shorter;
}

/** Truncates the line at its end to the maximum width. */
export function cut(line: string, maxColumns: number, ellipsis?: string): string;
export function cut(line: Text, maxColumns: number, ellipsis?: string): Text;
export function cut(line: Text, maxColumns: number, ellipsis = '…'): Text {
  return maxColumns === Number.POSITIVE_INFINITY
    ? line
    : shorten(line, maxColumns, 'end', ellipsis);
}

/** @returns how many rows to show in `lineCount` lines; if some are hidden, one line is left to count them */
export function shownRows(rowCount: number, lineCount: number): number {
  return rowCount <= lineCount ? rowCount : Math.max(0, lineCount - 1);
}
