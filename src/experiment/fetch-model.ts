/** Predicts the time of a fetch from several sources if only their rates limit it. */
import { sessionHeaderSizeBytes } from '../wire/header.js';
import type { Point } from './parameters.js';

/** Size of the IPv4 and UDP headers. */
const datagramOverheadBytes = 28;

/** The rate of each source, the fastest first: equal, or 1, 1/2, 1/3, ... of the first one. */
export function sourceRates({ sources = 1, rates, sourceRateBytesPerSec = 0 }: Point): number[] {
  return Array.from({ length: sources }, (_, i) =>
    rates === 'unequal' ? sourceRateBytesPerSec / (i + 1) : sourceRateBytesPerSec,
  );
}

/** How many of the fastest sources die. One source stays. */
export function deathsOf({ sources = 1, deaths = 0 }: Point): number {
  return Math.min(deaths, sources - 1);
}

/** When sources die: when half of the content could have arrived. */
export function deathMs(point: Point): number {
  return fluidMs(point.fileSizeBytes / 2, contentRates(point));
}

/**
 * With a share of each source by its speed, each delivers until the end. With equal parts, the slowest decides, and the
 * rest of the parts of dead sources is shared equally among the others. The model leaves out what it takes to connect, to
 * get the digests, and to find out that a source is dead.
 */
export function fetchMs(point: Point): number {
  const { fileSizeBytes, split } = point;
  const rates = contentRates(point);
  const deaths = deathsOf(point);
  if (split !== 'equal') {
    if (deaths === 0) return fluidMs(fileSizeBytes, rates);
    return deathMs(point) + fluidMs(fileSizeBytes / 2, rates.slice(deaths));
  }
  const part = fileSizeBytes / rates.length;
  const diedAtMs = deathMs(point);
  const left = rates
    .slice(0, deaths)
    .reduce((sum, rate) => sum + Math.max(0, part - (rate * diedAtMs) / 1000), 0);
  const staying = rates.slice(deaths);
  const own = part + left / staying.length;
  return Math.max(...staying.map((rate) => (1000 * own) / rate));
}

function fluidMs(sizeBytes: number, rates: readonly number[]): number {
  return (1000 * sizeBytes) / rates.reduce((sum, rate) => sum + rate, 0);
}

function contentRates(point: Point): number[] {
  return sourceRates(point).map((rate) => contentRate(rate, point));
}

/** The rate at which content crosses a link of a session: without headers. */
export function contentRate(rate: number, { mssBytes }: Point): number {
  return (rate * mssBytes) / (mssBytes + sessionHeaderSizeBytes + datagramOverheadBytes);
}
