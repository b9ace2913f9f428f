/**
 * A session in virtual time: one sender, N receivers, with deaths, returns and cut lines. It checks every
 * byte at every receiver. Disks lose what was not made durable when their host dies.
 */
import { at } from '../assert.js';
import type { Machine, TimeMs } from '../machine.js';
import { createRandom } from '../random.js';
import { hashLeaf } from '../session/hash-tree.js';
import type { IncomingResult, SessionReceiverEvent } from '../session/incoming-events.js';
import { createManifest, encodeManifest } from '../session/manifest.js';
import { receiverLimits } from '../session/session-config.js';
import type {
  SessionReceiverOutcome,
  SessionSenderEvent,
  SessionSenderResult,
} from '../session/session-events.js';
import { SessionReceiver } from '../session/session-receiver.js';
import { SessionSender } from '../session/session-sender.js';
import type { SessionSenderOptions } from '../session/session-sender-options.js';
import type { LinkCounts, LinkOptions } from './link.js';
import { createLinkCounts } from './link.js';
import { createSimulatedCrypto, NonceLog } from './session-crypto.js';
import type { SimulatedHost, SimulationOptions } from './simulation.js';
import { Simulation } from './simulation.js';
import { createContent } from './transfer.js';

export type HostFate =
  /** Killed: its memory is gone, and what its disk had not made durable. */
  | 'kill'
  /** Started again; a sender begins a new session. */
  | 'start'
  /** Nothing reaches it, nothing leaves it. */
  | 'cut'
  | 'mend';

export interface SessionIncident {
  readonly atMs: TimeMs;
  /** A receiver by number from 0, or the sender. */
  readonly host: number | 'sender';
  readonly fate: HostFate;
}

/** What may differ from one receiver to the next. */
export interface SimulatedReceiverOptions {
  readonly forwardLink?: LinkOptions;
  readonly backwardLink?: LinkOptions;
  /** How long a disk takes for a write; and for making the whole durable. It does one after another. */
  readonly writeTimeMs?: number;
  readonly storeTimeMs?: number;
  /** How often a disk makes durable what was written. */
  readonly checkpointMs?: number;
  /** Share of blocks that a disk returns damaged after a restart. */
  readonly rot?: number;
  readonly bufferBytes?: number;
}

export interface SimulatedSessionOptions
  extends SimulationOptions,
    SimulatedReceiverOptions,
    Pick<
      SessionSenderOptions,
      'mssBytes' | 'segmentsPerBlock' | 'giveUpAfterMs' | 'rateBytesPerSec' | 'reportsPerSec'
    > {
  readonly receiverCount: number;
  readonly contentSizeBytes: number;
  readonly fileCount?: number;
  /** By number, what one has in place of what all have. */
  readonly receivers?: readonly SimulatedReceiverOptions[];
  /** Whether there is a group; and which receivers it reaches, all if left out. */
  readonly hasGroup?: boolean;
  readonly groupReaches?: (receiver: number) => boolean;
  readonly incidents?: readonly SessionIncident[];
  readonly sendTimeMs?: number;
  /** How long the source takes to hand over a block. */
  readonly sourceTimeMs?: number;
  readonly deadlineMs?: TimeMs;
  /** Whether to count nonces that are used twice. */
  readonly watchesNonces?: boolean;
  /** A run that needs more happenings than this hangs. */
  readonly maxSteps?: number;
  /** What a test puts between a machine and its network, in each life of its host. */
  readonly wrapSender?: (sender: SessionSender) => Machine<SessionSenderEvent>;
  readonly wrapReceiver?: (receiver: SessionReceiver) => Machine<SessionReceiverEvent>;
}

/** When the sender knew a receiver's outcome. */
export interface SettledReceiver {
  readonly atMs: TimeMs;
  readonly outcome: SessionReceiverOutcome;
}

export interface SimulatedSessionReceiver {
  readonly name: string;
  /** Of each session that ended here. */
  readonly results: readonly IncomingResult[];
  /** Whether it called a session complete, and held exactly the bytes that were sent, stored. */
  readonly isIdentical: boolean;
  /** Whether it called something complete that is not identical. */
  readonly isFalse: boolean;
  readonly maxBufferedBytes: number;
  /** When it had its last outcome; undefined for none. */
  readonly endedAtMs: TimeMs | undefined;
}

export interface SimulatedSessionResult {
  /** Of each life of the sender that came to its end. */
  readonly sender: readonly SessionSenderResult[];
  /** In the sender's last life. */
  readonly settled: readonly SettledReceiver[];
  readonly receivers: readonly SimulatedSessionReceiver[];
  readonly isAtRest: boolean;
  readonly datagramsAfterEnd: number;
  /** The most reports that the sender took within any one second. */
  readonly maxReportsPerSec: number;
  /** The same by whole seconds. */
  readonly reportsBySecond: readonly number[];
  /** Nonces that met two plaintexts under one key. */
  readonly nonceReuses: number;
  /** What the links did, all of them together. */
  readonly links: LinkCounts;
  readonly virtualMs: TimeMs;
  readonly steps: number;
}

