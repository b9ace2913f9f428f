/** Checks the invariants of every session, whatever its conditions. */
import { assert, at } from '../../src/base/assert.js';
import { createSessionGeometry, segmentCountOfBlock } from '../../src/object/geometry.js';
import { encodeManifest } from '../../src/object/manifest.js';
import type { IncomingResult } from '../../src/session/receiver-events.js';
import type { LinkOptions } from '../../src/simulator/link.js';
import {
  createManifestOfFiles,
  sourceHasChanged,
} from '../../src/simulator/roles/session-sender.js';
import type {
  SettledReceiver,
  SimulatedSessionReceiver,
  SimulatedSessionResult,
} from '../../src/simulator/session-transfer-options.js';
import { tagSizeBytes } from '../../src/wire/sizes.js';
import type { SessionReceiverScenario, SessionScenario } from './session-scenario.js';

/** @returns one line per violation; none for a good run */
export function complaintsAboutSession(
  scenario: SessionScenario,
  run: SimulatedSessionResult,
): string[] {
  const complaints: string[] = [];
  const check = (isGood: boolean, complaint: string) => {
    if (!isGood) complaints.push(complaint);
  };
  check(run.isAtRest, `not at rest at ${run.virtualMs} ms, after ${run.steps} steps`);
  // A sender that is killed after its end finishes twice.
  const lives = 1 + scenario.senderIncidents.filter(({ fault }) => fault === 'start').length;
  const times = run.sender.length;
  check(times >= 1 && times <= lives, `sender done ${times} times in ${lives} lives`);
  // A sender that stops says so a few times.
  const paths = scenario.receivers.reduce((sum, each) => sum + 1 + each.furtherPaths.length, 0);
  const goodbyes = run.settled.some(isStopped) ? 3 * paths : 0;
  check(run.datagramsAfterEnd <= goodbyes, `${run.datagramsAfterEnd} datagrams after the end`);
  check(run.nonceReuses === 0, `${run.nonceReuses} nonces used twice`);
  const budget = reportBudget(scenario);
  check(
    run.maxReportsPerSec <= budget,
    `${run.maxReportsPerSec} reports in a second, not ${budget}`,
  );
  for (const [i, receiver] of run.receivers.entries()) {
    const settled = run.settled.filter(({ outcome }) => outcome.receiver === receiver.name);
    const conditions = at(scenario.receivers, i);
    if (settled.length === 1 && settled.some(isStopped)) {
      check(isJustified(scenario, settled), `${receiver.name}: the sender stopped without need`);
      continue;
    }
    for (const complaint of complaintsAboutReceiver(scenario, conditions, receiver, settled)) {
      complaints.push(`${receiver.name}: ${complaint}`);
    }
  }
  const lists = run.receivers.flatMap(({ results }) => results.filter(isComplete).map(withdrawnBy));
  check(new Set(lists).size <= 1, `receivers know different withdrawals: ${lists.join(' | ')}`);
  return complaints;
}

/** The source can no longer provide the object, and it was too late to withdraw what is missing (SESSIONS 6.12). */
function isStopped({ outcome }: SettledReceiver): boolean {
  return outcome.status === 'aborted' && outcome.reason === sourceHasChanged;
}

function isJustified({ lostFiles }: SessionScenario, settled: readonly SettledReceiver[]): boolean {
  return settled.every(({ atMs }) => lostFiles.some((lost) => lost.atMs <= atMs));
}

function isComplete({ status }: IncomingResult): boolean {
  return status === 'complete';
}

function withdrawnBy({ withdrawn = [] }: IncomingResult): string {
  return withdrawn.map(({ name, reason }) => `${name} ${reason}`).join();
}

