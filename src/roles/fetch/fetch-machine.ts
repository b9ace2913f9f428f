/**
 * One fetch as a machine on a port of its own. If the origin's key is given, the fetch begins once the origin has said
 * which content the name has.
 */
import type { Address } from '../../base/address.js';
import { assert } from '../../base/assert.js';
import type { Machine, TimeMs, Transmit } from '../../base/machine.js';
import { Queue } from '../../base/queue.js';
import type { Refusal } from '../../base/refusal.js';
import { Endpoint, type EndpointEvent } from '../../endpoint/endpoint.js';
import type { OriginAnswer } from '../../security/envelope.js';
import type { AwaitedAnswer } from '../../session/asks/asker-options.js';
import type { ReceiverSpec } from '../../transfer/receiver-spec.js';
import type { EnvelopeQuestion } from '../../wire/envelope-request.js';
import { standardBlockSizeBytes } from '../../wire/sizes.js';
import { type OriginFinding, OriginQuestion } from '../origin/origin-question.js';
import type { FetchOptions } from './fetch.js';
import { Fetch } from './fetch.js';
import type { FetchReport } from './fetch-events.js';
import type { FetchPortOptions } from './fetch-port.js';
import { FetchPort } from './fetch-port.js';
import type { FetchActivity, FetchRoleEvent } from './fetch-result.js';

export interface FetchMachineOptions
  extends Omit<FetchOptions, 'port'>,
    Omit<FetchPortOptions, 'blockSizeBytes'> {
  /**
   * The public keys of the host that says which content the name has, and of this host; by default, the sources say it.
   */
  readonly origin?: Pick<EnvelopeQuestion, 'originKey' | 'receiverKey'>;
}

const defaultPatienceMs = 60_000;

export class FetchMachine implements Machine<FetchRoleEvent> {
  private readonly port: FetchPort;
  private readonly endpoint: Endpoint;
  private readonly events = new Queue<FetchRoleEvent>();
  /** Another one takes its place when the origin has answered. */
  private fetch: Fetch;
  /** Undefined unless the origin is to be asked. */
  private question: OriginQuestion | undefined;
  private sources: readonly ReceiverSpec[];
  private hasStarted = false;

  constructor(private readonly options: FetchMachineOptions) {
    const { blockSizeBytes = standardBlockSizeBytes } = options;
    this.port = new FetchPort({ ...options, blockSizeBytes });
    const { receiver, asker } = this.port;
    this.endpoint = new Endpoint({ receiver, asker });
    this.sources = options.sources;
    this.fetch = new Fetch({ ...options, port: this.port });
    this.question = this.createQuestion();
  }

  private createQuestion(): OriginQuestion | undefined {
    const { origin, crypto, what, patienceMs = defaultPatienceMs } = this.options;
    if (origin === undefined) return undefined;
    assert(what.name !== undefined, 'an origin is asked for a name');
    const question = { name: what.name, ...origin };
    return new OriginQuestion({ ...question, crypto, asker: this.port.asker, patienceMs });
  }

  get activity(): FetchActivity {
    return this.fetch.activity;
  }

  /** Undefined until the content is chosen. */
  get contentSizeBytes(): number | undefined {
    return this.fetch.object?.contentSizeBytes;
  }

  /** Whether the fetch has ended, and no source waits for anything. */
  get isIdle(): boolean {
    return this.activity === 'ended' && this.port.isIdle;
  }

  /** Whether it has ended, and the sources know that, except those from which no prompt answer can be expected. */
  get isConfirmed(): boolean {
    return this.fetch.isConfirmed;
  }

  /** What each source contributes; undefined before blocks are asked for. */
  report(nowMs: TimeMs): FetchReport | undefined {
    return this.fetch.report(nowMs);
  }

  /** Adds a source to the running fetch. @returns false if it takes part already, or has lied */
  join(nowMs: TimeMs, spec: ReceiverSpec): boolean {
    if (!this.fetch.join(nowMs, spec)) return false;
    this.sources = [...this.sources, spec];
    if (this.hasStarted) this.question?.ask(nowMs, spec);
    return true;
  }

  /** Answers an `identify` event: trusts the source, or excludes it for this reason. */
  trust(nowMs: TimeMs, ask: number, refusal?: string): void {
    if (this.question?.nameOf(ask) === undefined) this.fetch.trust(nowMs, ask, refusal);
    else this.port.asker.trust(nowMs, ask, refusal);
    this.pump(nowMs);
  }

  /** Uses a source no more. It is identified by the object with which it came. */
  leave(nowMs: TimeMs, spec: ReceiverSpec, reason: string): void {
    this.sources = this.sources.filter((each) => each !== spec);
    this.find(nowMs, this.question?.leave(nowMs, spec, reason));
    this.fetch.leave(nowMs, spec, reason);
  }

