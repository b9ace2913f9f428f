/**
 * Finds paths of one receiver that share a bottleneck. Together they must not take more than one flow's share, so only
 * the fastest of them is used for a while (docs/CONGESTION.md).
 */
import type { PathModel, PathSample } from '../../path/path-model.js';
import { QueueTrace } from '../../path/queue-trace.js';

/**
 * Two paths share a queue if the correlation of their delays has at least this mean over this number of windows. Different
 * queues that happen to fill at the same times come close to it in single windows.
 */
const sameQueue = [
  { windows: 3, mean: 0.95 },
  { windows: 6, mean: 0.8 },
] as const;
const keptWindows = 6;
/** In startup, both paths fill their queues at the same time. A path is compared after this number of round trips. */
const settledRounds = 20;

/** After this time, the path is used again, because routes change. */
export const coupledRestMs = 60_000;

interface CoupledPath {
  readonly trace: QueueTrace;
  readonly model: Readonly<PathModel>;
}

interface Pair {
  comparedWindow: number;
  /** The correlations in the latest windows, the newest one first. */
  correlations: number[];
}

export class PathCoupling {
  private readonly paths = new Map<number, CoupledPath>();
  private readonly pairs = new Map<string, Pair>();

  /**
   * Takes what a report says about a path.
   * @returns the number of a path that must rest, because it shares its bottleneck with a faster one
   */
  handleSample(number: number, model: Readonly<PathModel>, sample: PathSample): number | undefined {
    if (model.rounds < settledRounds) return undefined;
    const path = this.paths.get(number) ?? { trace: new QueueTrace(), model };
    this.paths.set(number, path);
    path.trace.add(sample, model.minRttMs);
    for (const [other, { trace, model: otherModel }] of this.paths) {
      if (other === number) continue;
      if (!this.isShared(pairName(number, other), path.trace, trace)) continue;
      const slower = model.deliveryRate < otherModel.deliveryRate ? number : other;
      this.forget(slower);
      return slower;
    }
    return undefined;
  }

  /** The path is not used any more. What is known of it says nothing about later. */
  forget(number: number): void {
    this.paths.delete(number);
    for (const name of this.pairs.keys())
      if (name.split(' ').includes(String(number))) this.pairs.delete(name);
  }

  private isShared(name: string, a: QueueTrace, b: QueueTrace): boolean {
    const window = Math.min(a.lastWindow, b.lastWindow);
    const pair = this.pairs.get(name) ?? { comparedWindow: window, correlations: [] };
    this.pairs.set(name, pair);
    if (window <= pair.comparedWindow) return false;
    pair.comparedWindow = window;
    const correlation = QueueTrace.correlation(a, b, window);
    if (correlation === undefined) return false;
    pair.correlations = [correlation, ...pair.correlations].slice(0, keptWindows);
    return sameQueue.some(({ windows, mean }) => {
      const latest = pair.correlations.slice(0, windows);
      const sum = latest.reduce((total, each) => total + each, 0);
      return latest.length === windows && sum >= mean * windows;
    });
  }
}

function pairName(a: number, b: number): string {
  return `${Math.min(a, b)} ${Math.max(a, b)}`;
}
