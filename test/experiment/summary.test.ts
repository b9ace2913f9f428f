import fc from 'fast-check';
import t from 'tap';
import { describeFindings, formatMean } from '../../src/experiment/findings.js';
import { createModel } from '../../src/experiment/model.js';
import { listRuns, type Plan, parsePlan, type Run } from '../../src/experiment/plan.js';
import { type RunRow, toRunRow } from '../../src/experiment/run-result.js';
import { type PointSummary, summarize } from '../../src/experiment/summary.js';
import {
  formatHeader,
  formatRun,
  parseRecords,
  parseRun,
  type RunRecord,
} from '../../src/node/experiment/runs-csv.js';
import { formatSummaries } from '../../src/node/experiment/summary-csv.js';

function parse(members: Readonly<Record<string, unknown>>): Plan {
  const base = { title: 'A plan', seed: 'a seed', fileSizeBytes: 100_000, receivers: 2 };
  return parsePlan(JSON.stringify({ ...base, ...members }), 'plan.json');
}

/** The rows of a plan, each complete after a second unless `change` says otherwise. */
function rowsOf(plan: Plan, change: (run: Run) => Partial<RunRow>): RunRow[] {
  return [...listRuns(plan)].map((run) => ({
    ...run,
    rttMs: run.point.rttMs,
    delayS: 1,
    rounds: 200,
    timeouts: 0,
    retransmissions: 0,
    datagrams: 400,
    acks: 400,
    completeReceivers: run.point.receivers,
    originBytes: undefined,
    hitRatio: undefined,
    fastAloneS: undefined,
    slowAloneS: undefined,
    twinDelayS: undefined,
    ...change(run),
  }));
}

function only(summaries: readonly PointSummary[]): PointSummary {
  const [summary, ...others] = summaries;
  if (summary === undefined || others.length > 0) throw new Error(`${summaries.length} summaries`);
  return summary;
}

/** To seven digits, as in summary.csv. */
function rounded(value: number | undefined): string | undefined {
  return value?.toPrecision(7);
}

/** The sentences about a plan whose runs have these delays. */
function sentences(plan: Plan, change: (run: Run) => Partial<RunRow>): string[] {
  return describeFindings(plan, summarize(rowsOf(plan, change)));
}

/** Three repetitions around a mean: the interval is ± 2.48 times `by`. */
function around(mean: number, { repetition }: Run, by = 0.1): number {
  return mean + by * (repetition - 2);
}

t.test('the rows of a point give its mean, deviation and interval, beside the model', (t) => {
  const plan = parse({ loss: 0.05, link: { rttMs: 20 }, repetitions: 5 });
  const rows = rowsOf(plan, ({ repetition }) => ({
    delayS: 5 + repetition,
    rounds: 210 + repetition,
    timeouts: repetition,
    retransmissions: 10 * repetition,
  }));
  const summary = only(summarize(rows));
  t.same(summary.point, plan.points[0]);
  t.equal(summary.mode, 'simulated');
  t.same([summary.runs, summary.failedRuns], [5, 0]);
  t.equal(summary.rttMs, 20);
  t.equal(summary.mean, 8);
  t.equal(summary.sd?.toFixed(4), '1.5811');
  t.equal(summary.ci95Low?.toFixed(4), (8 - 1.9632).toFixed(4));
  t.equal(summary.ci95High?.toFixed(4), (8 + 1.9632).toFixed(4));
  t.same([summary.rounds, summary.timeouts, summary.retransmissions], [213, 3, 30]);
  const goodput = [6, 7, 8, 9, 10].reduce((sum, delayS) => sum + 100_000 / delayS, 0) / 5;
  t.equal(rounded(summary.goodputBytesPerSec), rounded(goodput));
  // 200 segments: 200 (E[R] - 1) 100 ms + 200 * 20 ms, with E[R] = 1.102757 for two and 0.05.
  t.equal(summary.modelMean?.toFixed(3), '6.055');
  t.equal(summary.modelRounds?.toFixed(2), '220.55');
  const { modelMean = NaN, modelSd = NaN } = summary;
  t.equal(rounded(summary.deviationSe), rounded((8 - modelMean) / (modelSd / Math.sqrt(5))));
  t.equal(summary.twinS, undefined);
  t.end();
});

