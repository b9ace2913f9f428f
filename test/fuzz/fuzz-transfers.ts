/**
 * Real transfers with hostile datagrams from an attacker without keys: they end correctly, with the
 * right bytes. The attacker sees all traffic and may forge source addresses; in P2MP-FTP, which
 * cannot defend against that, it has its own address.
 */
import type { Address } from '../../src/base/address.js';
import type { Machine, TimeMs } from '../../src/base/machine.js';
import type { ReceiverEvent } from '../../src/classic/receiver-events.js';
import { simulateSession } from '../../src/simulator/session-transfer.js';
import type { Scenario } from '../support/scenario.js';
import { complaintsAbout } from '../support/scenario-check.js';
import { delegate, runScenario } from '../support/scenario-run.js';
import { capturedTransfer } from './captured.js';
import { hostileBytes, join } from './hostile-bytes.js';
import type { Tape } from './tape.js';
import type { Outcome } from './watch.js';
import { demand } from './watch.js';

const stranger: Address = { host: 'stranger', port: 9 };

/** The last datagrams that it saw, per direction. */
const mostSeen = 64;

class Attacker {
  datagrams = 0;
  digest = 0;

  constructor(
    private readonly tape: Tape,
    private readonly maySpoof: boolean,
  ) {}

  /** Inserts its datagrams before those of others and between timeouts. */
  beset<Event>(
    machine: Machine<Event>,
    known: readonly Uint8Array[] = [],
    isOpen: () => boolean = () => true,
  ): Machine<Event> {
    const seen = [...known];
    let last = stranger;
    const strike = (nowMs: TimeMs) => {
      if (!isOpen() || this.tape.isOver) return;
      for (let count = this.tape.below(4); count > 0; count--) {
        if (seen.length > 0) this.strike(machine, nowMs, seen, last);
      }
    };
    return delegate(machine, {
      handleDatagram: (nowMs, from, bytes) => {
        last = from;
        seen[seen.length < mostSeen ? seen.length : this.datagrams % mostSeen] = bytes.slice();
        this.digest = Math.imul(this.digest ^ bytes.length, 0x01000193) ^ (bytes[12] ?? 0);
        strike(nowMs);
        machine.handleDatagram(nowMs, from, bytes);
      },
      handleTimeout: (nowMs) => {
        strike(nowMs);
        machine.handleTimeout(nowMs);
      },
    });
  }

  private strike<Event>(
    machine: Machine<Event>,
    nowMs: TimeMs,
    seen: readonly Uint8Array[],
    last: Address,
  ): void {
    const { tape } = this;
    let bytes = hostileBytes(tape, tape.isOneIn(2) ? seen.at(-1) : tape.pick(seen));
    if (tape.isOneIn(8)) bytes = join([bytes, hostileBytes(tape, tape.pick(seen))]);
    const from = this.maySpoof && !tape.isOneIn(4) ? last : stranger;
    this.datagrams++;
    machine.handleDatagram(nowMs, from, bytes);
  }
}

export function fuzzBesideSession(tape: Tape): Outcome {
  const attacker = new Attacker(tape, true);
  const run = simulateSession({
    seed: `fuzz ${tape.byte()}`,
    receiverCount: 1 + tape.below(3),
    contentSizeBytes: tape.pick([0, 1, 3000, 20_000]),
    fileCount: tape.pick([1, 40]),
    mssBytes: tape.pick([64, 200]),
    blockSizeBytes: tape.pick([48, 240, 2096]),
    hasGroup: tape.isOneIn(2),
    forwardLink: { delayMs: 3, loss: tape.isOneIn(4) ? lossy : { model: 'none' } },
    backwardLink: { delayMs: 3 },
    // It can disrupt one handshake after another while its datagrams last.
    livenessTimeoutMs: 120_000,
    deadlineMs: 1_200_000,
    maxSteps: 200_000,
    watchesNonces: true,
    wrapSender: (machine) => attacker.beset(machine),
    wrapReceiver: (machine) => attacker.beset(machine),
  });
  demand(run.isAtRest, () => 'not at rest');
  demand(run.nonceReuses === 0, () => `${run.nonceReuses} nonces used twice`);
  const outcomes = run.sender.flatMap(({ receivers }) => receivers);
  for (const { receiver, status, reason } of outcomes) {
    demand(status === 'complete', () => `${receiver}: called ${status}: ${reason}`);
  }
  for (const { name, isIdentical, isFalse } of run.receivers) {
    demand(isIdentical && !isFalse, () => `${name}: is not identical`);
  }
  demand(outcomes.length === run.receivers.length, () => 'a receiver without an outcome');
  const { datagrams, digest } = attacker;
  return { datagrams, digest: digest ^ run.steps, seen: { steps: run.steps } };
}

const lossy = { model: 'bernoulli', probability: 0.1 } as const;

export function fuzzBesideTransfer(tape: Tape): Outcome {
  const attacker = new Attacker(tape, false);
  const count = 1 + tape.below(3);
  const scenario: Scenario = {
    seed: `fuzz ${tape.byte()}`,
    sizeBytes: tape.pick([0, 1, 500, 2050]),
    mssBytes: 100,
    segmentsPerBlock: tape.pick([1, 4]),
    windowBlocks: tape.pick([1, 4]),
    timeout: { mode: 'fixed', timeoutMs: 50 },
    livenessTimeoutMs: 5000,
    hasEndMarker: true,
    sendTimeMs: 0,
    sourceTimeMs: 0,
    maxUnwrittenBytes: 1000,
    receivers: Array.from({ length: count }, (_, i) => ({
      name: `r${i + 1}`,
      loss: tape.isOneIn(4) ? lossy : { model: 'none' },
      forwardLink: { delayMs: 5 },
      backwardLink: { delayMs: 5 },
      writeTimeMs: 1,
      storeTimeMs: 10,
      diesAtMs: undefined,
    })),
    deadlineMs: 120_000,
  };
  const { toReceiver, toSender } = capturedTransfer();
  const run = runScenario(scenario, {
    wrapSender: (machine) => attacker.beset(machine, toSender),
    wrapReceiver: (machine) => {
      // Senders are served in order (PROTOCOL 5.7): the attacker comes later, and not again after
      // the end.
      let isOpen = false;
      const watched = delegate<ReceiverEvent>(machine, {
        pollEvent: () => {
          const event = machine.pollEvent();
          if (event?.type === 'open') isOpen = true;
          if (event?.type === 'done') isOpen = false;
          return event;
        },
      });
      return attacker.beset(watched, toReceiver, () => isOpen);
    },
  });
  const complaints = complaintsAbout(scenario, run);
  demand(complaints.length === 0, () => complaints.join('; '));
  const { datagrams, digest } = attacker;
  return { datagrams, digest: digest ^ run.steps, seen: { steps: run.steps } };
}
