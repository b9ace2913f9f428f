/**
 * Simulates a whole transfer in virtual time: one sender and N receivers, each with its own pair of links.
 * Verifies every byte at every receiver, so every experiment is also a test.
 */
import { at } from '../base/assert.js';
import type { TimeMs } from '../base/machine.js';
import { createRandom } from '../base/random.js';
import { withoutUndefined } from '../base/without-undefined.js';
import type { ReceiverEvent, TransferResult } from '../classic/receiver-events.js';
import type { SenderEvent, SenderResult } from '../classic/sender-events.js';
import type { SenderOptions } from '../classic/sender-options.js';
import type { LossSpec } from '../loss.js';
import { createLossModel } from '../loss.js';
import { Receiver } from '../receiver.js';
import { Sender } from '../sender.js';
import type { LinkCounts, LinkOptions } from './link.js';
import { createLinkCounts } from './link.js';
import type { SimulationOptions } from './simulation.js';
import { type SimulatedHost, Simulation } from './simulation.js';

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
  const simulation = new Simulation(options);
  const content = createContent(options.seed, options.sizeBytes);
  const receivers = Array.from({ length: options.receiverCount }, (_, i) =>
    addReceiver(simulation, `r${i + 1}`, content, options),
  );
  const sending = addSender(simulation, receivers, content, options);
  const links = receivers.flatMap(({ name }) => {
    const forward = simulation.createLink(`to ${name}`, options.forwardLink);
    const backward = simulation.createLink(`from ${name}`, options.backwardLink);
    simulation.connect('sender', name, [forward]);
    simulation.connect(name, 'sender', [backward]);
    return [forward, backward];
  });
  for (const { receiver, atMs } of options.deaths ?? []) {
    simulation.at(atMs, () => {
      at(receivers, receiver).host.isDown = true;
    });
  }
  const { deadlineMs } = options;
  const isAtRest = simulation.run(deadlineMs === undefined ? {} : { untilMs: deadlineMs });
  return {
    sender: sending.result,
    receivers: receivers.map((receiver) => receiver.toResult()),
    isAtRest,
    datagramsAfterEnd: sending.datagramsAfterEnd,
    virtualMs: simulation.nowMs,
    steps: simulation.steps,
    links: sumCounts(links.map((link) => link.counts)),
  };
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

interface Sending {
  result: SenderResult | undefined;
  datagramsAfterEnd: number;
}

function addSender(
  simulation: Simulation,
  receivers: readonly { readonly name: string }[],
  content: Uint8Array,
  options: SimulatedTransferOptions,
): Sending {
  const sender = new Sender({
    ...options,
    receivers: receivers.map(({ name }) => ({ name, address: Simulation.address(name) })),
  });
  const sending: Sending = { result: undefined, datagramsAfterEnd: 0 };
  const handleEvent = (event: SenderEvent): void => {
    switch (event.type) {
      case 'need': {
        const { blockIndex, offsetBytes, sizeBytes } = event;
        const bytes = content.subarray(offsetBytes, offsetBytes + sizeBytes);
        sender.provideBlock(simulation.nowMs, blockIndex, bytes);
        break;
      }
      case 'check-source':
        sender.confirmSource(simulation.nowMs);
        break;
      case 'done':
        sending.result = event.result;
        break;
    }
  };
  const machine = {
    handleDatagram: sender.handleDatagram.bind(sender),
    handleTimeout: sender.handleTimeout.bind(sender),
    pollTimeout: sender.pollTimeout.bind(sender),
    pollEvent: sender.pollEvent.bind(sender),
    pollTransmit: (nowMs: TimeMs) => {
      const transmit = sender.pollTransmit(nowMs);
      if (transmit !== undefined && sending.result !== undefined) sending.datagramsAfterEnd++;
      return transmit;
    },
  };
  const { sendTimeMs } = options;
  simulation.addHost(
    'sender',
    machine,
    handleEvent,
    sendTimeMs === undefined ? {} : { sendTimeMs },
  );
  return sending;
}

function addReceiver(
  simulation: Simulation,
  name: string,
  content: Uint8Array,
  options: SimulatedTransferOptions,
) {
  const { loss = { model: 'none' }, idleTimeoutMs, storeTimeMs = 0 } = options;
  const machine = new Receiver({
    loss: createLossModel(loss, createRandom(receiverSeed(options.seed, name))),
    ...withoutUndefined({ idleTimeoutMs }),
  });
  const transfers: TransferResult[] = [];
  let writtenBytes = 0;
  let isDamaged = false;
  let isStored = false;
  let maxUnwrittenBytes = 0;
  const handleEvent = (event: ReceiverEvent): void => {
    switch (event.type) {
      case 'open':
      case 'discard':
        writtenBytes = 0;
        isStored = false;
        break;
      case 'write': {
        const { offsetBytes, bytes } = event;
        isDamaged ||= offsetBytes !== writtenBytes || !isSame(bytes, content, offsetBytes);
        maxUnwrittenBytes = Math.max(maxUnwrittenBytes, machine.receivedBytes - writtenBytes);
        writtenBytes += bytes.length;
        machine.handleWritten(writtenBytes);
        break;
      }
      case 'finish':
        simulation.at(simulation.nowMs + storeTimeMs, () => {
          isStored = true;
          machine.handleStored(simulation.nowMs);
          host.drain();
        });
        break;
      case 'done':
        transfers.push(event.result);
        break;
    }
  };
  const host: SimulatedHost = simulation.addHost(name, machine, handleEvent);
  const toResult = (): SimulatedReceiverResult => ({
    name,
    transfers,
    isIdentical: isStored && !isDamaged && writtenBytes === content.length,
    isDamaged,
    maxUnwrittenBytes,
  });
  return { name, host, toResult };
}

function isSame(bytes: Uint8Array, content: Uint8Array, offsetBytes: number): boolean {
  if (offsetBytes + bytes.length > content.length) return false;
  for (let i = 0; i < bytes.length; i++) {
    if (bytes[i] !== content[offsetBytes + i]) return false;
  }
  return true;
}

function sumCounts(all: readonly LinkCounts[]): LinkCounts {
  const total = createLinkCounts();
  for (const counts of all) {
    for (const key of Object.keys(total) as (keyof LinkCounts)[]) total[key] += counts[key];
  }
  return total;
}
