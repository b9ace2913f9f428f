/** The entries that a sender withdraws, because it can no longer read them (SESSIONS 6.12). */
import type { ByteReader, ByteWriter } from './byte-codec.js';

/** Why an entry is withdrawn, in the order of their numbers on the wire. */
export const withdrawalReasons = [
  'removed',
  'replaced',
  'shortened',
  'permission-denied',
  'io-error',
  'unreadable',
] as const;
/** Why an entry is withdrawn. */
export type WithdrawalReason = (typeof withdrawalReasons)[number];

/** Consecutive entries of the manifest that are withdrawn for the same reason. */
export interface WithdrawnRun {
  /** The number of the first one in the manifest. */
  readonly first: number;
  readonly count: number;
  readonly reason: WithdrawalReason;
}

/** Some of the entries that are withdrawn. What a message names stays withdrawn. */
export interface Withdrawn {
  readonly kind: 'withdrawn';
  /** At most `maxRunsPerMessage`, in ascending order. */
  readonly runs: readonly WithdrawnRun[];
}

/** As many fit into a datagram on any path. */
export const maxRunsPerMessage = 56;

export function writeWithdrawn(writer: ByteWriter, { runs }: Withdrawn): void {
  writer.varint(runs.length);
  let end = 0;
  for (const { first, count, reason } of runs) {
    writer
      .varint(first - end)
      .varint(count)
      .uint8(withdrawalReasons.indexOf(reason));
    end = first + count;
  }
}

/** @returns undefined if there are no runs, too many, or empty ones, or numbers of entries above 2^53 - 1 */
export function readWithdrawn(reader: ByteReader): Withdrawn | undefined {
  const runCount = reader.varint();
  if (runCount === 0 || runCount > maxRunsPerMessage) return undefined;
  const runs: WithdrawnRun[] = [];
  let end = 0;
  for (let i = 0; i < runCount && reader.isGood; i++) {
    const first = end + reader.varint();
    const count = reader.varint();
    const reason = withdrawalReasons[reader.uint8()];
    if (count === 0 || reason === undefined) return undefined;
    runs.push({ first, count, reason });
    end = first + count;
    if (!Number.isSafeInteger(end)) return undefined;
  }
  return { kind: 'withdrawn', runs };
}
