/**
 * One object that a relay receives and sends on: the session of its sender, the session with the receivers behind the
 * relay, and the content between them (SESSIONS 10).
 */
import { at } from '../../base/assert.js';
import type { TimeMs } from '../../base/machine.js';
import type { ContentStore } from '../../object/content-store.js';
import type { DriverHost } from '../../session/drivers/driver-host.js';
import { SourceDriver } from '../../session/drivers/source-driver.js';
import type { SessionReceiver } from '../../session/receiver.js';
import type { SessionReceiverEvent } from '../../session/receiver-events.js';
import { SessionSender } from '../../session/sender.js';
import type { SessionSenderEvent } from '../../session/sender-events.js';
import type { SessionSenderOptions } from '../../session/sender-options.js';
import type { ReceiverSpec } from '../../transfer/receiver-spec.js';
import type { Behind, BehindNoted } from '../../wire/relayed.js';
import { ForwardedReceiver } from './forwarded-receiver.js';
import { PassingContent } from './passing-content.js';

/** The event with which the sender's session asks for a store. */
export type Prepare = Extract<SessionReceiverEvent, { type: 'prepare' }>;

export interface ForwardingOptions {
  readonly prepare: Prepare;
  readonly receiver: SessionReceiver;
  readonly receivers: readonly ReceiverSpec[];
  /** This relay's random number. */
  readonly ownHop: Uint8Array;
  /** Where the content is while it passes. */
  readonly store: ContentStore;
  /**
   * What else the session with the receivers needs: keys, sizes, a group.
   * @param mssBytes the largest MSS that the paths carry, if the MSS has proved too large
   */
  readonly createTerms: (
    mssBytes: number | undefined,
  ) => Omit<
    SessionSenderOptions,
    'receivers' | 'label' | 'manifest' | 'contentSizeBytes' | 'relayed' | 'existing'
  >;
  readonly host: DriverHost;
  /** Another session takes the place of one that can no longer be right. */
  readonly replace: (sender: SessionSender, next: SessionSender) => void;
}

/** Where a relay sends objects on, and how. */
export type ForwardRoute = Pick<ForwardingOptions, 'receivers' | 'createTerms'>;

export class Forwarding {
  readonly content: PassingContent;
  readonly receivers: readonly ForwardedReceiver[];
  private current: SessionSender;
  private driver: SourceDriver;
  private finish: ((note: string) => void) | undefined;
  private isDone = false;
  private mssBytes: number | undefined;
  private isOver = false;

  constructor(private readonly options: ForwardingOptions) {
    const { prepare, store, receivers } = options;
    this.receivers = receivers.map(({ name }, index) => new ForwardedReceiver(index, name));
    this.content = new PassingContent({
      store,
      blockSizeBytes: prepare.blockSizeBytes,
      contentSizeBytes: prepare.info.contentSizeBytes,
      handleVerified: (finish) => {
        this.finish = finish;
        for (const each of this.receivers) each.handleVerified(this.nowMs);
        this.advance(this.nowMs);
      },
      handleFalse: () => this.restart(),
      handleWithdrawn: () => {
        const reason = 'the sender withdrew a part of what this relay sends on; send again';
        options.receiver.find(prepare.info.session)?.fail(this.nowMs, reason);
      },
    });
    this.current = this.createSender();
    this.driver = new SourceDriver(this.content, options.host);
  }

  get info() {
    return this.options.prepare.info;
  }

  /** The session with the receivers. */
  get sender(): SessionSender {
    return this.current;
  }

  private get nowMs(): TimeMs {
    return this.options.host.nowMs;
  }

  private createSender(): SessionSender {
    const { prepare, receivers, ownHop, createTerms } = this.options;
    const { info, manifestBytes: manifest, existing, listedAtMs } = prepare;
    const { label, contentSizeBytes, relayed, senderKey } = info;
    return new SessionSender({
      ...createTerms(this.mssBytes),
      ...{ receivers, label, manifest, contentSizeBytes, listedAtMs },
      // What a receiver keeps without reading it, the sender's root would not cover.
      existing: existing === 'overwrite' ? 'overwrite' : 'update',
      relayed: {
        originKey: relayed?.originKey ?? senderKey,
        hops: [...(relayed?.hops ?? []), ownHop],
      },
    });
  }

