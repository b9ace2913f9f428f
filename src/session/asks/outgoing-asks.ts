/** The asks of one port that are not over. */

import type { TimeMs } from '../../base/machine.js';
import { Deadlines } from '../../base/time/deadlines.js';
import { sessionDefaults } from '../../transfer/config.js';
import type { ReceiverSpec } from '../../transfer/receiver-spec.js';
import type { AwaitedAnswer } from './asker-options.js';
import type { AskSpec } from './outgoing-ask.js';
import { OutgoingAsk } from './outgoing-ask.js';

export class OutgoingAsks {
  private readonly byId = new Map<number, OutgoingAsk>();
  private readonly byChannel = new Map<number, OutgoingAsk>();
  private readonly deadlines = new Deadlines<OutgoingAsk>();
  private nextId = 0;

  constructor(private readonly mssBytes: number = sessionDefaults.mssBytes) {}

  get size(): number {
    return this.byId.size;
  }

  /** Whether a session has answered any of them. */
  get haveSession(): boolean {
    for (const { session } of this.byId.values()) if (session !== undefined) return true;
    return false;
  }

  /** When the first request is due; Infinity if none is. */
  get dueAtMs(): TimeMs {
    return this.deadlines.earliestMs;
  }

  /** All asks, to be dealt with before `dueAtMs` is read again. */
  [Symbol.iterator](): IterableIterator<OutgoingAsk> {
    for (const ask of this.byId.values()) this.deadlines.touch(ask);
    return this.byId.values();
  }

  /** @param spec undefined to prepare an ask */
  begin(nowMs: TimeMs, server: ReceiverSpec, spec: AskSpec | undefined): OutgoingAsk {
    const { mssBytes, byChannel } = this;
    const ask = new OutgoingAsk(this.nextId++, server, spec, nowMs, mssBytes, byChannel);
    this.byId.set(ask.id, ask);
    this.deadlines.add(ask);
    return ask;
  }

  /** Finds an ask, to be dealt with before `dueAtMs` is read again. */
  get(id: number): OutgoingAsk | undefined {
    return this.touched(this.byId.get(id));
  }

  has({ id }: OutgoingAsk): boolean {
    return this.byId.has(id);
  }

  end(ask: OutgoingAsk): void {
    this.byId.delete(ask.id);
    this.deadlines.delete(ask);
    ask.forgetChannels();
  }

  /** The ask that uses this channel, to be dealt with before `dueAtMs` is read again. */
  withChannel(channelNumber: number): OutgoingAsk | undefined {
    const ask = this.byChannel.get(channelNumber);
    return ask?.uses(channelNumber) === true ? this.touched(ask) : undefined;
  }

  private touched(ask: OutgoingAsk | undefined): OutgoingAsk | undefined {
    if (ask !== undefined) this.deadlines.touch(ask);
    return ask;
  }

  preparedFor(server: ReceiverSpec): OutgoingAsk | undefined {
    for (const ask of this.byId.values()) if (ask.isPreparedFor(server)) return this.touched(ask);
    return undefined;
  }

  *awaited(): Iterable<AwaitedAnswer> {
    for (const ask of this.byId.values()) {
      const { id: index, stage, path, answerCount, isPrepared } = ask;
      const isAwaited = stage === 'connecting' || stage === 'asking';
      if (isAwaited && !isPrepared) yield { index, addresses: path.addresses.places, answerCount };
    }
  }
}
