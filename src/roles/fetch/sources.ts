/**
 * The sources of a fetch: asks each of them for the object, asks again those that were lost, and turns what asker and
 * receiver report into actions about sources.
 */
import { sameAddress } from '../../base/address.js';
import type { TimeMs } from '../../base/machine.js';
import { Queue } from '../../base/queue.js';
import type { ReadonlyRangeSet } from '../../base/range-set.js';
import { withoutUndefined } from '../../base/without-undefined.js';
import type { EndpointEvent } from '../../endpoint/endpoint.js';
import type { AskerEvent } from '../../session/asks/asker-events.js';
import type { Supplying } from '../../session/incoming/stages/supplying.js';
import type { SessionReceiverEvent } from '../../session/receiver-events.js';
import type { ReceiverSpec } from '../../transfer/receiver-spec.js';
import type { AskedObject } from '../../wire/asks.js';
import type { ExistingFiles, Offer } from '../../wire/offer.js';
import type { Dismissal } from './content-choice.js';
import type { FetchPort } from './fetch-port.js';
import { describeAbsence, describeExclusion, Source } from './source.js';
import type { SourceAction } from './source-actions.js';

const defaultPatienceMs = 60_000;

export interface SourcesOptions {
  readonly port: FetchPort;
  readonly sources: readonly ReceiverSpec[];
  readonly what: Partial<AskedObject>;
  readonly existing?: ExistingFiles;
  /**
   * A source that sends nothing of what is asked of it for this time is asked again from the start. The fetch fails after
   * this time without any source. 60 s by default.
   */
  readonly patienceMs?: number;
  /** The relays that the ask has come through, the nearest to the asking receiver first; none by default. */
  readonly hops?: readonly Uint8Array[];
}

export class Sources {
  readonly patienceMs: number;
  private readonly all: Source[] = [];
  private readonly actions = new Queue<SourceAction>();
  /** The sessions whose ends are to be confirmed. */
  private readonly unconfirmed: number[] = [];
  private hasStarted = false;
  private aloneSinceMs: TimeMs = Infinity;
  private arePrepared = false;
  /**
   * The root of the content that is asked for; undefined until it is chosen. From then on, sources may hold other content
   * under the name.
   */
  chosenRoot: Uint8Array | undefined;

  constructor(private readonly options: SourcesOptions) {
    for (const spec of options.sources) this.all.push(new Source(spec));
    this.patienceMs = options.patienceMs ?? defaultPatienceMs;
  }

  [Symbol.iterator](): IterableIterator<Source> {
    return this.all[Symbol.iterator]();
  }

  find(spec: ReceiverSpec): Source | undefined {
    return this.all.find((each) => each.spec === spec);
  }

  /** The sources that offer the object and may be used, in the order in which they were named. */
  get usable(): Source[] {
    return this.all.filter(({ isUsable }) => isUsable);
  }

  get isAnyAwaited(): boolean {
    return this.all.some(({ isAwaited }) => isAwaited);
  }

  /** When a fetch fails that has had no source until then; Infinity while there is one. */
  get absentUntilMs(): TimeMs {
    return this.aloneSinceMs + this.patienceMs;
  }

  /**
   * Notes whether there is a source that can be used.
   * @param countsRefusals whether a source that refuses all datagrams counts as lost
   * @returns why no source can be used, now or later; undefined if one may still be used
   */
  noteUsable(nowMs: TimeMs, countsRefusals: boolean): string | undefined {
    const isAlone = this.usable.length === 0;
    this.aloneSinceMs = isAlone ? Math.min(this.aloneSinceMs, nowMs) : Infinity;
    if (!isAlone) return undefined;
    return describeExclusion(this.all, ({ ask }) =>
      countsRefusals && ask !== undefined ? this.asker.refusalOf(ask) : undefined,
    );
  }

  /** Why a fetch fails that has waited for a source in vain. */
  get absence(): string {
    return describeAbsence(this.all, this.patienceMs);
  }

