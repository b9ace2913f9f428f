/** A transfer under hard conditions, derived from its number alone. */

import { createRandom, type Random } from '../../src/base/random.js';
import type { TimeoutSpec } from '../../src/classic/sender-options.js';
import type { LossSpec } from '../../src/loss.js';
import { burstLoss } from '../../src/loss.js';
import type { LinkOptions } from '../../src/simulator/link.js';

export interface Scenario {
  readonly seed: string;
  readonly sizeBytes: number;
  readonly mssBytes: number;
  readonly segmentsPerBlock: number;
  readonly windowBlocks: number;
  readonly timeout: TimeoutSpec;
  readonly livenessTimeoutMs: number;
  readonly hasEndMarker: boolean;
  readonly sendTimeMs: number;
  /** Time the source takes to provide a block. */
  readonly sourceTimeMs: number;
  readonly maxUnwrittenBytes: number;
  readonly receivers: readonly ReceiverScenario[];
  /** Everything must be finished by then. */
  readonly deadlineMs: number;
}

export interface ReceiverScenario {
  readonly name: string;
  /** The loss service. */
  readonly loss: LossSpec;
  readonly forwardLink: LinkOptions;
  readonly backwardLink: LinkOptions;
  readonly writeTimeMs: number;
  readonly storeTimeMs: number;
  /** From then on, it neither receives nor sends. */
  readonly diesAtMs: number | undefined;
}

const livenessTimeoutMs = 10_000;

export function drawScenario(number: number): Scenario {
  const draw = new Draw(createRandom('scenario', number));
  const isSteady = draw.chance(0.3);
  const receiverCount = draw.chance(0.03) ? 50 : draw.integer(1, 8);
  const mssBytes = draw.pick([1, 2, 3, 100, 500, 1400, draw.integer(1, 1400)]);
  const segmentsPerBlock = draw.chance(0.5) ? 1 : draw.integer(1, 64);
  const windowBlocks = draw.chance(0.5) ? 1 : draw.integer(1, 64);
  const rttMs = isSteady ? draw.integer(0, 5) : draw.integer(0, 100);
  const timeout = drawTimeout(draw, rttMs);
  const dyingCount = draw.chance(0.2) ? draw.integer(1, receiverCount) : 0;
  const receivers = Array.from({ length: receiverCount }, (_, i): ReceiverScenario => {
    return {
      name: `r${i + 1}`,
      loss: isSteady && draw.chance(0.5) ? { model: 'none' } : drawLoss(draw, 0.3),
      forwardLink: drawLink(draw, isSteady, rttMs / 2, 8),
      backwardLink: drawLink(draw, isSteady, rttMs / 2, 8),
      writeTimeMs: draw.pick([0, 0, 0, draw.integer(1, 20)]),
      storeTimeMs: draw.pick([0, draw.integer(1, 50), draw.integer(1, 3000)]),
      diesAtMs: i < dyingCount ? Math.round(10 ** draw.between(0, 4.3)) : undefined,
    };
  });
  const segmentLimit = receiverCount === 50 ? 60 : 400;
  const sizeBytes = Math.min(drawSize(draw, mssBytes), segmentLimit * mssBytes);
  const segmentCount = Math.ceil(sizeBytes / mssBytes);
  return {
    seed: `scenario ${number}`,
    sizeBytes,
    mssBytes,
    segmentsPerBlock,
    windowBlocks,
    timeout,
    livenessTimeoutMs,
    // Without data and without an end marker, the protocol has no datagram to send.
    hasEndMarker: draw.chance(0.85) || sizeBytes === 0,
    sendTimeMs: draw.pick([0, 0, 0, 0.01, 0.1]),
    sourceTimeMs: draw.pick([0, 0, draw.integer(1, 30)]),
    maxUnwrittenBytes: draw.pick([mssBytes, 3 * mssBytes, 1_000_000]),
    receivers,
    // Generous: many rounds per segment, the liveness timeout for dead receivers, and the idle
    // timeout.
    deadlineMs: 60_000 + (dyingCount + 1) * livenessTimeoutMs + segmentCount * 10_000,
  };
}

function drawTimeout(draw: Draw, rttMs: number): TimeoutSpec {
  if (draw.chance(0.6)) return { mode: 'auto', initialMs: draw.integer(5, 200) };
  // Sometimes far too short for the path, which causes several spurious retransmissions of every
  // datagram.
  return { mode: 'fixed', timeoutMs: draw.integer(Math.max(2, Math.ceil(rttMs / 4)), 200) };
}

function drawSize(draw: Draw, mssBytes: number): number {
  return draw.pick([
    0,
    1,
    mssBytes - 1,
    mssBytes,
    mssBytes + 1,
    mssBytes * draw.integer(2, 50),
    mssBytes * draw.integer(2, 50) + 1,
    draw.integer(0, 5_000),
    draw.integer(0, 60_000),
    draw.integer(0, 60_000),
  ]);
}

function drawLoss(draw: Draw, most: number): LossSpec {
  const mean = draw.between(0, most);
  const scripted = () => Array.from({ length: 20 }, () => draw.integer(0, 60));
  return draw.pick<() => LossSpec>([
    () => ({ model: 'none' }),
    () => ({ model: 'bernoulli', probability: mean }),
    () => burstLoss(mean, draw.between(1, 3)),
    () => ({
      model: 'gilbert-elliott',
      enterBad: 0.1,
      leaveBad: 0.4,
      lossInGood: mean / 4,
      lossInBad: mean,
    }),
    () => ({ model: 'scripted', lost: scripted() }),
  ])();
}

function drawLink(
  draw: Draw,
  isSteady: boolean,
  delayMs: number,
  corruptFromByte: number,
): LinkOptions {
  if (isSteady) return { delayMs };
  const sometimes = (most: number) => (draw.chance(0.5) ? draw.between(0, most) : 0);
  const isSlow = draw.chance(0.15);
  return {
    delayMs,
    jitterMs: sometimes(30),
    loss: draw.chance(0.5) ? { model: 'none' } : drawLoss(draw, 0.15),
    reorderProbability: sometimes(0.2),
    reorderDelayMs: draw.between(0, 60),
    duplicateProbability: sometimes(0.2),
    corruptProbability: sometimes(0.2),
    corruptFromByte,
    ...(isSlow
      ? { rateBytesPerSec: draw.integer(100_000, 10_000_000), queueLimitBytes: 64_000 }
      : {}),
  };
}

/** Named draws from one random stream. */
export class Draw {
  constructor(private readonly random: Random) {}

  chance(probability: number): boolean {
    return this.random() < probability;
  }

  between(low: number, high: number): number {
    return low + this.random() * (high - low);
  }

  integer(low: number, high: number): number {
    return low + Math.floor(this.random() * (high - low + 1));
  }

  pick<T>(choices: readonly T[]): T {
    return choices[Math.floor(this.random() * choices.length)] as T;
  }
}
