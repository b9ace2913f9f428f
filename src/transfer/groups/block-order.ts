/** The order in which a rate group opens the blocks that its members need. */
import type { DigestViews } from '../../object/digest-view.js';
import type { SessionGeometry } from '../../object/geometry.js';
import type { BlockWindow } from '../block-window.js';
import type { Demand } from '../demand.js';
import type { SessionBlock } from '../sealed-block.js';

export class BlockOrder {
  /** The next content block to consider. */
  private cursor: number;
  private isContentOpen = false;

  /**
   * @param digests the digests of the blocks that have been read, and what receivers need of them
   * @param isFirstPass whether to begin with the blocks that digests need, even if nobody misses them
   */
  constructor(
    private readonly geometry: SessionGeometry,
    private readonly digests: DigestViews,
    private isFirstPass: boolean,
  ) {
    this.cursor = geometry.manifestBlockCount;
  }

  /** Whether blocks of the content follow, not only those of the manifest. */
  setContentOpen(isOpen: boolean): void {
    this.isContentOpen = isOpen;
  }

  /**
   * The next block to open. The manifest comes first. The first pass covers all blocks that the digests need.
   * Later passes cover the blocks that receivers still miss, because they joined late or a block was damaged.
   * @param window the blocks in flight, which are not opened again
   */
  next(members: readonly Demand[], window: BlockWindow<SessionBlock>): number | undefined {
    const { digests, geometry } = this;
    const { manifestBlockCount, blockCount } = geometry;
    const manifestBlock = nextNeeded(members, window, 0);
    if (manifestBlock !== undefined && manifestBlock < manifestBlockCount) return manifestBlock;
    if (!this.isContentOpen) return undefined;
    this.isFirstPass &&= !digests.tree.isComplete && this.cursor < blockCount;
    while (this.isFirstPass && this.cursor < blockCount) {
      const place = digests.nextWanted(this.cursor - manifestBlockCount);
      const index = manifestBlockCount + (place ?? digests.tree.blockCount);
      this.cursor = index + 1;
      if (place === undefined) continue;
      if (!digests.tree.has(place) || members.some((member) => member.wants(index))) return index;
    }
    this.isFirstPass = false;
    for (;;) {
      const next = nextNeeded(members, window, this.cursor);
      if (next !== undefined) {
        this.cursor = next + 1;
        return next;
      }
      if (this.cursor === manifestBlockCount) return undefined;
      this.cursor = manifestBlockCount;
    }
  }
}

/** The first block from this one on that a member wants and that is not in flight. */
function nextNeeded(
  members: readonly Demand[],
  window: BlockWindow<SessionBlock>,
  from: number,
): number | undefined {
  let first: number | undefined;
  for (const member of members) {
    let next = member.nextWanted(from);
    while (next !== undefined && window.find(next) !== undefined) {
      next = member.nextWanted(next + 1);
    }
    if (next !== undefined && (first === undefined || next < first)) first = next;
  }
  return first;
}
