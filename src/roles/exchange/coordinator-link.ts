/** The conversation of a peer with the coordinator, which it begins again when the coordinator falls silent. */
import type { TimeMs } from '../../base/machine.js';
import { Queue } from '../../base/queue.js';
import type { Asker } from '../../session/asks/asker.js';
import type { AskerEvent } from '../../session/asks/asker-events.js';
import type { ReceiverSpec } from '../../transfer/receiver-spec.js';
import type { ExchangeMessage } from '../../wire/exchange.js';
import type { ExchangeRecord } from '../../wire/exchange-records.js';
import { ClockEstimate } from './clock-estimate.js';
import { RecordStream } from './record-stream.js';

/** The coordinator counts as silent after this time. */
const silentMs = 5000;

/** How long a goodbye is repeated that the coordinator does not confirm. */
const farewellMs = 1500;

/** The pause before the coordinator is asked again that has refused or did not answer. */
const redialMs = 1000;

export type LinkEvent =
  /** The coordinator answers. It knows nothing of this peer. */
  | { readonly type: 'connected' }
  | { readonly type: 'record'; readonly record: ExchangeRecord }
  /** The coordinator is silent, or does not know this peer any more. It is asked again. */
  | { readonly type: 'lost'; readonly reason: string }
  /** The coordinator does not let this peer take part. */
  | { readonly type: 'refused'; readonly reason: string }
  | { readonly type: 'identify'; readonly ask: number; readonly serverKey: Uint8Array };

export class CoordinatorLink {
  private readonly events = new Queue<LinkEvent>();
  private ask: number | undefined;
  private current: RecordStream | undefined;
  private latestClock = new ClockEstimate();
  private heardAtMs: TimeMs = 0;
  private dialAtMs: TimeMs = Infinity;
  /** When the conversation ends although the goodbye is not confirmed; infinite unless this side leaves. */
  private closeAtMs: TimeMs = Infinity;

  constructor(
    private readonly asker: Asker,
    private readonly coordinator: ReceiverSpec,
  ) {}

  /** Undefined while there is no conversation. */
  get stream(): RecordStream | undefined {
    return this.current;
  }

  /** Undefined while the coordinator is not asked. */
  get currentAsk(): number | undefined {
    return this.ask;
  }

  /** The coordinator's clock, as the last conversation showed it. */
  get clock(): ClockEstimate {
    return this.latestClock;
  }

  private get isLeaving(): boolean {
    return this.closeAtMs < Infinity;
  }

  dial(nowMs: TimeMs): void {
    this.dialAtMs = Infinity;
    this.ask = this.asker.ask(nowMs, { server: this.coordinator, isExchange: true });
  }

  /** Says goodbye to the coordinator, which refuses everything from then on. */
  leave(nowMs: TimeMs): void {
    if (this.current === undefined) {
      this.close(nowMs);
      return;
    }
    this.current.push({ kind: 'leave' });
    this.closeAtMs = nowMs + farewellMs;
  }

  /** Ends the conversation. Does nothing while a goodbye is not confirmed. */
  close(nowMs: TimeMs): void {
    if (this.isLeaving && this.current !== undefined && nowMs < this.closeAtMs) return;
    this.closeAtMs = Infinity;
    if (this.ask !== undefined) this.asker.cancel(nowMs, this.ask, 'leaves');
    this.ask = undefined;
    this.current = undefined;
    this.dialAtMs = Infinity;
  }

  /** @returns false if the event is of another ask */
  takeEvent(nowMs: TimeMs, event: AskerEvent): boolean {
    if (!('ask' in event) || event.ask !== this.ask) return false;
    switch (event.type) {
      case 'identify':
        this.events.push({ type: 'identify', ask: event.ask, serverKey: event.serverKey });
        break;
      case 'exchange':
        this.takeMessage(nowMs, event.message);
        break;
      case 'refused':
        this.ask = undefined;
        this.current = undefined;
        this.events.push({ type: 'refused', reason: event.reason });
        break;
      case 'failed':
        this.ask = undefined;
        this.lose(nowMs, event.reason);
        break;
      case 'deferred':
        this.redial(nowMs, event.reason);
        break;
      default:
        break;
    }
    return true;
  }

  private takeMessage(nowMs: TimeMs, message: ExchangeMessage): void {
    this.heardAtMs = nowMs;
    if (this.current === undefined) {
      this.current = new RecordStream(nowMs);
      this.latestClock = this.current.clock;
      this.events.push({ type: 'connected' });
    }
    const records = this.current.take(nowMs, message);
    if (records === undefined) this.redial(nowMs, 'sent a message that makes no sense');
    else for (const record of records) this.events.push({ type: 'record', record });
  }

  /** Begins another conversation. */
  redial(nowMs: TimeMs, reason: string): void {
    if (this.ask !== undefined) this.asker.cancel(nowMs, this.ask, reason);
    this.ask = undefined;
    this.lose(nowMs, reason);
  }

  private lose(nowMs: TimeMs, reason: string): void {
    this.current = undefined;
    if (this.isLeaving) return;
    this.dialAtMs = nowMs + redialMs;
    this.events.push({ type: 'lost', reason });
  }

  handleTimeout(nowMs: TimeMs): void {
    if (nowMs >= this.closeAtMs) this.close(nowMs);
    if (nowMs >= this.dialAtMs) this.dial(nowMs);
    if (this.current !== undefined && nowMs >= this.heardAtMs + silentMs)
      this.redial(nowMs, `silent for ${silentMs / 1000} s`);
  }

  /** Sends what is due. */
  advance(nowMs: TimeMs): void {
    const { current, ask } = this;
    if (current === undefined || ask === undefined) return;
    for (let message = current.poll(nowMs); message; message = current.poll(nowMs))
      this.asker.say(ask, message);
  }

  pollTimeout(): TimeMs {
    const { current } = this;
    if (current === undefined) return this.dialAtMs;
    return Math.min(this.heardAtMs + silentMs, current.pollTimeout(), this.closeAtMs);
  }

  pollEvent(): LinkEvent | undefined {
    return this.events.shift();
  }
}
