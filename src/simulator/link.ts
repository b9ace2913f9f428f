/**
 * A simulated one-way link: rate and queue, then loss, corruption, duplication, delay, jitter and reordering.
 * Each link has its own random stream, which depends on the seed and the link's name.
 */
import { P2mpError } from '../base/errors.js';
import type { TimeMs } from '../base/machine.js';
import type { Checks } from '../base/options/check-options.js';
import { checkOptions, number } from '../base/options/check-options.js';
import type { Random } from '../base/random.js';
import { createRandom } from '../base/random.js';
import type { LossModel, LossSpec } from '../loss.js';
import { createLossModel, lossCheck } from '../loss.js';

/** Properties of a link. An omitted property has no effect. */
export interface LinkOptions {
  /** Propagation delay, after the queue. */
  readonly delayMs?: number;
  /** Maximum extra delay per datagram, drawn uniformly. Strong jitter reorders datagrams. */
  readonly jitterMs?: number;
  /** Rate at which bytes leave the queue; unlimited if omitted. */
  readonly rateBytesPerSec?: number;
  /** Queue limit in bytes; a datagram that finds the queue full is lost. Requires a rate. */
  readonly queueLimitBytes?: number;
  /** Overhead per datagram besides its payload; counts towards rate and queue. */
  readonly overheadBytes?: number;
  /** Maximum size of a datagram. The link drops larger datagrams silently, like a path that sends no ICMP. */
  readonly maxDatagramBytes?: number;
  /** Loss model of the link; by default, no datagram is lost. */
  readonly loss?: LossSpec;
  /** Probability that a datagram is delayed by `reorderDelayMs`, so that later datagrams overtake it. */
  readonly reorderProbability?: number;
  /** Extra delay of a reordered datagram. */
  readonly reorderDelayMs?: number;
  /** Probability that a datagram is duplicated. */
  readonly duplicateProbability?: number;
  /** Probability that one bit is flipped in transit. */
  readonly corruptProbability?: number;
  /**
   * Offset of the first byte that can be corrupted. Use 8 for the classic protocol: the header (8 bytes) has
   * no checksum and relies on that of UDP, which the simulation does not have. The payload has its own
   * checksum.
   */
  readonly corruptFromByte?: number;
}

export const linkChecks: Checks<LinkOptions> = {
  delayMs: number,
  jitterMs: number,
  rateBytesPerSec: number,
  queueLimitBytes: number,
  overheadBytes: number,
  maxDatagramBytes: number,
  loss: lossCheck,
  reorderProbability: number,
  reorderDelayMs: number,
  duplicateProbability: number,
  corruptProbability: number,
  corruptFromByte: number,
};

/** What happened to a datagram on a link. */
export type LinkFate = 'delivered' | 'lost' | 'queue-full';

/** Counters of a link's datagrams. */
export interface LinkCounts {
  sent: number;
  lost: number;
  queueFull: number;
  corrupted: number;
  duplicated: number;
  reordered: number;
}

/** Counters of an unused link, all zero. */
export function createLinkCounts(): LinkCounts {
  return { sent: 0, lost: 0, queueFull: 0, corrupted: 0, duplicated: 0, reordered: 0 };
}

/** Receives a datagram at the far end of a link. */
export type Deliver = (atMs: TimeMs, bytes: Uint8Array) => void;

/**
 * A one-way link in virtual time, with loss, delay, rate and a bounded queue.
 * @example
 * ```ts
 * import { Link } from 'p2mp/core';
 *
 * const link = new Link('a to b', 'seed', { delayMs: 5, rateBytesPerSec: 1000 });
 * link.send(0, new Uint8Array(10), (atMs) => console.log(atMs)); // 15
 * ```
 */
export class Link {
  readonly counts = createLinkCounts();
  /** Set during an outage: the link then loses every datagram. */
  isDown = false;

  private readonly options: Required<Omit<LinkOptions, 'loss' | 'queueLimitBytes'>>;
  private readonly queueLimitBytes: number;
  private readonly random: Random;
  private readonly isLost: LossModel;
  private busyUntilMs: TimeMs = 0;

  /** @throws P2mpError INVALID_ARGUMENT */
  constructor(
    readonly name: string,
    seed: string,
    options: LinkOptions = {},
  ) {
    checkOptions(options, linkChecks);
    const { loss = { model: 'none' }, queueLimitBytes = Infinity, ...rest } = options;
    this.options = { ...defaultLinkOptions, ...rest };
    this.queueLimitBytes = queueLimitBytes;
    checkLinkOptions(name, this.options, queueLimitBytes);
    this.random = createRandom(seed, 'link', name);
    this.isLost = createLossModel(loss, createRandom(seed, 'link', name, 'loss'));
  }