  /** The asks that wait for answers, and the addresses from which these can come. */
  awaited(): Iterable<AwaitedAnswer> {
    return this.port.asker.awaited();
  }

  /** Handles an ICMP error: datagrams to a source go no further. */
  handleRefusal(nowMs: TimeMs, ask: number, at: Address, refusal: Refusal): void {
    this.port.asker.handleRefusal(ask, at, refusal);
    if (this.question === undefined) this.fetch.handleRefusal(nowMs);
    else this.find(nowMs, this.question.handleRefusal());
    this.pump(nowMs);
  }

  /** Stops the fetch. What has arrived is kept for the next one. */
  abort(nowMs: TimeMs, reason: string): void {
    this.question?.end(nowMs);
    this.question = undefined;
    this.fetch.abort(nowMs, reason);
  }

  /** Says at which addresses senders can reach this host, for several paths at once. */
  setAddresses(nowMs: TimeMs, addresses: readonly Address[]): void {
    this.port.setAddresses(nowMs, addresses);
  }

  /** Call this when addresses of this host have changed. */
  handleMove(nowMs: TimeMs): void {
    this.port.receiver.handleMove(nowMs);
  }

  handleDatagram(nowMs: TimeMs, from: Address, bytes: Uint8Array): void {
    this.endpoint.handleDatagram(nowMs, from, bytes);
    this.pump(nowMs);
  }

  handleTimeout(nowMs: TimeMs): void {
    if ((this.endpoint.pollTimeout() ?? Infinity) <= nowMs) this.endpoint.handleTimeout(nowMs);
    this.pump(nowMs);
    if (nowMs >= (this.question?.timeoutMs ?? Infinity))
      this.find(nowMs, this.question?.handleTimeout());
    this.fetch.handleTimeout(nowMs);
  }

  /** Asks all sources, unless that is done. The first `pollTransmit` does it, too. */
  start(nowMs: TimeMs): void {
    if (this.hasStarted) return;
    this.hasStarted = true;
    if (this.question === undefined) {
      this.fetch.start(nowMs);
      return;
    }
    this.question.start(nowMs);
    for (const source of this.sources) this.question.ask(nowMs, source);
  }

  pollTransmit(nowMs: TimeMs): Transmit | undefined {
    this.start(nowMs);
    return this.endpoint.pollTransmit(nowMs);
  }

  pollTimeout(): TimeMs | undefined {
    const questionAtMs = this.question?.timeoutMs ?? Infinity;
    const ownAtMs = Math.min(questionAtMs, this.fetch.pollTimeout() ?? Infinity);
    const atMs = Math.min(this.endpoint.pollTimeout() ?? Infinity, ownAtMs);
    return atMs === Infinity ? undefined : atMs;
  }

  pollEvent(): FetchRoleEvent | undefined {
    return this.events.shift() ?? this.fetch.pollEvent();
  }

  // --- The origin

  /** @returns whether it is an event of the question for the origin */
  private takeAnswer(nowMs: TimeMs, { role, event }: EndpointEvent<never>): boolean {
    const { question } = this;
    if (role !== 'asker' || !('ask' in event)) return false;
    const source = question?.nameOf(event.ask);
    if (source === undefined) return false;
    if (event.type === 'identify') {
      const { ask, serverKey } = event;
      this.events.push({ type: 'identify', ask, source, serverKey });
    } else {
      this.find(nowMs, question?.takeEvent(event));
    }
    return true;
  }

  private find(nowMs: TimeMs, finding: OriginFinding | undefined): void {
    if (finding === undefined) return;
    if (finding.type === 'liar') this.leave(nowMs, finding.source, finding.reason);
    else if (finding.type === 'failure') this.abort(nowMs, finding.reason);
    else this.begin(nowMs, finding.answer);
  }

  /** Fetches only what the origin has named. */
  private begin(nowMs: TimeMs, { name, contentRoot: root, manifestDigest }: OriginAnswer): void {
    this.question?.end(nowMs);
    this.question = undefined;
    if (this.activity === 'ended') return;
    for (let event = this.fetch.pollEvent(); event !== undefined; event = this.fetch.pollEvent())
      this.events.push(event);
    const { options, port, sources } = this;
    this.fetch = new Fetch({ ...options, port, sources, what: { name, root, manifestDigest } });
    this.fetch.start(nowMs);
  }

  /** Passes on what the port reports. */
  private pump(nowMs: TimeMs): void {
    const { endpoint, port } = this;
    for (let event = endpoint.pollEvent(); event !== undefined; event = endpoint.pollEvent()) {
      const isTaken = this.takeAnswer(nowMs, event) || this.fetch.takeEvent(nowMs, event);
      if (!isTaken) port.discard(nowMs, event);
    }
    this.fetch.advance(nowMs);
  }
}
