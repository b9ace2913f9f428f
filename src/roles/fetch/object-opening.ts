/**
 * Prepares an object for its blocks: gets the manifest from one source and checks it, then finds out what the store
 * holds and at the same time collects the leaf digests from all sources, those of the first blocks first.
 */
import { P2mpError } from '../../base/errors.js';
import type { TimeMs } from '../../base/machine.js';
import { Queue } from '../../base/queue.js';
import type { ReadonlyRangeSet } from '../../base/range-set.js';
import type { Steps } from '../../base/steps.js';
import type { FoundContent } from '../../object/content-store.js';
import type { Manifest } from '../../object/manifest.js';
import type { MachineCalls } from '../../session/drivers/driver-host.js';
import { LeafRequests } from '../../session/incoming/leaf-requests.js';
import type { NoManifest } from '../../session/incoming/manifest-reception.js';
import type { FetchedObject } from './fetched-object.js';
import type { Source } from './source.js';
import type { SourceAction } from './source-actions.js';
import type { Sources } from './sources.js';

/** What the fetch must do. */
export type OpeningAction =
  /** The source cannot be trusted. */
  | { readonly type: 'exclude'; readonly source: Source; readonly reason: string }
  | { readonly type: 'fail'; readonly reason: string }
  /** No usable source offers this manifest, but others offer another one. */
  | { readonly type: 'choose-again' }
  /** The digests of these blocks are known, and what the store held of them is compared. */
  | { readonly type: 'known'; readonly blocks: ReadonlyRangeSet }
  /** That is so for all blocks. */
  | { readonly type: 'ready' };

export type OpeningActivity = 'manifest' | 'preparing' | 'digests';

export class ObjectOpening {
  private activityNow: OpeningActivity = 'manifest';
  private readonly actions = new Queue<OpeningAction>();
  /** The source that sends the manifest, or has offered it. */
  private manifestSource: Source | undefined;
  private isOver = false;
  /** Long work in progress. When it is done, it returns what to do next. */
  private work: Steps<(nowMs: TimeMs) => void> | undefined;

  constructor(
    private readonly object: FetchedObject,
    private readonly sources: Sources,
    private readonly calls: MachineCalls,
  ) {}

  get activity(): OpeningActivity {
    return this.activityNow;
  }

  /** Whether the digests of all blocks are known, and what the store held is compared with them. */
  get isReady(): boolean {
    return this.isOver;
  }

  pollAction(): OpeningAction | undefined {
    return this.actions.shift();
  }

  start(nowMs: TimeMs): void {
    const { object, sources } = this;
    // Of an object that was chosen before.
    for (const source of sources) source.leaves = undefined;
    this.manifestSource = sources.usable.find((source) => object.isFrom(source));
    if (object.hasManifest) this.checkManifest();
    else this.wantManifest(nowMs);
  }

  // --- Sources

  /** A source can be used from now on. */
  handleJoin(nowMs: TimeMs, source: Source): void {
    const { activityNow, manifestSource } = this;
    if (activityNow !== 'manifest') this.collectLeaves(nowMs, source);
    else if (source === manifestSource || manifestSource?.isDelivering !== true)
      this.replaceManifestSource(nowMs);
  }

  /** A source has fallen silent, or cannot be used any more. */
  handleLoss(nowMs: TimeMs, source: Source): void {
    if (source === this.manifestSource) this.replaceManifestSource(nowMs);
  }

  private replaceManifestSource(nowMs: TimeMs): void {
    if (this.activityNow === 'manifest' && !this.object.hasManifest) this.wantManifest(nowMs);
  }

  // --- Long work

  /** Whether there is a step to do, or an action to take. */
  get isDue(): boolean {
    return this.work !== undefined || this.actions.length > 0 || this.isComparisonDue;
  }

  step(nowMs: TimeMs): void {
    this.compare();
    const { done, value: follow } = this.work?.next() ?? {};
    if (done !== true) return;
    this.work = undefined;
    follow?.(nowMs);
  }

  private begin<Result>(
    work: Steps<Result>,
    follow: (nowMs: TimeMs, result: Result) => void,
  ): void {
    function* steps(): Steps<(nowMs: TimeMs) => void> {
      const result = yield* work;
      return (nowMs) => follow(nowMs, result);
    }
    this.work = steps();
  }

