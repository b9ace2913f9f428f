/** Executes one run in virtual time. */
import { assert } from '../../base/assert.js';
import { withoutUndefined } from '../../base/without-undefined.js';
import type { LinkOptions } from '../../simulator/link.js';
import { simulateSession } from '../../simulator/session-transfer.js';
import type { SimulatedTransferOptions } from '../../simulator/transfer.js';
import { simulateTransfer } from '../../simulator/transfer.js';
import { linkOverheadBytes } from '../model.js';
import type { Point } from '../parameters.js';
import { createLossSpec, isSession } from '../parameters.js';
import type { RunResult } from '../run-result.js';
import { simulateCache } from './cache.js';
import { simulateExchange } from './exchange.js';
import { simulateFetch } from './fetch.js';
import { simulateIncast } from './incast.js';
import { simulatePaths } from './paths.js';
import { simulateRelays } from './relays.js';

/**
 * Simulates one run and verifies its content.
 * @param rttMs the round-trip time to simulate; by default, that of the point
 * @throws P2mpError INVALID_ARGUMENT for a point that a valid plan cannot contain
 */
export function simulateRun(point: Point, seed: string, rttMs = point.rttMs): RunResult {
  if (point.sources !== undefined) return simulateFetch(point, seed, rttMs);
  if (point.hops !== undefined) return simulateRelays(point, seed, rttMs);
  if (point.objects !== undefined) return simulateCache(point, seed, rttMs);
  if (point.peers !== undefined) return simulateExchange(point, seed, rttMs);
  if (point.pathCount !== undefined) return simulateIncast(point, seed, rttMs);
  if (point.rateRatio !== undefined) return simulatePaths(point, seed, rttMs);
  return isSession(point) ? runSession(point, seed, rttMs) : runTransfer(point, seed, rttMs);
}

function runTransfer(point: Point, seed: string, rttMs: number): RunResult {
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

/** A session has no rounds: its receivers report what they miss. Losses happen on the path to each receiver. */
function runSession(point: Point, seed: string, rttMs: number): RunResult {
  const link = toLink(point, rttMs);
  const result = simulateSession({
    seed,
    receiverCount: point.receivers,
    contentSizeBytes: point.fileSizeBytes,
    mssBytes: point.mssBytes,
    hasGroup: point.protocol === 'multicast',
    forwardLink: { ...link, loss: createLossSpec(point) },
    backwardLink: link,
    sendTimeMs: point.sendTimeMs,
  });
  const [sender] = result.sender;
  assert(sender !== undefined, 'a simulated session without deadline ends');
  assert(!result.receivers.some(({ isFalse }) => isFalse), 'what is complete is identical');
  return {
    delayMs: sender.elapsedMs,
    rounds: 0,
    timeouts: 0,
    retransmissions: sender.repairs,
    datagrams: sender.datagramsSent,
    acks: sender.reportsReceived,
    completeReceivers: sender.receivers.filter(({ status }) => status === 'complete').length,
    rttMs,
  };
}

function toLink({ rateBytesPerSec, queueBytes }: Point, rttMs: number): LinkOptions {
  return {
    delayMs: rttMs / 2,
    ...(rateBytesPerSec === undefined ? {} : { rateBytesPerSec, overheadBytes: linkOverheadBytes }),
    ...withoutUndefined({ queueLimitBytes: queueBytes }),
  };
}

function toOptions(point: Point, seed: string, rttMs: number): SimulatedTransferOptions {
  const { timeoutMs } = point;
  const link = toLink(point, rttMs);
  return {
    seed,
    receiverCount: point.receivers,
    sizeBytes: point.fileSizeBytes,
    mssBytes: point.mssBytes,
    windowBlocks: point.window,
    timeout: timeoutMs === 'auto' ? { mode: 'auto' } : { mode: 'fixed', timeoutMs },
    loss: createLossSpec(point),
    forwardLink: link,
    backwardLink: link,
    sendTimeMs: point.sendTimeMs,
  };
}
