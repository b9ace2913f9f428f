/** A session under hard conditions, derived from its number alone. */

import type { TimeMs } from '../../src/base/machine.js';
import { createRandom } from '../../src/base/random.js';
import type { Range } from '../../src/base/range-set.js';
import type { LossSpec } from '../../src/loss.js';
import { burstLoss } from '../../src/loss.js';
import type { LinkOptions } from '../../src/simulator/link.js';
import type {
  LostFile,
  SessionIncident,
  SimulatedPath,
} from '../../src/simulator/session-transfer-options.js';
import { withdrawalReasons } from '../../src/wire/withdrawn.js';
import { Draw } from './scenario.js';

export interface SessionScenario {
  readonly seed: string;
  readonly contentSizeBytes: number;
  readonly fileCount: number;
  readonly mssBytes: number;
  readonly blockSizeBytes: number;
  readonly hasGroup: boolean;
  readonly livenessTimeoutMs: number;
  readonly rateBytesPerSec: number | undefined;
  readonly reportsPerSec: number;
  readonly sendTimeMs: number;
  readonly sourceTimeMs: number;
  readonly receivers: readonly SessionReceiverScenario[];
  /** Incidents of the sender; those of receivers are in `receivers`. */
  readonly senderIncidents: readonly SessionIncident[];
  /** Files that the sender can no longer read from some time on. */
  readonly lostFiles: readonly LostFile[];
  readonly pathOutages: readonly PathOutage[];
  /** Whether the sender knows from the start the addresses of further paths. */
  readonly namesAllAddresses: boolean;
  /** The time of the last incident. */
  readonly lastIncidentMs: TimeMs;
}

export interface SessionReceiverScenario {
  /** Whether it is present at the end, and never absent for too long. */
  readonly returns: boolean;
  readonly incidents: readonly SessionIncident[];
  readonly isReachedByGroup: boolean;
  readonly forwardLink: LinkOptions;
  readonly backwardLink: LinkOptions;
  readonly writeTimeMs: number;
  readonly storeTimeMs: number;
  readonly checkpointMs: number;
  readonly rot: number;
  readonly bufferBytes: number;
  readonly keptBlocks: readonly Range[];
  /** Further paths to the receiver. */
  readonly furtherPaths: readonly SimulatedPath[];
  /** Times at which the receiver gets another address, after its first content, or after the offer if `movesEarly`. */
  readonly movesAfterMs: readonly TimeMs[];
  readonly movesEarly: boolean;
}

/** Nothing passes on a path, to and from any receiver, for a while or for good. */
export interface PathOutage {
  /** The number of the path; 0 for the first one. */
  readonly path: number;
  readonly fromMs: TimeMs;
  readonly untilMs: TimeMs;
}

const livenessTimeoutMs = 20_000;

/** An absence of this length leaves enough time to reconnect before the liveness timeout. */
const longestAbsenceMs = 6000;

