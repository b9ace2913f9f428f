/** One source of a fetch: the ask that reaches it, its offer, and its place in the schedule. */
import type { TimeMs } from '../../base/machine.js';
import type { ReadonlyRangeSet } from '../../base/range-set.js';
import type { AskerEvent } from '../../session/asks/asker-events.js';
import type { LeafRequests } from '../../session/incoming/leaf-requests.js';
import type { ReceiverSpec } from '../../transfer/receiver-spec.js';
import type { Offer } from '../../wire/offer.js';
import type { SourceIndex } from './fetch-events.js';
import type { DeferredEvent } from './fetch-result.js';

/** The pause before a source is asked again that was lost. It doubles with each attempt. */
const firstRetryMs = 1000;
const maxRetryMs = 15_000;

/** A source that makes so many offers, one after another, and sends nothing that is asked of it, is not asked again. */
const maxVainOffers = 5;

type PutOff = Extract<AskerEvent, { readonly type: 'deferred' | 'waiting' }>;

export class Source {
  /** The ask in progress; undefined if there is none. */
  ask: number | undefined;
  session: number | undefined;
  offer: Offer | undefined;
  /** Its number in the schedule; undefined while nothing is asked of it. */
  index: SourceIndex | undefined;
  /** Collects leaf digests from it; undefined unless they are needed. */
  leaves: LeafRequests | undefined;
  /** Since when it has counted as silent; undefined if it does not. */
  silentSinceMs: TimeMs | undefined;
  /** When to ask it again. */
  retryAtMs: TimeMs = Infinity;
  /** Whether it has sent something wrong. It is never asked again then. */
  hasLied = false;
  /** Since when it has not sent what is asked of it; undefined if nothing is. */
  owesSinceMs: TimeMs | undefined;
  /** What had arrived of it when that was last looked at. */
  seenBytes = 0;
  /** Whether it has sent something that was asked of it since its offer. */
  private hasAnswered = false;
  /** Number of its latest offers after which it sent nothing that was asked of it. */
  private vainOffers = 0;
  private retryMs = firstRetryMs;
  /** The last ask for which it has said what holds up its answer. */
  private waitingAsk: number | undefined;
  private reason: string | undefined;
  /** Why it was last lost, or has asked to wait; undefined if it never was or has. */
  lostFor: string | undefined;

  /** @param holds the blocks that it holds, which can become more; all if it is undefined */
  constructor(
    readonly spec: ReceiverSpec,
    readonly holds?: ReadonlyRangeSet,
  ) {}

  get name(): string {
    return this.spec.name;
  }

  /** Whether it may still make an offer. */
  get isAwaited(): boolean {
    return this.ask !== undefined && this.offer === undefined;
  }

  get isUsable(): boolean {
    return this.offer !== undefined;
  }

  get isDelivering(): boolean {
    return this.isUsable && this.silentSinceMs === undefined;
  }

  /** Why it is not to be asked again; undefined if it may be. */
  get excludedFor(): string | undefined {
    return this.reason;
  }

  /**
   * It asks to wait, or says what holds up its answer, which it may do many times.
   * @returns what the fetch reports of it, if that is anything new
   */
  defer({ type, ask, reason }: PutOff): DeferredEvent[] {
    this.lostFor = reason;
    if (type === 'waiting' && ask === this.waitingAsk) return [];
    if (type === 'waiting') this.waitingAsk = ask;
    return [{ type: 'deferred', source: this.name, reason }];
  }

  /** Something is asked of it. */
  noteAsk(nowMs: TimeMs): void {
    this.owesSinceMs ??= nowMs;
  }

  /** It has sent something that was asked of it. */
  noteAnswer(nowMs: TimeMs): void {
    this.hasAnswered = true;
    if (this.owesSinceMs !== undefined) this.owesSinceMs = nowMs;
  }

  /** It has sent a verified block, so that the next loss of it counts as the first. */
  noteDelivery(nowMs: TimeMs): void {
    this.noteAnswer(nowMs);
    this.retryMs = firstRetryMs;
    this.vainOffers = 0;
  }

  /**
   * Its offer is over, because the source is lost or makes another one.
   * @returns why it is not to be asked again; undefined if it may be
   */
  endOffer(): string | undefined {
    if (this.isUsable && this.owesSinceMs !== undefined && !this.hasAnswered) this.vainOffers++;
    this.hasAnswered = false;
    this.seenBytes = 0;
    this.owesSinceMs = undefined;
    return this.vainOffers < maxVainOffers
      ? undefined
      : `has offered the content ${maxVainOffers} times and sent nothing of it`;
  }

  /** There is no connection to the source any more. */
  lose(nowMs: TimeMs, reason: string, isRetried: boolean): void {
    this.ask = undefined;
    this.session = undefined;
    this.offer = undefined;
    this.leaves = undefined;
    this.silentSinceMs = undefined;
    this.lostFor = reason;
    this.reason = isRetried ? undefined : reason;
    this.retryAtMs = isRetried ? nowMs + this.retryMs : Infinity;
    this.retryMs = Math.min(2 * this.retryMs, maxRetryMs);
  }
}

/** Why there is no source: also, why each was lost, or asked to wait. */
export function describeAbsence(sources: readonly Source[], patienceMs: number): string {
  const losses = sources.flatMap(({ name, lostFor }) =>
    lostFor === undefined ? [] : [`; ${name}: ${lostFor}`],
  );
  return `no source for ${patienceMs / 1000} s${losses.join('')}`;
}

/** Why no source can be used, now or later; undefined if one may still be used. */
export function describeExclusion(
  sources: readonly Source[],
  refusalOf: (source: Source) => string | undefined,
): string | undefined {
  const reasons: string[] = [];
  for (const source of sources) {
    const { name, spec, excludedFor } = source;
    const reason = excludedFor ?? refusalOf(source);
    if (reason === undefined) return undefined;
    const isNamed = sources.length === 1 && namesAtOnce(reason, spec.address.host);
    reasons.push(isNamed ? reason : `${name}: ${reason}`);
  }
  return reasons.join('; ');
}

/** Whether a reason is about this host, such as `port 7735 at 192.0.2.1 refused` or `cannot send to 192.0.2.1`. */
function namesAtOnce(reason: string, host: string): boolean {
  return /^(?:port \d+ at|cannot send to) (.*)/.exec(reason)?.[1]?.startsWith(host) === true;
}
