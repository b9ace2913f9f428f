/**
 * An object that a relay passes on, from a cache or while it is fetched. Sessions with clients read it like any source;
 * a read of a block that is not there yet waits for it. Each block is compared with its digest before it is passed on.
 */
import { assert } from '../../base/assert.js';
import type { ContentSource } from '../../object/content-source.js';
import type { Completion, ContentStore } from '../../object/content-store.js';
import { hashLeaf } from '../../object/hash-tree.js';
import type { SessionCrypto } from '../../security/crypto.js';
import type { DriverHost } from '../../session/drivers/driver-host.js';
import { MachineCalls } from '../../session/drivers/driver-host.js';
import { isEqualBytes } from '../../wire/byte-codec.js';
import type { Fetch } from '../fetch/fetch.js';
import type { KnownObject } from '../fetch/fetched-object.js';
import { type BlockShelf, PassingBlocks, UnreadBlocks } from './block-shelf.js';
import type { ObjectHead } from './object-cache.js';

type Take = (bytes: Uint8Array) => void;

export interface RelayedObjectOptions {
  readonly id: string;
  readonly name: string;
  readonly contentSizeBytes: number;
  readonly blockSizeBytes: number;
  readonly crypto: SessionCrypto;
  readonly host: DriverHost;
  /** Somebody waits for a block, and nobody fetches it. */
  readonly handleNeed: (object: RelayedObject) => void;
  /** Somebody reads the object, of which nobody has read anything before. */
  readonly handleFirstRead: () => void;
  /** Nobody uses the object any more. */
  readonly handleIdle: (object: RelayedObject) => void;
}

export class RelayedObject implements ContentSource {
  readonly id: string;
  readonly name: string;
  readonly blockCount: number;
  private known: ObjectHead | undefined;
  private place: BlockShelf | undefined;
  private filling: Fetch | undefined;
  private isPlaceWanted = false;
  private readonly waiting = new Map<number, Take[]>();
  private readonly calls: MachineCalls;
  private users = 0;

  constructor(private readonly options: RelayedObjectOptions) {
    this.id = options.id;
    this.name = options.name;
    this.blockCount = Math.ceil(options.contentSizeBytes / options.blockSizeBytes);
    this.calls = new MachineCalls(options.host);
  }

  /** Undefined until manifest and digests are known. */
  get head(): ObjectHead | undefined {
    return this.known;
  }

  /** What of the description need not be fetched; undefined if nothing is known. */
  get spared(): KnownObject | undefined {
    if (this.known === undefined) return undefined;
    const { manifest, digestTree } = this.known;
    return { manifest, leaves: digestTree.nodes(0, 0, this.blockCount) };
  }

  get shelf(): BlockShelf | undefined {
    return this.place;
  }

  /** Undefined if nothing is fetched. */
  get fetch(): Fetch | undefined {
    return this.filling;
  }

  /** Whether it can be offered to clients. */
  get isReady(): boolean {
    return this.known !== undefined && this.place !== undefined;
  }

  /** Whether all of it is held. */
  get isWhole(): boolean {
    const { known, place, blockCount } = this;
    return known !== undefined && place?.keeps === true && place.held.count === blockCount;
  }

  /** Whether its blocks stay only for a short while, because the cache does not keep them. */
  get isPassing(): boolean {
    return this.place instanceof PassingBlocks;
  }

  /** Whether nobody has read anything of it, so that nothing of it is fetched. */
  get isUnread(): boolean {
    return this.place instanceof UnreadBlocks;
  }

  get isInUse(): boolean {
    return this.users > 0;
  }

  /** Whether a session waits for a block. */
  get isAwaited(): boolean {
    return this.waiting.size > 0;
  }

  setHead(head: ObjectHead): void {
    this.known = head;
  }

  setShelf(shelf: BlockShelf): void {
    this.place = shelf;
  }

  // --- Clients

  /** A session with clients begins to use the object. */
  use(): void {
    this.users++;
  }

  /** A session has ended. */
  release(): void {
    assert(this.users > 0, 'an object in use is released');
    this.users--;
    if (this.users === 0) this.options.handleIdle(this);
  }

