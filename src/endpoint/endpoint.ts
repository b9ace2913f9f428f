/**
 * One UDP port in any role at once: a P2MP-FTP machine, a session receiver, and any number of session senders.
 * The endpoint passes each datagram to the role that it is for (SESSIONS 2.1, 2.6).
 */
import type { Address } from '../base/address.js';
import { at } from '../base/assert.js';
import type { Machine, TimeMs, Transmit } from '../base/machine.js';
import { readUint32 } from '../base/network-order.js';
import type { SessionReceiver } from '../session/receiver.js';
import type { SessionReceiverEvent } from '../session/receiver-events.js';
import type { SessionSender } from '../session/sender.js';
import type { SessionSenderEvent } from '../session/sender-events.js';
import {
  channelDatagramSize,
  isBlockDatagram,
  isSessionDatagram,
  sessionField,
  sessionHeaderSizeBytes,
  sessionKind,
} from '../wire/header.js';

/** An event of one of the roles. */
export type EndpointEvent<Classic> =
  | { readonly role: 'classic'; readonly event: Classic }
  | { readonly role: 'receiver'; readonly event: SessionReceiverEvent }
  | {
      readonly role: 'sender';
      readonly sender: SessionSender;
      readonly event: SessionSenderEvent;
    };

/** The roles of an endpoint. Senders can be added and removed later. */
export interface EndpointRoles<Classic> {
  /** Gets every datagram that is not of the session protocol. Without it, they go to a session role. */
  readonly classic?: Machine<Classic>;
  readonly receiver?: SessionReceiver;
  readonly senders?: readonly SessionSender[];
}

/**
 * A `Machine` that shares one port among roles.
 * @example
 * ```ts
 * import { createNodeCrypto, Endpoint, generateKeyPair, SessionReceiver } from 'p2mp';
 *
 * const receiver = new SessionReceiver({
 *   crypto: await createNodeCrypto(await generateKeyPair()),
 *   name: 'a',
 *   platform: 'posix',
 *   refuseSender: () => undefined,
 * });
 * const endpoint = new Endpoint({ receiver });
 * // A datagram that nothing is known of: the receiver counts it.
 * endpoint.handleDatagram(0, { host: '192.0.2.1', port: 7735 }, new Uint8Array(3));
 * console.log(endpoint.pollEvent()?.role, receiver.result().faults); // receiver { 'too-short': 1 }
 * ```
 */
export class Endpoint<Classic = never> implements Machine<EndpointEvent<Classic>> {
  private readonly classic: Machine<Classic> | undefined;
  private readonly receiver: SessionReceiver | undefined;
  /** Senders of running sessions. */
  private readonly senders: SessionSender[] = [];
  /** Senders that others have replaced. They only confirm receivers' outcomes. */
  private readonly retired = new Set<SessionSender>();
  /** All senders by the number of their session. */
  private readonly sendersByNumber = new Map<number, SessionSender>();
  /** Index of the sender that transmits first next time, so that no sender waits for another. */
  private nextSender = 0;

  constructor({ classic, receiver, senders = [] }: EndpointRoles<Classic>) {
    this.classic = classic;
    this.receiver = receiver;
    for (const sender of senders) this.addSender(sender);
  }

  /** Adds a sender, which begins its session at once. */
  addSender(sender: SessionSender): void {
    this.senders.push(sender);
    this.sendersByNumber.set(sender.session, sender);
  }

  /** Forgets a sender, for example a while after its session has ended. */
  removeSender(sender: SessionSender): void {
    const index = this.senders.indexOf(sender);
    if (index >= 0) this.senders.splice(index, 1);
    this.retired.delete(sender);
    const { session } = sender;
    if (this.sendersByNumber.get(session) === sender) this.sendersByNumber.delete(session);
  }

  /** Replaces a sender by another one for the same receivers, in the same order. */
  replaceSender(sender: SessionSender, next: SessionSender): void {
    // The address at which each receiver answers, and the recorded port refusals, stay valid in the next
    // session.
    for (const { index, path } of next.peers) path.adoptAddresses(at(sender.peers, index).path);
    sender.retire();
    this.removeSender(sender);
    this.retired.add(sender);
    this.sendersByNumber.set(sender.session, sender);
    this.addSender(next);
  }

