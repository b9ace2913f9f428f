/** The parameters of an experiment: the values of a point, and the parameters' names in outputs. */
import { P2mpError } from '../base/errors.js';
import type { LossSpec } from '../loss.js';
import { burstLoss } from '../loss.js';

/** The modes of a run: in virtual time or over real sockets. */
export const modes = ['simulated', 'real'] as const;
/** How a run is executed. */
export type Mode = (typeof modes)[number];

/** One value for each parameter that can vary in a plan, except the mode. */
export interface Point {
  readonly receivers: number;
  readonly mssBytes: number;
  /** Mean share of data packets that each receiver drops. */
  readonly loss: number;
  /** `bernoulli` or `burst:LENGTH`. */
  readonly lossModel: string;
  /** Segments in flight. */
  readonly window: number;
  readonly timeoutMs: number | 'auto';
  /** RTT of the simulated path, without the serialization delay of a limited rate. */
  readonly rttMs: number;
  /** Rate of each receiver's path in each direction; undefined if unlimited. */
  readonly rateBytesPerSec: number | undefined;
  readonly queueBytes: number | undefined;
  /** Time that a simulated sender spends on each datagram; it sends one datagram after another. */
  readonly sendTimeMs: number;
  readonly fileSizeBytes: number;
}

/** Name of a parameter in a plan. */
export type ParameterName = keyof Point;

/** How a parameter appears in outputs. */
export interface Parameter {
  /** Column name in the CSV files. */
  readonly column: string;
  /** Axis title, with the unit. */
  readonly title: string;
  /** A short form for legends and sentences: `n = 3`, `RTT 20 ms`. */
  readonly label: (value: Point[ParameterName]) => string;
}

/** All parameters in the order of expansion: the last one varies fastest. */
export const parameters: Readonly<Record<ParameterName, Parameter>> = {
  fileSizeBytes: {
    column: 'file_bytes',
    title: 'File size, bytes',
    label: (value) => `${value} bytes`,
  },
  rateBytesPerSec: {
    column: 'rate_bytes_per_s',
    title: 'Rate of each path, bytes/s',
    label: (value) => (value === undefined ? 'no rate limit' : `${value} bytes/s`),
  },
  queueBytes: {
    column: 'queue_bytes',
    title: 'Queue of each path, bytes',
    label: (value) => (value === undefined ? 'no queue limit' : `queue ${value} bytes`),
  },
  sendTimeMs: {
    column: 'send_time_ms',
    title: 'Sending time of a datagram, ms',
    label: (value) => `t = ${value} ms`,
  },
  rttMs: { column: 'rtt_ms', title: 'Round-trip time, ms', label: (value) => `RTT ${value} ms` },
  window: { column: 'window', title: 'Window, segments', label: (value) => `window ${value}` },
  timeoutMs: {
    column: 'timeout_ms',
    title: 'Timeout, ms',
    label: (value) => (value === 'auto' ? 'automatic timeout' : `timeout ${value} ms`),
  },
  lossModel: {
    column: 'loss_model',
    title: 'Loss model',
    label: (value) =>
      value === 'bernoulli' ? 'independent losses' : `bursts of ${String(value).slice(6)}`,
  },
  loss: {
    column: 'loss',
    title: 'Loss probability p of a data packet',
    label: (value) => `p = ${value}`,
  },
  mssBytes: {
    column: 'mss_bytes',
    title: 'Maximum segment size, bytes',
    label: (value) => `MSS ${value}`,
  },
  receivers: {
    column: 'receivers',
    title: 'Number of receivers',
    label: (value) => `n = ${value}`,
  },
};

/** Names of all parameters, in the order of `parameters`. */
export const parameterNames = Object.keys(parameters) as ParameterName[];

const burstModel = /^burst:(?<length>\d+(?:\.\d+)?)$/;

/** Whether the text is the name of a loss model in the syntax of the commands. */
export function isLossModelName(text: string): boolean {
  return text === 'bernoulli' || burstModel.test(text);
}

/**
 * Builds the loss model of a point.
 * @throws P2mpError INVALID_ARGUMENT if the model is unknown or cannot have this mean loss
 */
export function createLossSpec(loss: number, lossModel: string): LossSpec {
  const length = burstModel.exec(lossModel)?.groups?.['length'];
  if (length !== undefined) return burstLoss(loss, Number(length));
  if (lossModel !== 'bernoulli') {
    throw new P2mpError('INVALID_ARGUMENT', `loss model ${lossModel}: not known`);
  }
  return loss === 0 ? { model: 'none' } : { model: 'bernoulli', probability: loss };
}

/** The parameters that take more than one value among these points, in the order of `parameters`. */
export function varyingParameters(points: readonly Point[]): ParameterName[] {
  return parameterNames.filter((name) => points.some((point) => point[name] !== points[0]?.[name]));
}

/** Every combination of the values; the last parameter varies fastest. */
export function combine(
  values: Readonly<{ [Name in ParameterName]: readonly Point[Name][] }>,
): Point[] {
  let points: Partial<Record<ParameterName, Point[ParameterName]>>[] = [{}];
  for (const name of parameterNames) {
    points = points.flatMap((point) => values[name].map((value) => ({ ...point, [name]: value })));
  }
  return points as unknown as Point[];
}
