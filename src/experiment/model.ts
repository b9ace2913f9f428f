/** What the formulas of docs/THEORY.md say of a point, where they say anything. */
import { headerSizeBytes } from '../packet.js';
import type { Point } from './parameters.js';
import { deviationOfDelayMs, meanDelayMs, meanRounds } from './theory.js';

/** IPv4 and UDP headers: what a datagram weighs on a link besides its payload. */
export const linkOverheadBytes = 28;

export interface Model {
  readonly meanDelayMs: number;
  /** Standard deviation of one run. */
  readonly deviationMs: number;
  /** Rounds in all, S * E[R]. */
  readonly rounds: number;
}

/** From a full segment's sending to its ACK: the round trip and what a limited rate adds. */
export function roundTripMs({ rttMs, rateBytesPerSec, mssBytes }: Point): number {
  if (rateBytesPerSec === undefined) return rttMs;
  const bytes = mssBytes + 2 * (headerSizeBytes + linkOverheadBytes);
  return rttMs + (bytes / rateBytesPerSec) * 1000;
}

/**
 * Formula 2: stop-and-wait, independent losses, a fixed timeout above the round trip. Undefined
 * elsewhere: no formula is given for windows, bursts and timeouts that adapt.
 * @param tripMs the round trip, where it was measured
 */
export function createModel(point: Point, tripMs = roundTripMs(point)): Model | undefined {
  const { receivers, loss, lossModel, window, timeoutMs, sendTimeMs } = point;
  if (window !== 1 || timeoutMs === 'auto' || tripMs >= timeoutMs) return undefined;
  if (lossModel !== 'bernoulli' && loss > 0) return undefined;
  const segments = Math.ceil(point.fileSizeBytes / point.mssBytes);
  const run = { receivers, loss, segments, timeoutMs, rttMs: tripMs, sendTimeMs };
  // The last segment is shorter, and passes a limited rate sooner.
  const missingBytes = segments * point.mssBytes - point.fileSizeBytes;
  const savedMs = (missingBytes / (point.rateBytesPerSec ?? Infinity)) * 1000;
  return {
    meanDelayMs: meanDelayMs(run) - savedMs,
    deviationMs: deviationOfDelayMs(run),
    rounds: segments * meanRounds(receivers, loss),
  };
}
