/** Measures the cost of an experiment and estimates the remaining time. */

import { formatCount, formatPlural, formatSeconds } from '../../base/format.js';
import { RecentRate } from '../../base/recent-rate.js';
import { createModel } from '../../experiment/model.js';
import type { Run } from '../../experiment/plan.js';
import type { RunRow } from '../../experiment/run-result.js';

/** Cost of the runs that this invocation performs. Runs kept from earlier invocations are not counted. */
export interface Effort {
  readonly simulatedRuns: number;
  /**
   * Number of segments multiplied by the number of receivers, because each receiver stores and acknowledges
   * each segment.
   */
  readonly simulatedSegments: number;
  readonly virtualS: number;
  readonly simulationWallS: number;
  readonly realRuns: number;
  readonly realWallS: number;
}

/** Approximate time to start the processes of a real run. */
const realOverheadS = 0.5;

/** Assumed round trip of a real path before the first measurement. */
const assumedRttMs = 0.2;

/**
 * Assumed simulation speed before the first measurement, in segments per second. A segment counts once for
 * each receiver.
 */
const assumedSimulationSpeed = 200_000;

/** Tracks finished and remaining work, with a separate unit for each kind of run. */
export class EffortMeter {
  private lastMs = performance.now();
  private readonly simulated = new Work();
  private readonly real = new Work();
  private virtualS = 0;

  constructor(runs: readonly Run[]) {
    for (const run of runs) this.workOf(run).left += sizeOf(run);
  }

  add(row: RunRow): void {
    const work = this.workOf(row);
    const size = sizeOf(row);
    const nowMs = performance.now();
    work.left -= size;
    work.done += size;
    work.runs++;
    work.wallS += (nowMs - this.lastMs) / 1000;
    work.recent.add(nowMs, work.done);
    this.lastMs = nowMs;
    if (row.mode === 'simulated') this.virtualS += row.delayS;
  }

  /** The remaining time in seconds, at the speed of the last few seconds if only one kind of run is left. */
  get etaS(): number {
    const { simulated, real } = this;
    const [rest, other] = simulated.left > 0 ? [simulated, real] : [real, simulated];
    const perSec = other.left > 0 ? undefined : rest.recent.perSec(this.lastMs);
    if (perSec !== undefined) return rest.left / perSec;
    return simulated.etaS(1 / assumedSimulationSpeed) + real.etaS(1);
  }

  get effort(): Effort {
    const { simulated, real, virtualS } = this;
    return {
      simulatedRuns: simulated.runs,
      simulatedSegments: simulated.done,
      virtualS,
      simulationWallS: simulated.wallS,
      realRuns: real.runs,
      realWallS: real.wallS,
    };
  }

  private workOf({ mode }: Run): Work {
    return mode === 'simulated' ? this.simulated : this.real;
  }
}

class Work {
  left = 0;
  done = 0;
  runs = 0;
  wallS = 0;
  readonly recent = new RecentRate();

  etaS(assumedSPerUnit: number): number {
    return this.left * (this.done > 0 ? this.wallS / this.done : assumedSPerUnit);
  }
}

/** Size of a run: segments times receivers for a simulated run, approximate seconds for a real one. */
function sizeOf({ mode, point }: Run): number {
  const segments = Math.ceil(point.fileSizeBytes / point.mssBytes);
  if (mode === 'simulated') return segments * (point.requests ?? point.receivers);
  const model = createModel({ ...point, window: 1 }, assumedRttMs);
  return realOverheadS + (model?.meanDelayMs ?? segments * assumedRttMs) / 1000;
}

/** Describes the cost of the runs in sentences for the summary and the report. */
export function describeEffort(effort: Effort): string[] {
  const { simulatedRuns, simulatedSegments, virtualS, simulationWallS, realRuns, realWallS } =
    effort;
  const sentences: string[] = [];
  if (simulatedRuns > 0) {
    const speed = simulatedSegments / simulationWallS;
    const virtualPerWall = Number((virtualS / simulationWallS).toPrecision(3));
    sentences.push(
      `${formatPlural(simulatedRuns, 'simulated run')} in ${formatSeconds(simulationWallS)}: ` +
        `${formatCount(Math.round(speed))} segments per second, each delivered and acknowledged; ` +
        `${virtualPerWall} times as fast as in reality`,
    );
  }
  if (realRuns > 0) {
    sentences.push(`${formatPlural(realRuns, 'real run')} in ${formatSeconds(realWallS)}`);
  }
  return sentences;
}
