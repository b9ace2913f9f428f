/** Finds combinations of values that are not allowed in a plan. */

import { P2mpError } from '../base/errors.js';
import { createLossModel } from '../loss.js';
import { sessionMssLimits } from '../object/geometry.js';
import { headerSizeBytes } from '../packet.js';
import { linkOverheadBytes, roundTripMs } from './model.js';
import type { Point } from './parameters.js';
import { createLossSpec, isSession, varyingParameters } from './parameters.js';
import type { Problem } from './plan-problems.js';
import type { PlanFile } from './plan-schema.js';
import { planLimits } from './plan-schema.js';

/**
 * Checks the number of runs before the plan is expanded into points, because too many points would not fit
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
    file.protocol ?? [undefined],
    ...Object.values(file.gilbertElliott ?? {}),
    ...Object.values(file.uploads ?? {}).filter((list) => list !== undefined),
    ...Object.values(file.fetches ?? {}),
    ...Object.values(file.relays ?? {}),
    ...Object.values(file.caches ?? {}),
    ...Object.values(file.exchanges ?? {}),
    ...Object.values(file.paths ?? {}),
    ...Object.values(file.incast ?? {}),
  ];
  const runs = lists.reduce((product, list) => product * list.length, repetitions);
  if (runs <= planLimits.runs) return [];
  const message = `the plan has ${runs} runs; at most ${planLimits.runs} are allowed`;
  return [{ path: ['repetitions'], message }];
}

/**
 * Checks combinations of values.
 * @returns all problems of the plan itself; if it has none, the first problem of its points
 */
export function checkTogether(file: PlanFile, points: readonly Point[]): Problem[] {
  const problems: Problem[] = [];
  const { link, mode, network } = file;
  const hasRate = link.rateBytesPerSec !== undefined || file.exchanges !== undefined;
  if (link.queueBytes !== undefined && !hasRate) {
    const message = 'needs a rateBytesPerSec: without a rate limit, no datagram waits';
    problems.push({ path: ['link', 'queueBytes'], message });
  }
  const x = file.plot?.x;
  if (x !== undefined && !varyingParameters(points).includes(x)) {
    problems.push({
      path: ['plot', 'x'],
      message: `${x} has only one value, so it cannot be an axis`,
    });
  }
  const { xScale } = file.plot ?? {};
  if (x !== undefined && xScale === 'log' && points.some((point) => !(Number(point[x]) > 0))) {
    const message = `a log axis can show only numbers above 0, but ${x} has other values`;
    problems.push({ path: ['plot', 'xScale'], message });
  }
  problems.push(
    ...checkLoss(file),
    ...checkSessions(file),
    ...checkUploads(file),
    ...checkFetches(file),
    ...checkRelays(file),
    ...checkExchanges(file),
    ...checkPaths(file),
    ...checkIncast(file),
  );
  if (mode.includes('real')) problems.push(...checkReal(file, network));
  if (problems.length > 0) return problems;
  for (const point of points) {
    const problem = checkPoint(point);
    // Report only the first problem, because one wrong value affects many points.
    if (problem !== undefined) return [problem];
  }
  return [];
}

/** Finds losses that are stated twice. */
function checkLoss({ gilbertElliott, loss, lossModel }: PlanFile): Problem[] {
  if (gilbertElliott === undefined) return [];
  const isGiven = {
    loss: loss.some((value) => value > 0),
    lossModel: lossModel.join() !== 'bernoulli',
  };
  return (['loss', 'lossModel'] as const)
    .filter((name) => isGiven[name])
    .map((name) => ({
      path: [name],
      message: 'gilbertElliott already determines the losses; remove one of the two keys',
    }));
}

