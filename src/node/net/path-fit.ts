/**
 * The largest segments that get to all receivers in one piece, by what the system knows of the paths: at
 * first of its own interfaces, later what routers said. Where it knows nothing, steps down that fit the
 * paths there are.
 */
import type { Address } from '../../base/address.js';
import { sessionMssLimits } from '../../object/geometry.js';
import { sessionDefaults } from '../../transfer/config.js';
import { dataFramingBytes } from '../../wire/segment-size.js';
import { largestDatagramBytes, pathMtuBytes } from './path-mtu.js';

/** Asks the system for a path's MTU; undefined where it cannot tell. */
export type AskPathMtu = (to: Address, from?: string) => number | undefined;

const ethernetMtuBytes = 1500;

/** Loopback takes 64 KiB at once, but a lost segment of that would be a whole block. */
const jumboMtuBytes = 9000;

/**
 * Where a path is narrower than the system knows. 1400 passes what is usually wrapped around Ethernet;
 * 1200 fits any path of IPv6 (1,280 bytes), 508 any host of IPv4 (576).
 */
const stepsBytes = [sessionDefaults.mssBytes, 1200, 508];

export interface PathFitOptions {
  readonly receivers: readonly Address[];
  readonly group?: Address | undefined;
  /** The own address that datagrams to the group leave from. */
  readonly groupFrom?: string | undefined;
  readonly askPathMtu?: AskPathMtu;
}

export class PathFit {
  private readonly ask: AskPathMtu;

  constructor(private readonly options: PathFitOptions) {
    this.ask =
      options.askPathMtu ?? ((to, from) => pathMtuBytes(to, from === undefined ? {} : { from }));
  }

  /** The MSS that fits every path, as far as the system knows them now. */
  mssBytes(): number {
    const { receivers, group, groupFrom } = this.options;
    let leastBytes = Number.POSITIVE_INFINITY;
    for (const to of receivers) leastBytes = Math.min(leastBytes, this.mssTo(to));
    if (group !== undefined) leastBytes = Math.min(leastBytes, this.mssTo(group, groupFrom));
    return leastBytes;
  }

  /** What to take after this one, which did not fit; undefined where there is nothing smaller. */
  below(mssBytes: number): number | undefined {
    const known = this.mssBytes();
    return known < mssBytes ? known : stepsBytes.find((step) => step < mssBytes);
  }

  /** The largest datagram that gets to a receiver, as far as the system knows; undefined if it does not. */
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
 * On Ethernet not the last byte is used: 40 bytes more a segment would save a sixth of a percent, and
 * not pass a tunnel or PPPoE any more, which then had to be found out.
 */
function mssForMtu(to: Address, mtuBytes: number): number {
  const datagramBytes = largestDatagramBytes(to, Math.min(mtuBytes, jumboMtuBytes));
  const mostBytes = mtuBytes <= ethernetMtuBytes ? sessionDefaults.mssBytes : jumboMtuBytes;
  const mssBytes = Math.min(datagramBytes - dataFramingBytes, mostBytes);
  return Math.max(mssBytes, sessionMssLimits.minBytes);
}
