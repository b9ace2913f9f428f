/**
 * Runs long work of sessions in steps. Each timeout runs one step, so that datagrams are handled between
 * steps.
 */
import type { TimeMs } from '../base/machine.js';
import { Queue } from '../base/queue.js';

/** Work of which a part remains. */
export interface Stepped {
  readonly hasSteps: boolean;
}

export class WorkQueue<Work extends Stepped> {
  /** When the next step is due. */
  dueAtMs: TimeMs = Infinity;
  private readonly waiting = new Queue<Work>();

  add(nowMs: TimeMs, work: Work): void {
    this.waiting.push(work);
    this.dueAtMs = Math.min(this.dueAtMs, nowMs);
  }

  /**
   * Runs one step of one session. The next call runs a step of the next session.
   * @param step must not throw
   */
  step(nowMs: TimeMs, step: (work: Work) => void): void {
    if (nowMs < this.dueAtMs) return;
    const work = this.waiting.shift();
    if (work?.hasSteps === true) {
      step(work);
      if (work.hasSteps) this.waiting.push(work);
    }
    this.dueAtMs = this.waiting.length > 0 ? nowMs : Infinity;
  }
}
