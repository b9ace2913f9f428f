/** Progress of an experiment: a line on a terminal, or one JSON event per second. */
import { formatPlural } from '../../base/format.js';
import { RecentRate } from '../../base/recent-rate.js';
import type { Progress } from '../../node/experiment/experiment.js';
import type { Output } from './output.js';
import type { ViewArea } from './progress/live-view.js';
import { bar, barColumns, etaPart, percent, shareOf } from './progress/progress-parts.js';
import { joinFitting } from './table.js';
import type { Text } from './text.js';

const intervalMs = { terminal: 100, json: 1000 };

export class ExperimentProgress {
  private lastJsonMs = Number.NEGATIVE_INFINITY;
  private readonly timer: NodeJS.Timeout | undefined;
  private readonly rate = new RecentRate();
  private first: { readonly atMs: number; readonly doneRuns: number } | undefined;
  private last: (Progress & { readonly atMs: number }) | undefined;

  constructor(private readonly output: Output) {
    if (output.hasProgress) this.timer = setInterval(() => this.draw(), intervalMs.terminal);
  }

  show(progress: Progress): void {
    const { doneRuns, totalRuns, etaS } = progress;
    const atMs = performance.now();
    this.first ??= { atMs, doneRuns };
    this.last = { ...progress, atMs };
    if (!this.output.isJson || atMs - this.lastJsonMs < intervalMs.json) return;
    this.lastJsonMs = atMs;
    this.output.json({ event: 'progress', doneRuns, runs: totalRuns, etaSeconds: etaS });
  }

  end(): void {
    clearInterval(this.timer);
    this.output.endProgress();
  }

  private draw(): void {
    if (this.last === undefined) return;
    const nowMs = performance.now();
    this.rate.add(nowMs, this.last.doneRuns);
    this.output.progress((area) => [this.line(nowMs, area)]);
  }

  private line(nowMs: number, { columns, glyphs }: ViewArea): Text {
    const { last, first } = this;
    if (last === undefined || first === undefined) return '';
    const { doneRuns, totalRuns, etaS } = last;
    const rate = this.rate.perSec(nowMs);
    const average = ((doneRuns - first.doneRuns) / (last.atMs - first.atMs)) * 1000;
    const parts = [
      bar(shareOf(doneRuns, totalRuns), barColumns(columns), glyphs),
      `${percent(doneRuns, totalRuns)}%`.padStart(4),
      `${doneRuns} of ${formatPlural(totalRuns, 'run')}`,
      rate === undefined ? '' : `${runsPerSec(rate)}`,
      average > 0 && average < Number.POSITIVE_INFINITY ? `average ${runsPerSec(average)}` : '',
      // A long run keeps the estimate of its start; it counts down.
      etaPart(doneRuns === totalRuns ? undefined : etaS - (nowMs - last.atMs) / 1000),
    ];
    return joinFitting(parts, '  ', columns, [4, 3, 0, 2, 5]);
  }
}

function runsPerSec(rate: number): string {
  return `${rate.toFixed(rate < 10 ? 1 : 0)} runs/s`;
}
