/** Runs a scenario in the simulator and records what the checkers need. */

import type { Machine, TimeMs, Transmit } from '../../src/base/machine.js';
import { createRandom } from '../../src/base/random.js';
import type { ReceiverEvent, TransferResult } from '../../src/classic/receiver-events.js';
import type { ReceiverOptions } from '../../src/classic/receiver-options.js';
import type { SenderEvent, SenderResult } from '../../src/classic/sender-events.js';
import type { SenderOptions } from '../../src/classic/sender-options.js';
import { createLossModel } from '../../src/loss.js';
import { Receiver } from '../../src/receiver.js';
import { Sender } from '../../src/sender.js';
import type { LinkCounts } from '../../src/simulator/link.js';
import { type SimulatedHost, Simulation } from '../../src/simulator/simulation.js';
import type { TraceRecord } from '../../src/simulator/trace.js';
import { createContent } from '../../src/simulator/transfer.js';
import { isQuestion } from './driven-sender.js';
import type { ReceiverScenario, Scenario } from './scenario.js';

export interface ScenarioRun {
  readonly isAtRest: boolean;
  readonly steps: number;
  readonly virtualMs: TimeMs;
  readonly sending: Sending;
  readonly receiving: readonly Receiving[];
  /** Totals of all links. */
  readonly links: LinkCounts;
}

export interface Sending {
  results: SenderResult[];
  datagrams: number;
  datagramsAfterEnd: number;
  maxBlocksHeld: number;
  /** Events left in the machine after a full drain. */
  maxEventsLeft: number;
}

export interface Receiving {
  readonly name: string;
  readonly isDead: boolean;
  readonly transfers: TransferResult[];
  /** Bytes passed to the writer, all correct and in place. */
  takenBytes: number;
  isOpened: boolean;
  isStored: boolean;
  storedBytes: number;
  damages: string[];
  maxUnwrittenBytes: number;
  maxEventsLeft: number;
}

/** Replacements between the machines and the simulated network that break them on purpose. */
export interface Sabotage {
  readonly senderOptions?: Partial<SenderOptions>;
  readonly receiverOptions?: ReceiverOptions;
  readonly wrapSender?: (sender: Sender) => Machine<SenderEvent>;
  readonly wrapReceiver?: (receiver: Receiver) => Machine<ReceiverEvent>;
}

/** A run that needs more steps counts as hanging. */
const maxSteps = 5_000_000;

export function runScenario(
  scenario: Scenario,
  sabotage: Sabotage = {},
  trace?: (record: TraceRecord) => void,
): ScenarioRun {
  const { seed, deadlineMs } = scenario;
  const simulation = new Simulation({ seed, ...(trace === undefined ? {} : { trace }) });
  const content = createContent(seed, scenario.sizeBytes);
  const receiving = scenario.receivers.map((receiver) =>
    addReceiver(simulation, scenario, receiver, content, sabotage),
  );
  const sending = addSender(simulation, scenario, content, sabotage);
  const links = scenario.receivers.flatMap(({ name, forwardLink, backwardLink }) => {
    const forward = simulation.createLink(`to ${name}`, forwardLink);
    const backward = simulation.createLink(`from ${name}`, backwardLink);
    simulation.connect('sender', name, [forward]);
    simulation.connect(name, 'sender', [backward]);
    return [forward, backward];
  });
  const isOver = () => simulation.steps > maxSteps;
  const hasEnded = simulation.run({ untilMs: deadlineMs, isOver });
  return {
    isAtRest: hasEnded && !isOver(),
    steps: simulation.steps,
    virtualMs: simulation.nowMs,
    sending,
    receiving,
    links: sum(links.map(({ counts }) => counts)),
  };
}

/** Wraps a machine; `overrides` replace its methods. */
export function delegate<Event>(
  machine: Machine<Event>,
  overrides: Partial<Machine<Event>> = {},
): Machine<Event> {
  return {
    handleDatagram: machine.handleDatagram.bind(machine),
    handleTimeout: machine.handleTimeout.bind(machine),
    pollTransmit: machine.pollTransmit.bind(machine),
    pollTimeout: machine.pollTimeout.bind(machine),
    pollEvent: machine.pollEvent.bind(machine),
    ...overrides,
  };
}

function sum(all: readonly LinkCounts[]): LinkCounts {
  const total = { sent: 0, lost: 0, queueFull: 0, corrupted: 0, duplicated: 0, reordered: 0 };
  for (const counts of all) {
    for (const key of Object.keys(total) as (keyof LinkCounts)[]) total[key] += counts[key];
  }
  return total;
}

