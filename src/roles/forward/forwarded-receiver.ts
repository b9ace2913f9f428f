/** A receiver behind a relay: what is known of it, and what the sender of the object must hear of it. */
import type { TimeMs } from '../../base/machine.js';
import { withoutUndefined } from '../../base/without-undefined.js';
import type { SessionReceiverOutcome, SessionReceiverStatus } from '../../session/sender-events.js';
import { retryTiming } from '../../transfer/config.js';
import { isEqualBytes } from '../../wire/byte-codec.js';
import type { Behind, BehindNoted, BehindState } from '../../wire/relayed.js';

/** How often the sender hears of a receiver that makes progress. */
const progressMs = 1000;

export class ForwardedReceiver {
  private state: BehindState | 'connecting' = 'connecting';
  private receiverKey: Uint8Array | undefined;
  /** The key that the sender has approved. */
  private approvedKey: Uint8Array | undefined;
  private challenge: Uint8Array | undefined;
  private receipt: Uint8Array | undefined;
  private reason = '';
  private status: Pick<
    SessionReceiverStatus,
    'heldBytes' | 'receivedBytes' | 'datagramsLost' | 'lossRatio'
  > = { heldBytes: 0, receivedBytes: 0, datagramsLost: 0, lossRatio: 0 };
  private dueMs: TimeMs = Infinity;
  private waitMs: number = retryTiming.firstMs;
  private isNoted = true;

  constructor(
    readonly index: number,
    readonly name: string,
  ) {}

  /** Whether it has an outcome, and the sender knows it. */
  get isOver(): boolean {
    return this.hasOutcome && this.isNoted;
  }

  get isComplete(): boolean {
    return this.state === 'complete';
  }

  /** When the sender is to hear of it; Infinity if there is nothing to say. */
  get dueAtMs(): TimeMs {
    return this.dueMs;
  }

  private get hasOutcome(): boolean {
    return this.state === 'complete' || this.state === 'failed' || this.state === 'refused';
  }

  /** Another session begins with it. What the sender has approved stays so. */
  restart(): void {
    if (this.hasOutcome) return;
    this.state = 'connecting';
    this.dueMs = Infinity;
    this.isNoted = true;
  }

  /** It has shown its key, and the relay trusts it. @returns whether the sender has approved that key */
  show(nowMs: TimeMs, key: Uint8Array): boolean {
    this.receiverKey = key;
    if (this.approvedKey !== undefined && isEqualBytes(this.approvedKey, key)) return true;
    this.enter(nowMs, 'shown');
    return false;
  }

  /** It has accepted the object. */
  connect(nowMs: TimeMs, challenge: Uint8Array | undefined, isVerified: boolean): void {
    this.challenge = challenge;
    this.enter(nowMs, isVerified ? 'verifying' : 'active');
  }

  /** The relay has verified the object. */
  handleVerified(nowMs: TimeMs): void {
    if (this.state === 'active') this.enter(nowMs, 'verifying');
  }

  settle(
    nowMs: TimeMs,
    outcome: SessionReceiverOutcome,
    receipt: Uint8Array | undefined,
    key?: Uint8Array,
  ): void {
    this.receiverKey = key ?? this.receiverKey;
    this.receipt = receipt;
    this.reason = outcome.reason ?? '';
    this.status = outcome;
    const { status } = outcome;
    this.enter(nowMs, status === 'aborted' ? 'failed' : status);
  }

  noteProgress(status: SessionReceiverStatus): void {
    if (!this.hasOutcome) this.status = status;
  }

  /** Takes the answer of the sender. @returns whether it is one to what was said last */
  take(noted: BehindNoted): boolean {
    if (noted.state !== this.state || this.isNoted) return false;
    if (noted.state === 'verifying' && noted.envelope === undefined) return false;
    if (noted.state === 'shown' && noted.refusal === undefined) this.approvedKey = this.receiverKey;
    this.isNoted = true;
    this.dueMs = Infinity;
    return true;
  }

  /** What to say to the sender now. It is said again until the sender answers. */
  say(nowMs: TimeMs): Behind | undefined {
    const { state, index: number, name, receiverKey, challenge, receipt, reason } = this;
    if (state === 'connecting' || nowMs < this.dueMs) return undefined;
    if (state === 'active') {
      this.dueMs = nowMs + progressMs;
    } else {
      this.dueMs = nowMs + this.waitMs;
      this.waitMs = Math.min(this.waitMs * retryTiming.growth, retryTiming.maxMs);
    }
    const { heldBytes, receivedBytes, datagramsLost: segmentsLost, lossRatio } = this.status;
    const segmentsSent = lossRatio > 0 ? Math.round(segmentsLost / lossRatio) : segmentsLost;
    return {
      ...{ kind: 'behind', number, state, path: [name], reason },
      ...withoutUndefined({ receiverKey, challenge, receipt }),
      ...{ heldBytes, receivedBytes, segmentsReceived: segmentsSent - segmentsLost, segmentsLost },
    };
  }

  private enter(nowMs: TimeMs, state: BehindState): void {
    this.state = state;
    this.dueMs = nowMs;
    this.waitMs = retryTiming.firstMs;
    this.isNoted = state === 'active';
  }
}
