/** Runs a scenario in the simulator and records what the checkers need. */

import type { Machine, TimeMs, Transmit } from '../../src/base/machine.js';
import { createRandom } from '../../src/base/random.js';
import type { ReceiverEvent, TransferResult } from '../../src/classic/receiver-events.js';
import type { ReceiverOptions } from '../../src/classic/receiver-options.js';
import type { SenderEvent, SenderResult } from '../../src/classic/sender-events.js';
import type { SenderOptions } from '../../src/classic/sender-options.js';
import { createLossModel } from '../../src/loss.js';
import type { Receiver } from '../../src/receiver.js';
import type { Sender } from '../../src/sender.js';
import type { LinkCounts } from '../../src/simulator/link.js';
import { connectPairs, sumCounts } from '../../src/simulator/link-pairs.js';
import { ClassicReceiverRole } from '../../src/simulator/roles/classic-receiver.js';
import { ClassicSenderRole } from '../../src/simulator/roles/classic-sender.js';
import { Simulation } from '../../src/simulator/simulation.js';
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
  readonly results: readonly SenderResult[];
  readonly datagrams: number;
  readonly datagramsAfterEnd: number;
  readonly maxBlocksHeld: number;
  /** Events left in the machine after a full drain. */
  readonly maxEventsLeft: number;
}

export interface Receiving {
  readonly name: string;
  readonly isDead: boolean;
  readonly transfers: TransferResult[];
  /** Bytes passed to the writer, all correct and in place. */
  readonly takenBytes: number;
  readonly isOpened: boolean;
  readonly isStored: boolean;
  readonly storedBytes: number;
  readonly damages: readonly string[];
  readonly maxUnwrittenBytes: number;
  readonly maxEventsLeft: number;
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
  const links = connectPairs(simulation, 'sender', scenario.receivers);
  const isOver = () => simulation.steps > maxSteps;
  const hasEnded = simulation.run({ untilMs: deadlineMs, isOver });
  return {
    isAtRest: hasEnded && !isOver(),
    steps: simulation.steps,
    virtualMs: simulation.nowMs,
    sending: sending(),
    receiving: receiving.map((toReceiving) => toReceiving()),
    links: sumCounts(links),
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

function addSender(
  simulation: Simulation,
  scenario: Scenario,
  content: Uint8Array,
  sabotage: Sabotage,
): () => Sending {
  const { receivers, sendTimeMs, sourceTimeMs, ...options } = scenario;
  let datagrams = 0;
  let maxBlocksHeld = 0;
  let maxEventsLeft = 0;
  const role = new ClassicSenderRole(simulation, {
    sender: {
      ...options,
      receivers: receivers.map(({ name }) => ({ name, address: Simulation.address(name) })),
      ...sabotage.senderOptions,
    },
    content,
    sourceTimeMs,
    wrap: (sender) => {
      const machine = sabotage.wrapSender?.(sender) ?? sender;
      return delegate(machine, {
        pollTransmit: (nowMs): Transmit | undefined => {
          const transmit = machine.pollTransmit(nowMs);
          if (transmit !== undefined && !isQuestion(transmit.bytes)) datagrams++;
          return transmit;
        },
        // Requested at the end of each drain: undelivered events then stay in the machine.
        pollTimeout: () => {
          const { window, events } = heldBySender(sender);
          maxBlocksHeld = Math.max(maxBlocksHeld, window);
          maxEventsLeft = Math.max(maxEventsLeft, events);
          return machine.pollTimeout();
        },
      });
    },
  });
  simulation.addRole('sender', role, { sendTimeMs });
  return () => {
    const { results, datagramsAfterEnd } = role;
    return { results, datagrams, datagramsAfterEnd, maxBlocksHeld, maxEventsLeft };
  };
}

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
): () => Receiving {
  let maxEventsLeft = 0;
  const role = new ClassicReceiverRole(simulation, {
    receiver: {
      loss: createLossModel(loss, createRandom(scenario.seed, 'receiver', name)),
      maxUnwrittenBytes: scenario.maxUnwrittenBytes,
      ...sabotage.receiverOptions,
    },
    ...{ content, writeTimeMs, storeTimeMs },
    wrap: (receiver) => {
      const machine = sabotage.wrapReceiver?.(receiver) ?? receiver;
      return delegate(machine, {
        pollTimeout: () => {
          const left = receiver['events'].length + receiver['replies']['transmits'].length;
          maxEventsLeft = Math.max(maxEventsLeft, left);
          return machine.pollTimeout();
        },
      });
    },
  });
  const host = simulation.addRole(name, role);
  if (diesAtMs !== undefined) simulation.at(diesAtMs, () => host.inject('kill'));
  return () => {
    const { transfers, takenBytes, isStored, storedBytes, maxUnwrittenBytes, opened } = role;
    const isDead = diesAtMs !== undefined;
    const isOpened = opened > 0;
    const damages = opened > 1 ? ['began a second time', ...role.damages] : role.damages;
    return {
      ...{ name, isDead, transfers, takenBytes, isOpened, isStored, storedBytes, damages },
      ...{ maxUnwrittenBytes, maxEventsLeft },
    };
  };
}
