/** Checks the invariants of every fetch, and its time against the best one. */
import type { TimeMs } from '../../src/base/machine.js';
import { RangeSet } from '../../src/base/range-set.js';
import type { FetchRun } from './fetch-run.js';
import type { FetchScenario, ModelSourceOptions } from './fetch-scenario.js';

/** So many windows may be asked of a source while it is the only one. */
const windowsOfOnly = 3;

/** @returns one line per violation; none for a good run */
export function complaintsAboutFetch(scenario: FetchScenario, run: FetchRun): string[] {
  const complaints: string[] = [];
  const check = (isGood: boolean, complaint: string) => {
    if (!isGood) complaints.push(complaint);
  };
  const { endMs, report } = run;
  check(endMs !== undefined, `not complete, ${report.missingBlocks} blocks are missing`);
  check(run.wrongBlocks === 0, `${run.wrongBlocks} blocks are wrong`);
  check(run.earlyRepeats === 0, `${run.earlyRepeats} blocks asked twice before the last window`);
  check(run.vainAsks === 0, `${run.vainAsks} blocks asked in vain`);
  const liars = run.liars.join();
  check(liars === run.dropped.join(), `the liars are ${liars}, dropped were ${run.dropped.join()}`);
  checkFigures(scenario, run, check);
  checkMemory(scenario, run, check);
  if (endMs !== undefined && (scenario.split === 'speed' || scenario.kind === 'steady')) {
    const boundMs = latestMs(scenario);
    check(endMs <= boundMs, `complete at ${endMs.toFixed()} ms, not by ${boundMs.toFixed()}`);
  }
  return complaints;
}

type Check = (isGood: boolean, complaint: string) => void;

function checkFigures(
  scenario: FetchScenario,
  { endMs, report, segments }: FetchRun,
  check: Check,
) {
  if (endMs === undefined) return;
  const bytes = missingBytes(scenario);
  check(report.deliveredBytes === bytes, `${report.deliveredBytes} bytes delivered, not ${bytes}`);
  const shares = report.sources.reduce((sum, { share }) => sum + share, 0);
  check(Math.abs(shares - 1) < 1e-9, `the shares add up to ${shares}`);
  for (const [i, { deliveredBytes }] of report.sources.entries()) {
    const rows = segments.filter(({ source }) => source === i);
    const sum = rows.reduce((total, { sizeBytes }) => total + sizeBytes, 0);
    check(sum === deliveredBytes, `source ${i}: ${deliveredBytes} bytes, ${sum} in segments`);
  }
  if (scenario.kind === 'hard' || fluidOptimumMs(scenario) < 4000) return;
  const mostBytes = 0.02 * bytes + 2 * scenario.sources.length * scenario.blockSizeBytes;
  check(report.duplicateBytes <= mostBytes, `${report.duplicateBytes} of ${bytes} bytes twice`);
}

/** A window is what a source delivers in three round trips, or in one and 100 ms; estimates may be too high for a while. */
function checkMemory(
  { sources, missing, blockSizeBytes }: FetchScenario,
  run: FetchRun,
  check: Check,
) {
  const windows = sources.map(({ rates, rttMs }) => {
    const rate = Math.max(...rates.map(({ bytesPerSec }) => bytesPerSec));
    return 20 + (2 * rate * Math.max(rttMs + 100, 3 * rttMs)) / 1000 / blockSizeBytes;
  });
  const mostAsked = Math.max(0, ...run.mostAsked);
  const window = windowsOfOnly * Math.max(...windows);
  check(mostAsked <= window, `${mostAsked} blocks asked of one source, not ${window.toFixed()}`);
  const mostRanges =
    2 * (missing.length + windowsOfOnly * windows.reduce((sum, blocks) => sum + blocks, 0));
  check(run.mostRanges <= mostRanges, `${run.mostRanges} ranges, not ${mostRanges.toFixed()}`);
}

/** When a good fetch is over at the latest. */
function latestMs(scenario: FetchScenario): TimeMs {
  const { kind, split, sources, blockSizeBytes } = scenario;
  const longestRttMs = Math.max(...sources.map(({ rttMs }) => rttMs));
  const rates = sources.map((source) => rateAt(source, source.joinAtMs));
  const sum = rates.reduce((total, rate) => total + rate, 0);
  // The last blocks take longer than the fluid, most of all where an object has few.
  const blockMs = (2000 * blockSizeBytes * sources.length) / sum;
  const startMs = 100 + 3 * longestRttMs;
  const optimumMs =
    split === 'speed'
      ? fluidOptimumMs(scenario)
      : Math.max(...rates.map((rate) => partMs(scenario, rate)));
  const boundMs = 1.05 * optimumMs + startMs + blockMs;
  // Time to find out that sources have slowed down or died, perhaps one after the other.
  return kind === 'hard' ? 1.05 * boundMs + blockMs + 500 : boundMs;
}

/** The time that a source of this rate takes for its part of an equal split. */
function partMs({ missing, sources, blockSizeBytes }: FetchScenario, rate: number): TimeMs {
  const blocks = Math.ceil(new RangeSet(missing).count / sources.length);
  return (1000 * blocks * blockSizeBytes) / rate;
}

/** The time of a fetch in which each source delivers at its full rate, and any part of the content, until the end. */
export function fluidOptimumMs(scenario: FetchScenario): TimeMs {
  const { sources } = scenario;
  let leftBytes = missingBytes(scenario);
  const dyingRate = sumOfRates(
    sources.filter(({ diesAtHalf }) => diesAtHalf !== undefined),
    0,
  );
  if (dyingRate > 0) {
    const rate = sumOfRates(sources, 0);
    return (500 * leftBytes) / rate + (500 * leftBytes) / (rate - dyingRate);
  }
  const useful = sources.filter(({ badProbability, holds }) => badProbability === 0 && !holds);
  const changes = useful.flatMap(({ rates, leaveAtMs = 0 }) => [
    leaveAtMs,
    ...rates.map(({ atMs }) => atMs),
  ]);
  const steps = [...new Set(changes)].sort((a, b) => a - b);
  for (const [i, fromMs] of steps.entries()) {
    const untilMs = steps[i + 1] ?? Infinity;
    const rate = sumOfRates(useful, fromMs);
    const neededMs = rate === 0 ? Infinity : (1000 * leftBytes) / rate;
    if (fromMs + neededMs <= untilMs) return fromMs + neededMs;
    leftBytes -= (rate * (untilMs - fromMs)) / 1000;
  }
  return Infinity;
}

function missingBytes({ missing, contentSizeBytes, blockSizeBytes }: FetchScenario): number {
  const blocks = new RangeSet(missing);
  const lastBlock = Math.ceil(contentSizeBytes / blockSizeBytes) - 1;
  const shortBytes = (lastBlock + 1) * blockSizeBytes - contentSizeBytes;
  return blocks.count * blockSizeBytes - (blocks.has(lastBlock) ? shortBytes : 0);
}

function sumOfRates(sources: readonly ModelSourceOptions[], atMs: TimeMs): number {
  return sources.reduce((sum, source) => sum + rateAt(source, atMs), 0);
}

function rateAt({ rates, leaveAtMs = Infinity }: ModelSourceOptions, atMs: TimeMs): number {
  if (atMs >= leaveAtMs) return 0;
  return rates.findLast((change) => change.atMs <= atMs)?.bytesPerSec ?? 0;
}
