import fc from 'fast-check';
import t, { type Test } from 'tap';
import { P2mpError } from '../../src/base/errors.js';
import { parameterNames } from '../../src/experiment/parameters.js';
import { countRuns, listRuns, parsePlan } from '../../src/experiment/plan.js';

const source = 'plan.json';

/** The required members of a plan. */
const base = { title: 'A plan', seed: 'seed', fileSizeBytes: 1000, receivers: 2 };

type Members = Readonly<Record<string, unknown>>;

function parse(members: Members) {
  return parsePlan(JSON.stringify({ ...base, ...members }), source);
}

/** A plan file with these additional members; ▲ marks where problems should be reported. */
function planText(members: string): string {
  const others = Object.entries(base)
    .filter(([key]) => !members.includes(`"${key}":`))
    .map(([key, value]) => `"${key}": ${JSON.stringify(value)}`);
  return `{\n  ${[...others, members].join(',\n  ')}\n}\n`;
}

/** The lines with the reasons for refusing a plan. */
function refusal(text: string): string[] {
  try {
    parsePlan(text, source);
  } catch (error) {
    if (error instanceof P2mpError && error.code === 'INVALID_PLAN') {
      return error.message.split('\n');
    }
    return [`failed instead of being refused: ${String(error)}`];
  }
  return ['not refused'];
}

/** line:column of each ▲. */
function marks(marked: string): string[] {
  return [...marked.matchAll(/▲/g)].map(({ index }) => {
    const lines = marked.slice(0, index).split('\n');
    const before = (lines.at(-1) ?? '').replaceAll('▲', '');
    return `${lines.length}:${before.length + 1}`;
  });
}

/**
 * Each ▲ is the place of one problem, in order; without one, the place is the start of the file.
 */
function isRefused(t: Test, members: string, ...problems: string[]) {
  const marked = planText(members);
  const places = marks(marked);
  t.same(
    refusal(marked.replaceAll('▲', '')),
    problems.map((problem, i) => `${source}:${places[i] ?? '1:1'}: ${problem}`),
    members.replace(/\s+/g, ' '),
  );
}

t.test('a range takes all values up to and including its end', (t) => {
  const ranges: [Members, number[]][] = [
    [{ from: 1, to: 5 }, [1, 2, 3, 4, 5]],
    [{ from: 5, to: 5 }, [5]],
    [{ from: 100, to: 1000, step: 100 }, [100, 200, 300, 400, 500, 600, 700, 800, 900, 1000]],
    [{ from: 1, to: 64, factor: 4 }, [1, 4, 16, 64]],
    [{ from: 1, to: 1000, factor: 10 }, [1, 10, 100, 1000]],
    [{ from: 5, to: 40, factor: 2 }, [5, 10, 20, 40]],
  ];
  for (const [range, values] of ranges) {
    const { points } = parse({ receivers: range });
    t.same(
      points.map(({ receivers }) => receivers),
      values,
      JSON.stringify(range),
    );
  }
  t.end();
});

t.test('no value exceeds the end of a range that the steps do not meet', (t) => {
  const ranges: [Members, number[]][] = [
    [{ from: 1, to: 10, step: 5 }, [1, 6]],
    [{ from: 1, to: 100, step: 33 }, [1, 34, 67, 100]],
    [{ from: 1, to: 40, step: 10 }, [1, 11, 21, 31]],
    [{ from: 1, to: 8, factor: 10 }, [1]],
    [{ from: 1, to: 60, factor: 2 }, [1, 2, 4, 8, 16, 32]],
    [{ from: 1, to: 4, step: 5 }, [1]],
  ];
  for (const [range, values] of ranges) {
    const { points } = parse({ receivers: range });
    t.same(
      points.map(({ receivers }) => receivers),
      values,
      JSON.stringify(range),
    );
  }
  t.end();
});

t.test('decimal steps give exact decimals', (t) => {
  const hundredths = parse({ loss: { from: 0.01, to: 0.1, step: 0.01 } }).points;
  t.strictSame(
    hundredths.map(({ loss }) => loss),
    [0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07, 0.08, 0.09, 0.1],
  );
  const tenths = parse({ loss: { from: 0, to: 0.9, step: 0.1 } }).points;
  t.strictSame(
    tenths.map(({ loss }) => loss),
    [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9],
  );
  const tenfold = parse({ loss: { from: 0.001, to: 0.1, factor: 10 } }).points;
  t.strictSame(
    tenfold.map(({ loss }) => loss),
    [0.001, 0.01, 0.1],
  );
  t.end();
});

t.test('any range holds every step from its start up to its end', (t) => {
  const property = fc.property(
    fc.integer({ min: 1, max: 500 }),
    fc.integer({ min: 0, max: 500 }),
    fc.integer({ min: 1, max: 60 }),
    (from, span, step) => {
      const { points } = parse({ fileSizeBytes: { from, to: from + span, step } });
      const expected = [];
      for (let value = from; value <= from + span; value += step) expected.push(value);
      return points.map(({ fileSizeBytes }) => fileSizeBytes).join() === expected.join();
    },
  );
  fc.assert(property, { seed: 1, numRuns: 300 });
  t.end();
});

t.test('any range of hundredths holds the numbers that one would write', (t) => {
  const property = fc.property(
    fc.integer({ min: 0, max: 99 }),
    fc.integer({ min: 0, max: 99 }),
    fc.integer({ min: 1, max: 30 }),
    (a, b, step) => {
      const [low, high] = [Math.min(a, b), Math.max(a, b)];
      const range = { from: low / 100, to: high / 100, step: step / 100 };
      const expected = [];
      for (let value = low; value <= high; value += step) expected.push(value / 100);
      return (
        parse({ loss: range })
          .points.map(({ loss }) => loss)
          .join() === expected.join()
      );
    },
  );
  fc.assert(property, { seed: 1, numRuns: 300 });
  t.end();
});

