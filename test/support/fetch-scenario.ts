/** A fetch from several sources under hard conditions, derived from its number alone. */
import type { TimeMs } from '../../src/base/machine.js';
import { createRandom } from '../../src/base/random.js';
import type { Range } from '../../src/base/range-set.js';
import { Draw } from './scenario.js';

/**
 * `steady`: rates do not change. `death`: and one source dies at about half. `hard`: sources come, go, slow down, stop,
 * lie, and hold only a part.
 */
export type FetchKind = 'steady' | 'death' | 'hard';

export interface FetchScenario {
  readonly number: number;
  readonly kind: FetchKind;
  readonly split: 'speed' | 'equal';
  /** With which part of the content the fetch begins; 0 by default. */
  readonly beginsAt?: number;
  readonly blockSizeBytes: number;
  readonly contentSizeBytes: number;
  readonly missing: readonly Range[];
  readonly sources: readonly ModelSourceOptions[];
}

export interface ModelSourceOptions {
  readonly rttMs: number;
  readonly joinAtMs: TimeMs;
  /** From each of these times on, it delivers at this rate. The first one is its time of joining. */
  readonly rates: readonly { readonly atMs: TimeMs; readonly bytesPerSec: number }[];
  /** It dies when half of the missing blocks have arrived, and its death is found after this time. */
  readonly diesAtHalf?: { readonly foundAfterMs: number | undefined };
  /** When its connection is found to be dead; never, if it is undefined. */
  readonly leaveAtMs?: TimeMs;
  /** The probability that a block has wrong content. */
  readonly badProbability: number;
  /** The blocks that it holds from each of these times on; all if it is undefined. */
  readonly holds?: readonly { readonly atMs: TimeMs; readonly range: Range }[];
}

const blockSizeBytes = 61_440;

export function drawFetchScenario(number: number): FetchScenario {
  const draw = new Draw(createRandom('fetch scenario', number));
  const kind = draw.pick<FetchKind>(['steady', 'steady', 'death', 'hard', 'hard', 'hard']);
  const split = draw.chance(0.15) ? 'equal' : 'speed';
  const count = kind === 'death' ? draw.integer(2, 8) : draw.integer(1, 8);
  const fastest = draw.pick([500_000, 5_000_000, 12_500_000, 125_000_000]);
  // A source that takes many seconds for a block is compared with a fluid in vain.
  const spread = draw.pick([1, 3, 10, fastest < 1_000_000 ? 10 : 100]);
  const mostRttMs = draw.pick([1, 20, 100, 300]);
  const sources = Array.from({ length: count }, () => {
    const rate = fastest / draw.between(1, spread);
    return steadySource(Math.ceil(rate), draw.between(mostRttMs / 4, mostRttMs));
  });
  const sum = sources.reduce((total, { rates }) => total + (rates[0]?.bytesPerSec ?? 0), 0);
  const seconds = draw.pick([0.1, 1, 4, 15]);
  const wanted = Math.min(2000, Math.ceil((sum * seconds) / blockSizeBytes));
  const blockCount = Math.max(1, wanted);
  const contentSizeBytes = blockCount * blockSizeBytes - draw.pick([0, draw.integer(0, 61_439)]);
  const spanMs = (1000 * contentSizeBytes) / sum;
  const base = { number, kind, split, blockSizeBytes, contentSizeBytes } as const;
  const whole = [{ start: 0, end: blockCount }];
  if (kind === 'steady') return { ...base, missing: whole, sources };
  if (kind === 'death') {
    const foundAfterMs = draw.pick(foundAfter(split));
    const dying = { ...(sources[0] as ModelSourceOptions), diesAtHalf: { foundAfterMs } };
    return { ...base, missing: whole, sources: [dying, ...sources.slice(1)] };
  }
  const hard = sources.map((source) => harden(draw, source, spanMs, blockCount, split));
  // In the end, there is an honest source that holds everything.
  const last = steadySource(Math.ceil(fastest / 2), mostRttMs, draw.pick([0, 0, 2 * spanMs]));
  return { ...base, missing: drawMissing(draw, blockCount), sources: [...hard, last] };
}

