/**
 * An object of other peers that a peer of an exchange fetches: from its owner, by multicast where that reaches, and
 * otherwise also from other peers that hold a part of it. What has arrived can be read by others at once.
 */
import type { TimeMs } from '../../../base/machine.js';
import type { ReadonlyRangeSet } from '../../../base/range-set.js';
import type { Steps } from '../../../base/steps.js';
import type { EndpointEvent } from '../../../endpoint/endpoint.js';
import type { ContentSource } from '../../../object/content-source.js';
import type { ContentStores, StoreRequest } from '../../../object/content-store.js';
import type { Manifest } from '../../../object/manifest.js';
import type { ReceiverSpec } from '../../../transfer/receiver-spec.js';
import type { FetchOptions } from '../../fetch/fetch.js';
import { Fetch } from '../../fetch/fetch.js';
import type { FetchResult, FetchRoleEvent } from '../../fetch/fetch-result.js';
import type { ObjectHead } from '../../relay/object-cache.js';
import { describe } from '../../relay/open-object.js';
import type { ExchangedContent, RosterPeer } from '../roster.js';
import { SharedObject } from './shared-object.js';

export interface RemoteObjectOptions
  extends Pick<
    FetchOptions,
    'crypto' | 'port' | 'ownKey' | 'platform' | 'limits' | 'host' | 'beginsAt'
  > {
  readonly blockSizeBytes: number;
  /** Where the objects of the peer with this name are kept. */
  readonly storesOf: (owner: string) => ExchangeStores;
  /** Something has ended for which the object had to wait, for example writing. */
  readonly handleChange: (object: RemoteObject) => void;
  /** Others can read these blocks from now on. */
  readonly handleHeld: (object: RemoteObject, start: number, end: number) => void;
  /** A verified block has arrived from a source. */
  readonly handleBlock?: (
    nowMs: TimeMs,
    object: RemoteObject,
    source: string,
    block: number,
  ) => void;
}

/** Where the objects of one peer are kept by another one. */
export interface ExchangeStores extends ContentStores {
  /** The content of a store that is complete, under its final names. */
  openStored(request: StoreRequest): ContentSource;
}

/** What a peer needs to know to choose the sources of an object. */
export interface Candidates {
  /** The other peers, the one to be asked first comes first. */
  readonly peers: readonly RosterPeer[];
  readonly specOf: (peer: RosterPeer) => ReceiverSpec;
}

/** Maximum number of sources that are no owners, if no owner is there, or the one that serves by multicast is silent. */
const maxHelpers = 4;

/**
 * The same beside an owner that serves by unicast. With each further session, more is in flight on the links that all of
 * them share, and more of it is lost.
 */
const maxHelpersOfOwner = 2;

/** So long after the owner was first asked for blocks, it is known whether it serves by multicast. */
const helpAfterMs = 300;

/** An owner that serves by multicast gets help if nothing has arrived from it for this long. */
const silentMs = 1000;

/** An owner that has made no offer for this long gets help, too. */
const offerTimeoutMs = 5000;

const retryMs = 1000;

export class RemoteObject {
  readonly shared: SharedObject;
  /** The fetch in progress, or the one that is complete. */
  private current: Fetch | undefined;
  /** Fetches that failed, until their sources know that. */
  private readonly ended = new Set<Fetch>();
  private readonly joined = new Set<ReceiverSpec>();
  /** Of these, those that are no owners. */
  private readonly helpers = new Set<ReceiverSpec>();
  /** Sources that are of no use, or lie. */
  private readonly excluded = new Set<string>();
  private work: Steps<ObjectHead> | undefined;
  private begunAtMs: TimeMs | undefined;
  /** When blocks were first asked for. */
  private readyAtMs: TimeMs | undefined;
  /** What had arrived by multicast, and when that last became more. */
  private pacedBytes = 0;
  private movedAtMs: TimeMs = Infinity;
  private retryAtMs: TimeMs = -Infinity;
  private isComplete = false;
  private listed: Manifest | undefined;

  constructor(
    /** As the roster knows it now. */
    public content: ExchangedContent,
    readonly name: string,
    /** The name of the first peer that brought it. */
    readonly ownerName: string,
    private readonly options: RemoteObjectOptions,
  ) {
    const { blockSizeBytes, handleHeld } = options;
    this.shared = new SharedObject({
      ...{ blockCount: content.blockCount, blockSizeBytes },
      // Without its head, the object cannot be offered.
      handleHeld: (start, end) => {
        if (this.shared.head !== undefined) handleHeld(this, start, end);
      },
    });
  }