  /**
   * @param isCounted which sources count; by default all
   * @returns what has arrived from those that can serve this host and others by multicast; undefined without such a source
   */
  pacedBytesOf(isCounted = (_: ReceiverSpec) => true): number | undefined {
    let bytes: number | undefined;
    for (const source of this.usable.filter(({ spec }) => isCounted(spec))) {
      const supplier = this.supplierOf(source);
      if (supplier?.usesGroup === true) bytes = (bytes ?? 0) + supplier.arrivedBytes;
    }
    return bytes;
  }

  /** What can be wanted of a source; undefined if there is no session with it. */
  supplierOf({ session }: Source): Supplying | undefined {
    return session === undefined ? undefined : this.receiver.find(session)?.source;
  }

  rttMsOf(nowMs: TimeMs, { session }: Source): number | undefined {
    return session === undefined ? undefined : this.receiver.find(session)?.status(nowMs)?.rttMs;
  }

  handleWritten(nowMs: TimeMs, session: number, sizeBytes: number): void {
    this.receiver.handleWritten(nowMs, session, sizeBytes);
  }

  private get receiver() {
    return this.options.port.receiver;
  }

  private get asker() {
    return this.options.port.asker;
  }

  trust(nowMs: TimeMs, ask: number, refusal: string | undefined): void {
    const source = this.all.find((each) => each.ask === ask);
    if (source === undefined) return;
    if (refusal === undefined) {
      this.asker.trust(nowMs, ask);
    } else {
      this.asker.cancel(nowMs, ask, refusal);
      this.lose(nowMs, source, refusal, false);
    }
  }

  // --- Asking

  start(nowMs: TimeMs): void {
    this.hasStarted = true;
    this.aloneSinceMs = nowMs;
    for (const source of this.all) this.ask(nowMs, source);
  }

  /**
   * A source joins. One that was excluded can join again, unless it has lied.
   * @returns whether it does
   */
  join(nowMs: TimeMs, spec: ReceiverSpec, holds?: ReadonlyRangeSet): boolean {
    const index = this.all.findIndex((each) => sameAddress(each.spec.address, spec.address));
    const earlier = this.all[index];
    const mayJoin = earlier?.excludedFor !== undefined && !earlier.hasLied;
    if (mayJoin) this.all.splice(index, 1);
    else if (earlier !== undefined) return false;
    const source = new Source(spec, holds);
    this.all.push(source);
    if (this.hasStarted) this.ask(nowMs, source);
    return true;
  }

  private ask(nowMs: TimeMs, source: Source): void {
    const { what, existing, hops } = this.options;
    source.retryAtMs = Infinity;
    const root = this.chosenRoot ?? what.root;
    source.ask = this.asker.ask(nowMs, {
      ...{ server: source.spec, what: { ...what, ...withoutUndefined({ root }) }, isSource: true },
      ...withoutUndefined({ existing, hops }),
    });
  }

  // --- Time

  get dueAtMs(): TimeMs {
    let atMs = this.absentUntilMs;
    for (const source of this.all) {
      const { retryAtMs, leaves } = source;
      atMs = Math.min(atMs, retryAtMs, leaves?.dueAtMs ?? Infinity, this.stallsAtMs(source));
    }
    return atMs;
  }

  handleTimeout(nowMs: TimeMs): void {
    for (const source of this.all) {
      if (nowMs >= source.retryAtMs) this.ask(nowMs, source);
      if (nowMs >= this.stallsAtMs(source)) this.handleStall(nowMs, source);
      for (const request of source.leaves?.repetitions(nowMs) ?? [])
        this.supplierOf(source)?.request(request);
      this.requestLeaves(nowMs, source);
    }
  }

  private stallsAtMs({ owesSinceMs = Infinity }: Source): TimeMs {
    return owesSinceMs + this.patienceMs;
  }

  private handleStall(nowMs: TimeMs, source: Source): void {
    const { isWhole = false, arrivedBytes = 0 } = this.supplierOf(source) ?? {};
    const isMoving = arrivedBytes > source.seenBytes;
    source.seenBytes = arrivedBytes;
    if (isMoving || (isWhole && source.leaves?.isAwaiting !== true)) {
      source.owesSinceMs = isMoving ? nowMs : undefined;
      return;
    }
    const reason = `has sent nothing of what it was asked for in ${this.patienceMs / 1000} s`;
    this.conclude(nowMs, source, false, reason);
    this.lose(nowMs, source, reason, true);
  }

