/**
 * Coordinates an exchange: waits for the peers, makes them known to each other, starts them by one clock, passes on who
 * holds what, and ends the exchange when everybody has everything that exists. It never carries content. All that it
 * knows comes from the peers, so a coordinator that is restarted learns it again.
 */
import type { Address } from '../../base/address.js';
import type { TimeMs } from '../../base/machine.js';
import { Queue } from '../../base/queue.js';
import { RangeSet } from '../../base/range-set.js';
import { isEqualBytes } from '../../wire/byte-codec.js';
import type { ExchangeMessage } from '../../wire/exchange.js';
import type { ExchangeRecord, JoinRecord, Presence } from '../../wire/exchange-records.js';
import { exchangeLimits } from '../../wire/exchange-records.js';
import type { CoordinatorEvent } from './coordinator-events.js';
import { isFolderName } from './folder-name.js';
import { listingOf } from './listing.js';
import { Member } from './member.js';
import { Members } from './members.js';
import type { ExchangedContent } from './roster.js';
import { Roster, RosterPeer } from './roster.js';

export interface CoordinatorOptions {
  /** The exchange begins when so many peers are there. */
  readonly expectedPeers: number;
  /** The exchange begins after this time with the peers that are there, if there are two; never by default. */
  readonly startAfterMs?: number;
  /** What to add to the machine's time to get the system clock that peers see; 0 by default. */
  readonly clockOffsetMs?: number;
  readonly blockSizeBytes: number;
  /** A peer that is silent for this long is absent; 5 s by default. */
  readonly absentAfterMs?: number;
  /** A peer that is silent for this long must join again; 30 s by default. */
  readonly goneAfterMs?: number;
  /**
   * A peer that was lost may come back for this time with what no other peer has, or for what it misses if it has fallen
   * silent; 10 s by default.
   */
  readonly rejoinWithinMs?: number;
  /** The exchange ends if nobody gets anything for this time; 60 s by default. */
  readonly stalledAfterMs?: number;
}

/** The time from the decision to start until the start. It lets the message arrive at all peers. */
const startLeadMs = 200;

/** How often to find out who is silent, and whether the exchange is over. */
const lookMs = 200;

/** How long the end is repeated for peers that do not confirm it. */
const farewellMs = 5000;

export class Coordinator {
  readonly roster: Roster;
  private readonly members = new Members();
  private readonly events = new Queue<CoordinatorEvent>();
  private readonly outgoing = new Queue<{ channel: number; message: ExchangeMessage }>();
  private nextNumber = 0;
  private startDeadlineMs: TimeMs | undefined;
  private beginsAtMs: TimeMs | undefined;
  private endedAtMs: TimeMs | undefined;
  private progressAtMs: TimeMs = -Infinity;
  /** When peers that are absent were lost. */
  private readonly lostAtMs = new Map<RosterPeer, TimeMs>();
  private awaited: Awaited = { untilMs: -Infinity, peers: [] };
  private lookAtMs: TimeMs = -Infinity;

  constructor(private readonly options: CoordinatorOptions) {
    this.roster = new Roster(options.blockSizeBytes);
  }

  /** When the exchange begins or began, by the machine's time; undefined until that is known. */
  get startMs(): TimeMs | undefined {
    return this.beginsAtMs;
  }

  /** Whether the exchange is over, and the peers know that. */
  get isDone(): boolean {
    return this.endedAtMs !== undefined && this.members.size === 0;
  }

  private get clockOffsetMs(): number {
    return this.options.clockOffsetMs ?? 0;
  }

  private get present(): Member[] {
    return [...this.members.listed()].filter((each) => each.isPresent);
  }

  // --- Inputs and outputs

  start(nowMs: TimeMs): void {
    this.lookAtMs = nowMs;
    const { startAfterMs } = this.options;
    if (startAfterMs !== undefined) this.startDeadlineMs = nowMs + startAfterMs;
  }

  /** @returns why the host does not take part, or not any more; undefined if the message was taken */
  takeMessage(
    nowMs: TimeMs,
    channel: number,
    from: Address,
    key: Uint8Array,
    message: ExchangeMessage,
  ): string | undefined {
    let member = this.members.find(channel);
    if (member === undefined) {
      if (this.endedAtMs !== undefined) return 'the exchange is over';
      if (this.members.size >= maxMembers) return `${maxMembers} peers take part already`;
      member = new Member(nowMs, channel, key, from, this.clockOffsetMs);
      this.members.add(member);
    }
    member.heardAtMs = nowMs;
    this.notePresence(nowMs, member, 'present');
    for (const record of member.stream.take(nowMs, message) ?? []) {
      if (record.kind === 'leave') return this.dismiss(nowMs, member);
      const refusal =
        this.refusalOf(member, record) ??
        (this.takeRecord(nowMs, member, record) ? undefined : 'sent a record that makes no sense');
      if (refusal === undefined) continue;
      this.forget(nowMs, member);
      return refusal;
    }
    this.advance(nowMs);
    return undefined;
  }