  /** Whether it is stored under its final names. */
  get isStored(): boolean {
    return this.isComplete;
  }

  get fetch(): Fetch | undefined {
    return this.current;
  }

  /** Its entries; undefined until they are known. */
  get manifest(): Manifest | undefined {
    return this.listed;
  }

  // --- Sources

  /** Takes sources that are of use now. */
  chooseSources(nowMs: TimeMs, { peers, specOf }: Candidates): void {
    if (this.isComplete || nowMs < this.retryAtMs) return;
    this.begunAtMs ??= nowMs;
    const owners = peers.filter((peer) => peer.isPresent && peer.brings(this.content));
    for (const owner of owners) this.join(nowMs, specOf(owner), undefined);
    // Helpers have groups, too.
    const pacedBytes = this.current?.sources.pacedBytesOf((spec) => !this.helpers.has(spec));
    if (owners.length > 0 && !this.needsHelp(nowMs, pacedBytes)) {
      if (pacedBytes !== undefined) this.dismissHelpers(nowMs);
      return;
    }
    const isServed = owners.length > 0 && pacedBytes === undefined;
    const most = isServed ? maxHelpersOfOwner : maxHelpers;
    for (const peer of peers) {
      if (this.helpers.size >= most) return;
      const holding = peer.holdings.get(this.content);
      if (!peer.isPresent || holding === undefined || holding.isEmpty) continue;
      // By multicast, the others usually hold the same.
      if (pacedBytes !== undefined && !this.misses(holding)) continue;
      const spec = specOf(peer);
      if (this.join(nowMs, spec, holding)) this.helpers.add(spec);
    }
  }

  /** @param pacedBytes what has arrived by multicast from owners; undefined if they serve otherwise */
  private needsHelp(nowMs: TimeMs, pacedBytes: number | undefined): boolean {
    if (pacedBytes !== undefined) return this.isSilent(nowMs, pacedBytes);
    const { begunAtMs = nowMs, readyAtMs = Infinity } = this;
    return nowMs >= Math.min(readyAtMs + helpAfterMs, begunAtMs + offerTimeoutMs);
  }

  /** Whether an owner that serves by multicast might have died. */
  private isSilent(nowMs: TimeMs, pacedBytes: number): boolean {
    if (pacedBytes !== this.pacedBytes || this.movedAtMs === Infinity) {
      this.pacedBytes = pacedBytes;
      this.movedAtMs = nowMs;
    }
    return nowMs >= this.movedAtMs + silentMs;
  }

  /** Whether a peer holds any block that is missing here. */
  private misses(holding: ReadonlyRangeSet): boolean {
    const { held } = this.shared;
    for (const { start, end } of holding.ranges())
      if (!held.gaps(start, end)[Symbol.iterator]().next().done) return true;
    return false;
  }

  /** What an owner sends by multicast, others need not send again. */
  private dismissHelpers(nowMs: TimeMs): void {
    for (const spec of this.helpers) {
      this.joined.delete(spec);
      this.current?.leave(nowMs, spec, 'the owner serves by multicast');
    }
    this.helpers.clear();
  }

  /** @returns whether it is a new source */
  private join(nowMs: TimeMs, spec: ReceiverSpec, holds: RosterHolding): boolean {
    if (this.joined.has(spec) || this.excluded.has(spec.name)) return false;
    this.joined.add(spec);
    if (this.current === undefined) {
      this.current = this.createFetch();
      this.current.join(nowMs, spec, holds);
      this.current.start(nowMs);
    } else {
      this.current.join(nowMs, spec, holds);
    }
    return true;
  }

  private createFetch(): Fetch {
    const { options, content, ownerName } = this;
    const { host, handleChange } = options;
    const { contentRoot: root, manifestDigest } = content;
    const owned = options.storesOf(ownerName);
    const stores: ContentStores = {
      create: (request, handleFailure) => {
        this.listed = request.manifest;
        const store = owned.create(request, handleFailure);
        return this.shared.fill(store, () => owned.openStored(request));
      },
      drop: (object) => owned.drop(object),
    };
    return new Fetch({
      ...options,
      ...{ stores, sources: [], what: { root, manifestDigest }, patienceMs: Infinity },
      host: {
        get nowMs() {
          return host.nowMs;
        },
        drain: () => {
          handleChange(this);
          host.drain();
        },
      },
      handleBlock: (nowMs, source, block) => options.handleBlock?.(nowMs, this, source, block),
    });
  }

