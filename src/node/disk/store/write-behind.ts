/**
 * Coalesces writes: while a write is in progress, later writes wait, and adjacent waiting writes are
 * combined. Many blocks then share one system call, and the disk gets long sequential writes.
 */

import { RangeSet } from '../../../base/range-set.js';
import { hasAny } from './range-queries.js';

/** Adjacent writes, in order. */
export interface Run {
  readonly offsetBytes: number;
  readonly parts: readonly Uint8Array[];
}

interface Write {
  readonly offsetBytes: number;
  readonly bytes: Uint8Array;
}

/** A run is not gathered beyond this size. */
const maxRunBytes = 1024 * 1024;

/**
 * Waiting writes start once their total size is `enoughBytes`, or after `gatherMs`. Starting a write costs
 * more than writing a block. After loss, blocks arrive out of order; most gaps are filled in that time.
 */
const enoughBytes = 4 * 1024 * 1024;
const gatherMs = 32;

/** Maximum number of buffers in one system call; common systems allow 1024 (IOV_MAX). */
const maxRunParts = 512;

interface Gathered {
  readonly writes: Write[];
  readonly done: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export class WriteBehind {
  private waiting: Gathered | undefined;
  private isWriting = false;
  private work: Promise<void> = Promise.resolve();
  private waitingBytes = 0;
  /**
   * Number of callers that wait for all writes to end. While it is nonzero, writes start without gathering
   * more.
   */
  private settlingCount = 0;
  /** Ends the wait for more writes; undefined if no such wait is in progress. */
  private stopGathering: (() => void) | undefined;

  /**
   * @param writeRun writes one run; concurrent calls never get overlapping runs
   * @param gatherTimeoutMs how long a write waits for others; 0 waits only for writes from the same turn of
   * the event loop
   */
  constructor(
    private readonly writeRun: (run: Run) => Promise<void>,
    private readonly gatherTimeoutMs = gatherMs,
  ) {}

  /** Resolves once the bytes are written. Rejects with the error of any write in the same batch. */
  write(offsetBytes: number, bytes: Uint8Array): Promise<void> {
    this.waiting ??= createGathered();
    const { writes, done } = this.waiting;
    writes.push({ offsetBytes, bytes });
    this.waitingBytes += bytes.length;
    if (!this.isWriting) this.work = this.writeWaiting();
    if (this.waitingBytes >= enoughBytes) this.stopGathering?.();
    return done;
  }

  /** Resolves once no write is waiting or in progress, whatever the outcome. */
  async settle(): Promise<void> {
    this.settlingCount++;
    this.stopGathering?.();
    await this.work;
    this.settlingCount--;
  }

  private async writeWaiting(): Promise<void> {
    this.isWriting = true;
    while (this.waiting !== undefined) {
      if (this.waitingBytes < enoughBytes && this.settlingCount === 0) await this.gather();
      const { writes, resolve, reject } = this.waiting;
      this.waiting = undefined;
      this.waitingBytes = 0;
      try {
        for (const runs of turnsOf(writes)) await this.writeTurn(runs);
        resolve();
      } catch (error) {
        reject(error);
      }
    }
    this.isWriting = false;
  }

  private gather(): Promise<void> {
    return new Promise((resolve) => {
      const { gatherTimeoutMs } = this;
      let timer: NodeJS.Timeout | undefined;
      const stop = () => {
        clearTimeout(timer);
        this.stopGathering = undefined;
        resolve();
      };
      this.stopGathering = stop;
      if (gatherTimeoutMs === 0) setImmediate(stop);
      else timer = setTimeout(stop, gatherTimeoutMs);
    });
  }

  /** Waits for all runs even if one fails, because later writes may overlap the other runs. */
  private async writeTurn(runs: readonly Run[]): Promise<void> {
    const results = await Promise.allSettled(runs.map(this.writeRun));
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  }
}

function createGathered(): Gathered {
  let resolve: () => void = () => undefined;
  let reject: (error: unknown) => void = () => undefined;
  const done = new Promise<void>((onDone, onFailure) => {
    resolve = onDone;
    reject = onFailure;
  });
  // Avoids an unhandled rejection. Each caller of `write` gets the error anyway.
  done.catch(() => undefined);
  return { writes: [], done, resolve, reject };
}

/** Splits writes into batches without overlaps. Overlapping writes keep their order. */
function turnsOf(writes: readonly Write[]): Run[][] {
  const turns: Write[][] = [];
  let turn: Write[] = [];
  const taken = new RangeSet();
  for (const write of writes) {
    const range = { start: write.offsetBytes, end: write.offsetBytes + write.bytes.length };
    if (hasAny(taken, range)) {
      turns.push(turn);
      turn = [];
      taken.clear();
    }
    taken.add(range.start, range.end);
    turn.push(write);
  }
  return [...turns, turn].map(runsOf);
}

function runsOf(writes: Write[]): Run[] {
  writes.sort((a, b) => a.offsetBytes - b.offsetBytes);
  const runs: { offsetBytes: number; endBytes: number; parts: Uint8Array[] }[] = [];
  for (const { offsetBytes, bytes } of writes) {
    const last = runs.at(-1);
    const fits =
      last !== undefined &&
      last.endBytes === offsetBytes &&
      last.endBytes - last.offsetBytes < maxRunBytes &&
      last.parts.length < maxRunParts;
    if (fits) {
      last.parts.push(bytes);
      last.endBytes += bytes.length;
    } else {
      runs.push({ offsetBytes, endBytes: offsetBytes + bytes.length, parts: [bytes] });
    }
  }
  return runs;
}
