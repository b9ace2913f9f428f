/** Checks across a plan's values: combinations that are not allowed. */

import { P2mpError } from '../base/errors.js';
import { headerSizeBytes } from '../packet.js';
import { linkOverheadBytes, roundTripMs } from './model.js';
import type { Point } from './parameters.js';
import { createLossSpec, varyingParameters } from './parameters.js';
import type { Problem } from './plan-problems.js';
import type { PlanFile } from './plan-schema.js';
import { planLimits } from './plan-schema.js';

/**
 * Checks the number of runs before the points are expanded, because too many points would not fit
 * into memory.
 */
export function checkSize({ link, mode, repetitions, ...file }: PlanFile): Problem[] {
  const lists = [
    mode,
    file.fileSizeBytes,
    file.receivers,
    file.mssBytes,
    file.loss,
    file.lossModel,
    file.window,
    file.timeoutMs,
    file.sendTimeMs,
    link.rttMs,
    link.rateBytesPerSec ?? [undefined],
    link.queueBytes ?? [undefined],
  ];
  const runs = lists.reduce((product, list) => product * list.length, repetitions);
  if (runs <= planLimits.runs) return [];
  const message = `${runs} runs in all; at most ${planLimits.runs} are possible`;
  return [{ path: ['repetitions'], message }];
}

/**
 * Checks combinations of values.
 * @returns all problems of the plan itself; if it has none, the first problem of its points
 */
export function checkTogether(file: PlanFile, points: readonly Point[]): Problem[] {
  const problems: Problem[] = [];
  const { link, mode, network } = file;
  if (link.queueBytes !== undefined && link.rateBytesPerSec === undefined) {
    const message = 'a queue needs a rateBytesPerSec: without one nothing waits';
    problems.push({ path: ['link', 'queueBytes'], message });
  }
  const x = file.plot?.x;
  if (x !== undefined && !varyingParameters(points).includes(x)) {
    problems.push({ path: ['plot', 'x'], message: `${x} has one value only, and so no axis` });
  }
  const { xScale } = file.plot ?? {};
  if (x !== undefined && xScale === 'log' && points.some((point) => !(Number(point[x]) > 0))) {
    const message = `not every ${x} is a number above 0, and others have no place on a log axis`;
    problems.push({ path: ['plot', 'xScale'], message });
  }
  if (mode.includes('real')) problems.push(...checkReal(file, network));
  if (problems.length > 0) return problems;
  for (const point of points) {
    const problem = checkPoint(point);
    // Report only the first problem, because one wrong value affects many points.
    if (problem !== undefined) return [problem];
  }
  return [];
}

/** Finds the settings of a plan that real runs cannot have. */
function checkReal(file: PlanFile, network: PlanFile['network']): Problem[] {
  const problems: Problem[] = [];
  const { link, sendTimeMs, receivers } = file;
  if (link.rttMs.length > 1) {
    const message = 'cannot vary in real runs, where it is measured; give one value';
    problems.push({ path: ['link', 'rttMs'], message });
  }
  if (network === 'loopback' && link.rateBytesPerSec !== undefined) {
    const message = 'loopback has no rate of its own; take "network": "namespaces"';
    problems.push({ path: ['link', 'rateBytesPerSec'], message });
  }
  if (sendTimeMs.some((value) => value > 0)) {
    const message = 'a real sender takes the time that it takes; leave it out';
    problems.push({ path: ['sendTimeMs'], message });
  }
  if (Math.max(...receivers) > maxRealReceivers) {
    const message = `at most ${maxRealReceivers} in real runs, where each is a process`;
    problems.push({ path: ['receivers'], message });
  }
  return problems;
}

const maxRealReceivers = 64;

function checkPoint(point: Point): Problem | undefined {
  const { queueBytes, mssBytes, timeoutMs, rttMs, loss, lossModel } = point;
  const datagramBytes = mssBytes + headerSizeBytes + linkOverheadBytes;
  if (queueBytes !== undefined && queueBytes < datagramBytes) {
    const message = `${queueBytes} bytes: has no room for a datagram of ${datagramBytes} bytes with its headers`;
    return { path: ['link', 'queueBytes'], message };
  }
  const tripMs = roundTripMs(point);
  if (tripMs > planLimits.rttMs) {
    const message =
      `a segment of ${mssBytes} bytes and its ACK take ${tripMs} ms there and back; ` +
      `at most ${planLimits.rttMs} ms are possible: raise the rate`;
    return { path: ['link', 'rateBytesPerSec'], message };
  }
  if (timeoutMs !== 'auto' && timeoutMs <= tripMs) {
    const message =
      `${timeoutMs} ms is not above the round trip of ${Number(tripMs.toPrecision(6))} ms ` +
      `(RTT ${rttMs} ms and the link's rate): every round would be sent again needlessly`;
    return { path: ['timeoutMs'], message };
  }
  try {
    createLossSpec(loss, lossModel);
  } catch (error) {
    if (!(error instanceof P2mpError)) throw error;
    return { path: ['lossModel'], message: error.message };
  }
  return undefined;
}
