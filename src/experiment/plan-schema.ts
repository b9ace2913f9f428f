/**
 * Schema of a plan file. The types, the checks and the JSON schema for editors (experiments/plan.schema.json)
 * are all derived from it. The schema checks each value on its own; plan-checks.ts checks combinations.
 */
import * as z from 'zod';
import { maxMssBytes, maxWindowBlocks } from '../classic/config.js';
import { maxPaths } from '../wire/paths.js';
import {
  firstPaths,
  isLossModelName,
  lossyLinks,
  modes,
  orders,
  parameterNames,
  passings,
  protocols,
  rateKinds,
  shapes,
  sharings,
  splits,
} from './parameters.js';
import { describeIssue } from './plan-problems.js';

/** Limits of a plan, so that a run fits in memory and ends in reasonable time. */
export const planLimits = {
  receivers: 100_000,
  /** The experiment runs the sessions of all senders in one process. */
  senders: 256,
  /** Of one fetch. */
  sources: 64,
  relays: 8,
  /** Of one simulated cache. */
  objects: 100_000,
  requests: 1_000_000,
  /** Of one exchange. */
  peers: 64,
  /** How much faster one of two paths can be. */
  pathRatio: 1000,
  repetitions: 10_000,
  /** Simulated files are held in memory. */
  fileSizeBytes: 1_000_000_000,
  /** A longer timeout would come close to the receivers' idle timeout. */
  timeoutMs: 10_000,
  rttMs: 5_000,
  runs: 1_000_000,
} as const;

/**
 * A range of values: from, from + step, ... up to and including `to`. With a factor, each value is the
 * previous value times the factor.
 */
const range = z
  .strictObject({
    from: z.number(),
    to: z.number(),
    step: z.number().gt(0).optional().meta({ description: '1 if left out' }),
    factor: z
      .number()
      .gt(1)
      .optional()
      .meta({ description: 'multiply by this factor instead of adding a step' }),
  })
  .superRefine(({ from, to, step, factor }, context) => {
    const refuse = (path: string, message: string) =>
      context.addIssue({ code: 'custom', path: [path], message });
    if (step !== undefined && factor !== undefined) refuse('factor', 'give a step or a factor');
    if (factor !== undefined && from <= 0) refuse('from', `${from}: must be above 0 with a factor`);
    // With an invalid step or factor, the number of steps is unknown. The schema has already reported this
    // problem.
    if (!(step === undefined || step > 0) || !(factor === undefined || factor > 1)) return;
    if (factor !== undefined && from <= 0) return;
    if (from > to) refuse('to', `${to} is below "from" (${from}): the range is empty`);
    else if (countSteps({ from, to, step, factor }) > planLimits.runs) {
      refuse('to', `the range has more than ${planLimits.runs} values`);
    }
  })
  .meta({ id: 'range', description: 'from, from + step, ... up to and including `to`' });

type Range = z.infer<typeof range>;

const slack = 1e-9;

function countSteps({ from, to, step = 1, factor }: Range): number {
  // Tolerance for rounding: 0.1 + 0.2 is not exactly 0.3.
  return factor === undefined
    ? Math.floor((to - from) / step + slack)
    : Math.floor(Math.log(to / from) / Math.log(factor) + slack);
}

function expandRange(spec: Range): number[] {
  const { from, step = 1, factor } = spec;
  return Array.from({ length: countSteps(spec) + 1 }, (_, i) =>
    // Round to twelve digits: 0.1 + 2 * 0.1 should be 0.3.
    Number((factor === undefined ? from + i * step : from * factor ** i).toPrecision(12)),
  );
}

