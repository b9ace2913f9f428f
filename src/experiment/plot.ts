/** The plot of an experiment as a Vega-Lite specification, legible without colour. */
import { measureOf, titleOf } from './measure.js';
import type { Point } from './parameters.js';
import { parameters } from './parameters.js';
import type { Plan } from './plan.js';
import type { Layout, Trip } from './series.js';
import { createLayout, modelCurve, seriesName, xText } from './series.js';
import type { PointSummary } from './summary.js';

/** The font bundled for rendering. A viewer of the SVG might substitute another font. */
export const plotFont = 'Source Sans 3';

/**
 * Colours of the series, ordered from dark to light so that they differ in greyscale. The shapes of the marks
 * also differ between series.
 */
const colours = ['#111111', '#2b4c8c', '#a5366f', '#cf6a26', '#4f9d8c', '#9a9a4a', '#7f7fbf'];
const shapes = ['circle', 'square', 'triangle-up', 'diamond', 'cross', 'triangle-down', 'stroke'];

interface Place {
  readonly x: number | string;
  readonly series: string;
}

interface CurveMark extends Place {
  readonly y: number;
}

/** The data of a plot: the model's lines, and the measured points. */
interface PlotData {
  /** The model's curves with the plan's parameters; empty if the plan has no simulated runs. */
  readonly curves: readonly CurveMark[];
  /** The model's curves with the round-trip times that were measured over a real network. */
  readonly realCurves: readonly CurveMark[];
  readonly simulated: readonly PointSummary[];
  readonly real: readonly PointSummary[];
  /** Points of the series for which there is no model curve. A line joins the points of each such series. */
  readonly joined: readonly PointSummary[];
  readonly measured: readonly PointSummary[];
}

/**
 * Creates the plot of a plan's results.
 * @returns a Vega-Lite 6 specification
 */
export function createPlot(plan: Plan, summaries: readonly PointSummary[]): object {
  const layout = createLayout(plan);
  const names = [...new Set(plan.points.map((point) => seriesName(point, layout)))];
  const data = selectData(plan, summaries, layout, names);
  const toMark = createToMark(plan, layout, data);
  const encoding = createEncoding(plan, layout, names);
  const notes = createNotes(plan, data);
  const isSplit = names.length > maxSeriesTogether;
  if (isSplit) notes.push('grey: the other series');
  return {
    $schema: 'https://vega.github.io/schema/vega-lite/v6.json',
    padding: 12,
    background: 'white',
    title: { text: plan.title, subtitle: wrapNotes(notes), anchor: 'start' },
    config: createConfig(),
    ...(isSplit
      ? createPanels(data, names, toMark, encoding)
      : { width: 640, height: 400, layer: createLayers(data, names, toMark, encoding) }),
  };
}

/** With more series, each series has its own panel, because marks and colours would be hard to tell apart. */
const maxSeriesTogether = 6;

/** Creates a panel for each series. All panels have the same axes and show the other series in grey. */
function createPanels(
  data: PlotData,
  names: readonly string[],
  toMark: (summary: PointSummary) => Mark,
  { color: _, shape, ...places }: Encoding,
): object {
  const marks = data.measured.map(toMark);
  const panels = names.map((name) => {
    const own = <T extends { series?: string }>(all: readonly T[]) =>
      all.filter(({ series }) => series === name);
    const ownSummaries = (all: readonly PointSummary[]) =>
      all.filter((summary) => toMark(summary).series === name);
    const context = {
      data: { values: marks.filter(({ series }) => series !== name) },
      mark: { type: 'line', strokeWidth: 1, color: '#c4c4c4' },
      encoding: { ...places, detail: { field: 'series' } },
    };
    const encoding = {
      ...places,
      color: { value: colours[0] },
      shape: { value: shapes[0] },
    } as unknown as Encoding;
    const ownData: PlotData = {
      curves: own(data.curves),
      realCurves: own(data.realCurves),
      simulated: ownSummaries(data.simulated),
      real: ownSummaries(data.real),
      joined: ownSummaries(data.joined),
      measured: ownSummaries(data.measured),
    };
    return {
      width: panelSize.width,
      height: panelSize.height,
      title: { text: name, fontSize: 13, anchor: 'start', offset: 4 },
      layer: [context, ...createLayers(ownData, [name], toMark, encoding)],
    };
  });
  return { concat: panels, columns: 3, resolve: { scale: { x: 'shared', y: 'shared' } } };
}

const panelSize = { width: 240, height: 170 };

