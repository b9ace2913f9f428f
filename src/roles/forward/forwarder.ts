/**
 * A relay that sends every object on that it receives, to receivers behind it, while the object arrives (SESSIONS 10).
 */
import type { Address } from '../../base/address.js';
import type { TimeMs } from '../../base/machine.js';
import { Queue } from '../../base/queue.js';
import type { Refusal } from '../../base/refusal.js';
import type { Endpoint, EndpointEvent } from '../../endpoint/endpoint.js';
import type { ContentStore, ContentStores, StoreRequest } from '../../object/content-store.js';
import type { DriverHost } from '../../session/drivers/driver-host.js';
import { StoreDriver } from '../../session/drivers/store-driver.js';
import type { IncomingInfo, SessionReceiverEvent } from '../../session/receiver-events.js';
import type { SessionSender } from '../../session/sender.js';
import type { SessionSenderEvent } from '../../session/sender-events.js';
import type { ForwardingOptions, ForwardRoute, Prepare } from './forwarding.js';
import { Forwarding } from './forwarding.js';

export interface ForwarderOptions
  extends ForwardRoute,
    Pick<ForwardingOptions, 'ownHop' | 'receiver' | 'host'> {
  /** Where content is while it passes. It is never complete there. */
  readonly stores: ContentStores;
  readonly endpoint: Pick<Endpoint, 'addSender' | 'removeSender' | 'replaceSender'>;
}

/** What a relay reports to its shell. */
export type ForwardEvent =
  /** A receiver has shown its key. Call `trust`. */
  | {
      readonly type: 'identify';
      readonly sender: SessionSender;
      readonly index: number;
      readonly receiver: string;
      readonly receiverKey: Uint8Array;
    }
  /** What happens in the session with the receivers. */
  | {
      readonly type: 'behind';
      readonly info: IncomingInfo;
      readonly sender: SessionSender;
      readonly event: Exclude<SessionSenderEvent, { type: 'identify' | 'need' | 'check-source' }>;
    }
  /** What happens in the session of a sender. */
  | {
      readonly type: 'received';
      readonly event: Exclude<
        SessionReceiverEvent,
        { type: 'prepare' | 'write' | 'forget' | 'withdrawn' | 'finish' | 'drop' | 'behind-noted' }
      >;
    };

/** A receiver behind the relay that is expected to answer. */
interface AwaitedReceiver {
  /** Differs from that of every other receiver of every session. */
  readonly index: number;
  readonly addresses: readonly Address[];
  /** Number that increases with each datagram from the receiver. */
  readonly answerCount: number;
}

/** More receivers than a session can have. */
const maxReceivers = 65_536;

/** How long a session that has ended still answers receivers that did not hear of their outcome. */
const lingerMs = 30_000;

export class Forwarder implements ContentStores {
  private readonly bySession = new Map<number, Forwarding>();
  private readonly bySender = new Map<SessionSender, Forwarding>();
  private readonly ended = new Map<SessionSender, TimeMs>();
  private readonly events = new Queue<ForwardEvent>();
  private readonly storeDriver: StoreDriver;
  private preparing: Prepare | undefined;
  private route: ForwardRoute;

  constructor(private readonly options: ForwarderOptions) {
    const { receiver, host, receivers, createTerms } = options;
    this.route = { receivers, createTerms };
    this.storeDriver = new StoreDriver(receiver, this, host);
  }

  private get host(): DriverHost {
    return this.options.host;
  }

  pollEvent(): ForwardEvent | undefined {
    return this.events.shift();
  }

  /** The objects that are being sent on. */
  get forwardings(): Iterable<Forwarding> {
    return this.bySession.values();
  }

  /** The object that came in this session; undefined once that has ended. */
  find(session: number): Forwarding | undefined {
    return this.bySession.get(session);
  }

  /** Sends the objects that come from now on to these receivers. The others go where they went before. */
  setRoute(route: ForwardRoute): void {
    this.route = route;
  }

  /** Answers an `identify` event: the relay trusts the receiver, or does without it for this reason. */
  trust(
    nowMs: TimeMs,
    sender: SessionSender,
    index: number,
    receiverKey: Uint8Array,
    refusal?: string,
  ): void {
    this.bySender.get(sender)?.trust(nowMs, index, receiverKey, refusal);
  }

  /** The receivers that are expected to answer, in all sessions. */
  *awaited(): Iterable<AwaitedReceiver> {
    for (const [session, { sender }] of this.bySession)
      for (const { index, addresses, isAwaited, answerCount } of sender.peers)
        if (isAwaited)
          yield { index: session * maxReceivers + index, addresses: addresses.places, answerCount };
  }