function addSender(
  simulation: Simulation,
  scenario: Scenario,
  content: Uint8Array,
  sabotage: Sabotage,
): Sending {
  const { receivers, sendTimeMs, sourceTimeMs, ...options } = scenario;
  const sender = new Sender({
    ...options,
    receivers: receivers.map(({ name }) => ({ name, address: Simulation.address(name) })),
    ...sabotage.senderOptions,
  });
  const sending: Sending = {
    results: [],
    datagrams: 0,
    datagramsAfterEnd: 0,
    maxBlocksHeld: 0,
    maxEventsLeft: 0,
  };
  const machine = sabotage.wrapSender?.(sender) ?? sender;
  const watched = delegate(machine, {
    pollTransmit: (nowMs): Transmit | undefined => {
      const transmit = machine.pollTransmit(nowMs);
      if (transmit !== undefined) {
        if (!isQuestion(transmit.bytes)) sending.datagrams++;
        if (sending.results.length > 0) sending.datagramsAfterEnd++;
      }
      return transmit;
    },
    // Requested at the end of each drain: undelivered events then stay in the machine.
    pollTimeout: () => {
      const { window, events } = heldBySender(sender);
      sending.maxBlocksHeld = Math.max(sending.maxBlocksHeld, window);
      sending.maxEventsLeft = Math.max(sending.maxEventsLeft, events);
      return machine.pollTimeout();
    },
  });
  const provide = ({ blockIndex, offsetBytes, sizeBytes }: NeedEvent): void => {
    const bytes = content.subarray(offsetBytes, offsetBytes + sizeBytes);
    sender.provideBlock(simulation.nowMs, blockIndex, bytes);
  };
  const handleEvent = (event: SenderEvent): void => {
    if (event.type === 'need' && sourceTimeMs === 0) provide(event);
    else if (event.type === 'need') {
      simulation.at(simulation.nowMs + sourceTimeMs, () => {
        provide(event);
        host.drain();
      });
    } else if (event.type === 'check-source') sender.confirmSource(simulation.nowMs);
    else if (event.type === 'done') sending.results.push(event.result);
  };
  const host: SimulatedHost = simulation.addHost('sender', watched, handleEvent, { sendTimeMs });
  return sending;
}

type NeedEvent = Extract<SenderEvent, { type: 'need' }>;

/** Internal state of the machine. */
function heldBySender(sender: Sender): { window: number; events: number } {
  return { window: sender['window'].length, events: sender['events'].length };
}

function addReceiver(
  simulation: Simulation,
  scenario: Scenario,
  { name, loss, writeTimeMs, storeTimeMs, diesAtMs }: ReceiverScenario,
  content: Uint8Array,
  sabotage: Sabotage,
): Receiving {
  const receiver = new Receiver({
    loss: createLossModel(loss, createRandom(scenario.seed, 'receiver', name)),
    maxUnwrittenBytes: scenario.maxUnwrittenBytes,
    ...sabotage.receiverOptions,
  });
  const receiving: Receiving = {
    name,
    isDead: diesAtMs !== undefined,
    transfers: [],
    takenBytes: 0,
    isOpened: false,
    isStored: false,
    storedBytes: 0,
    damages: [],
    maxUnwrittenBytes: 0,
    maxEventsLeft: 0,
  };
  let writtenBytes = 0;
  let diskIsFreeAtMs = 0;
  /** The disk does one thing at a time, and stops with its host. */
  const onDisk = (timeMs: number, action: () => void): void => {
    diskIsFreeAtMs = Math.max(diskIsFreeAtMs, simulation.nowMs) + timeMs;
    simulation.at(diskIsFreeAtMs, () => {
      if (host.isDown) return;
      action();
      host.drain();
    });
  };
  const handleEvent = (event: ReceiverEvent): void => {
    if (event.type === 'open') {
      if (receiving.isOpened) receiving.damages.push('began a second time');
      receiving.isOpened = true;
    } else if (event.type === 'write') {
      const { offsetBytes, bytes } = event;
      if (offsetBytes !== receiving.takenBytes) receiving.damages.push(`gap at ${offsetBytes}`);
      if (!isPartOf(content, offsetBytes, bytes)) receiving.damages.push(`bytes at ${offsetBytes}`);
      receiving.takenBytes = offsetBytes + bytes.length;
      receiving.maxUnwrittenBytes = Math.max(
        receiving.maxUnwrittenBytes,
        receiving.takenBytes - writtenBytes,
      );
      const throughBytes = receiving.takenBytes;
      onDisk(writeTimeMs, () => {
        writtenBytes = throughBytes;
        receiver.handleWritten(throughBytes);
      });
    } else if (event.type === 'finish') {
      onDisk(storeTimeMs, () => {
        receiving.isStored = true;
        receiving.storedBytes = event.sizeBytes;
        receiver.handleStored(simulation.nowMs);
      });
    } else if (event.type === 'done') receiving.transfers.push(event.result);
  };
  const machine = sabotage.wrapReceiver?.(receiver) ?? receiver;
  const watched = delegate(machine, {
    pollTimeout: () => {
      const left = receiver['events'].length + receiver['replies']['transmits'].length;
      receiving.maxEventsLeft = Math.max(receiving.maxEventsLeft, left);
      return machine.pollTimeout();
    },
  });
  const host: SimulatedHost = simulation.addHost(name, watched, handleEvent);
  if (diesAtMs !== undefined) {
    simulation.at(diesAtMs, () => {
      host.isDown = true;
    });
  }
  return receiving;
}

function isPartOf(content: Uint8Array, offsetBytes: number, bytes: Uint8Array): boolean {
  return (
    offsetBytes + bytes.length <= content.length &&
    bytes.every((byte, i) => byte === content[offsetBytes + i])
  );
}
