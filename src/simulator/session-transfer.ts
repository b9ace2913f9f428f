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
import type { SessionSenderEvent, SessionSenderResult } from '../session/session-events.js';
import { SessionReceiver } from '../session/session-receiver.js';
import type { SessionSenderOptions } from '../session/session-sender.js';
import { SessionSender } from '../session/session-sender.js';
import type { LinkOptions } from './link.js';
import { createSimulatedCrypto } from './session-crypto.js';
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

export interface SimulatedSessionOptions
  extends SimulationOptions,
    Pick<
      SessionSenderOptions,
      'mssBytes' | 'segmentsPerBlock' | 'giveUpAfterMs' | 'rateBytesPerSec' | 'reportsPerSec'
    > {
  readonly receiverCount: number;
  readonly contentSizeBytes: number;
  readonly fileCount?: number;
  readonly forwardLink?: LinkOptions;
  readonly backwardLink?: LinkOptions;
  /** Whether there is a group; and which receivers it reaches, all if left out. */
  readonly hasGroup?: boolean;
  readonly groupReaches?: (receiver: number) => boolean;
  readonly incidents?: readonly SessionIncident[];
  /** How often a disk makes durable what was written. */
  readonly checkpointMs?: number;
  /** How long a disk takes for a write; and for making the whole durable. */
  readonly writeTimeMs?: number;
  readonly storeTimeMs?: number;
  /** Share of blocks that a disk returns damaged after a restart. */
  readonly rot?: number;
  readonly bufferBytes?: number;
  readonly sendTimeMs?: number;
  readonly deadlineMs?: TimeMs;
}

export interface SimulatedSessionReceiver {
  readonly name: string;
  /** Of each session that ended here. */
  readonly results: readonly IncomingResult[];
  /** Whether it holds exactly the bytes that were sent, stored to the end. */
  readonly isIdentical: boolean;
  /** Whether it called something complete that is not identical. */
  readonly isFalse: boolean;
  readonly maxBufferedBytes: number;
}

export interface SimulatedSessionResult {
  /** Of each life of the sender that came to its end. */
  readonly sender: readonly SessionSenderResult[];
  readonly receivers: readonly SimulatedSessionReceiver[];
  readonly isAtRest: boolean;
  readonly datagramsAfterEnd: number;
  /** The most reports that the sender took within one second. */
  readonly maxReportsPerSec: number;
  readonly virtualMs: TimeMs;
  readonly steps: number;
}

const group = '239.77.35.1';

