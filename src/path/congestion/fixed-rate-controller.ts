/**
 * A controller for a rate that the user configured. The session enforces that rate for all of its rate groups
 * together, so this controller never delays a batch. Another controller limits the data in flight.
 */
import type { TimeMs } from '../../base/machine.js';
import type { PathSample } from '../path-model.js';
import type { CongestionController, ControlledPath } from './congestion-control.js';

export class FixedRateController implements CongestionController {
  readonly nextSendAtMs = Infinity;

  constructor(
    /** The configured rate, in datagrams per millisecond. */
    private readonly rate: number,
    private readonly limiter: CongestionController,
  ) {}

  handleMembers(paths: readonly ControlledPath[]): void {
    this.limiter.handleMembers(paths);
  }

  handleSplit(): void {
    this.limiter.handleSplit();
  }

  handleSent(): void {}

  handleFeedback(path: ControlledPath, sample: PathSample, paths: readonly ControlledPath[]): void {
    this.limiter.handleFeedback(path, sample, paths);
  }

  handleIdle(nowMs: TimeMs): void {
    this.limiter.handleIdle(nowMs);
  }

  handleTimeout(): void {}

  maySend(): boolean {
    return true;
  }

  sendRate(): number {
    return this.rate;
  }

  findRoom(nowMs: TimeMs, path: ControlledPath): number {
    return this.limiter.findRoom(nowMs, path);
  }
}
