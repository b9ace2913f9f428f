/**
 * A peer of an exchange: says to the coordinator what it brings, serves that and whatever else it holds, and fetches
 * the objects of all others. Without the coordinator, it continues with what it knows.
 */
import type { TimeMs } from '../../base/machine.js';
import { Queue } from '../../base/queue.js';
import type { EndpointEvent } from '../../endpoint/endpoint.js';
import type { ContentSource } from '../../object/content-source.js';
import type { SessionSenderOptions } from '../../session/sender-options.js';
import type { ReceiverSpec } from '../../transfer/receiver-spec.js';
import type { AskedObject } from '../../wire/asks.js';
import { isEqualBytes, toHex } from '../../wire/byte-codec.js';
import type {
  AwaitedRecord,
  ExchangeRecord,
  FileDigests,
  WelcomeRecord,
} from '../../wire/exchange-records.js';
import type { FetchRoleEvent } from '../fetch/fetch-result.js';
import type { ObjectHead } from '../relay/object-cache.js';
import type { ClockEstimate } from './clock-estimate.js';
import type { LinkEvent } from './coordinator-link.js';
import { CoordinatorLink } from './coordinator-link.js';
import { EvenPace } from './even-pace.js';
import { isFolderName } from './folder-name.js';
import { listingOf } from './listing.js';
import type { RemoteObjectOptions } from './objects/remote-object.js';
import { RemoteObject } from './objects/remote-object.js';
import { RemoteObjects } from './objects/remote-objects.js';
import { SharedObject } from './objects/shared-object.js';
import { OwnHoldings } from './own-holdings.js';
import type { PeerEvent } from './peer-events.js';
import type { ExchangedContent } from './roster.js';
import { Roster, RosterPeer } from './roster.js';
import { SourceCandidates } from './source-candidates.js';

/** An object that this host brings. */
export interface OwnObject {
  readonly head: ObjectHead;
  readonly source: ContentSource;
  /** The digests of its files, in the order of its manifest. */
  readonly files: readonly FileDigests[];
}

export interface PeerOptions
  extends Omit<RemoteObjectOptions, 'handleHeld' | 'handleChange' | 'beginsAt'> {
  readonly name: string;
  readonly coordinator: ReceiverSpec;
  readonly objects: readonly OwnObject[];
  /** Maximum rate at which this host sends content; none by default. */
  readonly rateBytesPerSec?: number;
}

/** How often to look for further sources. */
const lookMs = 200;

export class Peer {
  private readonly link: CoordinatorLink;
  private readonly events = new Queue<PeerEvent>();
  private readonly own: readonly SharedObject[];
  private readonly remotes = new RemoteObjects();
  private readonly sources = new SourceCandidates();
  private readonly holdings: OwnHoldings;
  private readonly pace: EvenPace;
  private known: Roster;
  /** The keys of all peers that the coordinator has named, in hexadecimal. */
  private readonly named = new Set<string>();
  private number: number | undefined;
  private expectedPeers = 0;
  private beganAtClockMs: number | undefined;
  private beginsAtMs: TimeMs = Infinity;
  private lookAtMs: TimeMs = Infinity;
  /** When the last object so far was stored. */
  private storedAtMs: TimeMs = -Infinity;
  /** Whether an owner serves this host by multicast, so others do so, too. */
  private usesMulticast = false;
  private hasEnded = false;

  constructor(private readonly options: PeerOptions) {
    const { port, coordinator, blockSizeBytes, objects } = options;
    this.pace = new EvenPace(blockSizeBytes, options.rateBytesPerSec);
    this.link = new CoordinatorLink(port.asker, coordinator);
    this.holdings = new OwnHoldings(this.link);
    this.known = new Roster(blockSizeBytes);
    this.own = objects.map(({ head, source }) => {
      const { blockCount } = head.digestTree;
      const handleHeld = () => undefined;
      return SharedObject.whole({ blockCount, blockSizeBytes, handleHeld }, head, source);
    });
  }

  /** The other peers, as the coordinator last said. */
  get roster(): Roster {
    return this.known;
  }

  /** The number of the ask by which the coordinator is asked; undefined while it is not. */
  get coordinatorAsk(): number | undefined {
    return this.link.currentAsk;
  }

  get objects(): Iterable<RemoteObject> {
    return this.remotes;
  }

  get isOver(): boolean {
    return this.hasEnded;
  }

