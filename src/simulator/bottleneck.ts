/** A bottleneck that several flows pass: each has its own way to it and from it, all share its queue. */
import type { LossSpec } from '../loss.js';
import type { Link } from './link.js';
import type { Simulation } from './simulation.js';

export interface BottleneckOptions {
  readonly rateBytesPerSec: number;
  /** There and back, without the queue. */
  readonly rttMs: number;
  /** What waits at most, in products of bandwidth and round trip. */
  readonly queueBdp: number;
  /** Of data, behind the queue: drawn for each datagram. */
  readonly lossProbability?: number;
}

/** What each datagram weighs on Ethernet besides its payload: headers of IP and UDP. */
const overheadBytes = 28;

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

  /** Lays the way of a flow through the bottleneck; back, there is room for all. */
  connect(from: string, to: string): void {
    const { simulation, options, loss } = this;
    const delayMs = options.rttMs / 2;
    const access = simulation.createLink(`${from} to ${to}`, {
      delayMs,
      ...(loss === undefined ? {} : { loss }),
    });
    simulation.connect(from, to, [this.link, access]);
    simulation.connect(to, from, [simulation.createLink(`${to} to ${from}`, { delayMs })]);
  }

  /** What of the link's rate is left for content in datagrams of this size, of its own header too. */
  static payloadShare(mssBytes: number): number {
    return mssBytes / (mssBytes + 16 + overheadBytes);
  }
}