function selectData(
  plan: Plan,
  summaries: readonly PointSummary[],
  layout: Layout,
  names: readonly string[],
): PlotData {
  const isLogX = plan.plot?.xScale === 'log';
  const isLogY = plan.plot?.yScale === 'log';
  // Zero has no position on a log axis.
  const measured = summaries.filter(({ mean }) => mean !== undefined && (mean > 0 || !isLogY));
  const real = measured.filter(({ mode }) => mode === 'real');
  const toCurves = (trips: readonly Trip[]) =>
    names.flatMap((series) => {
      const own = trips.filter(({ point }) => seriesName(point, layout) === series);
      return modelCurve(own, layout, isLogX)
        .filter(({ y }) => y > 0 || !isLogY)
        .map(({ x, y }) => ({ x, series, y }));
    });
  const isSimulated = plan.mode.includes('simulated');
  const curves = isSimulated ? toCurves(plan.points.map((point) => ({ point }))) : [];
  const realCurves = toCurves(
    real.flatMap(({ point, rttMs }) => (rttMs === undefined ? [] : [{ point, tripMs: rttMs }])),
  );
  const joined = measured.filter(({ point, mode }) => {
    const own = mode === 'simulated' ? curves : realCurves;
    return !own.some(({ series }) => series === seriesName(point, layout));
  });
  const simulated = measured.filter(({ mode }) => mode === 'simulated');
  return { curves, realCurves, simulated, real, joined, measured };
}

/** What the marks and lines mean. */
function createNotes(plan: Plan, { curves, realCurves, joined }: PlotData): string[] {
  return [
    plan.mode.includes('simulated') ? 'filled: simulated' : '',
    plan.mode.includes('real') ? `hollow: real, over ${plan.network}` : '',
    plan.repetitions > 1 ? `means of ${plan.repetitions} runs with 95 % confidence intervals` : '',
    curves.length > 0 ? 'line: model' : '',
    realCurves.length > 0 ? `dashed: ${describeRealModel(plan)}` : '',
    joined.length > 0 ? 'dotted lines only join means' : '',
  ].filter((note) => note !== '');
}

function describeRealModel({ points: [first] }: Plan): string {
  return first?.senders === undefined
    ? 'model with the measured round trip'
    : 'what the rate of the senders allows';
}

interface Mark extends Place {
  readonly y: number | undefined;
  readonly low: number | undefined;
  readonly high: number | undefined;
}

/**
 * @returns a function that converts a summary to a mark: its position, its mean and its confidence interval
 */
function createToMark(
  plan: Plan,
  layout: Layout,
  { measured }: PlotData,
): (summary: PointSummary) => Mark {
  const place = (point: Point): Place => ({
    x: layout.isNumeric ? (point[layout.x] as number) : xText(point, layout),
    series: seriesName(point, layout),
  });
  // Clip intervals at the lowest possible value; on a log axis, clip them at the lowest positive one that there is.
  const { least } = measureOf(plan.points[0]);
  const floor = plan.plot?.yScale === 'log' ? lowestPositive(measured) : least;
  return ({ point, mean, ci95Low, ci95High }) => ({
    ...place(point),
    y: mean,
    low: ci95Low === undefined ? undefined : Math.max(ci95Low, floor),
    high: ci95High,
  });
}

/** Creates the lines first, so that they do not cover the points. */
function createLayers(
  { curves, realCurves, simulated, real, joined, measured }: PlotData,
  names: readonly string[],
  toMark: (summary: PointSummary) => Mark,
  encoding: Encoding,
): object[] {
  const filled = { type: 'point', filled: true, size: 55, opacity: 1 };
  const hollow = { type: 'point', filled: false, size: 110, strokeWidth: 1.8, opacity: 1 };
  return [
    layer(curves, { type: 'line', strokeWidth: 1.2 }, encoding),
    layer(realCurves, { type: 'line', strokeWidth: 1.2, strokeDash: [6, 4] }, encoding),
    ...(['simulated', 'real'] as const).map((mode) =>
      layer(
        joined.filter((summary) => summary.mode === mode).map(toMark),
        { type: 'line', strokeWidth: 1, strokeDash: [1, 3] },
        encoding,
      ),
    ),
    ...names.map((name, i) => {
      const xOffset = dodge(i, names.length);
      const own = (summaries: readonly PointSummary[]) =>
        summaries.map(toMark).filter(({ series }) => series === name);
      return [
        intervals(own(measured), encoding, xOffset),
        layer(own(simulated), { ...filled, xOffset }, encoding),
        layer(own(real), { ...hollow, xOffset }, encoding),
      ].flat();
    }),
  ].flat();
}

/** Shifts the marks of each series sideways, in pixels, so that intervals at the same place stay apart. */
function dodge(index: number, count: number): number {
  return (index - (count - 1) / 2) * 5;
}