/** Finds options of P2MP-FTP that sessions do not have. */
function checkSessions({ protocol = ['p2mp-ftp'], window, timeoutMs }: PlanFile): Problem[] {
  const sessions = protocol.filter((name) => name !== 'p2mp-ftp');
  if (sessions.length === 0) return [];
  const isMixed = sessions.length < protocol.length;
  const isGiven = { window: window.join() !== '1', timeoutMs: timeoutMs.join() !== '100' };
  const lists = { window, timeoutMs };
  return (['window', 'timeoutMs'] as const)
    .filter((name) => (isMixed ? lists[name].length > 1 : isGiven[name]))
    .map((name) => ({
      path: [name],
      message: isMixed
        ? `cannot vary beside sessions (protocol ${sessions.join(', ')}), which choose it themselves; give one value`
        : `sessions (protocol ${sessions.join(', ')}) choose it themselves; remove this key`,
    }));
}

/** A key of the plan, whether its value is wrong, and what to do about it. */
type Rule = readonly [key: string, isWrong: boolean, message: string];

function problemsOf(rules: readonly Rule[]): Problem[] {
  return rules
    .filter(([, isWrong]) => isWrong)
    .map(([key, , message]) => ({ path: [key], message }));
}

/** Finds settings that are not possible beside `uploads`. */
function checkUploads(file: PlanFile): Problem[] {
  const { uploads, mode, network, receivers, loss, protocol, gilbertElliott, link } = file;
  if (uploads === undefined) return [];
  return problemsOf([
    ['mode', mode.join() !== 'real', 'uploads run over real sockets; set "mode": "real"'],
    ['network', network !== 'loopback', 'uploads use loopback; remove this key'],
    ['receivers', receivers.join() !== '1', 'uploads have one receiver; set "receivers": 1'],
    ['loss', loss.join() !== '0', 'uploads have no artificial loss; remove this key'],
    ['protocol', protocol !== undefined, 'uploads are sessions by unicast; remove this key'],
    [
      'gilbertElliott',
      gilbertElliott !== undefined,
      'uploads have no artificial loss; remove this key',
    ],
    ['link', link.rttMs.join() !== '0', 'uploads use loopback as it is; remove this key'],
    [
      'window',
      file.window.join() !== '1',
      'uploads are sessions, which choose it themselves; remove this key',
    ],
    [
      'timeoutMs',
      file.timeoutMs.join() !== '100',
      'uploads are sessions, which choose it themselves; remove this key',
    ],
  ]);
}

/** Finds settings that are not possible beside `fetches`. */
function checkFetches(file: PlanFile): Problem[] {
  const { fetches, mode, network, receivers, loss, protocol, uploads, link, gilbertElliott } = file;
  if (fetches === undefined) return [];
  const isReal = mode.includes('real');
  const hasLoss = loss.join() !== '0' || gilbertElliott !== undefined;
  return problemsOf([
    ['network', isReal && network !== 'loopback', 'real fetches use loopback; remove this key'],
    ['loss', isReal && hasLoss, 'real fetches have no artificial loss; set "loss": 0'],
    ['receivers', receivers.join() !== '1', 'fetches have one receiver; set "receivers": 1'],
    ['protocol', protocol !== undefined, 'fetches are sessions by unicast; remove this key'],
    ['uploads', uploads !== undefined, 'uploads and fetches are different plans; remove one'],
    [
      'link',
      link.rateBytesPerSec !== undefined,
      'the paths of fetches have the rates of the sources; remove rateBytesPerSec',
    ],
    [
      'window',
      file.window.join() !== '1',
      'fetches are sessions, which choose it themselves; remove this key',
    ],
    [
      'timeoutMs',
      file.timeoutMs.join() !== '100',
      'fetches are sessions, which choose it themselves; remove this key',
    ],
  ]);
}

