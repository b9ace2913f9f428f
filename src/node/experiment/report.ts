/**
 * report.html: one self-contained page with the plot, findings, tables, plan and a description of the
 * computer.
 */
import { formatSignificant } from '../../base/format.js';
import { measureOf, titleOf } from '../../experiment/measure.js';
import type { ParameterName } from '../../experiment/parameters.js';
import {
  cellOf,
  parameterNames,
  parameters,
  varyingParameters,
} from '../../experiment/parameters.js';
import type { Plan } from '../../experiment/plan.js';
import { countRuns } from '../../experiment/plan.js';
import type { PointSummary } from '../../experiment/summary.js';

export interface ReportContent {
  readonly plan: Plan;
  readonly planText: string;
  readonly summaries: readonly PointSummary[];
  readonly findings: readonly string[];
  /** Undefined if plots are unavailable. */
  readonly svg: string | undefined;
  /** The command that reproduces the results. */
  readonly command: string;
  readonly machine: readonly (readonly [string, string])[];
  /** The cost of the runs, as sentences; empty if no run was performed for this report. */
  readonly effort: readonly string[];
}

export function createReport(content: ReportContent): string {
  const { plan, planText, summaries, findings, svg, command, machine, effort } = content;
  const picture = svg ?? '<p>No plot: the packages that draw it are not installed.</p>';
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(plan.title)}</title>
<style>${style}</style>
</head>
<body>
<h1>${escapeHtml(plan.title)}</h1>
${plan.about === undefined ? '' : `<p>${escapeHtml(plan.about)}</p>`}
<figure>
${picture}
</figure>
${list(findings)}
<h2>Points</h2>
${table(
  'points',
  summaryHeader(plan, summaries),
  summaries.map((one) => summaryCells(one, plan, summaries)),
)}
<p>${describeColumns(plan)}</p>
<h2>How it was made</h2>
${table('facts', ['', ''], facts(plan, command, machine))}
${list(effort)}
<h2>Plan</h2>
<pre>${escapeHtml(planText.trim())}</pre>
</body>
</html>
`;
}

function describeColumns({ points: [first] }: Plan): string {
  if (first?.sources !== undefined) return describeFetchColumns();
  if (first?.hops !== undefined) return describeRelayColumns();
  if (first?.objects !== undefined) return describeCacheColumns();
  if (first?.peers !== undefined) return describeExchangeColumns();
  if (first?.rateRatio !== undefined) return describePathColumns();
  if (first?.pathCount !== undefined) return describeIncastColumns();
  const delay =
    first?.senders === undefined
      ? `Delay: from the first datagram to the last acknowledgement of data. Model: stop-and-wait with a fixed timeout and
independent losses, E[T] = S·[t·N/(1−p) + (E[R]−1)·RTO + RTT]; deviation in its standard errors of the mean.`
      : `Delay: from the start of the first sender to the end of the last. Every file is compared with what was sent.
Model: the rate of the senders alone, size / rate at once and senders · size / rate one after another.`;
  return `${delay} Interval: of the mean, by Student's t. More columns are in summary.csv, each run is in runs.csv.`;
}

function describeFetchColumns(): string {
  return `Delay: from the start of the client until its copy is durable. Every copy is compared with the file. Model: the
rates of the sources alone; by speed, size / sum of the rates; with equal parts, part / rate of the slowest source. A
source dies when half of the file could have arrived. More columns are in summary.csv, each run is in runs.csv.`;
}

function describeRelayColumns(): string {
  return `Delay: from the start of the receivers until the last copy is durable. Every copy is compared with the file. Model:
the rates of the links alone, less what is lost; cut-through takes as long as the slowest link, store-and-forward as long
as all links together. More columns are in summary.csv, each run is in runs.csv.`;
}

function describeCacheColumns(): string {
  return `Hit ratio: share of the questions that the cache answers; the first half of the questions only fills the cache.
Every copy is compared with the object. Model: Che's approximation for a cache that removes what was not used for the
longest time (H. Che, Y. Tung, Z. Wang, IEEE JSAC 20(7), 2002); standard deviation of a run as if questions were
independent. More columns are in summary.csv, each run is in runs.csv.`;
}

function describeExchangeColumns(): string {
  return `Delay: from the start until nobody gets anything any more. Every copy is compared with the file. Model: the
rates of the links alone; by multicast, each file once by its owner's uplink and all others by each downlink; by unicast,
each file once for each other peer. More columns are in summary.csv, each run is in runs.csv.`;
}

function describeIncastColumns(): string {
  return `Delay: from the start of the senders until the receiver has all files. Model: the rate of the port alone. More
columns are in summary.csv, each run is in runs.csv.`;
}

function describePathColumns(): string {
  return `Benefit: (Gm − Gmax) / (sum of Gi − Gmax), where Gm is the goodput by both paths, Gi that of the same transfer by
path i alone, and Gmax the higher one of these. Every copy is compared with the file. More columns are in summary.csv, each
run is in runs.csv.`;
}

function facts(
  plan: Plan,
  command: string,
  machine: ReportContent['machine'],
): (readonly [string, string])[] {
  const fixed = parameterNames
    .filter((name) => !varyingParameters(plan.points).includes(name))
    // Omit parameters that are unlimited.
    .filter((name) => plan.points[0]?.[name] !== undefined)
    .map((name): [string, string] => [parameters[name].title, fixedValue(plan, name)]);
  return [
    ['Command', command],
    ['Seed', plan.seed],
    ['Runs', `${countRuns(plan)}, ${plan.repetitions} of each point`],
    ...fixed,
    ...machine,
  ];
}