  /** Handles an ICMP error: datagrams do not reach an address of a receiver that `awaited` named by this index. */
  handleRefusal(index: number, at: Address, refusal: Refusal): void {
    const forwarding = this.bySession.get(Math.floor(index / maxReceivers));
    forwarding?.sender.handleRefusal(index % maxReceivers, at, refusal);
  }

  handleEvent(event: EndpointEvent<never>): void {
    if (event.role === 'receiver') this.handleReceiverEvent(event.event);
    else if (event.role === 'sender') this.handleSenderEvent(event.sender, event.event);
  }

  /** Leaves everything as it is, because the process ends. */
  stop(): void {
    this.storeDriver.stop();
    for (const forwarding of this.bySession.values()) forwarding.close();
  }

  // --- The sessions of senders

  private handleReceiverEvent(event: SessionReceiverEvent): void {
    const { host, bySession } = this;
    switch (event.type) {
      case 'prepare':
        this.prepare(event);
        return;
      case 'behind-noted':
        bySession.get(event.session)?.handleNoted(event.noted);
        return;
      case 'write':
      case 'forget':
      case 'withdrawn':
      case 'finish':
      case 'drop':
        this.storeDriver.handleEvent(event);
        return;
      case 'end': {
        const { session, status, reason = status } = event.result;
        bySession.get(session)?.end(host.nowMs, status === 'complete', reason);
        bySession.delete(session);
        this.storeDriver.handleEvent(event);
        // It has been sent on, or the sender will never send it again.
        if (status === 'complete') this.options.stores.drop(event.result);
        break;
      }
    }
    this.events.push({ type: 'received', event });
  }

  private prepare(event: Prepare): void {
    const { receiver } = this.options;
    if (event.existing === 'keep') {
      const reason = 'cannot leave existing files at the receivers behind it as they are';
      receiver.find(event.info.session)?.refuse(this.host.nowMs, reason);
      return;
    }
    this.preparing = event;
    this.storeDriver.handleEvent(event);
    this.preparing = undefined;
  }

  /** Creates the store of the session that is being prepared, and the session that sends its content on. */
  create(request: StoreRequest, handleFailure: (error: unknown) => void): ContentStore {
    const { stores, endpoint } = this.options;
    // No file here counts as received already: the relay sends on only what arrives.
    const store = stores.create({ ...request, existing: 'overwrite' }, handleFailure);
    const forwarding: Forwarding = new Forwarding({
      ...{ ...this.options, ...this.route },
      ...{ prepare: this.preparing as Prepare, store },
      replace: (sender, next) => {
        this.bySender.delete(sender);
        this.bySender.set(next, forwarding);
        endpoint.replaceSender(sender, next);
        this.ended.set(sender, this.host.nowMs + lingerMs);
      },
    });
    this.bySession.set(request.session, forwarding);
    this.bySender.set(forwarding.sender, forwarding);
    endpoint.addSender(forwarding.sender);
    return forwarding.content;
  }

  drop(object: Parameters<ContentStores['drop']>[0]): void {
    this.options.stores.drop(object);
  }

  // --- The sessions with receivers

  private handleSenderEvent(sender: SessionSender, event: SessionSenderEvent): void {
    const forwarding = this.bySender.get(sender);
    if (forwarding === undefined) return;
    forwarding.handleSenderEvent(event);
    switch (event.type) {
      case 'need':
      case 'check-source':
        return;
      case 'identify': {
        const { index, receiver, receiverKey } = event;
        this.events.push({ type: 'identify', sender, index, receiver, receiverKey });
        return;
      }
      case 'done':
        this.ended.set(sender, this.host.nowMs + lingerMs);
        break;
    }
    this.events.push({ type: 'behind', info: forwarding.info, sender, event });
  }

  // --- Time

  pollTimeout(): TimeMs {
    let earliestMs = Infinity;
    for (const each of this.bySession.values())
      earliestMs = Math.min(earliestMs, each.pollTimeout());
    for (const atMs of this.ended.values()) earliestMs = Math.min(earliestMs, atMs);
    return earliestMs;
  }

  handleTimeout(nowMs: TimeMs): void {
    for (const each of this.bySession.values()) each.advance(nowMs);
    for (const [sender, atMs] of this.ended) {
      if (atMs > nowMs) continue;
      this.ended.delete(sender);
      this.bySender.get(sender)?.close();
      this.bySender.delete(sender);
      this.options.endpoint.removeSender(sender);
    }
  }
}
