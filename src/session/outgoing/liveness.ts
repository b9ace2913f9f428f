/** When a session's receiver last answered, and when it last made progress. */
import type { TimeMs } from '../../base/machine.js';

export class Liveness {
  private answers = 0;
  private messages = 0;
  private receivedAtMs: TimeMs = 0;
  private lastProgressAtMs: TimeMs = 0;
  private sentAtProgress = 0;

  /** Number of answers that the sender has received from the receiver. */
  get answerCount(): number {
    return this.answers;
  }

  /** Whether an authentic message of the receiver has arrived. */
  get hasAnswered(): boolean {
    return this.messages > 0;
  }

  /** Time at which the receiver's last authentic message arrived. */
  get lastReceivedAtMs(): TimeMs {
    return this.receivedAtMs;
  }

  /** Time at which the receiver last made progress or was busy with its disk. */
  get progressAtMs(): TimeMs {
    return this.lastProgressAtMs;
  }

  /** Number of needed datagrams that had been sent when the receiver last made progress. */
  get neededSentAtProgress(): number {
    return this.sentAtProgress;
  }

  /** Records an answer that is not authenticated. */
  handleAnswer(): void {
    this.answers++;
  }

  handleMessage(nowMs: TimeMs): void {
    this.answers++;
    this.messages++;
    this.receivedAtMs = nowMs;
  }

  /** Restarts the measurement of silence. */
  restart(nowMs: TimeMs): void {
    this.receivedAtMs = nowMs;
  }

  /** @param neededSent number of needed datagrams sent so far */
  handleProgress(nowMs: TimeMs, neededSent: number): void {
    this.lastProgressAtMs = nowMs;
    this.sentAtProgress = neededSent;
  }

  /** The receiver could not make progress until now. */
  excuseUntil(nowMs: TimeMs): void {
    this.lastProgressAtMs = Math.max(this.lastProgressAtMs, nowMs);
  }

  /** This process was suspended. That time does not count as silence. */
  handleStop(stoppedMs: number): void {
    this.receivedAtMs += stoppedMs;
    this.lastProgressAtMs += stoppedMs;
  }
}