t.test('each point and mode is summarized separately, in the order of the runs', (t) => {
  const plan = parse({
    receivers: [2, 1],
    loss: [0.1, 0],
    repetitions: 2,
    mode: ['real', 'simulated'],
  });
  const summaries = summarize(rowsOf(plan, ({ index }) => ({ delayS: index })));
  t.same(
    summaries.map(({ mode, point, mean }) => [mode, point.loss, point.receivers, mean]),
    [
      ['simulated', 0.1, 2, 0.5],
      ['simulated', 0.1, 1, 2.5],
      ['simulated', 0, 2, 4.5],
      ['simulated', 0, 1, 6.5],
      ['real', 0.1, 2, 8.5],
      ['real', 0.1, 1, 10.5],
      ['real', 0, 2, 12.5],
      ['real', 0, 1, 14.5],
    ],
  );
  t.same(summarize([]), []);
  t.end();
});

t.test('points with the same seed are summarized separately', (t) => {
  // Seeds contain a CRC-32 of a point's values, which can collide: 0.53 with 0.329 and 0.54 with
  // 0.4 do at 1000 bytes.
  const varied = { sendTimeMs: [0.53, 0.54], loss: [0.329, 0.4] };
  const plan = parse({ ...varied, fileSizeBytes: 1000, repetitions: 3 });
  const rows = rowsOf(plan, ({ repetition }) => ({ seed: `a seed 110e1ffd ${repetition}` }));
  const summaries = summarize(rows);
  t.same(
    summaries.map(({ point, runs }) => [point.sendTimeMs, point.loss, runs]),
    [
      [0.53, 0.329, 3],
      [0.53, 0.4, 3],
      [0.54, 0.329, 3],
      [0.54, 0.4, 3],
    ],
  );
  t.end();
});

t.test('failed runs are counted and left out of everything else', (t) => {
  const plan = parse({ loss: 0.05, link: { rttMs: 20 }, repetitions: 5 });
  const rows = rowsOf(plan, ({ repetition }) =>
    repetition === 2 || repetition === 3
      ? { delayS: 1000, rounds: 1e6, retransmissions: 1e6, completeReceivers: 1, rttMs: 999 }
      : { delayS: repetition },
  );
  const summary = only(summarize(rows));
  t.same([summary.runs, summary.failedRuns], [3, 2]);
  t.equal(rounded(summary.mean), rounded(10 / 3));
  t.equal(summary.sd?.toFixed(4), '2.0817');
  t.same([summary.rounds, summary.retransmissions, summary.rttMs], [200, 0, 20]);
  const { mean = NaN, modelMean = NaN, modelSd = NaN } = summary;
  t.equal(rounded(summary.deviationSe), rounded((mean - modelMean) / (modelSd / Math.sqrt(3))));
  t.end();
});

t.test('a point whose runs all failed has only that count', (t) => {
  const plan = parse({ loss: 0.05, link: { rttMs: 20 }, repetitions: 3, mode: ['real'] });
  const failed = { completeReceivers: 0, delayS: 10, twinDelayS: 9 };
  const { point, mode, runs, failedRuns, ...rest } = only(summarize(rowsOf(plan, () => failed)));
  t.same([point, mode, runs, failedRuns], [plan.points[0], 'real', 0, 3]);
  for (const [name, value] of Object.entries(rest)) t.equal(value, undefined, name);
  t.end();
});

t.test('one run has a mean and a deviation from the model, and no interval', (t) => {
  const plan = parse({ loss: 0.05, link: { rttMs: 20 }, repetitions: 1 });
  const summary = only(summarize(rowsOf(plan, () => ({ delayS: 7 }))));
  t.same([summary.runs, summary.mean], [1, 7]);
  t.same([summary.sd, summary.ci95Low, summary.ci95High], [undefined, undefined, undefined]);
  const { modelMean = NaN, modelSd = NaN } = summary;
  t.equal(rounded(summary.deviationSe), rounded((7 - modelMean) / modelSd));
  t.end();
});

