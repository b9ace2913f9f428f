/**
 * Stores of objects in memory, for simulations and tests. They behave like a disk: operations take time, one after
 * another, and a crash loses what is not durable yet.
 */
import type { Hash } from '../base/hash.js';
import type { Clock, TimeMs } from '../base/machine.js';
import type { Range, ReadonlyRangeSet } from '../base/range-set.js';
import { RangeSet } from '../base/range-set.js';
import type { Extra } from '../wire/lists.js';
import type { WithdrawalReason } from '../wire/withdrawn.js';
import type {
  Completion,
  ContentStore,
  ContentStores,
  DeletionResult,
  FoundContent,
  HeldBlock,
  StoredObject,
  StoreRequest,
} from './content-store.js';
import { hashLeaf } from './hash-tree.js';

/** What is in memory of an object before its first session. */
export interface InitialContent {
  /** Blocks by number. */
  readonly blocks?: Iterable<readonly [number, Uint8Array]>;
  /** Blocks, also among `blocks`, that are kept without being read. */
  readonly kept?: readonly Range[];
  readonly extras?: readonly Extra[];
}

/** How long operations take. Without it, each ends at once and is durable at once. */
export interface MemoryTiming {
  readonly clock: Clock;
  /** Time of one write. */
  readonly writeTimeMs?: number;
  /** Time to make the whole content durable under its final names. */
  readonly storeTimeMs?: number;
  /** Time from the first write until everything written is durable. */
  readonly checkpointMs?: number;
}

export interface MemoryStoresOptions {
  readonly hash: Hash;
  readonly timing?: MemoryTiming;
  /** What is there of an object before its first session; nothing by default. */
  readonly initialContent?: (request: StoreRequest) => InitialContent;
  /** Whether `verify` compares every block; by default, it trusts the memory. */
  readonly verifies?: boolean;
}

const defaultCheckpointMs = 100;

/** What is in memory of one object. */
interface MemoryObject {
  readonly blockSizeBytes: number;
  readonly contentSizeBytes: number;
  /** Blocks that survive a crash. */
  readonly durable: Map<number, Uint8Array>;
  readonly written: Map<number, Uint8Array>;
  readonly kept: RangeSet;
  extras: readonly Extra[];
  /** What the sender withdrew in the last session. */
  withdrawn: ReadonlyMap<number, WithdrawalReason>;
}

export class MemoryStores implements ContentStores {
  /** Names of deleted entries, in order. */
  readonly deletedNames: string[] = [];
  /** Whatever was asked for before a crash does not end after it. */
  life = 0;
  private readonly objects = new Map<string, MemoryObject>();
  private freeAtMs: TimeMs = 0;
  private isCheckpointDue = false;

  constructor(readonly options: MemoryStoresOptions) {}

  create(request: StoreRequest): ContentStore {
    return new MemoryStore(this, this.objectOf(request), request, this.options);
  }

  drop({ manifestDigest }: StoredObject): void {
    const object = this.objects.get(manifestDigest);
    if (object === undefined) return;
    object.written.clear();
    for (const block of [...object.durable.keys()]) {
      if (!object.kept.has(block)) object.durable.delete(block);
    }
  }

  /** Durable blocks of an object; undefined if nothing was ever stored of it. */
  blocksOf(manifestDigest: string): ReadonlyMap<number, Uint8Array> | undefined {
    return this.objects.get(manifestDigest)?.durable;
  }

  /** The entries that are not stored, because the sender withdrew them. */
  withdrawnOf(manifestDigest: string): ReadonlyMap<number, WithdrawalReason> | undefined {
    return this.objects.get(manifestDigest)?.withdrawn;
  }

  /**
   * Loses everything that is not durable.
   * @param isDamaged called for each durable block that is not kept; whether the crash damages it
   */
  crash(isDamaged: () => boolean = () => false): void {
    this.life++;
    this.freeAtMs = 0;
    this.isCheckpointDue = false;
    for (const { durable, written, kept } of this.objects.values()) {
      written.clear();
      for (const [block, bytes] of durable) {
        if (kept.has(block) || !isDamaged()) continue;
        const damaged = bytes.slice();
        damaged[0] = (damaged[0] as number) ^ 1;
        durable.set(block, damaged);
      }
    }
  }

  /** Makes everything written durable. */
  checkpoint(): void {
    for (const { durable, written } of this.objects.values()) {
      for (const [block, bytes] of written) durable.set(block, bytes);
      written.clear();
    }
  }

  /** Runs an operation that takes this long, after those that were begun before. */
  later(durationMs: number, action: () => void): void {
    const { clock } = this.options.timing ?? {};
    if (clock === undefined) {
      action();
      return;
    }
    this.freeAtMs = Math.max(this.freeAtMs, clock.nowMs) + durationMs;
    if (this.freeAtMs === clock.nowMs) {
      action();
      return;
    }
    this.inThisLife(clock, this.freeAtMs, action);
  }

  /** Makes what was just written durable a little later. */
  planCheckpoint(): void {
    const { clock, checkpointMs = defaultCheckpointMs } = this.options.timing ?? {};
    if (clock === undefined) {
      this.checkpoint();
      return;
    }
    if (this.isCheckpointDue) return;
    this.isCheckpointDue = true;
    this.inThisLife(clock, clock.nowMs + checkpointMs, () => {
      this.isCheckpointDue = false;
      this.checkpoint();
    });
  }