  /** Sends a datagram. Calls `deliver` for each copy that will arrive, with the copy's arrival time. */
  send(nowMs: TimeMs, bytes: Uint8Array, deliver: Deliver): LinkFate {
    const { options, counts } = this;
    counts.sent++;
    const departsAtMs = this.enqueue(nowMs, bytes.length + options.overheadBytes);
    if (departsAtMs === undefined) {
      counts.queueFull++;
      return 'queue-full';
    }
    if (this.isDown || bytes.length > options.maxDatagramBytes || this.isLost()) {
      counts.lost++;
      return 'lost';
    }
    deliver(this.arrivalMs(departsAtMs), this.maybeCorrupt(bytes));
    if (this.happens(options.duplicateProbability)) {
      counts.duplicated++;
      deliver(this.arrivalMs(departsAtMs), this.maybeCorrupt(bytes));
    }
    return 'delivered';
  }

  /** @returns when the datagram leaves the queue; undefined if the queue is full */
  private enqueue(nowMs: TimeMs, sizeBytes: number): TimeMs | undefined {
    const { rateBytesPerSec } = this.options;
    if (rateBytesPerSec === Infinity) return nowMs;
    const waitingMs = Math.max(0, this.busyUntilMs - nowMs);
    const waitingBytes = (waitingMs / 1000) * rateBytesPerSec;
    // The queue length is computed from times, so it has rounding errors. The margin prevents the rejection
    // of a datagram that just fits.
    const roomBytes = this.queueLimitBytes - waitingBytes + 1e-6;
    if (sizeBytes > roomBytes && waitingMs > 0) return undefined;
    this.busyUntilMs = nowMs + waitingMs + (sizeBytes / rateBytesPerSec) * 1000;
    return this.busyUntilMs;
  }

  private arrivalMs(departsAtMs: TimeMs): TimeMs {
    const { delayMs, jitterMs, reorderProbability, reorderDelayMs } = this.options;
    let atMs = departsAtMs + delayMs;
    if (jitterMs > 0) atMs += this.random() * jitterMs;
    if (this.happens(reorderProbability)) {
      this.counts.reordered++;
      atMs += reorderDelayMs;
    }
    return atMs;
  }

  private maybeCorrupt(bytes: Uint8Array): Uint8Array {
    const { corruptProbability, corruptFromByte } = this.options;
    const size = bytes.length - corruptFromByte;
    if (!this.happens(corruptProbability) || size <= 0) return bytes;
    this.counts.corrupted++;
    const copy = bytes.slice();
    const place = corruptFromByte + Math.floor(this.random() * size);
    copy[place] = (copy[place] as number) ^ (1 << Math.floor(this.random() * 8));
    return copy;
  }

  private happens(probability: number): boolean {
    return probability > 0 && this.random() < probability;
  }
}

const defaultLinkOptions = {
  delayMs: 0,
  jitterMs: 0,
  rateBytesPerSec: Infinity,
  overheadBytes: 0,
  maxDatagramBytes: Infinity,
  reorderProbability: 0,
  reorderDelayMs: 0,
  duplicateProbability: 0,
  corruptProbability: 0,
  corruptFromByte: 0,
};

function checkLinkOptions(
  name: string,
  options: typeof defaultLinkOptions,
  queueLimitBytes: number,
): void {
  const check = (key: string, isGood: boolean, rule: string) => {
    if (!isGood) throw new P2mpError('INVALID_ARGUMENT', `link ${name}: ${key} must be ${rule}`);
  };
  for (const key of ['delayMs', 'jitterMs', 'overheadBytes', 'reorderDelayMs'] as const) {
    check(key, options[key] >= 0 && Number.isFinite(options[key]), '0 or more');
  }
  for (const key of ['reorderProbability', 'duplicateProbability', 'corruptProbability'] as const) {
    check(key, options[key] >= 0 && options[key] <= 1, 'from 0 to 1');
  }
  check('rateBytesPerSec', options.rateBytesPerSec > 0, 'above 0');
  check('queueLimitBytes', queueLimitBytes > 0, 'above 0');
  check('maxDatagramBytes', options.maxDatagramBytes > 0, 'above 0');
  const { corruptFromByte, rateBytesPerSec } = options;
  check(
    'corruptFromByte',
    Number.isInteger(corruptFromByte) && corruptFromByte >= 0,
    'a whole number',
  );
  const hasQueue = queueLimitBytes === Infinity || rateBytesPerSec !== Infinity;
  check('queueLimitBytes', hasQueue, 'omitted unless rateBytesPerSec is set');
}
