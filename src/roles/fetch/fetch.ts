/**
 * Fetches one object from one or many sources: asks all of them, chooses the content by its root, gets the manifest and
 * the leaf digests, then blocks from all sources at once, each verified on arrival. A source that dies, slows down or
 * lies loses its blocks to the others.
 */
import { assert } from '../../base/assert.js';
import type { TimeMs } from '../../base/machine.js';
import { Queue } from '../../base/queue.js';
import type { ReadonlyRangeSet } from '../../base/range-set.js';
import { withoutUndefined } from '../../base/without-undefined.js';
import type { EndpointEvent } from '../../endpoint/endpoint.js';
import type { DriverHost } from '../../session/drivers/driver-host.js';
import { MachineCalls } from '../../session/drivers/driver-host.js';
import type { ReceiverSpec } from '../../transfer/receiver-spec.js';
import { standardBlockSizeBytes } from '../../wire/sizes.js';
import type { ContentChoiceOptions, Dismissal } from './content-choice.js';
import { chooseContent, judgeOffer } from './content-choice.js';
import type { FetchReport } from './fetch-events.js';
import type { ContentGroup, FetchActivity, FetchResult, FetchRoleEvent } from './fetch-result.js';
import type { FetchedObject, KnownObject } from './fetched-object.js';
import { ObjectOpening } from './object-opening.js';
import type { Source } from './source.js';
import type { SourceAction } from './source-actions.js';
import { SourceSchedule } from './source-schedule.js';
import { Sources, type SourcesOptions } from './sources.js';

export interface FetchOptions
  extends SourcesOptions,
    Omit<ContentChoiceOptions, 'blockSizeBytes' | 'existing'> {
  readonly host: DriverHost;
  /** How blocks are shared among the sources; see `FetchSchedulerOptions`. `speed` by default. */
  readonly split?: 'speed' | 'equal';
  /** In an exchange: with which part of the content, from 0 to 1, the fetch begins. */
  readonly beginsAt?: number;
  /** How long other sources may take to answer after the first offer; 1 s by default. */
  readonly graceMs?: number;
  readonly blockSizeBytes?: number;
  /**
   * Whether blocks are asked for only when the digests of all are known. Digests that share the links with blocks arrive
   * late; by default, the first blocks come first.
   */
  readonly digestsFirst?: boolean;
  /** Whether the fetch waits for `proceed` or `conclude` when the content is chosen. By default, it continues at once. */
  readonly awaitsDecision?: boolean;
  /** A verified block has arrived from a source. */
  readonly handleBlock?: (nowMs: TimeMs, source: string, block: number) => void;
}

export class Fetch {
  readonly sources: Sources;
  private readonly events = new Queue<FetchRoleEvent>();
  private readonly calls: MachineCalls;
  private activityNow: FetchActivity = 'asking';
  private chosen: FetchedObject | undefined;
  /** Undefined until the content is chosen. */
  private opening: ObjectOpening | undefined;
  private schedule: SourceSchedule | undefined;
  private startedAtMs: TimeMs | undefined;
  private chooseAtMs: TimeMs = Infinity;
  private isOnDemand = false;
  private groups: readonly ContentGroup[] = [];

  constructor(private readonly options: FetchOptions) {
    this.sources = new Sources(options);
    this.calls = new MachineCalls(options.host);
  }

  get activity(): FetchActivity {
    const { opening, activityNow } = this;
    return activityNow === 'asking' && opening !== undefined ? opening.activity : activityNow;
  }

  /** Undefined until the content is chosen. */
  get object(): FetchedObject | undefined {
    return this.chosen;
  }

  /** Whether it has ended, and the sources know that, except those from which no prompt answer can be expected. */
  get isConfirmed(): boolean {
    return this.activityNow === 'ended' && this.sources.areConfirmed;
  }

  /** What each source contributes; undefined before blocks are asked for. */
  report(nowMs: TimeMs): FetchReport | undefined {
    return this.schedule?.report(nowMs);
  }

  /** Adds a source, which holds these blocks, by default all. @returns false if it takes part already, or has lied */
  join(nowMs: TimeMs, spec: ReceiverSpec, holds?: ReadonlyRangeSet): boolean {
    return this.activityNow !== 'ended' && this.sources.join(nowMs, spec, holds);
  }

  /** Uses a source no more. It is identified by the object with which it came. */
  leave(nowMs: TimeMs, spec: ReceiverSpec, reason: string): void {
    const source = this.sources.find(spec);
    if (this.activityNow === 'ended' || source === undefined || source.excludedFor !== undefined)
      return;
    this.exclude(nowMs, source, reason);
    if (!this.sources.isAnyAwaited) this.choose(nowMs);
    this.advance(nowMs);
  }

