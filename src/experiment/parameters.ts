/** The parameters of an experiment: their values at each point, and their names in outputs. */
import { P2mpError } from '../base/errors.js';
import type { LossSpec } from '../loss.js';
import { burstLoss, meanLoss } from '../loss.js';

/** The modes of a run: simulated in virtual time, or real over sockets. */
export const modes = ['simulated', 'real'] as const;
/** How a run is executed. */
export type Mode = (typeof modes)[number];

/** The protocols of a run: P2MP-FTP, or a session that sends its data by unicast or by multicast. */
export const protocols = ['p2mp-ftp', 'unicast', 'multicast'] as const;
/** Protocol of a run. */
export type Protocol = (typeof protocols)[number];

/** When the senders of parallel uploads send: one after another, or all at once. */
export const orders = ['sequence', 'parallel'] as const;
/** Order of the senders of a run. */
export type Order = (typeof orders)[number];

/** How a fetch shares its object among the sources: by their speeds, or in equal parts. */
export const splits = ['speed', 'equal'] as const;
/** Split of a run. */
export type Split = (typeof splits)[number];

/** The rates of the sources of a fetch: all the same, or 1, 1/2, 1/3, ... of the first one. */
export const rateKinds = ['equal', 'unequal'] as const;
/** Rates of the sources of a run. */
export type RateKind = (typeof rateKinds)[number];

/** When a relay passes on what it receives: at once, or when it has all of it. */
export const passings = ['cut-through', 'store-and-forward'] as const;
/** Passing of a run. */
export type Passing = (typeof passings)[number];

/** Which link of a chain of relays loses packets: none, the origin's, or those of the clients. */
export const lossyLinks = ['none', 'first', 'last'] as const;
/** Lossy link of a run. */
export type LossyLink = (typeof lossyLinks)[number];
/**
 * What limits the peers of an exchange: up- and downlinks of one rate, uplinks of a tenth of it, or one medium that
 * carries everything.
 */
export const shapes = ['symmetric', 'slow-uplinks', 'medium'] as const;
/** Shape of the network of an exchange. */
export type Shape = (typeof shapes)[number];

/** Whether a receiver tells senders that overload its link what they may send. */
export const sharings = ['off', 'on'] as const;
/** Use of shares in a run. */
export type Sharing = (typeof sharings)[number];

/** Which of two paths a session begins with. */
export const firstPaths = ['fast', 'slow'] as const;
/** First path of a run. */
export type FirstPath = (typeof firstPaths)[number];

