/** Executes one run in virtual time. */
import { assert } from '../base/assert.js';
import { withoutUndefined } from '../base/without-undefined.js';
import type { SimulatedTransferOptions } from '../simulator/transfer.js';
import { simulateTransfer } from '../simulator/transfer.js';
import { linkOverheadBytes } from './model.js';
import type { Point } from './parameters.js';
import { createLossSpec } from './parameters.js';
import type { RunResult } from './run-result.js';

/**
 * Simulates one run and verifies its content.
 * @param rttMs the round-trip time to simulate; by default, that of the point
 * @throws P2mpError INVALID_ARGUMENT for a point that a valid plan cannot contain
 */
export function simulateRun(point: Point, seed: string, rttMs = point.rttMs): RunResult {
  const { sender, receivers } = simulateTransfer(toOptions(point, seed, rttMs));
  assert(sender !== undefined, 'a simulated transfer without deadline ends');
  const identicalCount = receivers.filter(({ isIdentical }) => isIdentical).length;
  const completeCount = sender.receivers.filter(({ status }) => status === 'complete').length;
  assert(identicalCount >= completeCount, 'what is complete is identical');
  return {
    delayMs: sender.elapsedMs,
    rounds: sender.rounds,
    timeouts: sender.timeouts,
    retransmissions: sender.retransmissions,
    datagrams: sender.datagramsSent,
    acks: sender.acksReceived,
    completeReceivers: completeCount,
    rttMs,
  };
}

function toOptions(point: Point, seed: string, rttMs: number): SimulatedTransferOptions {
  const { timeoutMs, rateBytesPerSec, queueBytes } = point;
  const link = {
    delayMs: rttMs / 2,
    ...(rateBytesPerSec === undefined ? {} : { rateBytesPerSec, overheadBytes: linkOverheadBytes }),
    ...withoutUndefined({ queueLimitBytes: queueBytes }),
  };
  return {
    seed,
    receiverCount: point.receivers,
    sizeBytes: point.fileSizeBytes,
    mssBytes: point.mssBytes,
    windowBlocks: point.window,
    timeout: timeoutMs === 'auto' ? { mode: 'auto' } : { mode: 'fixed', timeoutMs },
    loss: createLossSpec(point.loss, point.lossModel),
    forwardLink: link,
    backwardLink: link,
    sendTimeMs: point.sendTimeMs,
  };
}