  // --- The manifest

  private wantManifest(nowMs: TimeMs): void {
    const { object, sources } = this;
    const { usable } = sources;
    const holders = usable.filter((source) => object.isManifestOf(source));
    const source = holders.find(({ isDelivering }) => isDelivering) ?? holders[0];
    this.manifestSource = source;
    if (source !== undefined) sources.wantManifest(nowMs, source);
    else if (usable.length > 0) this.actions.push({ type: 'choose-again' });
  }

  takeManifestPart({
    source,
    offsetBytes,
    bytes,
  }: Extract<SourceAction, { type: 'manifest-part' }>): void {
    if (source !== this.manifestSource) return;
    this.object.takeManifestPart(offsetBytes, bytes);
    if (this.sources.supplierOf(source)?.isWhole === true) this.checkManifest();
  }

  private checkManifest(): void {
    this.begin(this.object.checkManifest(), (nowMs, checked) => this.takeChecked(nowMs, checked));
  }

  private takeChecked(nowMs: TimeMs, checked: Manifest | NoManifest): void {
    if (!('kind' in checked)) {
      this.activityNow = 'preparing';
      for (const source of this.sources.usable) this.collectLeaves(nowMs, source);
      this.openStore(checked);
      return;
    }
    const { object, sources, manifestSource } = this;
    const { usable } = sources;
    const isBad = checked.kind === 'bad';
    const reason = isBad ? checked.reason : 'sent a wrong manifest';
    const isUnfit = (source: Source) =>
      isBad ? object.isManifestOf(source) : source === manifestSource;
    if (isBad && usable.every(isUnfit)) {
      this.actions.push({ type: 'fail', reason });
      return;
    }
    for (const source of usable.filter(isUnfit))
      this.actions.push({ type: 'exclude', source, reason });
    if (object.hasManifest || isBad) this.actions.push({ type: 'choose-again' });
  }

  // --- The store

  private openStore(manifest: Manifest): void {
    const { object, calls } = this;
    calls.during(() =>
      object.open(
        manifest,
        (found) => calls.call((nowMs) => this.takeFound(nowMs, found)),
        (error) => calls.call(() => this.handleStoreFailure(error)),
      ),
    );
  }

  private takeFound(nowMs: TimeMs, found: FoundContent): void {
    const { object, sources } = this;
    object.takeFound(found);
    this.activityNow = 'digests';
    this.compare();
    for (const source of sources) {
      source.leaves?.hurry();
      sources.requestLeaves(nowMs, source);
    }
  }

  /** An error of the store, now or while blocks are written. */
  private handleStoreFailure(error: unknown): void {
    if (!(error instanceof P2mpError)) throw error;
    this.actions.push({ type: 'fail', reason: error.message });
  }

  // --- The leaf digests

  private collectLeaves(nowMs: TimeMs, source: Source): void {
    const { leaves } = this.object;
    if (leaves.isComplete) return;
    // While the host handles digests, its store does not get on. The first digests suffice to begin with.
    const isSparing = this.activityNow === 'preparing';
    source.leaves = new LeafRequests(leaves, isSparing);
    this.sources.requestLeaves(nowMs, source);
  }

  takeNodes(nowMs: TimeMs, { source, nodes }: Extract<SourceAction, { type: 'nodes' }>): void {
    if (source.leaves === undefined) return;
    if (!source.leaves.take(nodes)) {
      const reason = 'sent digests that do not lead to the root of the content';
      this.actions.push({ type: 'exclude', source, reason });
      return;
    }
    // The other sources can be asked for digests below those that have come.
    for (const each of this.sources) this.sources.requestLeaves(nowMs, each);
    if (this.object.leaves.isComplete) this.sources.endLeaves();
    this.compare();
  }

  // --- Comparison

  private get isComparisonDue(): boolean {
    return this.activityNow === 'digests' && this.object.isComparisonDue;
  }

  /** Compares what the store held with digests that have come. */
  private compare(): void {
    const { object } = this;
    if (this.activityNow !== 'digests' || this.isOver) return;
    const blocks = object.compareFound();
    if (!blocks.isEmpty) this.actions.push({ type: 'known', blocks });
    this.isOver = object.leaves.isComplete && !object.isComparisonDue;
    if (this.isOver) this.actions.push({ type: 'ready' });
  }
}
