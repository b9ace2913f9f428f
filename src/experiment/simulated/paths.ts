/** Executes one session by two paths in virtual time, and the same by each of them alone. */
import { assert } from '../../base/assert.js';
import { withoutUndefined } from '../../base/without-undefined.js';
import type { SessionSenderResult } from '../../session/sender-events.js';
import { simulateSession } from '../../simulator/session-transfer.js';
import type { SimulatedPath } from '../../simulator/session-transfer-options.js';
import { linkOverheadBytes } from '../model.js';
import type { Point } from '../parameters.js';
import { createLossSpec } from '../parameters.js';
import type { RunResult } from '../run-result.js';

/** Simulates a session by both paths, and verifies its content. Its delay is compared with that of each path alone. */
export function simulatePaths(point: Point, seed: string, rttMs: number): RunResult {
  const { rateRatio = 1, rttRatio = 1, firstPath } = point;
  const fast = pathOf(point, rttMs, 1, 1);
  const slow = pathOf(point, rttMs, rateRatio, rttRatio);
  const both = send(point, seed, firstPath === 'slow' ? [slow, fast] : [fast, slow]);
  const [fastAlone, slowAlone] = [send(point, seed, [fast]), send(point, seed, [slow])];
  const results = [both, fastAlone, slowAlone];
  return {
    delayMs: both.elapsedMs,
    rounds: 0,
    timeouts: 0,
    retransmissions: both.repairs,
    datagrams: both.datagramsSent,
    acks: both.reportsReceived,
    completeReceivers: results.every(isComplete) ? 1 : 0,
    fastAloneMs: fastAlone.elapsedMs,
    slowAloneMs: slowAlone.elapsedMs,
    rttMs,
  };
}

function send(
  { fileSizeBytes, mssBytes, sendTimeMs }: Point,
  seed: string,
  [first, ...furtherPaths]: readonly SimulatedPath[],
): SessionSenderResult {
  const result = simulateSession({
    ...{ seed, receiverCount: 1, contentSizeBytes: fileSizeBytes, mssBytes, sendTimeMs },
    ...first,
    furtherPaths,
    namesAllAddresses: true,
  });
  const [sender] = result.sender;
  assert(sender !== undefined, 'a simulated session without deadline ends');
  assert(!result.receivers.some(({ isFalse }) => isFalse), 'what is complete is identical');
  return sender;
}

function isComplete({ receivers }: SessionSenderResult): boolean {
  return receivers.every(({ status }) => status === 'complete');
}

/** The queue of a path has room for as many round trips as that of the fast one, but not for fewer bytes. */
function pathOf(point: Point, rttMs: number, rateRatio: number, rttRatio: number): SimulatedPath {
  const { rateBytesPerSec = Infinity, queueBytes } = point;
  const queueLimitBytes =
    queueBytes === undefined ? undefined : queueBytes * Math.max(1, rttRatio / rateRatio);
  const link = {
    ...{ delayMs: (rttMs * rttRatio) / 2, rateBytesPerSec: rateBytesPerSec / rateRatio },
    ...{ overheadBytes: linkOverheadBytes, ...withoutUndefined({ queueLimitBytes }) },
  };
  return { forwardLink: { ...link, loss: createLossSpec(point) }, backwardLink: link };
}