/** Finds settings that are not possible beside `relays` or `caches`. */
function checkRelays(file: PlanFile): Problem[] {
  const { relays, caches, mode, protocol, uploads, fetches } = file;
  if (relays === undefined && caches === undefined) return [];
  const name = relays === undefined ? 'caches' : 'relays';
  const isOther = uploads !== undefined || fetches !== undefined;
  return problemsOf([
    ['mode', mode.includes('real'), `${name} run only in simulated mode; remove "real"`],
    ['protocol', protocol !== undefined, `${name} are sessions by unicast; remove this key`],
    [
      relays !== undefined && caches !== undefined ? 'caches' : name,
      isOther || (relays !== undefined && caches !== undefined),
      'uploads, fetches, relays and caches are different plans; keep one',
    ],
    ['sendTimeMs', file.sendTimeMs.join() !== '0', `${name} have no sending time; remove this key`],
    [
      'window',
      file.window.join() !== '1',
      `${name} are sessions, which choose it themselves; remove this key`,
    ],
    [
      'timeoutMs',
      file.timeoutMs.join() !== '100',
      `${name} are sessions, which choose it themselves; remove this key`,
    ],
  ]);
}

/** Finds settings that are not possible beside `exchanges`. */
function checkExchanges(file: PlanFile): Problem[] {
  const { exchanges, mode, receivers, protocol = [], link } = file;
  if (exchanges === undefined) return [];
  return problemsOf([
    ['mode', mode.join() !== 'simulated', 'exchanges run only in simulated mode; remove "real"'],
    ['receivers', receivers.join() !== '1', 'exchanges have peers instead; set "receivers": 1'],
    [
      'protocol',
      protocol.includes('p2mp-ftp'),
      'exchanges are sessions; give "unicast", "multicast" or both',
    ],
    [
      'exchanges',
      [file.uploads, file.fetches, file.relays, file.caches].some((other) => other !== undefined),
      'uploads, fetches, relays, caches and exchanges are different plans; keep one',
    ],
    [
      'link',
      link.rateBytesPerSec !== undefined,
      'the links of exchanges have the rates of the peers; remove rateBytesPerSec',
    ],
  ]);
}

/** Finds settings that are not possible beside `paths`. */
function checkPaths(file: PlanFile): Problem[] {
  const { paths, mode, receivers, protocol, link } = file;
  if (paths === undefined) return [];
  const { uploads, fetches, relays, caches, exchanges } = file;
  const others = { uploads, fetches, relays, caches, exchanges };
  const [other] = Object.entries(others).flatMap(([name, value]) => (value ? [name] : []));
  return problemsOf([
    ['mode', mode.join() !== 'simulated', 'paths run only in simulated mode; remove "real"'],
    ['receivers', receivers.join() !== '1', 'several paths lead to one receiver; set 1'],
    ['protocol', protocol !== undefined, 'several paths are used by unicast; remove this key'],
    ['paths', other !== undefined, `paths and ${other} are different plans; keep one`],
    ['link', link.rateBytesPerSec === undefined, 'paths need the rate of the fast one'],
    [
      'window',
      file.window.join() !== '1',
      'sessions by several paths choose it themselves; remove this key',
    ],
    [
      'timeoutMs',
      file.timeoutMs.join() !== '100',
      'sessions by several paths choose it themselves; remove this key',
    ],
  ]);
}

/** Finds settings that are not possible beside `incast`. */
function checkIncast(file: PlanFile): Problem[] {
  const { incast, mode, receivers, protocol, link, gilbertElliott, lossModel } = file;
  if (incast === undefined) return [];
  const { uploads, fetches, relays, caches, exchanges, paths } = file;
  const others = { uploads, fetches, relays, caches, exchanges, paths };
  const [other] = Object.entries(others).flatMap(([name, value]) => (value ? [name] : []));
  const isBernoulli = gilbertElliott === undefined && lossModel.join() === 'bernoulli';
  const itself = 'sessions choose it themselves; remove this key';
  return problemsOf([
    ['mode', mode.join() !== 'simulated', 'incast runs only in simulated mode; remove "real"'],
    ['receivers', receivers.join() !== '1', 'incast has one receiver; set 1'],
    ['protocol', protocol !== undefined, 'incast is of sessions by unicast; remove this key'],
    ['incast', other !== undefined, `incast and ${other} are different plans; keep one`],
    ['link', link.rateBytesPerSec === undefined, 'incast needs the rate of the port'],
    ['link', link.rttMs.includes(0), 'incast needs a round-trip time; set rttMs'],
    ['link', link.queueBytes === undefined, 'incast needs the queue of the port'],
    ['loss', !isBernoulli, 'incast loses datagrams independently; give only "loss"'],
    ['window', file.window.join() !== '1', itself],
    ['timeoutMs', file.timeoutMs.join() !== '100', itself],
  ]);
}

