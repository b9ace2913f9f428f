/** Predicts results by the formulas of docs/THEORY.md, for the points that the formulas cover. */
import { headerSizeBytes } from '../packet.js';
import { sessionHeaderSizeBytes } from '../wire/header.js';
import { exchangeMs, peerDeathsOf } from './exchange-model.js';
import { fetchMs } from './fetch-model.js';
import type { Point } from './parameters.js';
import { isSession } from './parameters.js';
import { relayMs } from './relay-model.js';
import { deviationOfDelayMs, meanDelayMs, meanRounds } from './theory.js';

/** Size of the IPv4 and UDP headers, which each datagram has in addition to its payload. */
export const linkOverheadBytes = 28;

/** Predictions for one run. */
export interface Model {
  readonly meanDelayMs: number;
  /** Standard deviation of one run. */
  readonly deviationMs: number;
  /** Total rounds, S * E[R]; undefined for uploads, fetches and exchanges, which have no rounds. */
  readonly rounds: number | undefined;
}

/**
 * Time from sending a full segment to its ACK: the RTT, plus serialization if the rate is limited.
 */
export function roundTripMs({ rttMs, rateBytesPerSec, mssBytes }: Point): number {
  if (rateBytesPerSec === undefined) return rttMs;
  const bytes = mssBytes + 2 * (headerSizeBytes + linkOverheadBytes);
  return rttMs + (bytes / rateBytesPerSec) * 1000;
}

/**
 * The time of uploads if only the rate of the senders limits them: every sender takes size / rate. The model leaves
 * out handshakes and disks, and the limit of the receiver.
 */
function createUploadModel(point: Point): Model | undefined {
  const { senders = 1, order, senderRateBytesPerSec, fileSizeBytes } = point;
  if (senderRateBytesPerSec === undefined) return undefined;
  const oneMs = (fileSizeBytes / senderRateBytesPerSec) * 1000;
  const meanDelayMs = order === 'sequence' ? senders * oneMs : oneMs;
  return { meanDelayMs, deviationMs: 0, rounds: undefined };
}

/** The time of incast if only the rate of the port limits it. The model leaves out handshakes and repairs. */
function createIncastModel(point: Point): Model | undefined {
  const { senders = 1, rateBytesPerSec, fileSizeBytes, mssBytes } = point;
  if (rateBytesPerSec === undefined) return undefined;
  const framingBytes = sessionHeaderSizeBytes + linkOverheadBytes;
  const sizeBytes = fileSizeBytes + Math.ceil(fileSizeBytes / mssBytes) * framingBytes;
  const meanDelayMs = (senders * sizeBytes * 1000) / rateBytesPerSec;
  return { meanDelayMs, deviationMs: 0, rounds: undefined };
}

function createRelayModel(point: Point): Model | undefined {
  const meanDelayMs = relayMs(point);
  return meanDelayMs === undefined ? undefined : { meanDelayMs, deviationMs: 0, rounds: undefined };
}

/**
 * Applies formula 2, which assumes stop-and-wait, independent losses and a fixed timeout above the RTT.
 * Returns undefined if any of these assumptions is wrong, because no formula covers that case.
 * @param tripMs the measured round-trip time; by default, the round-trip time of the simulated path
 */
export function createModel(point: Point, tripMs = roundTripMs(point)): Model | undefined {
  const { receivers, loss, lossModel, window, timeoutMs, sendTimeMs } = point;
  if (point.pathCount !== undefined) return createIncastModel(point);
  if (point.senders !== undefined) return createUploadModel(point);
  if (point.sources !== undefined)
    return { meanDelayMs: fetchMs(point), deviationMs: 0, rounds: undefined };
  if (point.hops !== undefined) return createRelayModel(point);
  if (point.peers !== undefined) {
    const isSure = peerDeathsOf(point) === 0;
    return isSure
      ? { meanDelayMs: exchangeMs(point), deviationMs: 0, rounds: undefined }
      : undefined;
  }
  if (isSession(point)) return undefined;
  if (window !== 1 || timeoutMs === 'auto' || tripMs >= timeoutMs) return undefined;
  if (lossModel === 'gilbert-elliott' || (lossModel !== 'bernoulli' && loss > 0)) return undefined;
  const segments = Math.ceil(point.fileSizeBytes / point.mssBytes);
  const run = { receivers, loss, segments, timeoutMs, rttMs: tripMs, sendTimeMs };
  // The last segment can be shorter. At a limited rate, it then takes less time.
  const missingBytes = segments * point.mssBytes - point.fileSizeBytes;
  const savedMs = (missingBytes / (point.rateBytesPerSec ?? Infinity)) * 1000;
  return {
    meanDelayMs: meanDelayMs(run) - savedMs,
    deviationMs: deviationOfDelayMs(run),
    rounds: segments * meanRounds(receivers, loss),
  };
}
