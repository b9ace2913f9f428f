/** Formats numbers for people. */

/** 1234567 -> 1,234,567 */
export function formatCount(count: number): string {
  return count.toString().replace(/\B(?=(\d{3})+$)/g, ',');
}

/** `1 segment`, `2 segments`. */
export function formatPlural(count: number, noun: string, plural = `${noun}s`): string {
  return `${formatCount(count)} ${count === 1 ? noun : plural}`;
}

/** A size in decimal units, which are usual for network rates: 1.05 MB. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  const digits = unit === 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
  return `${value.toFixed(digits)} ${units[unit]}`;
}

/** A rate in decimal units: 1.05 MB/s. */
export function formatRate(bytesPerSec: number): string {
  return `${formatBytes(bytesPerSec)}/s`;
}

/** 0.123 s, 12.3 s, 4:05, 1:02:03 */
export function formatSeconds(seconds: number): string {
  if (seconds < 10) return `${seconds.toFixed(seconds < 1 ? 3 : 2)} s`;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  const [hours, minutes, rest] = [
    Math.floor(whole / 3600),
    Math.floor(whole / 60) % 60,
    whole % 60,
  ];
  const two = (value: number) => value.toString().padStart(2, '0');
  return hours > 0 ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

/** The goodput in bytes per second; undefined if no time has passed. */
export function bytesPerSec(bytes: number, elapsedMs: number): number | undefined {
  return elapsedMs > 0 ? (bytes / elapsedMs) * 1000 : undefined;
}

/** At most this many significant digits, never with an exponent: 0.00000123, 0.05, 1234. */
export function formatSignificant(value: number, digits: number): string {
  const options = { useGrouping: false, maximumSignificantDigits: digits };
  return new Intl.NumberFormat('en-US', options).format(value);
}

/** Counts by kind: `2 duplicate, 1 stranger`. */
export function formatCounts(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts)
    .map(([kind, count]) => `${formatCount(count)} ${kind}`)
    .join(', ');
}

/** A 16-bit field: 21845 -> 0x5555 */
export function formatHex16(value: number): string {
  return `0x${value.toString(16).padStart(4, '0')}`;
}
