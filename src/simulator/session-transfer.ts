/**
 * Simulates a session in virtual time: one sender and N receivers, with crashes, restarts and network
 * outages. Verifies every byte at every receiver. A disk loses its non-durable data when its host dies.
 */

import { at } from '../base/assert.js';
import { checkOptions } from '../base/options/check-options.js';
import { withoutUndefined } from '../base/without-undefined.js';
import { addressOnPath, connectPairs, furtherAddresses, sumCounts } from './link-pairs.js';
import { SessionReceiverRole } from './roles/session-receiver.js';
import { SessionSenderRole } from './roles/session-sender.js';
import { NonceLog } from './session-crypto.js';
import type {
  SimulatedSessionOptions,
  SimulatedSessionResult,
} from './session-transfer-options.js';
import { furtherCountOf, sessionChecks } from './session-transfer-options.js';
import { Simulation } from './simulation.js';
import { createContent } from './transfer.js';

/**
 * Runs a whole session in virtual time, with injected faults.
 * @throws P2mpError INVALID_ARGUMENT
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
  checkOptions(options, sessionChecks);
  const simulation = new Simulation(options);
  const content = createContent(options.seed, options.contentSizeBytes);
  const nonces = options.watchesNonces === true ? new NonceLog() : undefined;
  const sender = new SessionSenderRole(simulation, content, options, nonces);
  const { sendTimeMs } = options;
  const addresses = ['sender', ...furtherAddresses('sender', furtherCountOf(options))];
  const senderHost = simulation.addRole('sender', sender, {
    addresses,
    ...withoutUndefined({ sendTimeMs }),
  });
  const receivers = Array.from({ length: options.receiverCount }, (_, i) => {
    const own = { ...options, ...options.receivers?.[i] };
    const name = `r${i + 1}`;
    const role = new SessionReceiverRole(simulation, name, i, content, own, nonces);
    const ownAddresses = [name, ...furtherAddresses(i, own.furtherPaths?.length ?? 0)];
    return { role, host: simulation.addRole(name, role, { addresses: ownAddresses }) };
  });
  const ends = receivers.map(({ host: { name }, role: { options } }) => ({ name, ...options }));
  const links = connectPairs(simulation, 'sender', ends);
  for (const [receiver, { furtherPaths = [] }] of ends.entries()) {
    for (const [i, path] of furtherPaths.entries()) {
      const end = { name: addressOnPath(receiver, i + 1), ...path };
      links.push(...connectPairs(simulation, addressOnPath('sender', i + 1), [end]));
    }
  }
  for (const { atMs, host, fault } of options.incidents ?? []) {
    simulation.at(atMs, () => {
      (host === 'sender' ? senderHost : at(receivers, host).host).inject(fault);
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
    receivers: receivers.map(({ role }) => role.toResult()),
    isAtRest: hasEnded && !isOver(),
    datagramsAfterEnd: sender.datagramsAfterEnd,
    maxReportsPerSec: sender.maxReportsPerSec,
    reportsBySecond: sender.reportsBySecond,
    nonceReuses: nonces?.reuses ?? 0,
    links: sumCounts(links),
    virtualMs: simulation.nowMs,
    steps: simulation.steps,
  };
}
