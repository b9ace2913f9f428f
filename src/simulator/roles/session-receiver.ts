/** Receives sessions on a simulated host, with a disk that loses non-durable data when its host is killed. */
import type { Address } from '../../base/address.js';
import type { Machine, TimeMs } from '../../base/machine.js';
import { createRandom } from '../../base/random.js';
import { RangeSet } from '../../base/range-set.js';
import { withoutUndefined } from '../../base/without-undefined.js';
import type { StoreRequest } from '../../object/content-store.js';
import type { InitialContent } from '../../object/memory-store.js';
import { MemoryStores } from '../../object/memory-store.js';
import { StoreDriver } from '../../session/drivers/store-driver.js';
import { SessionReceiver } from '../../session/receiver.js';
import type { IncomingResult, SessionReceiverEvent } from '../../session/receiver-events.js';
import { receiverLimits } from '../../session/receiver-limits.js';
import { standardBlockSizeBytes } from '../../wire/sizes.js';
import type { Role, SimulatedHost } from '../host.js';
import { furtherAddresses } from '../link-pairs.js';
import type { NonceLog } from '../session-crypto.js';
import { createSimulatedCrypto } from '../session-crypto.js';
import type {
  SimulatedSessionOptions,
  SimulatedSessionReceiver,
} from '../session-transfer-options.js';
import { Simulation } from '../simulation.js';
import { placesOfFiles, simulatedGroup } from './session-sender.js';

/** A session receiver as a role of a simulated host. It checks the content that it receives. */
export class SessionReceiverRole implements Role<SessionReceiverEvent> {
  private readonly results: IncomingResult[] = [];
  private machine: SessionReceiver | undefined;
  private driver: StoreDriver | undefined;
  private host: SimulatedHost | undefined;
  private readonly stores: MemoryStores;
  private isFalse = false;
  private isIdentical = false;
  private endedAtMs: TimeMs | undefined;
  private maxBufferedBytes = 0;
  private lives = 0;
  private hasMoves = false;
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
    const { writeTimeMs, storeTimeMs, checkpointMs } = options;
    this.stores = new MemoryStores({
      hash: createSimulatedCrypto('', '').hash,
      timing: {
        clock: simulation,
        ...withoutUndefined({ writeTimeMs, storeTimeMs, checkpointMs }),
      },
      initialContent: (request) => this.initialContent(request),
    });
  }

  toResult(): SimulatedSessionReceiver {
    const { name, results, isIdentical, isFalse, maxBufferedBytes, endedAtMs } = this;
    const { deletedNames } = this.stores;
    return { name, results, isIdentical, isFalse, deletedNames, maxBufferedBytes, endedAtMs };
  }

  boot(host: SimulatedHost): Machine<SessionReceiverEvent> {
    const { options } = this;
    const { seed, blockSizeBytes, bufferBytes = receiverLimits.bufferBytes } = options;
    this.lives++;
    this.host = host;
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
      mayDelete: () => options.allowsDeletion ?? true,
      ...withoutUndefined({ blockSizeBytes, addresses: this.addresses }),
    });
    this.driver = new StoreDriver(this.machine, this.stores, host);
    return options.wrapReceiver?.(this.machine) ?? this.machine;
  }

  /** Its addresses on further paths. */
  private get addresses(): readonly Address[] | undefined {
    const { furtherPaths = [] } = this.options;
    if (furtherPaths.length === 0) return undefined;
    return furtherAddresses(this.index, furtherPaths.length).map(Simulation.address);
  }

  handleTaken(): void {
    this.maxBufferedBytes = Math.max(this.maxBufferedBytes, this.machine?.bufferedBytes ?? 0);
  }

  handleEvent(event: SessionReceiverEvent): void {
    const { simulation, options } = this;
    this.driver?.handleEvent(event);
    switch (event.type) {
      case 'join':
        if (options.groupReaches?.(this.index) ?? true)
          simulation.joinGroup(simulatedGroup, this.name);
        break;
      case 'offer':
      case 'write':
        this.scheduleMoves(event.type);
        break;
      case 'leave':
        simulation.leaveGroup(simulatedGroup, this.name);
        break;
      case 'end':
        this.results.push(event.result);
        this.endedAtMs = simulation.nowMs;
        if (event.result.status !== 'complete') break;
        if (this.hasAll(event.result.manifestDigest)) this.isIdentical = true;
        else this.isFalse = true;
        break;
    }
  }

  private scheduleMoves(when: 'offer' | 'write'): void {
    const { simulation, options } = this;
    const { movesEarly = false } = options;
    if (this.hasMoves || (when === 'offer') !== movesEarly) return;
    this.hasMoves = true;
    for (const afterMs of options.movesAfterMs ?? [])
      simulation.at(simulation.nowMs + afterMs, () => this.host?.inject('move'));
  }

  handleKill(): void {
    const { rot = 0 } = this.options;
    this.machine = undefined;
    this.driver?.stop();
    this.stores.crash(() => this.random() < rot);
  }

  /** The blocks that the receiver has from the start. Those of `keptBlocks` are never damaged. */
  private initialContent({ blockSizeBytes }: StoreRequest): InitialContent {
    const { content, options } = this;
    const { missingBlocks, extras = [] } = options;
    const blockCount = Math.ceil(content.length / blockSizeBytes);
    const kept = new RangeSet(options.keptBlocks);
    // Only what exists in the content.
    if (kept.nextFrom(blockCount) !== undefined) kept.remove(blockCount, Number.MAX_SAFE_INTEGER);
    const missing = new Set(missingBlocks);
    const blocks: [number, Uint8Array][] = [];
    for (let block = 0; block < blockCount; block++) {
      const isHeld = missingBlocks !== undefined && !missing.has(block);
      if (!isHeld && !kept.has(block)) continue;
      const start = block * blockSizeBytes;
      blocks.push([block, content.slice(start, start + blockSizeBytes)]);
    }
    return { blocks, kept: [...kept.ranges()], extras };
  }

  /** Whether the disk durably holds exactly the content, apart from what was withdrawn. */
  private hasAll(manifestDigest: string): boolean {
    const { content, stores, options } = this;
    const { fileCount = 1, blockSizeBytes = standardBlockSizeBytes } = options;
    const blocks = stores.blocksOf(manifestDigest);
    const withdrawn = stores.withdrawnOf(manifestDigest);
    return placesOfFiles(content.length, fileCount).every(({ start, end }, file) => {
      if (withdrawn?.has(file) === true) return true;
      for (let i = start; i < end; ) {
        const block = Math.floor(i / blockSizeBytes);
        const bytes = blocks?.get(block);
        const blockStart = block * blockSizeBytes;
        const blockEnd = Math.min(end, blockStart + blockSizeBytes);
        for (; i < blockEnd; i++) if (bytes?.[i - blockStart] !== content[i]) return false;
      }
      return true;
    });
  }
}
