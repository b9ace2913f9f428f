/**
 * Schema of a plan file: the single source of its types, its checks and the JSON schema for editors
 * (experiments/plan.schema.json). It checks each value by itself; plan-checks.ts checks
 * combinations.
 */
import { z } from 'zod';
import { maxMssBytes, maxWindowBlocks } from '../classic/config.js';
import { isLossModelName, modes, parameterNames } from './parameters.js';
import { describeIssue } from './plan-problems.js';

/** Limits of a plan, so that a run fits in memory and ends in reasonable time. */
export const planLimits = {
  receivers: 100_000,
  repetitions: 10_000,
  /** Simulated files are held in memory. */
  fileSizeBytes: 1_000_000_000,
  /** A longer timeout would approach the silence after which receivers consider a sender dead. */
  timeoutMs: 10_000,
  rttMs: 5_000,
  runs: 1_000_000,
} as const;

/**
 * A range of values: from, from + step, ... up to and including `to`. With a factor, each value is
 * the one before times the factor.
 */
const range = z
  .strictObject({
    from: z.number(),
    to: z.number(),
    step: z.number().gt(0).optional().meta({ description: '1 if left out' }),
    factor: z.number().gt(1).optional().meta({ description: 'multiply in place of adding a step' }),
  })
  .superRefine(({ from, to, step, factor }, context) => {
    const refuse = (path: string, message: string) =>
      context.addIssue({ code: 'custom', path: [path], message });
    if (step !== undefined && factor !== undefined) refuse('factor', 'give a step or a factor');
    if (factor !== undefined && from <= 0) refuse('from', `${from}: must be above 0 with a factor`);
    // An invalid step or factor has already been reported, and the number of steps is then unknown.
    if (!(step === undefined || step > 0) || !(factor === undefined || factor > 1)) return;
    if (factor !== undefined && from <= 0) return;
    if (from > to) refuse('to', `${to} is below from ${from}: the range is empty`);
    else if (countSteps({ from, to, step, factor }) > planLimits.runs) {
      refuse('to', `makes more than ${planLimits.runs} values`);
    }
  })
  .meta({ id: 'range', description: 'from, from + step, ... up to and with `to`' });

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

/** Accepts a value, a list of values or a range; parses to a list. */
function swept<T extends string | number>(value: z.ZodType<T, T>, hasRange: boolean) {
  const list = z.array(value).min(1, 'the list is empty: name at least one value');
  const distinct = list.refine((values) => new Set(values).size === values.length, {
    message: 'a value stands here twice',
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

const loss = z.number().min(0).lt(1, 'must be below 1, for 1 would lose everything');

const lossModel = z.string().refine(isLossModelName, {
  error: 'must be "bernoulli", or "burst:LENGTH" with the mean length of a burst in packets',
});

const timeout = z.union([z.number().gt(0).max(planLimits.timeoutMs), z.literal('auto')], {
  error: `must be milliseconds above 0 and up to ${planLimits.timeoutMs}, or "auto"`,
});

const mode = z.enum(modes, { error: 'must be "simulated" or "real"' });

/** Validates a plan file and fills in its defaults. */
export const planSchema = z
  .strictObject({
    $schema: z.string().optional(),
    title: z.string().min(1).meta({ description: 'Headline of the plot and the report' }),
    about: z.string().optional().meta({ description: 'What the experiment asks, in a sentence' }),
    seed: z
      .string()
      .min(1)
      .regex(/^\P{Cc}*$/u, 'must be one line without control characters')
      .meta({ description: 'Names all random streams: same seed, same CSV' }),
    repetitions: wholeNumber(1, planLimits.repetitions)
      .default(5)
      .meta({ description: 'Runs of each point' }),
    mode: swept(mode, false)
      .default(['simulated'])
      .meta({ description: 'In virtual time (if left out), over real sockets, or both' }),
    network: z
      .enum(['loopback', 'namespaces'], { error: 'must be "loopback" or "namespaces"' })
      .default('loopback')
      .meta({ description: 'Where real runs run; namespaces need root on Linux' }),
    fileSizeBytes: swept(wholeNumber(1, planLimits.fileSizeBytes), true).meta({
      description: 'Every run sends one file of this size',
    }),
    receivers: swept(wholeNumber(1, planLimits.receivers), true).meta({
      description: 'How many receive it',
    }),
    mssBytes: swept(wholeNumber(1, maxMssBytes), true)
      .default([500])
      .meta({ description: 'Payload of a segment; 500 if left out' }),
    loss: swept(loss, true).default([0]).meta({
      description: 'Mean share of data packets that each receiver throws away; 0 if left out',
    }),
    lossModel: swept(lossModel, false).default(['bernoulli']).meta({
      description: '"bernoulli" (if left out), or "burst:4" for bursts of 4 packets on average',
    }),
    window: swept(wholeNumber(1, maxWindowBlocks), true)
      .default([1])
      .meta({ description: 'Segments in flight; 1, stop-and-wait, if left out' }),
    timeoutMs: swept(timeout, true).default([100]).meta({
      description: 'Fixed timeout of a round in milliseconds, or "auto"; 100 if left out',
    }),
    link: z
      .strictObject({
        rttMs: swept(z.number().min(0).max(planLimits.rttMs), true)
          .default([0])
          .meta({ description: 'Round trip of the simulated path; of real runs it is measured' }),
        rateBytesPerSec: swept(z.number().gt(0), true)
          .optional()
          .meta({ description: "Of each receiver's path, both ways; unlimited if left out" }),
        queueBytes: swept(wholeNumber(1, Number.MAX_SAFE_INTEGER), true)
          .optional()
          .meta({ description: 'Bytes that wait at most before the rate; needs a rate' }),
      })
      .prefault({})
      .meta({ description: "Each receiver's path, with its own rate and queue" }),
    sendTimeMs: swept(z.number().min(0).max(1000), true)
      .default([0])
      .meta({ description: 'Serial time that a simulated sender spends on each datagram' }),
    plot: z
      .strictObject({
        x: z.enum(parameterNames, { error: `must be one of ${parameterNames.join(', ')}` }),
        xScale: z.enum(['linear', 'log']).default('linear'),
        yScale: z.enum(['linear', 'log']).default('linear'),
      })
      .optional()
      .meta({ description: 'What the plot shows; by default the first parameter that varies' }),
  })
  .meta({ title: 'A plan of p2mp experiment' });

/** A validated plan file. */
export type PlanFile = z.output<typeof planSchema>;

/** The plan schema as JSON Schema, for editors and other programs. */
export function planJsonSchema(): object {
  return z.toJSONSchema(planSchema, { io: 'input' });
}
