/** Progress of p2mpserver: bytes received and goodput. P2MP-FTP does not announce the total size. */
import { bytesPerSec, formatBytes, formatRate } from '../../base/format.js';
import type { FileReceiver } from '../../node/file-receiver.js';
import type { Output } from './output.js';

const intervalMs = 100;

export class ServerProgress {
  private readonly startedAtMs = performance.now();
  private readonly timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly output: Output,
    private readonly receiver: FileReceiver,
  ) {
    if (output.hasProgress) this.timer = setInterval(() => this.show(), intervalMs);
  }

  end(): void {
    clearInterval(this.timer);
    this.output.endProgress();
  }

  private show(): void {
    const { receivedBytes } = this.receiver;
    const goodput = bytesPerSec(receivedBytes, performance.now() - this.startedAtMs) ?? 0;
    const text = `received ${formatBytes(receivedBytes)}  ${formatRate(goodput)}`;
    this.output.progress(() => [text]);
  }
}
