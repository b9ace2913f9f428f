/**
 * Parses a plan into points and runs, or rejects it with each problem and its position in the file.
 * Nothing runs until the whole plan has been checked.
 */
import { formatCrc32 } from '../base/crc32.js';
import { P2mpError } from '../base/errors.js';
import type { Mode, Point } from './parameters.js';
import { combine, namedParameters } from './parameters.js';
import { checkSize, checkTogether } from './plan-checks.js';
import { suggestPlanKey } from './plan-keys.js';
import type { Problem } from './plan-problems.js';
import { describeIssue, PlanText, toProblems } from './plan-problems.js';
import type { PlanFile } from './plan-schema.js';
import { planSchema } from './plan-schema.js';

/** A checked plan, expanded into points. */
export interface Plan
  extends Pick<PlanFile, 'title' | 'about' | 'seed' | 'repetitions' | 'mode' | 'network' | 'plot'> {
  readonly points: readonly Point[];
}

/** One transfer of an experiment. */
export interface Run {
  /**
   * Index in the whole plan, from 0. Simulated runs come first; within a mode, runs are ordered by
   * point and then by repetition.
   */
  readonly index: number;
  readonly point: Point;
  readonly mode: Mode;
  /** Counted from 1. */
  readonly repetition: number;
  /** The seed is the same in both modes, so that the same packets are lost in both modes. */
  readonly seed: string;
}

/**
 * Parses and checks a plan.
 * @param source the plan's path, for messages
 * @throws P2mpError INVALID_PLAN with one line per problem: source:line:column: key: what is wrong
 */
export function parsePlan(text: string, source: string): Plan {
  // Some editors prepend a byte order mark.
  const planText = new PlanText(text.replace(/^\uFEFF/, ''), source);
  const refuse = (problems: readonly Problem[]): never => {
    throw new P2mpError('INVALID_PLAN', planText.formatProblems(problems).join('\n'));
  };
  if (planText.doubleKeys.length > 0) refuse(planText.doubleKeys);
  const parsed = planSchema.safeParse(planText.value, { error: describeIssue });
  if (!parsed.success) {
    return refuse(parsed.error.issues.flatMap((issue) => toProblems(issue, suggestPlanKey)));
  }
  const excess = checkSize(parsed.data);
  if (excess.length > 0) refuse(excess);
  const plan = toPlan(parsed.data);
  const problems = checkTogether(parsed.data, plan.points);
  return problems.length > 0 ? refuse(problems) : plan;
}

/** All runs of a plan, in the order of the rows of runs.csv. */
export function* listRuns(plan: Plan): Generator<Run> {
  let index = 0;
  for (const mode of plan.mode) {
    for (const point of plan.points) {
      for (let repetition = 1; repetition <= plan.repetitions; repetition++) {
        yield { index: index++, point, mode, repetition, seed: runSeed(plan, point, repetition) };
      }
    }
  }
}

/** Number of runs in a plan. */
export function countRuns(plan: Plan): number {
  return plan.mode.length * plan.points.length * plan.repetitions;
}

/**
 * Derives the seed from the values of the point rather than from its position, so that adding a
 * point does not change the losses of other points.
 */
function runSeed(plan: Plan, point: Point, repetition: number): string {
  const text = JSON.stringify(namedParameters(point).map((name) => point[name] ?? null));
  const digest = formatCrc32(Uint8Array.from(text, (character) => character.charCodeAt(0)));
  return `${plan.seed} ${digest} ${repetition}`;
}

const noGilbertElliott = {
  enterBad: [undefined],
  leaveBad: [undefined],
  lossInGood: [undefined],
  lossInBad: [undefined],
};

const noUploads = {
  senders: [undefined],
  order: [undefined],
  senderRateBytesPerSec: [undefined],
};

const noFetches = {
  sources: [undefined],
  split: [undefined],
  rates: [undefined],
  deaths: [undefined],
  sourceRateBytesPerSec: [undefined],
};

const noExchanges = {
  peers: [undefined],
  shape: [undefined],
  peerDeaths: [undefined],
  peerRateBytesPerSec: [undefined],
};

/** Exchanges are sessions, by unicast unless the plan says otherwise. */
function exchangeValues(
  { peers, shape, deaths, rateBytesPerSec }: NonNullable<PlanFile['exchanges']>,
  protocol: PlanFile['protocol'],
) {
  return {
    ...{ peers, shape, peerDeaths: deaths, peerRateBytesPerSec: rateBytesPerSec },
    protocol: protocol ?? ['unicast' as const],
  };
}

/** Fetches are sessions, one for each source. */
function fetchValues(fetches: NonNullable<PlanFile['fetches']>) {
  const { rateBytesPerSec: sourceRateBytesPerSec, ...values } = fetches;
  return { ...values, sourceRateBytesPerSec, protocol: ['unicast' as const] };
}

const noPaths = { rateRatio: [undefined], rttRatio: [undefined], firstPath: [undefined] };

const noIncast = { pathCount: [undefined], shares: [undefined] };

const noRelays = { hops: [undefined], passing: [undefined], lossyLink: [undefined] };

const noCaches = {
  objects: [undefined],
  requests: [undefined],
  zipfExponent: [undefined],
  cachedObjects: [undefined],
};

/** Uploads are sessions, each with one receiver. */
function uploadValues(uploads: NonNullable<PlanFile['uploads']>) {
  const { senders, order, rateBytesPerSec } = uploads;
  return {
    ...{ senders, order, senderRateBytesPerSec: rateBytesPerSec ?? [undefined] },
    protocol: ['unicast' as const],
  };
}

/** Many senders at once, each of which sends a file of its own to the receiver. */
function incastValues({ senders, paths, shares }: NonNullable<PlanFile['incast']>) {
  return { senders, pathCount: paths, shares, protocol: ['unicast' as const] };
}

function toPlan(file: PlanFile): Plan {
  const {
    title,
    about,
    seed,
    repetitions,
    mode,
    network,
    plot,
    link,
    protocol,
    gilbertElliott,
    uploads,
    fetches,
    relays,
    caches,
    exchanges,
    paths,
    incast,
    ...rest
  } = file;
  const points = combine({
    ...rest,
    ...(gilbertElliott === undefined ? noGilbertElliott : gilbertElliott),
    ...(gilbertElliott === undefined ? {} : { lossModel: ['gilbert-elliott'] }),
    protocol: protocol ?? [undefined],
    ...(relays === undefined ? noRelays : { ...relays, protocol: ['unicast' as const] }),
    ...(caches === undefined ? noCaches : { ...caches, protocol: ['unicast' as const] }),
    ...(uploads === undefined ? noUploads : uploadValues(uploads)),
    ...(fetches === undefined ? noFetches : fetchValues(fetches)),
    ...(exchanges === undefined ? noExchanges : exchangeValues(exchanges, protocol)),
    ...(paths === undefined ? noPaths : { ...paths, protocol: ['unicast' as const] }),
    ...(incast === undefined ? noIncast : incastValues(incast)),
    rttMs: link.rttMs,
    rateBytesPerSec: link.rateBytesPerSec ?? [undefined],
    queueBytes: link.queueBytes ?? [undefined],
  });
  // Simulated runs first: they are fast and predict the real ones.
  const order = mode.toSorted((a, b) => b.localeCompare(a));
  return { title, about, seed, repetitions, mode: order, network, plot, points };
}
