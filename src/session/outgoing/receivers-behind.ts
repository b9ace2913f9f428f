/**
 * The receivers behind relays, as the relays speak for them (SESSIONS 10). The sender decides about their keys, makes
 * an envelope for each, and believes that one is complete only if its own receipt says so.
 */
import type { TimeMs } from '../../base/machine.js';
import type { Queue } from '../../base/queue.js';
import { withoutUndefined } from '../../base/without-undefined.js';
import type { SessionCrypto } from '../../security/crypto.js';
import { isReceipt, sealEnvelope } from '../../security/envelope.js';
import { isEqualBytes } from '../../wire/byte-codec.js';
import { askerNumber } from '../../wire/header.js';
import type { Offer } from '../../wire/offer.js';
import type { Behind, BehindNoted } from '../../wire/relayed.js';
import { challengeSizeBytes } from '../../wire/sizes.js';
import { lossRatioOf } from '../figures.js';
import type {
  SessionReceiverOutcome,
  SessionReceiverStatus,
  SessionSenderEvent,
} from '../sender-events.js';
import type { ContentRoot } from './content-root.js';
import type { ControlOutbox } from './control-outbox.js';
import type { SessionMember, SessionOutcomeStatus } from './member.js';

export interface ReceiversBehindOptions {
  readonly crypto: SessionCrypto;
  readonly offer: Offer;
  readonly contentRoot: ContentRoot;
  readonly outbox: ControlOutbox;
  readonly events: Queue<SessionSenderEvent>;
}

/** As many as a session can have without relays. */
const maxCount = askerNumber;

/** A receiver behind a relay. */
interface Row {
  readonly number: number;
  /** The relay that speaks for it. */
  readonly member: SessionMember;
  readonly via: readonly string[];
  readonly name: string;
  readonly startedAtMs: TimeMs;
  /** Drawn for its receipt. */
  readonly token: Uint8Array;
  /** Undefined until the receiver has shown it. */
  key: Uint8Array | undefined;
  /** Undefined until the key is trusted or refused. */
  decision: { readonly refusal: string | undefined } | undefined;
  latest: Behind;
  /** The envelope that was made last, and for which challenge. */
  envelope: { readonly challenge: Uint8Array; readonly bytes: Uint8Array } | undefined;
  outcome: { readonly status: SessionOutcomeStatus; readonly reason: string } | undefined;
  settledAtMs: TimeMs;
}

export class ReceiversBehind {
  private readonly rows: Row[] = [];
  private readonly byPath = new Map<string, Row>();

  constructor(private readonly options: ReceiversBehindOptions) {}

  /** Whether no relay has spoken for a receiver. */
  get isEmpty(): boolean {
    return this.rows.length === 0;
  }

  /** @returns false if the message makes no sense */
  handle(nowMs: TimeMs, member: SessionMember, behind: Behind): boolean {
    const { events, offer } = this.options;
    if (offer.relayed !== undefined) {
      events.push({ type: 'behind', index: member.index, behind });
      return true;
    }
    const row = this.rowOf(nowMs, member, behind);
    if (row === undefined) return false;
    this.takeKey(row, behind.receiverKey);
    row.latest = behind;
    this.settle(nowMs, row);
    this.answer(row);
    return true;
  }

  /** Answers an `identify-behind` event. */
  trust(nowMs: TimeMs, number: number, refusal: string | undefined): void {
    const row = this.rows[number];
    if (row === undefined || row.decision !== undefined) return;
    row.decision = { refusal };
    this.settle(nowMs, row);
    this.answer(row);
  }

  /** If this sender is a relay: passes an answer on to a further relay. */
  note(member: SessionMember, noted: BehindNoted): void {
    this.options.outbox.sendMessage(member, noted);
  }

  /** The outcomes of the receivers behind a relay that has its outcome. */
  outcomesOf(nowMs: TimeMs, member: SessionMember): SessionReceiverOutcome[] {
    return this.statusesOf(nowMs, member).map((status) => {
      if (status.status === 'complete' || status.status === 'failed' || status.status === 'refused')
        return status as SessionReceiverOutcome;
      const end = member.reason ?? `has the outcome ${member.status}`;
      const reason = `the relay did not report its outcome: ${end}`;
      const outcome = member.status === 'aborted' ? 'aborted' : 'failed';
      return { ...status, status: outcome, activity: outcome, reason };
    });
  }

  /** The receivers behind a relay. */
  statusesOf(nowMs: TimeMs, member: SessionMember): SessionReceiverStatus[] {
    const { contentSizeBytes } = this.options.offer;
    return this.rows
      .filter((row) => row.member === member)
      .map((row) => statusOf(nowMs, row, contentSizeBytes));
  }

