/**
 * Passes questions for an origin on to the upstream servers of a relay, and their answers back. The relay cannot read
 * the answers (SESSIONS 9.12).
 */
import type { TimeMs } from '../../base/machine.js';
import type { Asker } from '../../session/asks/asker.js';
import type { AskerEvent } from '../../session/asks/asker-events.js';
import type { AskRefusal } from '../../session/asks/listener-events.js';
import { isEqualBytes } from '../../wire/byte-codec.js';
import type { EnvelopeQuestion } from '../../wire/envelope-request.js';
import { joinReasons, noticeableMs, type Upstreams } from '../relay/upstreams.js';

export type TakeEnvelope = (answer: Uint8Array | AskRefusal) => void;

export interface PassedQuestionsOptions {
  readonly asker: Asker;
  readonly upstreams: Pick<Upstreams, 'servers' | 'absences'>;
  /** A question is refused if no upstream server answers in this time. */
  readonly answerTimeoutMs: number;
}

interface Passed {
  readonly question: EnvelopeQuestion;
  readonly take: TakeEnvelope;
  readonly startedAtMs: TimeMs;
  /** The upstream server of each ask that is not over. */
  readonly asks: Map<number, string>;
  readonly reasons: Map<string, string>;
}

/** Each question costs a handshake with each upstream server. */
const maxQuestions = 64;

export class PassedQuestions {
  private readonly passed = new Set<Passed>();

  constructor(private readonly options: PassedQuestionsOptions) {}

  /** Number of questions that wait for an answer. */
  get count(): number {
    return this.passed.size;
  }

  /** @param hops the relays that the question has come through, with this one */
  pass(
    nowMs: TimeMs,
    question: EnvelopeQuestion,
    hops: readonly Uint8Array[],
    take: TakeEnvelope,
  ): void {
    const { asker, upstreams } = this.options;
    if (this.passed.size >= maxQuestions) {
      const reason = `busy with ${maxQuestions} questions for origins; ask again later`;
      take({ reason, isTemporary: true });
      return;
    }
    const asks = new Map<number, string>();
    for (const server of upstreams.servers)
      asks.set(asker.ask(nowMs, { server, envelope: question, hops }), server.name);
    const reasons = new Map(upstreams.absences);
    const passed = { question, take, startedAtMs: nowMs, asks, reasons };
    this.passed.add(passed);
    if (asks.size === 0) this.fail(nowMs, passed, true);
  }

  /** What holds up the answer to a question; undefined if it may come any moment. */
  describeWait(nowMs: TimeMs, { challenge }: EnvelopeQuestion): string | undefined {
    const passed = [...this.passed].find(({ question }) =>
      isEqualBytes(question.challenge, challenge),
    );
    if (passed === undefined || nowMs < passed.startedAtMs + noticeableMs) return undefined;
    return joinReasons(reasonsOf(passed));
  }

  /** Whether this is an ask of such a question. */
  has(ask: number): boolean {
    return [...this.passed].some(({ asks }) => asks.has(ask));
  }

  /** Takes an event of an ask that `has` knows. */
  takeEvent(nowMs: TimeMs, event: Extract<AskerEvent, { readonly ask: number }>): void {
    const { ask, server } = event;
    for (const passed of this.passed) {
      if (!passed.asks.has(ask)) continue;
      if (event.type === 'envelope') {
        this.end(nowMs, passed, event.envelope);
      } else if (event.type === 'deferred' || event.type === 'waiting') {
        passed.reasons.set(server, event.reason);
      } else if (event.type === 'refused' || event.type === 'failed') {
        passed.reasons.set(server, event.reason);
        passed.asks.delete(ask);
        if (passed.asks.size === 0) this.fail(nowMs, passed, event.type === 'failed');
      }
      return;
    }
  }

  pollTimeout(): TimeMs {
    let atMs = Infinity;
    for (const passed of this.passed) atMs = Math.min(atMs, this.endsAtMs(passed));
    return atMs;
  }

  handleTimeout(nowMs: TimeMs): void {
    for (const passed of [...this.passed])
      if (nowMs >= this.endsAtMs(passed)) this.fail(nowMs, passed, true);
  }

  private endsAtMs({ startedAtMs }: Passed): TimeMs {
    return startedAtMs + this.options.answerTimeoutMs;
  }

  private fail(nowMs: TimeMs, passed: Passed, isTemporary: boolean): void {
    this.end(nowMs, passed, { reason: joinReasons(reasonsOf(passed)), isTemporary });
  }

  private end(nowMs: TimeMs, passed: Passed, answer: Uint8Array | AskRefusal): void {
    this.passed.delete(passed);
    for (const ask of passed.asks.keys()) this.options.asker.cancel(nowMs, ask, 'answered');
    passed.take(answer);
  }
}

/** For each upstream server, why it gives no answer. */
function reasonsOf({ asks, reasons }: Passed): Map<string, string> {
  const silences = [...asks.values()].map((server): [string, string] => [
    server,
    reasons.get(server) ?? 'does not answer',
  ]);
  return new Map([...reasons, ...silences]);
}
