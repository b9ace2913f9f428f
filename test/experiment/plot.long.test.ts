import fc from 'fast-check';
import t from 'tap';
import { parse as parseVega, View } from 'vega';
import { compile } from 'vega-lite';
import { describeFindings } from '../../src/experiment/findings.js';
import { createModel } from '../../src/experiment/model.js';
import { parameters } from '../../src/experiment/parameters.js';
import { listRuns, type Plan, parsePlan, type Run } from '../../src/experiment/plan.js';
import { createPlot } from '../../src/experiment/plot.js';
import { createLayout, modelCurve } from '../../src/experiment/series.js';
import { summarize } from '../../src/experiment/summary.js';
import { renderPng, renderSvg } from '../../src/node/experiment/pictures.js';
import { createReport, type ReportContent } from '../../src/node/experiment/report.js';

type Members = Readonly<Record<string, unknown>>;

function parse(members: Members): Plan {
  const base = { title: 'A plan', seed: 'a seed', fileSizeBytes: 20_000, receivers: 2, loss: 0.05 };
  const link = { rttMs: 20 };
  return parsePlan(JSON.stringify({ ...base, link, repetitions: 3, ...members }), 'plan.json');
}

/** The model's time of a run, or a second if the model does not cover it. */
function modelS({ point }: Run): number {
  return (createModel(point)?.meanDelayMs ?? 1000) / 1000;
}

/** The plan's summaries. Repetitions take `delayS` less 0.1 s, `delayS`, and 0.1 s more. */
function summaries(plan: Plan, delayS: (run: Run) => number = modelS, completeShare = 1) {
  const rows = [...listRuns(plan)].map((run) => ({
    ...run,
    rttMs: run.mode === 'real' ? 18 : run.point.rttMs,
    delayS: delayS(run) * (1 + 0.1 * (run.repetition - 2)),
    rounds: 45,
    timeouts: 5,
    retransmissions: 7,
    datagrams: 90,
    acks: 83,
    completeReceivers: completeShare * run.point.receivers,
    originBytes: undefined,
    hitRatio: undefined,
    fastAloneS: undefined,
    slowAloneS: undefined,
    twinDelayS: run.mode === 'real' ? 0.9 * delayS(run) : undefined,
  }));
  return summarize(rows);
}

function svgOf(plan: Plan, delayS?: (run: Run) => number): Promise<string> {
  return renderSvg(createPlot(plan, summaries(plan, delayS)));
}

/** Records what Vega-Lite and Vega log; they call its methods unbound. */
class Recorder {
  readonly complaints: unknown[][] = [];

  readonly error = (...args: unknown[]): this => {
    this.complaints.push(args);
    return this;
  };

  readonly warn = this.error;
  readonly info = (): this => this;
  readonly debug = (): this => this;

  level(): number;
  level(level: number): this;
  level(level?: number): number | this {
    return level === undefined ? 2 : this;
  }
}

/**
 * The warnings when a specification is compiled and drawn. A layer without marks, such as that of
 * real runs where there are none, has no extent, and need not have one.
 */
async function complaintsAbout(specification: object): Promise<unknown[][]> {
  const logger = new Recorder();
  const { spec } = compile(specification as Parameters<typeof compile>[0], { logger });
  const view = new View(parseVega(spec), { renderer: 'none', logger });
  await view.toSVG();
  view.finalize();
  return logger.complaints.filter((words) => !/^Infinite extent for field/.test(words.join()));
}

interface Mark {
  readonly x: string;
  readonly y: string;
  readonly series: string;
  readonly isFilled: boolean;
  /** In the picture, to two decimals. */
  readonly place: readonly [string, string];
}

function pointsIn(svg: string): Mark[] {
  const pattern =
    /<path aria-label="x: ([^;"]*); y: ([^;"]*); series: ([^"]*)"[^>]*="point"([^>]*)>/g;
  return [...svg.matchAll(pattern)].map(([, x = '', y = '', series = '', rest = '']) => {
    const [, left, top] = /translate\(([^,]*),([^)]*)\)/.exec(rest) ?? [];
    const place = [Number(left).toFixed(2), Number(top).toFixed(2)] as const;
    return { x, y, series, isFilled: rest.includes('fill="#'), place };
  });
}

interface Line {
  readonly series: string;
  readonly dashes: string;
  readonly places: readonly (readonly [string, string])[];
}