  /** Answers an `identify` event: trusts the source, or excludes it for this reason. */
  trust(nowMs: TimeMs, ask: number, refusal?: string): void {
    this.sources.trust(nowMs, ask, refusal);
    this.advance(nowMs);
  }

  /** The asker knows of another refusal. The fetch fails if it begins like that at all sources. */
  handleRefusal(nowMs: TimeMs): void {
    this.noteSources(nowMs);
    this.advance(nowMs);
  }

  /** Stops the fetch. What has arrived is kept for the next one. */
  abort(nowMs: TimeMs, reason: string): void {
    this.end(nowMs, 'failed', reason);
  }

  // --- Inputs and outputs

  start(nowMs: TimeMs): void {
    this.startedAtMs = nowMs;
    this.sources.start(nowMs);
  }

  /** Takes an event of the port; then call `advance`. @returns false if it is not of this fetch */
  takeEvent(nowMs: TimeMs, event: EndpointEvent<never>): boolean {
    const isOwn = this.sources.takeEvent(nowMs, event);
    if (isOwn) this.takeActions(nowMs);
    return isOwn;
  }

  handleTimeout(nowMs: TimeMs): void {
    this.sources.handleTimeout(nowMs);
    this.opening?.step(nowMs);
    if (nowMs >= this.chooseAtMs) this.choose(nowMs);
    if (this.activityNow === 'fetching') this.schedule?.handleTimeout(nowMs);
    if (nowMs >= this.sources.absentUntilMs) this.end(nowMs, 'failed', this.sources.absence);
    this.advance(nowMs);
  }

  pollTimeout(): TimeMs | undefined {
    if (this.opening?.isDue === true) return 0;
    const { activityNow, schedule } = this;
    if (activityNow === 'ended') return undefined;
    const scheduledAtMs = activityNow === 'fetching' ? schedule?.pollTimeout() : undefined;
    const atMs = Math.min(this.chooseAtMs, this.sources.dueAtMs, scheduledAtMs ?? Infinity);
    return atMs === Infinity ? undefined : atMs;
  }

  pollEvent(): FetchRoleEvent | undefined {
    return this.events.shift();
  }

  /** Does everything that is due. */
  advance(nowMs: TimeMs): void {
    this.sources.findHeard();
    do this.takeActions(nowMs);
    while (this.applyOpening(nowMs) || this.applySchedule(nowMs));
  }

  private takeActions(nowMs: TimeMs): void {
    for (;;) {
      const action = this.sources.pollAction();
      if (action === undefined) return;
      this.handle(nowMs, action);
    }
  }

  private handle(nowMs: TimeMs, action: SourceAction): void {
    switch (action.type) {
      case 'identify': {
        const { ask, serverKey, source } = action;
        this.events.push({ type: 'identify', ask, serverKey, source: source.name });
        break;
      }
      case 'offer':
        this.takeOffer(nowMs, action.source);
        break;
      case 'silent':
        this.unschedule(nowMs, action.source, 'has fallen silent', true);
        this.opening?.handleLoss(nowMs, action.source);
        break;
      case 'heard':
        if (this.object !== undefined) this.use(nowMs, action.source, this.object);
        break;
      case 'lost':
        this.handleLoss(nowMs, action.source, action.reason, action.isRetried);
        break;
      case 'manifest-part':
        this.opening?.takeManifestPart(action);
        break;
      case 'nodes':
        this.opening?.takeNodes(nowMs, action);
        break;
      case 'block':
        this.takeBlock(nowMs, action);
        break;
      default:
        // After the end, it does not matter that a port refuses datagrams.
        if (this.activityNow !== 'ended') this.events.push(action);
    }
  }

  // --- The choice of the content

  private takeOffer(nowMs: TimeMs, source: Source): void {
    if (this.object !== undefined) {
      this.use(nowMs, source, this.object);
      return;
    }
    const { graceMs = 1000 } = this.options;
    this.noteSources(nowMs);
    this.chooseAtMs = Math.min(this.chooseAtMs, nowMs + graceMs);
    if (!this.sources.isAnyAwaited) this.choose(nowMs);
  }

  private choose(nowMs: TimeMs): void {
    this.chooseAtMs = Infinity;
    if (this.object !== undefined || this.activityNow === 'ended') return;
    const { sources, options } = this;
    const { existing = 'update', blockSizeBytes = standardBlockSizeBytes, what } = options;
    const { unfit, groups, object } = chooseContent(
      { ...options, blockSizeBytes, existing },
      sources.usable,
      what.root ?? sources.chosenRoot,
    );
    for (const [source, reason] of unfit) this.exclude(nowMs, source, reason);
    if (this.groups.length === 0) this.groups = groups;
    if (this.groups.length > 1) {
      const reason = 'the sources hold different content under this name; fetch one by its root';
      this.end(nowMs, 'failed', reason);
    } else if (object !== undefined) {
      this.beginWith(nowMs, object);
    }
  }