/** Accepts a value, a list of values or a range, and converts each of these to a list. */
function swept<T extends string | number>(value: z.ZodType<T, T>, hasRange: boolean) {
  const list = z.array(value).min(1, 'the list is empty; give at least one value');
  const distinct = list.refine((values) => new Set(values).size === values.length, {
    message: 'a value occurs twice',
  });
  const checkedRange = range.transform((spec, context) => {
    const values: T[] = [];
    for (const number of expandRange(spec)) {
      const parsed = value.safeParse(number, { error: describeIssue });
      if (parsed.success) values.push(parsed.data);
      else {
        for (const { message } of parsed.error.issues) {
          context.addIssue({ code: 'custom', message: `${number}: ${message}` });
        }
        return z.NEVER;
      }
    }
    return values;
  });
  const one = value.transform((only) => [only]);
  return hasRange ? z.union([one, distinct, checkedRange]) : z.union([one, distinct]);
}

const wholeNumber = (least: number, most: number) => z.number().int().min(least).max(most);

const loss = z.number().min(0).lt(1, 'must be below 1, because 1 would lose everything');

const lossModel = z.string().refine(isLossModelName, {
  error: 'must be "bernoulli", or "burst:LENGTH" with the mean length of a burst in packets',
});

const timeout = z.union([z.number().gt(0).max(planLimits.timeoutMs), z.literal('auto')], {
  error: `must be above 0 and at most ${planLimits.timeoutMs} (milliseconds), or "auto"`,
});

const probability = z.number().min(0).max(1);

const protocol = z.enum(protocols, { error: 'must be "p2mp-ftp", "unicast" or "multicast"' });

const order = z.enum(orders, { error: 'must be "sequence" or "parallel"' });

const split = z.enum(splits, { error: 'must be "speed" or "equal"' });

const rates = z.enum(rateKinds, { error: 'must be "equal" or "unequal"' });

const passing = z.enum(passings, { error: 'must be "cut-through" or "store-and-forward"' });

const lossyLink = z.enum(lossyLinks, { error: 'must be "none", "first" or "last"' });
const shape = z.enum(shapes, { error: 'must be "symmetric", "slow-uplinks" or "medium"' });

const sharing = z.enum(sharings, { error: 'must be "off" or "on"' });

const firstPath = z.enum(firstPaths, { error: 'must be "fast" or "slow"' });

const mode = z.enum(modes, { error: 'must be "simulated" or "real"' });

