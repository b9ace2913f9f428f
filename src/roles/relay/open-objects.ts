/** The objects that a relay has open: in the cache if there is room, or passing through. */
import { P2mpError } from '../../base/errors.js';
import type { TimeMs } from '../../base/machine.js';
import { Queue } from '../../base/queue.js';
import type { SessionCrypto } from '../../security/crypto.js';
import type { DriverHost } from '../../session/drivers/driver-host.js';
import { MachineCalls } from '../../session/drivers/driver-host.js';
import type { BlockShelf } from './block-shelf.js';
import { PassingBlocks, StoredBlocks, UnreadBlocks } from './block-shelf.js';
import { CachedObjects } from './cached-objects.js';
import type { CachedObject, ObjectCache } from './object-cache.js';
import { OpenObject } from './open-object.js';
import { RelayedObject } from './relayed-object.js';

export interface OpenObjectsOptions {
  readonly crypto: SessionCrypto;
  readonly host: DriverHost;
  readonly cache: ObjectCache;
  readonly cacheLimitBytes: number;
  readonly blockSizeBytes: number;
  /** What is kept of each object that is too large for the cache; 16 MiB by default. */
  readonly windowBytes?: number;
}

/** What has happened to an object. */
export type OpenObjectAction =
  /** It has a place for its blocks, and some of them may be there. */
  | { readonly type: 'opened'; readonly open: OpenObject }
  /** There is no place for it now. */
  | { readonly type: 'refused'; readonly open: OpenObject; readonly reason: string }
  /** It cannot be stored, and passes through from now on. */
  | { readonly type: 'unstored'; readonly open: OpenObject; readonly reason: string }
  /** Somebody waits for a block. */
  | { readonly type: 'needed'; readonly open: OpenObject }
  /** Somebody reads what nobody has read before. Call `makePlace`. */
  | { readonly type: 'read'; readonly open: OpenObject }
  | { readonly type: 'evicted'; readonly info: CachedObject };

const defaultWindowBytes = 16 * 1024 * 1024;

/** How many objects can pass through at a time that the cache does not keep. */
const maxPassing = 8;

/** If more objects than that cannot be stored while clients wait, each of them gets so small a part of the memory. */
const crowdedWindowShare = 16;

/** How long an object is not stored that could not be. */
const unstorableMs = 60_000;

/** How long an object stays open that nobody uses, so that the next client need not wait for the disk. */
const lingerMs = 30_000;

export class OpenObjects {
  readonly cached: CachedObjects;
  private readonly open = new Map<string, OpenObject>();
  /** Objects that have failed to be stored, and when to try that again. */
  private readonly unstorable = new Map<string, TimeMs>();
  /** Objects that leave although nothing of them could be of use: that is no news. */
  private readonly unusable = new Set<string>();
  private readonly actions = new Queue<OpenObjectAction>();
  private readonly calls: MachineCalls;

  constructor(private readonly options: OpenObjectsOptions) {
    const { cache, cacheLimitBytes, blockSizeBytes, host } = options;
    this.calls = new MachineCalls(host);
    this.cached = new CachedObjects(cache, cacheLimitBytes, blockSizeBytes);
    this.makeRoom();
  }

  pollAction(): OpenObjectAction | undefined {
    return this.actions.shift();
  }

  [Symbol.iterator](): IterableIterator<OpenObject> {
    return this.open.values();
  }

  of({ id }: RelayedObject): OpenObject | undefined {
    return this.open.get(id);
  }

  // --- Opening

