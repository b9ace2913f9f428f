/**
 * A relay passes on objects of upstream servers, and keeps them in a cache. For each ask it finds out from the upstream
 * servers which content the object has now. If the cache holds that content, it is served from there; if not, it is
 * fetched, and passed on while it arrives: each block once, however many clients wait for it.
 */
import type { TimeMs } from '../../base/machine.js';
import { Queue } from '../../base/queue.js';
import type { EndpointEvent } from '../../endpoint/endpoint.js';
import { type AskedObject, hopSizeBytes, maxHops } from '../../wire/asks.js';
import { isEqualBytes } from '../../wire/byte-codec.js';
import { standardBlockSizeBytes } from '../../wire/sizes.js';
import type { Fetch } from '../fetch/fetch.js';
import type { FetchPort } from '../fetch/fetch-port.js';
import type { FetchResult, FetchRoleEvent } from '../fetch/fetch-result.js';
import { type CachedObjects, isMatch } from './cached-objects.js';
import type { LeftEvent, TakeAnswer } from './lookup.js';
import { Lookup } from './lookup.js';
import type { CachedObject } from './object-cache.js';
import { infoOf, type OpenObject } from './open-object.js';
import type { OpenObjectAction, OpenObjectsOptions } from './open-objects.js';
import { OpenObjects } from './open-objects.js';
import type { RelayEvent, RelayTotals } from './relay-events.js';
import type { Upstreams } from './upstreams.js';

export interface RelayOptions extends Omit<OpenObjectsOptions, 'blockSizeBytes'> {
  /** The public key of this host. */
  readonly ownKey: Uint8Array;
  readonly port: FetchPort;
  readonly upstreams: Pick<Upstreams, 'servers' | 'absences'>;
  /** Clients are asked to wait if no upstream server answers or delivers in this time; 10 s by default. */
  readonly answerTimeoutMs?: number;
  /** How long other upstream servers may take to answer after the first one; 200 ms by default. */
  readonly graceMs?: number;
  /** What is being fetched fails after this time without any upstream server; 60 s by default. */
  readonly patienceMs?: number;
  readonly blockSizeBytes?: number;
}

export const defaultAnswerTimeoutMs = 10_000;
const defaultGraceMs = 200;

export class Relay {
  private readonly lookups = new Set<Lookup>();
  private readonly objects: OpenObjects;
  private readonly events = new Queue<RelayEvent>();
  /** The random number by which this relay finds out that it asks itself. */
  readonly ownHop: Uint8Array;
  private readonly blockSizeBytes: number;
  private readonly answerTimeoutMs: number;
  private readonly counts = { hits: 0, misses: 0, fetchedBytes: 0, evictions: 0 };

  constructor(private readonly options: RelayOptions) {
    const { crypto, blockSizeBytes = standardBlockSizeBytes } = options;
    this.blockSizeBytes = blockSizeBytes;
    this.answerTimeoutMs = options.answerTimeoutMs ?? defaultAnswerTimeoutMs;
    this.ownHop = crypto.random(hopSizeBytes);
    this.objects = new OpenObjects({ ...options, blockSizeBytes });
  }

  get totals(): RelayTotals {
    return this.counts;
  }

  /** The objects that the cache holds as a whole, by name. */
  list(): CachedObject[] {
    return this.objects.cached.list();
  }

  /** How many objects the cache holds, and what it takes at most, now and until something is removed. */
  get cached(): Pick<CachedObjects, 'counts' | 'sizeBytes'> {
    return this.objects.cached;
  }

  private get nowMs(): TimeMs {
    return this.options.host.nowMs;
  }

  // --- Clients

  /**
   * Finds what a client asks for.
   * @param hops the relays that the ask has come through
   * @param take gets the answer, possibly before this returns; it calls `use` of the object at once, if at all
   */
  find(what: AskedObject, hops: readonly Uint8Array[], take: TakeAnswer): void {
    const reason = this.refusalOf(hops);
    if (reason !== undefined) {
      take({ reason, isTemporary: false });
    } else {
      const open = this.findCurrent(what, hops);
      if (open === undefined) this.ask(what, hops).takers.push(take);
      else this.offer(open, [take]);
    }
  }

  /** What holds up the answer to a client; undefined if it may come any moment. */
  describeWait(what: AskedObject, hops: readonly Uint8Array[]): string | undefined {
    const waits = [...this.lookups].filter((lookup) => lookup.isFor(what, hops));
    return waits
      .map((lookup) => lookup.describeWait(this.nowMs))
      .find((each) => each !== undefined);
  }