  // --- Requests

  wantManifest(nowMs: TimeMs, source: Source): void {
    source.noteAsk(nowMs);
    this.supplierOf(source)?.wantManifest(nowMs);
  }

  /** Wants exactly these blocks of a source from now on. */
  wantOnly(nowMs: TimeMs, source: Source, wanted: ReadonlyRangeSet): void {
    if (!wanted.isEmpty) source.noteAsk(nowMs);
    else if (source.leaves?.isAwaiting !== true) source.owesSinceMs = undefined;
    const supplier = this.supplierOf(source);
    supplier?.wantOnly(nowMs, wanted);
    if (this.arePrepared) supplier?.notePrepared(nowMs);
  }

  /** From now on, it is known of all blocks whether they are wanted; or, if the content is chosen again, it is not. */
  setPrepared(nowMs: TimeMs, arePrepared: boolean): void {
    this.arePrepared = arePrepared;
    if (!arePrepared) return;
    for (const source of this.all) this.supplierOf(source)?.notePrepared(nowMs);
  }

  /** Sends the requests for leaf digests that are due. */
  requestLeaves(nowMs: TimeMs, source: Source): void {
    for (const request of source.leaves?.requests(nowMs) ?? []) {
      source.noteAsk(nowMs);
      this.supplierOf(source)?.request(request);
    }
  }

  /** All leaf digests are known, so no source owes any. */
  endLeaves(): void {
    for (const source of this.all) {
      source.leaves = undefined;
      if (this.supplierOf(source)?.isWhole !== false) source.owesSinceMs = undefined;
    }
  }

  // --- Ends

  /**
   * Uses a source no more, or only after it has been asked again.
   * @returns what was decided
   */
  dismiss(nowMs: TimeMs, source: Source, dismissal: Dismissal): Dismissal {
    this.conclude(nowMs, source, false, dismissal.reason);
    return this.forget(nowMs, source, dismissal);
  }

  /** There is no connection to the source any more. @returns what was decided */
  private forget(nowMs: TimeMs, source: Source, dismissal: Dismissal): Dismissal {
    const vain = source.endOffer();
    const isInVain = dismissal.isRetried && vain !== undefined;
    const reason = isInVain ? `${vain}; at last: ${dismissal.reason}` : dismissal.reason;
    const isRetried = dismissal.isRetried && !isInVain;
    source.lose(nowMs, reason, isRetried);
    return { reason, isRetried };
  }

  private conclude(
    nowMs: TimeMs,
    { session, ask }: Source,
    isComplete: boolean,
    reason: string,
  ): void {
    if (session !== undefined) this.receiver.find(session)?.conclude(nowMs, isComplete, reason);
    // Also the handshake for another session, which the asker may have begun.
    if (ask !== undefined) this.asker.cancel(nowMs, ask, reason);
  }

  /**
   * Ends all sessions and asks.
   * @param isAwaited whether a source is expected to confirm the end soon
   * @returns whether no source was left that may be asked again
   */
  end(
    nowMs: TimeMs,
    isComplete: boolean,
    reason: string,
    isAwaited: (source: Source) => boolean,
  ): boolean {
    const isFinal = describeExclusion(this.all, () => undefined) !== undefined;
    for (const source of this.all) {
      const { session } = source;
      if (session !== undefined && isAwaited(source)) this.unconfirmed.push(session);
      this.conclude(nowMs, source, isComplete, reason);
      source.lose(nowMs, reason, false);
    }
    return isFinal;
  }

  /** Whether the sources that are expected to confirm the end have done so. */
  get areConfirmed(): boolean {
    return this.unconfirmed.every((session) => this.receiver.find(session) === undefined);
  }

  // --- Actions

  /** The next action, with which the fetch must deal before its next input. */
  pollAction(): SourceAction | undefined {
    return this.actions.shift();
  }