export function simulateSession(options: SimulatedSessionOptions): SimulatedSessionResult {
  const simulation = new Simulation(options);
  const content = createContent(options.seed, options.contentSizeBytes);
  const sender = new SenderHost(simulation, content, options);
  const receivers = Array.from(
    { length: options.receiverCount },
    (_, i) => new ReceiverHost(simulation, i, content, options),
  );
  for (const { name } of receivers) {
    simulation.connect('sender', name, [simulation.createLink(`to ${name}`, options.forwardLink)]);
    simulation.connect(name, 'sender', [
      simulation.createLink(`from ${name}`, options.backwardLink),
    ]);
  }
  for (const { atMs, host, fate } of options.incidents ?? []) {
    simulation.at(atMs, () => {
      (host === 'sender' ? sender : at(receivers, host)).suffer(fate);
    });
  }
  const { deadlineMs } = options;
  const isAtRest = simulation.run(deadlineMs === undefined ? {} : { untilMs: deadlineMs });
  return {
    sender: sender.results,
    receivers: receivers.map((receiver) => receiver.toResult()),
    isAtRest,
    datagramsAfterEnd: sender.datagramsAfterEnd,
    maxReportsPerSec: sender.maxReportsPerSec,
    virtualMs: simulation.nowMs,
    steps: simulation.steps,
  };
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

  protected startMachine(): void {
    const machine = this.createMachine();
    const wrapped: Machine<Event> = {
      handleDatagram: (nowMs, from, bytes) => {
        if (!this.isCut) machine.handleDatagram(nowMs, from, bytes);
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
  datagramsAfterEnd = 0;
  maxReportsPerSec = 0;
  private endedAtMs: TimeMs = Infinity;
  private lives = 0;
  private machine: SessionSender | undefined;
  private secondStartsAtMs = 0;
  private secondStartsWith = 0;

  constructor(
    simulation: Simulation,
    private readonly content: Uint8Array,
    private readonly options: SimulatedSessionOptions,
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
    this.secondStartsWith = 0;
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
        ...createSimulatedCrypto(seed, 'sender'),
        random: createSimulatedCrypto(seed, `sender ${this.lives}`).random,
      },
      ...(options.hasGroup === true ? { group: Simulation.address(group) } : {}),
    });
    return this.machine;
  }

  protected handleEvent(event: SessionSenderEvent): void {
    const { simulation, machine } = this;
    if (machine === undefined) return;
    switch (event.type) {
      case 'need': {
        const { block, offsetBytes, sizeBytes } = event;
        const bytes = this.content.subarray(offsetBytes, offsetBytes + sizeBytes);
        machine.provideBlock(simulation.nowMs, block, bytes);
        break;
      }
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
    if (machine === undefined) return;
    // What still leaves in the moment of the end are the last words to receivers.
    if (machine.isDone && simulation.nowMs > this.endedAtMs) this.datagramsAfterEnd++;
    const { reportsReceived } = machine.result(simulation.nowMs);
    if (simulation.nowMs - this.secondStartsAtMs >= 1000) {
      this.secondStartsAtMs = simulation.nowMs;
      this.secondStartsWith = reportsReceived;
    }
    const count = reportsReceived - this.secondStartsWith;
    this.maxReportsPerSec = Math.max(this.maxReportsPerSec, count);
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
  private maxBufferedBytes = 0;
  private lives = 0;
  private isCheckpointDue = false;
  private readonly random: () => number;

  constructor(
    simulation: Simulation,
    private readonly index: number,
    private readonly content: Uint8Array,
    private readonly options: SimulatedSessionOptions,
  ) {
    super(simulation, `r${index + 1}`, 0);
    this.random = createRandom(options.seed, `disk ${index}`);
    this.startMachine();
  }

  toResult(): SimulatedSessionReceiver {
    const isComplete = this.results.some(({ status }) => status === 'complete');
    return {
      name: this.name,
      results: this.results,
      isIdentical: isComplete && this.hasAll(),
      isFalse: this.isFalse,
      maxBufferedBytes: this.maxBufferedBytes,
    };
  }

  protected createMachine(): Machine<SessionReceiverEvent> {
    const { seed, bufferBytes = receiverLimits.bufferBytes } = this.options;
    this.lives++;
    this.machine = new SessionReceiver({
      crypto: createSimulatedCrypto(seed, `${this.name} ${this.lives}`),
      name: this.name,
      platform: 'posix',
      refuseSender: () => undefined,
      bufferBytes,
    });
    return this.machine;
  }

  protected handleEvent(event: SessionReceiverEvent): void {
    const { simulation, machine, options } = this;
    if (machine === undefined) return;
    const { nowMs } = simulation;
    this.maxBufferedBytes = Math.max(this.maxBufferedBytes, machine.bufferedBytes);
    switch (event.type) {
      case 'prepare':
        this.blockSizeBytes = event.blockSizeBytes;
        machine.find(event.info.session)?.prepared(nowMs, this.held(), []);
        break;
      case 'join':
        if (options.groupReaches?.(this.index) ?? true) simulation.joinGroup(group, this.name);
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
          if (!this.hasAll()) this.isFalse = true;
          machine.find(event.session)?.handleStored(simulation.nowMs);
        });
        break;
      case 'end':
        this.results.push(event.result);
        break;
    }
  }

  protected handleKill(): void {
    const { rot = 0 } = this.options;
    this.machine = undefined;
    this.written.clear();
    for (const [block, bytes] of this.durable) {
      if (this.random() >= rot) continue;
      const damaged = bytes.slice();
      damaged[0] = (damaged[0] as number) ^ 1;
      this.durable.set(block, damaged);
    }
  }

  private later(waitMs: number, machine: SessionReceiver, action: () => void): void {
    if (waitMs === 0) {
      action();
      return;
    }
    this.simulation.at(this.simulation.nowMs + waitMs, () => {
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