t.test('a list is taken as written, a single value as a list of one', (t) => {
  const { points } = parse({ receivers: [7, 1, 3], timeoutMs: ['auto', 50] });
  t.same(
    points.map(({ timeoutMs, receivers }) => [timeoutMs, receivers]),
    [
      ['auto', 7],
      ['auto', 1],
      ['auto', 3],
      [50, 7],
      [50, 1],
      [50, 3],
    ],
  );
  t.equal(parse({ receivers: 4 }).points.length, 1);
  t.end();
});

t.test('omitted members have the documented defaults', (t) => {
  const plan = parse({});
  t.strictSame(plan.points, [
    {
      fileSizeBytes: 1000,
      rateBytesPerSec: undefined,
      queueBytes: undefined,
      sendTimeMs: 0,
      rttMs: 0,
      window: 1,
      timeoutMs: 100,
      lossModel: 'bernoulli',
      loss: 0,
      mssBytes: 500,
      protocol: undefined,
      senders: undefined,
      order: undefined,
      senderRateBytesPerSec: undefined,
      sources: undefined,
      split: undefined,
      rates: undefined,
      deaths: undefined,
      sourceRateBytesPerSec: undefined,
      hops: undefined,
      passing: undefined,
      lossyLink: undefined,
      objects: undefined,
      requests: undefined,
      zipfExponent: undefined,
      cachedObjects: undefined,
      peers: undefined,
      shape: undefined,
      peerDeaths: undefined,
      peerRateBytesPerSec: undefined,
      rateRatio: undefined,
      rttRatio: undefined,
      firstPath: undefined,
      pathCount: undefined,
      shares: undefined,
      lossInBad: undefined,
      lossInGood: undefined,
      leaveBad: undefined,
      enterBad: undefined,
      receivers: 2,
    },
  ]);
  t.same(plan.mode, ['simulated']);
  t.equal(plan.repetitions, 5);
  t.equal(plan.network, 'loopback');
  t.equal(plan.about, undefined);
  t.equal(plan.plot, undefined);
  t.same(parse({ plot: { x: 'loss' }, loss: [0, 0.1] }).plot, {
    x: 'loss',
    xScale: 'linear',
    yScale: 'linear',
  });
  t.end();
});

t.test('values that a plan gives are in every point', (t) => {
  const plan = parse({
    $schema: '../plan.schema.json',
    about: 'Why?',
    fileSizeBytes: 5000,
    link: { rttMs: 12.5, rateBytesPerSec: 1e6, queueBytes: 20_000 },
    sendTimeMs: 0.25,
    window: 8,
    timeoutMs: 'auto',
    lossModel: 'burst:4.5',
    loss: 0.05,
    mssBytes: 1000,
    receivers: 3,
  });
  t.strictSame(plan.points, [
    {
      fileSizeBytes: 5000,
      rateBytesPerSec: 1e6,
      queueBytes: 20_000,
      sendTimeMs: 0.25,
      rttMs: 12.5,
      window: 8,
      timeoutMs: 'auto',
      lossModel: 'burst:4.5',
      loss: 0.05,
      mssBytes: 1000,
      protocol: undefined,
      senders: undefined,
      order: undefined,
      senderRateBytesPerSec: undefined,
      sources: undefined,
      split: undefined,
      rates: undefined,
      deaths: undefined,
      sourceRateBytesPerSec: undefined,
      hops: undefined,
      passing: undefined,
      lossyLink: undefined,
      objects: undefined,
      requests: undefined,
      zipfExponent: undefined,
      cachedObjects: undefined,
      peers: undefined,
      shape: undefined,
      peerDeaths: undefined,
      peerRateBytesPerSec: undefined,
      rateRatio: undefined,
      rttRatio: undefined,
      firstPath: undefined,
      pathCount: undefined,
      shares: undefined,
      lossInBad: undefined,
      lossInGood: undefined,
      leaveBad: undefined,
      enterBad: undefined,
      receivers: 3,
    },
  ]);
  t.equal(plan.about, 'Why?');
  t.end();
});

t.test('all combinations of varied parameters run, receivers fastest', (t) => {
  const plan = parse({
    receivers: [1, 2],
    loss: [0.01, 0.05],
    mssBytes: { from: 100, to: 300, step: 100 },
    repetitions: 4,
    mode: ['simulated', 'real'],
  });
  const expected = [0.01, 0.05].flatMap((loss) =>
    [100, 200, 300].flatMap((mss) => [1, 2].map((receivers) => [loss, mss, receivers])),
  );
  t.same(
    plan.points.map(({ loss, mssBytes, receivers }) => [loss, mssBytes, receivers]),
    expected,
  );
  t.equal(countRuns(plan), 2 * 12 * 4);
  t.end();
});

t.test('runs are numbered: simulated before real, then by point and repetition', (t) => {
  for (const mode of [
    ['simulated', 'real'],
    ['real', 'simulated'],
  ]) {
    const plan = parse({ receivers: [1, 2], repetitions: 2, mode });
    const runs = [...listRuns(plan)];
    t.same(
      runs.map(({ index, mode, point, repetition }) => [index, mode, point.receivers, repetition]),
      [
        [0, 'simulated', 1, 1],
        [1, 'simulated', 1, 2],
        [2, 'simulated', 2, 1],
        [3, 'simulated', 2, 2],
        [4, 'real', 1, 1],
        [5, 'real', 1, 2],
        [6, 'real', 2, 1],
        [7, 'real', 2, 2],
      ],
    );
    t.equal(countRuns(plan), runs.length);
  }
  t.end();
});

t.test('a run has the same seed in both modes, and another at each point and repetition', (t) => {
  const plan = parse({
    receivers: [1, 2, 12, 21],
    mssBytes: [100, 1000],
    loss: [0, 0.1],
    repetitions: 12,
    mode: ['simulated', 'real'],
  });
  const runs = [...listRuns(plan)];
  const half = runs.length / 2;
  t.same(
    runs.slice(0, half).map(({ seed }) => seed),
    runs.slice(half).map(({ seed }) => seed),
  );
  t.equal(new Set(runs.map(({ seed }) => seed)).size, half);
  const other = [...listRuns({ ...plan, seed: 'other' })];
  t.equal(new Set([...runs, ...other].map(({ seed }) => seed)).size, 2 * half);
  t.end();
});

