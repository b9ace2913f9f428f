/** How often each missing block was lost by a source that was asked for it. */
import { RangeSet } from '../../base/range-set.js';

export class Retries {
  /** The set at place i has the blocks that were lost more than i times. Each set contains the next one. */
  private readonly levels: RangeSet[] = [];

  /** The blocks were lost once more. */
  add(startBlock: number, endBlock: number): void {
    let block = startBlock;
    while (block < endBlock) {
      const end = this.runEnd(block, endBlock);
      const count = this.countOf(block);
      if (count === this.levels.length) this.levels.push(new RangeSet());
      this.levels[count]?.add(block, end);
      block = end;
    }
  }

  countOf(block: number): number {
    let count = 0;
    while (this.levels[count]?.has(block)) count++;
    return count;
  }

  /** The end (exclusive, at most `endBlock`) of the run of blocks that were lost as often as this one. */
  runEnd(block: number, endBlock: number): number {
    const count = this.countOf(block);
    const end = this.levels[count - 1]?.nextOutside(block) ?? endBlock;
    return Math.min(end, endBlock, this.levels[count]?.nextFrom(block) ?? endBlock);
  }

  /** The block has arrived. */
  delete(block: number): void {
    for (const level of this.levels) level.remove(block, block + 1);
    while (this.levels.at(-1)?.isEmpty) this.levels.pop();
  }
}
