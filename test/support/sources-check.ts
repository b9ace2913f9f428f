/** Checks the invariants of every fetch over sessions. */
import type { TimeMs } from '../../src/base/machine.js';
import type { SourcesRun } from './sources-run.js';
import { type SourcesScenario, sourcesMssBytes } from './sources-scenario.js';
import type { FetchWatch } from './watched-fetch.js';
import {
  type Check,
  checkLiars,
  checkRepetitions,
  type RepetitionBounds,
} from './watched-fetch-check.js';

/** @returns one line per violation; none for a good run */
export function complaintsAboutSources(scenario: SourcesScenario, run: SourcesRun): string[] {
  const complaints: string[] = [];
  const check: Check = (isGood, complaint) => {
    if (!isGood) complaints.push(complaint);
  };
  check(run.isAtRest, 'not at rest');
  check(run.isIdle, 'the client still waits for something');
  check(run.busyHosts.length === 0, `${run.busyHosts.join()} still know the client`);
  checkEnd(scenario, run, check);
  for (const life of run.lives) {
    checkRepetitions(boundsOf(scenario), life, check);
    checkLiars((source) => isLiar(scenario, source), life, check);
    checkMemory(scenario, life, check);
    checkReport(scenario, life, check);
  }
  return complaints;
}

function boundsOf({ blockSizeBytes, bufferBytes, sources }: SourcesScenario): RepetitionBounds {
  return {
    ...{ blockSizeBytes, mssBytes: sourcesMssBytes, sourceCount: sources.length },
    isOrderly: bufferBytes === undefined && sources.every(({ link }) => !link.corruptProbability),
  };
}

function isLiar({ sources }: SourcesScenario, source: string): boolean {
  return sources.some(({ name, served }) => name === source && served.startsWith('wrong'));
}

/** The outcome, and when it is there. */
function checkEnd(scenario: SourcesScenario, run: SourcesRun, check: Check): void {
  const { result, endMs = Infinity } = run.lives.at(-1) as FetchWatch;
  if (result?.status === 'complete') {
    const content = run.contents.get(result.object?.contentRoot ?? '');
    const isRight = content !== undefined && Buffer.from(content).equals(run.stored as Uint8Array);
    check(isRight, 'the stored content is not what its root says');
    const [wanted] = run.contents.keys();
    const isWanted = !scenario.isPinned || result.object?.contentRoot === wanted;
    check(isWanted, 'other content was fetched');
  } else {
    const isHonest = scenario.kind !== 'calm' && !isPossible(scenario, run, endMs);
    check(isHonest, `not complete: ${result?.reason ?? 'no end'}`);
  }
  const boundMs = latestMs(scenario);
  check(endMs <= boundMs, `the end at ${endMs.toFixed()} ms, not by ${boundMs.toFixed()}`);
}

/** A slower path might not carry a handshake before the client gives up. */
const leastBytesPerSec = 4000;

/** Whether a source could have given the object to a client that gave up at this time. */
function isPossible(scenario: SourcesScenario, run: SourcesRun, endMs: TimeMs): boolean {
  const { isPinned, patienceMs, sources } = scenario;
  const groups = run.lives.at(-1)?.result?.groups.length ?? 0;
  if (!isPinned && groups > 1) return false;
  return sources.some((source) => {
    const { served, isMute, namedAtMs, changesAtMs, outages, startsAtMs, rates } = source;
    const isFast = rates.every(({ bytesPerSec }) => bytesPerSec >= leastBytesPerSec);
    if (!isFast || isMute || served !== 'right' || changesAtMs !== undefined || namedAtMs > endMs)
      return false;
    const downMs = Math.max(startsAtMs, ...outages.map(({ atMs, endMs: end }) => end - atMs));
    return downMs < patienceMs / 2;
  });
}

/** A window is what a source delivers in three round trips, or in one and 100 ms; estimates may be too high for a while. */
function checkMemory(
  { sources, blockSizeBytes, bufferBytes = Infinity }: SourcesScenario,
  { mostAsked, mostBufferedBytes }: FetchWatch,
  check: Check,
): void {
  const windows = sources.map(({ rates, link }) => {
    const rate = Math.max(...rates.map(({ bytesPerSec }) => bytesPerSec));
    // Its queue adds to the round trip.
    const rttMs = 2 * (link.delayMs ?? 0) + (link.jitterMs ?? 0) + (1000 * 20_000) / rate;
    return 20 + (2 * rate * (3 * rttMs + 100)) / 1000 / blockSizeBytes;
  });
  const window = Math.max(...windows);
  check(mostAsked <= window, `${mostAsked} blocks asked of one source, not ${window.toFixed()}`);
  // Each session accepts one block in any case.
  const most = bufferBytes + 2 * sources.length * (blockSizeBytes + 16);
  check(mostBufferedBytes <= most, `${mostBufferedBytes} bytes buffered, not ${most}`);
}

function checkReport({ sources }: SourcesScenario, life: FetchWatch, check: Check): void {
  const { report } = life.result ?? {};
  if (report === undefined || life.result?.status !== 'complete') return;
  const segments = life.events
    .slice(life.firstEvent)
    .flatMap((event) => (event.type === 'segment' ? [event] : []));
  const shares = report.sources.reduce((sum, { share }) => sum + share, 0);
  const isShared = report.deliveredBytes === 0 || Math.abs(shares - 1) < 1e-9;
  check(isShared, `the shares add up to ${shares}`);
  for (const { name } of sources) {
    const delivered = report.sources
      .filter((each) => each.name === name)
      .reduce((sum, { deliveredBytes }) => sum + deliveredBytes, 0);
    const rows = segments
      .filter(({ source }) => source === name)
      .reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    check(rows === delivered, `${name}: ${delivered} bytes, ${rows} in segments`);
  }
}

/** A source that does not answer counts as lost after this time. */
const livenessMs = 60_000;

/** When a fetch is over at the latest. */
function latestMs(scenario: SourcesScenario): TimeMs {
  const { kind, sources, contentSizeBytes, bufferBytes, patienceMs, restarts } = scenario;
  const events = [...restarts.map(({ endMs }) => endMs)];
  let slowest = Infinity;
  for (const { startsAtMs, namedAtMs, outages, rates, changesAtMs = 0 } of sources) {
    events.push(startsAtMs, namedAtMs, changesAtMs, ...outages.map(({ atMs }) => atMs));
    for (const { endMs } of outages) if (endMs < Infinity) events.push(endMs);
    for (const { fromMs, bytesPerSec } of rates) {
      events.push(fromMs);
      slowest = Math.min(slowest, bytesPerSec);
    }
  }
  const longestMs = (1000 * (contentSizeBytes + 10_000)) / slowest;
  const isSmooth = bufferBytes === undefined && sources.every(({ link }) => !link.loss);
  if (kind === 'calm') return isSmooth ? 1.5 * longestMs + 2000 : 4 * longestMs + 10_000;
  // A dead source is asked again after a while, and patience begins when the last one is gone.
  // A source that sends nothing is asked five times.
  const muteMs = sources.some(({ isMute }) => isMute) ? 5 * (patienceMs + 10_000) : 0;
  return Math.max(...events) + 2 * longestMs + patienceMs + livenessMs + 20_000 + muteMs;
}