t.test('without loss the model has no variance, so no deviation is measured in it', (t) => {
  const plan = parse({ loss: 0, link: { rttMs: 20 } });
  const summary = only(summarize(rowsOf(plan, () => ({ delayS: 4 }))));
  t.same([summary.mean, summary.sd, summary.modelMean, summary.modelSd], [4, 0, 4, 0]);
  t.equal(summary.deviationSe, undefined);
  t.end();
});

t.test('the columns of the model are empty where it does not apply', (t) => {
  for (const change of [{ window: 4 }, { timeoutMs: 'auto' }, { lossModel: 'burst:4' }]) {
    const summary = only(summarize(rowsOf(parse({ loss: 0.05, ...change }), () => ({}))));
    const { modelMean, modelSd, modelRounds, deviationSe } = summary;
    t.same([modelMean, modelSd, modelRounds, deviationSe], Array(4), JSON.stringify(change));
    t.equal(summary.mean, 1);
  }
  t.end();
});

t.test(
  'a real run is compared using its measured round trip, which includes what the path adds',
  (t) => {
    const link = { rttMs: 20, rateBytesPerSec: 57_200 };
    const plan = parse({ loss: 0.05, link, mode: ['real'], network: 'namespaces', repetitions: 3 });
    const rows = rowsOf(plan, (run) => ({
      delayS: around(9, run),
      twinDelayS: around(8, run),
      rttMs: around(31, run, 0.5),
    }));
    const summary = only(summarize(rows));
    const [point] = plan.points;
    if (point === undefined) throw new Error('no point');
    t.equal(summary.rttMs, 31);
    t.equal(summary.twinS, 8);
    const model = createModel({ ...point, rateBytesPerSec: undefined, rttMs: 31 });
    t.equal(rounded(summary.modelMean), rounded((model?.meanDelayMs ?? NaN) / 1000));
    // The same point simulated: 20 ms and the 10 ms that the rate takes.
    const simulated = only(summarize(rows.map((row) => ({ ...row, mode: 'simulated' as const }))));
    const path = createModel({ ...point, rateBytesPerSec: undefined, rttMs: 30 });
    t.equal(rounded(simulated.modelMean), rounded((path?.meanDelayMs ?? NaN) / 1000));
    t.end();
  },
);

t.test('a measured round trip that is not below the timeout leaves no model', (t) => {
  const plan = parse({ loss: 0.05, mode: ['real'], timeoutMs: 20 });
  const slow = only(summarize(rowsOf(plan, () => ({ rttMs: 20, twinDelayS: 1 }))));
  t.same([slow.modelMean, slow.deviationSe], [undefined, undefined]);
  t.equal(slow.mean, 1);
  t.end();
});

t.test('a run that took no time has no goodput', (t) => {
  const plan = parse({ repetitions: 2 });
  t.equal(only(summarize(rowsOf(plan, () => ({ delayS: 0 })))).goodputBytesPerSec, undefined);
  t.end();
});

t.test(
  'a row has the precision of the CSV, so that a resumed sweep gives the same results',
  (t) => {
    const [run] = listRuns(parse({}));
    if (run === undefined) throw new Error('no run');
    const counts = {
      rounds: 3,
      timeouts: 1,
      retransmissions: 2,
      datagrams: 7,
      acks: 6,
      completeReceivers: 2,
    };
    const result = { ...counts, delayMs: 1234.5678912, rttMs: 0.12345678 };
    t.same(toRunRow(run, result), {
      ...run,
      ...counts,
      delayS: 1.234568,
      rttMs: 0.123457,
      originBytes: undefined,
      hitRatio: undefined,
      fastAloneS: undefined,
      slowAloneS: undefined,
      twinDelayS: undefined,
    });
    t.equal(toRunRow(run, { ...result, twinDelayMs: 1000.0004 }).twinDelayS, 1);
    t.end();
  },
);

