/** Chains of relays between origins and clients, under hard conditions derived from the scenario's number alone. */
import type { TimeMs } from '../../src/base/machine.js';
import { createRandom } from '../../src/base/random.js';
import { roomOf } from '../../src/roles/relay/object-cache.js';
import type { LinkOptions } from '../../src/simulator/link.js';
import { Draw } from './scenario.js';
import type { Served } from './served-objects.js';
import { drawLink, drawOutages, type Outage } from './sources-scenario.js';

/** How a host is connected to each host that it asks. */
interface Connection {
  readonly bytesPerSec: number;
  readonly link: LinkOptions;
}

export interface ObjectScenario {
  readonly name: string;
  readonly contentSizeBytes: number;
  readonly fileCount: number;
}

export interface OriginScenario {
  readonly name: string;
  /** What it serves under the name of each object. */
  readonly served: Served;
  /** For `wrong-blocks`. */
  readonly wrongBlocks: readonly number[];
  /** The host serves other content from then on. */
  readonly changesAtMs: TimeMs | undefined;
  readonly outages: readonly Outage[];
}

export interface RelayScenario extends Connection {
  readonly name: string;
  readonly from: readonly string[];
  readonly cacheLimitBytes: number;
  readonly windowBytes: number;
  /** Flips a bit of each such block that clients are sent, or of a digest. */
  readonly lie: { readonly what: 'blocks' | 'digests'; readonly every: number } | undefined;
  /** Whether a kill damages some of the blocks on its disk. */
  readonly isDiskBad: boolean;
  readonly outages: readonly Outage[];
}

export interface ClientScenario extends Connection {
  readonly name: string;
  readonly from: readonly string[];
  readonly objectName: string;
  /** Whether it asks for the root that it wants. */
  readonly isPinned: boolean;
  readonly startsAtMs: TimeMs;
  /** It is killed then, and does not return. */
  readonly leavesAtMs: TimeMs | undefined;
  /** When it is killed and started again. */
  readonly restarts: readonly Outage[];
}

export interface RelaysScenario {
  readonly number: number;
  /** `calm`: nothing happens to hosts, and nobody lies. */
  readonly kind: 'calm' | 'hard' | 'hopeless';
  readonly blockSizeBytes: number;
  readonly patienceMs: number;
  readonly objects: readonly ObjectScenario[];
  readonly origins: readonly OriginScenario[];
  readonly relays: readonly RelayScenario[];
  readonly clients: readonly ClientScenario[];
}

export const relaysMssBytes = 500;

export function drawRelaysScenario(number: number): RelaysScenario {
  const draw = new Draw(createRandom('relays scenario', number));
  const kind = draw.pick(['calm', 'hard', 'hard', 'hard', 'hard', 'hopeless'] as const);
  const blockSizeBytes = draw.pick([1000, 1500, 2000]);
  const objects = Array.from({ length: draw.integer(1, 3) }, (_, i) =>
    drawObject(draw, `object ${i}`, blockSizeBytes),
  );
  const most = Math.max(...objects.map(({ contentSizeBytes }) => contentSizeBytes));
  const rate = draw.pick([50_000, 100_000, 500_000]);
  const hasLoss = draw.chance(0.5);
  const connect = (): Connection => ({
    bytesPerSec: Math.ceil(rate / draw.pick([1, 1, draw.between(1, 5)])),
    link: drawLink(draw, hasLoss),
  });
  // About the time that everything takes.
  const spanMs = 500 + (2000 * most) / rate;
  const origins = Array.from({ length: draw.pick([1, 1, 2]) }, (_, i): OriginScenario => {
    const common = { wrongBlocks: [], changesAtMs: undefined, outages: [] };
    return { name: `o${i}`, served: 'right', ...common };
  });
  const relays = drawRelays(draw, kind, { origins, objects, blockSizeBytes, connect });
  const clients = Array.from({ length: draw.integer(1, 5) }, (_, i): ClientScenario => {
    const last = (relays.at(-1) as RelayScenario).name;
    const other = draw.pick([...relays, ...origins]).name;
    return {
      ...{ name: `c${i}`, objectName: draw.pick(objects).name, isPinned: draw.chance(0.4) },
      from: draw.pick([[last], [last], [last], [other], [...new Set([last, other])]]),
      startsAtMs: draw.pick([0, 0, draw.between(0, spanMs), draw.between(0, 4 * spanMs)]),
      ...{ leavesAtMs: undefined, restarts: [] },
      ...connect(),
    };
  });
  const common = { number, kind, blockSizeBytes, patienceMs: 120_000, objects };
  if (kind === 'calm') return { ...common, origins, relays, clients };
  const blockCount = Math.ceil(most / blockSizeBytes);
  const hardOrigins = origins.map((origin, i) =>
    kind === 'hard' && i === 0
      ? { ...origin, outages: sometimesOut(draw, spanMs) }
      : hardenOrigin(draw, origin, spanMs, blockCount),
  );
  return {
    ...common,
    origins:
      kind === 'hopeless'
        ? hardOrigins.map((origin) => ruin(draw, origin))
        : change(draw, hardOrigins, spanMs),
    relays: relays.map((relay) => hardenRelay(draw, relay, spanMs)),
    clients: clients.map((client) => hardenClient(draw, client, spanMs)),
  };
}

function drawObject(draw: Draw, name: string, blockSizeBytes: number): ObjectScenario {
  const blockCount = draw.pick([draw.integer(0, 2), draw.integer(3, 30), draw.integer(20, 60), 50]);
  const shortBytes = draw.pick([0, 1, draw.integer(0, blockSizeBytes - 1)]);
  const contentSizeBytes = Math.max(0, blockCount * blockSizeBytes - shortBytes);
  return { name, contentSizeBytes, fileCount: draw.pick([1, 1, 30]) };
}