  private beginWith(nowMs: TimeMs, object: FetchedObject): void {
    this.chosen = object;
    this.sources.chosenRoot = object.contentRoot;
    this.events.push({ type: 'chosen', object: object.info });
    for (const source of this.sources.usable) this.use(nowMs, source, object);
    if (this.options.awaitsDecision !== true) this.open(nowMs, object);
  }

  /**
   * Continues after the content is chosen.
   * @param known what need not be fetched
   * @param isOnDemand whether only those blocks are fetched for which `hurry` is called
   */
  proceed(nowMs: TimeMs, known?: KnownObject, isOnDemand = false): void {
    const { object } = this;
    assert(object !== undefined && this.opening === undefined, 'a fetch that awaits a decision');
    this.isOnDemand = isOnDemand;
    if (known !== undefined) object.know(known);
    this.open(nowMs, object);
    this.advance(nowMs);
  }

  /** Ends the fetch after the content is chosen, because it is there already. */
  conclude(nowMs: TimeMs): void {
    this.end(nowMs, 'complete');
  }

  private open(nowMs: TimeMs, object: FetchedObject): void {
    this.opening = new ObjectOpening(object, this.sources, this.calls);
    this.opening.start(nowMs);
  }

  /**
   * Fetches these blocks before others, because somebody waits for them. None of them is held; those that had arrived
   * are lost. Does nothing before the event `ready`.
   */
  hurry(nowMs: TimeMs, startBlock: number, endBlock: number): void {
    if (this.activityNow !== 'fetching' || this.opening?.isReady !== true) return;
    this.schedule?.hurry(nowMs, startBlock, endBlock);
    this.advance(nowMs);
  }

  /** Fetches everything from now on, also if `proceed` was called for a fetch on demand. */
  fetchAll(nowMs: TimeMs): void {
    this.isOnDemand = false;
    this.schedule?.fetchAll(nowMs);
    this.advance(nowMs);
  }

  /** Begins again with what other sources offer. */
  private chooseAgain(nowMs: TimeMs): void {
    this.chosen?.end(false);
    this.chosen = undefined;
    this.opening = undefined;
    this.schedule = undefined;
    this.sources.setPrepared(nowMs, false);
    this.activityNow = 'asking';
    this.choose(nowMs);
  }

  /** Uses a source if it offers the chosen content. */
  private use(nowMs: TimeMs, source: Source, object: FetchedObject): void {
    const isSizeProven = this.activityNow !== 'asking' && object.holdsLastBlock;
    const verdict = judgeOffer(source, object, this.sources.usable, isSizeProven);
    if (verdict === 'choose-again') this.chooseAgain(nowMs);
    else if (verdict !== 'use') this.dismiss(nowMs, source, verdict);
    if (verdict !== 'use') return;
    // After a new offer, it owes nothing any more.
    if (source.index !== undefined) this.unschedule(nowMs, source, 'has begun a new session', true);
    this.events.push({ type: 'joined', source: source.name });
    this.noteSources(nowMs);
    this.opening?.handleJoin(nowMs, source);
    if (this.activityNow === 'fetching') this.schedule?.add(nowMs, source);
  }

  /** @returns whether the opening of the object asked for anything */
  private applyOpening(nowMs: TimeMs): boolean {
    const { object, opening } = this;
    const action = opening?.pollAction();
    if (action === undefined || object === undefined) return false;
    if (action.type === 'exclude') this.exclude(nowMs, action.source, action.reason, true);
    else if (action.type === 'fail') this.end(nowMs, 'failed', action.reason);
    else if (action.type === 'choose-again') this.chooseAgain(nowMs);
    else if (action.type === 'known') this.takeKnown(nowMs, object, action.blocks);
    else {
      if (this.schedule === undefined) this.beginFetching(nowMs, object);
      this.sources.setPrepared(nowMs, true);
      this.events.push({ type: 'ready' });
    }
    return true;
  }

  // --- The store

  /** Makes what has arrived durable. */
  private store(object: FetchedObject): void {
    this.activityNow = 'storing';
    this.calls.during(() =>
      object.finish(
        (damaged) => this.calls.call((nowMs) => this.fetchAgain(nowMs, damaged)),
        ({ note }) => this.calls.call((nowMs) => this.end(nowMs, 'complete', undefined, note)),
      ),
    );
  }

  private fetchAgain(nowMs: TimeMs, damaged: readonly number[]): void {
    this.activityNow = 'fetching';
    for (const block of damaged) this.schedule?.handleMissing(nowMs, block, block + 1);
    this.advance(nowMs);
  }

