/** How often each receiver of a session reports: the more receivers, the more rarely (SESSIONS 5.5). */
import { sessionDefaults } from './config.js';

export class ReportInterval {
  private currentMs = 0;

  /** @param reportsPerSec maximum number of reports per second from all receivers together */
  constructor(private readonly reportsPerSec: number) {
    this.growFor(1);
  }

  /** The time between two scheduled reports of one receiver. */
  get ms(): number {
    return this.currentMs;
  }

  /**
   * Makes the interval long enough for this number of receivers. It never becomes shorter, because receivers keep
   * to the interval that they were told.
   */
  growFor(count: number): void {
    this.currentMs = Math.max(this.currentMs, this.forReceivers(count));
  }

  /** The interval for this number of receivers. */
  forReceivers(count: number): number {
    const { minReportIntervalMs, turnShare } = sessionDefaults;
    return Math.max(minReportIntervalMs, (count * 1000) / (this.reportsPerSec * turnShare));
  }
}
