/**
 * Several sources serve crowds, each by its own group. If all clients ask the same source for the same part, each part is
 * sent once. When a source has sent its part, the last window has it help the others.
 */
import type { Range } from '../../../base/range-set.js';
import type { FetchSource } from '../fetch-source.js';

const everything: Range = { start: 0, end: Infinity };

/**
 * The parts are equal and in the order of the sessions, which all members know.
 * @param live the sources that have not left
 * @returns what the source may be asked for
 */
export function crowdPart(
  source: FetchSource,
  live: readonly FetchSource[],
  blockCount: number,
): Range {
  if (!servesCrowd(source)) return everything;
  const crowds = live.filter(servesCrowd);
  const place = crowds.filter((other) => isBefore(other, source)).length;
  const startOf = (part: number) => Math.floor((part * blockCount) / crowds.length);
  return { start: startOf(place), end: startOf(place + 1) };
}

function isBefore(a: FetchSource, b: FetchSource): boolean {
  return a.session < b.session || (a.session === b.session && a.index < b.index);
}

/** Whether a source serves a crowd and holds everything. */
function servesCrowd({ setsPace, held }: FetchSource): boolean {
  return setsPace && held === undefined;
}