  handleTimeout(nowMs: TimeMs): void {
    if (nowMs >= this.lookAtMs) {
      this.lookAtMs = nowMs + lookMs;
      this.noteSilent(nowMs);
      this.startIfReady(nowMs);
      this.endIfOver(nowMs);
    }
    this.advance(nowMs);
  }

  pollTimeout(): TimeMs | undefined {
    return this.isDone ? undefined : Math.min(this.lookAtMs, this.members.dueAtMs);
  }

  pollMessage(): { readonly channel: number; readonly message: ExchangeMessage } | undefined {
    return this.outgoing.shift();
  }

  pollEvent(): CoordinatorEvent | undefined {
    return this.events.shift();
  }

  /** Ends the exchange. */
  end(nowMs: TimeMs, reason: string): void {
    if (this.endedAtMs !== undefined) return;
    this.endedAtMs = nowMs;
    for (const member of this.members) {
      member.tellAll();
      member.stream.push({ kind: 'end', reason });
    }
    const elapsedMs = Math.max(0, this.progressAtMs - (this.beginsAtMs ?? nowMs));
    this.events.push({ type: 'end', reason, elapsedMs });
    this.advance(nowMs);
  }

  private advance(nowMs: TimeMs): void {
    const hasEnded = this.endedAtMs !== undefined;
    for (const member of hasEnded ? [...this.members] : this.members.due(nowMs)) {
      member.tellHeld(nowMs);
      const { channel, stream } = member;
      for (let message = stream.poll(nowMs); message; message = stream.poll(nowMs))
        this.outgoing.push({ channel, message });
      const isTold = hasEnded && stream.isIdle;
      if (isTold || nowMs >= (this.endedAtMs ?? Infinity) + farewellMs) this.forget(nowMs, member);
    }
  }

  // --- Records

  /** Why a peer may not take part with what it says of itself; undefined if it may. */
  private refusalOf(member: Member, record: ExchangeRecord): string | undefined {
    if (record.kind === 'join') {
      if (!isFolderName(record.name))
        return `its name ${record.name} cannot be that of a folder; choose another with --name`;
      for (const { name, key, isPresent } of this.roster.peers.values())
        if (name === record.name && isPresent && !isEqualBytes(key, member.key))
          return `another peer is called ${name}; choose another name with --name`;
    } else if (record.kind === 'object' && member.peer !== undefined) {
      const { files, filesPerPeer } = exchangeLimits;
      const ownCount = member.peer.fileCount + record.fileCount;
      if (ownCount > filesPerPeer)
        return `brings more than ${filesPerPeer} files; pack them into an archive`;
      if (this.roster.fileCount + record.fileCount > files)
        return `the peers bring more than ${files} files; pack them into archives`;
    }
    return undefined;
  }

  /** @returns false if the record makes no sense */
  private takeRecord(nowMs: TimeMs, member: Member, record: ExchangeRecord): boolean {
    const { roster } = this;
    const { peer } = member;
    if (record.kind === 'join') return peer === undefined && this.join(nowMs, member, record);
    if (peer === undefined) return false;
    switch (record.kind) {
      case 'object':
        return record.owner === peer.number && roster.takeObject(record);
      case 'files':
        return record.owner === peer.number && roster.takeFiles(record);
      case 'listed':
        this.introduce(nowMs, member, peer);
        return true;
      case 'held': {
        const content = record.holder === peer.number ? roster.takeHeld(record) : undefined;
        if (content === undefined) return false;
        this.progressAtMs = nowMs;
        this.events.push({ type: 'held', peer, content, atMs: nowMs - (this.beginsAtMs ?? nowMs) });
        for (const other of this.members.listed(member))
          for (const { start, end } of record.ranges)
            other.deltas.add(peer.number, record, start, end);
        return true;
      }
      case 'stored': {
        const object = roster.find(record);
        if (record.holder !== peer.number || object === undefined) return false;
        peer.stored.add(object.content);
        this.progressAtMs = nowMs;
        this.lookAtMs = nowMs;
        for (const { deltas } of this.members.listed(member)) deltas.addStored(record);
        const atMs = nowMs - (this.beginsAtMs ?? nowMs);
        this.events.push({ type: 'stored', peer, object, atMs });
        return true;
      }
      default:
        return false;
    }
  }

