/** Progress of p2mpclient: a line on a terminal, or one JSON event per second. */
import { bytesPerSec, formatBytes, formatRate, formatSeconds } from '../../base/format.js';
import type { Sender } from '../../sender.js';
import type { Output } from './output.js';
import { joinFitting } from './table.js';

const intervalMs = 100;
const jsonIntervalMs = 1000;

/** Maximum number of pending receivers named in the line. The line only counts the others. */
const maxNames = 4;

export class ClientProgress {
  private readonly startedAtMs = performance.now();
  private readonly timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly output: Output,
    private readonly sender: Sender,
  ) {
    if (output.isJson) this.timer = setInterval(() => this.emit(), jsonIntervalMs);
    else if (output.hasProgress)
      this.timer = setInterval(
        () => output.progress(({ columns }) => [this.text(columns)]),
        intervalMs,
      );
  }

  end(): void {
    clearInterval(this.timer);
    this.output.endProgress();
  }

  /** @returns one line with the delivered share, goodput, ETA and pending receivers, as far as they fit */
  text(columns: number): string {
    const { sizeBytes } = this.sender.geometry;
    const { deliveredBytes } = this.sender;
    const percent = sizeBytes === 0 ? 100 : Math.floor((deliveredBytes / sizeBytes) * 100);
    const goodput = bytesPerSec(deliveredBytes, performance.now() - this.startedAtMs) ?? 0;
    const eta = goodput > 0 ? formatSeconds((sizeBytes - deliveredBytes) / goodput) : 'unknown';
    const parts = [
      `${percent}%`,
      `${formatBytes(deliveredBytes)} of ${formatBytes(sizeBytes)}`,
      formatRate(goodput),
      `ETA ${eta}`,
    ];
    // The names of receivers are cut at the end of the line. A figure is never cut, only left out as a whole.
    const figures = joinFitting(parts, '  ', columns, [1, 2, 3]);
    return `${figures}  ${this.pendingText()}`.trimEnd();
  }

  private pendingText(): string {
    const pending = this.pending();
    if (pending.length === 0) return '';
    const names = pending.slice(0, maxNames).map(({ name, ackedSegments }) => {
      return `${name} (segment ${ackedSegments})`;
    });
    const rest = pending.length > maxNames ? ` and ${pending.length - maxNames} more` : '';
    return `waiting for ${names.join(', ')}${rest}`;
  }

  private emit(): void {
    const { sizeBytes } = this.sender.geometry;
    this.output.json({
      event: 'progress',
      heldBytes: this.sender.deliveredBytes,
      bytes: sizeBytes,
      seconds: (performance.now() - this.startedAtMs) / 1000,
      pending: this.pending().map(({ name }) => name),
    });
  }

  private pending() {
    return this.sender.peers.filter((peer) => peer.isPending);
  }
}
