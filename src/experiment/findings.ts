/** Findings of an experiment, in sentences. */
import { formatPlural, formatSignificant } from '../base/format.js';
import { measureOf, withUnit } from './measure.js';
import { parameters } from './parameters.js';
import type { Plan } from './plan.js';
import type { Layout } from './series.js';
import { createLayout, seriesName, xText } from './series.js';
import { median } from './statistics.js';
import type { PointSummary } from './summary.js';

/**
 * Maximum deviation from the model, in standard errors. If the model is correct, only 1 point in 15,000
 * exceeds this maximum by chance.
 */
export const deviationLimitSe = 4;

/** Smaller relative differences are only rounding errors: delays have a resolution of one microsecond. */
const exactShare = 1e-5;

/** Describes trends, the fit of the model, and failures. One sentence per finding. */
export function describeFindings(plan: Plan, summaries: readonly PointSummary[]): string[] {
  const layout = createLayout(plan);
  const sentences: string[] = [];
  for (const mode of plan.mode) {
    const groups = new Map<string, PointSummary[]>();
    for (const summary of summaries.filter((one) => one.mode === mode)) {
      const name = seriesName(summary.point, layout);
      groups.set(name, [...(groups.get(name) ?? []), summary]);
    }
    for (const [name, group] of groups) {
      const where = [name, plan.mode.length > 1 ? mode : ''].filter((part) => part !== '');
      sentences.push(describeTrend(where.join(', '), group, layout));
    }
    sentences.push(...describeFit(mode, summaries));
  }
  sentences.push(
    describeTwins(summaries),
    describeSpeedup(summaries),
    describeOrigin(summaries),
    describeBenefit(summaries),
    describeFailures(summaries),
  );
  return sentences.filter((sentence) => sentence !== '');
}

/** Describes the change from the first point of a series to the last. */
function describeTrend(where: string, group: readonly PointSummary[], layout: Layout): string {
  const { name } = measureOf(group[0]?.point);
  const measured = group.filter(({ mean }) => mean !== undefined);
  const [first, last] = [measured[0], measured.at(-1)];
  if (first?.mean === undefined || last?.mean === undefined) return '';
  const prefix = where === '' ? '' : `${where}: `;
  if (first === last) return capitalize(`${prefix}the mean ${name} is ${formatMean(first)}.`);
  const title = nameOf(layout);
  const [from, to] = [xText(first.point, layout), xText(last.point, layout)];
  const span = layout.isNumeric
    ? `as the ${title} goes from ${from} to ${to}`
    : `from ${from} to ${to}`;
  const ratio = formatFactor(first.mean, last.mean);
  const modelRatio = formatFactor(first.modelMean, last.modelMean);
  const times = ratio === undefined ? '' : `, ${ratio} times`;
  const model =
    ratio === undefined || modelRatio === undefined ? '' : ` (${modelRatio} by the model)`;
  const change = isOverlapping(first, last)
    ? 'does not change by more than its uncertainty:'
    : last.mean > first.mean
      ? 'grows from'
      : 'falls from';
  const between = isOverlapping(first, last) ? 'and' : 'to';
  return capitalize(
    `${prefix}${span}, the mean ${name} ${change} ${formatMean(first)} ${between} ` +
      `${formatMean(last)}${times}${model}.`,
  );
}

function describeFit(mode: string, summaries: readonly PointSummary[]): string[] {
  const own = summaries.filter((summary) => summary.mode === mode);
  const deviations = own.flatMap(({ deviationSe }) =>
    deviationSe === undefined ? [] : deviationSe,
  );
  return [describeDeviations(mode, deviations), describeExactPoints(mode, own)];
}

/** Compares points with the model where it predicts a spread. */
function describeDeviations(mode: string, deviations: readonly number[]): string {
  if (deviations.length === 0) return '';
  const sizes = deviations.map(Math.abs);
  const largest = Math.max(...sizes).toFixed(2);
  const within = sizes.filter((size) => size <= deviationLimitSe).length;
  const points = `${mode} points that the model covers`;
  if (sizes.length === 1) {
    return `The only ${mode} point that the model covers lies within ${largest} standard errors of it.`;
  }
  if (within === sizes.length) {
    return `All ${sizes.length} ${points} lie within ${largest} standard errors of it.`;
  }
  return (
    `Of the ${sizes.length} ${points}, ${within} lie within ${deviationLimitSe} standard errors ` +
    `of it; the farthest is off by ${largest}.`
  );
}

/** Compares points with the model where it predicts no spread: without loss, all runs take equally long. */
function describeExactPoints(mode: string, summaries: readonly PointSummary[]): string {
  const shares = summaries.flatMap(({ mean, modelMean, deviationSe }) =>
    mean === undefined || modelMean === undefined || deviationSe !== undefined
      ? []
      : [modelMean === 0 ? Math.abs(mean) : Math.abs(mean / modelMean - 1)],
  );
  if (shares.length === 0) return '';
  const isOne = shares.length === 1;
  const points = `${formatPlural(shares.length, `${mode} point`)} ${isOne ? 'loses' : 'lose'} nothing`;
  const largest = Math.max(...shares);
  const fit =
    largest < exactShare
      ? `${isOne ? 'it takes' : 'they take'} exactly as long as the model says`
      : `${isOne ? 'it differs' : 'they differ'} from the model by at most ${formatSignificant(100 * largest, 2)} %`;
  return `${points}, so the model has no standard error there: ${fit}.`;
}

