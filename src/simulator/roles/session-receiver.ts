/** Receives sessions on a simulated host, with a disk that loses non-durable data when its host is killed. */
import type { Machine, TimeMs } from '../../base/machine.js';
import { createRandom } from '../../base/random.js';
import type { Range } from '../../base/range-set.js';
import { RangeSet } from '../../base/range-set.js';
import { withoutUndefined } from '../../base/without-undefined.js';
import type { DeletionResult } from '../../object/content-store.js';
import { hashLeaf } from '../../object/hash-tree.js';
import { SessionReceiver } from '../../session/receiver.js';
import type { IncomingResult, SessionReceiverEvent } from '../../session/receiver-events.js';
import { receiverLimits } from '../../session/receiver-limits.js';
import type { Extra } from '../../wire/lists.js';
import type { Deletion } from '../../wire/messages.js';
import { SimulatedDisk } from '../disk.js';
import type { Role, SimulatedHost } from '../host.js';
import type { NonceLog } from '../session-crypto.js';
import { createSimulatedCrypto } from '../session-crypto.js';
import type {
  SimulatedSessionOptions,
  SimulatedSessionReceiver,
} from '../session-transfer-options.js';
import type { Simulation } from '../simulation.js';
import { simulatedGroup } from './session-sender.js';

/** A session receiver as a role of a simulated host. It checks the content that it receives. */
export class SessionReceiverRole implements Role<SessionReceiverEvent> {
  private readonly results: IncomingResult[] = [];
  /** Extra entries on the disk. */
  private extras: readonly Extra[];
  private readonly deletedNames: string[] = [];
  private machine: SessionReceiver | undefined;
  /** Blocks that are durable and survive a crash, by block number. */
  private readonly durable = new Map<number, Uint8Array>();
  private readonly written = new Map<number, Uint8Array>();
  private blockSizeBytes = 1;
  private isFalse = false;
  private isIdentical = false;
  private endedAtMs: TimeMs | undefined;
  private maxBufferedBytes = 0;
  private disk: SimulatedDisk | undefined;
  private lives = 0;
  private isCheckpointDue = false;
  private hasBegun = false;
  private readonly random: () => number;

  constructor(
    private readonly simulation: Simulation,
    private readonly name: string,
    private readonly index: number,
    private readonly content: Uint8Array,
    readonly options: SimulatedSessionOptions,
    private readonly nonces: NonceLog | undefined,
  ) {
    this.random = createRandom(options.seed, `disk ${index}`);
    this.extras = options.extras ?? [];
  }

  toResult(): SimulatedSessionReceiver {
    const { name, results, isIdentical, isFalse, deletedNames, maxBufferedBytes, endedAtMs } = this;
    return { name, results, isIdentical, isFalse, deletedNames, maxBufferedBytes, endedAtMs };
  }

  boot(host: SimulatedHost): Machine<SessionReceiverEvent> {
    const { options } = this;
    this.disk = new SimulatedDisk(this.simulation, host);
    const { seed, blockSizeBytes, bufferBytes = receiverLimits.bufferBytes } = options;
    this.lives++;
    this.machine = new SessionReceiver({
      // The key stays the same across restarts; the random numbers do not.
      crypto: {
        ...createSimulatedCrypto(seed, this.name, this.nonces),
        random: createSimulatedCrypto(seed, `${this.name} ${this.lives}`).random,
      },
      name: this.name,
      platform: 'posix',
      refuseSender: () => undefined,
      bufferBytes,
      allowsDeletion: options.allowsDeletion ?? true,
      ...withoutUndefined({ blockSizeBytes }),
    });
    return options.wrapReceiver?.(this.machine) ?? this.machine;
  }

  handleTaken(): void {
    this.maxBufferedBytes = Math.max(this.maxBufferedBytes, this.machine?.bufferedBytes ?? 0);
  }

  handleEvent(event: SessionReceiverEvent): void {
    const { simulation, machine, options } = this;
    if (machine === undefined) return;
    const { nowMs } = simulation;
    switch (event.type) {
      case 'prepare':
        this.blockSizeBytes = event.blockSizeBytes;
        this.holdAtFirst();
        machine
          .find(event.info.session)
          ?.prepared(nowMs, this.held(), this.kept(), this.found(event.deletion));
        break;
      case 'join':
        if (options.groupReaches?.(this.index) ?? true)
          simulation.joinGroup(simulatedGroup, this.name);
        break;
      case 'leave':
        simulation.leaveGroup(simulatedGroup, this.name);
        break;
      case 'write':
        this.later(options.writeTimeMs ?? 0, () => {
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
        this.later(options.storeTimeMs ?? 0, () => {
          this.checkpoint();
          const deletion = this.delete([...event.doomed]);
          machine.find(event.session)?.handleStored(simulation.nowMs, '', deletion);
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

  handleKill(): void {
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

  private later(timeMs: number, action: () => void): void {
    const { disk } = this;
    if (timeMs === 0 && disk?.isIdle === true) action();
    else disk?.perform(timeMs, action);
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

  private holdAtFirst(): void {
    const { content, blockSizeBytes, options } = this;
    if (options.missingBlocks === undefined || this.hasBegun) return;
    this.hasBegun = true;
    const missing = new Set(options.missingBlocks);
    for (let block = 0; block * blockSizeBytes < content.length; block++) {
      if (missing.has(block)) continue;
      this.durable.set(block, content.slice(block * blockSizeBytes, (block + 1) * blockSizeBytes));
    }
  }

  private held(): { index: number; leaf: Uint8Array }[] {
    const { hash } = createSimulatedCrypto('', '');
    const kept = new RangeSet(this.kept());
    return [...this.durable]
      .filter(([index]) => !kept.has(index))
      .map(([index, bytes]) => ({ index, leaf: hashLeaf(hash, bytes) }));
  }

  /** Copies, because a receiver may delete only the objects that it listed in this session. */
  private found(deletion: Deletion): { readonly extras: readonly Extra[] } {
    if (deletion !== 'none') this.extras = this.extras.map((extra) => ({ ...extra }));
    return { extras: deletion === 'none' ? [] : this.extras };
  }

  private delete(doomed: readonly Extra[]): DeletionResult {
    const names = doomed.map(({ name }) => name);
    this.deletedNames.push(...names);
    this.extras = this.extras.filter((extra) => !doomed.includes(extra));
    return {
      deletedEntries: names.length,
      undeletedEntries: 0,
      deletedNames: names,
      undeleted: [],
    };
  }

  /** Those of `keptBlocks` that exist in the content. They are on the disk from the start, never damaged. */
  private kept(): Range[] {
    const { content, blockSizeBytes, options } = this;
    const blockCount = Math.ceil(content.length / blockSizeBytes);
    const kept = new RangeSet(options.keptBlocks);
    if (blockCount === 0) return [];
    const gaps = [...kept.gaps(0, blockCount)];
    const own = new RangeSet([{ start: 0, end: blockCount }]);
    for (const { start, end } of gaps) own.remove(start, end);
    for (const { start, end } of own.ranges()) {
      for (let block = start; block < end; block++) {
        this.durable.set(
          block,
          content.slice(block * blockSizeBytes, (block + 1) * blockSizeBytes),
        );
      }
    }
    return [...own.ranges()];
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