function linesIn(svg: string): Line[] {
  const pattern = /<path aria-label="[^"]*series: ([^"]*)"[^>]*="line mark" d="M([^"]*)"([^>]*)>/g;
  return [...svg.matchAll(pattern)].map(([, series = '', path = '', rest = '']) => ({
    series,
    dashes: /stroke-dasharray="([^"]*)"/.exec(rest)?.[1] ?? 'none',
    places: path.split('L').map((place) => {
      const [left, top] = place.split(',').map((number) => Number(number).toFixed(2));
      return [left ?? '', top ?? ''] as const;
    }),
  }));
}

function textsIn(svg: string): string[] {
  return [...svg.matchAll(/<(?:text|tspan)[^>]*>([^<]+)</g)].map(([, text = '']) => text);
}

function countIn(text: string, part: string): number {
  return text.split(part).length - 1;
}

/** Plans of every kind. */
const kinds: Members[] = [
  { receivers: [1, 2, 4] },
  { receivers: [1, 2, 4], loss: [0.01, 0.05], mode: ['simulated', 'real'], link: {} },
  { receivers: [1, 4], mode: 'real', link: {}, repetitions: 1 },
  { receivers: [1, 10, 100], plot: { x: 'receivers', xScale: 'log', yScale: 'log' } },
  { lossModel: ['bernoulli', 'burst:4', 'burst:8'] },
  { lossModel: ['bernoulli', 'burst:4'], receivers: [1, 3], mode: ['real', 'simulated'], link: {} },
  { timeoutMs: ['auto', 30, 60] },
  { window: [1, 4], mssBytes: [100, 500], loss: [0, 0.05] },
  { loss: [0, 0.1], link: {}, repetitions: 1 },
  {},
];

t.test('a plot of any kind of plan is compiled and drawn without a warning', async (t) => {
  for (const kind of kinds) {
    const plan = parse(kind);
    const text = JSON.stringify(kind);
    t.same(await complaintsAbout(createPlot(plan, summaries(plan))), [], text);
    const svg = await svgOf(plan);
    t.match(svg, /^<svg .*<\/svg>$/s, text);
    t.notMatch(svg, /NaN|Infinity|undefined|null/, text);
  }
});

t.test('each point and mode has a mark, and each interval a bar', async (t) => {
  for (const kind of kinds) {
    const plan = parse(kind);
    const text = JSON.stringify(kind);
    const svg = await svgOf(plan);
    const marks = pointsIn(svg);
    const count = plan.points.length;
    const has = (mode: 'simulated' | 'real') => (plan.mode.includes(mode) ? count : 0);
    t.equal(marks.filter(({ isFilled }) => isFilled).length, has('simulated'), text);
    t.equal(marks.filter(({ isFilled }) => !isFilled).length, has('real'), text);
    const bars = plan.repetitions > 1 ? count * plan.mode.length : 0;
    t.equal(countIn(svg, '"rule mark"'), bars, text);
    t.equal(countIn(svg, '"tick"'), 2 * bars, text);
  }
});

t.test('marks are placed at the means', async (t) => {
  const svg = await svgOf(parse({ receivers: [1, 3, 5] }), ({ point }) => point.receivers);
  const marks = pointsIn(svg);
  t.same(
    marks.map(({ x, y }) => [x, y]),
    [
      ['1', '1'],
      ['3', '3'],
      ['5', '5'],
    ],
  );
  const [tops, lefts] = [1, 0].map((i) => marks.map(({ place }) => Number(place[i])));
  t.ok(isEvenlyRising(lefts), `from left to right: ${lefts}`);
  t.ok(isEvenlyRising(tops?.toReversed()), `from the bottom to the top: ${tops}`);
});

