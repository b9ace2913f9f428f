/** Results of an experiment, as text and as JSON. */
import { formatPlural, formatSeconds, formatSignificant } from '../../base/format.js';
import { withoutUndefined } from '../../base/without-undefined.js';
import { formatMean } from '../../experiment/findings.js';
import { measureOf, withUnit } from '../../experiment/measure.js';
import { cellOf, parameters, varyingParameters } from '../../experiment/parameters.js';
import type { Plan } from '../../experiment/plan.js';
import type { RunRow } from '../../experiment/run-result.js';
import { isComplete } from '../../experiment/run-result.js';
import type { PointSummary } from '../../experiment/summary.js';
import type { Conclusion } from '../../node/experiment/conclusion.js';
import type { Effort } from '../../node/experiment/effort-meter.js';
import type { ResultsFolder } from '../../node/experiment/results-folder.js';
import type { JsonEvent } from './json/json-events.js';
import type { Output } from './output.js';

/** Maximum number of points in the table; summary.csv has all of them. */
const maxLines = 40;

export interface Concluded {
  readonly plan: Plan;
  readonly folder: ResultsFolder;
  /** Number of runs whose results were already in the folder. */
  readonly keptRuns: number;
  /** Cost of the runs of this invocation; undefined after a merge, which executes no runs. */
  readonly effort?: Effort;
  /** Undefined for a single shard. */
  readonly conclusion?: Conclusion;
}

export function printExperiment(output: Output, concluded: Concluded): void {
  const { plan, folder, keptRuns, conclusion } = concluded;
  const kept = keptRuns === 0 ? '' : `, ${keptRuns} of them from earlier invocations`;
  output.line(`${plan.title}: ${formatPlural(folder.rows.length, 'run')}${kept}`);
  if (conclusion === undefined) {
    output.line(`  in ${folder.path}; merge this folder with those of the other shards`);
    return;
  }
  const { summaries, findings, effort, missing } = conclusion;
  output.table(tableOf(plan, summaries.slice(0, maxLines)), ['runs', 'deviation', 'model']);
  const left = summaries.length - maxLines;
  if (left > 0) output.line(`  and ${formatPlural(left, 'more point')} in summary.csv`);
  output.line('');
  for (const finding of findings) output.line(finding);
  for (const sentence of effort) output.line(`${sentence}.`);
  const pictures = missing === undefined ? ['plot.svg', 'plot.png'] : [];
  const files = ['runs.csv', 'summary.csv', ...pictures, 'report.html'];
  output.line(`In ${folder.path}: ${files.join(', ')}`);
}

function tableOf(plan: Plan, summaries: readonly PointSummary[]): string[][] {
  const varying = varyingParameters(plan.points);
  const measure = measureOf(plan.points[0]);
  const hasModes = plan.mode.length > 1;
  const header = [
    ...varying.map((name) => parameters[name].column),
    ...(hasModes ? ['mode'] : []),
    'runs',
    `mean ${measure.name}`,
    'model',
    'deviation',
  ];
  const lines = summaries.map((summary) => [
    ...varying.map((name) => String(cellOf(summary.point, name) ?? '-')),
    ...(hasModes ? [summary.mode] : []),
    String(summary.runs),
    formatMean(summary),
    summary.modelMean === undefined
      ? '-'
      : withUnit(formatSignificant(summary.modelMean, 4), measure),
    summary.deviationSe === undefined ? '-' : `${summary.deviationSe.toFixed(2)} SE`,
  ]);
  return [header, ...lines];
}

/** Prints one run, for --verbose and --json. */
export function printRun(output: Output, row: RunRow): void {
  const { index, mode, point, delayS, rounds, timeouts } = row;
  const failed = isComplete(row)
    ? ''
    : `, complete at ${row.completeReceivers} of ${point.receivers}`;
  output.line(
    `run ${index + 1}: ${mode}, seed "${row.seed}": ${formatSeconds(delayS)}, ` +
      `${formatPlural(rounds, 'round')}, ${formatPlural(timeouts, 'timeout')}${failed}`,
  );
  output.json({
    event: 'run',
    run: index + 1,
    mode,
    seed: row.seed,
    seconds: delayS,
    rounds,
    timeouts,
    complete: isComplete(row),
  });
}

export function experimentResultJson(concluded: Concluded): JsonEvent {
  const { folder, keptRuns, effort, conclusion } = concluded;
  return {
    event: 'result',
    status: folder.rows.every(isComplete) ? 'complete' : 'incomplete',
    folder: folder.path,
    runs: folder.rows.length,
    keptRuns,
    ...withoutUndefined({
      effort: effort && effortJson(effort),
      findings: conclusion?.findings,
    }),
  };
}

function effortJson(effort: Effort) {
  const { simulatedRuns, simulatedSegments, virtualS, simulationWallS, realRuns, realWallS } =
    effort;
  return {
    ...{ simulatedRuns, simulatedSegments, virtualSeconds: virtualS },
    ...{ simulationSeconds: simulationWallS, realRuns, realSeconds: realWallS },
  };
}