  /** Finds out which of the silent sources have been heard of again. */
  findHeard(): void {
    for (const source of this.all) {
      const { session, silentSinceMs } = source;
      if (session === undefined || silentSinceMs === undefined) continue;
      const { heardAtMs = 0 } = this.receiver.find(session) ?? {};
      if (heardAtMs >= silentSinceMs) this.noteHeard(source);
    }
  }

  private noteHeard(source: Source): void {
    if (source.silentSinceMs === undefined) return;
    source.silentSinceMs = undefined;
    if (source.isUsable) this.actions.push({ type: 'heard', source });
  }

  /** Takes an event of the port. @returns false if it is of none of these sources */
  takeEvent(nowMs: TimeMs, event: EndpointEvent<never>): boolean {
    if (event.role === 'asker') return this.takeAskerEvent(nowMs, event.event);
    if (event.role === 'receiver') return this.takeReceiverEvent(nowMs, event.event);
    return false;
  }

  private takeAskerEvent(nowMs: TimeMs, event: AskerEvent): boolean {
    if (!('ask' in event)) {
      this.actions.push(event);
      return true;
    }
    const source = this.all.find(({ ask }) => ask === event.ask);
    if (source === undefined) return false;
    switch (event.type) {
      case 'identify':
        this.actions.push({ ...event, source });
        break;
      case 'answered':
        source.session = event.session;
        source.silentSinceMs = undefined;
        break;
      case 'deferred':
      case 'waiting':
        for (const news of source.defer(event)) this.actions.push(news);
        break;
      case 'silent':
        source.silentSinceMs = nowMs;
        this.actions.push({ type: 'silent', source });
        break;
      case 'refused':
        this.lose(nowMs, source, event.reason, false);
        break;
      case 'shared':
        this.actions.push({ type: 'shared', source: source.name, session: event.session });
        this.lose(nowMs, source, event.reason, true);
        break;
      case 'failed':
        this.lose(nowMs, source, event.reason, true);
        break;
      case 'ended':
        this.lose(nowMs, source, 'the session has ended', true);
        break;
      default:
        break;
    }
    return true;
  }

  private takeReceiverEvent(nowMs: TimeMs, event: SessionReceiverEvent): boolean {
    if (event.type === 'fault') {
      this.actions.push(event);
      return true;
    }
    // A group is left at the end of its session, whether or not the source is still used.
    if (event.type === 'join' || event.type === 'leave') this.actions.push(event);
    else if (event.type === 'end')
      this.actions.push({ type: 'leave', session: event.result.session });
    const session = sessionOf(event);
    const source = this.all.find((each) => session !== undefined && each.session === session);
    if (source === undefined) return false;
    // This host itself ends the session with a source that stays silent.
    if (event.type !== 'end') this.noteHeard(source);
    switch (event.type) {
      case 'source':
        this.takeOffer(nowMs, source, event.offer);
        break;
      case 'manifest-part':
      case 'nodes':
        source.noteAnswer(nowMs);
        this.actions.push({ ...event, source });
        break;
      case 'supplied':
        this.actions.push({ ...event, type: 'block', source });
        break;
      case 'end': {
        const { result, isFinal = false } = event;
        this.lose(nowMs, source, result.reason ?? 'the source has ended the session', !isFinal);
        break;
      }
      default:
        break;
    }
    return true;
  }

  private takeOffer(nowMs: TimeMs, source: Source, offer: Offer): void {
    const vain = source.endOffer();
    source.offer = offer;
    if (vain === undefined) {
      this.actions.push({ type: 'offer', source });
      return;
    }
    this.conclude(nowMs, source, false, vain);
    this.lose(nowMs, source, vain, false);
  }

  private lose(nowMs: TimeMs, source: Source, reason: string, isRetried: boolean): void {
    const decided = this.forget(nowMs, source, { reason, isRetried });
    this.actions.push({ type: 'lost', source, ...decided });
  }
}

/** The session that an event is of, if it is of one. */
export function sessionOf(event: SessionReceiverEvent): number | undefined {
  if ('session' in event) return event.session;
  if ('info' in event) return event.info.session;
  return event.type === 'end' ? event.result.session : undefined;
}
