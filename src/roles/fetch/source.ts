/** One source of a fetch: the ask that reaches it, its offer, and its place in the schedule. */
import type { TimeMs } from '../../base/machine.js';
import type { LeafReception } from '../../session/incoming/leaf-reception.js';
import type { ReceiverSpec } from '../../transfer/receiver-spec.js';
import type { Offer } from '../../wire/messages.js';
import type { SourceIndex } from './fetch-events.js';

/** The pause before a source is asked again that was lost. It doubles with each attempt. */
const firstRetryMs = 1000;
const maxRetryMs = 15_000;

export class Source {
  /** The ask in progress; undefined if there is none. */
  ask: number | undefined;
  session: number | undefined;
  offer: Offer | undefined;
  /** Its number in the schedule; undefined while nothing is asked of it. */
  index: SourceIndex | undefined;
  /** Collects leaf digests from it; undefined unless they are needed. */
  leaves: LeafReception | undefined;
  /** Since when it has counted as silent; undefined if it does not. */
  silentSinceMs: TimeMs | undefined;
  /** When to ask it again. */
  retryAtMs: TimeMs = Infinity;
  private retryMs = firstRetryMs;
  private reason: string | undefined;

  constructor(readonly spec: ReceiverSpec) {}

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

  /** The source delivers, so that the next loss of it counts as the first. */
  noteDelivery(): void {
    this.retryMs = firstRetryMs;
  }

  /** There is no connection to the source any more. */
  lose(nowMs: TimeMs, reason: string, isRetried: boolean): void {
    this.ask = undefined;
    this.session = undefined;
    this.offer = undefined;
    this.leaves = undefined;
    this.silentSinceMs = undefined;
    this.reason = isRetried ? undefined : reason;
    this.retryAtMs = isRetried ? nowMs + this.retryMs : Infinity;
    this.retryMs = Math.min(2 * this.retryMs, maxRetryMs);
  }
}