export function drawSessionScenario(number: number): SessionScenario {
  const draw = new Draw(createRandom('session scenario', number));
  const isCalm = draw.chance(0.25);
  const receiverCount = draw.chance(0.04) ? 30 : draw.integer(1, 8);
  const mssBytes = draw.integer(64, 200);
  const segmentsPerBlock = draw.pick([1, 2, 45, 128, draw.integer(1, 128)]);
  // Often the last segment of a full block is shorter than the MSS, as with standard blocks.
  const shortBytes = draw.pick([0, draw.integer(0, mssBytes - 17)]);
  const blockSizeBytes = mssBytes * segmentsPerBlock - 16 - shortBytes;
  const hasGroup = draw.chance(0.6);
  const groupShare = draw.pick([1, 1, 0.5, 0]);
  const spanMs = draw.pick([300, 2000, 6000]);
  const delayMs = draw.integer(0, isCalm ? 5 : 60);
  const drawKept = createKept(number);
  const paths = drawPaths(number, isCalm, delayMs);
  const moves = createMoves(number, spanMs);
  const receivers = Array.from({ length: receiverCount }, (_, i): SessionReceiverScenario => {
    const fate = isCalm ? 'steady' : drawFate(draw);
    const movesAfterMs = moves();
    return {
      returns: fate !== 'away',
      incidents: drawIncidents(draw, i, fate, spanMs),
      isReachedByGroup: draw.chance(groupShare),
      forwardLink: drawLink(draw, isCalm, delayMs),
      backwardLink: drawLink(draw, isCalm, delayMs),
      writeTimeMs: draw.pick([0, 0, 0, draw.integer(1, 20)]),
      storeTimeMs: draw.pick([0, draw.integer(1, 50), draw.integer(1, 3000)]),
      checkpointMs: draw.pick([10, 100, 1000]),
      rot: draw.pick([0, 0, 0.1, 1]),
      bufferBytes: draw.pick([48_000_000, 48_000_000, 4 * blockSizeBytes, 1]),
      keptBlocks: drawKept(),
      furtherPaths: paths.draw(),
      // Who restarts is sought where it was at first.
      movesAfterMs: fate === 'steady' ? movesAfterMs : [],
      // A receiver that leaves the group before its first content takes long to catch up.
      movesEarly: !hasGroup,
    };
  });
  const senderIncidents = isCalm || draw.chance(0.9) ? [] : drawAbsence(draw, 'sender', spanMs);
  const all = [...senderIncidents, ...receivers.flatMap(({ incidents }) => incidents)];
  const mostSegments = receiverCount === 30 ? 150 : draw.pick([100, 400, 400, 1500]);
  const contentSizeBytes = drawSize(draw, mssBytes, blockSizeBytes, mostSegments);
  const fileCount = draw.pick([1, 1, 3, 50, 200]);
  // A sender that starts again does not offer what it has lost, which is another object.
  const lostFiles = senderIncidents.length > 0 ? [] : drawLostFiles(number, fileCount, spanMs);
  return {
    seed: `session scenario ${number}`,
    contentSizeBytes,
    fileCount,
    mssBytes,
    blockSizeBytes,
    hasGroup,
    livenessTimeoutMs,
    rateBytesPerSec: draw.chance(0.15) ? draw.integer(50_000, 2_000_000) : undefined,
    reportsPerSec: draw.pick([1000, 1000, 100, 20]),
    sendTimeMs: draw.pick([0, 0, 0.01, 0.1]),
    sourceTimeMs: draw.pick([0, 0, draw.integer(1, 30)]),
    receivers:
      senderIncidents.length === 0
        ? receivers
        : receivers.map((each) => ({ ...each, movesAfterMs: [] })),
    senderIncidents,
    lostFiles,
    pathOutages: paths.outages,
    namesAllAddresses: new Draw(createRandom('named addresses', number)).chance(0.5),
    lastIncidentMs: Math.max(
      0,
      ...[...all, ...lostFiles].map(({ atMs }) => atMs),
      ...paths.outages.map(({ fromMs, untilMs }) => (untilMs === Infinity ? fromMs : untilMs)),
    ),
  };
}

/**
 * Draws the further paths of each receiver in turn, in one of five scenarios, and outages of paths. Only a further path
 * is lost for good, because a receiver that restarts is sought at its first address. The random numbers are their own.
 */
function drawPaths(number: number, isCalm: boolean, delayMs: number) {
  const draw = new Draw(createRandom('further paths', number));
  if (draw.chance(0.8)) return { outages: [], draw: () => [] };
  const most = draw.integer(1, 3);
  const outages = Array.from({ length: isCalm ? 0 : draw.pick([0, 1, 1, 2]) }, (): PathOutage => {
    const path = draw.integer(0, most);
    const fromMs = draw.integer(1, 3000);
    const lastsMs = draw.pick([path === 0 ? 500 : Infinity, draw.integer(1, longestAbsenceMs)]);
    return { path, fromMs, untilMs: fromMs + lastsMs };
  });
  const path = (): SimulatedPath => ({
    forwardLink: drawLink(draw, isCalm, draw.pick([delayMs, draw.integer(0, 100)])),
    backwardLink: drawLink(draw, isCalm, delayMs),
  });
  return { outages, draw: () => Array.from({ length: draw.integer(0, most) }, path) };
}

/** Draws, for each receiver in turn, when it moves, in one of four scenarios. The random numbers are their own. */
function createMoves(number: number, spanMs: number): () => readonly TimeMs[] {
  const draw = new Draw(createRandom('moves', number));
  const share = draw.pick([0, 0, 0, 0.5]);
  return () =>
    draw.chance(share)
      ? Array.from({ length: draw.pick([1, 1, 2, 6]) }, () => draw.integer(0, spanMs))
      : [];
}

/** Not all files, without which the session fails. The random numbers are its own, as for kept blocks. */
function drawLostFiles(number: number, fileCount: number, spanMs: number): readonly LostFile[] {
  const draw = new Draw(createRandom('lost files', number));
  if (fileCount === 1 || draw.chance(0.5)) return [];
  const first = draw.integer(0, fileCount - 1);
  const count = draw.pick([1, 1, draw.integer(1, fileCount - 1)]);
  const atMs = draw.integer(1, spanMs);
  return Array.from({ length: count }, (_, i) => ({
    atMs: draw.pick([atMs, atMs, draw.integer(1, spanMs)]),
    file: (first + i) % fileCount,
    reason: draw.pick(withdrawalReasons),
  }));
}

/**
 * Draws, for each receiver in turn, the blocks that it keeps. It has random numbers of its own: they change nothing else.
 */
