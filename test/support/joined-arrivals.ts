/** Joins datagrams that arrive close together from one host, as systems do (GRO). */
import { type Address, formatAddress } from '../../src/base/address.js';
import type { Machine, TimeMs } from '../../src/base/machine.js';
import { delegate } from './scenario-run.js';

/** No system joins more than this. */
const maxPieceBytes = 65_535;
const maxDatagrams = 64;

export interface Joining {
  /** How long the first datagram of a piece waits for others. */
  readonly holdMs: TimeMs;
  /** Called with the number of datagrams in each piece. */
  readonly handleJoined?: (count: number) => void;
}

/**
 * Joins as UDP GRO does: datagrams of equal size, of which the last may be smaller. The machine
 * must be able to split them.
 */
export function joinArrivals<Event>(
  machine: Machine<Event>,
  { holdMs, handleJoined }: Joining,
): Machine<Event> {
  let held:
    | { from: Address; datagrams: Uint8Array[]; sizeBytes: number; untilMs: TimeMs }
    | undefined;
  const handOver = (nowMs: TimeMs) => {
    if (held === undefined) return;
    const { from, datagrams, sizeBytes } = held;
    held = undefined;
    const piece = new Uint8Array(sizeBytes);
    let offset = 0;
    for (const datagram of datagrams) {
      piece.set(datagram, offset);
      offset += datagram.length;
    }
    handleJoined?.(datagrams.length);
    machine.handleDatagram(nowMs, from, piece);
  };
  return delegate(machine, {
    handleDatagram: (nowMs, from, bytes) => {
      const stepBytes = held?.datagrams[0]?.length ?? 0;
      const fits =
        held !== undefined &&
        formatAddress(held.from) === formatAddress(from) &&
        bytes.length <= stepBytes &&
        held.sizeBytes + bytes.length <= maxPieceBytes &&
        held.datagrams.length < maxDatagrams;
      if (!fits) handOver(nowMs);
      held ??= { from, datagrams: [], sizeBytes: 0, untilMs: nowMs + holdMs };
      held.datagrams.push(bytes);
      held.sizeBytes += bytes.length;
      if (fits && bytes.length < stepBytes) handOver(nowMs);
    },
    handleTimeout: (nowMs) => {
      if (held !== undefined && nowMs >= held.untilMs) handOver(nowMs);
      machine.handleTimeout(nowMs);
    },
    pollTimeout: () => {
      const dueAtMs = machine.pollTimeout();
      return held === undefined ? dueAtMs : Math.min(held.untilMs, dueAtMs ?? Infinity);
    },
  });
}
