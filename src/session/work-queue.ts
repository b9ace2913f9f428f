/**
 * Runs long work of sessions in steps. Each timeout runs one step, so that datagrams are handled between
 * steps.
 */
import type { TimeMs } from '../base/machine.js';
import { Queue } from '../base/queue.js';
import type { IncomingSession } from './incoming/incoming-session.js';

export class WorkQueue {
  /** When the next step is due. */
  dueAtMs: TimeMs = Infinity;
  private readonly waiting = new Queue<IncomingSession>();

  add(nowMs: TimeMs, session: IncomingSession): void {
    this.waiting.push(session);
    this.dueAtMs = Math.min(this.dueAtMs, nowMs);
  }

  /**
   * Runs one step of one session. The next call runs a step of the next session.
   * @param step must not throw
   */
  step(nowMs: TimeMs, step: (session: IncomingSession) => void): void {
    if (nowMs < this.dueAtMs) return;
    const session = this.waiting.shift();
    if (session?.hasSteps === true) {
      step(session);
      if (session.hasSteps) this.waiting.push(session);
    }
    this.dueAtMs = this.waiting.length > 0 ? nowMs : Infinity;
  }
}