function complaintsAboutReceiver(
  scenario: SessionScenario,
  conditions: SessionReceiverScenario,
  receiver: SimulatedSessionReceiver,
  settled: readonly SettledReceiver[],
): string[] {
  const complaints: string[] = [];
  const check = (isGood: boolean, complaint: string) => {
    if (!isGood) complaints.push(complaint);
  };
  check(!receiver.isFalse, 'called complete what is not identical');
  check(settled.length === 1, `settled ${settled.length} times`);
  const [first] = settled;
  if (first === undefined) return complaints;
  const { atMs, outcome } = first;
  const said = `${outcome.status}${outcome.reason === undefined ? '' : ` (${outcome.reason})`}`;
  const results = receiver.results.map(({ status, reason }) => `${status} ${reason ?? ''}`).join();
  if (outcome.status === 'complete')
    check(receiver.isIdentical, 'called complete, but data is missing');
  else check(outcome.reason !== undefined, `${said} without a reason`);
  if (conditions.returns) {
    check(outcome.status === 'complete', `alive, reported as ${said}; its own results: ${results}`);
    check(
      receiver.results.at(-1)?.status === 'complete',
      `alive, reported ${results}; the sender ${said}`,
    );
    const boundMs = completionBoundMs(scenario);
    check(atMs <= boundMs, `complete at ${Math.round(atMs)} ms, not by ${boundMs}`);
  } else if (outcome.status !== 'complete') {
    check(outcome.status === 'failed', `is away, called ${said}`);
    const senderStartMs = Math.max(0, ...scenario.senderIncidents.map((i) => i.atMs));
    const goneAtMs = Math.max(senderStartMs, ...conditions.incidents.map((i) => i.atMs));
    const boundMs = goneAtMs + scenario.livenessTimeoutMs + 3000;
    check(atMs <= boundMs, `is away, failed at ${Math.round(atMs)} ms, not by ${boundMs}`);
  }
  if (isQuiet(scenario)) {
    // Two reasons: data in flight when a late receiver joins may reach it twice, up to one block. And the
    // manifest goes by multicast to late receivers, while the others have it already.
    const most = Math.max(10, segmentsPerBlock(scenario) + manifestSegments(scenario));
    const duplicates = receiver.results.reduce((sum, result) => sum + result.duplicates, 0);
    check(
      duplicates <= most,
      `${duplicates} datagrams twice on a network that loses nothing, not ${most}`,
    );
  }
  const { bufferBytes } = conditions;
  const { mssBytes, blockSizeBytes, senderIncidents } = scenario;
  // Each session may hold one block whatever the budget; a restarted sender opens another session.
  const sessions = 1 + senderIncidents.filter(({ fault }) => fault === 'start').length;
  const mostBytes = bufferBytes + (1 + sessions) * (blockSizeBytes + mssBytes);
  check(
    receiver.maxBufferedBytes <= mostBytes,
    `${receiver.maxBufferedBytes} bytes buffered, not ${mostBytes}`,
  );
  return complaints;
}

/**
 * Generous: as if blocks were sent one by one, each with rounds for loss, polls, disks and rates.
 */
export function completionBoundMs(scenario: SessionScenario): number {
  const { receivers, contentSizeBytes, fileCount, blockSizeBytes } = scenario;
  const { rateBytesPerSec = Infinity } = scenario;
  const sizeBytes = contentSizeBytes + 40 * fileCount;
  const blocks = 1 + Math.ceil(sizeBytes / blockSizeBytes);
  const reportIntervalMs = (1000 * receivers.length) / (0.7 * scenario.reportsPerSec);
  const diskMs = Math.max(...receivers.map((r) => blocks * r.writeTimeMs + r.storeTimeMs));
  const rateMs = (5000 * receivers.length * sizeBytes) / rateBytesPerSec;
  // Without loss, a block takes one round; otherwise about this many.
  const [startMs, lossMs, intervals] = isQuiet(scenario) ? [5000, 100, 2] : [30_000, 4000, 3];
  const blockMs = lossMs + intervals * reportIntervalMs + 2 * scenario.sourceTimeMs;
  return scenario.lastIncidentMs + startMs + blocks * blockMs + 2 * diskMs + rateMs;
}

/**
 * A second may start and end exactly at reports: one more for each receiver that is polled or due
 * then, and for each of its paths.
 */
function reportBudget({ reportsPerSec, receivers }: SessionScenario): number {
  const furtherPaths = receivers.reduce(
    (sum, each) => sum + each.furtherPaths.length + each.movesAfterMs.length,
    0,
  );
  return reportsPerSec + reportMargin + furtherPaths;
}

const reportMargin = 10;

/** No incidents, no loss, and buffers for everything. */
function isQuiet({ receivers, senderIncidents }: SessionScenario): boolean {
  return (
    senderIncidents.length === 0 &&
    receivers.every(
      ({ incidents, bufferBytes, forwardLink, backwardLink, furtherPaths, movesAfterMs }) =>
        incidents.length === 0 &&
        movesAfterMs.length === 0 &&
        // The last blocks may be sent by two paths.
        furtherPaths.length === 0 &&
        bufferBytes >= 48_000_000 &&
        [forwardLink, backwardLink].every(isQuietLink),
    )
  );
}

function isQuietLink(link: LinkOptions): boolean {
  const { jitterMs = 0, reorderProbability = 0, duplicateProbability = 0 } = link;
  const { corruptProbability = 0, rateBytesPerSec, loss = { model: 'none' } } = link;
  const chance = jitterMs + reorderProbability + duplicateProbability + corruptProbability;
  return chance === 0 && rateBytesPerSec === undefined && loss.model === 'none';
}

function segmentsPerBlock({ blockSizeBytes, mssBytes }: SessionScenario): number {
  return Math.ceil((blockSizeBytes + tagSizeBytes) / mssBytes);
}

function manifestSegments(scenario: SessionScenario): number {
  const { contentSizeBytes, fileCount, mssBytes, blockSizeBytes } = scenario;
  const manifest = encodeManifest(createManifestOfFiles(contentSizeBytes, fileCount));
  const geometry = createSessionGeometry(manifest.length, 0, mssBytes, blockSizeBytes);
  assert(geometry !== undefined, 'a scenario has a geometry');
  let count = 0;
  for (let i = 0; i < geometry.manifestBlockCount; i++) count += segmentCountOfBlock(geometry, i);
  return count;
}
