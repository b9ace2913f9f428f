/** The sessions of a receiver by their numbers, the memory that they share, and which of them replaces another. */
import type { Address } from '../../base/address.js';
import type { TimeMs } from '../../base/machine.js';
import { Deadlines } from '../../base/time/deadlines.js';
import type { ProvenChannel } from '../../security/secure-channel.js';
import { MemoryBudget } from '../../transfer/partial-block.js';
import { isEqualBytes, toHex } from '../../wire/byte-codec.js';
import { askerNumber } from '../../wire/header.js';
import type { Offer } from '../../wire/offer.js';

import { standardBlockSizeBytes } from '../../wire/sizes.js';
import { commonAllocationBytes } from '../object-limits.js';
import type { IncomingStatus } from '../receiver-events.js';
import { receiverLimits } from '../receiver-limits.js';
import type { SessionReceiverOptions } from '../receiver-options.js';
import type { IncomingSessionOutputs } from './incoming-session.js';
import { IncomingSession } from './incoming-session.js';
import { IncomingShares } from './incoming-shares.js';
import { OwnAddresses } from './own-addresses.js';
import { refuseOffer } from './relayed-offers.js';

/** A channel to the sender of a session, and the sender's address. */
export interface SessionOrigin extends ProvenChannel {
  readonly from: Address;
  /** Whether the sender is one of several sources; `false` by default. */
  readonly isSource?: boolean;
  /** Whether only an invitation has admitted the sender; `false` by default. */
  readonly isInvited?: boolean;
}

export class IncomingSessions {
  readonly budget: MemoryBudget;
  readonly maxSessions: number;
  private readonly byNumber = new Map<number, IncomingSession>();
  private readonly deadlines = new Deadlines<IncomingSession>();
  private readonly shares = new IncomingShares();
  private addresses: readonly Address[] | undefined;

  constructor(
    private readonly options: SessionReceiverOptions,
    /** Where the sessions put what they give out. */
    private readonly outputs: IncomingSessionOutputs,
  ) {
    this.budget = new MemoryBudget(options.bufferBytes ?? receiverLimits.bufferBytes);
    this.addresses = options.addresses;
    this.maxSessions = options.maxSessions ?? receiverLimits.sessions;
  }

  /** Number of sessions, with and without an outcome. */
  get size(): number {
    return this.byNumber.size;
  }

  /** The number of sessions without an outcome. */
  get activeCount(): number {
    let count = 0;
    for (const session of this.byNumber.values()) if (!session.isSettled) count++;
    return count;
  }

  /** Whether every session is over, so that nothing is left to send. */
  get isIdle(): boolean {
    for (const session of this.byNumber.values()) if (!session.isOver) return false;
    return true;
  }

  /** When the first session is due; Infinity if none is. */
  get dueAtMs(): TimeMs {
    return this.deadlines.earliestMs;
  }

  /** The sessions that are due, to be dealt with before `dueAtMs` is read again. */
  due(nowMs: TimeMs): readonly IncomingSession[] {
    return this.deadlines.due(nowMs);
  }

  /** All sessions, to be dealt with before `dueAtMs` is read again. */
  all(): readonly IncomingSession[] {
    const all = [...this.byNumber.values()];
    for (const session of all) this.deadlines.touch(session);
    return all;
  }

  /** The deadline of a session may change before `dueAtMs` is read again. */
  touch(session: IncomingSession): void {
    this.deadlines.touch(session);
  }

  /** Finds a session, to be dealt with before `dueAtMs` is read again. */
  find(number: number): IncomingSession | undefined {
    const session = this.byNumber.get(number);
    if (session !== undefined) this.deadlines.touch(session);
    return session;
  }

  /** Names these addresses to all senders from now on. */
  setAddresses(nowMs: TimeMs, addresses: readonly Address[]): void {
    this.addresses = addresses;
    for (const session of this.all()) session.setAddresses(nowMs, addresses);
  }

  delete(number: number): void {
    const session = this.byNumber.get(number);
    if (session === undefined) return;
    this.byNumber.delete(number);
    this.deadlines.delete(session);
  }