  /**
   * Handles received datagrams.
   * @param bytes one datagram or, if there is a session receiver and no P2MP-FTP machine, several that arrived
   *   together from the same address
   */
  handleDatagram(nowMs: TimeMs, from: Address, bytes: Uint8Array): void {
    if (this.classic !== undefined && !isSessionDatagram(bytes)) {
      this.classic.handleDatagram(nowMs, from, bytes);
      return;
    }
    const { receiver } = this;
    if (receiver === undefined) {
      this.senderOf(bytes)?.handleDatagram(nowMs, from, bytes);
      return;
    }
    let offset = 0;
    do {
      if (isBlockDatagram(bytes, offset)) {
        offset = receiver.handleBlocks(nowMs, from, bytes, offset);
      } else {
        const end = offset + channelDatagramSize(bytes, offset);
        const single = bytes.subarray(offset, end);
        const machine = isForSender(single) ? this.knownSenderOf(single) : undefined;
        (machine ?? receiver).handleDatagram(nowMs, from, single);
        offset = end;
      }
    } while (offset < bytes.length);
  }

  handleTimeout(nowMs: TimeMs): void {
    for (const machine of this.timed()) {
      if ((machine.pollTimeout() ?? Infinity) <= nowMs) machine.handleTimeout(nowMs);
    }
  }

  pollTransmit(nowMs: TimeMs): Transmit | undefined {
    for (const sender of this.retired) {
      const transmit = sender.pollTransmit(nowMs);
      if (transmit !== undefined) return transmit;
    }
    return (
      this.receiver?.pollTransmit() ?? this.pollSenders(nowMs) ?? this.classic?.pollTransmit(nowMs)
    );
  }

  pollTimeout(): TimeMs | undefined {
    let earliestMs = Infinity;
    for (const machine of this.timed()) {
      earliestMs = Math.min(earliestMs, machine.pollTimeout() ?? Infinity);
    }
    return earliestMs === Infinity ? undefined : earliestMs;
  }

  /** The next event of any role. Events of senders that were replaced are dropped. */
  pollEvent(): EndpointEvent<Classic> | undefined {
    for (const sender of this.retired) while (sender.pollEvent() !== undefined);
    const received = this.receiver?.pollEvent();
    if (received !== undefined) return { role: 'receiver', event: received };
    for (const sender of this.senders) {
      const event = sender.pollEvent();
      if (event !== undefined) return { role: 'sender', sender, event };
    }
    const event = this.classic?.pollEvent();
    return event === undefined ? undefined : { role: 'classic', event };
  }

  private *timed(): Iterable<Machine<unknown>> {
    if (this.receiver !== undefined) yield this.receiver;
    yield* this.senders;
    if (this.classic !== undefined) yield this.classic;
  }

  private pollSenders(nowMs: TimeMs): Transmit | undefined {
    const { senders } = this;
    for (let i = 0; i < senders.length; i++) {
      const index = (this.nextSender + i) % senders.length;
      const transmit = at(senders, index).pollTransmit(nowMs);
      if (transmit === undefined) continue;
      this.nextSender = index + 1;
      return transmit;
    }
    return undefined;
  }

  /** The sender that counts or handles this datagram, on a port without a session receiver. */
  private senderOf(bytes: Uint8Array): SessionSender | undefined {
    return this.knownSenderOf(bytes) ?? this.senders.at(-1);
  }

  private knownSenderOf(bytes: Uint8Array): SessionSender | undefined {
    if (bytes.length < sessionHeaderSizeBytes) return undefined;
    return this.sendersByNumber.get(readUint32(bytes, sessionField.session));
  }
}

/** Whether a datagram is of a kind that receivers send to senders. Control goes both ways. */
function isForSender(bytes: Uint8Array): boolean {
  if (bytes.length < sessionHeaderSizeBytes || !isSessionDatagram(bytes)) return false;
  const kind = bytes[sessionField.kind];
  return kind === sessionKind.cookie || kind === sessionKind.reply || kind === sessionKind.control;
}
