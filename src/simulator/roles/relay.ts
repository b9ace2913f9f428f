/** A simulated host that relays objects of upstream servers. If it is killed and started again, its cache is still there. */
import type { Machine } from '../../base/machine.js';
import { withoutUndefined } from '../../base/without-undefined.js';
import type { ContentSource } from '../../object/content-source.js';
import type { MemoryStores } from '../../object/memory-store.js';
import type { CacheCounts } from '../../roles/relay/cached-objects.js';
import type { RelayAnswer } from '../../roles/relay/lookup.js';
import type { ObjectHead } from '../../roles/relay/object-cache.js';
import type { RelayOptions } from '../../roles/relay/relay.js';
import type { RelayEvent, RelayTotals } from '../../roles/relay/relay-events.js';
import type { RelayMachineEvent } from '../../roles/relay/relay-machine.js';
import { RelayMachine } from '../../roles/relay/relay-machine.js';
import type { RelayedObject } from '../../roles/relay/relayed-object.js';
import type { AskListenerEvent } from '../../session/asks/listener-events.js';
import { SourceDriver } from '../../session/drivers/source-driver.js';
import { SessionSender } from '../../session/sender.js';
import { standardBlockSizeBytes } from '../../wire/sizes.js';
import type { Role, SimulatedHost } from '../host.js';
import { createMachineCrypto } from '../session-crypto.js';
import { Simulation } from '../simulation.js';
import { EndedSenders } from './ended-senders.js';
import { MemoryCache } from './memory-cache.js';
import { WholeObjectSource } from './whole-object-source.js';

export interface RelayRoleOptions
  extends Pick<
    RelayOptions,
    | 'cacheLimitBytes'
    | 'answerTimeoutMs'
    | 'graceMs'
    | 'patienceMs'
    | 'blockSizeBytes'
    | 'windowBytes'
  > {
  /** The host's name, which also determines its key. */
  readonly name: string;
  /** What the host holds on its disk. */
  readonly stores: MemoryStores;
  /** Addresses of the upstream servers. */
  readonly from: readonly string[];
  readonly mssBytes?: number;
  /** Whether clients get nothing of an object before the cache has all of it; the cache must have room for it. */
  readonly storesFirst?: boolean;
  /** Whether it reports which upstream servers do not answer, also while no client asks. */
  readonly watchesUpstreams?: boolean;
  /** Lets a test change what clients are sent: their object, and where its content comes from. */
  readonly disguise?: (head: ObjectHead, source: ContentSource) => [ObjectHead, ContentSource];
}

type Question = Extract<AskListenerEvent, { type: 'envelope-request' }>;

interface Session {
  readonly object: RelayedObject;
  readonly driver: SourceDriver;
  readonly source: ContentSource;
}

export class RelayRole implements Role<RelayMachineEvent> {
  readonly events: RelayEvent[] = [];
  readonly cache: MemoryCache;
  private readonly sessions = new Map<SessionSender, Session>();
  private ended = new EndedSenders();
  private machine: RelayMachine | undefined;
  private lives = 0;

  constructor(
    private readonly simulation: Simulation,
    private readonly options: RelayRoleOptions,
  ) {
    const { stores, blockSizeBytes = standardBlockSizeBytes } = options;
    this.cache = new MemoryCache(stores, blockSizeBytes);
  }

  /** Answers the question whether the relay trusts a server; by default, it does. */
  refuseUpstream: ((upstream: string) => string | undefined) | undefined;

  /** Whether nobody answers that question. */
  leavesUpstreamsUndecided = false;

  /** What the relay has done in this life. */
  get totals(): RelayTotals | undefined {
    return this.machine?.relay.totals;
  }

  get cacheCounts(): CacheCounts | undefined {
    return this.machine?.relay.cached.counts;
  }

