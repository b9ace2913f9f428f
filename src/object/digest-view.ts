/**
 * The digests that matter to receivers that all keep the same blocks (SESSIONS 6.1): which blocks the sender
 * must have read before it can give these receivers a root, and that root.
 */
import type { Hash } from '../base/hash.js';
import type { Range, RangeSet } from '../base/range-set.js';
import type { DigestTree } from './digest-tree.js';
import { MaskedTree } from './masked-tree.js';

/** A place in the blocks that a view needs. */
interface Cursor {
  /** The index of a range in `needed`. */
  range: number;
  block: number;
}

export class DigestView {
  /** The number of receivers with this view. */
  users = 0;
  /** The value of `completeAt`, once it is defined. */
  private completeAtCount: number | undefined;
  private readonly needed: readonly Range[];
  private readonly known: Cursor = { range: 0, block: 0 };
  private readonly asked: Cursor = { range: 0, block: 0 };
  private masked: MaskedTree | undefined;

  /** @param kept blocks that these receivers keep, numbered within the content */
  constructor(
    private readonly hash: Hash,
    private readonly tree: DigestTree,
    private readonly kept: RangeSet,
  ) {
    this.needed = tree.blockCount === 0 ? [] : [...kept.gaps(0, tree.blockCount)];
  }

  /**
   * The number of known digests when this view was found to have all digests that it needs; undefined before
   * that. The source must be checked after that point.
   */
  get completeAt(): number | undefined {
    if (this.completeAtCount === undefined) {
      const isMissing = this.advance(this.known, (block) => !this.tree.has(block));
      if (!isMissing) this.completeAtCount = this.tree.count;
    }
    return this.completeAtCount;
  }

  /**
   * The next block to read for these receivers. Each block is returned at most once.
   * @param isTaken whether the block was read already or is being read
   */
  nextToRead(isTaken: (block: number) => boolean): number | undefined {
    const { asked } = this;
    if (!this.advance(asked, (block) => !isTaken(block))) return undefined;
    return asked.block++;
  }

  /** The first block from this one on that these receivers do not keep. */
  nextWanted(block: number): number | undefined {
    const next = this.kept.nextOutside(block);
    return next < this.tree.blockCount ? next : undefined;
  }

  /** The root that these receivers compute if all their blocks are right; `completeAt` must be defined. */
  root(): Uint8Array {
    return this.source.root();
  }

  /** Nodes of the digest tree of these receivers; `completeAt` must be defined. */
  nodes(height: number, firstNode: number, count: number): Uint8Array {
    return this.source.nodes(height, firstNode, count);
  }

  private get source(): Pick<MaskedTree, 'root' | 'nodes'> {
    if (this.kept.isEmpty) return this.tree;
    this.masked ??= new MaskedTree(this.hash, this.tree, this.kept);
    return this.masked;
  }

  /** Moves the cursor to the next needed block that `isFound` accepts. @returns whether there is one */
  private advance(cursor: Cursor, isFound: (block: number) => boolean): boolean {
    for (; cursor.range < this.needed.length; cursor.range++) {
      const { start, end } = this.needed[cursor.range] as Range;
      cursor.block = Math.max(cursor.block, start);
      for (; cursor.block < end; cursor.block++) if (isFound(cursor.block)) return true;
    }
    return false;
  }
}

/** The views of all receivers of a session. Receivers that keep the same blocks share one. */
export class DigestViews {
  private readonly views = new Map<string, DigestView>();

  constructor(
    private readonly hash: Hash,
    readonly tree: DigestTree,
  ) {}

  /**
   * Opens the view of a receiver that has announced all blocks that it keeps.
   * @param kept a set that no longer changes
   */
  open(kept: RangeSet): DigestView {
    const key = [...kept.ranges()].map(({ start, end }) => `${start}-${end}`).join();
    const view = this.views.get(key) ?? new DigestView(this.hash, this.tree, kept);
    this.views.set(key, view);
    view.users++;
    return view;
  }

  /** Closes the view of a receiver that has its outcome or starts over. */
  close(view: DigestView): void {
    view.users--;
    if (view.users > 0) return;
    for (const [key, each] of this.views) if (each === view) this.views.delete(key);
  }

  /** The first block from this one on that some receiver does not keep. */
  nextWanted(block: number): number | undefined {
    let first: number | undefined;
    for (const view of this.views.values()) {
      const next = view.nextWanted(block);
      if (next === block) return next;
      if (next !== undefined) first = Math.min(first ?? next, next);
    }
    return first;
  }

  /** Whether a view became complete only when more than `count` digests were known. */
  isAnyCompleteAfter(count: number): boolean {
    for (const { completeAt } of this.views.values()) {
      if (completeAt !== undefined && completeAt > count) return true;
    }
    return false;
  }
}
