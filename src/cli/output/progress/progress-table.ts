/** The live table of a command: a row for each transfer, and a total line. */
import { secondsFor } from '../../../base/recent-rate.js';
import { dropColumns, formatTable, shownRows } from '../table.js';
import { plain, shorten, type Text, type Tone, toned, widthOf } from '../text.js';
import type { ViewArea } from './live-view.js';
import {
  bar,
  barColumns,
  formatEta,
  percent,
  rateOrDash,
  shareOf,
  stateColumns,
} from './progress-parts.js';

/** What becomes of a transfer. A waiting one moves no data: its other side is silent or not known yet. */
export type Standing = 'active' | 'waiting' | 'failed' | 'complete';

/** The place of the rows in the table. */
const places: Readonly<Record<Standing, number>> = {
  active: 0,
  waiting: 0,
  failed: 1,
  complete: 2,
};

/** One transfer: to a receiver, or from a sender. */
export interface ProgressRow {
  readonly name: string;
  readonly state: string;
  readonly standing: Standing;
  readonly heldBytes: number;
  readonly sizeBytes: number;
  /** Bytes per second over the last few seconds; undefined while nothing moves. */
  readonly rate: number | undefined;
  /** Bytes per second since the start. */
  readonly average: number | undefined;
  /** Whether this is a part of the row before it, without an end of its own; false by default. */
  readonly isPart?: boolean;
  /** Further columns by name; the same ones in every row. */
  readonly more: Readonly<Record<string, string>>;
}

const tones: Readonly<Record<Standing, Tone | undefined>> = {
  active: undefined,
  waiting: 'warning',
  failed: 'bad',
  complete: 'good',
};

/** Number of lines besides the rows: the header and the total line. */
const fixedLines = 2;

/** Adds the parts of rows below them, if there is room for all. */
export function withParts(
  rows: readonly ProgressRow[],
  partsOf: (index: number, row: ProgressRow) => readonly ProgressRow[],
  { lines }: ViewArea,
): readonly ProgressRow[] {
  const all = rows.flatMap((row, i) => [row, ...partsOf(i, row)]);
  return all.length + fixedLines <= lines ? all : rows;
}

/** Columns that only a very narrow terminal leaves out, the least important first. */
const essentials = ['bar', 'rate', 'state'];

/** An IPv4 address with its port fits. */
const nameColumns = 21;

/** Columns of text. All others are figures, which are aligned to the right. */
const textColumns = ['state', 'bar', 'from'];

/** Widths below which columns never fall, so that rows do not jump. */
const leastColumns: Readonly<Record<string, number>> = { here: 4, rate: 9, average: 9, ETA: 4 };

export interface ProgressTable {
  /** Name of the first column. */
  readonly head: string;
  readonly rows: readonly ProgressRow[];
  /** Names of further columns that a narrow terminal can do without, the least important first. */
  readonly extras: readonly string[];
  /** Names of columns that mean nothing here; none by default. */
  readonly omitted?: readonly string[];
  readonly total: Text;
}

/**
 * Formats the table. Incomplete rows come first. If there is no room for all, those are shown that have the
 * longest way to go, and a line counts the others. The total line is always there.
 */
export function progressTable(table: ProgressTable, area: ViewArea): Text[] {
  const { head, rows, extras, omitted = [], total } = table;
  const { columns, lines, glyphs } = area;
  const rowCount = shownRows(rows.length, lines - fixedLines);
  if (rowCount === 0) return [total];
  const urgent = [...rows].sort((a, b) => placeOf(a) - placeOf(b) || a.heldBytes - b.heldBytes);
  const chosen = new Set(urgent.slice(0, rowCount));
  // Rows of the same place keep their order, because rows that change places are hard to read.
  const shown = rows.filter((row) => chosen.has(row)).sort((a, b) => placeOf(a) - placeOf(b));
  const more = Object.keys(shown[0]?.more ?? {});
  const names = [head, 'state', 'bar', 'here', 'rate', 'average', 'ETA', ...more];
  const width = barColumns(columns);
  const cells = shown.map((row) => [
    row.name,
    shorten(toned(tones[row.standing], row.state), stateColumns(columns), 'end', glyphs.ellipsis),
    bar(shareOf(row.heldBytes, row.sizeBytes), width, glyphs),
    `${percent(row.heldBytes, row.sizeBytes)}%`,
    rateOrDash(row.rate),
    rateOrDash(row.average),
    etaOf(row),
    ...more.map((name) => row.more[name] ?? ''),
  ]);
  // A name is worth more than an extra figure, but less than the essential ones.
  const isShown = (_cell: Text, i: number) => !omitted.includes(names[i] ?? '');
  const aligned = alignFigures([names.filter(isShown), ...cells.map((row) => row.filter(isShown))]);
  const narrow = dropColumns(aligned, columns, extras, nameColumns);
  const [kept = [], ...figures] = dropColumns(narrow, columns, essentials);
  // The bar needs no name.
  const header = kept.map((name) => toned('strong', name === 'bar' ? '' : plain(name)));
  const hidden = rows.length - shown.length;
  return [
    ...formatTable([header, ...figures], columns, glyphs.ellipsis),
    ...(hidden > 0 ? [`and ${hidden} more`] : []),
    total,
  ];
}

function etaOf({ isPart, sizeBytes, heldBytes, rate }: ProgressRow): string {
  if (isPart === true) return '';
  return formatEta(secondsFor(sizeBytes - heldBytes, rate)) ?? '-';
}

function placeOf({ standing }: ProgressRow): number {
  return places[standing];
}

/** Aligns the figures and the names of their columns to the right. */
function alignFigures([names, ...others]: readonly [readonly string[], ...Text[][]]): Text[][] {
  const widths = names.map((name, i) => {
    if (i === 0 || textColumns.includes(name)) return 0;
    const cells = [name, ...others.map((row) => row[i] ?? '')];
    return Math.max(leastColumns[name] ?? 0, ...cells.map(widthOf));
  });
  return [names, ...others].map((row) =>
    row.map((cell, i) => (typeof cell === 'string' ? cell.padStart(widths[i] ?? 0) : cell)),
  );
}
