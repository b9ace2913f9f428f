/**
 * Simulates a whole transfer in virtual time: one sender and N receivers, each with its own pair of links.
 * Verifies every byte at every receiver, so every experiment is also a test.
 */
import { at } from '../base/assert.js';
import type { TimeMs } from '../base/machine.js';
import type { Checks } from '../base/options/check-options.js';
import { checkOptions, listOf, number, objectOf, required } from '../base/options/check-options.js';
import { createRandom } from '../base/random.js';
import { withoutUndefined } from '../base/without-undefined.js';
import type { TransferResult } from '../classic/receiver-events.js';
import type { SenderResult } from '../classic/sender-events.js';
import type { SenderOptions } from '../classic/sender-options.js';
import { senderChecks } from '../classic/sender-options.js';
import type { LossSpec } from '../loss.js';
import { createLossModel, lossCheck } from '../loss.js';
import type { LinkCounts, LinkOptions } from './link.js';
import { linkChecks } from './link.js';
import { connectPairs, sumCounts } from './link-pairs.js';
import { ClassicReceiverRole } from './roles/classic-receiver.js';
import { ClassicSenderRole } from './roles/classic-sender.js';
import type { SimulationOptions } from './simulation.js';
import { Simulation, simulationChecks } from './simulation.js';

/** Options of a simulated P2MP-FTP transfer: file, receivers, links, loss and seed. */
export interface SimulatedTransferOptions
  extends SimulationOptions,
    Omit<SenderOptions, 'receivers'> {
  /** Number of receivers, at least 1. */
  readonly receiverCount: number;
  /** Loss model of each receiver. Only data packets are dropped. */
  readonly loss?: LossSpec;
  /** The link to each receiver. */
  readonly forwardLink?: LinkOptions;
  /** The link back from each receiver. */
  readonly backwardLink?: LinkOptions;
  /** Time that the sender spends on each datagram; the sender sends one datagram after another. */
  readonly sendTimeMs?: number;
  /** Time that each receiver takes to make a file durable. */
  readonly storeTimeMs?: number;
  /** Receivers that crash for good, by index. */
  readonly deaths?: readonly { readonly receiver: number; readonly atMs: TimeMs }[];
  /** Duration of silence after which a receiver ends a transfer; the default is that of `Receiver`. */
  readonly idleTimeoutMs?: number;
  /** Virtual time at which the run is stopped. */
  readonly deadlineMs?: TimeMs;
}

const checks: Checks<SimulatedTransferOptions> = {
  ...simulationChecks,
  ...senderChecks,
  receiverCount: required(number),
  loss: lossCheck,
  forwardLink: objectOf(linkChecks),
  backwardLink: objectOf(linkChecks),
  sendTimeMs: number,
  storeTimeMs: number,
  deaths: listOf(
    objectOf<{ receiver: number; atMs: number }>({
      receiver: required(number),
      atMs: required(number),
    }),
  ),
  idleTimeoutMs: number,
  deadlineMs: number,
};

/** Result of a simulated transfer. */
export interface SimulatedTransferResult {
  /** Undefined if the sender did not finish before the deadline. */
  readonly sender: SenderResult | undefined;
  readonly receivers: readonly SimulatedReceiverResult[];
  /** Whether the simulation ran out of events before the deadline. */
  readonly isAtRest: boolean;
  /** Datagrams sent after the sender reported `done`. */
  readonly datagramsAfterEnd: number;
  readonly virtualMs: TimeMs;
  /** Number of simulated events. */
  readonly steps: number;
  readonly links: LinkCounts;
}

/** How a simulated transfer ended at one receiver. */
export interface SimulatedReceiverResult {
  readonly name: string;
  readonly transfers: readonly TransferResult[];
  /** Whether the receiver durably holds exactly the bytes sent. */
  readonly isIdentical: boolean;
  /** Whether the receiver wrote a wrong byte, or a byte at a wrong offset. */
  readonly isDamaged: boolean;
  /** Maximum amount of payload that was waiting to be written at any one time. */
  readonly maxUnwrittenBytes: number;
}

