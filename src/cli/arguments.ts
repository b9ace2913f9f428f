/** Parsers of command-line arguments. They throw P2mpError INVALID_ARGUMENT for invalid arguments. */
import { isIPv6 } from 'node:net';
import { P2mpError } from '../base/errors.js';
import { defaultPort } from '../classic/config.js';
import type { TimeoutSpec } from '../classic/sender-options.js';
import type { LossSpec } from '../loss.js';
import { burstLoss } from '../loss.js';
import type { ServerSpec } from '../node/net/resolve-receivers.js';

function refuse(message: string): never {
  throw new P2mpError('INVALID_ARGUMENT', message);
}

/** Parses a decimal number. @returns NaN for any other text, such as '', 0x10 or Infinity */
function parseNumber(text: string): number {
  return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : Number.NaN;
}

/** @param lowest 0 if the port may be 0, which means any free port; otherwise 1 */
export function parsePort(text: string, lowest: 0 | 1): number {
  const port = parseNumber(text);
  if (Number.isInteger(port) && port >= lowest && port <= 65_535) return port;
  return refuse(
    `port ${text}: must be a whole number from ${lowest} to 65535, such as ${defaultPort}`,
  );
}

/** Parses the MSS of P2MP-FTP. The sender checks its range. */
export function parseMss(text: string): number {
  const mssBytes = parseNumber(text);
  return Number.isNaN(mssBytes)
    ? refuse(`MSS ${text}: must be a whole number of bytes, such as 500`)
    : mssBytes;
}

/** Parses the MSS of a session. `auto` lets the sender choose the MSS. */
export function parseSegmentSize(text: string): number | 'auto' {
  if (text === 'auto') return text;
  const mssBytes = parseNumber(text);
  return Number.isNaN(mssBytes)
    ? refuse(`MSS ${text}: must be "auto" or a whole number of bytes, such as 1400`)
    : mssBytes;
}

/** Node's timers run for at most 24 days. */
const maxSeconds = 2_000_000;

/** @returns milliseconds */
export function parseSeconds(option: string, text: string): number {
  const seconds = parseNumber(text);
  if (seconds > 0 && seconds <= maxSeconds) return seconds * 1000;
  return refuse(`--${option} ${text}: must be above 0 and at most ${maxSeconds} seconds`);
}

const unitSeconds: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };

/** `90`, `90s`, `30m`, `1h` or `2d`. @returns milliseconds */
export function parseDuration(option: string, text: string): number {
  const [, number = '', unit = ''] = /^([\d.]+)([smhd]?)$/i.exec(text) ?? [];
  const seconds = parseNumber(number) * (unitSeconds[unit.toLowerCase() || 's'] ?? 1);
  if (seconds > 0 && seconds <= maxSeconds) return seconds * 1000;
  return refuse(
    `--${option} ${text}: must be a time above 0, such as 90s, 30m, 1h or 2d, at most 23d`,
  );
}

export function parseTimeout(text: string): TimeoutSpec {
  if (text === 'auto') return { mode: 'auto' };
  const timeoutMs = parseNumber(text);
  return timeoutMs > 0
    ? { mode: 'fixed', timeoutMs }
    : refuse(`--timeout ${text}: must be "auto" or a number of milliseconds above 0`);
}

export function parseWindow(text: string): number {
  const windowBlocks = parseNumber(text);
  return Number.isInteger(windowBlocks)
    ? windowBlocks
    : refuse(`--window ${text}: must be a whole number of segments, such as 1`);
}

/** Parses a server: `host`, `host:port`, `address`, `[IPv6]:port` or a bare IPv6 address. */
export function parseServer(text: string, commonPort: number, lowestPort: 0 | 1 = 1): ServerSpec {
  // Looked at first, because compiling the pattern of `node:net` takes 5 ms.
  const hasTwoColons = /:.*:/.test(text);
  if (hasTwoColons && isIPv6(text)) return { name: text, host: text, port: commonPort };
  const match = /^(?:\[(?<bracketed>[^\]]+)\]|(?<plain>[^:[\]]+))(?::(?<port>.*))?$/.exec(text);
  const { bracketed, plain, port } = match?.groups ?? {};
  const host = bracketed ?? plain;
  const isGood = host !== undefined && (bracketed === undefined || isIPv6(bracketed));
  if (!isGood) {
    return refuse(`${text}: must be host, host:port or [IPv6 address]:port`);
  }
  if (port === undefined) return { name: text, host, port: commonPort };
  if (port === '') refuse(`${text}: the port is missing after the colon`);
  if (port.includes(':')) refuse(`${text}: must be one host, host:port or [IPv6 address]:port`);
  return { name: text, host, port: parsePort(port, lowestPort) };
}