  /** The peers that are asked for blocks of an object now. */
  sourcesOf(nowMs: TimeMs, { isStored, fetch }: RemoteObject): string[] {
    const sources = isStored ? [] : (fetch?.report(nowMs)?.sources ?? []);
    const used = sources.filter(({ state }) => state !== 'left');
    return [...new Set(used.map(({ name }) => this.sources.nameOf(name)))];
  }

  /** The clock of the coordinator. */
  get clock(): ClockEstimate {
    return this.link.clock;
  }

  // --- Other peers that ask

  /** @returns why a host with this key may not ask */
  refuseAsker(key: Uint8Array): string | undefined {
    return this.named.has(toHex(key)) ? undefined : 'is no peer of this exchange';
  }

  /** Finds what another peer asks for; undefined if it cannot be offered, or not yet. */
  find({ root, manifestDigest }: AskedObject): SharedObject | undefined {
    if (root === undefined || manifestDigest === undefined) return undefined;
    for (const object of [...this.own, ...[...this.remotes].map(({ shared }) => shared)]) {
      const { head } = object;
      if (head === undefined || !isEqualBytes(head.contentRoot, root)) continue;
      if (isEqualBytes(head.manifestDigest, manifestDigest)) return object;
    }
    return undefined;
  }

  // --- Inputs and outputs

  start(nowMs: TimeMs): void {
    this.link.dial(nowMs);
  }

  /** Answers an `identify` event: trusts the coordinator, or does not take part for this reason. */
  trust(nowMs: TimeMs, ask: number, refusal?: string): void {
    this.options.port.asker.trust(nowMs, ask, refusal);
    if (refusal !== undefined) this.refuse(nowMs, refusal);
    this.advance(nowMs);
  }

  /** Takes an event of the port; then call `advance`. */
  takeEvent(nowMs: TimeMs, event: EndpointEvent<never>): void {
    if (event.role === 'asker' && this.link.takeEvent(nowMs, event.event)) return;
    if (this.remotes.takeEvent(nowMs, event)) return;
    if (event.role === 'asker') {
      const refused = event.event;
      if (refused.type === 'port-refused' || refused.type === 'unreachable')
        this.events.push(refused);
    }
    this.options.port.discard(nowMs, event);
  }

  handleTimeout(nowMs: TimeMs): void {
    this.link.handleTimeout(nowMs);
    this.remotes.handleTimeout(nowMs);
    if (nowMs >= this.lookAtMs) this.look(nowMs);
    this.advance(nowMs);
  }

  pollTimeout(): TimeMs | undefined {
    const { link, lookAtMs, holdings, remotes } = this;
    const atMs = Math.min(link.pollTimeout(), lookAtMs, holdings.dueAtMs, remotes.dueAtMs);
    return atMs === Infinity ? undefined : atMs;
  }

  pollEvent(): PeerEvent | undefined {
    return this.events.shift();
  }

  /** Leaves the exchange, and says so if it is not over. What has arrived is kept. */
  leave(nowMs: TimeMs, reason: string): void {
    if (this.hasEnded) this.link.close(nowMs);
    else this.link.leave(nowMs);
    this.end(nowMs, reason);
  }

  /** Does everything that is due. */
  advance(nowMs: TimeMs): void {
    for (let event = this.link.pollEvent(); event; event = this.link.pollEvent())
      this.handleLinkEvent(nowMs, event);
    for (const remote of this.remotes.takeChanged()) {
      remote.advance(nowMs);
      for (let event = remote.pollEvent(nowMs); event; event = remote.pollEvent(nowMs))
        this.handleFetchEvent(nowMs, remote, event);
    }
    this.holdings.say(nowMs);
    this.link.advance(nowMs);
  }

  // --- The coordinator

  private handleLinkEvent(nowMs: TimeMs, event: LinkEvent): void {
    switch (event.type) {
      case 'connected': {
        const { name } = this.options;
        this.link.stream?.push({ kind: 'join', name, beganAtMs: this.beganAtClockMs });
        break;
      }
      case 'record':
        if (!this.takeRecord(nowMs, event.record))
          this.link.redial(nowMs, 'sent a record that makes no sense');
        break;
      case 'lost':
        this.number = undefined;
        this.events.push({ type: 'coordinator-lost', reason: event.reason });
        break;
      case 'refused':
        this.refuse(nowMs, event.reason);
        break;
      default:
        this.events.push(event);
    }
  }