t.test('growth is reported with its ends and its factor', (t) => {
  const plan = parse({ receivers: [1, 3, 5], loss: 0.05, window: 2, repetitions: 3 });
  const said = sentences(plan, (run) => ({ delayS: around(run.point.receivers, run) }));
  t.same(said, [
    'As the number of receivers goes from 1 to 5, the mean delay grows from 1 s ± 0.25 ' +
      'to 5 s ± 0.25, 5 times.',
  ]);
  t.end();
});

t.test('a decrease is reported as such', (t) => {
  const plan = parse({ mssBytes: [100, 400], loss: 0.05, window: 2, repetitions: 3 });
  const said = sentences(plan, (run) => ({ delayS: around(400 / run.point.mssBytes, run) }));
  t.same(said, [
    'As the maximum segment size goes from 100 to 400, the mean delay falls from 4 s ± 0.25 ' +
      'to 1 s ± 0.25, 0.25 times.',
  ]);
  t.end();
});

t.test('a change that may be chance is reported as no change', (t) => {
  const plan = parse({ window: [2, 4], loss: 0.05, repetitions: 3 });
  const said = sentences(plan, (run) => ({
    delayS: around(run.point.window === 2 ? 10 : 10.4, run),
  }));
  t.same(said, [
    'As the window goes from 2 to 4, the mean delay does not change by more than its ' +
      'uncertainty: 10 s ± 0.25 and 10.4 s ± 0.25, 1.04 times.',
  ]);
  t.end();
});

t.test("the model's change is given beside the measured one where there is one", (t) => {
  const plan = parse({ receivers: [1, 10], loss: 0.1, link: { rttMs: 20 }, repetitions: 3 });
  const said = sentences(plan, (run) => ({
    // 200 segments: 200 (E[R] - 1) 100 ms + 4 s.
    delayS: around(run.point.receivers === 1 ? 6.2222 : 19.1602, run, 1),
  }));
  t.equal(said.length, 2);
  t.match(
    said[0],
    /grows from 6\.222 s ± 2\.5 to 19\.16 s ± 2\.5, 3\.08 times \(3\.08 by the model\)/,
  );
  t.match(
    said[1],
    /^All 2 simulated points that the model covers lie within 0\.00 standard errors/,
  );
  t.end();
});

t.test('a point far off the model is counted, and the farthest is reported', (t) => {
  const plan = parse({ receivers: [1, 10], loss: 0.1, link: { rttMs: 20 }, repetitions: 4 });
  const summaries = summarize(
    rowsOf(plan, ({ point }) => ({ delayS: point.receivers === 1 ? 6.2222 : 40 })),
  );
  const farthest = summaries[1]?.deviationSe?.toFixed(2);
  t.ok(Number(farthest) > 4);
  t.equal(
    describeFindings(plan, summaries).at(-1),
    'Of the 2 simulated points that the model covers, 1 lie within 4 standard errors of it; ' +
      `the farthest is off by ${farthest}.`,
  );
  t.end();
});

t.test('each series is reported by its name', (t) => {
  const plan = parse({ receivers: [1, 2], loss: [0.01, 0.05], window: 2, repetitions: 3 });
  const said = sentences(plan, (run) => ({
    delayS: around(run.point.loss === 0.01 ? 3 : 3 * run.point.receivers, run),
  }));
  t.same(said, [
    'p = 0.01: as the number of receivers goes from 1 to 2, the mean delay does not change by ' +
      'more than its uncertainty: 3 s ± 0.25 and 3 s ± 0.25, 1 times.',
    'p = 0.05: as the number of receivers goes from 1 to 2, the mean delay grows from 3 s ± 0.25 ' +
      'to 6 s ± 0.25, 2 times.',
  ]);
  t.end();
});