t.test('bars span the interval', async (t) => {
  const plan = parse({ receivers: [1, 3, 5] });
  const all = summaries(plan, ({ point }) => point.receivers);
  const svg = await renderSvg(createPlot(plan, all));
  const [one = NaN, , five = NaN] = pointsIn(svg).map(({ place }) => Number(place[1]));
  const topOf = (delayS: number) => one + ((five - one) * (delayS - 1)) / 4;
  const pattern =
    /<line [^>]*"rule mark" transform="translate\([^,]*,([^)]*)\)"[^>]* y2="([^"]*)"/g;
  const bars = [...svg.matchAll(pattern)].map(([, top, length]) => [
    Number(top),
    Number(top) + Number(length),
  ]);
  t.equal(bars.length, 3);
  for (const [i, ends] of bars.entries()) {
    const { ci95Low = NaN, ci95High = NaN } = all[i] ?? {};
    const [high = NaN, low = NaN] = ends.toSorted((a, b) => a - b);
    t.ok(Math.abs(low - topOf(ci95Low)) < 0.1, `${low} for ${ci95Low} s`);
    t.ok(Math.abs(high - topOf(ci95High)) < 0.1, `${high} for ${ci95High} s`);
  }
});

function isEvenlyRising(values: readonly number[] = []): boolean {
  const [a = NaN, b = NaN, c = NaN] = values;
  return values.length === 3 && b > a && Math.abs(b - a - (c - b)) < 0.1;
}

t.test('on log axes equal factors are equal distances', async (t) => {
  const plot = { x: 'receivers', xScale: 'log', yScale: 'log' };
  const svg = await svgOf(parse({ receivers: [1, 10, 100], plot }), ({ point }) => {
    return point.receivers ** 2;
  });
  const marks = pointsIn(svg);
  const [tops, lefts] = [1, 0].map((i) => marks.map(({ place }) => Number(place[i])));
  t.ok(isEvenlyRising(lefts), `from left to right: ${lefts}`);
  t.ok(isEvenlyRising(tops?.toReversed()), `from the bottom to the top: ${tops}`);
});

t.test('a log axis omits zero times and cuts off intervals', async (t) => {
  const plot = { x: 'receivers', yScale: 'log' };
  const plan = parse({ receivers: [1, 2, 4], loss: 0.05, repetitions: 2, plot });
  // With two repetitions so far apart, the interval reaches far below zero.
  const delayS = ({ point, repetition }: Run) => (point.receivers === 1 ? 0 : repetition ** 3);
  const specification = createPlot(plan, summaries(plan, delayS));
  t.same(await complaintsAbout(specification), []);
  const svg = await renderSvg(specification);
  t.notMatch(svg, /NaN|Infinity/);
  t.same(
    pointsIn(svg).map(({ x }) => x),
    ['2', '4'],
  );
});

t.test('the axes say what they show, and in which unit', async (t) => {
  const values: Members = {
    fileSizeBytes: [1000, 2000],
    link: { rttMs: 20, rateBytesPerSec: [1e6, 2e6] },
    sendTimeMs: [0, 1],
    window: [1, 2],
    timeoutMs: [50, 60],
    lossModel: ['bernoulli', 'burst:2'],
    loss: [0.1, 0.2],
    mssBytes: [100, 500],
    receivers: [1, 2],
  };
  const titles = {
    fileSizeBytes: 'File size, bytes',
    link: 'Rate of each path, bytes/s',
    sendTimeMs: 'Sending time of a datagram, ms',
    window: 'Window, segments',
    timeoutMs: 'Timeout, ms',
    lossModel: 'Loss model',
    loss: 'Loss probability p of a data packet',
    mssBytes: 'Maximum segment size, bytes',
    receivers: 'Number of receivers',
  };
  for (const [key, title] of Object.entries(titles)) {
    const texts = textsIn(await svgOf(parse({ [key]: values[key] })));
    t.ok(texts.includes(title), title);
    t.ok(texts.includes('Mean delay, s'));
  }
});

t.test('whole numbers along the axis are written with all their digits', async (t) => {
  const texts = textsIn(await svgOf(parse({ receivers: [5, 10, 20, 40, 1000] }), () => 1));
  for (const text of ['5', '10', '20', '40', '1,000']) t.ok(texts.includes(text), text);
});

t.test('names stand side by side along the axis, in the order of the plan', async (t) => {
  const plan = parse({ lossModel: ['burst:8', 'bernoulli', 'burst:4'] });
  const svg = await svgOf(plan, () => 1);
  const names = ['bursts of 8', 'independent losses', 'bursts of 4'];
  t.same(
    textsIn(svg).filter((text) => names.includes(text)),
    names,
  );
  const marks = pointsIn(svg);
  t.same(
    marks.map(({ x }) => x),
    names,
  );
  t.ok(isEvenlyRising(marks.map(({ place }) => Number(place[0]))));
});

