/** The outcomes of a session's receivers. Each receiver gets exactly one outcome, which is final. */
import type { TimeMs } from '../../base/machine.js';
import type { Queue } from '../../base/queue.js';
import { withoutUndefined } from '../../base/without-undefined.js';
import type { Delivery } from '../../transfer/delivery.js';
import type { ReportInterval } from '../../transfer/report-interval.js';
import type { SessionReceiverOutcome, SessionSenderEvent } from '../sender-events.js';
import type { ControlOutbox } from './control-outbox.js';
import type { SessionMember } from './member.js';
import { outcomeOf } from './receiver-status.js';
import type { ReceiversBehind } from './receivers-behind.js';

export interface ReceiverOutcomesOptions {
  readonly members: readonly SessionMember[];
  readonly reportInterval: ReportInterval;
  readonly contentSizeBytes: number;
  readonly outbox: ControlOutbox;
  readonly delivery: Delivery;
  /** Whether no later session will offer this object. */
  readonly isObjectFinal: boolean;
  readonly events: Queue<SessionSenderEvent>;
  readonly behind: ReceiversBehind;
}

export class ReceiverOutcomes {
  private lastSettledAtMs: TimeMs = 0;
  private unsettledCount = 0;
  private isObjectFinal: boolean;

  constructor(private readonly options: ReceiverOutcomesOptions) {
    this.isObjectFinal = options.isObjectFinal;
  }

  /** A receiver takes part from now on. */
  handleJoin(): void {
    this.unsettledCount++;
    this.options.reportInterval.growFor(this.unsettledCount);
  }

  /** When the last outcome was settled. */
  get settledAtMs(): TimeMs {
    return this.lastSettledAtMs;
  }

  /** Whether every receiver has its outcome, and there was at least one. */
  get areSettled(): boolean {
    return this.unsettledCount === 0 && this.options.members.length > 0;
  }

  /** The outcomes so far. */
  list(nowMs: TimeMs): SessionReceiverOutcome[] {
    const { members, contentSizeBytes } = this.options;
    return members
      .filter(({ isSettled }) => isSettled)
      .flatMap((member) => [
        outcomeOf(nowMs, member, contentSizeBytes),
        ...this.options.behind.outcomesOf(nowMs, member),
      ]);
  }

  settle(
    nowMs: TimeMs,
    member: SessionMember,
    status: SessionReceiverOutcome['status'],
    reason?: string,
  ): void {
    if (member.isSettled) return;
    member.settle(nowMs, status, reason);
    this.lastSettledAtMs = nowMs;
    this.unsettledCount--;
    const { delivery, contentSizeBytes, events } = this.options;
    delivery.dismiss(member.demand);
    const { receipt, index } = member;
    const outcome = outcomeOf(nowMs, member, contentSizeBytes);
    events.push({ type: 'receiver', index, outcome, ...withoutUndefined({ receipt }) });
    for (const each of this.options.behind.outcomesOf(nowMs, member))
      events.push({ type: 'receiver', index, outcome: each });
  }

  /** Sends the receiver a `bye` with the reason and settles its outcome. */
  dismiss(
    nowMs: TimeMs,
    member: SessionMember,
    status: 'aborted' | 'failed',
    reason: string,
  ): void {
    if (member.isSettled) return;
    for (let i = 0; i < abortCopies; i++) this.sendBye(member, reason);
    this.settle(nowMs, member, status, reason);
  }

  /**
   * Sends a `bye`. Without a reason it confirms the receiver's outcome; with a reason it ends the receiver's
   * session.
   */
  sendBye(member: SessionMember, reason = ''): void {
    const { isObjectFinal: isFinal } = this;
    this.options.outbox.sendMessage(member, { kind: 'bye', reason, isFinal });
  }

  /**
   * Records that the object will never be offered again. Receivers then need not keep what they have
   * received.
   */
  makeObjectFinal(): void {
    this.isObjectFinal = true;
  }

  /** Hands over all receivers that have no outcome yet: another session offers them the object again. */
  leaveToNextSession(): void {
    for (const member of this.options.members) if (!member.isSettled) member.handOver();
    this.unsettledCount = 0;
    this.isObjectFinal = false;
  }
}

/** Number of copies of a `bye` that ends a session early. Receivers do not confirm such a `bye`. */
const abortCopies = 3;