t.test('each single parameter changes the seed', (t) => {
  const changes: Members[] = [
    {},
    { fileSizeBytes: 1001 },
    { receivers: 3 },
    { mssBytes: 501 },
    { loss: 0.1 },
    { lossModel: 'burst:2' },
    { window: 2 },
    { timeoutMs: 101 },
    { timeoutMs: 'auto' },
    { link: { rttMs: 1 } },
    { link: { rateBytesPerSec: 1e6 } },
    { link: { rateBytesPerSec: 1e6, queueBytes: 1e6 } },
    { sendTimeMs: 1 },
  ];
  const seeds = changes.map((change) => [...listRuns(parse(change))][0]?.seed);
  t.equal(new Set(seeds).size, changes.length);
  t.end();
});

t.test("more values, repetitions or modes change no existing run's seed", (t) => {
  const key = ({ point, repetition }: { point: object; repetition: number }) =>
    `${JSON.stringify(point)} ${repetition}`;
  const small = parse({ receivers: [2, 4], repetitions: 2 });
  const large = parse({
    title: 'Another title',
    receivers: { from: 1, to: 9 },
    loss: [0.2, 0, 0.1],
    repetitions: 5,
    mode: ['real', 'simulated'],
    plot: { x: 'loss' },
  });
  const seeds = new Map([...listRuns(large)].map((run) => [key(run), run.seed]));
  const runs = [...listRuns(small)];
  t.equal(runs.length, 4);
  for (const run of runs) t.equal(seeds.get(key(run)), run.seed, key(run));
  t.end();
});

t.test('the parameters of Gilbert-Elliott are swept in place of a loss and a loss model', (t) => {
  const { points } = parse({
    gilbertElliott: { enterBad: [0.01, 0.02], leaveBad: { from: 0.5, to: 1, step: 0.5 } },
  });
  t.same(
    points.map((point) => [
      point.lossModel,
      point.enterBad,
      point.leaveBad,
      point.lossInGood,
      point.lossInBad,
    ]),
    [
      ['gilbert-elliott', 0.01, 0.5, 0, 1],
      ['gilbert-elliott', 0.02, 0.5, 0, 1],
      ['gilbert-elliott', 0.01, 1, 0, 1],
      ['gilbert-elliott', 0.02, 1, 0, 1],
    ],
  );
  t.equal(parse({}).points[0]?.enterBad, undefined);
  const twice = 'gilbertElliott already determines the losses; remove one of the two keys';
  const key = '"gilbertElliott": {"enterBad": 0.1, "leaveBad": 0.2}';
  isRefused(t, `${key},\n  "loss": ▲0.1`, `loss: ${twice}`);
  isRefused(t, `${key},\n  "lossModel": ▲"burst:4"`, `lossModel: ${twice}`);
  isRefused(t, '"gilbertElliott": ▲{"enterBad": 0.1}', 'gilbertElliott.leaveBad: is missing');
  isRefused(
    t,
    '"gilbertElliott": ▲{"enterBad": 1, "leaveBad": 0}',
    'gilbertElliott: loss model: would lose every packet; lower its loss probability',
  );
  t.end();
});

t.test('a plan refuses what sessions choose themselves', (t) => {
  t.same(
    parse({ protocol: ['p2mp-ftp', 'multicast'], window: 4 }).points.map(
      ({ protocol }) => protocol,
    ),
    ['p2mp-ftp', 'multicast'],
  );
  isRefused(
    t,
    '"protocol": "unicast",\n  "window": ▲4',
    'window: sessions (protocol unicast) choose it themselves; remove this key',
  );
  isRefused(
    t,
    '"protocol": ["p2mp-ftp", "multicast"],\n  "timeoutMs": ▲[50, 60]',
    'timeoutMs: cannot vary beside sessions (protocol multicast), which choose it themselves; give one value',
  );
  isRefused(
    t,
    '"protocol": ▲"multicast",\n  "mode": "real"',
    'protocol: sessions run only in simulated mode; remove "real" from the mode',
  );
  isRefused(
    t,
    '"protocol": "unicast",\n  "mssBytes": ▲20',
    'mssBytes: 20 bytes: must be from 481 to 65000 in sessions',
  );
  t.end();
});

t.test('fetches: one client and many sources, in real runs over loopback without loss', (t) => {
  const fetches = { sources: { from: 1, to: 3 }, deaths: [0, 1], rateBytesPerSec: 1000 };
  const { points } = parse({ fetches, receivers: 1, loss: 0 });
  t.equal(points.length, 3 * 2 * 2);
  const { sources, split, rates, deaths, sourceRateBytesPerSec, protocol } = points[0] ?? {};
  t.same([sources, split, rates, deaths], [1, 'speed', 'equal', 0]);
  t.same([sourceRateBytesPerSec, protocol], [1000, 'unicast']);
  t.equal(parse({ fetches, receivers: 1, loss: 0, mode: 'real' }).points.length, 3 * 2 * 2);
  const some = '"loss": 0, "fetches": {"sources": 2, "rateBytesPerSec": 1000}';
  isRefused(
    t,
    `${some}, "receivers": ▲3`,
    'receivers: fetches have one receiver; set "receivers": 1',
  );
  isRefused(
    t,
    `"receivers": 1, ${some}, "mode": "real",\n  "network": ▲"namespaces"`,
    'network: real fetches use loopback; remove this key',
  );
  t.end();
});

t.test('relays and caches: chains and questions, only simulated', (t) => {
  const relays = parse({ relays: { hops: { from: 0, to: 3 } } });
  t.equal(relays.points.length, 4 * 2);
  t.match(relays.points[0], {
    ...{ hops: 0, passing: 'cut-through', lossyLink: 'first', protocol: 'unicast' },
    objects: undefined,
  });
  const caches = { objects: 9, requests: 100, zipfExponent: [0.5, 1], cachedObjects: [2, 3] };
  const { points } = parse({ caches });
  t.equal(points.length, 4);
  t.match(points[3], { objects: 9, requests: 100, zipfExponent: 1, cachedObjects: 3 });
  isRefused(
    t,
    '"relays": {"hops": 1},\n  "mode": ▲"real"',
    'mode: relays run only in simulated mode; remove "real"',
  );
  isRefused(
    t,
    '"relays": {"hops": 1},\n  "caches": ▲{"objects": 1, "requests": 2, "zipfExponent": 1, "cachedObjects": 1}',
    'caches: uploads, fetches, relays and caches are different plans; keep one',
  );
  isRefused(
    t,
    '"relays": {"hops": 1, "lossyLink": ▲"both"}',
    'relays.lossyLink: must be "none", "first" or "last"',
  );
  t.end();
});

