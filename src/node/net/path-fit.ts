/**
 * Chooses the largest segments that reach all receivers unfragmented. It uses the path MTUs that the system knows: at
 * first those of the host's interfaces, later those that routers reported. If a size still turns out too large, it
 * steps down through sizes that fit common paths.
 */
import type { Address } from '../../base/address.js';
import { sessionMssLimits } from '../../object/geometry.js';
import { sessionDefaults } from '../../transfer/config.js';
import { dataFramingBytes } from '../../wire/segment-size.js';
import { largestDatagramBytes, pathMtuBytes } from './path-mtu.js';

/** Asks the system for a path MTU; undefined if it does not know. */
export type AskPathMtu = (to: Address, from?: string) => number | undefined;

const ethernetMtuBytes = 1500;

/** Loopback has an MTU of 64 KiB, but losing a segment of that size would lose a whole block. */
const jumboMtuBytes = 9000;

/**
 * Sizes to try if a path is narrower than the system knows. 1400 fits usual tunnels over Ethernet; 1200 fits any IPv6
 * path (1,280 bytes), and 508 any IPv4 host (576).
 */
const stepsBytes = [sessionDefaults.mssBytes, 1200, 508];

export interface PathFitOptions {
  readonly receivers: readonly Address[];
  readonly group?: Address | undefined;
  /** The source address of group datagrams. */
  readonly groupFrom?: string | undefined;
  readonly askPathMtu?: AskPathMtu;
}

export class PathFit {
  private readonly ask: AskPathMtu;

  constructor(private readonly options: PathFitOptions) {
    this.ask =
      options.askPathMtu ?? ((to, from) => pathMtuBytes(to, from === undefined ? {} : { from }));
  }

  /** The MSS that fits every path, as far as currently known. */
  mssBytes(): number {
    const { receivers, group, groupFrom } = this.options;
    let leastBytes = Number.POSITIVE_INFINITY;
    for (const to of receivers) leastBytes = Math.min(leastBytes, this.mssTo(to));
    if (group !== undefined) leastBytes = Math.min(leastBytes, this.mssTo(group, groupFrom));
    return leastBytes;
  }

  /** The next smaller MSS after one that did not fit; undefined if there is none. */
  below(mssBytes: number): number | undefined {
    const known = this.mssBytes();
    return known < mssBytes ? known : stepsBytes.find((step) => step < mssBytes);
  }

  /** The largest datagram that reaches a receiver, as far as the system knows; undefined if it does not know. */
  datagramBytesTo(to: Address): number | undefined {
    const mtuBytes = this.ask(to);
    return mtuBytes === undefined ? undefined : largestDatagramBytes(to, mtuBytes);
  }

  private mssTo(to: Address, from?: string): number {
    const mtuBytes = this.ask(to, from);
    return mtuBytes === undefined ? sessionDefaults.mssBytes : mssForMtu(to, mtuBytes);
  }
}

/**
 * Leaves the last bytes of Ethernet's MTU unused. Another 40 bytes per segment would save a sixth of a percent, but
 * would not fit a tunnel or PPPoE, which would then have to be discovered.
 */
function mssForMtu(to: Address, mtuBytes: number): number {
  const datagramBytes = largestDatagramBytes(to, Math.min(mtuBytes, jumboMtuBytes));
  const mostBytes = mtuBytes <= ethernetMtuBytes ? sessionDefaults.mssBytes : jumboMtuBytes;
  const mssBytes = Math.min(datagramBytes - dataFramingBytes, mostBytes);
  return Math.max(mssBytes, sessionMssLimits.minBytes);
}
