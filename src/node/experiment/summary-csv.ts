/** summary.csv, one row per point and mode (RFC 4180; columns in docs/EXPERIMENTS.md). */
import { stringify } from 'csv-stringify/sync';
import type { Measure } from '../../experiment/measure.js';
import { measureOf } from '../../experiment/measure.js';
import type { ParameterName } from '../../experiment/parameters.js';
import { cellOf, namedParameters, parameters } from '../../experiment/parameters.js';
import type { PointSummary } from '../../experiment/summary.js';

/** The columns that most readers need come first. */
const leading = ['receivers', 'mssBytes', 'loss', 'window'] as const;

type Cell = string | number | undefined;

const speedupColumn: [string, (summary: PointSummary) => Cell] = [
  'speedup',
  ({ speedup }) => rounded(speedup),
];

const originColumns: [string, (summary: PointSummary) => Cell][] = [
  ['origin_bytes', ({ originBytes }) => rounded(originBytes)],
  ['origin_share', ({ originShare }) => rounded(originShare)],
];

const pathColumns: [string, (summary: PointSummary) => Cell][] = [
  ['fast_alone_s', ({ fastAloneS }) => rounded(fastAloneS)],
  ['slow_alone_s', ({ slowAloneS }) => rounded(slowAloneS)],
];

const columnsOf = (
  names: readonly ParameterName[],
  { suffix }: Measure,
): readonly [string, (summary: PointSummary) => Cell][] => [
  ...leading.map((name) => parameterColumn(name)),
  ['mode', ({ mode }) => mode],
  ['runs', ({ runs }) => runs],
  [`mean_${suffix}`, ({ mean }) => rounded(mean)],
  [`sd_${suffix}`, ({ sd }) => rounded(sd)],
  [`ci95_low_${suffix}`, ({ ci95Low }) => rounded(ci95Low)],
  [`ci95_high_${suffix}`, ({ ci95High }) => rounded(ci95High)],
  [`model_${suffix}`, ({ modelMean }) => rounded(modelMean)],
  ['deviation_se', ({ deviationSe }) => rounded(deviationSe)],
  ...names
    .toReversed()
    .filter((name) => !(leading as readonly string[]).includes(name) && name !== 'rttMs')
    .map((name) => parameterColumn(name)),
  ['rtt_ms', ({ rttMs }) => rounded(rttMs)],
  ['failed_runs', ({ failedRuns }) => failedRuns],
  ['rounds', ({ rounds }) => rounded(rounds)],
  ['model_rounds', ({ modelRounds }) => rounded(modelRounds)],
  ['timeouts', ({ timeouts }) => rounded(timeouts)],
  ['retransmissions', ({ retransmissions }) => rounded(retransmissions)],
  ['goodput_bytes_per_s', ({ goodputBytesPerSec }) => rounded(goodputBytesPerSec)],
  [`model_sd_${suffix}`, ({ modelSd }) => rounded(modelSd)],
  ...(names.includes('order') ? [speedupColumn] : []),
  ...(names.includes('hops') || names.includes('objects') ? originColumns : []),
  ...(names.includes('rateRatio') ? pathColumns : []),
  ['twin_mean_s', ({ twinS }) => rounded(twinS)],
];

export function formatSummaries(summaries: readonly PointSummary[]): string {
  const [first] = summaries;
  const columns = columnsOf(
    first === undefined ? [] : namedParameters(first.point),
    measureOf(first?.point),
  );
  const lines = summaries.map((summary) => columns.map(([, value]) => value(summary) ?? ''));
  return stringify([columns.map(([name]) => name), ...lines], { record_delimiter: '\r\n' });
}

function parameterColumn(name: ParameterName): [string, (summary: PointSummary) => Cell] {
  return [parameters[name].column, ({ point }) => cellOf(point, name)];
}

/** Rounds to seven digits, because further digits would not be significant. */
function rounded(value: number | undefined): Cell {
  return value === undefined ? undefined : Number(value.toPrecision(7));
}
