/**
 * NewReno as the congestion controller of a session (RFC 5681, RFC 6582). Each path has a window of its own, so the
 * slowest member limits its rate group. There is no retransmission timeout: if all reports are lost, the session
 * polls for them, and sends nothing more as long as the window is full.
 */
import type { TimeMs } from '../base/machine.js';
import type {
  CongestionController,
  ControlledPath,
} from '../path/congestion/congestion-control.js';
import type { PathSample } from '../path/path-model.js';

const initialDatagrams = 10;
const leastDatagrams = 2;

/** The congestion window of one path. */
class RenoWindow {
  size = initialDatagrams;
  private threshold = Infinity;
  /** Number of datagrams received and lost, as far as they are counted; undefined until a sample says. */
  private received: number | undefined;
  private lost = 0;
  /** Number of datagrams sent at the last reduction. Only the loss of a later one causes another reduction. */
  private recover = 0;

  /** Makes the next sample the start of the counting, because the counters may restart from another value. */
  restart(): void {
    this.received = undefined;
  }

  /** @returns whether the window was reduced */
  take({ received, sentUpToCumulative, sent }: PathSample, isIdle: boolean): boolean {
    // Some of the datagrams received may belong to bursts that have not ended, so this is the least number lost.
    const lost = sentUpToCumulative - received;
    if (this.received === undefined || received < this.received) {
      this.received = received;
      this.lost = lost;
      return false;
    }
    if (!isIdle) this.grow(received - this.received);
    this.received = received;
    if (lost <= this.lost) return false;
    this.lost = lost;
    if (sentUpToCumulative <= this.recover) return false;
    this.recover = sent;
    this.threshold = Math.max(leastDatagrams, this.size / 2);
    this.size = this.threshold;
    return true;
  }

  private grow(count: number): void {
    if (this.size < this.threshold) this.size += count;
    else this.size += count / this.size;
  }
}

export class RenoController implements CongestionController {
  readonly nextSendAtMs = Infinity;
  private windows = new Map<ControlledPath, RenoWindow>();
  private idleUntilMs: TimeMs = -Infinity;

  handleMembers(paths: readonly ControlledPath[]): void {
    this.windows = new Map(paths.map((path) => [path, this.windowOf(path)]));
    for (const window of this.windows.values()) window.restart();
  }

  handleSplit(): void {}

  handleSent(): void {}

  handleFeedback(path: ControlledPath, sample: PathSample): void {
    const { idleUntilMs: appLimitedUntilMs } = this;
    path.model.take(sample, {
      appLimitedUntilMs,
      belowLimitSinceMs: Infinity,
      pacedSinceMs: 0,
      isGrowing: false,
    });
    const isIdle = appLimitedUntilMs >= sample.sentAtMs;
    if (this.windowOf(path).take(sample, isIdle)) path.model.endCycle();
  }

  handleIdle(nowMs: TimeMs): void {
    this.idleUntilMs = nowMs;
  }

  handleTimeout(): void {}

  maySend(): boolean {
    return true;
  }

  sendRate(share: number): number {
    let least = Infinity;
    for (const [{ model }, { size }] of this.windows)
      least = Math.min(least, size / model.minRttMs);
    return least === Infinity ? 0 : least / share;
  }

  findRoom(_nowMs: TimeMs, path: ControlledPath): number {
    return Math.floor(this.windowOf(path).size) - path.inFlight;
  }

  private windowOf(path: ControlledPath): RenoWindow {
    let window = this.windows.get(path);
    if (window === undefined) {
      window = new RenoWindow();
      this.windows.set(path, window);
    }
    return window;
  }
}