/** Finds settings that are not possible in real runs. */
function checkReal(file: PlanFile, network: PlanFile['network']): Problem[] {
  const problems: Problem[] = [];
  const { link, sendTimeMs, receivers, protocol = [] } = file;
  if (protocol.some((name) => name !== 'p2mp-ftp')) {
    const message = 'sessions run only in simulated mode; remove "real" from the mode';
    problems.push({ path: ['protocol'], message });
  }
  if (link.rttMs.length > 1) {
    const message = 'cannot vary in real runs, because they measure it; give one value';
    problems.push({ path: ['link', 'rttMs'], message });
  }
  if (network === 'loopback' && link.rateBytesPerSec !== undefined) {
    const message = 'loopback has no rate limit; use "network": "namespaces"';
    problems.push({ path: ['link', 'rateBytesPerSec'], message });
  }
  if (sendTimeMs.some((value) => value > 0)) {
    const message = 'cannot be set in real runs; remove this key';
    problems.push({ path: ['sendTimeMs'], message });
  }
  if (Math.max(...receivers) > maxRealReceivers) {
    const message = `at most ${maxRealReceivers} in real runs, because each receiver is a process`;
    problems.push({ path: ['receivers'], message });
  }
  return problems;
}

const maxRealReceivers = 64;

function checkPoint(point: Point): Problem | undefined {
  const { queueBytes, mssBytes, timeoutMs, rttMs } = point;
  const datagramBytes = mssBytes + headerSizeBytes + linkOverheadBytes;
  if (queueBytes !== undefined && queueBytes < datagramBytes) {
    const message = `${queueBytes} bytes cannot hold a datagram of ${datagramBytes} bytes (headers included)`;
    return { path: ['link', 'queueBytes'], message };
  }
  const tripMs = roundTripMs(point);
  if (tripMs > planLimits.rttMs) {
    const message =
      `a segment of ${mssBytes} bytes and its ACK have a round trip of ${tripMs} ms; ` +
      `at most ${planLimits.rttMs} ms are allowed: raise the rate`;
    return { path: ['link', 'rateBytesPerSec'], message };
  }
  const { minBytes, maxBytes } = sessionMssLimits;
  if (isSession(point) && (mssBytes < minBytes || mssBytes > maxBytes)) {
    const message = `${mssBytes} bytes: must be from ${minBytes} to ${maxBytes} in sessions`;
    return { path: ['mssBytes'], message };
  }
  if (!isSession(point) && timeoutMs !== 'auto' && timeoutMs <= tripMs) {
    const message =
      `${timeoutMs} ms is not above the round trip of ${Number(tripMs.toPrecision(6))} ms ` +
      `(RTT ${rttMs} ms and the link's rate): every round would be retransmitted needlessly`;
    return { path: ['timeoutMs'], message };
  }
  try {
    // Creating the model checks its probabilities.
    createLossModel(createLossSpec(point), () => 0);
  } catch (error) {
    if (!(error instanceof P2mpError)) throw error;
    const path = point.enterBad === undefined ? 'lossModel' : 'gilbertElliott';
    return { path: [path], message: error.message };
  }
  return undefined;
}
