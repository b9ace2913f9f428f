/**
 * The parts of active sessions. If one sender has two sessions with the same object, both use the same part:
 * the second session waits until the first has finished with the part.
 */

import { withoutUndefined } from '../../../base/without-undefined.js';
import type {
  ContentStore,
  ContentStores,
  StoredObject,
  StoreRequest,
} from '../../../object/content-store.js';
import { toHex } from '../../../wire/byte-codec.js';
import type { ExistingFiles } from '../../../wire/offer.js';
import { DeletionListing } from '../deletion/deletion-listing.js';
import type { FileBudget } from '../store/file-budget.js';
import type { PlacedIndex } from '../store/placed-files.js';
import { isNothingThere } from './nothing-there.js';
import type { PartOrigin } from './part-origin.js';
import { partIdOf } from './part-origin.js';
import { PartStore } from './part-store.js';
import type { PartStoreOptions } from './part-store-options.js';
import { SessionPart } from './session-part.js';
import type { SenderPart } from './stale-parts.js';
import { listPartsOf, removePart } from './stale-parts.js';

export interface SessionPartsOptions {
  readonly dir: string;
  /** How to treat existing files; by default as the sender asks. */
  readonly existing?: ExistingFiles;
  /** Whether existing files and folders get the sender's modes. */
  readonly updatesModes: boolean;
  readonly fileBudget: FileBudget;
  readonly verifiesDisk: boolean;
  /** Whether any sender of the object may continue a part, not just the one that started it. */
  readonly sharesParts: boolean;
  /** Whether an object continues the unfinished part of an older version; not by default. */
  readonly continuesEarlier?: boolean;
  /**
   * Whether blocks may arrive while a part is still being opened, if nothing of the object is there; not by default. An
   * error of the disk then comes later.
   */
  readonly answersEarly?: boolean;
  /** What each sender has placed. */
  readonly placed: PlacedIndex;
  /** Whether an offer is also compared with existing files that its sender did not place. */
  readonly comparesAll: boolean;
  /** How long blocks that have arrived wait for others before they are written; 32 ms by default. */
  readonly gatherMs?: number;
  /** The size of all objects that arrive at the same time; by default, each counts alone. */
  readonly arrivingBytes?: () => number;
  /** Files and folders that no sender may delete. */
  readonly protectedPaths: readonly string[];
  /** Called when a stored block is not the sender's, with the names of the files that it overlaps. */
  readonly handleBadBlock: (session: number, block: number, names: readonly string[]) => void;
}

/**
 * Maximum number of idle parts per sender. Parts that have not changed for the longest time are removed
 * first.
 */
const maxIdleParts = 64;

export class SessionParts implements ContentStores {
  /** Work in progress, by the name of the part. Each promise resolves once that work is done. */
  private readonly work = new Map<string, Promise<void>>();

  constructor(private readonly options: SessionPartsOptions) {}

  create(request: StoreRequest, handleFailure: (error: unknown) => void): ContentStore {
    if (request.deletion === 'list')
      return new DeletionListing(this.options, request, handleFailure);
    const part = new SessionPart({
      request,
      openPart: (signal, handleNothing) => {
        const opening = this.openPart(request, signal, handleNothing);
        this.setWork(this.idOf(request), part.done);
        return opening;
      },
      handleFailure,
      handleBadBlock: (block, names) => this.options.handleBadBlock(request.session, block, names),
      handleEnd: (isComplete) => {
        if (isComplete) this.dropEarlier(request);
        else this.trimAfter(request);
      },
    });
    return part;
  }

  /**
   * Removes the parts of older versions of a complete object: parts with the same sender and label. A shared
   * part that another sender last continued stays, because two users may choose the same label. The removal
   * runs in the background. If it fails, the next complete object with this label tries again.
   */
  private dropEarlier(object: StoredObject): void {
    const { senderKey, lastKey, label } = this.originOf(object);
    const work = this.dropSome(senderKey, (parts) =>
      parts.filter((part) => part.label === label && part.lastKey === lastKey),
    );
    this.setWork(`before ${this.idOf(object)}`, work);
  }