  private join(nowMs: TimeMs, member: Member, { name, beganAtMs }: JoinRecord): boolean {
    const { key, address, stream } = member;
    // Its earlier life is over.
    for (const other of [...this.members])
      if (other.peer?.isHost(name, key)) this.dismiss(nowMs, other);
    for (const peer of this.roster.peers.values()) if (peer.isHost(name, key)) peer.replace();
    const number = this.nextNumber++;
    if (number >= exchangeLimits.peers) return false;
    member.peer = new RosterPeer(number, name, key, address);
    this.roster.add(member.peer);
    stream.push({ kind: 'welcome', peer: number, expectedPeers: this.options.expectedPeers });
    // This coordinator was restarted.
    if (beganAtMs !== undefined) this.beginsAtMs ??= beganAtMs - this.clockOffsetMs;
    return true;
  }

  /** The objects of a peer are known: makes it known to the others, and the others to it. */
  private introduce(nowMs: TimeMs, member: Member, peer: RosterPeer): void {
    if (peer.isListed) return;
    peer.isListed = true;
    const others = [...this.roster.peers.values()].filter(
      (other) => other !== peer && other.isListed,
    );
    for (const other of others) this.describe(member, other);
    // Now the peer knows all objects.
    for (const other of others) this.describeHoldings(member, other);
    for (const other of this.members.listed(member)) this.describe(other, peer);
    this.events.push({ type: 'joined', peer });
    if (this.beginsAtMs !== undefined) this.sendStart(member, this.beginsAtMs);
    this.startIfReady(nowMs);
  }

  private describe({ stream }: Member, peer: RosterPeer): void {
    const { number, name, key, address } = peer;
    stream.push({ kind: 'peer', peer: number, name, key, ...address });
    for (const record of listingOf(peer)) stream.push(record);
  }

  private describeHoldings({ stream, deltas }: Member, peer: RosterPeer): void {
    const { number, presence } = peer;
    if (presence !== 'present') {
      stream.push({ kind: 'presence', peer: number, presence });
      return;
    }
    for (const [content, holding] of peer.holdings) {
      const [id] = this.idsOf(content);
      if (id === undefined || peer.brings(content)) continue;
      for (const { start, end } of holding.ranges()) deltas.add(number, id, start, end);
      if (peer.stored.has(content)) stream.push({ kind: 'stored', holder: number, ...id });
    }
  }

  /** Under which numbers content is known. */
  private *idsOf(content: ExchangedContent) {
    for (const { objects } of content.owners)
      for (const { owner, object, content: own } of objects)
        if (own === content) yield { owner, object };
  }

  // --- Start

  private startIfReady(nowMs: TimeMs): void {
    if (this.beginsAtMs !== undefined) return;
    const { present } = this;
    const isLate = nowMs >= (this.startDeadlineMs ?? Infinity) && present.length >= 2;
    if (present.length < this.options.expectedPeers && !isLate) return;
    this.beginsAtMs = nowMs + startLeadMs;
    for (const member of this.members.listed()) this.sendStart(member, this.beginsAtMs);
    this.events.push({ type: 'start', atMs: this.beginsAtMs });
  }

  private sendStart({ stream }: Member, beginsAtMs: TimeMs): void {
    stream.push({ kind: 'start', atMs: beginsAtMs + this.clockOffsetMs });
  }

  // --- Presence

  private noteSilent(nowMs: TimeMs): void {
    const { absentAfterMs = 5000, goneAfterMs = 30_000 } = this.options;
    for (const member of [...this.members]) {
      const silentMs = nowMs - member.heardAtMs;
      if (silentMs >= absentAfterMs) this.notePresence(nowMs, member, 'silent');
      if (silentMs >= goneAfterMs) this.forget(nowMs, member);
    }
  }

  private notePresence(nowMs: TimeMs, member: Member, presence: Presence): void {
    const { peer } = member;
    if (peer === undefined || peer.presence === presence) return;
    const isPresent = presence === 'present';
    // It was noted when the peer fell silent.
    if (peer.isPresent) this.lostAtMs.set(peer, nowMs);
    else if (isPresent) this.lostAtMs.delete(peer);
    peer.presence = presence;
    this.lookAtMs = nowMs;
    this.events.push({ type: isPresent ? 'back' : 'absent', peer });
    for (const { stream } of this.members.listed(member))
      stream.push({ kind: 'presence', peer: peer.number, presence });
  }

  /** The conversation is over. What the peer holds is out of reach. */
  private forget(nowMs: TimeMs, member: Member): void {
    if (this.endedAtMs === undefined && member.isPresent)
      this.notePresence(nowMs, member, 'silent');
    this.members.delete(member);
  }