  /** Finds or opens an object. An action reports that it is open. */
  find(info: CachedObject): OpenObject {
    const known = this.open.get(info.id);
    if (known !== undefined) return known;
    const { id, name, contentSizeBytes } = info;
    const { blockSizeBytes, crypto, host } = this.options;
    const object: RelayedObject = new RelayedObject({
      ...{ id, name, contentSizeBytes, blockSizeBytes, crypto, host },
      handleNeed: () => this.actions.push({ type: 'needed', open }),
      // Later, because the object is in the call that reads.
      handleFirstRead: () => this.actions.push({ type: 'read', open }),
      handleIdle: () => this.hold(open),
    });
    const open: OpenObject = new OpenObject(info, object);
    this.open.set(id, open);
    const { nowMs } = host;
    for (const [each, atMs] of this.unstorable) if (nowMs >= atMs) this.unstorable.delete(each);
    if (this.unstorable.has(id)) this.pass(open);
    else if (this.cached.has(id)) this.load(open);
    else if (!this.cached.hasRoomFor(info)) this.pass(open);
    else if (info.contentSizeBytes === 0) this.reserve(open);
    // A client that has everything reads nothing, and other objects need not leave for it.
    else object.setShelf(new UnreadBlocks());
    return open;
  }

  /** Reserves room for an object of which nobody has read anything before. An action reports that it has a place. */
  makePlace(open: OpenObject): void {
    if (this.isOpen(open)) this.reserve(open);
  }

  private load(open: OpenObject): void {
    const { id } = open.info;
    this.cached.use(id);
    open.isHeld = true;
    this.calls.during(() =>
      this.options.cache.load(id, (head) =>
        this.calls.call(() => {
          if (!this.isOpen(open)) return;
          if (head !== undefined) {
            open.object.setHead(head);
            open.isDescribed = true;
            this.openStore(open);
          } else {
            this.leaveCache(open, true);
            this.pass(open);
          }
        }),
      ),
    );
  }

  private reserve(open: OpenObject): void {
    const reservation = this.cached.reserve(open.info);
    if (reservation === 'refused') this.pass(open);
    else if (reservation === 'granted') this.takeRoom(open);
    else this.makeRoom();
  }

  private takeRoom(open: OpenObject): void {
    open.isHeld = true;
    this.openStore(open);
  }

  private openStore(open: OpenObject): void {
    const { info, object } = open;
    const { cache, blockSizeBytes } = this.options;
    this.calls.during(() => {
      const store = cache.open(info.id, info.contentSizeBytes, object.head, (error) =>
        this.calls.call(() => this.handleFailure(open, shelf, error)),
      );
      const shelf: StoredBlocks = new StoredBlocks(store, info.contentSizeBytes, blockSizeBytes);
      shelf.open(() => this.calls.call(() => this.place(open, shelf)));
    });
  }

  /** The object does not go to the cache. */
  private pass(open: OpenObject): void {
    // A client that reads already cannot be asked to wait.
    if (this.passingCount < maxPassing || open.object.isAwaited) {
      this.place(open, this.createPassing());
      return;
    }
    const reason = `busy with ${maxPassing} objects that are too large for the cache; ask again later`;
    this.actions.push({ type: 'refused', open, reason });
  }

  private get passingCount(): number {
    let count = 0;
    for (const { object } of this.open.values()) if (object.isPassing) count++;
    return count;
  }

  private createPassing(): PassingBlocks {
    const { windowBytes = defaultWindowBytes, blockSizeBytes } = this.options;
    const isCrowded = this.passingCount >= maxPassing;
    return new PassingBlocks(
      isCrowded ? windowBytes / crowdedWindowShare : windowBytes,
      blockSizeBytes,
    );
  }

  private place(open: OpenObject, shelf: BlockShelf): void {
    if (!this.isOpen(open)) {
      shelf.close();
      return;
    }
    open.object.setShelf(shelf);
    this.describe(open);
    this.cached.setWhole(open.info.id, open.object.isWhole);
    this.actions.push({ type: 'opened', open });
  }

  /** Makes what the cache holds of an object of use after a restart, once there is a place for it and its digests are known. */
  describe(open: OpenObject): void {
    const { object, info } = open;
    if (open.isDescribed || object.head === undefined || object.shelf?.keeps !== true) return;
    open.isDescribed = true;
    this.options.cache.save(info.id, object.head);
  }