  /** Why nothing can be asked for somebody behind these relays; undefined if it can. */
  refusalOf(hops: readonly Uint8Array[]): string | undefined {
    if (hops.some((hop) => isEqualBytes(hop, this.ownHop)))
      return 'asks itself for it, through other relays; change the --upstream of one of them';
    return hops.length >= maxHops ? `is behind ${maxHops} other relays` : undefined;
  }

  /** An object of which it is known that it is what is asked for. */
  private findCurrent(what: AskedObject, hops: readonly Uint8Array[]): OpenObject | undefined {
    // While it is fetched, an upstream server says when it changes.
    for (const open of this.objects) {
      const { info, lookup } = open;
      if (isMatch(what, info) && lookup?.isServed === true && lookup.isBehind(hops)) return open;
    }
    // Content that is named by its root is never out of date.
    const whole = what.root === undefined ? undefined : this.objects.cached.findWhole(what);
    return whole === undefined ? undefined : this.objects.find(whole);
  }

  /** Offers an object to clients as soon as it can be offered. */
  private offer(open: OpenObject, takers: readonly TakeAnswer[]): void {
    const { object } = open;
    open.takers.push(...takers);
    this.objects.hold(open);
    if (!object.isReady) return;
    for (const take of open.takers.splice(0)) {
      const type = object.isWhole ? 'hit' : 'miss';
      this.counts[object.isWhole ? 'hits' : 'misses']++;
      this.events.push({ type, ...infoOf(open) });
      take(object);
    }
    this.objects.hold(open);
  }

  private refuse(takers: TakeAnswer[], reason: string, isTemporary: boolean): void {
    for (const take of takers.splice(0)) take({ reason, isTemporary });
  }

  // --- Questions to upstream servers

  /** Asks the upstream servers, unless they are being asked the same. */
  private ask(what: Partial<AskedObject>, hops: readonly Uint8Array[]): Lookup {
    for (const lookup of this.lookups)
      if (lookup.object === undefined && lookup.isFor(what, hops)) return lookup;
    return this.beginLookup(what, hops);
  }

  private beginLookup(what: Partial<AskedObject>, hops: readonly Uint8Array[]): Lookup {
    const { upstreams, graceMs = defaultGraceMs } = this.options;
    const { blockSizeBytes, nowMs } = this;
    const { servers: sources, absences } = upstreams;
    const options = { ...this.options, sources, absences, graceMs, blockSizeBytes };
    const lookup = new Lookup(options, what, hops, this.ownHop, nowMs);
    this.lookups.add(lookup);
    lookup.fetch.start(nowMs);
    return lookup;
  }

  /** It is known which content the object has. */
  private handleChosen(nowMs: TimeMs, lookup: Lookup): void {
    const { info } = lookup;
    if (lookup.object !== undefined && lookup.object.id !== info.id) {
      lookup.fetch.abort(nowMs, 'the upstream servers hold another version by now');
      return;
    }
    const open = this.objects.find(info);
    lookup.object = open.object;
    const isFill = open.lookup === undefined || open.lookup === lookup;
    if (isFill && !open.object.isWhole) {
      open.lookup = lookup;
      this.fill(nowMs, open);
    } else {
      lookup.fetch.conclude(nowMs);
    }
    this.offer(open, lookup.takers.splice(0));
  }

  /** The upstream server answers with the session that fills an object already. */
  private handleShared(nowMs: TimeMs, lookup: Lookup, session: number): void {
    lookup.isShared = true;
    lookup.isAnyAway = true;
    if (lookup.object !== undefined) return;
    for (const open of this.objects) {
      if (open.lookup?.hasSession(session) !== true) continue;
      lookup.object = open.object;
      lookup.fetch.conclude(nowMs);
      this.offer(open, lookup.takers.splice(0));
    }
  }

  // --- Filling

  /** Fetches what is missing of an object. */
  private fill(nowMs: TimeMs, open: OpenObject): void {
    const { object, lookup } = open;
    const { shelf, fetch } = object;
    // If its sources turn out to be of no use, it chooses again, and waits again.
    const isWaiting = lookup?.fetch.activity === 'asking' && lookup.fetch.object !== undefined;
    if (!isWaiting || shelf === undefined) return;
    if (fetch === undefined) {
      object.begin(lookup.fetch);
      this.reportFill(nowMs, open);
    }
    lookup.fetch.proceed(nowMs, object.spared, !shelf.keeps);
  }