t.test('a sentence begins with a capital, except for case-sensitive symbols', (t) => {
  const starts = [
    { vary: { loss: [0.01, 0.02] }, start: 'p = 0.01: as ' },
    { vary: { sendTimeMs: [0.5, 1] }, start: 't = 0.5 ms: as ' },
    { vary: { window: [2, 4] }, start: 'Window 2: as ' },
    { vary: { timeoutMs: [20, 30] }, start: 'Timeout 20 ms: as ' },
    { vary: { link: { rttMs: [2, 4] } }, start: 'RTT 2 ms: as ' },
    { vary: { lossModel: ['bernoulli', 'burst:2'] }, start: 'Independent losses: as ' },
    { vary: { fileSizeBytes: [1000, 2000] }, start: '1000 bytes: as ' },
  ];
  for (const { vary, start } of starts) {
    const plan = parse({ receivers: [1, 2], window: 2, repetitions: 3, ...vary });
    const [first = ''] = sentences(plan, (run) => ({ delayS: around(3, run) }));
    t.equal(first.slice(0, start.length), start);
  }
  const byReceivers = parse({ receivers: [1, 2], loss: [0, 0.1], plot: { x: 'loss' }, window: 2 });
  t.match(sentences(byReceivers, () => ({}))[0], /^n = 1: as the loss probability p of a data /);
  t.end();
});

t.test('categories are compared side by side, without growth', (t) => {
  const plan = parse({
    lossModel: ['bernoulli', 'burst:8'],
    loss: 0.05,
    window: 2,
    repetitions: 3,
  });
  const said = sentences(plan, (run) => ({
    delayS: around(run.point.lossModel === 'bernoulli' ? 4 : 3, run),
  }));
  t.same(said, [
    'From independent losses to bursts of 8, the mean delay falls from 4 s ± 0.25 to ' +
      '3 s ± 0.25, 0.75 times.',
  ]);
  t.end();
});

t.test('a plan without variation has a mean and no change', (t) => {
  const plan = parse({ loss: 0.05, window: 2, repetitions: 3 });
  const said = sentences(plan, (run) => ({ delayS: around(3, run) }));
  t.same(said, ['The mean delay is 3 s ± 0.25.']);
  t.end();
});

t.test('receivers that failed are reported', (t) => {
  const plan = parse({ receivers: [1, 5], window: 2, repetitions: 3 });
  const failing = (count: number) =>
    sentences(plan, (run) => (run.index < count ? { completeReceivers: 0 } : {})).at(-1);
  t.equal(failing(1), 'A receiver failed in one run; the means exclude this run.');
  t.equal(failing(2), 'A receiver failed in 2 runs; the means exclude these runs.');
  t.notMatch(failing(0), 'given up');
  // A point that failed altogether is not described otherwise, and the rest is no change.
  const said = sentences(plan, ({ point }) =>
    point.receivers === 1 ? {} : { completeReceivers: 0 },
  );
  t.same(said, [
    'The mean delay is 1 s (the same in all runs).',
    'A receiver failed in 3 runs; the means exclude these runs.',
  ]);
  const all = sentences(plan, () => ({ completeReceivers: 0 }));
  t.same(all, ['A receiver failed in 6 runs; the means exclude these runs.']);
  t.end();
});

t.test('real runs are reported beside the same runs in the simulator', (t) => {
  const plan = parse({ receivers: [1, 5], window: 2, repetitions: 3, mode: ['simulated', 'real'] });
  const said = sentences(plan, (run) => {
    const { receivers } = run.point;
    const delayS = around(receivers, run);
    if (run.mode === 'simulated') return { delayS };
    const isOne = receivers === 1;
    return { delayS, twinDelayS: isOne ? 0.8 : 4.8, rttMs: isOne ? 0.151 : 0.3 };
  });
  const trend = 'as the number of receivers goes from 1 to 5, the mean delay grows from 1 s ± 0.25';
  t.same(said, [
    `Simulated: ${trend} to 5 s ± 0.25, 5 times.`,
    `Real: ${trend} to 5 s ± 0.25, 5 times.`,
    'Real runs took 1.042 to 1.250 times as long as simulations of the same runs, with the same ' +
      'losses and the measured round-trip time (0.151 to 0.300 ms).',
  ]);
  t.notMatch(sentences(parse({}), () => ({})).join(), /real/i);
  t.end();
});