  private rowOf(nowMs: TimeMs, member: SessionMember, behind: Behind): Row | undefined {
    const { path } = behind;
    const id = [member.index, behind.number, ...path].join('\n');
    const known = this.byPath.get(id);
    if (known !== undefined) return known;
    if (this.rows.length >= maxCount) return undefined;
    const row: Row = {
      ...{ number: this.rows.length, member, key: undefined, latest: behind, startedAtMs: nowMs },
      via: [member.name, ...path.slice(0, -1)],
      name: path.at(-1) as string,
      token: this.options.crypto.random(challengeSizeBytes),
      ...{ decision: undefined, envelope: undefined, outcome: undefined, settledAtMs: nowMs },
    };
    this.rows.push(row);
    this.byPath.set(id, row);
    return row;
  }

  private takeKey(row: Row, receiverKey: Uint8Array | undefined): void {
    const { number, name: receiver, via, key, member } = row;
    if (receiverKey === undefined) return;
    if (key !== undefined && isEqualBytes(key, receiverKey)) return;
    row.key = receiverKey;
    row.decision = undefined;
    const { index } = member;
    this.options.events.push({
      type: 'identify-behind',
      number,
      index,
      receiver,
      via,
      receiverKey,
    });
  }

  /** Takes an outcome that the relay reports. A complete receiver stays so, whatever the relay says later. */
  private settle(nowMs: TimeMs, row: Row): void {
    const { latest, decision, key, token } = row;
    if (row.outcome?.status === 'complete') return;
    const { state, reason, receipt } = latest;
    row.settledAtMs = nowMs;
    if (decision?.refusal !== undefined) {
      row.outcome = { status: 'failed', reason: decision.refusal };
    } else if (state === 'failed' || state === 'refused') {
      row.outcome = { status: state, reason };
    } else if (state === 'complete') {
      if (decision === undefined && key !== undefined) return;
      const isTrue =
        key !== undefined &&
        receipt !== undefined &&
        isReceipt(this.options.crypto, key, token, receipt);
      const status = isTrue ? 'complete' : 'failed';
      row.outcome = { status, reason: isTrue ? reason : noReceipt };
    } else {
      row.outcome = undefined;
    }
  }

  private answer(row: Row): void {
    const { latest, decision, member } = row;
    const { number, state } = latest;
    if (state === 'active') return;
    if (decision === undefined && state !== 'failed' && state !== 'refused') return;
    const refusal = decision?.refusal;
    const noted: BehindNoted = {
      kind: 'behind-noted',
      number,
      state,
      ...withoutUndefined({ refusal }),
    };
    if (state !== 'verifying' || refusal !== undefined) {
      this.note(member, noted);
      return;
    }
    const envelope = this.envelopeFor(row);
    if (envelope !== undefined) this.note(member, { ...noted, envelope });
  }

  /** @returns undefined until the content is known; the relay asks again */
  private envelopeFor(row: Row): Uint8Array | undefined {
    const { contentRoot, crypto, offer } = this.options;
    const { member, latest, key, token } = row;
    const { challenge } = latest;
    const root = contentRoot.value;
    if (challenge === undefined || root === undefined || key === undefined) return undefined;
    if (!contentRoot.isConfirmedFor(member)) return undefined;
    if (row.envelope === undefined || !isEqualBytes(row.envelope.challenge, challenge)) {
      const { manifestDigest, label } = offer;
      const content = { challenge, token, manifestDigest, contentRoot: root, label };
      const bytes = sealEnvelope(crypto, key, content);
      row.envelope = bytes && { challenge, bytes };
    }
    return row.envelope?.bytes;
  }
}

const noReceipt =
  'the relay says that it is complete, but has no receipt of it: do not trust this relay';

function activityOf({ state, heldBytes }: Behind, contentSizeBytes: number): string {
  if (state === 'shown') return 'waiting for key approval';
  // The relay can have verified the object long before the receiver has all of it.
  return state === 'active' || heldBytes < contentSizeBytes ? 'receiving' : 'verifying';
}

function statusOf(nowMs: TimeMs, row: Row, contentSizeBytes: number): SessionReceiverStatus {
  const { name, via, latest, outcome, startedAtMs, settledAtMs } = row;
  const { heldBytes, receivedBytes, segmentsLost, segmentsReceived, state } = latest;
  const status = outcome?.status ?? (state === 'shown' ? 'identifying' : 'active');
  const reason = outcome === undefined || outcome.reason === '' ? undefined : outcome.reason;
  return {
    ...{ receiver: name, address: name, via, status },
    activity: outcome?.status ?? activityOf(latest, contentSizeBytes),
    ...withoutUndefined({ reason }),
    ...{ heldBytes, heldBeforeBytes: Math.max(0, heldBytes - receivedBytes), receivedBytes },
    elapsedMs: Math.max(0, (outcome === undefined ? nowMs : settledAtMs) - startedAtMs),
    ...{ datagramsSent: 0, repairs: 0, datagramsLost: segmentsLost, usesGroup: false },
    lossRatio: lossRatioOf(segmentsLost, segmentsReceived),
    ...{ unchangedFiles: 0, deletedEntries: 0, undeletedEntries: 0 },
  };
}