function createKept(number: number): () => readonly Range[] {
  const draw = new Draw(createRandom('kept blocks', number));
  const everyone = drawRanges(draw);
  const share = draw.pick([0, 0, 0, 0.5, 1]);
  return () => (draw.chance(share) ? draw.pick([everyone, drawRanges(draw)]) : []);
}

function drawRanges(draw: Draw): readonly Range[] {
  const length = draw.pick([1, 5, 100, 1500]);
  const start = draw.pick([0, draw.integer(0, 30)]);
  const one = [{ start, end: start + length }];
  const gap = draw.integer(1, 4);
  const many = Array.from({ length: 200 }, (_, i) => ({
    start: start + i * (1 + gap),
    end: start + i * (1 + gap) + 1,
  }));
  return draw.pick([one, many]);
}

type ReceiverFate = 'steady' | 'absent' | 'late' | 'away';

function drawFate(draw: Draw): ReceiverFate {
  return draw.pick<ReceiverFate>([
    'steady',
    'steady',
    'steady',
    'steady',
    'steady',
    'steady',
    'absent',
    'absent',
    'late',
    draw.chance(0.4) ? 'away' : 'steady',
  ]);
}

function drawIncidents(
  draw: Draw,
  host: number,
  fate: ReceiverFate,
  spanMs: number,
): SessionIncident[] {
  switch (fate) {
    case 'steady':
      return [];
    case 'late':
      return [
        { atMs: 0, host, fault: 'kill' },
        { atMs: draw.integer(1, longestAbsenceMs), host, fault: 'start' },
      ];
    case 'away': {
      const atMs = draw.pick([0, draw.integer(1, spanMs), draw.integer(1, spanMs)]);
      return [{ atMs, host, fault: draw.pick(['kill', 'disconnect'] as const) }];
    }
    case 'absent': {
      const first = drawAbsence(draw, host, spanMs);
      if (draw.chance(0.7)) return first;
      const fromMs = first[1].atMs + 1000;
      return [
        ...first,
        ...drawAbsence(draw, host, spanMs).map((incident) => ({
          ...incident,
          atMs: incident.atMs + fromMs,
        })),
      ];
    }
  }
}

function drawAbsence(
  draw: Draw,
  host: number | 'sender',
  spanMs: number,
): [SessionIncident, SessionIncident] {
  const atMs = draw.integer(1, spanMs);
  const backAtMs = atMs + draw.pick([1, draw.integer(1, 500), draw.integer(1, longestAbsenceMs)]);
  return draw.chance(0.6)
    ? [
        { atMs, host, fault: 'kill' },
        { atMs: backAtMs, host, fault: 'start' },
      ]
    : [
        { atMs, host, fault: 'disconnect' },
        { atMs: backAtMs, host, fault: 'reconnect' },
      ];
}

function drawSize(
  draw: Draw,
  mssBytes: number,
  blockSizeBytes: number,
  mostSegments: number,
): number {
  const mostBytes = Math.min(mostSegments * mssBytes, 60 * blockSizeBytes);
  const mostBlocks = Math.max(1, Math.floor(mostBytes / blockSizeBytes));
  return draw.pick([
    0,
    1,
    mssBytes - 16,
    mssBytes,
    mssBytes + 1,
    blockSizeBytes - 1,
    blockSizeBytes,
    blockSizeBytes + 1,
    draw.integer(1, mostBlocks) * blockSizeBytes,
    draw.integer(1, mostBlocks) * blockSizeBytes + 1,
    draw.integer(0, mostBytes),
    draw.integer(0, mostBytes),
    draw.integer(0, mostBytes),
    mostBytes,
  ]);
}

/** Bursts are counted in arrivals: at one datagram per second, they last as many seconds. */
function drawLoss(draw: Draw): LossSpec {
  const mean = draw.between(0, 0.3);
  return draw.pick<() => LossSpec>([
    () => ({ model: 'none' }),
    () => ({ model: 'bernoulli', probability: mean }),
    () => ({ model: 'bernoulli', probability: mean / 10 }),
    () => burstLoss(mean, draw.between(1, 3)),
    () => ({
      model: 'gilbert-elliott',
      enterBad: 0.05,
      leaveBad: 0.5,
      lossInGood: mean / 4,
      lossInBad: 0.6,
    }),
  ])();
}

function drawLink(draw: Draw, isCalm: boolean, delayMs: number): LinkOptions {
  if (isCalm) return { delayMs };
  const sometimes = (most: number) => (draw.chance(0.3) ? draw.between(0, most) : 0);
  return {
    delayMs,
    jitterMs: sometimes(30),
    loss: drawLoss(draw),
    reorderProbability: sometimes(0.2),
    reorderDelayMs: draw.between(0, 60),
    duplicateProbability: sometimes(0.2),
    corruptProbability: sometimes(0.05),
    ...(draw.chance(0.15)
      ? { rateBytesPerSec: draw.integer(100_000, 5_000_000), queueLimitBytes: 16_000 }
      : {}),
  };
}