  /** @returns false if the record makes no sense */
  private takeRecord(nowMs: TimeMs, record: ExchangeRecord): boolean {
    const { known } = this;
    switch (record.kind) {
      case 'welcome':
        this.handleWelcome(record);
        return true;
      case 'peer': {
        const { peer, name, key, host, port } = record;
        if (!isFolderName(name)) return false;
        known.add(new RosterPeer(peer, name, key, { host, port }));
        this.named.add(toHex(key));
        return true;
      }
      case 'object':
        return known.takeObject(record) && this.noteObject(nowMs, record);
      case 'files':
        return known.takeFiles(record);
      case 'listed': {
        const peer = known.peers.get(record.peer);
        if (peer === undefined) return false;
        peer.isListed = true;
        if (!this.isSelf(peer)) this.events.push({ type: 'peer', peer });
        return true;
      }
      case 'start':
        this.begin(nowMs, record.atMs);
        return true;
      case 'held':
        this.pace.handleHeld(nowMs, record.holder);
        return known.takeHeld(record) !== undefined;
      case 'stored': {
        const content = known.find(record)?.content;
        const holder = known.peers.get(record.holder);
        if (content !== undefined) holder?.stored.add(content);
        return content !== undefined && holder !== undefined;
      }
      case 'presence': {
        const peer = known.peers.get(record.peer);
        if (peer === undefined) return false;
        peer.presence = record.presence;
        if (!this.isSelf(peer)) this.events.push({ type: 'presence', peer });
        this.look(nowMs);
        return true;
      }
      case 'awaited':
        return this.handleAwaited(record);
      case 'end':
        this.end(nowMs, record.reason);
        return true;
      default:
        return false;
    }
  }

  /** A conversation begins. */
  private handleWelcome({ peer, expectedPeers }: WelcomeRecord): void {
    this.number = peer;
    this.expectedPeers = expectedPeers;
    this.known = new Roster(this.options.blockSizeBytes);
    this.holdings.clear();
    this.addSelf(peer);
    this.events.push({ type: 'welcome', peer, expectedPeers });
  }

  private handleAwaited({ peers: numbers, untilMs }: AwaitedRecord): boolean {
    const peers = numbers.map((number) => this.known.peers.get(number));
    if (!peers.every((peer) => peer !== undefined)) return false;
    this.events.push({ type: 'awaited', peers, untilMs: untilMs - this.clock.offsetMs });
    return true;
  }

  /** Says to the coordinator what this host brings, and notes the same. */
  private addSelf(owner: number): void {
    const { known, options } = this;
    const self = new RosterPeer(owner, options.name, options.ownKey, options.coordinator.address);
    known.add(self);
    for (const [object, { head, files }] of options.objects.entries()) {
      const { name, contentSizeBytes, contentRoot, manifestDigest } = head;
      const facts = { name, contentSizeBytes, contentRoot, manifestDigest };
      known.takeObject({ kind: 'object', owner, object, ...facts, fileCount: files.length });
      known.takeFiles({ kind: 'files', owner, object, firstFile: 0, digests: files });
    }
    for (const record of listingOf(self)) this.link.stream?.push(record);
  }

  /** Whether a peer is this host in an earlier conversation. */
  private isSelf(peer: RosterPeer): boolean {
    return peer.isHost(this.options.name, this.options.ownKey);
  }

  private begin(nowMs: TimeMs, atClockMs: number): void {
    if (this.beganAtClockMs !== undefined) return;
    this.beganAtClockMs = atClockMs;
    this.beginsAtMs = atClockMs - this.clock.offsetMs;
    this.lookAtMs = Math.max(nowMs, this.beginsAtMs);
    const uncertaintyMs = this.clock.uncertaintyMs(nowMs);
    this.events.push({ type: 'start', atMs: this.beginsAtMs, uncertaintyMs });
  }

  // --- Objects of others