  read(offsetBytes: number, sizeBytes: number, take: Take): void {
    const { blockSizeBytes } = this.options;
    const block = offsetBytes / blockSizeBytes;
    assert(Number.isInteger(block) && sizeBytes <= blockSizeBytes, 'sessions read blocks');
    const { place } = this;
    const recent = place?.recent(block);
    if (recent !== undefined) take(recent);
    else if (place?.held.has(block) === true) this.readHeld(place, block, take);
    else this.await(block, take);
    const { filling, isUnread } = this;
    if (place !== undefined && filling !== undefined && !isUnread)
      this.hurry(place, filling, block);
  }

  /** What is read is compared with its digest anyway. */
  check(handleUnchanged: () => void): void {
    handleUnchanged();
  }

  private readHeld(place: BlockShelf, block: number, take: Take): void {
    let isNow = true;
    place.read(block, (bytes) => {
      if (bytes !== undefined && this.isRight(block, bytes)) {
        take(bytes);
        return;
      }
      place.forget(block);
      if (isNow) this.await(block, take);
      else this.calls.call(() => this.await(block, take));
    });
    isNow = false;
  }

  private isRight(block: number, bytes: Uint8Array): boolean {
    const { digestTree } = this.known as ObjectHead;
    return isEqualBytes(digestTree.leaf(block), hashLeaf(this.options.crypto.hash, bytes));
  }

  private await(block: number, take: Take): void {
    const takes = this.waiting.get(block);
    if (takes !== undefined) {
      takes.push(take);
      return;
    }
    this.waiting.set(block, [take]);
    if (this.isUnread) this.makePlace();
    else if (this.filling === undefined) this.options.handleNeed(this);
    else this.filling.hurry(this.options.host.nowMs, block, block + 1);
  }

  /** Has the content fetched from now on, as the first read does. */
  makePlace(): void {
    if (this.isUnread && !this.isPlaceWanted) this.options.handleFirstRead();
    this.isPlaceWanted = true;
  }

  /** Has the blocks fetched that will be read next. */
  private hurry(place: BlockShelf, fetch: Fetch, block: number): void {
    const end = Math.min(block + place.aheadCount, this.blockCount);
    for (const { start, end: gapEnd } of [...place.held.gaps(block, end)])
      fetch.hurry(this.options.host.nowMs, start, gapEnd);
  }

  // --- The fetch that fills it

  begin(fetch: Fetch): void {
    this.filling = fetch;
  }

  /** The fetch can ask for blocks from now on. */
  handleReady(): void {
    const { nowMs } = this.options.host;
    // They wait for a place first.
    if (this.isUnread) return;
    for (const block of this.waiting.keys()) this.filling?.hurry(nowMs, block, block + 1);
  }

  endFetch(): void {
    this.filling = undefined;
  }

  /** Nobody gets what he waits for. */
  abandonReads(): void {
    this.waiting.clear();
  }

  /** Where the fetch puts what it has verified. */
  fill(): ContentStore {
    const { blockSizeBytes } = this.options;
    // The first read gives the object another one.
    const placeNow = () => this.place as BlockShelf;
    const done: Completion = { note: '', deletion: undefined };
    return {
      open: (handleFound) => {
        const held = [...this.heldBlocks(placeNow())];
        handleFound({ held, kept: [], unchangedFiles: 0, extras: [] });
      },
      read: (_offsetBytes, _sizeBytes, take) => take(undefined),
      check: (handleUnchanged) => handleUnchanged(),
      write: (offsetBytes, bytes, handleWritten) =>
        this.takeBlock(placeNow(), offsetBytes / blockSizeBytes, bytes, handleWritten),
      forget: (block) => placeNow().forget(block),
      // What is fetched has known digests, so nothing of it is withdrawn.
      withdraw: () => undefined,
      verify: (_leafOf, handleDamaged) => handleDamaged([]),
      complete: (_doomed, handleCompleted) => handleCompleted(done),
      end: () => undefined,
    };
  }

  private *heldBlocks(place: BlockShelf) {
    if (this.known === undefined) return;
    const { digestTree } = this.known;
    for (const { start, end } of place.held.ranges())
      for (let index = start; index < end; index++) yield { index, leaf: digestTree.leaf(index) };
  }

  private takeBlock(
    place: BlockShelf,
    block: number,
    bytes: Uint8Array,
    handleWritten: () => void,
  ): void {
    const takes = this.waiting.get(block) ?? [];
    this.waiting.delete(block);
    place.put(block, bytes, handleWritten);
    for (const take of takes) take(bytes);
  }
}