t.test('each series has its colour, its shape and its name', async (t) => {
  const svg = await svgOf(parse({ receivers: [1, 2], loss: [0.01, 0.05, 0.1] }));
  const names = ['p = 0.01', 'p = 0.05', 'p = 0.1'];
  t.same(
    textsIn(svg).filter((text) => text.startsWith('p =')),
    names,
  );
  const looks = names.map((name) => {
    const pattern = new RegExp(`series: ${name}"[^>]*="point"[^>]* d="(.*?)" fill="(.*?)"`, 'g');
    return new Set([...svg.matchAll(pattern)].map(([, shape, colour]) => `${shape} ${colour}`));
  });
  for (const look of looks) t.equal(look.size, 1);
  t.equal(new Set(looks.flatMap((look) => [...look])).size, 3);
  // One series needs no legend.
  t.notMatch(await svgOf(parse({ receivers: [1, 2] })), /role-legend/);
});

t.test('marks of different series at the same place stand side by side', async (t) => {
  const svg = await svgOf(parse({ receivers: [1, 2], loss: [0.01, 0.05, 0.1] }));
  const [first, ...others] = pointsIn(svg).filter(({ x }) => Number(x) === 1);
  t.same(
    others.map(({ place }) => Math.round(Number(place[0]) - Number(first?.place[0]))),
    [5, 10],
  );
});

t.test('with more than six series, each has a panel with the same axes', async (t) => {
  const loss = Array.from({ length: 10 }, (_, i) => (i + 1) / 50);
  const plan = parse({ receivers: [1, 4], loss, plot: { x: 'receivers' } });
  t.same(await complaintsAbout(createPlot(plan, summaries(plan))), []);
  const svg = await svgOf(plan);
  const texts = textsIn(svg);
  t.same(
    texts.filter((text) => text.startsWith('p =')),
    loss.map((p) => `p = ${p}`),
  );
  t.equal(texts.filter((text) => text === 'Number of receivers').length, 10);
  t.match(texts.join('\n'), 'grey: the other series');
  t.equal(
    svg.match(/aria-roledescription="point"/g)?.length,
    20,
    'each panel has the marks of its own series only',
  );
  t.notMatch(svg, /role-legend/);
});

t.test('no name is cut off, however many parameters it lists', async (t) => {
  const names = await svgOf(
    parse({
      receivers: [1, 2],
      lossModel: ['bernoulli', 'burst:4'],
      window: [1, 16],
      timeoutMs: [100, 'auto'],
    }),
  );
  t.ok(textsIn(names).includes('window 16, automatic timeout, independent losses'));
  t.notMatch(names, '…');
});

t.test('the model is a line through the points that agree with it', async (t) => {
  const plan = parse({ receivers: [1, 5, 20], loss: [0.01, 0.1], plot: { x: 'receivers' } });
  const svg = await svgOf(plan);
  const lines = linesIn(svg);
  t.same(
    lines.map(({ series, dashes }) => [series, dashes]),
    [
      ['p = 0.01', 'none'],
      ['p = 0.1', 'none'],
    ],
  );
  for (const { x, series, place } of pointsIn(svg)) {
    const line = lines.find((one) => one.series === series);
    const near = line?.places.some(([left, top]) => {
      const [dx, dy] = [Number(left) - Number(place[0]), Number(top) - Number(place[1])];
      // The marks of two series stand 2.5 pixels beside their place.
      return Math.abs(Math.abs(dx) - 2.5) < 0.05 && Math.abs(dy) < 0.05;
    });
    t.ok(near, `${series}, n = ${x}`);
  }
  t.equal(lines[0]?.places.length, 20, 'a place for each number of receivers');
  t.match(textsIn(svg).join('\n'), 'line: model');
});

t.test('without a model, dotted lines only join the means', async (t) => {
  const svg = await svgOf(parse({ receivers: [1, 5, 20], window: 2 }));
  const [line, ...others] = linesIn(svg);
  t.equal(others.length, 0);
  t.equal(line?.dashes, '1,3');
  t.same(
    line?.places,
    pointsIn(svg).map(({ place }) => place),
  );
  t.match(textsIn(svg).join('\n'), 'dotted lines only join means');
  t.notMatch(textsIn(svg).join('\n'), /line: model/);
});

