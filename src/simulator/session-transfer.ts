/**
 * Simulates a session in virtual time: one sender and N receivers, with crashes, restarts and network
 * outages. Verifies every byte at every receiver. A disk loses its non-durable data when its host dies.
 */

import { at } from '../base/assert.js';
import { withoutUndefined } from '../base/without-undefined.js';
import type { LinkCounts } from './link.js';
import { createLinkCounts } from './link.js';
import { NonceLog } from './session-crypto.js';
import { SessionReceiverHost } from './session-receiver-host.js';
import { SessionSenderHost } from './session-sender-host.js';
import type {
  SimulatedSessionOptions,
  SimulatedSessionResult,
} from './session-transfer-options.js';
import { Simulation } from './simulation.js';
import { createContent } from './transfer.js';

/**
 * Runs a whole session in virtual time, with injected faults.
 * @example
 * ```ts
 * import { simulateSession } from 'p2mp/core';
 *
 * const { receivers } = simulateSession({
 *   seed: 'example',
 *   receiverCount: 3,
 *   contentSizeBytes: 100_000,
 *   forwardLink: { delayMs: 5, loss: { model: 'bernoulli', probability: 0.05 } },
 * });
 * console.log(receivers.every(({ isIdentical }) => isIdentical)); // true
 * ```
 */
export function simulateSession(options: SimulatedSessionOptions): SimulatedSessionResult {
  const simulation = new Simulation(options);
  const content = createContent(options.seed, options.contentSizeBytes);
  const nonces = options.watchesNonces === true ? new NonceLog() : undefined;
  const sender = new SessionSenderHost(simulation, content, options, nonces);
  const receivers = Array.from({ length: options.receiverCount }, (_, i) => {
    const own = { ...options, ...options.receivers?.[i] };
    return new SessionReceiverHost(simulation, i, content, own, nonces);
  });
  const links = receivers.flatMap(({ name, options: { forwardLink, backwardLink } }) => {
    const forward = simulation.createLink(`to ${name}`, forwardLink);
    const backward = simulation.createLink(`from ${name}`, backwardLink);
    simulation.connect('sender', name, [forward]);
    simulation.connect(name, 'sender', [backward]);
    return [forward, backward];
  });
  for (const { atMs, host, fault } of options.incidents ?? []) {
    simulation.at(atMs, () => {
      (host === 'sender' ? sender : at(receivers, host)).inject(fault);
    });
  }
  const { deadlineMs, maxSteps = Infinity } = options;
  const isOver = () => simulation.steps > maxSteps;
  const hasEnded = simulation.run({
    isOver,
    ...withoutUndefined({ untilMs: deadlineMs }),
  });
  return {
    sender: sender.results,
    settled: sender.settled,
    receivers: receivers.map((receiver) => receiver.toResult()),
    isAtRest: hasEnded && !isOver(),
    datagramsAfterEnd: sender.datagramsAfterEnd,
    maxReportsPerSec: sender.maxReportsPerSec,
    reportsBySecond: sender.reportsBySecond,
    nonceReuses: nonces?.reuses ?? 0,
    links: sumOfCounts(links.map(({ counts }) => counts)),
    virtualMs: simulation.nowMs,
    steps: simulation.steps,
  };
}

function sumOfCounts(all: readonly LinkCounts[]): LinkCounts {
  const total = createLinkCounts();
  for (const counts of all) {
    for (const key of Object.keys(total) as (keyof LinkCounts)[]) total[key] += counts[key];
  }
  return total;
}
