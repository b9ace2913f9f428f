/**
 * Who takes part in an exchange, what each peer brings, and what each of them holds. The coordinator and each peer keep
 * one. Content that several peers bring is there once.
 */
import type { Address } from '../../base/address.js';
import { RangeSet } from '../../base/range-set.js';
import { isEqualBytes, toHex } from '../../wire/byte-codec.js';
import type {
  ExchangedId,
  FileDigests,
  FilesRecord,
  HeldRecord,
  ObjectRecord,
  Presence,
} from '../../wire/exchange-records.js';

/** The content and the entries of an object, which several peers can bring. */
export interface ExchangedContent {
  /** In hexadecimal: content root and manifest digest. */
  readonly id: string;
  readonly contentRoot: Uint8Array;
  readonly manifestDigest: Uint8Array;
  readonly contentSizeBytes: number;
  readonly blockCount: number;
  /** The peers that bring it, in the order in which they did. */
  readonly owners: RosterPeer[];
}

/** An object as its owner lists it. */
export interface RosterObject extends ExchangedId {
  readonly name: string;
  readonly content: ExchangedContent;
  readonly fileCount: number;
  /** The digests of its files, in the order of its manifest, as far as they have arrived. */
  readonly files: FileDigests[];
}

export class RosterPeer {
  readonly objects: RosterObject[] = [];
  /** Whether all of its objects are known. */
  isListed = false;
  presence: Presence = 'present';
  /** Whether it has joined again, and so has another number. */
  isReplaced = false;
  /** What it holds of the content of others, and of its own. */
  readonly holdings = new Map<ExchangedContent, RangeSet>();
  /** What it has stored under final names. */
  readonly stored = new Set<ExchangedContent>();

  constructor(
    readonly number: number,
    readonly name: string,
    readonly key: Uint8Array,
    public address: Address,
  ) {}

  /** Whether the coordinator hears of it. */
  get isPresent(): boolean {
    return this.presence === 'present';
  }

  /** Whether it is this host, maybe in another conversation. */
  isHost(name: string, key: Uint8Array): boolean {
    return this.name === name && isEqualBytes(this.key, key);
  }

  /** What it brings. */
  brings(content: ExchangedContent): boolean {
    return content.owners.includes(this);
  }

  holdingOf(content: ExchangedContent): RangeSet {
    let holding = this.holdings.get(content);
    if (holding === undefined) {
      holding = new RangeSet();
      this.holdings.set(content, holding);
    }
    return holding;
  }

  /** It has joined again. Its list is replaced by that of the later conversation. */
  replace(): void {
    this.isReplaced = true;
    for (const { files } of this.objects) files.length = 0;
  }

  /** The number of its files. */
  get fileCount(): number {
    return this.objects.reduce((sum, { fileCount }) => sum + fileCount, 0);
  }

  /** Whether it holds a block that is not among these. */
  holdsBeyond(content: ExchangedContent, blocks: RangeSet): boolean {
    for (const { start, end } of this.holdings.get(content)?.ranges() ?? [])
      if (!blocks.gaps(start, end)[Symbol.iterator]().next().done) return true;
    return false;
  }
}

export class Roster {
  readonly peers = new Map<number, RosterPeer>();
  private readonly contentsById = new Map<string, ExchangedContent>();

  constructor(private readonly blockSizeBytes: number) {}

  get contents(): Iterable<ExchangedContent> {
    return this.contentsById.values();
  }

  /** The number of files of the peers that are present. */
  get fileCount(): number {
    let count = 0;
    for (const peer of this.peers.values()) if (peer.isPresent) count += peer.fileCount;
    return count;
  }

  add(peer: RosterPeer): void {
    this.peers.set(peer.number, peer);
  }

  find({ owner, object }: ExchangedId): RosterObject | undefined {
    return this.peers.get(owner)?.objects[object];
  }

  /** An object that its owner brings. @returns false unless it is the next one of a peer whose list is not complete */
  takeObject(record: ObjectRecord): boolean {
    const peer = this.peers.get(record.owner);
    if (peer === undefined || peer.isListed || record.object !== peer.objects.length) return false;
    const { owner, object, name, fileCount } = record;
    const content = this.contentOf(record);
    if (!content.owners.includes(peer)) content.owners.push(peer);
    peer.objects.push({ owner, object, name, fileCount, content, files: [] });
    if (content.blockCount > 0) peer.holdingOf(content).add(0, content.blockCount);
    peer.stored.add(content);
    return true;
  }

  private contentOf(record: ObjectRecord): ExchangedContent {
    const { contentRoot, manifestDigest, contentSizeBytes } = record;
    const id = `${toHex(contentRoot)} ${toHex(manifestDigest)} ${contentSizeBytes}`;
    const known = this.contentsById.get(id);
    if (known !== undefined) return known;
    const blockCount = Math.ceil(contentSizeBytes / this.blockSizeBytes);
    const digests = { contentRoot, manifestDigest };
    const content = { id, ...digests, contentSizeBytes, blockCount, owners: [] };
    this.contentsById.set(id, content);
    return content;
  }

  /** @returns false unless they are the next ones of an object */
  takeFiles(record: FilesRecord): boolean {
    const found = this.find(record);
    if (found === undefined || record.firstFile !== found.files.length) return false;
    if (found.files.length + record.digests.length > found.fileCount) return false;
    found.files.push(...record.digests);
    return true;
  }

  /** @returns what is held of which content; undefined if there is no such object, peer or block */
  takeHeld(record: HeldRecord): ExchangedContent | undefined {
    const holder = this.peers.get(record.holder);
    const content = this.find(record)?.content;
    if (holder === undefined || content === undefined) return undefined;
    if ((record.ranges.at(-1)?.end ?? 0) > content.blockCount) return undefined;
    for (const { start, end } of record.ranges) holder.holdingOf(content).add(start, end);
    return content;
  }
}