  private handleFailure(open: OpenObject, shelf: StoredBlocks, error: unknown): void {
    if (!(error instanceof P2mpError)) throw error;
    const { object, info } = open;
    const isOpening = object.shelf === undefined || object.isUnread;
    const isCurrent = isOpening || object.shelf === shelf;
    if (!this.isOpen(open) || !isCurrent) return;
    this.unstorable.set(info.id, this.options.host.nowMs + unstorableMs);
    shelf.close();
    // Before it leaves the cache: what has to leave is closed if it is still stored there.
    object.setShelf(this.createPassing());
    this.leaveCache(open, shelf.isWritten);
    this.actions.push({ type: 'unstored', open, reason: error.message });
  }

  // --- Use

  /** Counts the object as in use, or not. Closes it if the cache does not keep it and nobody uses it. */
  hold(open: OpenObject): void {
    const { object, info } = open;
    const isUnkept = object.shelf?.keeps === false;
    if (isUnkept && object.head !== undefined && !object.isInUse && open.takers.length === 0) {
      this.close(open);
    } else if (open.isNeeded && !open.isHeld && object.shelf?.keeps === true) {
      this.cached.use(info.id);
      open.isHeld = true;
      open.idleSinceMs = Infinity;
    } else if (!open.isNeeded && open.isHeld) {
      this.letGo(open);
      open.idleSinceMs = this.options.host.nowMs;
    }
  }

  private letGo(open: OpenObject): void {
    if (!open.isHeld) return;
    open.isHeld = false;
    this.cached.release(open.info.id);
  }

  /** @param isEviction whether the cache held anything of it that was of use */
  private leaveCache(open: OpenObject, isEviction: boolean): void {
    const { id } = open.info;
    this.letGo(open);
    if (this.cached.has(id)) this.drop(id, isEviction);
    this.makeRoom();
  }

  private drop(id: string, isEviction: boolean): void {
    if (!isEviction) this.unusable.add(id);
    this.cached.drop(id);
  }

  /** Closes an object. What was never described in the cache leaves it. */
  close(open: OpenObject): void {
    const { object, info } = open;
    if (!this.isOpen(open)) return;
    this.open.delete(info.id);
    const { nowMs } = this.options.host;
    if (object.isUnread) open.lookup?.fetch.conclude(nowMs);
    else open.lookup?.fetch.abort(nowMs, 'nobody fetches it any more');
    const { shelf } = object;
    shelf?.close();
    if (open.isHeld && !open.isDescribed) this.leaveCache(open, false);
    else this.letGo(open);
  }

  private isOpen(open: OpenObject): boolean {
    return this.open.get(open.info.id) === open;
  }

  /** Removes what has to leave the cache, and opens what was waiting for the room. */
  private makeRoom(): void {
    for (;;) {
      const info = this.cached.pollRemoval();
      if (info === undefined) break;
      const open = this.open.get(info.id);
      if (open?.object.shelf?.keeps === true) this.close(open);
      this.calls.during(() =>
        this.options.cache.remove(info.id, (isGone) =>
          this.calls.call(() => {
            this.handleRemoval(info, isGone);
          }),
        ),
      );
    }
    for (let id = this.cached.pollRefused(); id !== undefined; id = this.cached.pollRefused()) {
      const open = this.open.get(id);
      if (open !== undefined) this.pass(open);
    }
    for (;;) {
      const id = this.cached.pollGranted();
      if (id === undefined) return;
      const open = this.open.get(id);
      if (open !== undefined) {
        this.takeRoom(open);
      } else {
        this.cached.release(id);
        this.drop(id, false);
      }
    }
  }

  private handleRemoval(info: CachedObject, isGone: boolean): void {
    if (isGone) {
      this.cached.handleRemoved(info.id);
      if (!this.unusable.delete(info.id)) this.actions.push({ type: 'evicted', info });
    } else {
      this.cached.handleStuck(info.id);
    }
    this.makeRoom();
  }

  // --- Time

  pollTimeout(): TimeMs {
    let atMs = Infinity;
    for (const { work, idleSinceMs } of this.open.values())
      atMs = Math.min(atMs, work === undefined ? idleSinceMs + lingerMs : 0);
    return atMs;
  }

  handleTimeout(nowMs: TimeMs): void {
    for (const open of [...this.open.values()])
      if (nowMs >= open.idleSinceMs + lingerMs) this.close(open);
  }
}