t.test('exchanges: peers in networks of several shapes, only simulated', (t) => {
  const exchanges = { peers: { from: 2, to: 8, factor: 2 }, rateBytesPerSec: 1000 };
  const { points } = parse({ exchanges, receivers: 1, loss: 0, link: { queueBytes: 64_000 } });
  t.equal(points.length, 3 * 3);
  const { peers, shape, peerDeaths, peerRateBytesPerSec, protocol } = points[0] ?? {};
  t.same([peers, shape, peerDeaths, peerRateBytesPerSec], [2, 'symmetric', 0, 1000]);
  t.equal(protocol, 'unicast');
  const both = ['unicast', 'multicast'];
  t.equal(parse({ exchanges, receivers: 1, loss: 0, protocol: both }).points.length, 2 * 3 * 3);
  const some = '"loss": 0, "exchanges": {"peers": 2, "rateBytesPerSec": 1000}';
  isRefused(
    t,
    `${some}, "receivers": ▲3`,
    'receivers: exchanges have peers instead; set "receivers": 1',
  );
  isRefused(
    t,
    `"receivers": 1, ${some}, "mode": ▲"real"`,
    'mode: exchanges run only in simulated mode; remove "real"',
  );
  isRefused(
    t,
    `"receivers": 1, ${some}, "protocol": ▲"p2mp-ftp"`,
    'protocol: exchanges are sessions; give "unicast", "multicast" or both',
  );
  t.end();
});

t.test('incast: several senders through one port, only simulated, with a rate and a queue', (t) => {
  const link = { rttMs: 10, rateBytesPerSec: 1e6, queueBytes: 20_000 };
  const incast = { senders: [2, 16], paths: [1, 2], shares: ['off', 'on'] };
  const { points } = parse({ incast, link, receivers: 1 });
  t.equal(points.length, 8);
  t.match(points[0], { senders: 2, pathCount: 1, shares: 'off', protocol: 'unicast' });
  t.match(parse({ incast: { senders: 3 }, link, receivers: 1 }).points, [
    { senders: 3, pathCount: 1, shares: 'on', order: undefined },
  ]);
  const some = '"incast": {"senders": 2}, "receivers": 1';
  isRefused(
    t,
    `${some}, "link": ▲{"rttMs": 10, "rateBytesPerSec": 1000}`,
    'link: incast needs the queue of the port',
  );
  isRefused(
    t,
    `"mode": ▲"real", ${some}, "link": {"rttMs": 10, "rateBytesPerSec": ▲1000, "queueBytes": 2000}`,
    'mode: incast runs only in simulated mode; remove "real"',
    'link.rateBytesPerSec: loopback has no rate limit; use "network": "namespaces"',
  );
  t.end();
});

t.test('paths: two of them to one receiver, only simulated, with a rate', (t) => {
  const paths = { rateRatio: [1, 20], rttRatio: [1, 30], firstPath: ['fast', 'slow'] };
  const link = { rttMs: 10, rateBytesPerSec: 1000 };
  const { points } = parse({ paths, link, receivers: 1, loss: [0, 0.02] });
  t.equal(points.length, 16);
  t.match(points[0], { rateRatio: 1, rttRatio: 1, firstPath: 'fast', protocol: 'unicast' });
  t.match(parse({ paths: { rateRatio: 2 }, link, receivers: 1 }).points, [
    { rateRatio: 2, rttRatio: 1, firstPath: 'fast' },
  ]);
  const some = '"paths": {"rateRatio": 2}, "link": {"rateBytesPerSec": 1000}';
  isRefused(t, `${some}, "receivers": ▲3`, 'receivers: several paths lead to one receiver; set 1');
  isRefused(
    t,
    `"receivers": 1, "mode": ▲"real", "paths": {"rateRatio": 2}, "link": {"rateBytesPerSec": ▲1000}`,
    'mode: paths run only in simulated mode; remove "real"',
    'link.rateBytesPerSec: loopback has no rate limit; use "network": "namespaces"',
  );
  isRefused(
    t,
    `"receivers": 1, "link": ▲{"rttMs": 10}, "paths": {"rateRatio": 2}`,
    'link: paths need the rate of the fast one',
  );
  isRefused(
    t,
    `"receivers": 1, "link": {"rateBytesPerSec": 1000}, "paths": {"rateRatio": ▲0.5}`,
    'paths.rateRatio: must be at least 1',
  );
  isRefused(
    t,
    `"receivers": 1, ${some.replace('"paths": ', '"paths": ▲')}, "relays": {"hops": 1}`,
    'paths: paths and relays are different plans; keep one',
  );
  t.end();
});

t.test('uploads: many senders to one receiver, in both orders, only over loopback', (t) => {
  const uploads = { senders: { from: 1, to: 4, factor: 2 }, rateBytesPerSec: 1000 };
  const { points } = parse({ uploads, mode: 'real', receivers: 1, loss: 0 });
  t.same(
    points.map(({ order, senders }) => `${order} ${senders}`),
    ['sequence 1', 'sequence 2', 'sequence 4', 'parallel 1', 'parallel 2', 'parallel 4'],
  );
  t.match(points[0], { protocol: 'unicast', senderRateBytesPerSec: 1000 });
  const some = '"mode": "real", "loss": 0, "uploads": {"senders": 2}';
  isRefused(
    t,
    `${some},\n  "receivers": ▲2`,
    'receivers: uploads have one receiver; set "receivers": 1',
  );
  isRefused(
    t,
    '"receivers": 1, "loss": 0, "uploads": {"senders": 2},\n  "mode": ▲"simulated"',
    'mode: uploads run over real sockets; set "mode": "real"',
  );
  isRefused(
    t,
    '"receivers": 1, "loss": 0, "mode": "real", "uploads": {"senders": ▲300}',
    'uploads.senders: must be at most 256',
  );
  isRefused(
    t,
    '"receivers": 1, "loss": 0, "mode": "real", "uploads": {"senders": 2, "order": ▲"both"}',
    'uploads.order: must be "sequence" or "parallel"',
  );
  t.end();
});

