/** A fetch from several simulated hosts over sessions, under hard conditions derived from its number alone. */
import type { TimeMs } from '../../src/base/machine.js';
import { createRandom } from '../../src/base/random.js';
import type { LinkOptions } from '../../src/simulator/link.js';
import { Draw } from './scenario.js';
import type { Served } from './served-objects.js';

export interface SourceScenario {
  readonly name: string;
  readonly served: Served;
  /** For `wrong-blocks`. */
  readonly wrongBlocks: readonly number[];
  /** The host cannot be reached until then. */
  readonly startsAtMs: TimeMs;
  /** The client learns of the host only then, if it is later than 0. */
  readonly namedAtMs: TimeMs;
  /** Whether it offers what it serves, and sends none of it. */
  readonly isMute: boolean;
  /** The host serves other content from then on. */
  readonly changesAtMs: TimeMs | undefined;
  readonly outages: readonly Outage[];
  readonly rates: readonly { readonly fromMs: TimeMs; readonly bytesPerSec: number }[];
  readonly link: LinkOptions;
}

export interface Outage {
  readonly kind: 'kill' | 'disconnect';
  readonly atMs: TimeMs;
  /** Infinity if the host does not come back. */
  readonly endMs: TimeMs;
}

export interface SourcesScenario {
  readonly number: number;
  /** `calm`: nothing happens to hosts, and nobody lies. */
  readonly kind: 'calm' | 'hard' | 'hopeless';
  readonly split: 'speed' | 'equal';
  readonly blockSizeBytes: number;
  readonly contentSizeBytes: number;
  readonly fileCount: number;
  /** Whether the client asks for the root that it wants. */
  readonly isPinned: boolean;
  /** What the client holds of another version; undefined for nothing. Some of the blocks are those that are wanted. */
  readonly heldBlocks: { readonly same: readonly number[]; readonly other: readonly number[] };
  readonly bufferBytes: number | undefined;
  readonly patienceMs: number;
  /** When the client is killed and started again. */
  readonly restarts: readonly Outage[];
  readonly sources: readonly SourceScenario[];
}

export const sourcesMssBytes = 500;

export function drawSourcesScenario(number: number): SourcesScenario {
  const draw = new Draw(createRandom('sources scenario', number));
  const kind = draw.pick(['calm', 'hard', 'hard', 'hard', 'hard', 'hopeless'] as const);
  const blockSizeBytes = draw.pick([1000, 1500, 2000]);
  const blockCount = draw.pick([
    draw.integer(0, 2),
    draw.integer(3, 30),
    draw.integer(30, 120),
    100,
  ]);
  const shortBytes = draw.pick([0, 1, draw.integer(0, blockSizeBytes - 1)]);
  const contentSizeBytes = Math.max(0, blockCount * blockSizeBytes - shortBytes);
  const count = draw.integer(1, 8);
  const rate = draw.pick([50_000, 100_000, 500_000]);
  // About the time that the fetch takes, if one source sends everything.
  const spanMs = 200 + (1000 * contentSizeBytes) / rate;
  const hasLoss = draw.chance(0.5);
  const base = (i: number): SourceScenario => ({
    name: `s${i}`,
    ...{ served: 'right', wrongBlocks: [], startsAtMs: 0, namedAtMs: 0, isMute: false },
    ...{ changesAtMs: undefined, outages: [] },
    rates: [{ fromMs: 0, bytesPerSec: Math.ceil(rate / draw.pick([1, 1, draw.between(1, 10)])) }],
    link: drawLink(draw, hasLoss),
  });
  const drawn = Array.from({ length: count }, (_, i) => base(i));
  const common = {
    ...{ number, kind, blockSizeBytes, contentSizeBytes },
    split: draw.chance(0.2) ? 'equal' : 'speed',
    fileCount: draw.pick([1, 1, 30]),
    bufferBytes: draw.pick([undefined, 4 * blockSizeBytes]),
    patienceMs: 30_000,
  } as const;
  if (kind === 'calm') {
    const heldBlocks = { same: [], other: [] };
    return { ...common, isPinned: false, heldBlocks, restarts: [], sources: drawn };
  }
  const hard = drawn.map((source) => harden(draw, source, spanMs, blockCount));
  const isHopeless = kind === 'hopeless';
  const isPinned = draw.chance(0.6);
  const sources = isHopeless
    ? hard.map((source) => ruin(draw, source, blockCount))
    : [...hard.slice(0, 7), lastResort(draw, base(7), spanMs)];
  const heldBlocks = drawHeld(draw, blockCount);
  const restarts = draw.chance(0.3) ? drawOutages(draw, spanMs, ['kill'], draw.integer(1, 2)) : [];
  const agreed = isPinned ? sources : sources.map((source) => agree(draw, source, isHopeless));
  const mute = draw.chance(0.15) ? draw.integer(0, agreed.length - (isHopeless ? 1 : 2)) : -1;
  return {
    ...{ ...common, isPinned, heldBlocks, restarts },
    sources: agreed.map((source, i) => (i === mute ? { ...source, isMute: true } : source)),
  };
}

