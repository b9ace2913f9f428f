/** What the other side has not been told yet about the blocks that peers hold, and the objects that they have stored. */
import { RangeSet } from '../../base/range-set.js';
import type { ExchangedId, HeldRecord, StoredRecord } from '../../wire/exchange-records.js';
import { exchangeLimits } from '../../wire/exchange-records.js';

interface Delta extends ExchangedId {
  readonly holder: number;
  readonly blocks: RangeSet;
}

export class HeldDeltas {
  private readonly deltas = new Map<string, Delta>();
  private stored: StoredRecord[] = [];

  add(holder: number, { owner, object }: ExchangedId, start: number, end: number): void {
    const key = `${holder} ${owner} ${object}`;
    const delta = this.deltas.get(key) ?? { holder, owner, object, blocks: new RangeSet() };
    this.deltas.set(key, delta);
    delta.blocks.add(start, end);
  }

  addStored(record: StoredRecord): void {
    this.stored.push(record);
  }

  get isEmpty(): boolean {
    return this.deltas.size === 0 && this.stored.length === 0;
  }

  clear(): void {
    this.deltas.clear();
    this.stored = [];
  }

  /** Removes everything, as records. */
  *take(): Iterable<HeldRecord | StoredRecord> {
    const { rangesPerRecord } = exchangeLimits;
    for (const { blocks, ...which } of this.deltas.values()) {
      const ranges = [...blocks.ranges()];
      for (let i = 0; i < ranges.length; i += rangesPerRecord)
        yield { kind: 'held', ...which, ranges: ranges.slice(i, i + rangesPerRecord) };
    }
    yield* this.stored;
    this.clear();
  }
}