t.test('a key that a plan does not name leaves the seeds of its runs as they are', (t) => {
  const seeds = (members: Members) => [...listRuns(parse(members))].map(({ seed }) => seed);
  t.equal(seeds({ repetitions: 1 })[0], 'seed b0725a88 1');
  t.equal(new Set([...seeds({}), ...seeds({ protocol: ['unicast', 'multicast'] })]).size, 15);
  t.end();
});

t.test('a comma that JSON does not allow is named, with its place', (t) => {
  const texts: [string, string][] = [
    ['{"title": "A plan"▲,}', 'a trailing comma before the closing }; remove the comma'],
    ['{"receivers": [1, 2▲, ]}', 'a trailing comma before the closing ]; remove the comma'],
    ['{\r\n  "loss": 0▲,\r\n}\r\n', 'a trailing comma before the closing }; remove the comma'],
    ['{"seed": ",}"▲,}', 'a trailing comma before the closing }; remove the comma'],
    ['{"loss": 0,▲, "window": 1}', 'two commas in a row; remove one'],
    ['{"loss": 0}▲,', 'a comma after the end of the plan; remove the comma'],
    ['{▲, "loss": 0}', 'a comma without a value before it; remove the comma or add a value'],
    ['{"loss": ▲,}', 'a comma without a value before it; remove the comma or add a value'],
  ];
  for (const [marked, what] of texts) {
    const place = marks(marked)[0];
    t.same(refusal(marked.replace('▲', '')), [`plan.json:${place}: not JSON: ${what}`], marked);
  }
  t.end();
});

t.test('invalid JSON is refused with its place', (t) => {
  const texts: [string, string][] = [
    ['{\n  "title" ▲"A plan"\n}', 'no colon'],
    ["{\n  ▲'title': 1\n}", 'other quotes'],
    ['{\n  ▲// why\n  "title": "A plan"\n}', 'a comment'],
    ['{"title": "A plan"} ▲{}', 'two values'],
    ['▲', 'nothing'],
    ['{"loss": ▲NaN}', 'JavaScript syntax that is not JSON'],
  ];
  for (const [marked, what] of texts) {
    const [place] = marks(marked);
    const lines = refusal(marked.replace('▲', ''));
    t.equal(lines.length, 1, what);
    t.match(lines[0], new RegExp(`^plan\\.json:${place}: not JSON: \\S+ \\S+`), what);
    t.notMatch(lines[0], /\(\d+:\d+\)/, 'its place is reported once');
  }
  t.end();
});

t.test('JSON that is not a plan is refused', (t) => {
  for (const text of ['5', 'null', '"plan"', '[]', 'true']) {
    t.same(refusal(text), ['plan.json:1:1: must be an object, { ... }'], text);
  }
  t.end();
});

t.test('a plan is refused normally however deeply lists and objects are nested', (t) => {
  for (const depth of [10, 1000, 3000, 5000, 100_000]) {
    for (const [open, close] of [
      ['[', ']'],
      ['{"a":', '}'],
    ] as const) {
      const text = `${open.repeat(depth)}1${close.repeat(depth)}`;
      t.match(refusal(text)[0], /^plan\.json:\d+:\d+: /, `${depth} of ${open}`);
    }
  }
  t.end();
});

t.test('a duplicate key is refused, since one of its values would be lost', (t) => {
  isRefused(t, '"seed": "a",\n  ▲"seed": "b"', 'seed: occurs twice');
  isRefused(
    t,
    '"link": {"rttMs": 1, ▲"rttMs": 2}, "loss": {"from": 0, ▲"from": 0, "to": 0.1}',
    'link.rttMs: occurs twice',
    'loss.from: occurs twice',
  );
  t.end();
});

t.test('an unknown key is refused with its own place', (t) => {
  isRefused(t, '▲"recievers": 3', 'recievers: unknown key; did you mean receivers?');
  isRefused(t, '▲"__proto__": {"loss": 0.1}', '__proto__: unknown key');
  isRefused(t, '▲"rttMs": 3', 'rttMs: unknown key; did you mean link.rttMs?');
  isRefused(t, '"link": {"rttMs": 1,\n ▲"rtt": 3}', 'link.rtt: unknown key; did you mean rttMs?');
  isRefused(
    t,
    '"loss": {"from": 0, "to": 0.1, ▲"stp": 1}',
    'loss.stp: unknown key; did you mean step?',
  );
  isRefused(
    t,
    '"timeoutMs": {"from": 5, "to": 9, ▲"stp": 1}',
    'timeoutMs.stp: unknown key; did you mean step?',
  );
  isRefused(
    t,
    '"loss": [0, 0.1], "plot": {"x": "loss", ▲"y": 1}',
    'plot.y: unknown key; did you mean x?',
  );
  t.end();
});

t.test('each missing key is named', (t) => {
  for (const missing of Object.keys(base)) {
    const members = Object.entries(base).filter(([key]) => key !== missing);
    const text = JSON.stringify(Object.fromEntries(members));
    t.same(refusal(text), [`plan.json:1:1: ${missing}: is missing`]);
  }
  isRefused(t, '"loss": ▲{"from": 0}', 'loss.to: is missing');
  t.end();
});

