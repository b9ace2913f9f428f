/** CRC-32 for display. It distinguishes payloads in descriptions and traces. */
import crc32 from 'crc/calculators/crc32';

/** The CRC-32 as eight hexadecimal digits. */
export function formatCrc32(bytes: Uint8Array): string {
  // The calculator's result is signed.
  return (crc32(bytes) >>> 0).toString(16).padStart(8, '0');
}