/** Without a root, the client fails if hosts serve different content. Mostly, they do not. */
function agree(draw: Draw, source: SourceScenario, isHopeless: boolean): SourceScenario {
  if (isHopeless || draw.chance(0.1)) return source;
  return {
    ...source,
    changesAtMs: undefined,
    ...(source.served === 'other' && { served: 'right' }),
  };
}

/** In the end, there is an honest source that stays. */
function lastResort(draw: Draw, source: SourceScenario, spanMs: number): SourceScenario {
  return draw.pick([
    source,
    { ...source, startsAtMs: draw.between(0, 2 * spanMs) },
    { ...source, namedAtMs: draw.between(1, 2 * spanMs) },
    { ...source, outages: drawOutages(draw, spanMs, ['kill', 'disconnect'], 1) },
  ]);
}

/** The source cannot give the object. */
function ruin(draw: Draw, source: SourceScenario, blockCount: number): SourceScenario {
  const all = Array.from({ length: blockCount }, (_, i) => i);
  return {
    ...source,
    ...draw.pick<Partial<SourceScenario>>([
      { served: 'nothing' },
      { served: 'wrong-digests' },
      { served: 'no-digests' },
      { served: 'wrong-manifest' },
      { served: 'wrong-size' },
      { served: 'wrong-blocks', wrongBlocks: all.filter((i) => i % 10 === 0) },
      { outages: [{ kind: 'kill', atMs: 0, endMs: Infinity }] },
    ]),
  };
}

function harden(
  draw: Draw,
  source: SourceScenario,
  spanMs: number,
  blockCount: number,
): SourceScenario {
  const [{ bytesPerSec } = { bytesPerSec: 1 }] = source.rates;
  const atMs = draw.between(0, spanMs);
  const some = Array.from({ length: blockCount }, (_, i) => i).filter(() => draw.chance(0.1));
  return {
    ...source,
    ...draw.pick<() => Partial<SourceScenario>>([
      () => ({}),
      () => ({ startsAtMs: draw.between(0, 2 * spanMs) }),
      () => ({ namedAtMs: draw.between(1, 2 * spanMs) }),
      () => ({ outages: [{ kind: draw.pick(['kill', 'disconnect']), atMs, endMs: Infinity }] }),
      () => ({ outages: drawOutages(draw, spanMs, ['kill', 'disconnect'], draw.integer(1, 3)) }),
      () => ({
        rates: [
          ...source.rates,
          { fromMs: atMs, bytesPerSec: bytesPerSec / draw.pick([3, 10, 50]) },
        ],
      }),
      () => ({ served: 'wrong-blocks', wrongBlocks: draw.pick([some, [0], [blockCount - 1]]) }),
      () => ({ served: 'wrong-digests' }),
      () => ({ served: 'wrong-manifest' }),
      () => ({ served: 'wrong-size' }),
      () => ({ served: 'other' }),
      () => ({ served: draw.pick(['nothing', 'no-digests']) }),
      () => ({ changesAtMs: atMs }),
    ])(),
  };
}

export function drawOutages(
  draw: Draw,
  spanMs: number,
  kinds: readonly Outage['kind'][],
  count: number,
): Outage[] {
  const outages: Outage[] = [];
  let fromMs = 0;
  for (let i = 0; i < count; i++) {
    const atMs = fromMs + draw.between(1, spanMs);
    const endMs = atMs + draw.pick([1, 300, 3000, draw.between(0, 15_000)]);
    outages.push({ kind: draw.pick(kinds), atMs, endMs });
    fromMs = endMs;
  }
  return outages;
}

export function drawLink(draw: Draw, hasLoss: boolean): LinkOptions {
  const delayMs = draw.pick([0.1, 5, draw.between(0, 60)]);
  if (!hasLoss) return { delayMs };
  const sometimes = (most: number) => (draw.chance(0.5) ? draw.between(0, most) : 0);
  return {
    delayMs,
    jitterMs: sometimes(20),
    loss: { model: 'bernoulli', probability: sometimes(0.15) },
    reorderProbability: sometimes(0.1),
    reorderDelayMs: draw.between(0, 40),
    duplicateProbability: sometimes(0.1),
    corruptProbability: sometimes(0.02),
  };
}

function drawHeld(draw: Draw, blockCount: number): SourcesScenario['heldBlocks'] {
  const all = Array.from({ length: blockCount }, (_, i) => i);
  if (draw.chance(0.6)) return { same: [], other: [] };
  const same = all.filter(() => draw.chance(0.5));
  return { same, other: all.filter((i) => !same.includes(i) && draw.chance(0.5)) };
}
