/**
 * runs.csv has one row per run, in the order of the runs (RFC 4180; columns in docs/EXPERIMENTS.md). An
 * experiment can therefore resume from a truncated file, and the simulated runs of the same plan always give
 * the same bytes.
 */
import { parse } from 'csv-parse/sync';
import { stringify } from 'csv-stringify/sync';
import { P2mpError } from '../../base/errors.js';
import { benefitOf } from '../../experiment/benefit.js';
import type { Point } from '../../experiment/parameters.js';
import { cellOf, isSession, namedParameters, parameters } from '../../experiment/parameters.js';
import type { Run } from '../../experiment/plan.js';
import type { RunRow } from '../../experiment/run-result.js';
import { roundTo } from '../../experiment/run-result.js';
import { goodputBytesPerSec } from '../../experiment/summary.js';
import { packageVersion } from '../package-version.js';

const lineEnd = '\r\n';
const version = packageVersion();

type Cell = string | number | undefined;

/** Columns whose values follow from the plan. A row with other values belongs to another plan. */
const planColumnsOf = (run: Run): readonly [string, (run: Run) => Cell][] => [
  ['run', ({ index }) => index + 1],
  ['mode', ({ mode }) => mode],
  // Parameters that vary in most plans come first.
  ...namedParameters(run.point)
    .toReversed()
    .filter((name) => name !== 'rttMs')
    .map((name): [string, (run: Run) => Cell] => [
      parameters[name].column,
      ({ point }) => cellOf(point, name),
    ]),
  ['repetition', ({ repetition }) => repetition],
  ['seed', ({ seed }) => seed],
  ['version', () => version],
];

const originColumn: [string, (row: RunRow) => Cell] = [
  'origin_bytes',
  ({ originBytes }) => originBytes,
];

const hitsColumn: [string, (row: RunRow) => Cell] = ['hit_ratio', ({ hitRatio }) => hitRatio];

const pathColumns: [string, (row: RunRow) => Cell][] = [
  ['fast_alone_s', ({ fastAloneS }) => fastAloneS],
  ['slow_alone_s', ({ slowAloneS }) => slowAloneS],
  ['benefit', (row) => rounded(benefitOf(row))],
];

function hasOrigin({ hops, objects }: Point): boolean {
  return hops !== undefined || objects !== undefined;
}

const resultColumnsOf = ({ point }: Run): readonly [string, (row: RunRow) => Cell][] => [
  ['rtt_ms', ({ rttMs }) => rttMs],
  ['delay_s', ({ delayS }) => delayS],
  ['rounds', ({ point, rounds }) => (isSession(point) ? undefined : rounds)],
  ['timeouts', ({ point, timeouts }) => (isSession(point) ? undefined : timeouts)],
  ['retransmissions', ({ retransmissions }) => retransmissions],
  ['datagrams', ({ datagrams }) => datagrams],
  ['acks', ({ acks }) => acks],
  ['complete_receivers', ({ completeReceivers }) => completeReceivers],
  ['goodput_bytes_per_s', (row) => rounded(goodputBytesPerSec(row), 3)],
  ...(hasOrigin(point) ? [originColumn] : []),
  ...(point.objects === undefined ? [] : [hitsColumn]),
  ...(point.rateRatio === undefined ? [] : pathColumns),
  ['twin_delay_s', ({ twinDelayS }) => twinDelayS],
];

function columnsOf(run: Run): string[] {
  return [...planColumnsOf(run), ...resultColumnsOf(run)].map(([name]) => name);
}

/** @param run any run of the plan */
export function formatHeader(run: Run): string {
  return formatLine(columnsOf(run));
}

export function formatRun(row: RunRow): string {
  return formatLine([...planCells(row), ...resultColumnsOf(row).map(([, value]) => value(row))]);
}

/** A row of runs.csv before it is checked against the plan. */
export interface RunRecord {
  /** Line number in the file. */
  readonly line: number;
  /** Index of the run, counted from 0, according to the row itself. */
  readonly index: number;
  readonly cells: readonly string[];
}

/**
 * Parses the rows of a file. An unterminated last row, left by a writer that was stopped, is
 * ignored.
 * @param run any run of the plan, which determines the columns; undefined if there is none
 * @param source the file name to use in messages
 * @throws P2mpError RESULTS_DIFFER if the file is not a runs.csv
 */
export function parseRecords(text: string, run: Run | undefined, source: string): RunRecord[] {
  const end = text.lastIndexOf(lineEnd);
  if (end < 0) return [];
  let records: string[][];
  try {
    records = parse(text.slice(0, end + lineEnd.length), { record_delimiter: lineEnd });
  } catch (error) {
    throw new P2mpError('RESULTS_DIFFER', `${source}: not CSV: ${(error as Error).message}`);
  }
  const [header = [], ...lines] = records;
  if (run !== undefined && header.join() !== columnsOf(run).join()) {
    throw new P2mpError('RESULTS_DIFFER', `${source}:1: these are not the columns of runs.csv`);
  }
  return lines.map((cells, i) => ({ line: i + 2, index: Number(cells[0]) - 1, cells }));
}

/**
 * @param run the run of the plan that the record should match
 * @throws P2mpError RESULTS_DIFFER if the record does not match
 */
export function parseRun(run: Run | undefined, record: RunRecord, source: string): RunRow {
  const { cells, line } = record;
  const differ = (what: string) =>
    new P2mpError('RESULTS_DIFFER', `${source}:${line}: belongs to another plan: ${what}`);
  if (run === undefined) throw differ(`the plan has no run ${cells[0]}`);
  const columns = columnsOf(run);
  for (const [column, cell] of planCells(run).entries()) {
    const [name, found, wanted] = [columns[column], cells[column], formatCell(cell)];
    if (found !== wanted) throw differ(`${name} is ${found} instead of ${wanted}`);
  }
  return parseResult(run, cells);
}

function parseResult(run: Run, cells: readonly string[]): RunRow {
  const columns = columnsOf(run);
  const number = (name: string): number => Number(cells[columns.indexOf(name)]);
  const optional = (name: string): number | undefined =>
    (cells[columns.indexOf(name)] ?? '') === '' ? undefined : number(name);
  return {
    ...run,
    rttMs: number('rtt_ms'),
    delayS: number('delay_s'),
    rounds: number('rounds'),
    timeouts: number('timeouts'),
    retransmissions: number('retransmissions'),
    datagrams: optional('datagrams'),
    acks: optional('acks'),
    completeReceivers: number('complete_receivers'),
    originBytes: optional('origin_bytes'),
    hitRatio: optional('hit_ratio'),
    fastAloneS: optional('fast_alone_s'),
    slowAloneS: optional('slow_alone_s'),
    twinDelayS: optional('twin_delay_s'),
  };
}

function planCells(run: Run): Cell[] {
  return planColumnsOf(run).map(([, value]) => value(run));
}

function rounded(value: number | undefined, decimals = 6): Cell {
  return value === undefined ? undefined : roundTo(decimals, value);
}

function formatCell(cell: Cell): string {
  return cell === undefined ? '' : String(cell);
}

function formatLine(cells: readonly Cell[]): string {
  return stringify([cells.map(formatCell)], { record_delimiter: lineEnd });
}