t.test('simulated and real runs share a plot, and the notes distinguish them', async (t) => {
  const plan = parse({ receivers: [1, 2, 4], mode: ['simulated', 'real'] });
  const svg = await svgOf(plan, (run) => modelS(run) + (run.mode === 'real' ? 0.5 : 0));
  t.same(
    pointsIn(svg).map(({ x, isFilled }) => [x, isFilled]),
    [
      ['1', true],
      ['2', true],
      ['4', true],
      ['1', false],
      ['2', false],
      ['4', false],
    ],
  );
  t.same(
    linesIn(svg).map(({ dashes }) => dashes),
    ['none', '6,4'],
  );
  const notes = textsIn(svg).join('\n');
  for (const note of [
    'filled: simulated',
    'hollow: real, over loopback',
    'means of 3 runs with 95 % confidence intervals',
    'line: model',
    'dashed: model with the measured round trip',
  ]) {
    t.ok(notes.includes(note), note);
  }
  t.notMatch(textsIn(await svgOf(parse({ receivers: [1, 2] }))).join('\n'), /hollow|dashed|dotted/);
});

t.test('a curve stays between its ends, and uses the measured round trip', (t) => {
  const value = fc.integer({ min: 1, max: 99 });
  const property = fc.property(value, value, fc.boolean(), (a, b, isLog) => {
    const ends = [Math.min(a, b) / 100, Math.max(a, b) / 100];
    const [low = NaN, high = NaN] = ends;
    if (low === high) return true;
    const plan = parse({ loss: ends });
    const measured = plan.points.map((point) => ({ point, tripMs: 3 }));
    const curve = modelCurve(measured, createLayout(plan), isLog);
    return (
      curve[0]?.x === low &&
      curve.at(-1)?.x === high &&
      curve.every(({ x, y }) => {
        const point = plan.points[0];
        if (point === undefined) return false;
        const model = createModel({ ...point, loss: x }, 3);
        return model !== undefined && Math.abs(y - model.meanDelayMs / 1000) < 1e-9;
      })
    );
  });
  fc.assert(property, { seed: 1, numRuns: 200 });
  t.end();
});

t.test(
  'points whose runs all failed are left out, and a plot without points is still drawn',
  async (t) => {
    const plan = parse({ receivers: [1, 2], loss: [0.01, 0.05] });
    const specification = createPlot(plan, summaries(plan, modelS, 0));
    t.same(await complaintsAbout(specification), []);
    t.equal(pointsIn(await renderSvg(specification)).length, 0);
  },
);

t.test('the same summaries give the same picture', async (t) => {
  const plan = parse({ receivers: [1, 2, 4], loss: [0.01, 0.05] });
  t.equal(await svgOf(plan), await svgOf(plan));
});

const hostileTitle = `<script>alert("1")</script> & 'so' on]]> <img src="//x.example/i.png">`;

t.test('a title is text in the picture, whatever it contains', async (t) => {
  const svg = await svgOf(parse({ title: hostileTitle, receivers: [1, 2] }));
  t.notMatch(svg, /<script|<img/i);
  t.match(svg, '&lt;script&gt;alert(');
  t.match(svg, "&amp; 'so' on");
  // It is also rendered, which invalid XML would not be.
  t.ok((await renderPng(svg)).length > 0);
});

