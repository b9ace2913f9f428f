/**
 * Simulated runs that show how sessions share paths, for tests and the table of docs/CONGESTION.md.
 */
import { Bottleneck } from '../../src/simulator/bottleneck.js';
import { FlowReceiver } from '../../src/simulator/flow-receiver.js';
import { addRenoFlow } from '../../src/simulator/reno-flow.js';
import type { SessionFlowOptions } from '../../src/simulator/session-flow.js';
import { SessionFlow } from '../../src/simulator/session-flow.js';
import { Simulation } from '../../src/simulator/simulation.js';

const mbit = 125_000;
const mssBytes = 1400;
/** More than any run can send. */
const endless = 4e9;

export interface Path {
  readonly seed?: string;
  readonly mbits?: number;
  readonly rttMs?: number;
  readonly queueBdp?: number;
  readonly loss?: number;
  readonly runMs?: number;
}

function dumbbell(path: Path, pairs: readonly string[]) {
  const { seed = 'congestion', mbits = 100, rttMs = 40, queueBdp = 1, loss = 0 } = path;
  const simulation = new Simulation({ seed });
  const bottleneck = new Bottleneck(simulation, {
    rateBytesPerSec: mbits * mbit,
    rttMs,
    queueBdp,
    lossProbability: loss,
  });
  for (const name of pairs) bottleneck.connect(name, `${name}1`);
  const payload = mbits * mbit * Bottleneck.payloadShare(mssBytes);
  return { simulation, bottleneck, payload };
}

function flow(simulation: Simulation, name: string, options: Partial<SessionFlowOptions> = {}) {
  return new SessionFlow(simulation, {
    name,
    receiverCount: 1,
    contentSizeBytes: endless,
    mssBytes,
    ...options,
  });
}

/** Runs one session alone. @returns its goodput from `fromMs` on, as a share of the link rate */
export function runAlone(path: Path, options: Partial<SessionFlowOptions> = {}, fromMs = 2000) {
  const { runMs = 12_000 } = path;
  const { simulation, bottleneck, payload } = dumbbell(path, ['a']);
  const a = flow(simulation, 'a', options);
  simulation.run({ untilMs: runMs });
  const [receipt] = a.receipts;
  return {
    share: (receipt?.rate(fromMs, runMs) ?? 0) / payload,
    queueFull: bottleneck.link.counts.queueFull / bottleneck.link.counts.sent,
  };
}

/**
 * Runs one session whose receivers have a slow return path. @returns the goodput of the slowest
 * receiver, as a share of the rate of its forward link
 */
export function runAsymmetric(options: {
  readonly mbits?: number;
  readonly backKbits: number;
  readonly rttMs?: number;
  readonly backQueueMs?: number;
  readonly loss?: number;
  readonly receiverCount?: number;
  readonly hasGroup?: boolean;
  readonly runMs?: number;
  readonly seed?: string;
}) {
  const { mbits = 10, backKbits, rttMs = 40, backQueueMs = 2000, loss = 0 } = options;
  const { receiverCount = 1, hasGroup = false, runMs = 30_000, seed = 'asymmetric' } = options;
  const simulation = new Simulation({ seed });
  const backRate = backKbits * (mbit / 1000);
  for (let i = 1; i <= receiverCount; i++) {
    const there = { rateBytesPerSec: mbits * mbit, rttMs, queueBdp: 1, lossProbability: loss };
    new Bottleneck(simulation, there, `there ${i}`).connect('a', `a${i}`);
    const back = simulation.createLink(`back ${i}`, {
      delayMs: rttMs / 2,
      rateBytesPerSec: backRate,
      queueLimitBytes: Math.max(500, (backRate * backQueueMs) / 1000),
      overheadBytes: 28,
    });
    simulation.connect(`a${i}`, 'a', [back]);
  }
  const a = flow(simulation, 'a', { receiverCount, hasGroup });
  simulation.run({ untilMs: runMs });
  const payload = mbits * mbit * Bottleneck.payloadShare(mssBytes);
  return Math.min(...a.receipts.map((receipt) => receipt.rate(runMs / 3, runMs))) / payload;
}