  /**
   * Begins another session, because the receivers were sent what is not right, or segments are too large. They keep what
   * is right.
   */
  restart(mssBytes = this.mssBytes): void {
    const { current, options } = this;
    if (this.isOver) return;
    this.mssBytes = mssBytes;
    this.driver.stop();
    this.content.restart();
    for (const each of this.receivers) each.restart();
    this.current = this.createSender();
    this.driver = new SourceDriver(this.content, options.host);
    this.isDone = false;
    options.replace(current, this.current);
  }

  // --- The receivers

  handleSenderEvent(event: SessionSenderEvent): void {
    const { nowMs, current } = this;
    this.driver.handleEvent(current, event);
    switch (event.type) {
      case 'connect':
        at(this.receivers, event.index).connect(nowMs, event.challenge, this.finish !== undefined);
        break;
      case 'receiver':
        at(this.receivers, event.index).settle(nowMs, event.outcome, event.receipt);
        break;
      case 'behind': {
        const { index, behind } = event;
        const { name } = at(this.receivers, index);
        const number = this.numberOf(index, behind.number);
        this.tell({ ...behind, number, path: [name, ...behind.path] });
        break;
      }
      case 'source-changed':
        this.restart();
        break;
      case 'done':
        this.isDone = true;
        break;
    }
    this.advance(nowMs);
  }

  /** The relay itself trusts the key of a receiver, or does not. */
  trust(nowMs: TimeMs, index: number, receiverKey: Uint8Array, refusal: string | undefined): void {
    if (refusal !== undefined) this.current.trust(nowMs, index, refusal);
    else if (at(this.receivers, index).show(nowMs, receiverKey)) this.current.trust(nowMs, index);
    this.advance(nowMs);
  }

  // --- The sender of the object

  handleNoted(noted: BehindNoted): void {
    const { nowMs, current } = this;
    const { number, state, refusal, envelope } = noted;
    const count = this.receivers.length;
    if (number >= count) {
      const index = number % count;
      current.noteBehind(index, { ...noted, number: Math.floor(number / count) - 1 });
      return;
    }
    if (!at(this.receivers, number).take(noted)) return;
    if (state === 'shown') current.trust(nowMs, number, refusal);
    else if (state === 'verifying' && envelope !== undefined)
      current.giveEnvelope(nowMs, number, envelope);
    this.advance(nowMs);
  }

  /** The session of the sender has ended. */
  end(nowMs: TimeMs, isComplete: boolean, reason: string): void {
    this.isOver = true;
    if (!isComplete && !this.current.isDone)
      this.current.abort(nowMs, `the relay has ended the session: ${reason}`);
  }

  /** The driver and the session with the receivers are of no use any more. */
  close(): void {
    this.isOver = true;
    this.driver.stop();
  }

  /** The relay's number for a receiver that a further relay has given another number. */
  private numberOf(index: number, number: number): number {
    return (number + 1) * this.receivers.length + index;
  }

  private tell(behind: Behind): void {
    this.options.receiver.find(this.info.session)?.tell(behind);
  }

  // --- Time

  pollTimeout(): TimeMs {
    if (this.isOver) return Infinity;
    return this.receivers.reduce((atMs, { dueAtMs }) => Math.min(atMs, dueAtMs), Infinity);
  }

  /** Does everything that is due. */
  advance(nowMs: TimeMs): void {
    if (this.isOver) return;
    const { current, receivers } = this;
    for (const each of receivers) {
      if (each.dueAtMs > nowMs) continue;
      const peer = current.peers[each.index];
      if (peer !== undefined) each.noteProgress(current.status(nowMs, peer));
      const behind = each.say(nowMs);
      if (behind !== undefined) this.tell(behind);
    }
    if (!this.isDone || !receivers.every(({ isOver }) => isOver)) return;
    this.isOver = true;
    const count = receivers.filter(({ isComplete }) => !isComplete).length;
    const note = count === 0 ? '' : `${count} of ${receivers.length} receivers behind it failed`;
    // Without the root, no receiver is complete.
    if (count < receivers.length && this.finish !== undefined) this.finish(note);
    else
      this.options.receiver
        .find(this.info.session)
        ?.fail(nowMs, 'no receiver behind it has got the object');
  }
}
