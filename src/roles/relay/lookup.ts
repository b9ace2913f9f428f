/** One question to the upstream servers: which content an object has now. It becomes the fetch of that content. */
import { assert } from '../../base/assert.js';
import type { TimeMs } from '../../base/machine.js';
import type { EndpointEvent } from '../../endpoint/endpoint.js';
import type { ContentStores } from '../../object/content-store.js';
import type { AskRefusal } from '../../session/asks/listener-events.js';
import { commonAllocationBytes } from '../../session/object-limits.js';
import type { AskedObject } from '../../wire/asks.js';
import { isEqualBytes, joinBytes, toHex } from '../../wire/byte-codec.js';
import type { FetchOptions } from '../fetch/fetch.js';
import { Fetch } from '../fetch/fetch.js';
import type { FetchResult, FetchRoleEvent } from '../fetch/fetch-result.js';
import type { Source } from '../fetch/source.js';
import type { CachedObject } from './object-cache.js';
import type { RelayedObject } from './relayed-object.js';
import { joinReasons, noticeableMs } from './upstreams.js';

/** What a client gets: the object, or why it does not get it. */
export type RelayAnswer = RelayedObject | AskRefusal;

export type LeftEvent = Extract<FetchRoleEvent, { type: 'left' }>;

export type TakeAnswer = (answer: RelayAnswer) => void;

export type LookupOptions = Pick<
  FetchOptions,
  'crypto' | 'port' | 'sources' | 'host' | 'ownKey' | 'blockSizeBytes' | 'graceMs' | 'patienceMs'
> & {
  /** For each upstream server that cannot be asked, the reason. */
  readonly absences: ReadonlyMap<string, string>;
};

const awaitsDecision = 'the user of the relay has not said yet whether to trust its key';

export class Lookup {
  readonly fetch: Fetch;
  /** Clients that wait for the answer. */
  readonly takers: TakeAnswer[] = [];
  /** The object, once it is known which one it is. */
  object: RelayedObject | undefined;
  /** When it has become the fetch that fills the object; undefined before that. */
  private fillBeganAtMs: TimeMs | undefined;
  /** For each upstream server that is of no use, the reason. */
  readonly reasons = new Map<string, string>();
  /** The upstream servers that deliver. */
  private readonly used = new Set<string>();
  /** Since when none does; Infinity while one does. */
  private unusedSinceMs: TimeMs;
  /** Whether a server may answer later that does not now. */
  isAnyAway: boolean;

  /** Whether a server has answered with a session in which an object is filled already. */
  isShared = false;

  /** The upstream servers that have asked to wait. */
  private readonly deferring = new Set<string>();

  /** The upstream servers whose keys nobody has yet accepted or rejected, by the numbers of their asks. */
  private readonly undecided = new Map<number, string>();

  constructor(
    private readonly options: LookupOptions,
    readonly what: Partial<AskedObject>,
    readonly hops: readonly Uint8Array[],
    ownHop: Uint8Array,
    readonly startedAtMs: TimeMs,
  ) {
    this.isAnyAway = options.absences.size > 0;
    this.unusedSinceMs = startedAtMs;
    const stores: ContentStores = {
      create: () => (this.object as RelayedObject).fill(),
      drop: () => undefined,
    };
    this.fetch = new Fetch({
      ...options,
      ...{
        stores,
        what,
        hops: [...hops, ownHop],
        platform: 'posix',
        awaitsDecision: true,
        prefersFirst: true,
        // Clients are offered an object when all of its digests are known.
        digestsFirst: true,
      },
      limits: {
        ...{ maxBytes: Infinity, maxEntries: Infinity },
        allocationBytes: commonAllocationBytes,
      },
    });
  }

  /**
   * Whether the answer is also one for this ask. An ask that came through relays must not wait for a question that did
   * not, because the question might wait for that ask.
   */
  isFor(what: Partial<AskedObject>, hops: readonly Uint8Array[]): boolean {
    return (
      this.isBehind(hops) &&
      (this.what.name ?? '') === (what.name ?? '') &&
      isSame(this.what.root, what.root) &&
      isSame(this.what.manifestDigest, what.manifestDigest)
    );
  }

  /** Whether the question has come through all of these relays. */
  isBehind(hops: readonly Uint8Array[]): boolean {
    return hops.every((hop) => this.hops.some((own) => isEqualBytes(own, hop)));
  }

  /** Whether one of the upstream servers is connected in this session. */
  hasSession(session: number): boolean {
    return this.fetch.sources.usable.some((source) => source.session === session);
  }

  /** What the answer is. */
  get info(): CachedObject {
    const { fetch, what, options } = this;
    assert(fetch.object !== undefined, 'the content is chosen');
    const { contentSizeBytes, contentRoot, label, offer } = fetch.object;
    const { manifestDigest, manifestSizeBytes } = offer;
    const id = toHex(options.crypto.hash(joinBytes([manifestDigest, contentRoot])));
    const name = what.name || label;
    const sizes = { contentSizeBytes, manifestSizeBytes };
    return { id, name, ...sizes, contentRoot, manifestDigest, isWhole: false };
  }

