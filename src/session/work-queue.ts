/**
 * Long work of sessions, a step at each timeout: however many sessions have some to do, datagrams of all sessions are
 * taken in between.
 */
import type { TimeMs } from '../base/machine.js';
import { Queue } from '../base/queue.js';
import type { IncomingSession } from './incoming-session.js';

export class WorkQueue {
  /** When the next step is due. */
  dueAtMs: TimeMs = Infinity;
  private readonly waiting = new Queue<IncomingSession>();

  add(nowMs: TimeMs, session: IncomingSession): void {
    this.waiting.push(session);
    this.dueAtMs = Math.min(this.dueAtMs, nowMs);
  }

  /**
   * Takes a step of one session; the next one is that of another.
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
