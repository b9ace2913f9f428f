/**
 * Gathers writes: while one is under way, the next ones wait, and those that lie side by side are written
 * as one. A block costs a fraction of a system call then, and the disk sees long runs.
 */

import { RangeSet } from '../../../base/range-set.js';
import { hasAny } from './range-queries.js';

/** What lies side by side, in order. */
export interface Run {
  readonly offsetBytes: number;
  readonly parts: readonly Uint8Array[];
}

interface Write {
  readonly offsetBytes: number;
  readonly bytes: Uint8Array;
}

/** More than this is not held up for one system call. */
const maxRunBytes = 1024 * 1024;

/**
 * With so much together, or after so long, it is written. To hand over a run costs more than a block, and
 * with loss, blocks come out of order: in that time most gaps are filled.
 */
const enoughBytes = 4 * 1024 * 1024;
const gatherMs = 32;

/** System calls take no more pieces of memory at once (IOV_MAX). */
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
  /** Somebody waits for the end: nothing more is gathered. */
  private settlingCount = 0;
  /** Ends the wait for more; undefined where nothing waits. */
  private stopGathering: (() => void) | undefined;

  /**
   * @param writeRun overlapping runs are never given at the same time
   * @param gatherTimeoutMs how long a write waits for others; 0 for what comes in the same turn of the event loop
   */
  constructor(
    private readonly writeRun: (run: Run) => Promise<void>,
    private readonly gatherTimeoutMs = gatherMs,
  ) {}

  /** Resolves once it is written; fails with what the writes of its turn failed with. */
  write(offsetBytes: number, bytes: Uint8Array): Promise<void> {
    this.waiting ??= createGathered();
    const { writes, done } = this.waiting;
    writes.push({ offsetBytes, bytes });
    this.waitingBytes += bytes.length;
    if (!this.isWriting) this.work = this.writeWaiting();
    if (this.waitingBytes >= enoughBytes) this.stopGathering?.();
    return done;
  }

  /** Resolves once nothing waits or is under way, however it ended. */
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

  /** With one run failed, the others are waited for all the same: what comes next may overlap them. */
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
  // Each writer looks at it; that there are none is no fault.
  done.catch(() => undefined);
  return { writes: [], done, resolve, reject };
}

/** Writes that overlap go one after another, in the order in which they came. */
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
