/** CRC-32 as people compare it: tells payloads apart in descriptions and traces. */
import crc32 from 'crc/calculators/crc32';

/** Eight hexadecimal digits. */
export function formatCrc32(bytes: Uint8Array): string {
  // The calculator's result is signed.
  return (crc32(bytes) >>> 0).toString(16).padStart(8, '0');
}
