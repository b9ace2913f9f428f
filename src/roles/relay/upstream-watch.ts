/**
 * Finds out whether upstream servers answer and let this relay fetch: at the start of the relay, and after one was lost.
 * It asks each for the list of its objects, which needs everything that a fetch needs: the address, the port, and trust
 * on both sides.
 */
import type { TimeMs } from '../../base/machine.js';
import { Queue } from '../../base/queue.js';
import type { Asker } from '../../session/asks/asker.js';
import type { AskerEvent } from '../../session/asks/asker-events.js';
import type { ReceiverSpec } from '../../transfer/receiver-spec.js';
import type { RelayReport } from './relay-events.js';

/** What is known of an upstream server, whether or not a client has asked for anything. */
type UpstreamNotice = Extract<RelayReport, { type: 'upstream-away' | 'upstream-answers' }>;

interface Watched {
  readonly server: ReceiverSpec;
  /** Undefined between two questions. */
  ask: number | undefined;
  askAtMs: TimeMs;
  /** The reason that was reported last. */
  reason: string | undefined;
}

/** How long to wait for an answer. On a working path, it comes within a few round trips. */
const patienceMs = 5000;

/** The pause between two questions. */
const pauseMs = 5000;

export class UpstreamWatch {
  private readonly watched = new Map<string, Watched>();
  private readonly notices = new Queue<UpstreamNotice>();

  constructor(private readonly asker: Asker) {}

  /**
   * Watches a server until it answers.
   * @param reason why it is of no use now, if that is known
   */
  begin(nowMs: TimeMs, server: ReceiverSpec, reason?: string): void {
    const known = this.watched.get(server.name);
    if (known !== undefined) {
      if (reason !== undefined) this.report(known, reason);
      return;
    }
    const watched = { server, ask: undefined, askAtMs: nowMs, reason: undefined };
    this.watched.set(server.name, watched);
    if (reason !== undefined) this.report(watched, reason);
    this.ask(nowMs, watched);
  }

  /** Whether this is an ask of the watch. */
  has(ask: number): boolean {
    return this.of(ask) !== undefined;
  }

  /** Takes an event of an ask of the watch, other than `identify`. */
  takeEvent(nowMs: TimeMs, event: Extract<AskerEvent, { readonly ask: number }>): void {
    const watched = this.of(event.ask);
    if (watched === undefined) return;
    if (event.type === 'page') {
      // The first page shows that the server answers. The others are not needed.
      this.asker.cancel(nowMs, event.ask, 'answered');
      this.watched.delete(watched.server.name);
      this.notices.push({ type: 'upstream-answers', upstream: event.server });
    } else if (event.type === 'deferred') {
      this.report(watched, event.reason);
    } else if (event.type === 'refused' || event.type === 'failed') {
      watched.ask = undefined;
      watched.askAtMs = nowMs + pauseMs;
      this.report(watched, event.reason);
    }
  }

  /** The asker knows of another refusal. */
  handleRefusal(): void {
    for (const watched of this.watched.values()) {
      const reason = watched.ask === undefined ? undefined : this.asker.refusalOf(watched.ask);
      if (reason !== undefined) this.report(watched, reason);
    }
  }

  /** Something else than the watch knows that a server is of no use now. */
  noteAway(upstream: string, reason: string): void {
    this.notices.push({ type: 'upstream-away', upstream, reason });
  }

  pollTimeout(): TimeMs {
    let atMs = Infinity;
    for (const { ask, askAtMs } of this.watched.values())
      if (ask === undefined) atMs = Math.min(atMs, askAtMs);
    return atMs;
  }

  handleTimeout(nowMs: TimeMs): void {
    for (const watched of this.watched.values())
      if (watched.ask === undefined && nowMs >= watched.askAtMs) this.ask(nowMs, watched);
  }

  pollNotice(): UpstreamNotice | undefined {
    return this.notices.shift();
  }

  private of(ask: number): Watched | undefined {
    for (const watched of this.watched.values()) if (watched.ask === ask) return watched;
    return undefined;
  }

  private ask(nowMs: TimeMs, watched: Watched): void {
    watched.ask = this.asker.ask(nowMs, { server: watched.server, patienceMs });
  }

  private report(watched: Watched, reason: string): void {
    if (watched.reason === reason) return;
    watched.reason = reason;
    this.noteAway(watched.server.name, reason);
  }
}