interface RelaySetting {
  readonly origins: readonly OriginScenario[];
  readonly objects: readonly ObjectScenario[];
  readonly blockSizeBytes: number;
  readonly connect: () => Connection;
}

/** A chain, in which some relays have other upstream servers beside the one before. */
function drawRelays(
  draw: Draw,
  kind: RelaysScenario['kind'],
  { origins, objects, blockSizeBytes, connect }: RelaySetting,
): RelayScenario[] {
  const count = draw.integer(1, 3);
  const names = Array.from({ length: count }, (_, i) => `r${i}`);
  const originNames = origins.map(({ name }) => name);
  const isCircle = kind !== 'calm' && draw.chance(0.15);
  const rooms = objects.map(({ contentSizeBytes }) =>
    roomOf(contentSizeBytes, 2000, Math.ceil(contentSizeBytes / blockSizeBytes)),
  );
  const largest = Math.max(...rooms);
  return names.map((name, i): RelayScenario => {
    const before = i === 0 ? originNames : [names[i - 1] as string];
    const more = i > 0 && draw.chance(0.25) ? [draw.pick(originNames)] : [];
    // The relay at the front also asks the last one, which asks it.
    const back = isCircle && i === 0 ? [draw.pick(names.slice(Math.min(1, count - 1)))] : [];
    const loose = kind === 'hopeless' && back.length > 0 && draw.chance(0.5);
    return {
      ...{ name, from: loose ? back : [...before, ...more, ...back], lie: undefined },
      cacheLimitBytes: draw.pick([1e9, 1e9, largest, 1.5 * largest, 2 * largest, 50_000]),
      windowBytes: draw.pick([10, 30]) * blockSizeBytes,
      ...{ isDiskBad: false, outages: [] },
      ...connect(),
    };
  });
}

function sometimesOut(draw: Draw, spanMs: number): Outage[] {
  return draw.chance(0.3)
    ? drawOutages(draw, spanMs, ['kill', 'disconnect'], draw.integer(1, 2))
    : [];
}

function hardenOrigin(
  draw: Draw,
  origin: OriginScenario,
  spanMs: number,
  blockCount: number,
): OriginScenario {
  const atMs = draw.between(0, spanMs);
  const some = Array.from({ length: blockCount }, (_, i) => i).filter(() => draw.chance(0.1));
  return {
    ...origin,
    ...draw.pick<() => Partial<OriginScenario>>([
      () => ({}),
      () => ({ outages: [{ kind: draw.pick(['kill', 'disconnect']), atMs, endMs: Infinity }] }),
      () => ({ outages: drawOutages(draw, spanMs, ['kill', 'disconnect'], draw.integer(1, 3)) }),
      () => ({ served: 'wrong-blocks', wrongBlocks: draw.pick([some, [0], [blockCount - 1]]) }),
      () => ({ served: draw.pick(['wrong-digests', 'wrong-manifest', 'wrong-size']) }),
      () => ({ served: draw.pick(['other', 'nothing', 'no-digests']) }),
    ])(),
  };
}

/** The files change at all origins, one after another. */
function change(draw: Draw, origins: OriginScenario[], spanMs: number): OriginScenario[] {
  if (draw.chance(0.75)) return origins;
  const atMs = draw.between(0, 2 * spanMs);
  const laterMs = draw.pick([0, 1000]);
  return origins.map((origin, i) => ({ ...origin, changesAtMs: atMs + i * laterMs }));
}

/** The origin cannot give its objects. */
function ruin(draw: Draw, origin: OriginScenario): OriginScenario {
  return {
    ...origin,
    ...draw.pick<Partial<OriginScenario>>([
      { served: 'nothing' },
      { served: 'wrong-digests' },
      { served: 'no-digests' },
      { served: 'wrong-manifest' },
      { served: 'wrong-size' },
      { served: 'wrong-blocks', wrongBlocks: [0] },
      { outages: [{ kind: 'kill', atMs: 0, endMs: Infinity }] },
    ]),
  };
}

function hardenRelay(draw: Draw, relay: RelayScenario, spanMs: number): RelayScenario {
  const atMs = draw.between(0, spanMs);
  return {
    ...relay,
    ...draw.pick<() => Partial<RelayScenario>>([
      () => ({}),
      () => ({}),
      () => ({ outages: drawOutages(draw, spanMs, ['kill', 'disconnect'], draw.integer(1, 3)) }),
      () => ({ outages: drawOutages(draw, spanMs, ['kill'], 2), isDiskBad: true }),
      () =>
        draw.chance(0.4)
          ? { outages: [{ kind: draw.pick(['kill', 'disconnect']), atMs, endMs: Infinity }] }
          : {},
      () => ({
        lie: { what: draw.pick(['blocks', 'blocks', 'digests']), every: draw.pick([1, 5, 20]) },
      }),
    ])(),
  };
}

function hardenClient(draw: Draw, client: ClientScenario, spanMs: number): ClientScenario {
  const { startsAtMs } = client;
  return {
    ...client,
    ...draw.pick<() => Partial<ClientScenario>>([
      () => ({}),
      () => ({}),
      () => ({ leavesAtMs: startsAtMs + draw.between(1, spanMs) }),
      () => ({
        restarts: drawOutages(draw, spanMs, ['kill'], draw.integer(1, 2)).map((outage) => ({
          ...outage,
          ...{ atMs: startsAtMs + outage.atMs, endMs: startsAtMs + outage.endMs },
        })),
      }),
    ])(),
  };
}