/** Runs two sessions. @returns the shares of the first and of both over the last part */
export function runTwo(
  path: Path,
  startAtMs = 0,
  measureMs = 15_000,
  options: Partial<SessionFlowOptions> = {},
) {
  const { runMs = 30_000 } = path;
  const { simulation, bottleneck, payload } = dumbbell(path, ['a', 'b']);
  const a = flow(simulation, 'a', options);
  const b = flow(simulation, 'b', { ...options, startAtMs });
  simulation.run({ untilMs: runMs });
  const [first, second] = [a, b].map(
    (one) => (one.receipts[0]?.rate(runMs - measureMs, runMs) ?? 0) / payload,
  ) as [number, number];
  const { queueFull, sent } = bottleneck.link.counts;
  return { first, second, fairness: first / (first + second), queueFull: queueFull / sent };
}

/** The seeds with which two sessions that start at the same time are run. */
export const alikeSeeds = [
  'congestion',
  ...Array.from({ length: 11 }, (_, i) => `congestion ${i + 1}`),
];

/** What each of two sessions that start at the same time gets of their total at least (docs/CONGESTION.md). */
export const leastPart = 0.4;

/**
 * Runs two sessions that start at the same time, once with each seed.
 * @returns means over the seeds, and the least share of the total that one of the two got with any seed
 */
export function runAlike(queueBdp: number, seeds: readonly string[] = alikeSeeds, mbits = 100) {
  const runs = seeds.map((seed) => runTwo({ seed, queueBdp, mbits, runMs: 60_000 }, 0, 40_000));
  const mean = (pick: (run: (typeof runs)[number]) => number) =>
    runs.reduce((sum, run) => sum + pick(run), 0) / runs.length;
  return {
    first: mean(({ first }) => first),
    second: mean(({ second }) => second),
    queueFull: mean(({ queueFull }) => queueFull),
    least: Math.min(...runs.map(({ fairness }) => Math.min(fairness, 1 - fairness))),
  };
}

/** Runs a session against a NewReno flow. */
export function runReno(path: Path, startAtMs = 0, measureMs = 40_000) {
  const { runMs = 60_000 } = path;
  const { simulation, bottleneck, payload } = dumbbell(path, ['a', 'reno']);
  const a = flow(simulation, 'a', { startAtMs });
  const reno = addRenoFlow(simulation, 'reno', 0);
  simulation.run({ untilMs: runMs });
  const session = (a.receipts[0]?.rate(runMs - measureMs, runMs) ?? 0) / payload;
  const other = reno.rate(runMs - measureMs, runMs) / payload;
  const { queueFull, sent } = bottleneck.link.counts;
  return { session, reno: other, queueFull: queueFull / sent };
}

/** The queue of the port in `runIncast`, in datagrams. */
const portDatagrams = 64;

/** Runs sessions of several senders, each by one or two paths, to one receiver behind a port with a short queue. */
export class IncastRun {
  readonly simulation: Simulation;
  readonly flows: readonly SessionFlow[];
  private readonly bottleneck: Bottleneck;
  private readonly payload: number;

  /** @param pathCounts the number of paths of each sender */
  constructor(
    pathCounts: readonly (1 | 2)[],
    optionsOf: (index: number) => Partial<SessionFlowOptions> = () => ({}),
    { mbits = 100, rttMs = 10, loss = 0, seed = 'incast', setsShares = true } = {},
  ) {
    const queueBdp = (portDatagrams * (mssBytes + 16 + 28)) / (mbits * (mbit / 1000) * rttMs);
    const run = dumbbell({ seed, mbits, rttMs, queueBdp, loss }, []);
    const { simulation, bottleneck } = run;
    this.simulation = simulation;
    this.bottleneck = bottleneck;
    this.payload = run.payload;
    const further = '10.0.0.1';
    const addresses = pathCounts.includes(2) ? ['receiver', further] : ['receiver'];
    const sharedReceiver = new FlowReceiver(simulation, { addresses, setsShares });
    this.flows = pathCounts.map((pathCount, i) => {
      const name = `sender${i}`;
      bottleneck.connect(name, 'receiver');
      const options = { sharedReceiver, ...optionsOf(i) };
      if (pathCount === 1) return flow(simulation, name, options);
      const path = { sender: `10.1.${i}.1`, receiver: further };
      bottleneck.connect(path.sender, path.receiver);
      return flow(simulation, name, { ...options, furtherPaths: [path] });
    });
  }

  /** Number of datagrams lost at the full queue so far. */
  get queueFullCount(): number {
    return this.bottleneck.link.counts.queueFull;
  }

