/** Progress of an experiment: a line on a terminal, or one JSON event per second. */
import { formatPlural, formatSeconds } from '../../base/format.js';
import type { Progress } from '../../node/experiment/experiment.js';
import type { Output } from './output.js';

const intervalMs = { terminal: 100, json: 1000 };

export class ExperimentProgress {
  private lastMs = Number.NEGATIVE_INFINITY;

  constructor(private readonly output: Output) {}

  show({ doneRuns, totalRuns, etaS }: Progress): void {
    const { output } = this;
    const nowMs = performance.now();
    if (nowMs - this.lastMs < (output.isJson ? intervalMs.json : intervalMs.terminal)) return;
    this.lastMs = nowMs;
    output.json({ event: 'progress', doneRuns, runs: totalRuns, etaSeconds: etaS });
    const percent = Math.floor((doneRuns / totalRuns) * 100);
    const runs = `${doneRuns} of ${formatPlural(totalRuns, 'run')}`;
    const text = `${percent}%  ${runs}  ETA ${formatSeconds(etaS)}`;
    output.progress(() => [text]);
  }

  end(): void {
    this.output.endProgress();
  }
}