  drop(object: StoredObject): void {
    void this.dropPart(this.idOf(object));
  }

  /** Resolves once all work of ended sessions is done. */
  async settle(): Promise<void> {
    await Promise.all(this.work.values());
  }

  private async openPart(
    request: StoreRequest,
    signal: AbortSignal,
    handleNothing: () => void,
  ): Promise<PartStore> {
    const { manifest, blockSizeBytes, existing, deletion, listedAtMs } = request;
    const { dir, fileBudget, verifiesDisk, comparesAll, existing: own } = this.options;
    const { updatesModes, protectedPaths, gatherMs, arrivingBytes } = this.options;
    const partId = this.idOf(request);
    const origin = this.originOf(request);
    const placed = this.options.placed.ofSender(
      toHex(request.senderKey),
      origin.senderKey,
      listedAtMs,
    );
    await this.work.get(partId);
    await this.trim(origin.senderKey);
    const earlierId = await this.earlierOf(request);
    const options: PartStoreOptions = {
      ...withoutUndefined({ earlierId, gatherMs, arrivingBytes }),
      ...{ dir, partId, origin, manifest, blockSizeBytes, signal, verifiesDisk },
      existing: own ?? existing,
      ...{ updatesModes, protectedPaths, listsExtras: deletion === 'delete' },
      fileBudget,
      placed: comparesAll ? { ...placed, has: () => true } : placed,
    };
    if (this.options.answersEarly === true && (await isNothingThere(options))) handleNothing();
    return PartStore.open(options);
  }

  /** The newest idle part of an older version of an object; undefined if there is none, or it is of no interest. */
  private async earlierOf(object: StoredObject): Promise<string | undefined> {
    if (this.options.continuesEarlier !== true) return undefined;
    const own = this.idOf(object);
    const { senderKey, lastKey, label } = this.originOf(object);
    const isSkipped = (id: string) => id === own || this.work.has(id);
    const parts = await listPartsOf(this.options.dir, senderKey, isSkipped).catch(() => []);
    const earlier = parts.filter((part) => part.label === label && part.lastKey === lastKey);
    return earlier.sort((a, b) => b.changedAtMs - a.changedAtMs)[0]?.id;
  }

  private idOf({ manifestDigest, senderKey }: StoredObject): string {
    return this.options.sharesParts ? manifestDigest : partIdOf(manifestDigest, senderKey);
  }

  private originOf({ senderKey, label }: StoredObject): PartOrigin {
    const lastKey = toHex(senderKey);
    return { senderKey: this.options.sharesParts ? '' : lastKey, lastKey, label };
  }

  private async dropSome(
    senderKey: string,
    choose: (parts: readonly SenderPart[]) => readonly SenderPart[],
  ): Promise<void> {
    const isInUse = (id: string) => this.work.has(id);
    const parts = await listPartsOf(this.options.dir, senderKey, isInUse).catch(() => []);
    // A session may have started to use the part in the meantime.
    for (const { id } of choose(parts)) if (!isInUse(id)) await this.dropPart(id);
  }

  /** Once no session uses this part, removes the sender's oldest idle parts if there are too many. */
  private trimAfter(object: StoredObject): void {
    const id = this.idOf(object);
    const ended = this.work.get(id);
    const trim = async () => {
      await ended;
      await this.trim(this.originOf(object).senderKey);
    };
    this.setWork(`after ${id}`, trim());
  }

  private trim(senderKey: string): Promise<void> {
    return this.dropSome(senderKey, (parts) =>
      [...parts].sort((a, b) => b.changedAtMs - a.changedAtMs).slice(maxIdleParts),
    );
  }

  private dropPart(id: string): Promise<void> {
    const before = this.work.get(id);
    const drop = async () => {
      await before;
      await removePart(this.options.dir, id).catch(() => undefined);
    };
    const work = drop();
    this.setWork(id, work);
    return work;
  }

  private setWork(id: string, done: Promise<void>): void {
    this.work.set(id, done);
    void done.then(() => {
      if (this.work.get(id) === done) this.work.delete(id);
    });
  }
}
