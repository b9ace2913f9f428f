/** Trace of a simulation: one record per event, exported as JSON lines. */
import { formatCrc32 } from '../base/crc32.js';
import type { TimeMs } from '../base/machine.js';
import { RelayedObject } from '../roles/relay/relayed-object.js';
import { SessionSender } from '../session/sender.js';

/** What happened to a datagram, or an event that a host's machine emitted. */
export type TraceRecord =
  | {
      readonly atMs: TimeMs;
      readonly what: 'sent' | 'lost' | 'queue-full' | 'received' | 'unreachable';
      readonly from: string;
      readonly to: string;
      readonly sizeBytes: number;
      readonly crc32: string;
      readonly packet: string;
    }
  | {
      readonly atMs: TimeMs;
      readonly what: 'event';
      readonly host: string;
      readonly event: object;
    };

/**
 * Formats a record as one line of JSON without a newline. Byte arrays are shown as size and CRC-32, the sender of an
 * event as the number of its session, and an object of a relay by its name.
 * @example
 * ```ts
 * import { formatTraceLine } from 'p2mp/core';
 *
 * const record = { atMs: 1, what: 'event', host: 'a', event: { type: 'discard' } } as const;
 * console.log(formatTraceLine(record)); // {"atMs":1,"what":"event","host":"a","event":{"type":"discard"}}
 * ```
 */
export function formatTraceLine(record: TraceRecord): string {
  return JSON.stringify(record, (_key, value: unknown) => {
    if (value instanceof Uint8Array) return `${value.length} bytes, crc32 ${formatCrc32(value)}`;
    if (value instanceof RelayedObject) return value.name;
    return value instanceof SessionSender ? value.session : value;
  });
}
