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
import type { ReceiverSpec } from '../../transfer/receiver-spec.js';
import type { EnvelopeQuestion } from '../../wire/envelope-request.js';
import { standardBlockSizeBytes } from '../../wire/sizes.js';
import type { FetchPortOptions } from '../fetch/fetch-port.js';
import { FetchPort } from '../fetch/fetch-port.js';
import { PassedQuestions, type TakeEnvelope } from '../origin/passed-questions.js';
import type { RelayOptions } from './relay.js';
import { defaultAnswerTimeoutMs, Relay } from './relay.js';
import type { RelayEvent } from './relay-events.js';
import { UpstreamWatch } from './upstream-watch.js';
import { Upstreams } from './upstreams.js';

export interface RelayMachineOptions
  extends Omit<RelayOptions, 'port' | 'upstreams'>,
    Omit<FetchPortOptions, 'blockSizeBytes' | 'platform'>,
    Pick<AskListenerOptions, 'refuseAsker'> {
  readonly upstreams: readonly ReceiverSpec[];
}

/** An event for the shell: what clients ask for, what their sessions need, or what the relay reports. */
export type RelayMachineEvent =
  | Extract<EndpointEvent<never>, { readonly role: 'listener' | 'sender' }>
  | { readonly role: 'relay'; readonly event: RelayEvent };

type Identify = Pick<Extract<RelayEvent, { type: 'identify' }>, 'ask' | 'upstream'>;

export class RelayMachine implements Machine<RelayMachineEvent> {
  readonly relay: Relay;
  readonly listener: AskListener;
  readonly endpoint: Endpoint;
  /** For the drivers of the sessions with clients. */
  readonly host: BusyHost;
  private readonly port: FetchPort;
  private readonly questions: PassedQuestions;
  private readonly upstreams: Upstreams;
  private readonly watch: UpstreamWatch;
  private isWatching = false;
  private readonly events = new Queue<RelayMachineEvent>();

  constructor(options: RelayMachineOptions) {
    const { crypto, refuseAsker, name } = options;
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
      describeWait: (question) =>
        question.kind === 'ask'
          ? this.relay.describeWait(question, question.hops)
          : this.questions.describeWait(this.host.nowMs, question),
    });
    this.endpoint = new Endpoint({ receiver, asker, listener: this.listener });
    const { host } = options;
    this.host = new BusyHost(host);
    const upstreams = new Upstreams(options.upstreams);
    this.upstreams = upstreams;
    this.relay = new Relay({ ...options, upstreams, port, host: this.host });
    const { answerTimeoutMs = defaultAnswerTimeoutMs } = options;
    this.questions = new PassedQuestions({ asker, upstreams, answerTimeoutMs });
    this.watch = new UpstreamWatch(asker);
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

  /**
   * Answers an `identify` event: trusts the upstream server, or does without it for this reason. The reason is for the
   * operator of this relay, who gets it whole; clients can do nothing about it.
   */
  trust(nowMs: TimeMs, { ask, upstream }: Identify, refusal?: string): void {
    const { watch, relay } = this;
    if (refusal === undefined || watch.has(ask)) {
      relay.trust(nowMs, ask, refusal);
    } else {
      relay.trust(nowMs, ask, 'the relay does not trust its key');
      this.watchAgain(nowMs, upstream, refusal);
    }
    this.pump(nowMs);
  }

  /** Says at which addresses senders can reach this host, for several paths at once. */
  setAddresses(nowMs: TimeMs, addresses: readonly Address[]): void {
    this.port.setAddresses(nowMs, addresses);
  }

  /** Call this when addresses of this host have changed. */
  handleMove(nowMs: TimeMs): void {
    this.port.receiver.handleMove(nowMs);
  }

  // --- Upstream servers

  /** Reports from now on which upstream servers do not answer, and when they do, also while no client asks. */
  watchUpstreams(nowMs: TimeMs): void {
    this.isWatching = true;
    for (const server of this.upstreams.servers) this.watch.begin(nowMs, server);
  }

  /** The address of an upstream server has become known. */
  addUpstream(nowMs: TimeMs, server: ReceiverSpec): void {
    this.upstreams.add(server);
    if (this.isWatching) this.watch.begin(nowMs, server);
  }

  /** An upstream server cannot be asked, for this reason. Clients hear of it if no other server answers. */
  noteAbsence(upstream: string, reason: string): void {
    this.upstreams.noteAbsence(upstream, reason);
    this.watch.noteAway(upstream, reason);
  }

  /** The questions to upstream servers that wait for an answer, and the addresses from which it can come. */
  awaited(): Iterable<AwaitedAnswer> {
    return this.port.asker.awaited();
  }

  /** Handles an ICMP error: datagrams to an upstream server go no further. */
  handleRefusal(nowMs: TimeMs, ask: number, at: Address, refusal: Refusal): void {
    this.port.asker.handleRefusal(ask, at, refusal);
    this.watch.handleRefusal();
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
      if (this.watch.pollTimeout() <= nowMs) this.watch.handleTimeout(nowMs);
    });
  }

  pollTransmit(nowMs: TimeMs): Transmit | undefined {
    return this.endpoint.pollTransmit(nowMs);
  }

  pollTimeout(): TimeMs | undefined {
    const relayAtMs = Math.min(this.questions.pollTimeout(), this.relay.pollTimeout() ?? Infinity);
    const ownAtMs = Math.min(relayAtMs, this.watch.pollTimeout());
    const atMs = Math.min(this.endpoint.pollTimeout() ?? Infinity, ownAtMs);
    return atMs === Infinity ? undefined : atMs;
  }

  pollEvent(): RelayMachineEvent | undefined {
    return this.host.during(() => {
      this.pump(this.host.nowMs);
      const event = this.events.shift();
      if (event !== undefined) return event;
      const relayed = this.relay.pollEvent() ?? this.watch.pollNotice();
      if (relayed === undefined) return undefined;
      if (relayed.type === 'upstream-left' && relayed.isRetried)
        this.watchAgain(this.host.nowMs, relayed.upstream);
      return { role: 'relay', event: relayed };
    });
  }

  /** After the fetch for which a server was used, nobody else asks it before the next client comes. */
  private watchAgain(nowMs: TimeMs, upstream: string, reason?: string): void {
    const server = this.upstreams.servers.find(({ name }) => name === upstream);
    if (this.isWatching && server !== undefined) this.watch.begin(nowMs, server, reason);
  }

  /** Connects to the upstream servers, as far as that works before something is asked. */
  private connect(nowMs: TimeMs): void {
    for (const server of this.upstreams.servers) this.port.asker.prepare(nowMs, server);
  }

  /** @returns whether it is an event of a question that was passed on, or of the watch */
  private takeAnswer(nowMs: TimeMs, { role, event }: EndpointEvent<never>): boolean {
    if (role !== 'asker' || !('ask' in event)) return false;
    const { ask } = event;
    const isWatched = this.watch.has(ask);
    if (!isWatched && !this.questions.has(ask)) return false;
    if (event.type === 'identify') {
      const { server: upstream, serverKey } = event;
      const identify = { type: 'identify', ask, upstream, serverKey } as const;
      this.events.push({ role: 'relay', event: identify });
    } else if (isWatched) {
      this.watch.takeEvent(nowMs, event);
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