t.test('a delay of zero gives no ratio', (t) => {
  const lossless = parse({ receivers: [1, 5], loss: 0 });
  const nothing = sentences(lossless, () => ({ delayS: 0 }));
  t.notMatch(nothing.join('\n'), /NaN|Infinity/);
  const losses = parse({ loss: [0, 0.05], repetitions: 3 });
  const some = sentences(losses, (run) => ({ delayS: run.point.loss === 0 ? 0 : around(3, run) }));
  t.match(some[0], /grows from 0 s \(the same in all runs\) to 3 s ± 0\.25/);
  t.notMatch(some.join('\n'), /NaN|Infinity/);
  t.end();
});

t.test('errors of rounding are said in words, not printed', (t) => {
  const plan = parse({ receivers: [1, 5], link: { rttMs: 5 }, repetitions: 3 });
  // 200 segments of 5 ms; an arithmetic mean of equal numbers may be off by one unit in the last place.
  const same = sentences(plan, ({ repetition }) => ({
    delayS: repetition === 2 ? 1 + 2 ** -52 : 1,
  }));
  t.same(same, [
    'As the number of receivers goes from 1 to 5, the mean delay does not change by more than its uncertainty: ' +
      '1 s (the same in all runs) and 1 s (the same in all runs), 1 times (1 by the model).',
    '2 simulated points lose nothing, so the model has no standard error there: they take exactly as long as the model says.',
  ]);
  const slower = sentences(plan, () => ({ delayS: 1.25 }));
  t.match(
    slower.at(-1),
    /2 simulated points lose nothing, .*: they differ from the model by at most 25 %\.$/,
  );
  const short = parse({ receivers: [1, 5], loss: 0.5, repetitions: 3 });
  const tiny = sentences(short, (run) => ({
    delayS: 1e-6 * (run.point.receivers * 3 + run.repetition),
  }));
  for (const sentence of [...same, ...slower, ...tiny]) t.notMatch(sentence, /\de[+-]?\d/);
  t.match(tiny[0], /grows from 0\.000005 s ± 0\.0000025 to 0\.000017 s/);
  t.end();
});

t.test('whatever the delays, a change is reported only if the intervals are disjoint', (t) => {
  const plan = parse({ receivers: [1, 5], window: 2, repetitions: 3 });
  const delay = fc.double({ min: 2, max: 3, noNaN: true });
  const delays = fc.array(delay, { minLength: 6, maxLength: 6 });
  let changes = 0;
  const property = fc.property(
    delays,
    fc.double({ min: -1.9, max: 9, noNaN: true }),
    (six, shift) => {
      const summaries = summarize(
        rowsOf(plan, ({ index }) => {
          return { delayS: Math.max(0.1, (six[index] ?? NaN) + (index < 3 ? 0 : shift)) };
        }),
      );
      const [first, last] = summaries;
      const [sentence = ''] = describeFindings(plan, summaries);
      if (first?.ci95High === undefined || last?.ci95High === undefined) return false;
      if (!sentence.includes(formatMean(first)) || !sentence.includes(formatMean(last)))
        return false;
      const verbs = ['grows from', 'falls from', 'does not change'];
      const used = verbs.filter((verb) => sentence.includes(verb));
      const grew = (last.ci95Low ?? NaN) > first.ci95High;
      const fell = last.ci95High < (first.ci95Low ?? NaN);
      changes += grew || fell ? 1 : 0;
      return used.join() === (grew ? 'grows from' : fell ? 'falls from' : 'does not change');
    },
  );
  fc.assert(property, { seed: 1, numRuns: 500 });
  t.ok(changes > 50 && changes < 450, `${changes} of 500 changed`);
  t.end();
});

t.test('uploads at once are compared with the same uploads one after another', (t) => {
  const uploads = { senders: [1, 4], rateBytesPerSec: 100_000 };
  const plan = parse({ uploads, mode: 'real', receivers: 1, repetitions: 3 });
  const rows = rowsOf(plan, (run) => {
    const { order, senders = 1 } = run.point;
    return { delayS: around(order === 'sequence' ? 1.1 * senders : 1.25, run, 0.01), rounds: 0 };
  });
  const summaries = summarize(rows);
  t.same(
    summaries.map(({ speedup, modelMean }) => [rounded(speedup), modelMean]),
    [
      [undefined, 1],
      [undefined, 4],
      [rounded(1.1 / 1.25), 1],
      [rounded(4.4 / 1.25), 1],
    ],
  );
  const goodput = summaries[3]?.goodputBytesPerSec ?? 0;
  t.equal(Math.round(goodput / 1000), 320, 'of all four files');
  t.match(
    describeFindings(plan, summaries).join(),
    'one after another, by number of senders: 3.52 with 4.',
  );
  t.end();
});