  private reportFill(nowMs: TimeMs, open: OpenObject): void {
    const { object, lookup } = open;
    if (object.isUnread || lookup?.beginFill(nowMs) !== true) return;
    const isCached = object.shelf?.keeps === true;
    this.events.push({ type: 'fill', ...infoOf(open), isCached });
  }

  /** An object has a place because somebody has begun to read it, so its content is fetched from now on. */
  private fillOn(nowMs: TimeMs, open: OpenObject, fetch: Fetch): void {
    const { object } = open;
    this.reportFill(nowMs, open);
    if (object.shelf?.keeps === true) fetch.fetchAll(nowMs);
    object.handleReady();
  }

  private handleReady({ object: relayed, fetch }: Lookup): void {
    const open = relayed === undefined ? undefined : this.objects.of(relayed);
    const { object } = fetch;
    if (open === undefined || object === undefined) return;
    open.handleReady(this.options.crypto.hash, object);
  }

  /** Does a step of work on the digest tree of an object. */
  private step(open: OpenObject): void {
    if (!open.step()) return;
    const { object, info } = open;
    this.objects.cached.setWhole(info.id, object.isWhole);
    this.objects.describe(open);
    object.handleReady();
    this.offer(open, []);
  }

  /** Asks for the content again if somebody waits for it and nobody fetches it. */
  private handleNeed(open: OpenObject): void {
    const { object, info } = open;
    if (open.lookup !== undefined || (object.isReady && !object.isAwaited)) return;
    const { name, contentRoot: root, manifestDigest } = info;
    open.lookup = this.beginLookup({ name, root, manifestDigest }, []);
    open.lookup.object = object;
  }

  private handleEnd(lookup: Lookup, result: FetchResult): void {
    this.lookups.delete(lookup);
    const { object } = lookup;
    const open = object === undefined ? undefined : this.objects.of(object);
    const isLost = object !== undefined && lookup.reasons.size > 0;
    const { reason: stop = '' } = result;
    const reason = isLost ? lookup.reason : stop;
    this.refuse(lookup.takers, reason, lookup.isAnyAway);
    this.counts.fetchedBytes += result.report?.deliveredBytes ?? 0;
    const fetched = lookup.fetched(this.nowMs, result);
    if (open === undefined && fetched !== undefined)
      this.events.push({ type: 'fill-stopped', ...infoOf(lookup), ...fetched, reason: stop });
    if (open === undefined || open.lookup !== lookup) return;
    open.lookup = undefined;
    open.object.endFetch();
    this.objects.cached.setWhole(open.info.id, open.object.isWhole);
    if (result.status !== 'complete') {
      this.handleFailed(open, lookup, reason, result.isFinal);
    } else {
      if (fetched !== undefined) this.events.push({ type: 'filled', ...infoOf(open), ...fetched });
      this.handleNeed(open);
    }
    this.objects.hold(open);
  }

  private handleFailed(open: OpenObject, lookup: Lookup, reason: string, isFinal: boolean): void {
    if (open.isRestarting) {
      open.isRestarting = false;
      this.handleNeed(open);
      return;
    }
    this.events.push({ type: 'fill-failed', ...infoOf(open), reason });
    if (!open.object.isReady) {
      this.refuse(open.takers, reason, lookup.isAnyAway);
      this.objects.close(open);
    } else if (open.object.isAwaited) {
      open.object.abandonReads();
      this.events.push({ type: 'lost', object: open.object, reason, isFinal });
    }
  }

  // --- Inputs and outputs

  /** Answers an `identify` event: trusts the upstream server, or does without it for this reason. */
  trust(nowMs: TimeMs, ask: number, refusal?: string): void {
    for (const lookup of this.lookups) lookup.trust(nowMs, ask, refusal);
    // It may be of no fetch.
    this.options.port.asker.trust(nowMs, ask, refusal);
  }

  /** Takes an event of the port; then call `advance`. */
  takeEvent(nowMs: TimeMs, event: EndpointEvent<never>): void {
    if (event.event.type === 'fault') {
      this.events.push(event.event);
      return;
    }
    for (const lookup of this.lookups) if (lookup.takeEvent(nowMs, event)) return;
    this.options.port.discard(nowMs, event);
  }

  /** Does everything that is due. */
  advance(nowMs: TimeMs): void {
    for (const { fetch } of this.lookups) fetch.advance(nowMs);
    this.takeActions(nowMs);
  }

