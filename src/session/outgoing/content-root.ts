/**
 * The content root, and the root of each receiver. It is sent only after the source is known not to have changed (SESSIONS 6).
 */
import type { Delivery } from '../../transfer/delivery.js';
import type { SessionMember } from './member.js';

export class ContentRoot {
  /** How many digests were known when the source was last found unchanged; -1 before that. */
  private confirmedCount = -1;
  private checkedCount = -1;
  private root: Uint8Array | undefined;

  /** @param needsEnvelopes whether a receiver gets its root only with an envelope */
  constructor(
    private readonly delivery: Delivery,
    private readonly needsEnvelopes = false,
  ) {}

  /** Whether a receiver may have its root already. */
  get isSaid(): boolean {
    return this.confirmedCount >= 0;
  }

  /** The content root. Undefined until all of the content has been read. */
  get value(): Uint8Array | undefined {
    if (this.delivery.isRead) this.root ??= this.delivery.tree.root();
    return this.root;
  }

  /** Whether all that some receiver needs has been read, and the source must be checked before that receiver gets its root. */
  get isCheckDue(): boolean {
    return this.delivery.views.isAnyCompleteAfter(this.confirmedCount);
  }

  /** The source is being checked. What is read from now on is not covered by this check. */
  handleCheck(): void {
    this.checkedCount = this.delivery.tree.count;
  }

  /** The check has found the source unchanged. */
  handleConfirmed(): void {
    this.confirmedCount = this.checkedCount;
  }

  /** Whether the receiver holds all blocks and waits for its root to verify them. */
  isAwaitedBy({ demand }: SessionMember): boolean {
    return demand.state === 'whole' && this.delivery.owesNothing(demand);
  }

  /** Whether the receiver takes part, its root is known, and a later check found the source unchanged. */
  isConfirmedFor({ status, demand }: SessionMember): boolean {
    const completeAt = status === 'active' ? demand.view?.completeAt : undefined;
    return completeAt !== undefined && completeAt <= this.confirmedCount;
  }

  /** The root to send to this receiver; undefined unless it waits for one that is confirmed. */
  dueTo(member: SessionMember): Uint8Array | undefined {
    const isReady = !this.needsEnvelopes || member.envelope !== undefined;
    const isDue = isReady && this.isConfirmedFor(member) && this.isAwaitedBy(member);
    return isDue ? member.demand.view?.root() : undefined;
  }
}