  /** @param number the number that the data of the session carry */
  create(nowMs: TimeMs, number: number, origin: SessionOrigin): IncomingSession {
    if (this.byNumber.size >= 2 * this.maxSessions) this.forgetOldestSettled();
    const session = this.build(nowMs, number, origin);
    this.byNumber.set(number, session);
    this.deadlines.add(session);
    return session;
  }

  /** The sessions in progress. */
  statuses(nowMs: TimeMs): IncomingStatus[] {
    const statuses: IncomingStatus[] = [];
    for (const session of this.byNumber.values()) {
      const status = session.isSettled ? undefined : session.status(nowMs);
      if (status !== undefined) statuses.push(status);
    }
    return statuses;
  }

  /**
   * Deletes the oldest session that has an outcome. Such sessions are kept for a while, in case the outcome
   * was lost and the sender asks for it again.
   */
  private forgetOldestSettled(): void {
    for (const [number, { isSettled }] of this.byNumber) {
      if (!isSettled) continue;
      this.delete(number);
      return;
    }
  }

  private build(nowMs: TimeMs, number: number, origin: SessionOrigin): IncomingSession {
    const { channel, peerKey, from, rttMs, isSource = false } = origin;
    const { outputs, budget, options } = this;
    const { crypto, name, platform, maxObjectBytes = Infinity, maxEntries = Infinity } = options;
    const { allocationBytes = commonAllocationBytes } = options;
    return new IncomingSession(
      {
        ...{ crypto, platform, name, budget, isSource },
        addresses: new OwnAddresses(this.addresses),
        blockSizeBytes: options.blockSizeBytes ?? standardBlockSizeBytes,
        limits: { maxBytes: maxObjectBytes, maxEntries, allocationBytes },
        idleMs: options.idleMs ?? receiverLimits.idleMs,
        allowsDeletion: options.mayDelete?.(peerKey) ?? false,
        shareBytes: () => budget.limitBytes / Math.max(1, this.activeCount),
        // A fetch divides its content among its sources by what each of them brings.
        shares: isSource || options.setsShares === false ? undefined : this.shares,
        rttMs,
        leavesOf: options.leavesOf ?? (() => undefined),
        refuseOffer: (offer) => this.refuseOffer(origin, offer),
        ...outputs,
      },
      number,
      channel,
      peerKey,
      from,
      nowMs,
    );
  }

  private refuseOffer(origin: SessionOrigin, offer: Offer): string | undefined {
    const { channel, peerKey: relayKey, isInvited = false, from } = origin;
    const { host, port } = from;
    const isAsked = channel.receiver === askerNumber;
    const refusal = refuseOffer(this.options, { key: relayKey, isAsked, isInvited }, offer);
    if (refusal === undefined && isInvited && offer.relayed !== undefined) {
      const { originKey } = offer.relayed;
      const event = { type: 'invited-relay', from: { host, port }, relayKey, originKey } as const;
      this.outputs.queues.events.push(event);
    }
    return refusal;
  }

  /**
   * Makes sure that only one session at a time receives a given object. A new session of the same sender
   * replaces the old session at once, which therefore ends before the shell gets the new offer. A new session
   * of another sender has to wait, and the old session gets a shorter idle timeout. Sessions that this receiver
   * asked for stay: it may ask several hosts for one object.
   * @param session gets this offer next
   */
  replaceOlder(nowMs: TimeMs, session: IncomingSession, offer: Offer): void {
    if (session.info !== undefined || offer.deletion === 'list') return;
    const manifestDigest = toHex(offer.manifestDigest);
    for (const other of this.all()) {
      if (other.secureChannel.receiver === askerNumber) continue;
      if (other === session || other.info?.manifestDigest !== manifestDigest) continue;
      if (isEqualBytes(other.senderKey, session.senderKey)) {
        other.fail(nowMs, 'replaced by a new session of the same sender');
      } else {
        other.limitSilence(receiverLimits.awaitedIdleMs);
      }
    }
  }
}
