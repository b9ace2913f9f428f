/** The reasons to give if datagrams of full size do not reach a receiver (SESSIONS 3.11). */
import { dataFramingBytes } from '../../wire/segment-size.js';

export function narrowPathReason(name: string, mssBytes: number): string {
  const sizeBytes = mssBytes + dataFramingBytes;
  return `the path to ${name} silently drops datagrams of ${sizeBytes} bytes, although small ones arrive; send again with --mss auto or a smaller MSS`;
}

/**
 * Names two possible causes. A smaller path MTU is not the only explanation, because a full-size hello
 * arrived earlier.
 */
export function unreachedReason(name: string, mssBytes: number, unreachedMs: number): string {
  const sizeBytes = mssBytes + dataFramingBytes;
  return `no data has reached ${name} for ${unreachedMs / 1000} s, although control messages have: a filter drops data, or the path MTU fell below ${sizeBytes} bytes; check firewalls and --mss, then send again`;
}