  /** The peer leaves. @returns the answer to this, and to everything that it repeats */
  private dismiss(nowMs: TimeMs, member: Member): string {
    if (this.endedAtMs === undefined) this.notePresence(nowMs, member, 'left');
    this.forget(nowMs, member);
    return 'has left the exchange';
  }

  // --- End

  private endIfOver(nowMs: TimeMs): void {
    const { beginsAtMs, present, progressAtMs } = this;
    const { stalledAfterMs = 60_000 } = this.options;
    if (beginsAtMs === undefined || nowMs < beginsAtMs || this.endedAtMs !== undefined) return;
    if (present.length === 0) {
      if (this.members.size === 0) this.end(nowMs, 'all peers are gone');
      return;
    }
    const incomplete: ExchangedContent[] = [];
    for (const content of this.roster.contents) {
      if (present.every(({ peer }) => peer?.stored.has(content) === true)) continue;
      if (!this.isOverFor(content)) {
        this.await(nowMs, []);
        const sinceMs = Math.max(progressAtMs, beginsAtMs);
        if (nowMs - sinceMs >= stalledAfterMs)
          this.end(nowMs, `nobody got anything for ${stalledAfterMs / 1000} s`);
        return;
      }
      incomplete.push(content);
    }
    this.await(nowMs, this.listAwaited(nowMs, incomplete));
    if (nowMs < this.awaited.untilMs || this.isAnyListing) return;
    const names = incomplete.flatMap(({ owners }) => owners.map(({ name }) => name));
    const text = [...new Set(names)].join(', ');
    this.end(nowMs, text === '' ? '' : `not everything from ${text} is left at any peer`);
  }

  /** Whether a peer has joined whose objects are not all known yet. */
  private get isAnyListing(): boolean {
    const peers = [...this.members].map(({ peer }) => peer);
    return peers.some((peer) => peer?.isPresent === true && !peer.isListed);
  }

  /** The blocks that peers which are present hold. */
  private blocksThere(content: ExchangedContent): RangeSet {
    const there = new RangeSet();
    for (const { peer } of this.present)
      for (const { start, end } of peer?.holdings.get(content)?.ranges() ?? [])
        there.add(start, end);
    return there;
  }

  /** Whether content is not there as a whole, and each peer has what there is of it. */
  private isOverFor(content: ExchangedContent): boolean {
    const { count } = this.blocksThere(content);
    if (count === content.blockCount) return false;
    return this.present.every(({ peer }) => (peer?.holdings.get(content)?.count ?? 0) === count);
  }

  /** The lost peers that may come back, with more of this content than all others have, or for what they miss. */
  private *listAwaited(
    nowMs: TimeMs,
    incomplete: readonly ExchangedContent[],
  ): Iterable<readonly [RosterPeer, TimeMs]> {
    const { rejoinWithinMs = 10_000 } = this.options;
    for (const [peer, lostAtMs] of this.lostAtMs) {
      const untilMs = lostAtMs + rejoinWithinMs;
      if (peer.isReplaced || nowMs >= untilMs) continue;
      const hasMore = incomplete.some((content) =>
        peer.holdsBeyond(content, this.blocksThere(content)),
      );
      const misses = [...this.roster.contents].some((content) => !peer.stored.has(content));
      // Who says that it leaves wants no more.
      if (hasMore || (misses && peer.presence === 'silent')) yield [peer, untilMs];
    }
  }

  /** Waits for these peers until these times, if there are any. */
  private await(nowMs: TimeMs, awaited: Iterable<readonly [RosterPeer, TimeMs]>): void {
    const peers: RosterPeer[] = [];
    let untilMs = -Infinity;
    for (const [peer, peerUntilMs] of awaited) {
      peers.push(peer);
      untilMs = Math.max(untilMs, peerUntilMs);
    }
    if (untilMs === this.awaited.untilMs && peers.length === this.awaited.peers.length) return;
    this.awaited = { untilMs, peers };
    this.events.push({ type: 'awaited', peers, forMs: Math.max(0, untilMs - nowMs) });
    const record = {
      ...{ kind: 'awaited' as const, peers: peers.map(({ number }) => number) },
      untilMs: peers.length === 0 ? 0 : untilMs + this.clockOffsetMs,
    };
    for (const { stream } of this.members.listed()) stream.push(record);
  }
}

/** Peers that were lost and may come back, and until when. */
interface Awaited {
  readonly untilMs: TimeMs;
  readonly peers: readonly RosterPeer[];
}

/** Fewer than an `AskListener` has channels. */
const maxMembers = 1000;