/** Parses the loss probability p, the share of data packets to drop. */
export function parseLossProbability(text: string): number {
  const probability = parseNumber(text);
  return probability >= 0 && probability < 1
    ? probability
    : refuse(`loss probability ${text}: must be at least 0 and below 1, such as 0.05`);
}

/**
 * Parses a loss model.
 * - `bernoulli`: independent losses with probability p
 * - `burst:L`: a Gilbert-Elliott model with mean loss p and a mean burst length of L packets
 * - `gilbert-elliott:ENTER,LEAVE,GOOD,BAD`: a Gilbert-Elliott model with these four probabilities
 * - `scripted:N,N,...`: drops the packets with these numbers, counted from 0 in order of arrival
 */
export function parseLossModel(text: string, probability: number): LossSpec {
  const [model = '', parameters] = text.split(/:(.*)/s);
  const numbers = parameters === undefined ? [] : parameters.split(',').map(parseNumber);
  const [first, second, third, fourth] = numbers;
  if (numbers.some(Number.isNaN))
    refuse(`--loss-model ${text}: the values after the colon must be numbers`);
  if (model === 'bernoulli' && first === undefined) {
    return probability === 0 ? { model: 'none' } : { model: 'bernoulli', probability };
  }
  if (model === 'burst' && first !== undefined && numbers.length === 1) {
    return burstLoss(probability, first);
  }
  if (probability > 0 && (model === 'gilbert-elliott' || model === 'scripted')) {
    refuse(
      `loss probability ${probability}: must be 0, because --loss-model ${model} does not use it`,
    );
  }
  if (model === 'gilbert-elliott' && fourth !== undefined && numbers.length === 4) {
    return {
      model: 'gilbert-elliott',
      enterBad: first as number,
      leaveBad: second as number,
      lossInGood: third as number,
      lossInBad: fourth,
    };
  }
  if (
    model === 'scripted' &&
    first !== undefined &&
    numbers.every((n) => Number.isInteger(n) && n >= 0)
  ) {
    return { model: 'scripted', lost: numbers };
  }
  return refuse(
    `--loss-model ${text}: must be bernoulli, burst:LENGTH, ` +
      'gilbert-elliott:ENTER,LEAVE,GOOD,BAD or scripted:NUMBER,...',
  );
}

/** Parses the number of parallel threads. */
export function parseJobs(text: string): number {
  const jobs = parseNumber(text);
  return Number.isInteger(jobs) && jobs >= 1 && jobs <= maxJobs
    ? jobs
    : refuse(`--jobs ${text}: must be a whole number from 1 to ${maxJobs}`);
}

const maxJobs = 1024;

/** Parses `i/n`, which means shard i of n, with i counted from 1. */
export function parseShard(text: string): { index: number; count: number } {
  const [index = Number.NaN, count = Number.NaN, ...more] = text.split('/').map(parseNumber);
  const isGood = Number.isInteger(index) && Number.isInteger(count) && more.length === 0;
  return isGood && index >= 1 && index <= count
    ? { index, count }
    : refuse(`--shard ${text}: must be i/n with i from 1 to n, such as 1/4`);
}

/**
 * Parses a size or a rate, such as `50MB`, `1.5G`, `800k` or `65536`. Units are powers of 1000; `B` and `/s`
 * are optional.
 */
export function parseSize(option: string, text: string): number {
  const match = /^(?<number>[\d.]+)\s*(?<unit>[kMGT]?)B?(?:\/s)?$/i.exec(text);
  const { number = '', unit = '' } = match?.groups ?? {};
  const value = parseNumber(number) * 1000 ** ' kmgt'.indexOf(unit.toLowerCase() || ' ');
  return value > 0
    ? value
    : refuse(`--${option} ${text}: must be a number of bytes above 0, such as 50MB or 800k`);
}

/**
 * Parses an enumerated value.
 * @param option name of the option; undefined for a positional argument
 */
export function parseChoice<T extends string>(
  option: string | undefined,
  text: string,
  choices: readonly T[],
): T {
  const found = choices.find((choice) => choice === text);
  const shown = option === undefined ? text : `--${option} ${text}`;
  return found ?? refuse(`${shown}: must be one of ${choices.join(', ')}`);
}

/** Parses a whole number from 1 to `highest`. */
export function parseCount(option: string, text: string, highest = Infinity): number {
  const count = parseNumber(text);
  const range = highest === Infinity ? 'of at least 1' : `from 1 to ${highest}`;
  return Number.isInteger(count) && count >= 1 && count <= highest
    ? count
    : refuse(`--${option} ${text}: must be a whole number ${range}`);
}