  boot(host: SimulatedHost): Machine<RelayMachineEvent> {
    const { options, cache } = this;
    const { name, from } = options;
    this.lives++;
    this.ended = new EndedSenders();
    this.machine = new RelayMachine({
      ...options,
      ...{ cache, crypto: this.cryptoFor('relay') },
      ownKey: new TextEncoder().encode(name),
      upstreams: from.map((each) => ({ name: each, address: Simulation.address(each) })),
      refuseAsker: () => undefined,
      host,
    });
    if (options.watchesUpstreams === true) this.machine.watchUpstreams(this.simulation.nowMs);
    return this.machine;
  }

  handleEvent(event: RelayMachineEvent): void {
    if (event.role === 'relay') this.handleRelayEvent(event.event);
    else if (event.role === 'listener') this.handleListenerEvent(event.event);
    else {
      const session = this.sessions.get(event.sender);
      session?.driver.handleEvent(event.sender, event.event);
      if (event.event.type !== 'done') return;
      session?.object.release();
      this.sessions.delete(event.sender);
      this.ended.add(this.simulation.nowMs, event.sender);
    }
  }

  handleKill(): void {
    for (const { driver } of this.sessions.values()) driver.stop();
    this.sessions.clear();
    this.options.stores.crash();
  }

  private handleRelayEvent(event: RelayEvent): void {
    this.events.push(event);
    const { nowMs } = this.simulation;
    if (event.type === 'identify') {
      if (!this.leavesUpstreamsUndecided)
        this.machine?.trust(nowMs, event, this.refuseUpstream?.(event.upstream));
    } else if (event.type === 'filled') this.sendWhole();
    else if (event.type === 'lost')
      for (const [sender, { object }] of this.sessions)
        if (object === event.object) sender.abort(nowMs, event.reason, event.isFinal);
  }

  private sendWhole(): void {
    const { simulation } = this;
    for (const { source } of this.sessions.values())
      if (source instanceof WholeObjectSource)
        simulation.at(simulation.nowMs, () => source.advance());
  }

  private handleListenerEvent(event: AskListenerEvent): void {
    if (event.type === 'envelope-request') this.pass(event);
    if (event.type !== 'ask') return;
    const { channel, what, hops } = event;
    this.machine?.relay.find(what, hops, (answer) => this.answer(channel, answer));
  }

  private pass({ channel, question, hops }: Question): void {
    const { listener } = this.machine as RelayMachine;
    this.machine?.pass(question, hops, (answer) => {
      const { nowMs } = this.simulation;
      if (answer instanceof Uint8Array) listener.answerEnvelope(nowMs, channel, answer);
      else listener.refuse(nowMs, channel, answer.reason, answer.isTemporary);
    });
  }

  private answer(channel: number, answer: RelayAnswer): void {
    const { listener } = this.machine as RelayMachine;
    const { nowMs } = this.simulation;
    if ('reason' in answer) listener.refuse(nowMs, channel, answer.reason, answer.isTemporary);
    else listener.accept(nowMs, channel, this.senderOf(answer, answer.head as ObjectHead));
  }

  private senderOf(object: RelayedObject, head: ObjectHead): SessionSender {
    for (const [sender, session] of this.sessions)
      if (session.object === object && !sender.isDone) return sender;
    const { endpoint, host } = this.machine as RelayMachine;
    const { mssBytes, blockSizeBytes, disguise, storesFirst = false } = this.options;
    const content = storesFirst ? new WholeObjectSource(object) : object;
    const [shown, source] = disguise?.(head, content) ?? [head, content];
    const sender = new SessionSender({
      ...shown,
      crypto: this.cryptoFor(`session ${this.simulation.nowMs} ${this.sessions.size}`),
      ...withoutUndefined({ mssBytes, blockSizeBytes }),
      ...(object.isPassing ? { servesTogether: true } : {}),
    });
    this.ended.forget(this.simulation.nowMs, endpoint);
    object.use();
    this.sessions.set(sender, { object, source, driver: new SourceDriver(source, host) });
    endpoint.addSender(sender);
    return sender;
  }

  private cryptoFor(purpose: string) {
    const { simulation, lives, options } = this;
    return createMachineCrypto(simulation.seed, options.name, `${purpose} ${lives}`);
  }
}
