/** The parts of progress displays: bars, shares, rates and remaining times. */
import { formatRate, formatSeconds } from '../../../base/format.js';
import type { Glyphs } from '../terminal-look.js';
import { join, type Text, toned } from '../text.js';

/** Remaining times above this say nothing. */
const maxSeconds = 100 * 3600;

/** @param share 0..1; below 1, at least one character of the bar stays empty */
export function bar(share: number, columns: number, { done, rest }: Glyphs): Text {
  const full = Math.max(0, Math.min(columns, Math.floor(share * columns)));
  return join([toned('active', done.repeat(full)), toned('faint', rest.repeat(columns - full))]);
}

/** @returns false if a display of this width must use short words */
export function isWide(columns: number): boolean {
  return columns >= 60;
}

/** @returns the width of the bars in a display of this width */
export function barColumns(columns: number): number {
  return columns >= 100 ? 20 : isWide(columns) ? 10 : 6;
}

/** @returns how wide the state of a transfer can be in a display of this width */
export function stateColumns(columns: number): number {
  return isWide(columns) ? columns : 12;
}

/** @returns `1 of 3 complete`; in a narrow display `1/3 complete` */
export function countOf(complete: number, all: number, columns: number): string {
  return `${complete}${isWide(columns) ? ' of ' : '/'}${all} complete`;
}

/** @returns the part of the whole, 0..1; an empty object is complete */
export function shareOf(held: number, size: number): number {
  return size === 0 ? 1 : held / size;
}

/** Rounds down, so that 100 is returned only for a complete object. */
export function percent(heldBytes: number, sizeBytes: number): number {
  return Math.floor(shareOf(heldBytes, sizeBytes) * 100);
}

export function formatLoss(lossRatio: number): string {
  const share = lossRatio * 100;
  return `${share === 0 || share >= 9.95 ? share.toFixed(0) : share.toFixed(1)}%`;
}

/** @returns a dash if nothing moves or the rate is not known */
export function rateOrDash(perSec: number | undefined): string {
  return perSec === undefined || perSec === 0 ? '-' : formatRate(perSec);
}

/** @returns whole seconds below a minute, then m:ss; undefined if the time is unknown or says nothing */
export function formatEta(seconds: number | undefined): string | undefined {
  if (seconds === undefined || !(seconds > 0) || seconds > maxSeconds) return undefined;
  const whole = Math.ceil(seconds);
  return whole < 60 ? `${whole} s` : formatSeconds(whole);
}

/** @returns `ETA 12 s`, or nothing rather than nonsense */
export function etaPart(seconds: number | undefined): string {
  const eta = formatEta(seconds);
  return eta === undefined ? '' : `ETA ${eta}`;
}

/** @returns `average 1.05 MB/s`; nothing before anything has moved */
export function averagePart(perSec: number | undefined): string {
  return perSec === undefined || perSec === 0 ? '' : `average ${formatRate(perSec)}`;
}
