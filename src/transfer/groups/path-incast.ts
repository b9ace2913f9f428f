/**
 * Incast: so many senders share one short queue that most of what they send is lost, however little each of them sends.
 * More paths only make it worse. So while all paths to a receiver lose that much, only the fastest one is used (after AMP:
 * Kheirkhah and Lee, IFIP Networking 2019, which looks for windows of the minimum size).
 */
import type { PathModel } from '../../path/path-model.js';

export const incastThresholds = {
  /** A loss ratio that no link has. */
  heavyLoss: 0.35,
  /** Number of round trips in a row with heavy loss on all paths from which only the fastest one is used. */
  heavyRounds: 4,
  /** A loss ratio that is usual beside other traffic. */
  lightLoss: 0.1,
  /** Number of round trips in a row with light loss on that path after which the others are used again. */
  lightRounds: 8,
} as const;

/** How long the loss of one path has been heavy or light. */
export class PathIncast {
  private seenRounds = 0;
  private heavyCount = 0;
  private lightCount = 0;

  /** Whether the path has lost most of what was sent for several round trips. */
  get isCrowded(): boolean {
    return this.heavyCount >= incastThresholds.heavyRounds;
  }

  /** Whether the path has lost little for several round trips. */
  get isClear(): boolean {
    return this.lightCount >= incastThresholds.lightRounds;
  }

  /** Takes what the model has learned from a report. */
  update({ rounds, lossRatio }: Readonly<PathModel>): void {
    if (rounds === this.seenRounds) return;
    this.seenRounds = rounds;
    this.heavyCount = lossRatio >= incastThresholds.heavyLoss ? this.heavyCount + 1 : 0;
    this.lightCount = lossRatio <= incastThresholds.lightLoss ? this.lightCount + 1 : 0;
  }

  restart(): void {
    this.heavyCount = 0;
    this.lightCount = 0;
  }
}
