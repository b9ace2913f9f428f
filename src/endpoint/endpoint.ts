/**
 * One UDP port in any role at once: a P2MP-FTP machine, a session receiver, any number of session senders, and both
 * sides of asking for objects.
 * The endpoint passes each datagram to the role that it is for (SESSIONS 2.1, 2.6).
 */
import type { Address } from '../base/address.js';
import { at } from '../base/assert.js';
import type { Machine, TimeMs, Transmit } from '../base/machine.js';
import { readUint16, readUint32 } from '../base/network-order.js';
import type { AskListener } from '../session/asks/ask-listener.js';
import type { Asker } from '../session/asks/asker.js';
import type { AskerEvent } from '../session/asks/asker-events.js';
import type { AskListenerEvent } from '../session/asks/listener-events.js';
import type { SessionReceiver } from '../session/receiver.js';
import type { SessionReceiverEvent } from '../session/receiver-events.js';
import type { SessionSender } from '../session/sender.js';
import type { SessionSenderEvent } from '../session/sender-events.js';
import {
  askerNumber,
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
  | { readonly role: 'listener'; readonly event: AskListenerEvent }
  | { readonly role: 'asker'; readonly event: AskerEvent }
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
  /** Is asked for objects. Made with the receiver of this endpoint, if there is one. */
  readonly listener?: AskListener;
  /** Asks for objects, which the receiver of this endpoint receives. */
  readonly asker?: Asker;
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
  private readonly listener: AskListener | undefined;
  private readonly asker: Asker | undefined;
  /** Senders of running sessions. */
  private readonly senders: SessionSender[] = [];
  /** Senders that others have replaced. They only confirm receivers' outcomes. */
  private readonly retired = new Set<SessionSender>();
  /** All senders by the number of their session. */
  private readonly sendersByNumber = new Map<number, SessionSender>();
  /** Index of the sender that transmits first next time, so that no sender waits for another. */
  private nextSender = 0;

  constructor({ classic, receiver, listener, asker, senders = [] }: EndpointRoles<Classic>) {
    this.classic = classic;
    this.receiver = receiver;
    this.listener = listener;
    this.asker = asker;
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
    this.listener?.removeSender(sender);
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
    let offset = 0;
    do {
      if (receiver !== undefined && isBlockDatagram(bytes, offset)) {
        offset = receiver.handleBlocks(nowMs, from, bytes, offset);
      } else {
        const end = isBlockDatagram(bytes, offset)
          ? bytes.length
          : offset + channelDatagramSize(bytes, offset);
        const single = bytes.subarray(offset, end);
        this.machineFor(single)?.handleDatagram(nowMs, from, single);
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
      this.receiver?.pollTransmit() ??
      this.listener?.pollTransmit() ??
      this.asker?.pollTransmit() ??
      this.pollSenders(nowMs) ??
      this.classic?.pollTransmit(nowMs)
    );
  }

  pollTimeout(): TimeMs | undefined {
    // Called for each datagram, so without a generator.
    let earliestMs = Math.min(
      this.receiver?.pollTimeout() ?? Infinity,
      this.listener?.pollTimeout() ?? Infinity,
      this.asker?.pollTimeout() ?? Infinity,
      this.classic?.pollTimeout() ?? Infinity,
    );
    for (const sender of this.senders)
      earliestMs = Math.min(earliestMs, sender.pollTimeout() ?? Infinity);
    return earliestMs === Infinity ? undefined : earliestMs;
  }

  /** The next event of any role. Events of senders that were replaced are dropped. */
  pollEvent(): EndpointEvent<Classic> | undefined {
    for (const sender of this.retired) while (sender.pollEvent() !== undefined);
    // Before the receiver, whose sessions answer what was asked.
    const answered = this.asker?.pollEvent();
    if (answered !== undefined) return { role: 'asker', event: answered };
    const asked = this.listener?.pollEvent();
    if (asked !== undefined) return { role: 'listener', event: asked };
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
    const { receiver, listener, asker } = this;
    for (const machine of [receiver, listener, asker]) if (machine !== undefined) yield machine;
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

  /** The machine that handles or counts a datagram that is no data. */
  private machineFor(bytes: Uint8Array): Machine<unknown> | undefined {
    const kind = channelKindOf(bytes);
    const machine =
      kind === undefined
        ? undefined
        : isAskers(bytes)
          ? this.askMachineFor(kind, bytes)
          : isFromReceivers(kind) || this.receiver === undefined
            ? this.knownSenderOf(bytes)
            : undefined;
    return machine ?? this.receiver ?? this.listener ?? this.senders.at(-1) ?? this.asker;
  }

  /** The machine for a datagram of a channel that a receiver began. */
  private askMachineFor(kind: number, bytes: Uint8Array): Machine<unknown> | undefined {
    const { asker, listener } = this;
    const { cookie, reply, control } = sessionKind;
    if (kind === cookie || kind === reply) return asker;
    // Own numbers come first, so that nobody can take one over by asking with it.
    const isOwn =
      kind === control && asker?.knows(readUint32(bytes, sessionField.session)) === true;
    return isOwn ? asker : listener;
  }

  private knownSenderOf(bytes: Uint8Array): SessionSender | undefined {
    return this.sendersByNumber.get(readUint32(bytes, sessionField.session));
  }
}

/** The kind of a handshake or control datagram; undefined if it is something else. */
function channelKindOf(bytes: Uint8Array): number | undefined {
  if (bytes.length < sessionHeaderSizeBytes || !isSessionDatagram(bytes)) return undefined;
  const kind = bytes[sessionField.kind] as number;
  return kind >= sessionKind.hello && kind <= sessionKind.control ? kind : undefined;
}

function isAskers(bytes: Uint8Array): boolean {
  return readUint16(bytes, sessionField.receiver) === askerNumber;
}

/** Whether a datagram is of a kind that receivers send to senders. Control goes both ways. */
function isFromReceivers(kind: number): boolean {
  return kind === sessionKind.cookie || kind === sessionKind.reply || kind === sessionKind.control;
}