/** The lowest positive value. On a log axis, an interval that reaches zero ends here instead. */
function lowestPositive(summaries: readonly PointSummary[]): number {
  const values = summaries.flatMap(({ mean, ci95Low }) => [mean, ci95Low]);
  return Math.min(...(values.filter((value) => value !== undefined && value > 0) as number[]));
}

function createEncoding(plan: Plan, layout: Layout, names: readonly string[]) {
  const measure = measureOf(plan.points[0]);
  const places = [...new Set(plan.points.map((point) => point[layout.x]))];
  const isSingle = names.length === 1;
  const legend = isSingle
    ? null
    : { title: null, symbolSize: 90, symbolOpacity: 1, labelLimit: 640 };
  const scaleOf = (range: readonly string[]) => ({
    domain: names,
    range: names.map((_, i) => range[i % range.length]),
  });
  const x = layout.isNumeric
    ? {
        type: 'quantitative',
        scale: {
          type: plan.plot?.xScale ?? 'linear',
          ...(plan.plot?.xScale === 'log' ? {} : { zero: false }),
          nice: false,
          padding: 24,
        },
        axis: {
          title: parameters[layout.x].title,
          ...(places.length <= 12 ? { values: places } : {}),
          // Without a type, the format rounds to the digits by which the ticks differ, and 60 becomes 6e+1.
          ...(places.every(Number.isInteger) ? { format: ',d' } : {}),
        },
      }
    : {
        type: 'ordinal',
        sort: null,
        axis: {
          title: parameters[layout.x].title,
          labelAngle: 0,
          labelOverlap: false,
          labelLimit: 0,
        },
      };
  return {
    x: { field: 'x', ...x },
    y: {
      field: 'y',
      type: 'quantitative',
      scale: plan.plot?.yScale === 'log' ? { type: 'log' } : { type: 'linear', zero: true },
      axis: {
        title: titleOf(`Mean ${measure.name}`, measure),
        ...(plan.plot?.yScale === 'log' ? { tickCount: 5 } : {}),
      },
    },
    color: { field: 'series', type: 'nominal', scale: scaleOf(colours), legend },
    shape: { field: 'series', type: 'nominal', scale: scaleOf(shapes), legend },
  };
}

type Encoding = ReturnType<typeof createEncoding>;

/** Creates a layer, or no layer if there is no data: the axis of an empty layer could not be scaled. */
function layer(values: readonly object[], mark: object, encoding: Encoding): object[] {
  if (values.length === 0) return [];
  const { shape, ...others } = encoding;
  const isPoint = (mark as { type: string }).type === 'point';
  return [{ data: { values }, mark, encoding: isPoint ? { ...others, shape } : others }];
}

/** Draws confidence intervals: a bar with a tick at each end. */
function intervals(
  marks: readonly { low?: number | undefined }[],
  encoding: Encoding,
  xOffset: number,
): object[] {
  const { shape: _, y, ...others } = encoding;
  const values = marks.filter(({ low }) => low !== undefined);
  if (values.length === 0) return [];
  const ends = ['low', 'high'].map((field) => ({
    mark: { type: 'tick', orient: 'horizontal', size: 9, thickness: 1.2, opacity: 1, xOffset },
    encoding: { ...others, y: { ...y, field } },
  }));
  const bar = {
    mark: { type: 'rule', strokeWidth: 1.2, xOffset },
    encoding: { ...others, y: { ...y, field: 'low' }, y2: { field: 'high' } },
  };
  return [{ data: { values }, layer: [bar, ...ends] }];
}

/** Maximum characters per line of notes. Longer lines would make the title wider than the plot. */
const maxNoteChars = 66;

function wrapNotes(notes: readonly string[]): string[] {
  const lines: string[] = [];
  for (const note of notes) {
    const longer = `${lines.at(-1)} · ${note}`;
    if (lines.length > 0 && longer.length <= maxNoteChars) lines.splice(-1, 1, longer);
    else lines.push(note);
  }
  return lines;
}

function createConfig(): object {
  const text = { labelFontSize: 13, titleFontSize: 14 };
  return {
    font: `${plotFont}, sans-serif`,
    axis: { ...text, titleFontWeight: 'normal', gridColor: '#dddddd', titlePadding: 8 },
    legend: { ...text, orient: 'right' },
    concat: { spacing: 24 },
    title: {
      fontSize: 17,
      fontWeight: 'normal',
      subtitleFontSize: 13,
      subtitleColor: '#444444',
      offset: 12,
    },
    view: { stroke: '#bbbbbb' },
  };
}