t.test('a list is refused if it is empty or repeats a value', (t) => {
  for (const key of ['receivers', 'timeoutMs', 'lossModel', 'mode']) {
    isRefused(t, `"${key}": ▲[]`, `${key}: the list is empty; give at least one value`);
  }
  isRefused(t, '"receivers": ▲[1, 2, 1]', 'receivers: a value occurs twice');
  isRefused(t, '"loss": ▲[0.1, 0.10]', 'loss: a value occurs twice');
  isRefused(t, '"timeoutMs": ▲[20, 20]', 'timeoutMs: a value occurs twice');
  isRefused(t, '"timeoutMs": ▲["auto", "auto"]', 'timeoutMs: a value occurs twice');
  isRefused(t, '"lossModel": ▲["burst:2", "burst:2"]', 'lossModel: a value occurs twice');
  isRefused(t, '"mode": ▲["real", "real"]', 'mode: a value occurs twice');
  t.end();
});

t.test('an impossible range is refused', (t) => {
  const empty = (key: string) => `${key}.to: 1 is below "from" (5): the range is empty`;
  isRefused(t, '"receivers": {"from": 5, "to": ▲1}', empty('receivers'));
  isRefused(t, '"timeoutMs": {"from": 5, "to": ▲1}', empty('timeoutMs'));
  isRefused(
    t,
    '"receivers": {"from": 1, "to": 9, "step": 1, "factor": ▲2}',
    'receivers.factor: give a step or a factor',
  );
  isRefused(t, '"receivers": {"from": 1, "to": 9, "step": ▲0}', 'receivers.step: must be above 0');
  isRefused(
    t,
    '"receivers": {"from": 1, "to": 9, "factor": ▲1}',
    'receivers.factor: must be above 1',
  );
  isRefused(
    t,
    '"sendTimeMs": {"from": ▲0, "to": 9, "factor": 2}',
    'sendTimeMs.from: 0: must be above 0 with a factor',
  );
  isRefused(
    t,
    '"loss": {"from": 0, "to": ▲0.5, "step": 1e-9}',
    'loss.to: the range has more than 1000000 values',
  );
  isRefused(t, '"receivers": {"from": ▲"one", "to": 9}', 'receivers.from: must be a number');
  t.end();
});

t.test('a value of a range is checked like a single one', (t) => {
  isRefused(t, '"receivers": ▲{"from": 0, "to": 3}', 'receivers: 0: must be at least 1');
  isRefused(
    t,
    '"receivers": ▲{"from": 1, "to": 3, "step": 0.5}',
    'receivers: 1.5: must be a whole number',
  );
  isRefused(
    t,
    '"mssBytes": ▲{"from": 65498, "to": 65501}',
    'mssBytes: 65500: must be at most 65499',
  );
  isRefused(
    t,
    '"loss": ▲{"from": 0.8, "to": 1, "step": 0.1}',
    'loss: 1: must be below 1, because 1 would lose everything',
  );
  isRefused(t, '"timeoutMs": ▲{"from": 0, "to": 20, "step": 10}', 'timeoutMs: 0: must be above 0');
  t.end();
});

t.test('an out-of-range value is refused with the bound', (t) => {
  const all = 'must be below 1, because 1 would lose everything';
  isRefused(t, '"loss": ▲1', `loss: ${all}`);
  isRefused(t, '"loss": [0.1, ▲1.5]', `loss.1: ${all}`);
  isRefused(t, '"loss": ▲-0.1', 'loss: must be at least 0');
  isRefused(t, '"mssBytes": ▲-5', 'mssBytes: must be at least 1');
  isRefused(t, '"mssBytes": ▲0', 'mssBytes: must be at least 1');
  isRefused(t, '"mssBytes": [500, ▲65500]', 'mssBytes.1: must be at most 65499');
  isRefused(t, '"receivers": ▲100001', 'receivers: must be at most 100000');
  isRefused(t, '"fileSizeBytes": ▲0', 'fileSizeBytes: must be at least 1');
  isRefused(t, '"fileSizeBytes": ▲1000000001', 'fileSizeBytes: must be at most 1000000000');
  isRefused(t, '"timeoutMs": ▲0', 'timeoutMs: must be above 0');
  isRefused(t, '"timeoutMs": [20, ▲-1]', 'timeoutMs.1: must be above 0');
  isRefused(t, '"timeoutMs": ▲10001', 'timeoutMs: must be at most 10000');
  isRefused(t, '"window": ▲1025', 'window: must be at most 1024');
  isRefused(t, '"repetitions": ▲0', 'repetitions: must be at least 1');
  isRefused(t, '"repetitions": ▲10001', 'repetitions: must be at most 10000');
  isRefused(t, '"link": {"rttMs": ▲-1}', 'link.rttMs: must be at least 0');
  isRefused(t, '"link": {"rttMs": ▲5001}', 'link.rttMs: must be at most 5000');
  isRefused(t, '"link": {"rateBytesPerSec": ▲0}', 'link.rateBytesPerSec: must be above 0');
  isRefused(t, '"sendTimeMs": ▲1001', 'sendTimeMs: must be at most 1000');
  t.end();
});

t.test('the values at the bounds are accepted', (t) => {
  const members: Members[] = [
    { mssBytes: [1, 65_499] },
    { receivers: [1, 100_000] },
    { fileSizeBytes: [1, 1_000_000_000] },
    { window: [1, 1024] },
    { timeoutMs: [0.001, 10_000] },
    { loss: [0, 0.999999] },
    { link: { rttMs: [0, 5000] }, timeoutMs: 5001 },
    { sendTimeMs: [0, 1000] },
    { repetitions: 10_000 },
  ];
  for (const member of members) {
    t.doesNotThrow(() => parse(member), JSON.stringify(member));
  }
  t.end();
});

t.test('a value of the wrong type is refused with the expected type', (t) => {
  isRefused(t, '"receivers": ▲2.5', 'receivers: must be a whole number');
  isRefused(t, '"receivers": [1, ▲2.5]', 'receivers.1: must be a whole number');
  isRefused(t, '"receivers": [1, ▲"2"]', 'receivers.1: must be a number');
  isRefused(t, '"repetitions": ▲1.5', 'repetitions: must be a whole number');
  isRefused(t, '"title": ▲5', 'title: must be a string');
  isRefused(t, '"link": ▲[]', 'link: must be an object, { ... }');
  for (const value of ['"2"', 'null', 'true']) {
    isRefused(
      t,
      `"receivers": ▲${value}`,
      'receivers: must be a value, a list of values or a range {from, to, step}',
    );
  }
  t.end();
});