  private inThisLife(clock: Clock, atMs: TimeMs, action: () => void): void {
    const { life } = this;
    clock.at(atMs, () => {
      if (this.life === life) action();
    });
  }

  private objectOf(request: StoreRequest): MemoryObject {
    const { manifestDigest, manifest, blockSizeBytes } = request;
    const known = this.objects.get(manifestDigest);
    if (known !== undefined) return known;
    const { blocks = [], kept = [], extras = [] } = this.options.initialContent?.(request) ?? {};
    const object = {
      blockSizeBytes,
      contentSizeBytes: manifest.contentSizeBytes,
      durable: new Map(blocks),
      written: new Map(),
      kept: new RangeSet(kept),
      extras,
      withdrawn: new Map(),
    };
    this.objects.set(manifestDigest, object);
    return object;
  }
}

class MemoryStore implements ContentStore {
  private hasEnded = false;
  private withdrawnBlocks: ReadonlyRangeSet | undefined;

  constructor(
    private readonly stores: MemoryStores,
    private readonly object: MemoryObject,
    private readonly request: StoreRequest,
    private readonly options: MemoryStoresOptions,
  ) {}

  open(handleFound: (found: FoundContent) => void): void {
    const { object, request } = this;
    const { deletion } = request;
    object.withdrawn = new Map();
    // Copies, because a receiver may delete only the entries that it listed in this session.
    if (deletion !== 'none') object.extras = object.extras.map((extra) => ({ ...extra }));
    const extras = deletion === 'none' ? [] : object.extras;
    const kept = deletion === 'list' ? [] : [...object.kept.ranges()];
    const held = deletion === 'list' ? [] : this.held();
    handleFound({ held, kept, unchangedFiles: 0, extras });
  }

  write(offsetBytes: number, bytes: Uint8Array, handleWritten: () => void): void {
    const { stores, object } = this;
    const { writeTimeMs = 0 } = this.options.timing ?? {};
    stores.later(writeTimeMs, () => {
      object.written.set(offsetBytes / object.blockSizeBytes, bytes);
      handleWritten();
      stores.planCheckpoint();
    });
  }

  withdraw(entries: ReadonlyMap<number, WithdrawalReason>, blocks: ReadonlyRangeSet): void {
    this.object.withdrawn = new Map(entries);
    this.withdrawnBlocks = blocks;
  }

  forget(block: number): void {
    this.object.durable.delete(block);
    this.object.written.delete(block);
  }

  verify(
    leafOf: (block: number) => Uint8Array,
    handleDamaged: (blocks: readonly number[]) => void,
  ): void {
    const damaged: number[] = [];
    if (this.options.verifies === true) {
      for (const { index, leaf } of this.held()) {
        if (this.withdrawnBlocks?.has(index) === true) continue;
        const expected = leafOf(index);
        if (!leaf.every((byte, i) => byte === expected[i])) damaged.push(index);
      }
    }
    handleDamaged(damaged);
  }

  complete(doomed: Iterable<Extra>, handleCompleted: (completion: Completion) => void): void {
    const { storeTimeMs = 0 } = this.options.timing ?? {};
    this.stores.later(storeTimeMs, () => {
      if (this.hasEnded) return;
      this.stores.checkpoint();
      const deletion = this.request.deletion === 'none' ? undefined : this.delete([...doomed]);
      handleCompleted({ note: '', deletion });
    });
  }

  end(): void {
    this.hasEnded = true;
  }

  read(offsetBytes: number, sizeBytes: number, take: (bytes: Uint8Array | undefined) => void) {
    take(this.bytesAt(offsetBytes, sizeBytes));
  }

  check(handleUnchanged: () => void): void {
    handleUnchanged();
  }

  private bytesAt(offsetBytes: number, sizeBytes: number): Uint8Array | undefined {
    const { blockSizeBytes, written, durable } = this.object;
    const bytes = new Uint8Array(sizeBytes);
    for (let from = 0; from < sizeBytes; ) {
      const block = Math.floor((offsetBytes + from) / blockSizeBytes);
      const held = written.get(block) ?? durable.get(block);
      const start = offsetBytes + from - block * blockSizeBytes;
      if (held === undefined || start >= held.length) return undefined;
      const part = held.subarray(start, start + sizeBytes - from);
      bytes.set(part, from);
      from += part.length;
    }
    return bytes;
  }

  /** Every block that is held and not kept, in order. */
  private held(): HeldBlock[] {
    const { durable, written, kept } = this.object;
    return [...new Map([...durable, ...written])]
      .filter(([index]) => !kept.has(index))
      .sort(([a], [b]) => a - b)
      .map(([index, bytes]) => ({ index, leaf: hashLeaf(this.options.hash, bytes) }));
  }

  private delete(doomed: readonly Extra[]): DeletionResult {
    const { object, stores } = this;
    const deletedNames = doomed.map(({ name }) => name);
    stores.deletedNames.push(...deletedNames);
    object.extras = object.extras.filter((extra) => !doomed.includes(extra));
    return { deletedEntries: doomed.length, undeletedEntries: 0, deletedNames, undeleted: [] };
  }
}
