/** A relay as a machine on one port: it asks upstream servers and is asked by clients there. */
import type { Address } from '../../base/address.js';
import type { Machine, TimeMs, Transmit } from '../../base/machine.js';
import { Queue } from '../../base/queue.js';
import type { Refusal } from '../../base/refusal.js';
import { withoutUndefined } from '../../base/without-undefined.js';
import { Endpoint, type EndpointEvent } from '../../endpoint/endpoint.js';
import { AskListener, type AskListenerOptions } from '../../session/asks/ask-listener.js';
import type { AwaitedAnswer } from '../../session/asks/asker-options.js';
import { BusyHost } from '../../session/drivers/busy-host.js';
import type { EnvelopeQuestion } from '../../wire/envelope-request.js';
import { standardBlockSizeBytes } from '../../wire/sizes.js';
import type { FetchPortOptions } from '../fetch/fetch-port.js';
import { FetchPort } from '../fetch/fetch-port.js';
import { PassedQuestions, type TakeEnvelope } from '../origin/passed-questions.js';
import type { RelayOptions } from './relay.js';
import { defaultAnswerTimeoutMs, Relay } from './relay.js';
import type { RelayEvent } from './relay-events.js';

export interface RelayMachineOptions
  extends Omit<RelayOptions, 'port'>,
    Omit<FetchPortOptions, 'blockSizeBytes' | 'platform'>,
    Pick<AskListenerOptions, 'refuseAsker' | 'localHostOf'> {}

/** An event for the shell: what clients ask for, what their sessions need, or what the relay reports. */
export type RelayMachineEvent =
  | Extract<EndpointEvent<never>, { readonly role: 'listener' | 'sender' }>
  | { readonly role: 'relay'; readonly event: RelayEvent };

export class RelayMachine implements Machine<RelayMachineEvent> {
  readonly relay: Relay;
  readonly listener: AskListener;
  readonly endpoint: Endpoint;
  /** For the drivers of the sessions with clients. */
  readonly host: BusyHost;
  private readonly port: FetchPort;
  private readonly questions: PassedQuestions;
  private readonly events = new Queue<RelayMachineEvent>();

  constructor(private readonly options: RelayMachineOptions) {
    const { crypto, refuseAsker, localHostOf, name } = options;
    const { blockSizeBytes = standardBlockSizeBytes } = options;
    const { mssBytes, bufferBytes } = options;
    this.port = new FetchPort({
      ...{ crypto, name, blockSizeBytes, platform: 'posix' },
      ...withoutUndefined({ mssBytes, bufferBytes }),
    });
    const { port } = this;
    const { receiver, asker } = port;
    this.listener = new AskListener({
      ...{ crypto, refuseAsker, receiver },
      ...withoutUndefined({ localHostOf }),
    });
    this.endpoint = new Endpoint({ receiver, asker, listener: this.listener });
    const { host } = options;
    this.host = new BusyHost(host);
    this.relay = new Relay({ ...options, port, host: this.host });
    const { upstreams, answerTimeoutMs = defaultAnswerTimeoutMs } = options;
    this.questions = new PassedQuestions({ asker, upstreams, answerTimeoutMs });
  }

  /** Number of questions for origins that wait for an answer. */
  get questionCount(): number {
    return this.questions.count;
  }

  /**
   * Passes a question for an origin on.
   * @param hops the relays that it has come through
   * @param take gets the answer, possibly before this returns
   */
  pass(question: EnvelopeQuestion, hops: readonly Uint8Array[], take: TakeEnvelope): void {
    const reason = this.relay.refusalOf(hops);
    if (reason === undefined)
      this.questions.pass(this.host.nowMs, question, [...hops, this.relay.ownHop], take);
    else take({ reason, isTemporary: false });
  }

  /** Answers an `identify` event: trusts the upstream server, or does without it for this reason. */
  trust(nowMs: TimeMs, ask: number, refusal?: string): void {
    this.relay.trust(nowMs, ask, refusal);
    this.pump(nowMs);
  }

  /** Says at which addresses senders can reach this host, for several paths at once. Sessions that have begun keep theirs. */
  setAddresses(addresses: readonly Address[]): void {
    this.port.receiver.setAddresses(addresses);
  }

  /** The questions to upstream servers that wait for an answer, and the addresses from which it can come. */
  awaited(): Iterable<AwaitedAnswer> {
    return this.port.asker.awaited();
  }

  /** Handles an ICMP error: datagrams to an upstream server go no further. */
  handleRefusal(nowMs: TimeMs, ask: number, at: Address, refusal: Refusal): void {
    this.port.asker.handleRefusal(ask, at, refusal);
    this.pump(nowMs);
  }

  handleDatagram(nowMs: TimeMs, from: Address, bytes: Uint8Array): void {
    const { count } = this.port.receiver.handshakes;
    this.host.during(() => {
      this.endpoint.handleDatagram(nowMs, from, bytes);
      // While the client proves its key, the relay can connect to the servers that it will have to ask.
      if (this.port.receiver.handshakes.count > count) this.connect(nowMs);
      this.pump(nowMs);
    });
  }

  handleTimeout(nowMs: TimeMs): void {
    this.host.during(() => {
      if ((this.endpoint.pollTimeout() ?? Infinity) <= nowMs) this.endpoint.handleTimeout(nowMs);
      this.pump(nowMs);
      this.relay.handleTimeout(nowMs);
      this.questions.handleTimeout(nowMs);
    });
  }

  pollTransmit(nowMs: TimeMs): Transmit | undefined {
    return this.endpoint.pollTransmit(nowMs);
  }

  pollTimeout(): TimeMs | undefined {
    const relayAtMs = Math.min(this.questions.pollTimeout(), this.relay.pollTimeout() ?? Infinity);
    const atMs = Math.min(this.endpoint.pollTimeout() ?? Infinity, relayAtMs);
    return atMs === Infinity ? undefined : atMs;
  }

  pollEvent(): RelayMachineEvent | undefined {
    return this.host.during(() => {
      this.pump(this.host.nowMs);
      const event = this.events.shift();
      if (event !== undefined) return event;
      const relayed = this.relay.pollEvent();
      return relayed === undefined ? undefined : { role: 'relay', event: relayed };
    });
  }

  /** Connects to the upstream servers, as far as that works before something is asked. */
  private connect(nowMs: TimeMs): void {
    for (const server of this.options.upstreams) this.port.asker.prepare(nowMs, server);
  }

  /** @returns whether it is an event of a question that was passed on */
  private takeAnswer(nowMs: TimeMs, { role, event }: EndpointEvent<never>): boolean {
    if (role !== 'asker' || !('ask' in event)) return false;
    const { ask } = event;
    const upstream = this.questions.upstreamOf(ask);
    if (upstream === undefined) return false;
    if (event.type === 'identify') {
      const { serverKey } = event;
      const identify = { type: 'identify', ask, upstream, serverKey } as const;
      this.events.push({ role: 'relay', event: identify });
    } else {
      this.questions.takeEvent(nowMs, event);
    }
    return true;
  }

  /** Passes on to the relay what is for it. */
  private pump(nowMs: TimeMs): void {
    const { endpoint, relay, events } = this;
    let isAny = false;
    for (let event = endpoint.pollEvent(); event !== undefined; event = endpoint.pollEvent()) {
      if (event.role === 'listener' || event.role === 'sender') {
        events.push(event);
      } else if (!this.takeAnswer(nowMs, event)) {
        isAny = true;
        relay.takeEvent(nowMs, event);
      }
    }
    if (isAny) this.host.during(() => relay.advance(nowMs));
  }
}