/**
 * Runs a whole P2MP-FTP transfer in virtual time.
 * @throws P2mpError INVALID_ARGUMENT
 * @example
 * ```ts
 * import { simulateTransfer } from 'p2mp/core';
 *
 * const { sender, receivers } = simulateTransfer({
 *   seed: 'example',
 *   receiverCount: 3,
 *   sizeBytes: 10_000,
 *   mssBytes: 500,
 *   loss: { model: 'bernoulli', probability: 0.05 },
 * });
 * console.log(sender?.segmentCount, receivers.every(({ isIdentical }) => isIdentical)); // 20 true
 * ```
 */
export function simulateTransfer(options: SimulatedTransferOptions): SimulatedTransferResult {
  checkOptions(options, checks);
  const simulation = new Simulation(options);
  const content = createContent(options.seed, options.sizeBytes);
  const { forwardLink, backwardLink, sendTimeMs } = options;
  const receivers = Array.from({ length: options.receiverCount }, (_, i) => {
    const name = `r${i + 1}`;
    const role = createReceiver(simulation, name, content, options);
    return { name, role, host: simulation.addRole(name, role) };
  });
  const sender = new ClassicSenderRole(simulation, {
    sender: {
      ...options,
      receivers: receivers.map(({ name }) => ({ name, address: Simulation.address(name) })),
    },
    content,
  });
  simulation.addRole('sender', sender, withoutUndefined({ sendTimeMs }));
  const ends = receivers.map(({ name }) => ({ name, forwardLink, backwardLink }));
  const links = connectPairs(simulation, 'sender', ends);
  for (const { receiver, atMs } of options.deaths ?? []) {
    simulation.at(atMs, () => at(receivers, receiver).host.inject('kill'));
  }
  const { deadlineMs } = options;
  const isAtRest = simulation.run(deadlineMs === undefined ? {} : { untilMs: deadlineMs });
  return {
    sender: sender.results[0],
    receivers: receivers.map(({ name, role }) => ({
      name,
      transfers: role.transfers,
      isIdentical: role.isIdentical,
      isDamaged: role.damages.length > 0,
      maxUnwrittenBytes: role.maxUnwrittenBytes,
    })),
    isAtRest,
    datagramsAfterEnd: sender.datagramsAfterEnd,
    virtualMs: simulation.nowMs,
    steps: simulation.steps,
    links: sumCounts(links),
  };
}

function createReceiver(
  simulation: Simulation,
  name: string,
  content: Uint8Array,
  options: SimulatedTransferOptions,
): ClassicReceiverRole {
  const { loss = { model: 'none' }, idleTimeoutMs, storeTimeMs } = options;
  const receiver = {
    loss: createLossModel(loss, createRandom(receiverSeed(options.seed, name))),
    ...withoutUndefined({ idleTimeoutMs }),
  };
  return new ClassicReceiverRole(simulation, {
    ...{ receiver, content },
    ...withoutUndefined({ storeTimeMs }),
  });
}

/**
 * Returns the seed of a receiver's loss model. With this seed, `p2mpserver --seed` drops exactly the same
 * arriving packets on a real network.
 * @example
 * ```ts
 * import { receiverSeed } from 'p2mp/core';
 *
 * console.log(receiverSeed('seed', 'r1')); // seed r1
 * ```
 */
export function receiverSeed(seed: string, name: string): string {
  return `${seed} ${name}`;
}

/**
 * Creates random content, in which a shift, swap or repetition of bytes is detectable.
 * @example
 * ```ts
 * import { createContent } from 'p2mp/core';
 *
 * console.log(createContent('seed', 1000).length); // 1000
 * ```
 */
export function createContent(seed: string, sizeBytes: number): Uint8Array {
  const random = createRandom(seed, 'content');
  const words = new Uint32Array(Math.ceil(sizeBytes / 4));
  for (let i = 0; i < words.length; i++) words[i] = random() * 2 ** 32;
  return new Uint8Array(words.buffer, 0, sizeBytes);
}
