/**
 * Who is served when more ask than there is time for. Requests wait in a queue of fixed size and draw lots: a
 * request's chance grows with the bytes that it took to send, and shrinks with what its network was given
 * lately. So a flood buys a share of the service in proportion to its bandwidth and never all of it, and
 * no timing helps it.
 */
import type { TimeMs } from '../base/machine.js';
import type { Random } from '../base/random.js';

export interface AdmissionLimits {
  /** Units of work in the long run. */
  readonly perSec: number;
  /** Units of work in one go, after a quiet time. */
  readonly burst: number;
  /** Requests that wait. */
  readonly waiting: number;
  /** A request that waited this long is dropped: its sender has repeated it by then. */
  readonly waitMs: number;
}

/** Requests that wait are served together, this far apart: to wake up for each one costs more than it does. */
const serveEveryMs = 10;

/** A timeout that is met to the moment must not come too early by a rounded digit. */
const roundingUnits = 1e-6;

interface Entry<Request> {
  readonly key: string;
  readonly request: Request;
  /** The lowest is served first. */
  readonly rank: number;
  readonly addedAtMs: TimeMs;
}

export class Admission<Request> {
  private readonly entries = new Map<string, Entry<Request>>();
  private worst: Entry<Request> | undefined;
  private units: number;
  private filledAtMs: TimeMs = 0;

  constructor(
    private readonly limits: AdmissionLimits,
    private readonly random: Random,
  ) {
    this.units = limits.burst;
  }

  get waitingCount(): number {
    return this.entries.size;
  }

  /**
   * Draws a lot for a request, before anything is made of it: in a flood, most requests end here.
   * @param sizeBytes of the datagram that asks
   * @param held what the network that asks was given lately
   * @returns its rank, the lower the better; undefined where there is no room for it
   */
  draw(sizeBytes: number, held: number): number | undefined {
    const rank = (-Math.log(1 - this.random()) * (1 + held)) / sizeBytes;
    const isFull = this.entries.size >= this.limits.waiting;
    return isFull && this.worst !== undefined && rank >= this.worst.rank ? undefined : rank;
  }

  /**
   * Puts a request in the queue. One that is there already, by its key, keeps the better of both lots.
   * @param rank as drawn for it just now
   * @returns the request that has no room any more; undefined where none gave way
   */
  add(nowMs: TimeMs, key: string, request: Request, rank: number): Request | undefined {
    const known = this.entries.get(key);
    if (known !== undefined && known.rank <= rank) return undefined;
    const isFull = this.entries.size >= this.limits.waiting;
    const dropped = known === undefined && isFull ? this.worst : undefined;
    if (dropped !== undefined) this.entries.delete(dropped.key);
    this.entries.set(key, { key, request, rank, addedAtMs: nowMs });
    this.worst = this.findWorst();
    return dropped?.request;
  }

  /** @returns the request to serve now, which is no longer in the queue */
  next(nowMs: TimeMs): Request | undefined {
    this.fill(nowMs);
    if (this.units < 1 - roundingUnits) return undefined;
    let best: Entry<Request> | undefined;
    for (const entry of this.entries.values()) {
      if (nowMs - entry.addedAtMs >= this.limits.waitMs) this.entries.delete(entry.key);
      else if (best === undefined || entry.rank < best.rank) best = entry;
    }
    if (best !== undefined) this.entries.delete(best.key);
    this.worst = this.findWorst();
    return best?.request;
  }

  /** Counts work that was done. */
  spend(units: number): void {
    this.units -= units;
  }

  /** When the next request can be served; Infinity where none waits. */
  pollTimeout(): TimeMs {
    if (this.entries.size === 0) return Infinity;
    const missingMs = (Math.max(0, 1 - this.units) * 1000) / this.limits.perSec;
    return this.filledAtMs + Math.max(missingMs, serveEveryMs);
  }

  private fill(nowMs: TimeMs): void {
    const { perSec, burst } = this.limits;
    const gained = (Math.max(0, nowMs - this.filledAtMs) * perSec) / 1000;
    this.units = Math.min(burst, this.units + gained);
    this.filledAtMs = Math.max(this.filledAtMs, nowMs);
  }

  private findWorst(): Entry<Request> | undefined {
    let worst: Entry<Request> | undefined;
    for (const entry of this.entries.values()) {
      if (worst === undefined || entry.rank > worst.rank) worst = entry;
    }
    return worst;
  }
}