t.test('an unknown word is refused with the known ones', (t) => {
  const mode = 'must be "simulated" or "real"';
  isRefused(t, '"mode": ▲"virtual"', `mode: ${mode}`);
  isRefused(t, '"mode": ["real", ▲"virtual"]', `mode.1: ${mode}`);
  const model = 'must be "bernoulli", or "burst:LENGTH" with the mean length of a burst in packets';
  for (const name of ['gilbert', 'burst', 'burst:', 'burst:-1', 'burst:1e3', 'Bernoulli', '']) {
    isRefused(t, `"lossModel": ▲"${name}"`, `lossModel: ${model}`);
  }
  isRefused(t, '"lossModel": ["bernoulli", ▲"burst:x"]', `lossModel.1: ${model}`);
  const timeout = 'must be above 0 and at most 10000 (milliseconds), or "auto"';
  for (const value of ['"slow"', 'null', 'true']) {
    isRefused(t, `"timeoutMs": ▲${value}`, `timeoutMs: ${timeout}`);
  }
  isRefused(t, '"timeoutMs": [20, ▲"slow"]', `timeoutMs.1: ${timeout}`);
  isRefused(t, '"network": ▲"wifi"', 'network: must be "loopback" or "namespaces"');
  isRefused(t, '"plot": {"x": ▲"size"}', `plot.x: must be one of ${parameterNames.join(', ')}`);
  t.end();
});

t.test('bursts that are too short for the mean loss are refused', (t) => {
  isRefused(
    t,
    '"loss": 0.6, "lossModel": ▲"burst:1"',
    'lossModel: mean burst 1: too short for a mean loss of 0.6; take at least 1.50 packets',
  );
  isRefused(t, '"lossModel": ▲"burst:0.5"', 'lossModel: mean burst 0.5: must be 1 packet or more');
  t.equal(parse({ loss: 0.6, lossModel: 'burst:1.5' }).points.length, 1);
  // One wrong point of many is enough.
  isRefused(
    t,
    '"loss": {"from": 0, "to": 0.9, "step": 0.1}, "lossModel": ▲["bernoulli", "burst:2"]',
    'lossModel: mean burst 2: too short for a mean loss of 0.7; take at least 2.34 packets',
  );
  t.end();
});

t.test('a queue needs a rate and room for a datagram', (t) => {
  isRefused(
    t,
    '"link": {"queueBytes": ▲9000}',
    'link.queueBytes: needs a rateBytesPerSec: without a rate limit, no datagram waits',
  );
  const marked = planText('"link": {"rateBytesPerSec": 1e6, "queueBytes": ▲[9000, 500]}');
  t.match(
    refusal(marked.replace('▲', '')).join('\n'),
    new RegExp(`^plan\\.json:${marks(marked)[0]}: link\\.queueBytes: 500 bytes cannot hold `),
  );
  // 8 bytes for the header, 28 for IPv4 and UDP.
  t.equal(parse({ link: { rateBytesPerSec: 1e6, queueBytes: 536 } }).points.length, 1);
  t.end();
});

t.test('a timeout that does not exceed the round trip is refused', (t) => {
  const needless = 'every round would be retransmitted needlessly';
  isRefused(
    t,
    '"link": {"rttMs": 100}, "timeoutMs": ▲100',
    `timeoutMs: 100 ms is not above the round trip of 100 ms (RTT 100 ms and the link's rate): ` +
      needless,
  );
  // A segment of 500 bytes and its ACK, each with 8 + 28 bytes more, take 10 ms at 57,200 bytes/s.
  isRefused(
    t,
    '"link": {"rttMs": 20, "rateBytesPerSec": 57200}, "timeoutMs": ▲[31, 30]',
    `timeoutMs: 30 ms is not above the round trip of 30 ms (RTT 20 ms and the link's rate): ` +
      needless,
  );
  const link = { rttMs: 20, rateBytesPerSec: 57_200 };
  t.equal(parse({ link, timeoutMs: [30.1, 'auto'] }).points.length, 2);
  t.end();
});

t.test('a rate at which a segment takes too long is refused', (t) => {
  isRefused(
    t,
    '"link": {"rateBytesPerSec": ▲100}, "timeoutMs": 10000',
    'link.rateBytesPerSec: a segment of 500 bytes and its ACK have a round trip of 5720 ms; ' +
      'at most 5000 ms are allowed: raise the rate',
  );
  t.equal(parse({ link: { rateBytesPerSec: 120 }, timeoutMs: 10_000 }).points.length, 1);
  t.end();
});

t.test('members that real runs cannot have are refused if there are any', (t) => {
  for (const mode of ['"real"', '["simulated", "real"]']) {
    isRefused(
      t,
      `"mode": ${mode}, "link": {"rttMs": ▲[0, 10]}`,
      'link.rttMs: cannot vary in real runs, because they measure it; give one value',
    );
    isRefused(
      t,
      `"mode": ${mode}, "link": {"rateBytesPerSec": ▲1e6}`,
      'link.rateBytesPerSec: loopback has no rate limit; use "network": "namespaces"',
    );
    isRefused(
      t,
      `"mode": ${mode}, "sendTimeMs": ▲[0, 0.1]`,
      'sendTimeMs: cannot be set in real runs; remove this key',
    );
    isRefused(
      t,
      `"mode": ${mode}, "receivers": ▲{"from": 1, "to": 65}`,
      'receivers: at most 64 in real runs, because each receiver is a process',
    );
  }
  isRefused(
    t,
    '"mode": "real", "receivers": ▲{"from": 1, "to": 100000}, "repetitions": 1',
    'receivers: at most 64 in real runs, because each receiver is a process',
  );
  const link = { rttMs: 10, rateBytesPerSec: 1e6, queueBytes: 10_000 };
  const real = parse({ mode: 'real', network: 'namespaces', link, receivers: 64, sendTimeMs: 0 });
  t.equal(real.points.length, 1);
  t.end();
});

