/**
 * Chooses the largest segment size that reaches all receivers without fragmentation. The choice is based on
 * the path MTUs that the system knows: initially the MTUs of interfaces, later also those reported by
 * routers. If a size is still too large, the next smaller size that fits common paths is tried.
 */
import type { Address } from '../../base/address.js';
import { sessionMssLimits } from '../../object/geometry.js';
import { sessionDefaults } from '../../transfer/config.js';
import { dataFramingBytes, nextSmallerMssBytes } from '../../wire/segment-size.js';
import { largestDatagramBytes, pathMtuBytes } from './path-mtu.js';

/**
 * Asks the system for a path MTU.
 * @returns undefined if the system does not know the path MTU
 */
export type AskPathMtu = (to: Address, from?: string) => number | undefined;

const ethernetMtuBytes = 1500;

/**
 * Limit for the segment size. Loopback has an MTU of 64 KiB, but the loss of one such segment would lose a
 * whole block.
 */
const jumboMtuBytes = 9000;

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

  /** @returns the largest MSS that fits the paths to all receivers, as far as currently known */
  mssBytes(): number {
    const { receivers, group, groupFrom } = this.options;
    let leastBytes = Number.POSITIVE_INFINITY;
    for (const to of receivers) leastBytes = Math.min(leastBytes, this.mssTo(to));
    if (group !== undefined) leastBytes = Math.min(leastBytes, this.mssTo(group, groupFrom));
    return leastBytes;
  }

  /** @returns the next MSS to try after a size that was too large; undefined if there is none */
  below(mssBytes: number): number | undefined {
    const known = this.mssBytes();
    return known < mssBytes ? known : nextSmallerMssBytes(mssBytes);
  }

  /**
   * @returns the size of the largest datagram that reaches a receiver; undefined if the system does not know
   */
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
 * Leaves the last bytes of the Ethernet MTU unused. Another 40 bytes per segment would save a sixth of a
 * percent. But such segments would not fit tunnels or PPPoE, and the sender would first have to discover
 * that.
 */
function mssForMtu(to: Address, mtuBytes: number): number {
  const datagramBytes = largestDatagramBytes(to, Math.min(mtuBytes, jumboMtuBytes));
  const mostBytes = mtuBytes <= ethernetMtuBytes ? sessionDefaults.mssBytes : jumboMtuBytes;
  const mssBytes = Math.min(datagramBytes - dataFramingBytes, mostBytes);
  return Math.max(mssBytes, sessionMssLimits.minBytes);
}