  /** An object of another peer has been listed. */
  private noteObject(nowMs: TimeMs, record: Extract<ExchangeRecord, { kind: 'object' }>): boolean {
    const content = this.known.find(record)?.content;
    if (content === undefined) return false;
    if (this.isOwn(content)) return true;
    const remote = this.remotes.get(content.id);
    const owner = this.known.peers.get(record.owner)?.name ?? '';
    if (remote === undefined) {
      const created = new RemoteObject(content, record.name, owner, {
        ...this.options,
        beginsAt: this.shareOfNumber(),
        handleChange: (object) => this.remotes.touch(object),
        handleHeld: (object, start, end) => this.noteHeld(object, start, end),
        handleBlock: (atMs, object, source, block) =>
          this.options.handleBlock?.(atMs, object, this.sources.nameOf(source), block),
      });
      this.remotes.add(content.id, created);
    } else {
      // This host has begun another conversation, or another peer brings the same.
      remote.content = content;
      for (const { start, end } of remote.shared.held.ranges()) this.noteHeld(remote, start, end);
      if (remote.isStored) this.holdings.sayStored(this.number, remote.content);
    }
    if (nowMs >= this.beginsAtMs) this.lookAtMs = nowMs;
    return true;
  }

  private noteHeld({ content }: RemoteObject, start: number, end: number): void {
    this.holdings.note(this.number, content, start, end);
  }

  private isOwn(content: ExchangedContent): boolean {
    return this.options.objects.some(
      ({ head }) =>
        isEqualBytes(head.contentRoot, content.contentRoot) &&
        isEqualBytes(head.manifestDigest, content.manifestDigest),
    );
  }

  /** Peers begin at different places of an object, so that they soon have something for each other. */
  private shareOfNumber(): number {
    return ((this.number ?? 0) / Math.max(1, this.expectedPeers)) % 1;
  }

  /** Looks for sources of what is not stored yet. */
  private look(nowMs: TimeMs): void {
    if (nowMs < this.beginsAtMs || this.hasEnded) return;
    this.lookAtMs = nowMs + lookMs;
    const candidates = {
      peers: this.sources.listAfter(this.number ?? 0, this.known),
      specOf: (peer: RosterPeer) => this.sources.specOf(peer),
    };
    for (const remote of this.remotes) remote.chooseSources(nowMs, candidates);
    this.remotes.touchAll();
    for (const { fetch } of this.remotes)
      if (fetch?.sources.pacedBytesOf() !== undefined) this.usesMulticast = true;
    this.pace.update(this.number, this.known, this.usesMulticast);
  }

  /** For the sessions in which this host sends: leaves room for what other owners send to the same peers. */
  get sending(): Pick<SessionSenderOptions, 'rateLimit' | 'senderCount'> {
    const { pace } = this;
    return { rateLimit: pace.rateLimit, senderCount: () => pace.ownerCount };
  }

  private handleFetchEvent(nowMs: TimeMs, object: RemoteObject, event: FetchRoleEvent): void {
    switch (event.type) {
      case 'identify':
        this.options.port.asker.trust(nowMs, event.ask, this.refuseAsker(event.serverKey));
        break;
      case 'segment':
      case 'left':
      case 'joined':
        this.events.push({ ...event, object, source: this.sources.nameOf(event.source) });
        break;
      case 'ready':
        this.events.push({ ...event, object });
        break;
      case 'join':
      case 'leave':
        this.events.push(event);
        break;
      case 'end':
        if (event.result.status !== 'complete') {
          const { reason = '' } = event.result;
          if (!this.hasEnded) this.events.push({ type: 'failed', object, reason });
          break;
        }
        this.holdings.sayStored(this.number, object.content);
        this.storedAtMs = nowMs;
        this.events.push({ type: 'stored', object, elapsedMs: nowMs - this.beginsAtMs });
        break;
      case 'fault':
      case 'unreachable':
      case 'port-refused':
        this.events.push(event);
        break;
      default:
        break;
    }
  }

  // --- The end

  /** This host does not take part any more, or never did. */
  private refuse(nowMs: TimeMs, reason: string): void {
    this.end(nowMs, reason, true);
    this.link.close(nowMs);
  }

  private end(nowMs: TimeMs, reason: string, isRefused = false): void {
    if (this.hasEnded) return;
    this.hasEnded = true;
    this.lookAtMs = Infinity;
    for (const remote of this.remotes) remote.abort(nowMs, 'the exchange is over');
    this.remotes.touchAll();
    const isWhole = [...this.remotes].every(({ isStored }) => isStored);
    const overAtMs = isWhole ? this.storedAtMs : nowMs;
    const elapsedMs = Math.max(0, overAtMs - this.beginsAtMs);
    this.events.push({ type: 'end', reason, elapsedMs, isRefused });
  }
}
