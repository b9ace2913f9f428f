/** What must be true of every session, however hard its conditions. */
import { at } from '../../src/assert.js';
import type {
  SettledReceiver,
  SimulatedSessionReceiver,
  SimulatedSessionResult,
} from '../../src/simulator/session-transfer.js';
import type { SessionReceiverScenario, SessionScenario } from './session-scenario.js';

/** @returns what is wrong, one complaint a line; nothing for a good run */
export function complaintsAboutSession(
  scenario: SessionScenario,
  run: SimulatedSessionResult,
): string[] {
  const complaints: string[] = [];
  const check = (isGood: boolean, complaint: string) => {
    if (!isGood) complaints.push(complaint);
  };
  check(run.isAtRest, `not at rest at ${run.virtualMs} ms, after ${run.steps} steps`);
  // A sender that is killed after its end is done twice.
  const lives = 1 + scenario.senderIncidents.filter(({ fate }) => fate === 'start').length;
  const times = run.sender.length;
  check(times >= 1 && times <= lives, `sender done ${times} times in ${lives} lives`);
  check(run.datagramsAfterEnd === 0, `${run.datagramsAfterEnd} datagrams after the end`);
  check(run.nonceReuses === 0, `${run.nonceReuses} nonces used twice`);
  const budget = reportBudget(scenario);
  check(
    run.maxReportsPerSec <= budget,
    `${run.maxReportsPerSec} reports in a second, not ${budget}`,
  );
  for (const [i, receiver] of run.receivers.entries()) {
    const settled = run.settled.filter(({ outcome }) => outcome.receiver === receiver.name);
    const conditions = at(scenario.receivers, i);
    for (const complaint of complaintsAboutReceiver(scenario, conditions, receiver, settled)) {
      complaints.push(`${receiver.name}: ${complaint}`);
    }
  }
  return complaints;
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
  if (outcome.status === 'complete') check(receiver.isIdentical, 'called complete, has not all');
  else check(outcome.reason !== undefined, `${said} without a reason`);
  if (conditions.returns) {
    check(outcome.status === 'complete', `lives, called ${said}; said itself ${results}`);
    check(
      receiver.results.at(-1)?.status === 'complete',
      `lives, said ${results}; the sender ${said}`,
    );
    const boundMs = completionBoundMs(scenario);
    check(atMs <= boundMs, `complete at ${Math.round(atMs)} ms, not by ${boundMs}`);
  } else if (outcome.status !== 'complete') {
    check(outcome.status === 'failed', `is away, called ${said}`);
    const senderStartMs = Math.max(0, ...scenario.senderIncidents.map((i) => i.atMs));
    const goneAtMs = Math.max(senderStartMs, ...conditions.incidents.map((i) => i.atMs));
    const boundMs = goneAtMs + scenario.giveUpAfterMs + 3000;
    check(atMs <= boundMs, `is away, failed at ${Math.round(atMs)} ms, not by ${boundMs}`);
  }
  const { bufferBytes } = conditions;
  const { mssBytes, segmentsPerBlock, senderIncidents } = scenario;
  // Each session may have one block whatever the budget is; a sender that was killed begins another.
  const sessions = 1 + senderIncidents.filter(({ fate }) => fate === 'start').length;
  const mostBytes = bufferBytes + (1 + sessions) * mssBytes * segmentsPerBlock;
  check(
    receiver.maxBufferedBytes <= mostBytes,
    `${receiver.maxBufferedBytes} bytes buffered, not ${mostBytes}`,
  );
  return complaints;
}

/** Generous: as if blocks went one by one, each with rounds for what is lost, polls, disks and rates. */
export function completionBoundMs(scenario: SessionScenario): number {
  const { receivers, contentSizeBytes, fileCount, rateBytesPerSec = Infinity } = scenario;
  const blockSizeBytes = scenario.mssBytes * scenario.segmentsPerBlock - 16;
  const sizeBytes = contentSizeBytes + 40 * fileCount;
  const blocks = 1 + Math.ceil(sizeBytes / blockSizeBytes);
  const reportIntervalMs = (1000 * receivers.length) / scenario.reportsPerSec;
  const diskMs = Math.max(...receivers.map((r) => blocks * r.writeTimeMs + r.storeTimeMs));
  const rateMs = (5000 * receivers.length * sizeBytes) / rateBytesPerSec;
  const blockMs = 4000 + 10 * reportIntervalMs + 2 * scenario.sourceTimeMs;
  return scenario.lastIncidentMs + 60_000 + blocks * blockMs + 2 * diskMs + rateMs;
}

/** The opening and the end come at once for all; between them everyone keeps to its turn. */
function reportBudget({ receivers, reportsPerSec }: SessionScenario): number {
  return Math.max(reportsPerSec, 1000) + 20 * receivers.length;
}
