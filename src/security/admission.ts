/**
 * Decides which requests are served under overload. Each request draws a random rank and waits in a queue of
 * fixed size. The chance of a good rank grows with the size of the request in bytes and shrinks with the
 * service that the sender's network received recently. A flood therefore gets a share of the service that is
 * proportional to its bandwidth, never all of the service, and gains nothing from clever timing.
 */
import type { TimeMs } from '../base/machine.js';
import type { Random } from '../base/random.js';

export interface AdmissionLimits {
  /** Average rate of work units. */
  readonly perSec: number;
  /** Burst of work units after a quiet time. */
  readonly burst: number;
  /** Maximum number of requests in the queue. */
  readonly waiting: number;
  /** A request that has waited this long is dropped, because its sender has repeated it by then. */
  readonly waitMs: number;
}

/** Waiting requests are served in groups at this interval, because a wakeup costs more than a request. */
const serveEveryMs = 10;

/** Tolerance for rounding errors. Without it, a timeout that fires on time might seem slightly early. */
const roundingUnits = 1e-6;

interface Entry<Request> {
  readonly key: string;
  readonly request: Request;
  /** The request with the lowest rank is served first. */
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
   * Draws a random rank for a request before any work is done for the request. In a flood, most requests are
   * rejected here.
   * @param sizeBytes the size of the request's datagram
   * @param held the service that the request's network received recently
   * @returns the rank (lower is better); undefined if the queue has no room for the request
   */
  draw(sizeBytes: number, held: number): number | undefined {
    const rank = (-Math.log(1 - this.random()) * (1 + held)) / sizeBytes;
    const isFull = this.entries.size >= this.limits.waiting;
    return isFull && this.worst !== undefined && rank >= this.worst.rank ? undefined : rank;
  }

  /**
   * Puts a request in the queue. If the queue already holds a request with the same key, the one with the
   * better rank stays.
   * @param rank the rank drawn for this request
   * @returns the request that was removed to make room, if any
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

  /** Removes and returns the request to serve now, if any. */
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

  /** Deducts the cost of a served request from the available units. */
  spend(units: number): void {
    this.units -= units;
  }

  /** Time at which the next request can be served; Infinity if the queue is empty. */
  pollTimeout(): TimeMs {
    if (this.entries.size === 0) return Infinity;
    const missingMs = (Math.max(0, 1 - this.units) * 1000) / this.limits.perSec;
    return this.filledAtMs + Math.max(missingMs, serveEveryMs);
  }

  private fill(nowMs: TimeMs): void {
    const { burst } = this.limits;
    if (this.units < burst) {
      const gained = (Math.max(0, nowMs - this.filledAtMs) * this.limits.perSec) / 1000;
      this.units = Math.min(burst, this.units + gained);
    }
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
