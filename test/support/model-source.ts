/** A source of a fetch in virtual time: it delivers the first block that it is asked for, then the next one. */
import type { TimeMs } from '../../src/base/machine.js';
import { RangeSet } from '../../src/base/range-set.js';
import type { ModelSourceOptions } from './fetch-scenario.js';

export class ModelSource {
  /** What it is asked for, as far as it knows. */
  private wanted = new RangeSet();
  /** The wanted blocks that it has sent. */
  private readonly sent = new RangeSet();
  private block: number | undefined;
  private blockBytes = 0;
  private blockSizeBytes = 0;
  private sentBytes = 0;
  private atMs: TimeMs = 0;
  private isDead = false;

  constructor(
    private readonly options: ModelSourceOptions,
    private readonly sizeOf: (block: number) => number,
  ) {}

  /** All bytes that it has sent until now. */
  get bytes(): number {
    return this.sentBytes;
  }

  die(): void {
    this.isDead = true;
  }

  rateAt(atMs: TimeMs): number {
    if (this.isDead) return 0;
    return this.options.rates.findLast((change) => change.atMs <= atMs)?.bytesPerSec ?? 0;
  }

  /** It learns what is wanted. A block that was not wanted for a while is sent again. Call `advance` before. */
  want(wanted: RangeSet): void {
    this.wanted = wanted;
    const kept = [...this.sent.ranges()];
    for (const { start, end } of kept) {
      for (const gap of wanted.gaps(start, end)) this.sent.remove(gap.start, gap.end);
    }
    this.choose();
  }

  /** When its current block, or its current rate, ends; undefined if it has nothing to do. */
  nextMs(nowMs: TimeMs): TimeMs | undefined {
    const change = this.options.rates.find(({ atMs }) => atMs > nowMs)?.atMs;
    if (this.block === undefined) return undefined;
    const rate = this.rateAt(nowMs);
    const left = this.blockSizeBytes - this.blockBytes;
    const endMs = rate === 0 ? Infinity : nowMs + (1000 * left) / rate;
    const nextMs = Math.min(endMs, change ?? Infinity);
    return nextMs === Infinity ? undefined : nextMs;
  }

  /** Sends until this time, but not beyond the end of a block. @returns the block that is complete, if any */
  advance(nowMs: TimeMs): number | undefined {
    const elapsedMs = nowMs - this.atMs;
    const rate = this.rateAt((nowMs + this.atMs) / 2);
    this.atMs = nowMs;
    const { block } = this;
    if (block === undefined || elapsedMs <= 0) return undefined;
    const bytes = Math.min(this.blockSizeBytes - this.blockBytes, (rate * elapsedMs) / 1000);
    this.blockBytes += bytes;
    this.sentBytes += bytes;
    if (this.blockBytes < this.blockSizeBytes - 1e-3) return undefined;
    this.sent.add(block, block + 1);
    this.block = undefined;
    this.choose();
    return block;
  }

  private choose(): void {
    if (this.block !== undefined) return;
    let next = this.wanted.nextFrom(0);
    while (next !== undefined && this.sent.has(next)) {
      next = this.wanted.nextFrom(this.sent.nextOutside(next));
    }
    this.block = next;
    if (next === undefined) return;
    this.blockBytes = 0;
    this.blockSizeBytes = this.sizeOf(next);
  }
}