function steadySource(bytesPerSec: number, rttMs: number, joinAtMs = 0): ModelSourceOptions {
  return { rttMs, joinAtMs, rates: [{ atMs: joinAtMs, bytesPerSec }], badProbability: 0 };
}

/** With equal parts, nobody takes over the part of a source whose death is not found. */
function foundAfter(split: FetchScenario['split']): readonly (number | undefined)[] {
  return split === 'equal' ? [0, 100, 2000] : [0, 100, 2000, undefined];
}

function die(
  source: ModelSourceOptions,
  atMs: TimeMs,
  detectedMs: number | undefined,
): ModelSourceOptions {
  const leave = detectedMs === undefined ? {} : { leaveAtMs: atMs + detectedMs };
  return { ...source, rates: [...source.rates, { atMs, bytesPerSec: 0 }], ...leave };
}

function harden(
  draw: Draw,
  { rttMs, rates }: ModelSourceOptions,
  spanMs: number,
  blockCount: number,
  split: FetchScenario['split'],
): ModelSourceOptions {
  const bytesPerSec = rates[0]?.bytesPerSec ?? 0;
  const joinAtMs = draw.pick([0, 0, 0, draw.between(0, spanMs)]);
  const source = steadySource(bytesPerSec, rttMs, joinAtMs);
  const laterMs = () => joinAtMs + draw.between(0, spanMs);
  const mostBlocks = Math.min(blockCount, 50);
  const holds =
    split === 'speed' && draw.chance(0.2)
      ? { holds: drawHolds(draw, joinAtMs, spanMs, blockCount) }
      : {};
  switch (draw.pick(['steady', 'die', 'slow', 'stop', 'lie', 'jump', 'leave'] as const)) {
    case 'steady':
      return { ...source, ...holds };
    case 'die':
      return die(source, laterMs(), draw.pick(foundAfter(split)));
    case 'leave': {
      const atMs = laterMs();
      return { ...source, ...holds, leaveAtMs: atMs };
    }
    case 'slow': {
      const slower = {
        atMs: laterMs(),
        bytesPerSec: bytesPerSec / draw.pick(split === 'equal' ? [2] : [2, 10, 100]),
      };
      return { ...source, ...holds, rates: [...source.rates, slower] };
    }
    case 'stop': {
      const atMs = laterMs();
      const again = { atMs: atMs + draw.pick([100, 300, 3000]), bytesPerSec };
      return { ...source, rates: [...source.rates, { atMs, bytesPerSec: 0 }, again] };
    }
    case 'lie':
      return { ...source, badProbability: draw.pick([1, 0.1, 1 / mostBlocks]) };
    case 'jump': {
      const changes = Array.from({ length: 30 }, (_, i) => ({
        atMs: joinAtMs + ((i + 1) * spanMs) / 15,
        bytesPerSec: bytesPerSec * draw.between(0.3, 1.7),
      }));
      return { ...source, ...holds, rates: [...source.rates, ...changes] };
    }
  }
}

/** What a source holds grows, as that of a host that fetches the same object. */
function drawHolds(draw: Draw, joinAtMs: TimeMs, spanMs: number, blockCount: number) {
  return Array.from({ length: draw.integer(1, 10) }, (_, i) => {
    const start = draw.integer(0, blockCount - 1);
    const range = { start, end: draw.integer(start + 1, blockCount) };
    return { atMs: i === 0 ? joinAtMs : joinAtMs + draw.between(0, spanMs), range };
  }).sort((a, b) => a.atMs - b.atMs);
}

/** Some blocks are held already, from an earlier try. */
function drawMissing(draw: Draw, blockCount: number): readonly Range[] {
  const whole = [{ start: 0, end: blockCount }];
  if (draw.chance(0.6)) return whole;
  const step = draw.pick([2, 7, 100]);
  return Array.from({ length: Math.ceil(blockCount / step) }, (_, i) => ({
    start: i * step,
    end: Math.min(blockCount, i * step + draw.integer(1, step)),
  }));
}
