/** What is withdrawn of an object, because its sender can no longer read it (SESSIONS 6.12). */
import type { Range } from '../base/range-set.js';
import { RangeSet } from '../base/range-set.js';
import type { WithdrawalReason } from '../wire/withdrawn.js';

/** An entry that is withdrawn. */
export interface WithdrawnEntry {
  /** Its number in the manifest. */
  readonly index: number;
  readonly reason: WithdrawalReason;
  /** Where it is in the content; of size 0 unless it is a file. */
  readonly offsetBytes: number;
  readonly sizeBytes: number;
}

/** @returns the reason as text for users, after the name of the entry */
export function describeWithdrawal(reason: WithdrawalReason): string {
  switch (reason) {
    case 'removed':
      return 'was removed while it was being sent';
    case 'replaced':
      return 'was replaced while it was being sent';
    case 'shortened':
      return 'became shorter while it was being sent';
    case 'permission-denied':
      return 'permission denied while it was being sent';
    case 'io-error':
      return 'disk I/O error while it was being sent';
    case 'unreadable':
      return 'could not be read any more while it was being sent';
  }
}

export class WithdrawnContent {
  private readonly reasons = new Map<number, WithdrawalReason>();
  private readonly bytes = new RangeSet();
  private blocks: RangeSet = new RangeSet();

  constructor(
    private readonly blockSizeBytes: number,
    private readonly contentSizeBytes: number,
  ) {}

  /** Number of entries. */
  get count(): number {
    return this.reasons.size;
  }

  /** The reasons, by number in the manifest. */
  get entries(): ReadonlyMap<number, WithdrawalReason> {
    return this.reasons;
  }

  has(index: number): boolean {
    return this.reasons.has(index);
  }

  /** @returns the entries that were not withdrawn before */
  add(entries: Iterable<WithdrawnEntry>): WithdrawnEntry[] {
    const added: WithdrawnEntry[] = [];
    for (const entry of entries) {
      const { index, reason, offsetBytes, sizeBytes } = entry;
      if (this.reasons.has(index)) continue;
      this.reasons.set(index, reason);
      if (sizeBytes > 0) this.bytes.add(offsetBytes, offsetBytes + sizeBytes);
      added.push(entry);
    }
    this.blocks = new RangeSet();
    for (const range of this.bytes.ranges()) this.addBlocksWithin(range);
    return added;
  }

  /** The blocks of the content of which nothing is left. */
  get emptyBlocks(): RangeSet {
    return this.blocks;
  }

  private addBlocksWithin({ start, end }: Range): void {
    const { blockSizeBytes, contentSizeBytes } = this;
    const first = Math.ceil(start / blockSizeBytes);
    const last =
      end === contentSizeBytes ? Math.ceil(end / blockSizeBytes) : Math.floor(end / blockSizeBytes);
    if (first < last) this.blocks.add(first, last);
  }
}
