/** Senders whose sessions have ended. Hosts forget them after a while, so that they do not become ever more. */
import type { TimeMs } from '../../base/machine.js';
import type { Endpoint } from '../../endpoint/endpoint.js';
import type { SessionSender } from '../../session/sender.js';

/** They confirm outcomes for so long. */
const lingerMs = 30_000;

export class EndedSenders {
  /** When each session ended; the first one comes first. */
  private readonly endedAtMs = new Map<SessionSender, TimeMs>();

  add(nowMs: TimeMs, sender: SessionSender): void {
    this.endedAtMs.set(sender, nowMs);
  }

  /** Call it before a sender is added. */
  forget(nowMs: TimeMs, endpoint: Pick<Endpoint, 'removeSender'>): void {
    for (const [sender, atMs] of this.endedAtMs) {
      if (nowMs < atMs + lingerMs) return;
      this.endedAtMs.delete(sender);
      endpoint.removeSender(sender);
    }
  }
}
