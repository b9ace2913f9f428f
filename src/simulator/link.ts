/**
 * A simulated directed link: rate and queue, then loss, corruption, duplication, delay, jitter and
 * reordering. Each link draws from a random stream of its own, named by the seed and the link.
 */
import { P2mpError } from '../base/errors.js';
import type { TimeMs } from '../base/machine.js';
import type { Random } from '../base/random.js';
import { createRandom } from '../base/random.js';
import type { LossModel, LossSpec } from '../loss.js';
import { createLossModel } from '../loss.js';

/** Properties of a link; a property that is left out does not limit anything. */
export interface LinkOptions {
  /** Time on the way, after the queue. */
  readonly delayMs?: number;
  /** Each datagram takes up to this much longer, uniformly drawn: enough of it reorders. */
  readonly jitterMs?: number;
  /** Bytes per second that leave the queue; unlimited if left out. */
  readonly rateBytesPerSec?: number;
  /** Bytes that wait at most; a datagram that finds the queue full is lost. Needs a rate. */
  readonly queueLimitBytes?: number;
  /** What each datagram weighs on the rate and in the queue besides its payload. */
  readonly overheadBytes?: number;
  /** What is larger is swallowed, as on a path with a narrow part and without ICMP. */
  readonly maxDatagramBytes?: number;
  readonly loss?: LossSpec;
  /** Probability to be held back by `reorderDelayMs`, so that later ones overtake. */
  readonly reorderProbability?: number;
  readonly reorderDelayMs?: number;
  /** Probability to arrive twice. */
  readonly duplicateProbability?: number;
  /** Probability that one bit is flipped on the way. */
  readonly corruptProbability?: number;
  /**
   * The first byte that corruption may hit. The classic header has no checksum of its own (on a
   * real network UDP's protects it): 8 spares it and leaves what the payload's checksum can find.
   */
  readonly corruptFromByte?: number;
}

/** What becomes of a datagram on a link. */
export type LinkFate = 'delivered' | 'lost' | 'queue-full';

/** What happened to the datagrams of a link. */
export interface LinkCounts {
  sent: number;
  lost: number;
  queueFull: number;
  corrupted: number;
  duplicated: number;
  reordered: number;
}

/** Counts of a link that has carried nothing yet. */
export function createLinkCounts(): LinkCounts {
  return { sent: 0, lost: 0, queueFull: 0, corrupted: 0, duplicated: 0, reordered: 0 };
}

/** Takes a datagram that comes out at the far end. */
export type Deliver = (atMs: TimeMs, bytes: Uint8Array) => void;

/** A one-way link in virtual time: loss, delay, rate and a bounded queue. */
export class Link {
  readonly counts = createLinkCounts();

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
    const { loss = { model: 'none' }, queueLimitBytes = Infinity, ...rest } = options;
    this.options = { ...defaultLinkOptions, ...rest };
    this.queueLimitBytes = queueLimitBytes;
    checkLinkOptions(name, this.options, queueLimitBytes);
    this.random = createRandom(seed, 'link', name);
    this.isLost = createLossModel(loss, createRandom(seed, 'link', name, 'loss'));
  }

  /** Puts a datagram in; `deliver` is called for each copy that will come out, with its time. */
  send(nowMs: TimeMs, bytes: Uint8Array, deliver: Deliver): LinkFate {
    const { options, counts } = this;
    counts.sent++;
    const departsAtMs = this.enqueue(nowMs, bytes.length + options.overheadBytes);
    if (departsAtMs === undefined) {
      counts.queueFull++;
      return 'queue-full';
    }
    if (bytes.length > options.maxDatagramBytes || this.isLost()) {
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

  /** @returns when the datagram has left the queue, undefined where there is no room in it */
  private enqueue(nowMs: TimeMs, sizeBytes: number): TimeMs | undefined {
    const { rateBytesPerSec } = this.options;
    if (rateBytesPerSec === Infinity) return nowMs;
    const waitingMs = Math.max(0, this.busyUntilMs - nowMs);
    const waitingBytes = (waitingMs / 1000) * rateBytesPerSec;
    // The waiting bytes come from times: a rounding error must not turn away what just fits.
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
  check('queueLimitBytes', hasQueue, 'left out without rateBytesPerSec: nothing would wait');
}
