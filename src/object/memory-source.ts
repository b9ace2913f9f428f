/** A source of content in memory, for simulations and tests. */
import type { Clock } from '../base/machine.js';
import type { ContentSource } from './content-source.js';

export interface MemorySourceOptions {
  readonly clock: Clock;
  /** Time that each read takes. */
  readonly readTimeMs?: number;
}

export class MemorySource implements ContentSource {
  /**
   * @param contentAt makes the bytes of a part of the content, so that long contents need no memory
   * @param options by default, each read ends at once
   */
  constructor(
    private readonly contentAt: (offsetBytes: number, sizeBytes: number) => Uint8Array,
    private readonly options?: MemorySourceOptions,
  ) {}

  static of(content: Uint8Array, options?: MemorySourceOptions): MemorySource {
    return new MemorySource(
      (offsetBytes, sizeBytes) => content.subarray(offsetBytes, offsetBytes + sizeBytes),
      options,
    );
  }

  read(offsetBytes: number, sizeBytes: number, take: (bytes: Uint8Array) => void): void {
    const bytes = this.contentAt(offsetBytes, sizeBytes);
    const { clock, readTimeMs = 0 } = this.options ?? {};
    if (clock === undefined || readTimeMs === 0) take(bytes);
    else clock.at(clock.nowMs + readTimeMs, () => take(bytes));
  }

  check(handleUnchanged: () => void): void {
    handleUnchanged();
  }
}