  handleTimeout(nowMs: TimeMs): void {
    for (const lookup of [...this.lookups]) {
      const { fetch } = lookup;
      if (nowMs >= lookup.waitsUntilMs(this.answerTimeoutMs)) lookup.giveUp(nowMs);
      if ((fetch.pollTimeout() ?? Infinity) <= nowMs) fetch.handleTimeout(nowMs);
    }
    for (const open of [...this.objects]) if (open.work !== undefined) this.step(open);
    this.objects.handleTimeout(nowMs);
    this.takeActions(nowMs);
  }

  pollTimeout(): TimeMs | undefined {
    let atMs = this.objects.pollTimeout();
    for (const lookup of this.lookups) {
      const givesUpAtMs = lookup.waitsUntilMs(this.answerTimeoutMs);
      atMs = Math.min(atMs, lookup.fetch.pollTimeout() ?? Infinity, givesUpAtMs);
    }
    return atMs === Infinity ? undefined : atMs;
  }

  pollEvent(): RelayEvent | undefined {
    this.takeActions(this.nowMs);
    return this.events.shift();
  }

  /** Stops fetching, and closes all objects. What has arrived is kept. */
  close(nowMs: TimeMs, reason: string): void {
    for (const { fetch } of this.lookups) fetch.abort(nowMs, reason);
    for (const open of [...this.objects]) this.objects.close(open);
  }

  private takeActions(nowMs: TimeMs): void {
    for (let isQuiet = false; !isQuiet; ) {
      isQuiet = true;
      for (const lookup of [...this.lookups]) {
        if (lookup.object === undefined && lookup.isVain) lookup.endUnanswered(nowMs);
        for (let event = lookup.fetch.pollEvent(); event; event = lookup.fetch.pollEvent()) {
          isQuiet = false;
          this.handleFetchEvent(nowMs, lookup, event);
        }
      }
      for (let action = this.objects.pollAction(); action; action = this.objects.pollAction()) {
        isQuiet = false;
        this.handleAction(nowMs, action);
      }
    }
  }

  private handleFetchEvent(nowMs: TimeMs, lookup: Lookup, event: FetchRoleEvent): void {
    const name = lookup.object?.name ?? lookup.what.name ?? '';
    switch (event.type) {
      case 'identify':
        this.events.push(identifyOf(event));
        break;
      case 'chosen':
        this.handleChosen(nowMs, lookup);
        break;
      case 'ready':
        this.handleReady(lookup);
        break;
      case 'joined':
        lookup.handleJoined(event.source);
        this.events.push({ type: 'upstream-joined', name, upstream: event.source });
        break;
      case 'shared':
        this.handleShared(nowMs, lookup, event.session);
        break;
      case 'left':
        if (lookup.handleLeft(nowMs, event)) this.reportLeft(name, event);
        break;
      case 'end':
        this.handleEnd(lookup, event.result);
        break;
      default:
        break;
    }
  }

  private reportLeft(name: string, { source: upstream, reason, isRetried }: LeftEvent): void {
    this.events.push({ type: 'upstream-left', name, upstream, reason, isRetried });
  }

  private handleAction(nowMs: TimeMs, action: OpenObjectAction): void {
    switch (action.type) {
      case 'opened':
        this.handleOpened(nowMs, action.open);
        break;
      case 'refused':
        this.refuse(action.open.takers, action.reason, true);
        this.objects.close(action.open);
        break;
      case 'unstored': {
        const { open, reason } = action;
        this.events.push({ type: 'cache-error', name: open.info.name, reason });
        open.isRestarting = open.object.fetch !== undefined;
        if (open.isRestarting) open.lookup?.fetch.abort(nowMs, reason);
        else this.handleOpened(nowMs, open);
        break;
      }
      case 'needed':
        this.handleNeed(action.open);
        break;
      case 'read':
        this.objects.makePlace(action.open);
        break;
      default: {
        const { name, contentSizeBytes } = action.info;
        this.counts.evictions++;
        this.events.push({ type: 'evicted', name, contentSizeBytes });
      }
    }
  }

  private handleOpened(nowMs: TimeMs, open: OpenObject): void {
    const { object, lookup } = open;
    const isWaiting = object.fetch === undefined || object.fetch.activity === 'asking';
    if (object.isWhole) lookup?.fetch.conclude(nowMs);
    else if (isWaiting) this.fill(nowMs, open);
    else this.fillOn(nowMs, open, object.fetch);
    this.handleNeed(open);
    this.offer(open, []);
  }
}

function identifyOf(event: Extract<FetchRoleEvent, { type: 'identify' }>): RelayEvent {
  const { type, ask, source: upstream, serverKey } = event;
  return { type, ask, upstream, serverKey };
}