  // --- Inputs and outputs

  /** Gives an event of the port to the fetch that it is for. @returns false if it is for none */
  takeEvent(nowMs: TimeMs, event: EndpointEvent<never>): boolean {
    if (this.current?.takeEvent(nowMs, event) === true) return true;
    for (const fetch of this.ended) if (fetch.takeEvent(nowMs, event)) return true;
    return false;
  }

  /** Whether a source has fallen silent, and counts as one again once anything arrives from it. */
  get isAnySilent(): boolean {
    const sources = [...(this.current?.sources ?? [])];
    return sources.some(({ silentSinceMs }) => silentSinceMs !== undefined);
  }

  /** Does everything that is due. Nothing is due of a fetch that all its sources know to be over. */
  advance(nowMs: TimeMs): void {
    if (this.current?.isConfirmed === false) this.current.advance(nowMs);
    for (const fetch of this.ended) fetch.advance(nowMs);
  }

  /** The next event of a fetch. The object deals with it first. */
  pollEvent(nowMs: TimeMs): FetchRoleEvent | undefined {
    const { current } = this;
    const event = current?.pollEvent();
    if (current !== undefined && event !== undefined) {
      this.handleEvent(nowMs, current, event);
      return event;
    }
    for (const fetch of this.ended) {
      const late = fetch.pollEvent();
      if (late !== undefined) return late;
    }
    return undefined;
  }

  private handleEvent(nowMs: TimeMs, fetch: Fetch, event: FetchRoleEvent): void {
    if (event.type === 'ready') this.handleReady(nowMs, fetch);
    else if (event.type === 'left' && !event.isRetried) this.exclude(event.source);
    else if (event.type === 'end') this.handleEnd(nowMs, fetch, event.result);
  }

  /** A source is of no use, unless this peer itself has dismissed it. */
  private exclude(name: string): void {
    for (const spec of this.joined)
      if (spec.name === name) {
        this.excluded.add(name);
        this.helpers.delete(spec);
      }
  }

  private handleReady(nowMs: TimeMs, { object }: Fetch): void {
    if (object === undefined) return;
    this.readyAtMs ??= nowMs;
    const { blockCount } = this.content;
    const held = blockCount === 0 ? [] : object.missing.gaps(0, blockCount);
    for (const { start, end } of held) this.shared.hold(start, end);
    if (this.shared.head !== undefined) return;
    this.work = describe(this.options.crypto.hash, object, this.name);
  }

  private handleEnd(nowMs: TimeMs, fetch: Fetch, { status }: FetchResult): void {
    this.isComplete = status === 'complete';
    if (this.isComplete) return;
    this.ended.add(fetch);
    this.current = undefined;
    this.work = undefined;
    this.joined.clear();
    this.helpers.clear();
    this.retryAtMs = nowMs + retryMs;
  }

  handleTimeout(nowMs: TimeMs): void {
    if ((this.current?.pollTimeout() ?? Infinity) <= nowMs) this.current?.handleTimeout(nowMs);
    for (const fetch of this.ended) {
      if ((fetch.pollTimeout() ?? Infinity) <= nowMs) fetch.handleTimeout(nowMs);
      if (fetch.isConfirmed) this.ended.delete(fetch);
    }
    this.step();
  }

  /** Does a step of work on the digest tree. */
  private step(): void {
    const step = this.work?.next();
    if (step?.done !== true) return;
    this.work = undefined;
    this.shared.setHead(step.value);
    for (const { start, end } of this.shared.held.ranges())
      this.options.handleHeld(this, start, end);
  }

  pollTimeout(): TimeMs {
    if (this.work !== undefined) return 0;
    let atMs = this.current?.pollTimeout() ?? Infinity;
    for (const fetch of this.ended) atMs = Math.min(atMs, fetch.pollTimeout() ?? Infinity);
    return atMs;
  }

  /** Stops fetching. What has arrived is kept. */
  abort(nowMs: TimeMs, reason: string): void {
    this.current?.abort(nowMs, reason);
  }
}

type RosterHolding = Parameters<Fetch['join']>[2];