/** One value for each parameter that can vary in a plan. The mode is not part of a point. */
export interface Point {
  readonly receivers: number;
  readonly mssBytes: number;
  /** Mean share of data packets that each receiver drops. */
  readonly loss: number;
  /** `bernoulli`, `burst:LENGTH` or `gilbert-elliott`; the last one uses `enterBad` to `lossInBad` below. */
  readonly lossModel: string;
  /** Segments in flight. */
  readonly window: number;
  readonly timeoutMs: number | 'auto';
  /** RTT of the simulated path, without the serialization delay of a limited rate. */
  readonly rttMs: number;
  /** Rate of each receiver's path in each direction; undefined if unlimited. */
  readonly rateBytesPerSec: number | undefined;
  readonly queueBytes: number | undefined;
  /** Time that a simulated sender spends on each datagram; the sender sends one datagram after another. */
  readonly sendTimeMs: number;
  readonly fileSizeBytes: number;
  /** Undefined if the plan names no protocol; its runs then use P2MP-FTP. */
  readonly protocol: Protocol | undefined;
  /** Probability of a transition to the bad state before each packet; undefined for other loss models. */
  readonly enterBad: number | undefined;
  /** Probability of a transition to the good state before each packet. */
  readonly leaveBad: number | undefined;
  readonly lossInGood: number | undefined;
  readonly lossInBad: number | undefined;
  /** Number of senders that each upload a file to the receiver; undefined if the plan has no `uploads` or `incast`. */
  readonly senders: number | undefined;
  readonly order: Order | undefined;
  /** Maximum rate of each sender; undefined if unlimited. */
  readonly senderRateBytesPerSec: number | undefined;
  /** Number of sources from which the object is fetched; undefined if the plan has no `fetches`. */
  readonly sources: number | undefined;
  readonly split: Split | undefined;
  readonly rates: RateKind | undefined;
  /** Number of sources that die when half of the content could have arrived. */
  readonly deaths: number | undefined;
  /** Rate of the fastest source. */
  readonly sourceRateBytesPerSec: number | undefined;
  /** Number of relays between the origin and the receivers; undefined if the plan has no `relays`. */
  readonly hops: number | undefined;
  readonly passing: Passing | undefined;
  readonly lossyLink: LossyLink | undefined;
  /** Number of objects that the origin has; undefined if the plan has no `caches`. */
  readonly objects: number | undefined;
  /** Number of questions, half of which only fill the cache. */
  readonly requests: number | undefined;
  /** Object number i is asked for with a probability proportional to i to the power of minus this. */
  readonly zipfExponent: number | undefined;
  /** Number of objects for which the cache has room. */
  readonly cachedObjects: number | undefined;
  /** Number of peers that each bring a file to all others; undefined if the plan has no `exchanges`. */
  readonly peers: number | undefined;
  readonly shape: Shape | undefined;
  /** Number of peers that die when 60 % of the content could have arrived. */
  readonly peerDeaths: number | undefined;
  /** Rate of a downlink, or of the medium. */
  readonly peerRateBytesPerSec: number | undefined;
  /** Rate of the fast path, divided by that of the slow one; undefined if the plan has no `paths`. */
  readonly rateRatio: number | undefined;
  /** Round-trip time of the slow path, divided by that of the fast one. */
  readonly rttRatio: number | undefined;
  readonly firstPath: FirstPath | undefined;
  /** Number of paths of each of several senders; undefined if the plan has no `incast`. */
  readonly pathCount: number | undefined;
  readonly shares: Sharing | undefined;
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

/** All parameters. When a plan is expanded into points, the last parameter varies fastest. */
export const parameters: Readonly<Record<ParameterName, Parameter>> = {
  protocol: {
    column: 'protocol',
    title: 'Protocol',
    label: (value) => (isSessionProtocol(value) ? `session by ${value}` : 'P2MP-FTP'),
  },
  senderRateBytesPerSec: {
    column: 'sender_rate_bytes_per_s',
    title: 'Rate of each sender, bytes/s',
    label: (value) => (value === undefined ? 'no rate limit' : `${value} bytes/s each`),
  },
  order: {
    column: 'order',
    title: 'Order of the senders',
    label: (value) => (value === 'parallel' ? 'all at once' : 'one after another'),
  },
  sourceRateBytesPerSec: {
    column: 'source_rate_bytes_per_s',
    title: 'Rate of the fastest source, bytes/s',
    label: (value) => `up to ${value} bytes/s`,
  },
  deaths: {
    column: 'deaths',
    title: 'Sources that die at half',
    label: (value) => (value === 0 ? 'no deaths' : `${value} die${value === 1 ? 's' : ''} at half`),
  },
  rates: {
    column: 'rates',
    title: 'Rates of the sources',
    label: (value) => `${value} rates`,
  },
  split: {
    column: 'split',
    title: 'Split among the sources',
    label: (value) => (value === 'equal' ? 'equal parts' : 'pull by speed'),
  },
  sources: { column: 'sources', title: 'Number of sources', label: (value) => `${value} sources` },
  passing: {
    column: 'passing',
    title: 'How relays pass on',
    label: (value) => String(value),
  },
  lossyLink: {
    column: 'lossy_link',
    title: 'Lossy link',
    label: (value) =>
      value === 'none'
        ? 'no loss'
        : value === 'first'
          ? 'loss before relays'
          : 'loss behind relays',
  },
  hops: {
    column: 'hops',
    title: 'Number of relays',
    label: (value) => `${value} relay${value === 1 ? '' : 's'}`,
  },
  objects: { column: 'objects', title: 'Number of objects', label: (value) => `${value} objects` },
  requests: {
    column: 'requests',
    title: 'Number of questions',
    label: (value) => `${value} questions`,
  },
  zipfExponent: {
    column: 'zipf_exponent',
    title: 'Exponent of the Zipf law',
    label: (value) => `exponent ${value}`,
  },
  cachedObjects: {
    column: 'cached_objects',
    title: 'Size of the cache, objects',
    label: (value) => `cache of ${value} objects`,
  },
  peerRateBytesPerSec: {
    column: 'peer_rate_bytes_per_s',
    title: 'Rate of a downlink or of the medium, bytes/s',
    label: (value) => `${value} bytes/s`,
  },
  peerDeaths: {
    column: 'peer_deaths',
    title: 'Peers that die at 60 %',
    label: (value) => (value === 0 ? 'no deaths' : `${value} die${value === 1 ? 's' : ''} at 60 %`),
  },
  shape: { column: 'shape', title: 'Network', label: (value) => `${value}`.replace('-', ' ') },
  peers: { column: 'peers', title: 'Number of peers', label: (value) => `${value} peers` },
  firstPath: {
    column: 'first_path',
    title: 'First path',
    label: (value) => `${value} path first`,
  },
  shares: {
    column: 'shares',
    title: 'Shares',
    label: (value) => (value === 'on' ? 'with shares' : 'without shares'),
  },
  pathCount: {
    column: 'path_count',
    title: 'Number of paths of each sender',
    label: (value) => `${value} path${value === 1 ? '' : 's'} each`,
  },
  rttRatio: {
    column: 'rtt_ratio',
    title: 'Ratio of the round-trip times (slow to fast)',
    label: (value) => `RTT 1:${value}`,
  },
  rateRatio: {
    column: 'rate_ratio',
    title: 'Ratio of the rates (fast to slow)',
    label: (value) => `rates ${value}:1`,
  },
  senders: { column: 'senders', title: 'Number of senders', label: (value) => `${value} senders` },
  lossInBad: {
    column: 'loss_in_bad',
    title: 'Loss probability in the bad state',
    label: (value) => `loss in bad state ${value}`,
  },
  lossInGood: {
    column: 'loss_in_good',
    title: 'Loss probability in the good state',
    label: (value) => `loss in good state ${value}`,
  },
  leaveBad: {
    column: 'leave_bad',
    title: 'Probability to leave the bad state, per packet',
    label: (value) => `leave bad state ${value}`,
  },
  enterBad: {
    column: 'enter_bad',
    title: 'Probability to enter the bad state, per packet',
    label: (value) => `enter bad state ${value}`,
  },
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
      value === 'bernoulli'
        ? 'independent losses'
        : value === 'gilbert-elliott'
          ? 'Gilbert-Elliott'
          : `bursts of ${String(value).slice(6)}`,
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

/** Optional parameters. If a plan does not name one of them, its value is undefined at every point. */
const extraNames: readonly ParameterName[] = [
  'protocol',
  'senderRateBytesPerSec',
  'order',
  'senders',
  'sourceRateBytesPerSec',
  'deaths',
  'rates',
  'split',
  'sources',
  'passing',
  'lossyLink',
  'hops',
  'objects',
  'requests',
  'zipfExponent',
  'cachedObjects',
  'peerRateBytesPerSec',
  'peerDeaths',
  'shape',
  'peers',
  'shares',
  'pathCount',
  'firstPath',
  'rttRatio',
  'rateRatio',
  'lossInBad',
  'lossInGood',
  'leaveBad',
  'enterBad',
];

/** The parameters of the plan with this point: those of every plan, and the optional ones that it names. */
export function namedParameters(point: Point): ParameterName[] {
  return parameterNames.filter((name) => !extraNames.includes(name) || point[name] !== undefined);
}

function isSessionProtocol(value: unknown): boolean {
  return value === 'unicast' || value === 'multicast';
}

/** Whether the run is a session instead of a P2MP-FTP transfer. */
export function isSession({ protocol }: Point): boolean {
  return isSessionProtocol(protocol);
}

/** A point's value in a table: undefined if the parameter has no effect at this point. */
export function cellOf(point: Point, name: ParameterName): Point[ParameterName] {
  if (isSession(point) && (name === 'window' || name === 'timeoutMs')) return undefined;
  if (name !== 'loss' || point.enterBad === undefined) return point[name];
  return Number(meanLoss(createLossSpec(point)).toPrecision(6));
}

const burstModel = /^burst:(?<length>\d+(?:\.\d+)?)$/;

/** Whether the text is the name of a loss model, as given on the command line. */
export function isLossModelName(text: string): boolean {
  return text === 'bernoulli' || burstModel.test(text);
}

/**
 * Builds the loss model of a point.
 * @throws P2mpError INVALID_ARGUMENT if the model is unknown or cannot have this mean loss
 */
export function createLossSpec(point: Point): LossSpec {
  const { loss, lossModel, enterBad = 0, leaveBad = 0, lossInGood = 0, lossInBad = 1 } = point;
  if (lossModel === 'gilbert-elliott') {
    return { model: lossModel, enterBad, leaveBad, lossInGood, lossInBad };
  }
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