function fixedValue({ points: [point] }: Plan, name: ParameterName): string {
  return point === undefined ? '' : String(cellOf(point, name) ?? 'chosen by the session');
}

function summaryHeader(plan: Plan, summaries: readonly PointSummary[]): string[] {
  const measure = measureOf(plan.points[0]);
  return [
    ...varyingParameters(plan.points).map((name) => parameters[name].title),
    ...(plan.mode.length > 1 ? ['Mode'] : []),
    'Runs',
    titleOf(`Mean ${measure.name}`, measure),
    ...['95 % interval', 'Std. dev.', 'Model'].map((title) => titleOf(title, measure)),
    'Deviation, SE',
    'Rounds',
    'Retransmissions',
    ...(hasUploads(plan)
      ? ['Speed-up']
      : hasReal(summaries)
        ? ['RTT, ms', 'Twin, s', 'Real / twin']
        : hasOrigin(plan)
          ? ['Origin sends, bytes', 'Per byte received']
          : hasPaths(plan)
            ? ['Fast path alone, s', 'Slow path alone, s']
            : []),
  ];
}

function summaryCells(
  summary: PointSummary,
  plan: Plan,
  summaries: readonly PointSummary[],
): string[] {
  const { point, mode, mean, twinS } = summary;
  const interval =
    summary.ci95Low === undefined
      ? '–'
      : `[${digits(summary.ci95Low)}, ${digits(summary.ci95High)}]`;
  const ratio = mean === undefined || twinS === undefined ? undefined : mean / twinS;
  return [
    ...varyingParameters(plan.points).map((name) => String(cellOf(point, name) ?? '–')),
    ...(plan.mode.length > 1 ? [mode] : []),
    summary.failedRuns === 0 ? `${summary.runs}` : `${summary.runs} (${summary.failedRuns} failed)`,
    digits(mean),
    interval,
    digits(summary.sd),
    digits(summary.modelMean),
    summary.deviationSe?.toFixed(2) ?? '–',
    digits(summary.rounds),
    digits(summary.retransmissions),
    ...(hasUploads(plan)
      ? [digits(summary.speedup)]
      : hasReal(summaries)
        ? [digits(summary.rttMs), digits(twinS), ratio?.toFixed(3) ?? '–']
        : hasOrigin(plan)
          ? [digits(summary.originBytes), digits(summary.originShare)]
          : hasPaths(plan)
            ? [digits(summary.fastAloneS), digits(summary.slowAloneS)]
            : []),
  ];
}

function hasUploads({ points: [first] }: Plan): boolean {
  return first?.order !== undefined;
}

function hasOrigin({ points: [first] }: Plan): boolean {
  return first?.hops !== undefined || first?.objects !== undefined;
}

function hasPaths({ points: [first] }: Plan): boolean {
  return first?.rateRatio !== undefined;
}

function hasReal(summaries: readonly PointSummary[]): boolean {
  return summaries.some(({ mode }) => mode === 'real');
}

function digits(value: number | undefined): string {
  return value === undefined ? '–' : formatSignificant(value, 5);
}

function list(sentences: readonly string[]): string {
  if (sentences.length === 0) return '';
  return `<ul>\n${sentences.map((sentence) => `<li>${escapeHtml(sentence)}</li>`).join('\n')}\n</ul>`;
}

function table(
  kind: 'points' | 'facts',
  header: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  const line = (cells: readonly string[], tag: string) =>
    `<tr>${cells.map((cell) => `<${tag}>${escapeHtml(cell)}</${tag}>`).join('')}</tr>`;
  const head = header.every((cell) => cell === '') ? '' : `<thead>${line(header, 'th')}</thead>\n`;
  return `<div class="wide"><table class="${kind}">\n${head}<tbody>
${rows.map((cells) => line(cells, 'td')).join('\n')}
</tbody></table></div>`;
}

function escapeHtml(text: string): string {
  const names: Readonly<Record<string, string>> = { '&': 'amp', '<': 'lt', '>': 'gt', '"': 'quot' };
  return text.replace(/[&<>"]/g, (character) => `&${names[character]};`);
}

const style = `
body { font: 16px/1.5 "Source Sans 3", system-ui, sans-serif; color: #111; max-width: 60rem;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; font-weight: 600; } h2 { font-size: 1.2rem; margin-top: 2rem; }
figure { margin: 1rem 0; } figure svg { max-width: 100%; height: auto; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.78rem; font-variant-numeric: tabular-nums; }
th, td { padding: 0.2rem 0.3rem; text-align: left; border-bottom: 1px solid #ddd; vertical-align: top; }
th { border-bottom: 2px solid #777; font-weight: 600; vertical-align: bottom; hyphens: auto; }
.points td { white-space: nowrap; }
.facts td { overflow-wrap: anywhere; } .facts td:first-child { min-width: 11rem; }
pre { background: #f4f4f4; padding: 1rem; white-space: pre-wrap; overflow-wrap: anywhere; font-size: 0.85rem; }
@page { size: A4; margin: 12mm; }
@media print {
  body { margin: 0; padding: 0; max-width: none; font-size: 10pt; }
  figure, tr { break-inside: avoid; } .wide { overflow: visible; } thead { display: table-header-group; }
  .points { font-size: 7.5pt; } .points th, .points td { padding: 1pt 2.5pt; }
}
`;
