/** Composes the offer and the polls for each receiver of a session (SESSIONS 3.5, 5.5). */
import type { Delivery } from '../../transfer/delivery.js';
import type { ReportInterval } from '../../transfer/report-interval.js';
import type { Message } from '../../wire/messages.js';
import type { Offer } from '../../wire/offer.js';
import type { SessionMember } from './member.js';
import type { Withdrawals } from './withdrawals.js';

export class MemberMessages {
  /** @param offer the offer without what differs between receivers */
  constructor(
    private readonly offer: Offer,
    private readonly delivery: Delivery,
    private readonly reportInterval: ReportInterval,
    private readonly withdrawals: Withdrawals,
  ) {}

  /** The offer to this receiver. A slow receiver is served by unicast and need not join the group. */
  offerTo(member: SessionMember): Offer {
    const { group, ...offer } = this.offer;
    const reportIntervalMs = this.reportInterval.ms;
    const hasGroup = group !== undefined && !this.delivery.isSlowReceiver(member.demand);
    member.offerInterval(reportIntervalMs);
    return { ...offer, reportIntervalMs, ...(hasGroup ? { group } : {}) };
  }

  /** A poll of this receiver, which must know first what is withdrawn. */
  pollOf(member: SessionMember): readonly Message[] {
    return [...this.withdrawals.messages, this.ownPollOf(member)];
  }

  /** The root of this receiver, and what it needs to compare it. */
  rootOf({ envelope }: SessionMember, digest: Uint8Array): readonly Message[] {
    const { messages, content } = this.withdrawals;
    const before: Message[] = envelope === undefined ? [] : [{ kind: 'envelope', envelope }];
    const root: Message = { kind: 'root', digest };
    const { count: withdrawnEntries } = content;
    return [...before, ...messages, withdrawnEntries === 0 ? root : { ...root, withdrawnEntries }];
  }

  /** If many receivers have joined since its offer, the poll also makes it report more rarely. */
  private ownPollOf(member: SessionMember): Message {
    const { delivery } = this;
    const { demand, path } = member;
    const intervalMs = this.reportInterval.ms;
    const leastGapMs = intervalMs > member.offeredIntervalMs ? intervalMs : 0;
    member.tellInterval(intervalMs);
    return {
      kind: 'poll',
      burst: delivery.lastWholeBurst(demand),
      hasTags: delivery.usesTags,
      leavesGroup: delivery.isSlowReceiver(demand),
      reportGapMs: Math.max(path.returnPath.gapMs, leastGapMs),
    };
  }
}