t.test('an axis along which nothing varies is refused', (t) => {
  isRefused(
    t,
    '"loss": [0, 0.1], "plot": {"x": ▲"mssBytes"}',
    'plot.x: mssBytes has only one value, so it cannot be an axis',
  );
  isRefused(
    t,
    '"loss": {"from": 0.1, "to": 0.1}, "plot": {"x": ▲"loss"}',
    'plot.x: loss has only one value, so it cannot be an axis',
  );
  t.end();
});

t.test('a log axis is refused for values that have no place on it', (t) => {
  const only = 'a log axis can show only numbers above 0';
  for (const values of ['"loss": [0, 0.1]', '"loss": {"from": 0, "to": 0.1, "step": 0.05}']) {
    const plot = '"plot": {"x": "loss", "xScale": ▲"log"}';
    isRefused(t, `${values}, ${plot}`, `plot.xScale: ${only}, but loss has other values`);
  }
  for (const [x, values] of [
    ['lossModel', '["bernoulli", "burst:4"]'],
    ['timeoutMs', '[20, "auto"]'],
  ]) {
    const plot = `"plot": {"x": "${x}", "xScale": ▲"log"}`;
    isRefused(t, `"${x}": ${values}, ${plot}`, `plot.xScale: ${only}, but ${x} has other values`);
  }
  const plot = { x: 'loss', xScale: 'log', yScale: 'log' };
  t.same(parse({ loss: [0.01, 0.1], plot }).plot, plot);
  t.end();
});

t.test('more runs than anybody can wait for are refused', (t) => {
  isRefused(
    t,
    '"receivers": {"from": 1, "to": 101}, "repetitions": ▲10000',
    'repetitions: the plan has 1010000 runs; at most 1000000 are allowed',
  );
  isRefused(
    t,
    '"mode": ["simulated", "real"], "receivers": {"from": 1, "to": 51}, "repetitions": ▲10000',
    'repetitions: the plan has 1020000 runs; at most 1000000 are allowed',
  );
  isRefused(
    t,
    '"mssBytes": {"from": 1, "to": 2001}, "receivers": {"from": 1, "to": 100}',
    'repetitions: the plan has 1000500 runs; at most 1000000 are allowed',
  );
  t.end();
});

t.test('several problems are reported together, in the order of their places', (t) => {
  isRefused(
    t,
    '"window": ▲0,\n  "loss": [0.1,\n    ▲1],\n  ▲"extra": 1, "mssBytes": ▲▲{},\n  "timeoutMs": ▲0',
    'window: must be at least 1',
    'loss.1: must be below 1, because 1 would lose everything',
    'extra: unknown key',
    'mssBytes.from: is missing',
    'mssBytes.to: is missing',
    'timeoutMs: must be above 0',
  );
  isRefused(
    t,
    '"plot": {"x": ▲"loss"}, "mode": "real", "link": {"rttMs": ▲[1, 2], "queueBytes": ▲7}',
    'plot.x: loss has only one value, so it cannot be an axis',
    'link.rttMs: cannot vary in real runs, because they measure it; give one value',
    'link.queueBytes: needs a rateBytesPerSec: without a rate limit, no datagram waits',
  );
  t.end();
});

t.test('of more than ten problems, the first ten are reported and the rest are counted', (t) => {
  const unknown = (count: number) => Array.from({ length: count }, (_, i) => `"x${i}": ${i}`);
  const lines = refusal(planText(unknown(13).join(',\n')));
  t.same(
    lines.map((line) => line.replace(/^plan\.json:(\d+:\d+:)? /, '')),
    [...Array.from({ length: 10 }, (_, i) => `x${i}: unknown key`), 'and 3 more'],
  );
  t.equal(refusal(planText(unknown(10).join(',\n'))).length, 10);
  t.end();
});

t.test('any text is a plan or is refused as one', (t) => {
  const isPlanOrRefused = (text: string): boolean => {
    try {
      const plan = parsePlan(text, source);
      return plan.points.length > 0 && [...listRuns(plan)].length === countRuns(plan);
    } catch (error) {
      if (error instanceof P2mpError && error.code === 'INVALID_PLAN') {
        return error.message.split('\n').every((line) => /^plan\.json:.+/.test(line));
      }
      throw error;
    }
  };
  const number = fc.oneof(fc.constantFrom(0, 1, -1, 0.05, 20, 500), fc.double(), fc.integer());
  const value = fc.oneof(
    { maxDepth: 2 },
    number,
    fc.array(number, { maxLength: 3 }),
    fc.constantFrom('auto', 'bernoulli', 'burst:4', 'simulated', 'real', ['real', 'simulated']),
    fc.integer({ min: -1, max: 50 }).map((from) => ({ from, to: from + 2 })),
    fc.record({ from: number, to: fc.jsonValue(), step: number }, { requiredKeys: ['from'] }),
    fc.jsonValue(),
    fc.record({ x: fc.constantFrom(...parameterNames) }),
    fc.record({ rttMs: number, rateBytesPerSec: number, queueBytes: number }, { requiredKeys: [] }),
  );
  const keys = ['mode', 'network', 'link', 'plot', 'repetitions', '__proto__', 'constructor'];
  const known = fc.constantFrom(...parameterNames, ...Object.keys(base), ...keys);
  const members = fc.dictionary(fc.oneof({ weight: 9, arbitrary: known }, fc.string()), value, {
    maxKeys: 5,
  });
  const texts = fc.oneof(
    fc.string(),
    fc.json(),
    members.map((some) => JSON.stringify({ ...base, repetitions: 1, ...some })),
  );
  fc.assert(fc.property(texts, isPlanOrRefused), { seed: 1, numRuns: 500 });
  t.end();
});

t.test('a plan with more points than memory can hold is refused before they are created', (t) => {
  isRefused(
    t,
    '"mssBytes": {"from": 1, "to": 65000}, "receivers": {"from": 1, "to": 100000}, ' +
      '"repetitions": ▲1',
    'repetitions: the plan has 6500000000 runs; at most 1000000 are allowed',
  );
  t.end();
});
