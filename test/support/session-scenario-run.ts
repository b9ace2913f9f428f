/** Runs a session scenario in the simulator. */

import { simulateSession } from '../../src/simulator/session-transfer.js';
import type {
  SimulatedSessionOptions,
  SimulatedSessionResult,
} from '../../src/simulator/session-transfer-options.js';
import type { TraceRecord } from '../../src/simulator/trace.js';
import type { SessionScenario } from './session-scenario.js';
import { completionBoundMs } from './session-scenario-check.js';

/** What a test may put between the machines and the simulated network, to break them. */
export type SessionSabotage = Pick<SimulatedSessionOptions, 'wrapSender' | 'wrapReceiver'>;

/** A run that needs more happenings than this hangs. */
const maxSteps = 2_000_000;

export function runSessionScenario(
  scenario: SessionScenario,
  sabotage: SessionSabotage = {},
  trace?: (record: TraceRecord) => void,
): SimulatedSessionResult {
  const { receivers, senderIncidents, rateBytesPerSec, lastIncidentMs, ...options } = scenario;
  return simulateSession({
    ...options,
    receiverCount: receivers.length,
    receivers,
    groupReaches: (receiver) => receivers[receiver]?.isReachedByGroup === true,
    incidents: [...senderIncidents, ...receivers.flatMap(({ incidents }) => incidents)],
    ...(rateBytesPerSec === undefined ? {} : { rateBytesPerSec }),
    deadlineMs: restDeadlineMs(scenario),
    watchesNonces: true,
    maxSteps,
    ...sabotage,
    ...(trace === undefined ? {} : { trace }),
  });
}

/** By then everything has come to rest: patience, the idle timeout of receivers, words repeated. */
function restDeadlineMs(scenario: SessionScenario): number {
  return completionBoundMs(scenario) + 10 * scenario.giveUpAfterMs + 120_000;
}