/** Validates a plan file and fills in its defaults. */
export const planSchema = z
  .strictObject({
    $schema: z.string().optional(),
    title: z.string().min(1).meta({ description: 'Headline of the plot and the report' }),
    about: z
      .string()
      .optional()
      .meta({ description: 'The question of the experiment, in one sentence' }),
    seed: z
      .string()
      .min(1)
      .regex(/^\P{Cc}*$/u, 'must be one line without control characters')
      .meta({
        description: 'Seed of all random streams; the same seed gives the same simulated runs',
      }),
    repetitions: wholeNumber(1, planLimits.repetitions)
      .default(5)
      .meta({ description: 'Number of runs of each point' }),
    mode: swept(mode, false).default(['simulated']).meta({
      description:
        '"simulated" (in virtual time; the default), "real" (over real sockets), or both',
    }),
    network: z
      .enum(['loopback', 'namespaces'], { error: 'must be "loopback" or "namespaces"' })
      .default('loopback')
      .meta({ description: 'Network of the real runs; namespaces need root on Linux' }),
    protocol: swept(protocol, false).optional().meta({
      description:
        '"p2mp-ftp" (the default), or a session that sends its data by "unicast" or by "multicast"',
    }),
    fileSizeBytes: swept(wholeNumber(1, planLimits.fileSizeBytes), true).meta({
      description: 'Every run sends one file of this size',
    }),
    receivers: swept(wholeNumber(1, planLimits.receivers), true).meta({
      description: 'Number of receivers',
    }),
    uploads: z
      .strictObject({
        senders: swept(wholeNumber(1, planLimits.senders), true).meta({
          description: 'Number of senders; each sends its own file to the receiver',
        }),
        order: swept(order, false)
          .default([...orders])
          .meta({
            description: '"sequence" (one after another), "parallel" (all at once), or both',
          }),
        rateBytesPerSec: swept(z.number().gt(0), true).optional().meta({
          description: 'Maximum rate of each sender; unlimited if left out',
        }),
      })
      .optional()
      .meta({ description: 'Many senders upload to one receiver, in sessions over real sockets' }),
    fetches: z
      .strictObject({
        sources: swept(wholeNumber(1, planLimits.sources), true).meta({
          description: 'Number of sources; each has the whole file',
        }),
        split: swept(split, false)
          .default([...splits])
          .meta({
            description: '"speed" (each source gives what it can), "equal" (equal parts), or both',
          }),
        rates: swept(rates, false).default(['equal']).meta({
          description:
            '"equal" (the default), "unequal" (1, 1/2, 1/3, ... of the rate of the first source), or both',
        }),
        deaths: swept(wholeNumber(0, planLimits.sources), true).default([0]).meta({
          description:
            'Number of sources, the fastest first, that die when half of the file could have arrived; one stays',
        }),
        rateBytesPerSec: swept(z.number().min(1000), true).meta({
          description: "Rate of the fastest source's path",
        }),
      })
      .optional()
      .meta({ description: 'One receiver fetches the file from several sources, in sessions' }),
    relays: z
      .strictObject({
        hops: swept(wholeNumber(0, planLimits.relays), true).meta({
          description: 'Number of relays between the origin and the receivers',
        }),
        passing: swept(passing, false)
          .default([...passings])
          .meta({
            description:
              '"cut-through" (a relay passes blocks on at once), "store-and-forward" (when it has all), or both',
          }),
        lossyLink: swept(lossyLink, false).default(['first']).meta({
          description:
            'Which link loses packets: "none", "first" (of the origin; the default), "last" (of the receivers)',
        }),
      })
      .optional()
      .meta({ description: 'The receivers fetch the file through a chain of relays' }),
    caches: z
      .strictObject({
        objects: swept(wholeNumber(1, planLimits.objects), true).meta({
          description: 'Number of objects that the origin has, each of the size of the file',
        }),
        requests: swept(wholeNumber(2, planLimits.requests), true).meta({
          description: 'Number of questions to the relay; the first half only fills its cache',
        }),
        zipfExponent: swept(z.number().min(0).max(4), true).meta({
          description:
            'Object number i is asked for with a probability proportional to i to the power of minus this',
        }),
        cachedObjects: swept(wholeNumber(1, planLimits.objects), true).meta({
          description: 'Number of objects for which the cache of the relay has room',
        }),
      })
      .optional()
      .meta({
        description: 'The receivers ask a relay for one object after another, by a Zipf law',
      }),
    exchanges: z
      .strictObject({
        peers: swept(wholeNumber(2, planLimits.peers), true).meta({
          description: 'Number of peers; each brings a file of its own',
        }),
        shape: swept(shape, false)
          .default([...shapes])
          .meta({
            description:
              '"symmetric" (up- and downlinks of one rate), "slow-uplinks" (a tenth of it), "medium" (one for all), or several; all by default',
          }),
        deaths: swept(wholeNumber(0, planLimits.peers), true).default([0]).meta({
          description: 'Number of peers that die when 60 % could have arrived; two stay',
        }),
        rateBytesPerSec: swept(z.number().min(1000), true).meta({
          description: 'Rate of a downlink, or of the medium',
        }),
      })
      .optional()
      .meta({ description: 'Peers exchange files, in sessions by the protocols of the plan' }),
    paths: z
      .strictObject({
        rateRatio: swept(z.number().min(1).max(planLimits.pathRatio), true).meta({
          description: 'Rate of the fast path, which is that of the link, divided by the slow one',
        }),
        rttRatio: swept(z.number().min(1).max(planLimits.pathRatio), true).default([1]).meta({
          description:
            'Round-trip time of the slow path, divided by the fast one, which is that of the link; 1 if left out',
        }),
        firstPath: swept(firstPath, false).default(['fast']).meta({
          description:
            'The path whose address the sender names first: "fast" (the default), "slow", or both',
        }),
      })
      .optional()
      .meta({ description: 'A session with one receiver uses two paths at once' }),
    incast: z
      .strictObject({
        senders: swept(wholeNumber(1, planLimits.senders), true).meta({
          description: 'Number of senders that begin at the same time, each with a file of its own',
        }),
        paths: swept(wholeNumber(1, maxPaths), true).default([1]).meta({
          description: 'Number of paths of each sender, through the same port; 1 if left out',
        }),
        shares: swept(sharing, false).default(['on']).meta({
          description:
            'Whether the receiver tells senders that overload the port what they may send',
        }),
      })
      .optional()
      .meta({
        description: 'Many sessions arrive at one receiver at once, through the port of the link',
      }),
    mssBytes: swept(wholeNumber(1, maxMssBytes), true)
      .default([500])
      .meta({ description: 'Payload of a segment; 500 if left out' }),
    loss: swept(loss, true).default([0]).meta({
      description: 'Mean share of data packets that each receiver drops; 0 if left out',
    }),
    lossModel: swept(lossModel, false).default(['bernoulli']).meta({
      description:
        '"bernoulli" (the default), or for example "burst:4" for bursts of 4 packets on average',
    }),
    gilbertElliott: z
      .strictObject({
        enterBad: swept(probability, true).meta({
          description: 'Probability of a transition from the good state to the bad one, per packet',
        }),
        leaveBad: swept(probability, true).meta({
          description: 'Probability of a transition from the bad state to the good one, per packet',
        }),
        lossInGood: swept(probability, true)
          .default([0])
          .meta({ description: 'Probability of a loss in the good state; 0 if left out' }),
        lossInBad: swept(probability, true)
          .default([1])
          .meta({ description: 'Probability of a loss in the bad state; 1 if left out' }),
      })
      .optional()
      .meta({ description: 'The Gilbert-Elliott model, in place of `loss` and `lossModel`' }),
    window: swept(wholeNumber(1, maxWindowBlocks), true)
      .default([1])
      .meta({ description: 'Number of segments in flight; 1 (stop-and-wait) if left out' }),
    timeoutMs: swept(timeout, true).default([100]).meta({
      description: 'Fixed timeout of a round in milliseconds, or "auto"; 100 if left out',
    }),
    link: z
      .strictObject({
        rttMs: swept(z.number().min(0).max(planLimits.rttMs), true)
          .default([0])
          .meta({ description: 'Round-trip time of the simulated path; real runs measure theirs' }),
        rateBytesPerSec: swept(z.number().gt(0), true).optional().meta({
          description: "Rate of each receiver's path in both directions; unlimited if left out",
        }),
        queueBytes: swept(wholeNumber(1, Number.MAX_SAFE_INTEGER), true).optional().meta({
          description: 'Maximum number of bytes that wait for the rate limit; needs a rate',
        }),
      })
      .prefault({})
      .meta({ description: "Each receiver's path, with its own rate and queue" }),
    sendTimeMs: swept(z.number().min(0).max(1000), true).default([0]).meta({
      description: 'Time that a simulated sender spends on each datagram, one after another',
    }),
    plot: z
      .strictObject({
        x: z.enum(parameterNames, { error: `must be one of ${parameterNames.join(', ')}` }),
        xScale: z.enum(['linear', 'log']).default('linear'),
        yScale: z.enum(['linear', 'log']).default('linear'),
      })
      .optional()
      .meta({ description: 'Axes of the plot; by default, x is the last parameter that varies' }),
  })
  .meta({ title: 'A plan of p2mp experiment' });

/** A validated plan file. */
export type PlanFile = z.output<typeof planSchema>;

/** The plan schema as JSON Schema, for editors and other programs. */
export function planJsonSchema(): object {
  return z.toJSONSchema(planSchema, { io: 'input' });
}
