/**
 * Asks the sources of a fetch which content a name has at its origin, and believes only the origin itself. A source is the
 * origin, or a relay that passes the question on; whatever else it is, it can serve the content afterwards (SESSIONS 9.12).
 */
import type { TimeMs } from '../../base/machine.js';
import type { SessionCrypto } from '../../security/crypto.js';
import { type OriginAnswer, openOriginAnswer } from '../../security/envelope.js';
import type { Asker } from '../../session/asks/asker.js';
import type { AskerEvent } from '../../session/asks/asker-events.js';
import type { ReceiverSpec } from '../../transfer/receiver-spec.js';
import type { EnvelopeQuestion } from '../../wire/envelope-request.js';
import { challengeSizeBytes } from '../../wire/sizes.js';

export interface OriginQuestionOptions extends Omit<EnvelopeQuestion, 'challenge'> {
  readonly crypto: SessionCrypto;
  readonly asker: Asker;
  /** The question fails after this time. */
  readonly patienceMs: number;
}

/** What comes of the question. */
export type OriginFinding =
  | { readonly type: 'answer'; readonly answer: OriginAnswer }
  /** A source has passed on what the origin has not said. */
  | { readonly type: 'liar'; readonly source: ReceiverSpec; readonly reason: string }
  | { readonly type: 'failure'; readonly reason: string };

export class OriginQuestion {
  private readonly question: EnvelopeQuestion;
  private readonly asks = new Map<number, ReceiverSpec>();
  /** For each source that has not answered, the reason. */
  private readonly reasons = new Map<ReceiverSpec, string>();
  private endsAtMs: TimeMs = Infinity;

  constructor(private readonly options: OriginQuestionOptions) {
    const { crypto, name, originKey, receiverKey } = options;
    const challenge = crypto.random(challengeSizeBytes);
    this.question = { name, originKey, receiverKey, challenge };
  }

  start(nowMs: TimeMs): void {
    this.endsAtMs = nowMs + this.options.patienceMs;
  }

  /** Also asks this source. */
  ask(nowMs: TimeMs, server: ReceiverSpec): void {
    this.asks.set(this.options.asker.ask(nowMs, { server, envelope: this.question }), server);
  }

  /** Asks this source no more. @returns what comes of that, if anything */
  leave(nowMs: TimeMs, server: ReceiverSpec, reason: string): OriginFinding | undefined {
    for (const [ask, each] of this.asks) {
      if (each !== server) continue;
      this.options.asker.cancel(nowMs, ask, reason);
      return this.lose(ask, server, reason);
    }
    return undefined;
  }

  /** The name of the source of this ask; undefined if it is none of this question. */
  nameOf(ask: number): string | undefined {
    return this.asks.get(ask)?.name;
  }

  get timeoutMs(): TimeMs {
    return this.endsAtMs;
  }

  /** Nobody answers in time. */
  handleTimeout(): OriginFinding {
    for (const source of this.asks.values())
      if (!this.reasons.has(source)) this.reasons.set(source, 'does not answer');
    return this.failure;
  }

  /** @returns the failure if all sources that have not answered refuse datagrams */
  handleRefusal(): OriginFinding | undefined {
    for (const [ask, source] of this.asks) {
      const refusal = this.options.asker.refusalOf(ask);
      if (refusal === undefined) return undefined;
      this.reasons.set(source, refusal);
    }
    return this.failure;
  }

  /** Takes an event of one of its asks. */
  takeEvent(event: Exclude<AskerEvent, { readonly type: 'identify' }>): OriginFinding | undefined {
    if (!('ask' in event)) return undefined;
    const source = this.asks.get(event.ask);
    if (source === undefined) return undefined;
    switch (event.type) {
      case 'envelope': {
        const answer = openOriginAnswer(this.options.crypto, this.question, event.envelope);
        if (answer !== undefined) return { type: 'answer', answer };
        this.asks.delete(event.ask);
        return {
          type: 'liar',
          source,
          reason: 'passed on an envelope that the origin has not made',
        };
      }
      case 'deferred':
      case 'waiting':
        this.reasons.set(source, event.reason);
        return undefined;
      case 'refused':
        return this.lose(event.ask, source, event.reason);
      case 'failed':
        // If it has put the answer off, that says more.
        return this.lose(event.ask, source, this.reasons.get(source) ?? event.reason);
      default:
        return undefined;
    }
  }

  /** Ends the asks that are not over. */
  end(nowMs: TimeMs): void {
    for (const ask of this.asks.keys()) this.options.asker.cancel(nowMs, ask, '');
    this.asks.clear();
    this.endsAtMs = Infinity;
  }

  private lose(ask: number, source: ReceiverSpec, reason: string): OriginFinding | undefined {
    this.asks.delete(ask);
    this.reasons.set(source, reason);
    return this.asks.size === 0 ? this.failure : undefined;
  }

  private get failure(): OriginFinding {
    const all = [...this.reasons].map(([{ name }, reason]) => `${name}: ${reason}`);
    return { type: 'failure', reason: `the origin does not answer: ${all.join('; ')}` };
  }
}
