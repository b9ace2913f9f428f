/** What several paths to one receiver contribute: for the live table, the JSON events and the summary. */
import { withoutUndefined } from '../../../base/without-undefined.js';
import { aggregationBenefit } from '../../../path/aggregation-benefit.js';
import type { IncomingPathStatus } from '../../../session/receiver-events.js';
import type { PathStatus } from '../../../session/sender-events.js';

/** What is known of a transfer by several paths. */
interface ByPaths {
  readonly paths?: readonly PathStatus[];
  readonly receivedBytes: number;
  readonly elapsedMs: number;
}

/** The part of what has arrived by all paths that has arrived by each of them, 0..1. */
export function sharesOf(paths: readonly { readonly receivedBytes: number }[]): number[] {
  const total = paths.reduce((sum, { receivedBytes }) => sum + receivedBytes, 0);
  return paths.map(({ receivedBytes }) => (total === 0 ? 0 : receivedBytes / total));
}

/**
 * The aggregation benefit. What a path could carry alone is not measured: it is estimated by its best second.
 * @returns undefined if fewer than two paths have carried anything
 */
export function benefitOf({ paths = [], receivedBytes, elapsedMs }: ByPaths): number | undefined {
  if (elapsedMs <= 0 || receivedBytes === 0) return undefined;
  const alone = paths.map((path) => path.bestRateBytesPerSec);
  return aggregationBenefit((1000 * receivedBytes) / elapsedMs, alone);
}

/** What a path is doing, for users. */
export function describePath({ state, isInUse }: PathStatus): string {
  switch (state) {
    case 'new':
      return 'not proven';
    case 'closed':
      return 'no answer';
    case 'open':
      return isInUse ? 'open' : 'resting';
    case 'silent':
      return 'silent';
  }
}

/** Both ends of a path. */
export function nameOfPath({ from, address }: PathStatus): string {
  return from === undefined ? address : `${from} to ${address}`;
}

/** The other end of a path by which a session arrives. */
export function nameOfIncomingPath({ number, from }: IncomingPathStatus): string {
  return from === undefined ? `path ${number}` : `from ${from}`;
}

/** What several paths have contributed, in few words. */
export function describePaths(outcome: ByPaths): string[] {
  const { paths = [] } = outcome;
  if (paths.length < 2) return [];
  const shares = sharesOf(paths).map((share) => `${Math.round(100 * share)}%`);
  const benefit = benefitOf(outcome);
  const gain = benefit === undefined ? '' : `, benefit ${benefit.toFixed(2)}`;
  return [`${paths.length} paths (${shares.join(' + ')}${gain})`];
}

/** The field `paths` of JSON events about a receiver or client. */
export function pathsJson(paths: readonly PathStatus[] | undefined) {
  if (paths === undefined) return {};
  const shares = sharesOf(paths);
  return {
    paths: paths.map((path, i) => ({
      path: path.number,
      address: path.address,
      ...withoutUndefined({ from: path.from }),
      state: path.state,
      isInUse: path.isInUse,
      receivedBytes: path.receivedBytes,
      share: shares[i] ?? 0,
      datagrams: path.datagramsSent,
      arrived: path.datagramsReceived,
      loss: path.lossRatio,
      rate: Math.round(path.rateBytesPerSec),
      bestRate: Math.round(path.bestRateBytesPerSec),
      ...withoutUndefined({ rttMs: path.rttMs }),
    })),
  };
}

/** The field `benefit` of JSON events about an outcome. */
export function benefitJson(outcome: ByPaths) {
  return withoutUndefined({ benefit: benefitOf(outcome) });
}

/** The field `paths` of JSON events about a session that arrives, or a source of a fetch. */
export function incomingPathsJson(paths: readonly IncomingPathStatus[] | undefined) {
  if (paths === undefined) return {};
  const shares = sharesOf(paths);
  return {
    paths: paths.map(({ number: path, from, datagramsReceived: datagrams, receivedBytes }, i) => ({
      ...{ path, datagrams, receivedBytes, share: shares[i] ?? 0 },
      ...withoutUndefined({ from }),
    })),
  };
}