t.test('the picture is a PNG of twice the size, with its text', async (t) => {
  const svg = await svgOf(parse({ receivers: [1, 2, 4], loss: [0.01, 0.05] }));
  const png = Buffer.from(await renderPng(svg));
  t.same([...png.subarray(0, 8)], [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  t.equal(png.toString('latin1', 12, 16), 'IHDR');
  const sides = [png.readUInt32BE(16), png.readUInt32BE(20)];
  const [, width = NaN, height = NaN] = (/ width="(\d+)" height="(\d+)"/.exec(svg) ?? []).map(
    Number,
  );
  t.ok(width > 640 && width < 1200 && height > 400 && height < 800, `${width} by ${height}`);
  t.same(sides, [2 * width, 2 * height]);
  const bare = await renderPng(svg.replace(/<text.*?<\/text>/gs, ''));
  t.ok(png.length > 1.2 * bare.length, `${png.length} bytes, ${bare.length} without text`);
});

async function reportOf(plan: Plan, change: Partial<ReportContent> = {}): Promise<string> {
  const all = summaries(plan);
  return createReport({
    plan,
    planText: JSON.stringify({ title: plan.title }),
    summaries: all,
    findings: describeFindings(plan, all),
    svg: await svgOf(plan),
    command: 'p2mp experiment plan.json',
    machine: [['Processor', '2 × a processor']],
    effort: ['12 runs in 3 s.'],
    ...change,
  });
}

/** The resources that a browser would fetch. */
function referencesIn(html: string): string[] {
  const attributes = /\b(?:src|srcset|href|action|data|poster|background)\s*=\s*["']?([^"'\s>]*)/gi;
  return [
    ...[...html.matchAll(attributes)].map(([, url = '']) => url),
    ...[...html.matchAll(/url\(([^)]*)\)/gi)].map(([, url = '']) => url),
    ...(html.match(/@import[^;]*|<(?:script|link|iframe|object|embed|base|img)\b[^>]*/gi) ?? []),
  ].filter((reference) => !reference.startsWith('#'));
}

t.test('the report is a single page that fetches nothing', async (t) => {
  const plan = parse({ receivers: [1, 2], loss: [0.01, 0.05], mode: ['simulated', 'real'] });
  const html = await reportOf(plan);
  t.same(referencesIn(html), []);
  t.notMatch(html.replace(/ xmlns(:\w+)?="[^"]*"/g, ''), /https?:|\/\/\w+\.\w+/);
  t.match(html, /^<!doctype html>\n<html lang="en">/);
  t.equal(countIn(html, '<svg'), 1);
  t.same(referencesIn('<img src="https://x.example/">'), [
    'https://x.example/',
    '<img src="https://x.example/"',
  ]);
});

t.test('the report states the question, the findings, the command and the plan', async (t) => {
  const plan = parse({
    title: 'A title',
    about: 'A question?',
    receivers: [1, 2],
    loss: [0.01, 0.05],
    mode: ['simulated', 'real'],
  });
  const html = await reportOf(plan);
  t.match(html, '<title>A title</title>');
  t.match(html, '<h1>A title</h1>');
  t.match(html, '<p>A question?</p>');
  const findings = describeFindings(plan, summaries(plan));
  t.ok(findings.length > 4);
  for (const text of [
    ...findings,
    'p2mp experiment plan.json',
    'a seed',
    '24, 3 of each point',
    '2 × a processor',
    '12 runs in 3 s.',
    parameters.receivers.title,
    '{&quot;title&quot;:&quot;A title&quot;}',
  ]) {
    t.ok(html.includes(text), text);
  }
  const [points = ''] = html.split('<h2>How it was made</h2>');
  t.equal(countIn(points, '<tr><td>'), 8, 'a row for each point and mode');
  t.notMatch(html, /NaN|undefined|null/);
});

t.test('without the packages for pictures the report says so', async (t) => {
  const html = await reportOf(parse({ receivers: [1, 2] }), { svg: undefined });
  t.match(html, 'No plot');
  t.notMatch(html, '<svg');
});

t.test('failed runs are counted in the report', async (t) => {
  const plan = parse({ receivers: [1, 2] });
  const html = await reportOf(plan, { summaries: summaries(plan, modelS, 0) });
  t.equal(countIn(html, '0 (3 failed)'), 2);
  t.notMatch(html, /NaN|undefined/);
});

t.test('any text in a report is shown as text', async (t) => {
  const hostile = `</pre></title><script>alert(1)</script>${hostileTitle}`;
  const plan = parse({ title: hostile, about: hostile, seed: hostile, receivers: [1, 2] });
  const html = await reportOf(plan, {
    planText: hostile,
    command: hostile,
    findings: [hostile],
    machine: [[hostile, hostile]],
    effort: [hostile],
  });
  t.same(referencesIn(html.replace(/&lt;.*?&gt;/g, '')), []);
  t.notMatch(html, /<script|<img/i);
  const escaped = '&lt;/pre&gt;&lt;/title&gt;&lt;script&gt;alert(1)&lt;/script&gt;';
  // Title, headline, question, seed, plan, command, finding, machine twice, effort; and the SVG.
  t.ok(countIn(html, escaped) >= 10, `${countIn(html, escaped)} times`);
  for (const tag of ['</pre>', '</title>', '</h1>']) t.equal(countIn(html, tag), 1, tag);
});
