/** Predicts the time of an exchange if only the rates of the links limit it (docs/THEORY.md). */
import { sessionHeaderSizeBytes } from '../wire/header.js';
import type { Point } from './parameters.js';

/** Size of the IPv4 and UDP headers. */
const datagramOverheadBytes = 28;

/** With slow uplinks, an uplink has this part of the rate of a downlink. */
const uplinkShare = 0.1;

/** The rates of the links of a peer, or of the medium that carries everything; undefined for what there is not. */
export interface ExchangeRates {
  readonly upBytesPerSec?: number;
  readonly downBytesPerSec?: number;
  readonly mediumBytesPerSec?: number;
}

export function exchangeRates({ shape, peerRateBytesPerSec = 0 }: Point): ExchangeRates {
  if (shape === 'medium') return { mediumBytesPerSec: peerRateBytesPerSec };
  const upBytesPerSec = peerRateBytesPerSec * (shape === 'slow-uplinks' ? uplinkShare : 1);
  return { upBytesPerSec, downBytesPerSec: peerRateBytesPerSec };
}

/**
 * The least time, if each peer brings one file of this size: by multicast, each uplink carries one file, and each
 * downlink all others; by unicast, the uplinks carry together what all downlinks get. A medium carries each file once by
 * multicast, and once for each peer by unicast. The model leaves out handshakes, digests and storage.
 */
export function exchangeMs(point: Point): number {
  const { peers = 0, fileSizeBytes, mssBytes, protocol } = point;
  const { upBytesPerSec, downBytesPerSec, mediumBytesPerSec } = exchangeRates(point);
  const datagramBytes = mssBytes + sessionHeaderSizeBytes + datagramOverheadBytes;
  const fileBytes = (fileSizeBytes * datagramBytes) / mssBytes;
  const others = peers - 1;
  const copies = protocol === 'multicast' ? 1 : others;
  const times = [
    (copies * fileBytes) / (upBytesPerSec ?? Infinity),
    (others * fileBytes) / (downBytesPerSec ?? Infinity),
    (peers * copies * fileBytes) / (mediumBytesPerSec ?? Infinity),
  ];
  return 1000 * Math.max(...times);
}

/** How many peers die. Two stay. */
export function peerDeathsOf({ peers = 2, peerDeaths = 0 }: Point): number {
  return Math.min(peerDeaths, peers - 2);
}

/** When peers die: when 60 % of what the rates allow could have arrived. */
export function peerDeathMs(point: Point): number {
  return 0.6 * exchangeMs(point);
}
