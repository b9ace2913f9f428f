/**
 * Maps the points of a plan to a plot: one parameter is the x axis, and the other varying ones distinguish
 * the series.
 */
import { predict } from './measure.js';
import type { ParameterName, Point } from './parameters.js';
import { parameters, varyingParameters } from './parameters.js';
import type { Plan } from './plan.js';

/** Assignment of varying parameters to the x axis and the series. */
export interface Layout {
  readonly x: ParameterName;
  /** Parameters that distinguish series. */
  readonly by: readonly ParameterName[];
  /** Whether all x values are numbers. Otherwise, as for loss models, the x axis is categorical. */
  readonly isNumeric: boolean;
}

/** Chooses the parameter of the x axis: the plan's choice, or else the parameter that varies fastest. */
export function createLayout(plan: Plan): Layout {
  const varying = varyingParameters(plan.points);
  // By default, x is the last varying parameter: it varies fastest, and most plans study it.
  const x = plan.plot?.x ?? varying.at(-1) ?? 'receivers';
  const isNumeric = plan.points.every((point) => typeof point[x] === 'number');
  return { x, by: varying.filter((name) => name !== x), isNumeric };
}

/** Name of a point's series; empty if there is only one series. */
export function seriesName(point: Point, { by }: Layout): string {
  return by.map((name) => parameters[name].label(point[name])).join(', ');
}

/** A point's x value as shown on an axis or in a table. */
export function xText(point: Point, { x }: Layout): string {
  const value = point[x];
  return typeof value === 'number' ? String(value) : parameters[x].label(value);
}

/** A point of a model's curve. */
export interface CurvePoint {
  readonly x: number;
  readonly y: number;
}

/** Number of intervals in a model's curve: enough to look smooth. */
const curvePoints = 60;

/** A point, and its round-trip time if that time was measured. */
export interface Trip {
  readonly point: Point;
  readonly tripMs?: number;
}

/**
 * Computes the model's curve from the lowest to the highest x of a series, including x values between its
 * points. Measured round-trip times are interpolated linearly. The curve is empty unless the model covers
 * every point.
 */
export function modelCurve(
  trips: readonly Trip[],
  { x, isNumeric }: Layout,
  isLog: boolean,
): CurvePoint[] {
  const [first] = trips;
  if (!isNumeric || first === undefined) return [];
  if (trips.some(({ point, tripMs }) => predict(point, tripMs) === undefined)) return [];
  const known = trips
    .map(({ point, tripMs }) => ({ x: point[x] as number, tripMs }))
    .toSorted((a, b) => a.x - b.x);
  const values = known.map((place) => place.x);
  const [low = 0, high = 0] = [values[0], values.at(-1)];
  const steps = Array.from({ length: curvePoints + 1 }, (_, i) => {
    const share = i / curvePoints;
    const value = isLog ? low * (high / low) ** share : low + (high - low) * share;
    // Clamp the value, because rounding errors could move it past the ends.
    const within = Math.min(Math.max(value, low), high);
    return values.every(Number.isInteger) ? Math.round(within) : within;
  });
  const places = [...new Set([...steps, ...values])].toSorted((a, b) => a - b);
  return places.flatMap((place) => {
    const model = predict({ ...first.point, [x]: place }, interpolate(known, place));
    return model === undefined ? [] : [{ x: place, y: model.mean }];
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
