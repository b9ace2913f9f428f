/** Composes the offer and the polls for each receiver of a session (SESSIONS 3.5, 5.5). */
import type { Delivery } from '../../transfer/delivery.js';
import type { ReportInterval } from '../../transfer/report-interval.js';
import type { Message, Offer } from '../../wire/messages.js';
import type { SessionMember } from './member.js';

export class MemberMessages {
  /** @param offer the offer without what differs between receivers */
  constructor(
    private readonly offer: Offer,
    private readonly delivery: Delivery,
    private readonly reportInterval: ReportInterval,
  ) {}

  /** The offer to this receiver. A slow receiver is served by unicast and need not join the group. */
  offerTo(member: SessionMember): Offer {
    const { group, ...offer } = this.offer;
    const reportIntervalMs = this.reportInterval.ms;
    const hasGroup = group !== undefined && !this.delivery.isSlowReceiver(member.demand);
    member.offerInterval(reportIntervalMs);
    return { ...offer, reportIntervalMs, ...(hasGroup ? { group } : {}) };
  }

  /** A poll of this receiver. If many have joined since its offer, the poll also makes it report more rarely. */
  pollOf(member: SessionMember): Message {
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
