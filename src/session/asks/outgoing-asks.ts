/** The asks of one port that are not over. */
import type { TimeMs } from '../../base/machine.js';
import { sessionDefaults } from '../../transfer/config.js';
import type { ReceiverSpec } from '../../transfer/receiver-spec.js';
import type { AwaitedAnswer } from './asker-options.js';
import type { AskSpec } from './outgoing-ask.js';
import { OutgoingAsk } from './outgoing-ask.js';

export class OutgoingAsks {
  private readonly byId = new Map<number, OutgoingAsk>();
  private nextId = 0;

  constructor(private readonly mssBytes: number = sessionDefaults.mssBytes) {}

  get size(): number {
    return this.byId.size;
  }

  /** Whether a session has answered any of them. */
  get haveSession(): boolean {
    for (const { session } of this) if (session !== undefined) return true;
    return false;
  }

  /** When the next request is due. */
  get dueAtMs(): TimeMs {
    let dueAtMs = Infinity;
    for (const { requests } of this) dueAtMs = Math.min(dueAtMs, requests.atMs);
    return dueAtMs;
  }

  [Symbol.iterator](): IterableIterator<OutgoingAsk> {
    return this.byId.values();
  }

  /** @param spec undefined to prepare an ask */
  begin(nowMs: TimeMs, server: ReceiverSpec, spec: AskSpec | undefined): OutgoingAsk {
    const ask = new OutgoingAsk(this.nextId++, server, spec, nowMs, this.mssBytes);
    this.byId.set(ask.id, ask);
    return ask;
  }

  get(id: number): OutgoingAsk | undefined {
    return this.byId.get(id);
  }

  has({ id }: OutgoingAsk): boolean {
    return this.byId.has(id);
  }

  end({ id }: OutgoingAsk): void {
    this.byId.delete(id);
  }

  /** The ask that uses this channel. */
  withChannel(channelNumber: number): OutgoingAsk | undefined {
    for (const ask of this) if (ask.channelNumbers.includes(channelNumber)) return ask;
    return undefined;
  }

  preparedFor(server: ReceiverSpec): OutgoingAsk | undefined {
    for (const ask of this) if (ask.isPreparedFor(server)) return ask;
    return undefined;
  }

  *awaited(): Iterable<AwaitedAnswer> {
    for (const { id: index, stage, path, answerCount, isPrepared } of this) {
      const isAwaited = stage === 'connecting' || stage === 'asking';
      if (isAwaited && !isPrepared) yield { index, addresses: path.addresses.places, answerCount };
    }
  }
}
