/**
 * Keeps the owners of an exchange together. All that arrives at a peer shares its downlink, so an owner that is ahead of
 * the others only delays them, and the last of them end the exchange. An owner that is ahead of most others therefore
 * sends no faster than they do. Congestion control does the rest.
 */
import { at } from '../../base/assert.js';
import type { TimeMs } from '../../base/machine.js';
import { RateLimit } from '../../path/pacer.js';
import type { ExchangedContent, Roster, RosterPeer } from './roster.js';

/** How far an owner was: the share of its content that had arrived, from 0 to 1. */
interface Seen {
  readonly atMs: TimeMs;
  readonly share: number;
}

/** Speed is measured over this time. */
const measuredMs = 1000;

/** A lead is given up within this time. */
const catchUpMs = 1000;

/** A lead costs at most this share of the speed. */
const leastShare = 0.5;

export class EvenPace {
  /** For all sessions in which this peer sends. */
  readonly rateLimit: RateLimit;
  /** What was seen of each owner lately, by its number. */
  private readonly seen = new Map<number, Seen[]>();
  private ownSeen: Seen[] = [];
  private fastest = 0;

  constructor(
    private readonly blockSizeBytes: number,
    rateBytesPerSec = Infinity,
  ) {
    this.rateLimit = new RateLimit(rateBytesPerSec);
  }

  /**
   * Sets the limit.
   * @param number that of this peer, if it has one
   * @param heldCount the number of blocks that this peer holds of what others bring
   */
  update(
    nowMs: TimeMs,
    number: number | undefined,
    { peers }: Roster,
    heldCount: (content: ExchangedContent) => number,
  ): void {
    const own = number === undefined ? undefined : peers.get(number);
    const ownBlocks = own === undefined ? 0 : blockCountOf(own);
    if (own === undefined || ownBlocks === 0) return;
    const shares = new Map<number, number>();
    let [receiverCount, receivedBlocks] = [0, 0];
    for (const peer of peers.values()) {
      if (peer === own || !peer.isPresent) continue;
      receiverCount++;
      receivedBlocks += sum(own, (content) => peer.holdings.get(content)?.count ?? 0);
      const blocks = blockCountOf(peer);
      if (blocks > 0) shares.set(peer.number, sum(peer, heldCount) / blocks);
    }
    const share = receivedBlocks / Math.max(1, receiverCount) / ownBlocks;
    const sharePerMs = this.limit(nowMs, share, shares);
    this.rateLimit.lowerTo(1000 * sharePerMs * ownBlocks * this.blockSizeBytes);
  }

  /**
   * @param own how far the others are with what this peer brings
   * @param others how far this peer is with what others bring, by their numbers
   * @returns the share of its own content that this peer may send in a millisecond; Infinity for no limit
   */
  limit(nowMs: TimeMs, own: number, others: ReadonlyMap<number, number>): number {
    this.ownSeen = note(this.ownSeen, nowMs, own);
    this.fastest = Math.max(this.fastest, speedOf(this.ownSeen));
    for (const number of this.seen.keys()) if (!others.has(number)) this.seen.delete(number);
    const shares: [number, number][] = [];
    for (const [number, share] of others) {
      this.seen.set(number, note(this.seen.get(number) ?? [], nowMs, share));
      shares.push([share, number]);
    }
    // What one other owner sends shares no link with what this peer sends.
    if (shares.length < 2) return Infinity;
    shares.sort(([a], [b]) => a - b);
    const [share, number] = at(shares, (shares.length - 1) >> 1);
    const lead = own - share;
    const speed = speedOf(this.seen.get(number) ?? []);
    // An owner that stands still needs no room.
    if (lead <= 0 || speed <= 0) return Infinity;
    const wanted = Math.max(speed - lead / catchUpMs, leastShare * speed);
    // Its even share of a link is no less.
    return Math.max(wanted, this.fastest / shares.length);
  }
}

/** @returns a number of blocks, summed over what a peer brings */
function sum({ objects }: RosterPeer, countOf: (content: ExchangedContent) => number): number {
  return objects.reduce((count, { content }) => count + countOf(content), 0);
}

function blockCountOf(peer: RosterPeer): number {
  return sum(peer, ({ blockCount }) => blockCount);
}

/** @returns what was seen, from `measuredMs` ago */
function note(seen: readonly Seen[], atMs: TimeMs, share: number): Seen[] {
  const recent = seen.filter((_, i) => (seen[i + 1]?.atMs ?? atMs) > atMs - measuredMs);
  return [...recent, { atMs, share }];
}

/** In shares per millisecond; 0 if not enough was seen. */
function speedOf(seen: readonly Seen[]): number {
  const [first, last] = [seen[0], seen.at(-1)];
  if (first === undefined || last === undefined || last.atMs - first.atMs < measuredMs / 2)
    return 0;
  return (last.share - first.share) / (last.atMs - first.atMs);
}
