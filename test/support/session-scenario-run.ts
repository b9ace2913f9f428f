/** Runs a session scenario in the simulator. */

import { simulateSession } from '../../src/simulator/session-transfer.js';
import type {
  SimulatedSessionOptions,
  SimulatedSessionResult,
} from '../../src/simulator/session-transfer-options.js';
import type { Passing } from '../../src/simulator/simulation.js';
import type { TraceRecord } from '../../src/simulator/trace.js';
import type { PathOutage, SessionScenario } from './session-scenario.js';
import { completionBoundMs } from './session-scenario-check.js';

/** Replacements between the machines and the simulated network that break them on purpose. */
export type SessionSabotage = Pick<SimulatedSessionOptions, 'wrapSender' | 'wrapReceiver'>;

/** A run that needs more steps counts as hanging. */
const maxSteps = 2_000_000;

export function runSessionScenario(
  scenario: SessionScenario,
  sabotage: SessionSabotage = {},
  trace?: (record: TraceRecord) => void,
): SimulatedSessionResult {
  const { receivers, senderIncidents, rateBytesPerSec, lastIncidentMs, ...rest } = scenario;
  const { pathOutages, ...options } = rest;
  return simulateSession({
    ...options,
    receiverCount: receivers.length,
    // The conditions that are options of a simulated receiver.
    receivers: receivers.map(({ returns, incidents, isReachedByGroup, ...options }) => options),
    groupReaches: (receiver) => receivers[receiver]?.isReachedByGroup === true,
    incidents: [...senderIncidents, ...receivers.flatMap(({ incidents }) => incidents)],
    ...(rateBytesPerSec === undefined ? {} : { rateBytesPerSec }),
    deadlineMs: restDeadlineMs(scenario),
    watchesNonces: true,
    maxSteps,
    ...(pathOutages.length > 0 && {
      intercept: (each) => (isOut(pathOutages, each) ? [] : [each.bytes]),
    }),
    ...sabotage,
    ...(trace === undefined ? {} : { trace }),
  });
}

function isOut(outages: readonly PathOutage[], { from, to, atMs }: Passing): boolean {
  const [, number = '0'] = /^10\.(\d)\./.exec(to) ?? /^10\.(\d)\./.exec(from) ?? [];
  return outages.some(
    ({ path, fromMs, untilMs }) => path === Number(number) && atMs >= fromMs && atMs < untilMs,
  );
}

/**
 * Everything must be finished by then: liveness timeout, idle timeout of receivers, repeated
 * messages.
 */
function restDeadlineMs(scenario: SessionScenario): number {
  return completionBoundMs(scenario) + 10 * scenario.livenessTimeoutMs + 120_000;
}
