/**
 * A bottleneck shared by several flows: each flow has its own access links, and all flows share one queue.
 */
import { withoutUndefined } from '../base/without-undefined.js';
import type { LossSpec } from '../loss.js';
import type { Link } from './link.js';
import type { Simulation } from './simulation.js';

/** Properties of a bottleneck and of the paths through it. */
export interface BottleneckOptions {
  readonly rateBytesPerSec: number;
  /** Round-trip time without queueing delay. */
  readonly rttMs: number;
  /** Queue limit in bandwidth-delay products. */
  readonly queueBdp: number;
  /** Probability that a data datagram is lost after it has left the queue. */
  readonly lossProbability?: number;
}

/** Overhead per datagram besides its payload: IP and UDP headers. */
const overheadBytes = 28;

/** A shared link with a bounded queue in a simulation. */
export class Bottleneck {
  readonly link: Link;
  private readonly loss: LossSpec | undefined;

  constructor(
    private readonly simulation: Simulation,
    private readonly options: BottleneckOptions,
    name = 'bottleneck',
  ) {
    const { rateBytesPerSec, rttMs, queueBdp, lossProbability = 0 } = options;
    this.loss =
      lossProbability === 0 ? undefined : { model: 'bernoulli', probability: lossProbability };
    this.link = simulation.createLink(name, {
      rateBytesPerSec,
      queueLimitBytes: Math.max(2000, (queueBdp * rateBytesPerSec * rttMs) / 1000),
      overheadBytes,
    });
  }

  /** Routes a flow through the bottleneck; the return path is unlimited. */
  connect(from: string, to: string): void {
    const { simulation, options, loss } = this;
    const delayMs = options.rttMs / 2;
    const access = simulation.createLink(`${from} to ${to}`, {
      delayMs,
      ...withoutUndefined({ loss }),
    });
    simulation.connect(from, to, [this.link, access]);
    simulation.connect(to, from, [simulation.createLink(`${to} to ${from}`, { delayMs })]);
  }

  /** Fraction of the link's rate that carries payload, for segments of this size. Headers take the rest. */
  static payloadShare(mssBytes: number): number {
    return mssBytes / (mssBytes + 16 + overheadBytes);
  }
}