  /** Number of paths that each sender uses at the moment. */
  pathsInUse(): number[] {
    return this.flows.map(({ sender }) => {
      const [status] = sender.statuses(this.simulation.nowMs);
      return status?.paths?.filter(({ isInUse }) => isInUse).length ?? 1;
    });
  }

  /** @returns what happens in this time */
  measure(fromMs: number, toMs: number) {
    const { simulation, bottleneck, flows, payload } = this;
    const { counts } = bottleneck.link;
    simulation.run({ untilMs: fromMs });
    const before = { ...counts };
    simulation.run({ untilMs: toMs });
    const rates = flows.map(({ receipts }) => receipts[0]?.rate(fromMs, toMs) ?? 0);
    const sum = rates.reduce((total, rate) => total + rate, 0);
    return {
      rates: rates.map((rate) => rate / payload),
      share: sum / payload,
      queueFull: (counts.queueFull - before.queueFull) / (counts.sent - before.sent),
      jain: sum ** 2 / (rates.length * rates.reduce((total, rate) => total + rate ** 2, 0)),
    };
  }
}

/** Runs several senders with the same number of paths. @returns what happens after startup */
export function runIncast(senderCount: number, pathCount: 1 | 2, runMs = 3000) {
  const run = new IncastRun(Array.from({ length: senderCount }, () => pathCount));
  return run.measure(runMs / 3, runMs);
}

/** Runs four receivers with their own links; the last one may be slow. */
export function runSlow(options: {
  readonly slowMbits?: number;
  readonly hasGroup: boolean;
  readonly contentSizeBytes: number;
  readonly seed?: string;
  readonly rttMs?: number;
  readonly receiverCount?: number;
  readonly rateBytesPerSec?: number;
}) {
  const { slowMbits = 100, hasGroup, contentSizeBytes, seed = 'slow', rttMs = 40 } = options;
  const { receiverCount = 4, rateBytesPerSec } = options;
  const simulation = new Simulation({ seed });
  for (let i = 1; i <= receiverCount; i++) {
    const mbits = i === receiverCount ? slowMbits : 100;
    const rateOf = { rateBytesPerSec: mbits * mbit, rttMs, queueBdp: 1 };
    new Bottleneck(simulation, rateOf, `link ${i}`).connect('a', `a${i}`);
  }
  const a = flow(simulation, 'a', {
    receiverCount,
    hasGroup,
    contentSizeBytes,
    ...(rateBytesPerSec === undefined ? {} : { rateBytesPerSec }),
  });
  simulation.run({ untilMs: 600_000, isOver: () => a.sender.isDone });
  return a.receipts.map(({ completeAtMs }) => completeAtMs ?? Infinity);
}

/** Time per datagram on a sending host without any other limit. */
const sendTimeMs = 0.003;

/** Runs sessions on a local network. @returns shares of 1 Gbit/s, or of the host's maximum rate */
export function runLocal(
  what: 'one' | 'group of 3' | 'unicast to 3' | 'no limit, group of 3',
  loss: number,
  runMs = 2000,
  seed = 'local',
): number[] {
  const isLimited = what !== 'no limit, group of 3';
  const receiverCount = what === 'one' ? 1 : 3;
  const rateBytesPerSec = isLimited ? 1000 * mbit : 1e12;
  const simulation = new Simulation({ seed });
  const rttMs = 0.3;
  const queueBdp = 512_000 / ((rateBytesPerSec * rttMs) / 1000);
  const path = { rateBytesPerSec, rttMs, queueBdp, lossProbability: loss };
  const shared = new Bottleneck(simulation, path);
  for (let i = 1; i <= receiverCount; i++) {
    // A switch replicates multicast; with unicast, all copies share the line of the sender.
    const line = what === 'unicast to 3' ? shared : new Bottleneck(simulation, path, `line ${i}`);
    line.connect('a', `a${i}`);
  }
  const a = flow(simulation, 'a', {
    receiverCount,
    hasGroup: what.includes('group'),
    ...(isLimited ? {} : { sendTimeMs }),
  });
  simulation.run({ untilMs: runMs });
  const most = isLimited
    ? rateBytesPerSec * Bottleneck.payloadShare(mssBytes)
    : (mssBytes * 1000) / sendTimeMs;
  // If a handshake packet is lost, content starts a second later.
  const begunAtMs = Math.max(...a.receipts.map(({ begunAtMs = runMs }) => begunAtMs));
  return a.receipts.map((receipt) => receipt.rate(begunAtMs + runMs / 5, runMs) / most);
}