/** Compares real runs with simulations of the same runs. */
function describeTwins(summaries: readonly PointSummary[]): string {
  const real = summaries.flatMap(({ mean, twinS, rttMs }) =>
    mean === undefined || twinS === undefined || rttMs === undefined
      ? []
      : [{ ratio: mean / twinS, rttMs }],
  );
  if (real.length === 0) return '';
  const ratios = real.map(({ ratio }) => ratio);
  const rtts = real.map(({ rttMs }) => rttMs);
  return (
    `Real runs took ${formatSpan(ratios, 3)} times as long as simulations of the same runs, with the same losses ` +
    `and the measured round-trip time (${formatSpan(rtts, 3)} ms).`
  );
}

/** Compares uploads at once with the same uploads one after another. */
function describeSpeedup(summaries: readonly PointSummary[]): string {
  const parts = summaries.flatMap(({ point, speedup }) =>
    speedup === undefined || point.senders === 1
      ? []
      : [`${formatSignificant(speedup, 3)} with ${point.senders}`],
  );
  if (parts.length === 0) return '';
  return `Speed-up of sending at once over one after another, by number of senders: ${parts.join(', ')}.`;
}

/** What relays save the origin. */
function describeOrigin(summaries: readonly PointSummary[]): string {
  const shares = summaries.flatMap(({ originShare }) => originShare ?? []);
  if (shares.length === 0) return '';
  return `For each byte that a receiver gets, the origin sends ${formatSpan(shares, 3)} bytes, with headers.`;
}

/** What two paths gain, over all points. */
function describeBenefit(summaries: readonly PointSummary[]): string {
  const benefits = summaries.flatMap(({ mean, fastAloneS }) =>
    mean === undefined || fastAloneS === undefined ? [] : mean,
  );
  if (benefits.length === 0) return '';
  const slower = benefits.filter((benefit) => benefit < 0).length;
  return (
    `The benefit of two paths is ${formatSpan(benefits, 3)}, with a median of ${median(benefits).toFixed(3)}; ` +
    `${slower === 0 ? 'at no point are they' : `at ${formatPlural(slower, 'point')}, they are`} slower than the faster path alone.`
  );
}

function describeFailures(summaries: readonly PointSummary[]): string {
  const failed = summaries.reduce((sum, { failedRuns }) => sum + failedRuns, 0);
  if (failed === 0) return '';
  return failed === 1
    ? 'A receiver failed in one run; the means exclude this run.'
    : `A receiver failed in ${failed} runs; the means exclude these runs.`;
}

function isOverlapping(a: PointSummary, b: PointSummary): boolean {
  const [aLow = a.mean, aHigh = a.mean] = [a.ci95Low, a.ci95High];
  const [bLow = b.mean, bHigh = b.mean] = [b.ci95Low, b.ci95High];
  return (aLow as number) <= (bHigh as number) && (bLow as number) <= (aHigh as number);
}

function nameOf({ x }: Layout): string {
  const [title = ''] = parameters[x].title.split(',');
  // Keep the case of an abbreviation.
  return /^[A-Z][a-z]/.test(title) ? title.charAt(0).toLowerCase() + title.slice(1) : title;
}

/** Keeps the case of a variable's name. */
function capitalize(sentence: string): string {
  return /^[npt] =/.test(sentence)
    ? sentence
    : sentence.charAt(0).toUpperCase() + sentence.slice(1);
}

/** 12.3 s ± 0.2, or 12.3 s (the same in all runs) */
export function formatMean({ point, mean, ci95High }: PointSummary): string {
  if (mean === undefined) return '–';
  const text = withUnit(formatDigits(mean), measureOf(point));
  if (ci95High === undefined) return text;
  const halfWidth = ci95High - mean;
  return isZero(halfWidth)
    ? `${text} (the same in all runs)`
    : `${text} ± ${formatSignificant(halfWidth, 2)}`;
}

/** The ratio of two means; undefined if one of them is zero or unknown. */
function formatFactor(from: number | undefined, to: number | undefined): string | undefined {
  if (from === undefined || to === undefined || isZero(from) || isZero(to)) return undefined;
  return formatSignificant(to / from, 3);
}

/** Whether a value is zero except for rounding errors: delays have a resolution of one microsecond. */
function isZero(value: number): boolean {
  return Math.abs(value) < 1e-9;
}

function formatDigits(value: number): string {
  return isZero(value) ? '0' : formatSignificant(value, 4);
}

function formatSpan(values: readonly number[], digits: number): string {
  const low = Math.min(...values).toFixed(digits);
  const high = Math.max(...values).toFixed(digits);
  return low === high ? low : `${low} to ${high}`;
}