t.test('two paths are measured by their benefit', (t) => {
  const paths = { rateRatio: [1, 4], rttRatio: 1 };
  const link = { rateBytesPerSec: 100_000 };
  const plan = parse({ paths, link, receivers: 1, repetitions: 1 });
  const rows = rowsOf(plan, ({ point: { rateRatio = 1 } }) => ({
    // The rates add up; with a slower path, both take longer than the fast one alone.
    ...{ delayS: rateRatio === 1 ? 5 : 12.5, fastAloneS: 10, slowAloneS: 10 * rateRatio },
    ...{ rounds: 0, timeouts: 0 },
  }));
  const summaries = summarize(rows);
  t.same(
    summaries.map(({ mean }) => rounded(mean)),
    [rounded(1), rounded((8000 - 10_000) / 10_000)],
  );
  t.same(describeFindings(plan, summaries), [
    'As the ratio of the rates (fast to slow) goes from 1 to 4, the mean benefit falls from 1 to -0.2, -0.2 times.',
    'The benefit of two paths is -0.200 to 1.000, with a median of 0.400; at 1 point, they are slower than the faster ' +
      'path alone.',
  ]);
  const [header = '', line = ''] = formatSummaries(summaries).split('\r\n');
  const cells = line.split(',');
  const cell = (name: string) => cells[header.split(',').indexOf(name)];
  t.same(['mean_benefit', 'fast_alone_s', 'slow_alone_s'].map(cell), ['1', '10', '10']);
  const [run] = listRuns(plan);
  const [names = '', values = ''] = [formatHeader(run as Run), formatRun(rows[0] as RunRow)];
  const [record] = parseRecords(names + values, run, 'runs.csv');
  t.same(parseRun(run, record as RunRecord, 'runs.csv'), rows[0]);
  t.match(names, 'fast_alone_s,slow_alone_s,benefit');
  t.end();
});

t.test('caches are measured by their hit ratio, and by what the origin sends', (t) => {
  const caches = { objects: 2, requests: 100, zipfExponent: 0, cachedObjects: [1, 2] };
  const plan = parse({ caches, repetitions: 2 });
  const summaries = summarize(
    rowsOf(plan, ({ point, repetition }) => ({
      hitRatio: point.cachedObjects === 1 ? 0.4 + 0.1 * (repetition - 1) : 1,
      originBytes: point.cachedObjects === 1 ? 2_750_000 : 0,
    })),
  );
  const [one, both] = summaries;
  t.same([rounded(one?.mean), rounded(one?.modelMean)], [rounded(0.45), rounded(0.5)]);
  t.same([both?.mean, both?.modelMean, both?.deviationSe], [1, 1, undefined]);
  // 50 of the questions are counted.
  t.same([one?.originShare, both?.originShare], [0.55, 0]);
  t.same(describeFindings(plan, summaries), [
    'As the size of the cache goes from 1 to 2, the mean hit ratio does not change by more than its uncertainty: ' +
      '0.45 ± 0.64 and 1 (the same in all runs), 2.22 times (2 by the model).',
    'The only simulated point that the model covers lies within 1.00 standard errors of it.',
    '1 simulated point loses nothing, so the model has no standard error there: it takes exactly as long as the model says.',
    'For each byte that a receiver gets, the origin sends 0.000 to 0.550 bytes, with headers.',
  ]);
  const [header = '', line = ''] = formatSummaries(summaries).split('\r\n');
  const cells = line.split(',');
  const cell = (name: string) => cells[header.split(',').indexOf(name)];
  t.same(['mean_hit_ratio', 'model_hit_ratio', 'origin_share'].map(cell), ['0.45', '0.5', '0.55']);
  t.end();
});
