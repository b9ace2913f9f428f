/** How the points of a plan make a picture: which parameter runs along the axis, which tell lines apart. */
import { createModel } from './model.js';
import type { ParameterName, Point } from './parameters.js';
import { parameters, varyingParameters } from './parameters.js';
import type { Plan } from './plan.js';

export interface Layout {
  readonly x: ParameterName;
  /** Parameters that tell series apart. */
  readonly by: readonly ParameterName[];
  /** Whether x counts; names such as loss models stand side by side. */
  readonly isNumeric: boolean;
}

export function createLayout(plan: Plan): Layout {
  const varying = varyingParameters(plan.points);
  // Listed first is what varies slowest: the last one is what most plans are about.
  const x = plan.plot?.x ?? varying.at(-1) ?? 'receivers';
  const isNumeric = plan.points.every((point) => typeof point[x] === 'number');
  return { x, by: varying.filter((name) => name !== x), isNumeric };
}

/** What a point's series is called; empty where there is but one. */
export function seriesName(point: Point, { by }: Layout): string {
  return by.map((name) => parameters[name].label(point[name])).join(', ');
}

/** A value of x as an axis or a table shows it. */
export function xText(point: Point, { x }: Layout): string {
  const value = point[x];
  return typeof value === 'number' ? String(value) : parameters[x].label(value);
}

export interface CurvePoint {
  readonly x: number;
  readonly delayS: number;
}

/** Points of a model's curve between its ends: enough to look smooth. */
const curvePoints = 60;

/** A point, and the round trip there where it was measured. */
export interface Trip {
  readonly point: Point;
  readonly tripMs?: number;
}

/**
 * The model between the lowest and the highest x of a series, closer than the points lie; measured
 * round trips are drawn straight in between. Empty where there is no model at every point of it.
 */
export function modelCurve(
  trips: readonly Trip[],
  { x, isNumeric }: Layout,
  isLog: boolean,
): CurvePoint[] {
  const [first] = trips;
  if (!isNumeric || first === undefined) return [];
  if (trips.some(({ point, tripMs }) => createModel(point, tripMs) === undefined)) return [];
  const known = trips
    .map(({ point, tripMs }) => ({ x: point[x] as number, tripMs }))
    .toSorted((a, b) => a.x - b.x);
  const values = known.map((place) => place.x);
  const [low = 0, high = 0] = [values[0], values.at(-1)];
  const steps = Array.from({ length: curvePoints + 1 }, (_, i) => {
    const share = i / curvePoints;
    const value = isLog ? low * (high / low) ** share : low + (high - low) * share;
    // The ends are exact, whatever rounding makes of them.
    const within = Math.min(Math.max(value, low), high);
    return values.every(Number.isInteger) ? Math.round(within) : within;
  });
  const places = [...new Set([...steps, ...values])].toSorted((a, b) => a - b);
  return places.flatMap((place) => {
    const model = createModel({ ...first.point, [x]: place }, interpolate(known, place));
    return model === undefined ? [] : [{ x: place, delayS: model.meanDelayMs / 1000 }];
  });
}

function interpolate(
  known: readonly { x: number; tripMs: number | undefined }[],
  place: number,
): number | undefined {
  const after = known.findIndex(({ x }) => x >= place);
  const [left, right] = [known[Math.max(0, after - 1)], known[after]];
  if (left?.tripMs === undefined || right?.tripMs === undefined) return undefined;
  if (left === right) return right.tripMs;
  return left.tripMs + ((right.tripMs - left.tripMs) * (place - left.x)) / (right.x - left.x);
}