  /** It fills the object from now on, which has its place before the fetch begins, or after. @returns whether it is news */
  beginFill(nowMs: TimeMs): boolean {
    if (this.fillBeganAtMs !== undefined) return false;
    this.fillBeganAtMs = nowMs;
    return true;
  }

  /** What it has fetched, and in which time; undefined if it never filled an object. */
  fetched(nowMs: TimeMs, { report }: FetchResult) {
    const { fillBeganAtMs } = this;
    if (fillBeganAtMs === undefined || report === undefined) return undefined;
    return { fetchedBytes: report.deliveredBytes, elapsedMs: nowMs - fillBeganAtMs };
  }

  /** Takes an event of the port. @returns false if it is not about this question */
  takeEvent(nowMs: TimeMs, event: EndpointEvent<never>): boolean {
    if (!this.fetch.takeEvent(nowMs, event)) return false;
    if (event.role !== 'asker') return true;
    const news = event.event;
    if (news.type === 'deferred') this.deferring.add(news.server);
    // Somebody is asked whether to trust its key.
    else if (news.type === 'identify') this.undecided.set(news.ask, news.server);
    return true;
  }

  /** Trusts an upstream server, or does without it for this reason. */
  trust(nowMs: TimeMs, ask: number, refusal?: string): void {
    this.undecided.delete(ask);
    this.fetch.trust(nowMs, ask, refusal);
  }

  /** Whether no upstream server is left of which an answer can be expected soon. */
  get isVain(): boolean {
    return [...this.fetch.sources].every((each) => this.absenceOf(each) !== undefined);
  }

  /**
   * When the question is given up, or the fetch that it has become. Clients that wait for a fetch know the reason then,
   * turn to other sources, and ask again. A fetch for which no client waits is not given up.
   * @param timeoutMs how long no upstream server may answer, or deliver
   */
  waitsUntilMs(timeoutMs: number): TimeMs {
    const { object, startedAtMs, unusedSinceMs } = this;
    if (object === undefined) return startedAtMs + timeoutMs;
    return object.isAwaited ? unusedSinceMs + timeoutMs : Infinity;
  }

  giveUp(nowMs: TimeMs): void {
    if (this.object === undefined) {
      this.endUnanswered(nowMs);
      return;
    }
    for (const [server, reason] of this.silences(nowMs)) this.reasons.set(server, reason);
    this.isAnyAway = true;
    this.fetch.abort(nowMs, this.reason);
  }

  /** Whether an upstream server delivers. */
  get isServed(): boolean {
    return this.used.size > 0;
  }

  /** Ends the question, unless an upstream server has answered it. */
  endUnanswered(nowMs: TimeMs): void {
    const { fetch, object } = this;
    if (object !== undefined || fetch.object !== undefined || fetch.activity === 'ended') return;
    this.isAnyAway = true;
    fetch.abort(nowMs, this.describeSilences(nowMs));
  }

  /** For each upstream server, why it does not answer. */
  private silences(nowMs: TimeMs): [string, string][] {
    const silence = `no answer for ${Math.round((nowMs - this.unusedSinceMs) / 1000)} s`;
    const undecided = new Set(this.undecided.values());
    const known = [...this.fetch.sources].map((source): [string, string] => {
      const { name } = source;
      const other = undecided.has(name) ? awaitsDecision : (source.lostFor ?? silence);
      return [name, this.absenceOf(source) ?? this.reasons.get(name) ?? other];
    });
    return [...known, ...this.options.absences];
  }

  /** What holds up the answer; undefined if it may come any moment. */
  describeWait(nowMs: TimeMs): string | undefined {
    if (nowMs - this.unusedSinceMs < noticeableMs && this.undecided.size === 0) return undefined;
    return this.describeSilences(nowMs);
  }

  private describeSilences(nowMs: TimeMs): string {
    return joinReasons(this.silences(nowMs));
  }

  /** An upstream server delivers from now on. */
  handleJoined(upstream: string): void {
    this.reasons.delete(upstream);
    this.used.add(upstream);
    this.unusedSinceMs = Infinity;
  }

  /**
   * An upstream server does not deliver any more.
   * @returns whether that is news: not if another question gets what it would deliver
   */
  handleLeft(nowMs: TimeMs, { source: upstream, reason, isRetried }: LeftEvent): boolean {
    const { isShared } = this;
    this.isShared = false;
    if (isShared) return false;
    this.reasons.set(upstream, reason);
    this.used.delete(upstream);
    if (this.used.size === 0) this.unusedSinceMs = Math.min(this.unusedSinceMs, nowMs);
    this.isAnyAway ||= isRetried;
    return true;
  }

  /** Why the servers that were lost are of no use; empty if none was. */
  get reason(): string {
    return joinReasons(this.reasons);
  }

  /** Why a server gives no answer now; undefined if one is expected. */
  private absenceOf({ name, ask, isUsable, excludedFor, lostFor }: Source): string | undefined {
    if (isUsable) return undefined;
    const refusal = ask === undefined ? undefined : this.options.port.asker.refusalOf(ask);
    return excludedFor ?? refusal ?? (this.deferring.has(name) ? lostFor : undefined);
  }
}

function isSame(one: Uint8Array | undefined, other: Uint8Array | undefined): boolean {
  return one === undefined || other === undefined ? one === other : isEqualBytes(one, other);
}