const group = '239.77.35.1';

export function simulateSession(options: SimulatedSessionOptions): SimulatedSessionResult {
  const simulation = new Simulation(options);
  const content = createContent(options.seed, options.contentSizeBytes);
  const nonces = options.watchesNonces === true ? new NonceLog() : undefined;
  const sender = new SenderHost(simulation, content, options, nonces);
  const receivers = Array.from({ length: options.receiverCount }, (_, i) => {
    const own = { ...options, ...options.receivers?.[i] };
    return new ReceiverHost(simulation, i, content, own, nonces);
  });
  const links = receivers.flatMap(({ name, options: { forwardLink, backwardLink } }) => {
    const forward = simulation.createLink(`to ${name}`, forwardLink);
    const backward = simulation.createLink(`from ${name}`, backwardLink);
    simulation.connect('sender', name, [forward]);
    simulation.connect(name, 'sender', [backward]);
    return [forward, backward];
  });
  for (const { atMs, host, fate } of options.incidents ?? []) {
    simulation.at(atMs, () => {
      (host === 'sender' ? sender : at(receivers, host)).suffer(fate);
    });
  }
  const { deadlineMs, maxSteps = Infinity } = options;
  const isOver = () => simulation.steps > maxSteps;
  const hasEnded = simulation.run({
    isOver,
    ...(deadlineMs === undefined ? {} : { untilMs: deadlineMs }),
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

/** A machine that can be cut off from its network. */
abstract class Host<Event extends object> {
  protected host: SimulatedHost | undefined;
  protected isCut = false;

  constructor(
    protected readonly simulation: Simulation,
    readonly name: string,
    private readonly sendTimeMs: number,
  ) {}

  suffer(fate: HostFate): void {
    const { host } = this;
    switch (fate) {
      case 'cut':
        this.isCut = true;
        break;
      case 'mend':
        this.isCut = false;
        break;
      case 'kill':
        if (host === undefined || host.isDown) return;
        host.isDown = true;
        this.handleKill();
        break;
      case 'start':
        if (host?.isDown === true) this.startMachine();
        break;
    }
  }

  protected abstract createMachine(): Machine<Event>;
  protected abstract handleEvent(event: Event): void;
  protected abstract handleKill(): void;
  /** A datagram leaves. */
  protected handleTransmit(): void {}
  /** A datagram has been taken in. */
  protected handleTaken(): void {}

  protected startMachine(): void {
    const machine = this.createMachine();
    const wrapped: Machine<Event> = {
      handleDatagram: (nowMs, from, bytes) => {
        if (this.isCut) return;
        machine.handleDatagram(nowMs, from, bytes);
        this.handleTaken();
      },
      handleTimeout: (nowMs) => machine.handleTimeout(nowMs),
      pollTimeout: () => machine.pollTimeout(),
      pollEvent: () => machine.pollEvent(),
      pollTransmit: (nowMs) => {
        for (;;) {
          const transmit = machine.pollTransmit(nowMs);
          if (transmit === undefined) return undefined;
          if (this.isCut) continue;
          this.handleTransmit();
          return transmit;
        }
      },
    };
    const handleEvent = (event: Event) => this.handleEvent(event);
    if (this.host === undefined) {
      const { sendTimeMs } = this;
      this.host = this.simulation.addHost(this.name, wrapped, handleEvent, { sendTimeMs });
    } else {
      this.simulation.restart(this.host, wrapped, handleEvent);
    }
  }
}

class SenderHost extends Host<SessionSenderEvent> {
  readonly results: SessionSenderResult[] = [];
  settled: SettledReceiver[] = [];
  datagramsAfterEnd = 0;
  maxReportsPerSec = 0;
  readonly reportsBySecond: number[] = [];
  private endedAtMs: TimeMs = Infinity;
  private lives = 0;
  private machine: SessionSender | undefined;
  private reportsTaken = 0;
  /** Datagrams that came after the end. */
  private asked = 0;
  /** When the reports of the last second came. */
  private readonly reportTimes: TimeMs[] = [];
  private firstOfSecond = 0;

  constructor(
    simulation: Simulation,
    private readonly content: Uint8Array,
    private readonly options: SimulatedSessionOptions,
    private readonly nonces: NonceLog | undefined,
  ) {
    super(simulation, 'sender', options.sendTimeMs ?? 0);
    this.startMachine();
  }

  protected createMachine(): Machine<SessionSenderEvent> {
    const { options, content } = this;
    const { seed, receiverCount, fileCount = 1 } = options;
    const sizeBytes = Math.floor(content.length / fileCount);
    const manifest = createManifest(
      Array.from({ length: fileCount }, (_, i) => ({
        kind: 'file' as const,
        name: `file ${i}`,
        mode: 0o644,
        modifiedMs: 0,
        sizeBytes: i === 0 ? content.length - (fileCount - 1) * sizeBytes : sizeBytes,
      })),
    );
    this.lives++;
    this.reportsTaken = 0;
    this.asked = 0;
    this.settled = [];
    this.machine = new SessionSender({
      ...options,
      receivers: Array.from({ length: receiverCount }, (_, i) => ({
        name: `r${i + 1}`,
        address: Simulation.address(`r${i + 1}`),
      })),
      label: 'simulated',
      manifest: encodeManifest(manifest),
      contentSizeBytes: content.length,
      // One sender in all its lives: its key is its name; its random numbers are new ones.
      crypto: {
        ...createSimulatedCrypto(seed, 'sender', this.nonces),
        random: createSimulatedCrypto(seed, `sender ${this.lives}`).random,
      },
      ...(options.hasGroup === true ? { group: Simulation.address(group) } : {}),
    });
    return options.wrapSender?.(this.machine) ?? this.machine;
  }

  protected handleEvent(event: SessionSenderEvent): void {
    const { simulation, machine } = this;
    if (machine === undefined) return;
    switch (event.type) {
      case 'need': {
        const { block, offsetBytes, sizeBytes } = event;
        const bytes = this.content.subarray(offsetBytes, offsetBytes + sizeBytes);
        this.later(machine, () => machine.provideBlock(simulation.nowMs, block, bytes));
        break;
      }
      case 'receiver':
        this.settled.push({ atMs: simulation.nowMs, outcome: event.outcome });
        break;
      case 'identify':
        machine.trust(simulation.nowMs, event.index);
        break;
      case 'check-source':
        machine.confirmSource(simulation.nowMs);
        break;
      case 'done':
        this.results.push(event.result);
        this.endedAtMs = simulation.nowMs;
        break;
    }
  }

  protected handleKill(): void {
    this.machine = undefined;
    this.endedAtMs = Infinity;
  }

  protected override handleTransmit(): void {
    const { machine, simulation } = this;
    // What still leaves in the moment of the end are the last words to receivers.
    if (machine?.isDone !== true || simulation.nowMs === this.endedAtMs) return;
    // Whoever has not heard them asks again.
    if (this.asked > 0) this.asked--;
    else this.datagramsAfterEnd++;
  }

  protected override handleTaken(): void {
    const { machine, simulation, reportTimes } = this;
    const { nowMs } = simulation;
    if (machine?.isDone === true) this.asked++;
    const taken = machine?.reportCount ?? this.reportsTaken;
    if (taken === this.reportsTaken) return;
    this.reportsTaken = taken;
    const second = Math.floor(nowMs / 1000);
    while (this.reportsBySecond.length <= second) this.reportsBySecond.push(0);
    this.reportsBySecond[second] = (this.reportsBySecond[second] as number) + 1;
    reportTimes.push(nowMs);
    while ((reportTimes[this.firstOfSecond] as number) <= nowMs - 1000) this.firstOfSecond++;
    const count = reportTimes.length - this.firstOfSecond;
    this.maxReportsPerSec = Math.max(this.maxReportsPerSec, count);
  }

  private later(machine: SessionSender, action: () => void): void {
    const { sourceTimeMs = 0 } = this.options;
    if (sourceTimeMs === 0) {
      action();
      return;
    }
    this.simulation.at(this.simulation.nowMs + sourceTimeMs, () => {
      if (this.machine !== machine) return;
      action();
      this.host?.drain();
    });
  }
}

class ReceiverHost extends Host<SessionReceiverEvent> {
  private readonly results: IncomingResult[] = [];
  private machine: SessionReceiver | undefined;
  /** What survives a death: blocks by number, with what the disk says they hold. */
  private readonly durable = new Map<number, Uint8Array>();
  private readonly written = new Map<number, Uint8Array>();
  private blockSizeBytes = 1;
  private isFalse = false;
  private isIdentical = false;
  private endedAtMs: TimeMs | undefined;
  private maxBufferedBytes = 0;
  private diskIsFreeAtMs: TimeMs = 0;
  private lives = 0;
  private isCheckpointDue = false;
  private readonly random: () => number;

  constructor(
    simulation: Simulation,
    private readonly index: number,
    private readonly content: Uint8Array,
    readonly options: SimulatedSessionOptions,
    private readonly nonces: NonceLog | undefined,
  ) {
    super(simulation, `r${index + 1}`, 0);
    this.random = createRandom(options.seed, `disk ${index}`);
    this.startMachine();
  }

  toResult(): SimulatedSessionReceiver {
    const { name, results, isIdentical, isFalse, maxBufferedBytes, endedAtMs } = this;
    return { name, results, isIdentical, isFalse, maxBufferedBytes, endedAtMs };
  }

  protected createMachine(): Machine<SessionReceiverEvent> {
    const { options } = this;
    const { seed, bufferBytes = receiverLimits.bufferBytes } = options;
    this.lives++;
    this.machine = new SessionReceiver({
      // One receiver in all its lives, as with the sender.
      crypto: {
        ...createSimulatedCrypto(seed, this.name, this.nonces),
        random: createSimulatedCrypto(seed, `${this.name} ${this.lives}`).random,
      },
      name: this.name,
      platform: 'posix',
      refuseSender: () => undefined,
      bufferBytes,
    });
    return options.wrapReceiver?.(this.machine) ?? this.machine;
  }

  protected override handleTaken(): void {
    this.maxBufferedBytes = Math.max(this.maxBufferedBytes, this.machine?.bufferedBytes ?? 0);
  }

  protected handleEvent(event: SessionReceiverEvent): void {
    const { simulation, machine, options } = this;
    if (machine === undefined) return;
    const { nowMs } = simulation;
    switch (event.type) {
      case 'prepare':
        this.blockSizeBytes = event.blockSizeBytes;
        machine.find(event.info.session)?.prepared(nowMs, this.held(), []);
        break;
      case 'join':
        if (options.groupReaches?.(this.index) ?? true) simulation.joinGroup(group, this.name);
        break;
      case 'leave':
        simulation.leaveGroup(group, this.name);
        break;
      case 'write':
        this.later(options.writeTimeMs ?? 0, machine, () => {
          this.written.set(event.offsetBytes / this.blockSizeBytes, event.bytes);
          machine.handleWritten(simulation.nowMs, event.session, event.bytes.length);
          this.planCheckpoint(machine);
        });
        break;
      case 'forget':
        this.durable.delete(event.block);
        this.written.delete(event.block);
        break;
      case 'finish':
        this.later(options.storeTimeMs ?? 0, machine, () => {
          this.checkpoint();
          machine.find(event.session)?.handleStored(simulation.nowMs);
        });
        break;
      case 'end':
        this.results.push(event.result);
        this.endedAtMs = nowMs;
        if (event.result.status !== 'complete') break;
        if (this.hasAll()) this.isIdentical = true;
        else this.isFalse = true;
        break;
    }
  }

  protected handleKill(): void {
    const { rot = 0 } = this.options;
    this.machine = undefined;
    this.diskIsFreeAtMs = 0;
    this.written.clear();
    for (const [block, bytes] of this.durable) {
      if (this.random() >= rot) continue;
      const damaged = bytes.slice();
      damaged[0] = (damaged[0] as number) ^ 1;
      this.durable.set(block, damaged);
    }
  }

  private later(waitMs: number, machine: SessionReceiver, action: () => void): void {
    const { simulation } = this;
    this.diskIsFreeAtMs = Math.max(this.diskIsFreeAtMs, simulation.nowMs) + waitMs;
    if (this.diskIsFreeAtMs === simulation.nowMs) {
      action();
      return;
    }
    simulation.at(this.diskIsFreeAtMs, () => {
      if (this.machine !== machine) return;
      action();
      this.host?.drain();
    });
  }

  private planCheckpoint(machine: SessionReceiver): void {
    if (this.isCheckpointDue) return;
    this.isCheckpointDue = true;
    this.simulation.at(this.simulation.nowMs + (this.options.checkpointMs ?? 100), () => {
      this.isCheckpointDue = false;
      if (this.machine === machine) this.checkpoint();
    });
  }

  private checkpoint(): void {
    for (const [block, bytes] of this.written) this.durable.set(block, bytes);
    this.written.clear();
  }

  private held(): { index: number; leaf: Uint8Array }[] {
    const { hash } = createSimulatedCrypto('', '');
    return [...this.durable].map(([index, bytes]) => ({ index, leaf: hashLeaf(hash, bytes) }));
  }

  private hasAll(): boolean {
    const { content, blockSizeBytes } = this;
    const blockCount = Math.ceil(content.length / blockSizeBytes);
    for (let block = 0; block < blockCount; block++) {
      const bytes = this.durable.get(block);
      const expected = content.subarray(block * blockSizeBytes, (block + 1) * blockSizeBytes);
      if (bytes === undefined || bytes.length !== expected.length) return false;
      if (!bytes.every((byte, i) => byte === expected[i])) return false;
    }
    return true;
  }
}
