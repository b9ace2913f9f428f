/** What a peer says to the coordinator about the blocks that it holds of others. */
import type { TimeMs } from '../../base/machine.js';
import type { CoordinatorLink } from './coordinator-link.js';
import { HeldDeltas } from './held-deltas.js';
import { heldIntervalMs } from './member.js';
import type { ExchangedContent } from './roster.js';

export class OwnHoldings {
  private readonly deltas = new HeldDeltas();
  private saidAtMs: TimeMs = -Infinity;

  constructor(private readonly link: CoordinatorLink) {}

  /** The coordinator knows nothing of them any more. */
  clear(): void {
    this.deltas.clear();
  }

  /** @param number that of this peer; undefined while it has none */
  note(number: number | undefined, content: ExchangedContent, start: number, end: number): void {
    const id = idOf(content);
    if (number !== undefined && id !== undefined) this.deltas.add(number, id, start, end);
  }

  sayStored(number: number | undefined, content: ExchangedContent): void {
    const id = idOf(content);
    if (number === undefined || id === undefined) return;
    this.sayAll();
    this.link.stream?.push({ kind: 'stored', holder: number, ...id });
  }

  /** Says what is new, if it is time for that. */
  say(nowMs: TimeMs): void {
    if (nowMs < this.dueAtMs) return;
    this.saidAtMs = nowMs;
    this.sayAll();
  }

  get dueAtMs(): TimeMs {
    const isAny = !this.deltas.isEmpty && this.link.stream?.isIdle === true;
    return isAny ? this.saidAtMs + heldIntervalMs : Infinity;
  }

  private sayAll(): void {
    for (const record of this.deltas.take()) this.link.stream?.push(record);
  }
}

/** Under which numbers content is known. */
function idOf(content: ExchangedContent) {
  for (const { objects } of content.owners)
    for (const { owner, object, content: own } of objects)
      if (own === content) return { owner, object };
  return undefined;
}
