/**
 * Checks of long manifests, a step at each timeout: however many sessions have one to be checked, datagrams of all
 * sessions are taken in between.
 */
import type { TimeMs } from '../machine.js';
import { Queue } from '../queue.js';
import type { IncomingSession } from './incoming-session.js';

export class ManifestChecks {
  /** When the next step is due. */
  dueAtMs: TimeMs = Infinity;
  private readonly waiting = new Queue<IncomingSession>();

  add(nowMs: TimeMs, session: IncomingSession): void {
    this.waiting.push(session);
    this.dueAtMs = Math.min(this.dueAtMs, nowMs);
  }

  /**
   * Takes a step of one session; the next one is that of another.
   * @param check takes the step; it must not throw
   */
  step(nowMs: TimeMs, check: (session: IncomingSession) => void): void {
    if (nowMs < this.dueAtMs) return;
    const session = this.waiting.shift();
    if (session?.isChecking === true) {
      check(session);
      if (session.isChecking) this.waiting.push(session);
    }
    this.dueAtMs = this.waiting.length > 0 ? nowMs : Infinity;
  }
}
