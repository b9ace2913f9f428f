/** Progress of p2mpserver: bytes received and rates. P2MP-FTP does not announce the total size. */
import { bytesPerSec, formatBytes, formatRate, formatSeconds } from '../../base/format.js';
import { RecentRate } from '../../base/recent-rate.js';
import type { FileReceiver } from '../../node/file-receiver.js';
import type { Output } from './output.js';
import { averagePart } from './progress/progress-parts.js';
import { joinFitting } from './table.js';

const intervalMs = 100;

export class ServerProgress {
  private readonly startedAtMs = performance.now();
  private readonly timer: NodeJS.Timeout | undefined;
  private readonly rate = new RecentRate();

  constructor(
    private readonly output: Output,
    private readonly receiver: FileReceiver,
    private readonly from: string,
  ) {
    if (output.hasProgress) this.timer = setInterval(() => this.show(), intervalMs);
  }

  end(): void {
    clearInterval(this.timer);
    this.output.endProgress();
  }

  private show(): void {
    const { receivedBytes } = this.receiver;
    const nowMs = performance.now();
    this.rate.add(nowMs, receivedBytes);
    const rate = this.rate.perSec(nowMs);
    const elapsedMs = nowMs - this.startedAtMs;
    const parts = [
      `received ${formatBytes(receivedBytes)}`,
      rate === undefined ? '' : formatRate(rate),
      averagePart(bytesPerSec(receivedBytes, elapsedMs)),
      formatSeconds(elapsedMs / 1000),
      `from ${this.from}`,
    ];
    this.output.progress(({ columns }) => [joinFitting(parts, '  ', columns, [4, 3, 2, 1])]);
  }
}