  // --- The blocks

  /** Asks for blocks whose digests are known. Equal parts can be cut only once it is known what is missing. */
  private takeKnown(nowMs: TimeMs, object: FetchedObject, blocks: ReadonlyRangeSet): void {
    const waits = this.options.digestsFirst === true || this.options.split === 'equal';
    if (this.schedule === undefined && !waits) this.beginFetching(nowMs, object, object.missing);
    this.schedule?.release(nowMs, blocks, object.missing);
  }

  /** @param later the blocks that cannot be asked for yet */
  private beginFetching(nowMs: TimeMs, object: FetchedObject, later?: ReadonlyRangeSet): void {
    const { split = 'speed', beginsAt } = this.options;
    const order = { later, split, isOnDemand: this.isOnDemand, ...withoutUndefined({ beginsAt }) };
    this.schedule = new SourceSchedule(this.sources, object, order);
    this.activityNow = 'fetching';
    this.schedule.begin(nowMs);
  }

  private unschedule(nowMs: TimeMs, source: Source, reason: string, isRetried: boolean): void {
    this.events.push({ type: 'left', source: source.name, reason, isRetried });
    this.schedule?.remove(nowMs, source, reason);
  }

  private takeBlock(
    nowMs: TimeMs,
    { source, session, block, bytes }: Extract<SourceAction, { type: 'block' }>,
  ): void {
    const { object, schedule, sources, calls } = this;
    const { length: sizeBytes } = bytes;
    const isNeeded = this.activityNow === 'fetching' && object?.isWanted(block) === true;
    const isGood = isNeeded && object.isBlock(block, bytes);
    if (isGood) {
      this.options.handleBlock?.(nowMs, source.name, block);
      const handleWritten = () =>
        calls.call((laterMs) => sources.handleWritten(laterMs, session, sizeBytes));
      calls.during(() => object.write(block, bytes, handleWritten));
    } else {
      sources.handleWritten(nowMs, session, sizeBytes);
    }
    if (isGood) schedule?.handleBlock(nowMs, source, block);
    else if (isNeeded) this.exclude(nowMs, source, 'sent a block with wrong content', true);
    else schedule?.noteDuplicate(sizeBytes);
  }

  /** Says to the sources what is wanted of them, and handles what the schedule reports. @returns whether it reported anything */
  private applySchedule(nowMs: TimeMs): boolean {
    const { schedule, object } = this;
    if (schedule === undefined || object === undefined || this.activityNow !== 'fetching')
      return false;
    const event = schedule.pollEvent(nowMs);
    if (event === undefined) return false;
    if (event.type === 'complete') this.store(object);
    else this.events.push(event);
    return true;
  }

  // --- The end of a source, and of the fetch

  /** A source is not used any more, because it is of no use or has lied. */
  private exclude(nowMs: TimeMs, source: Source, reason: string, hasLied = false): void {
    source.hasLied = hasLied;
    this.dismiss(nowMs, source, { reason, isRetried: false });
  }

  private dismiss(nowMs: TimeMs, source: Source, dismissal: Dismissal): void {
    const { reason, isRetried } = this.sources.dismiss(nowMs, source, dismissal);
    this.unschedule(nowMs, source, reason, isRetried);
    this.opening?.handleLoss(nowMs, source);
    this.noteSources(nowMs);
  }

  private handleLoss(nowMs: TimeMs, source: Source, reason: string, isRetried: boolean): void {
    if (this.activityNow === 'ended') return;
    this.unschedule(nowMs, source, reason, isRetried);
    this.opening?.handleLoss(nowMs, source);
    this.noteSources(nowMs);
    if (!this.sources.isAnyAwaited) this.choose(nowMs);
  }

  /** Fails the fetch if no source can be used any more. */
  private noteSources(nowMs: TimeMs): void {
    const reason = this.sources.noteUsable(nowMs, this.object === undefined);
    if (reason !== undefined) this.end(nowMs, 'failed', reason);
  }

  private end(nowMs: TimeMs, status: FetchResult['status'], reason?: string, note = ''): void {
    if (this.activityNow === 'ended') return;
    const { object, groups, schedule, startedAtMs = nowMs } = this;
    this.activityNow = 'ended';
    this.opening = undefined;
    object?.end(status === 'complete');
    const isPrompt = (source: Source) => schedule?.isPrompt(source) ?? true;
    const isFinal = this.sources.end(nowMs, status === 'complete', reason ?? '', isPrompt);
    const report = schedule?.report(nowMs);
    const known = { status, isFinal, groups, elapsedMs: nowMs - startedAtMs, note };
    const optional = withoutUndefined({ reason, report, object: object?.info });
    this.events.push({ type: 'end', result: { ...known, ...optional } });
  }
}
