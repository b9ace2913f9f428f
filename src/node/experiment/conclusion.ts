/** Writes the summary, plots and report once all runs are done. */
import { P2mpError } from '../../base/errors.js';
import { describeFindings } from '../../experiment/findings.js';
import type { Plan } from '../../experiment/plan.js';
import { createPlot } from '../../experiment/plot.js';
import type { PointSummary } from '../../experiment/summary.js';
import { summarize } from '../../experiment/summary.js';
import { machineFacts } from './machine-facts.js';
import { renderPng, renderSvg } from './pictures.js';
import { createReport } from './report.js';
import type { ResultsFolder } from './results-folder.js';
import { formatSummaries } from './summary-csv.js';

export interface Conclusion {
  readonly summaries: readonly PointSummary[];
  readonly findings: readonly string[];
  /** The cost of the runs, as sentences. */
  readonly effort: readonly string[];
  /** The reason why there are no plots; undefined if plots were written. */
  readonly missing: P2mpError | undefined;
}

/**
 * @param command the command that reproduces the results
 * @param effort sentences about the cost of the runs
 * @throws P2mpError TARGET_UNWRITABLE
 */
export async function conclude(
  plan: Plan,
  planText: string,
  folder: ResultsFolder,
  command: string,
  effort: readonly string[],
): Promise<Conclusion> {
  const summaries = summarize(folder.rows);
  const findings = describeFindings(plan, summaries);
  await folder.write('summary.csv', formatSummaries(summaries));
  let svg: string | undefined;
  let missing: P2mpError | undefined;
  try {
    svg = await renderSvg(createPlot(plan, summaries));
    await folder.write('plot.svg', svg);
    await folder.write('plot.png', await renderPng(svg));
  } catch (error) {
    // The numbers are valid without plots.
    if (!(error instanceof P2mpError) || error.code !== 'RUN_FAILED') throw error;
    missing = error;
  }
  const machine = machineFacts();
  const content = { plan, planText, summaries, findings, svg, command, machine, effort };
  await folder.write('report.html', createReport(content));
  return { summaries, findings, effort, missing };
}
