/**
 * One side of the conversation between a coordinator and a peer (SESSIONS 11.2): sends records until they have arrived,
 * and takes those of the other side in order, each once.
 */
import type { TimeMs } from '../../base/machine.js';
import type { ExchangeEcho, ExchangeMessage } from '../../wire/exchange.js';
import { maxRecordsBytes } from '../../wire/exchange.js';
import type { ExchangeRecord } from '../../wire/exchange-records.js';
import { decodeRecord, encodeRecord } from '../../wire/exchange-records.js';
import { ClockEstimate } from './clock-estimate.js';

export const streamTiming = {
  /** What has not arrived is repeated after this time, then after twice as long each time. */
  firstRepeatMs: 200,
  maxRepeatMs: 1000,
  /** A message is sent at least this often, so that each side knows that the other one is there. */
  keepAliveMs: 1000,
  /** The first messages are sent this often, to estimate the clock. */
  samplingMs: 50,
  samples: 8,
} as const;

/** So many bytes of records may be on their way. */
const windowBytes = 32 * 1024;

/** Space that the size of a record takes. */
const sizeFieldBytes = 2;

export class RecordStream {
  readonly clock = new ClockEstimate();
  /** Records that have not arrived; the first one has the number `firstNumber`. */
  private readonly unacknowledged: Uint8Array[] = [];
  private firstNumber = 0;
  /** How many of them were sent since they were last repeated. */
  private sentCount = 0;
  private expectedNumber = 0;
  private echo: ExchangeEcho | undefined;
  private isAnswerDue = false;
  private repeatMs: number = streamTiming.firstRepeatMs;
  private repeatAtMs: TimeMs = Infinity;
  private sendAtMs: TimeMs;
  private samplesLeft: number = streamTiming.samples;

  /** @param clockOffsetMs what to add to this side's time to get what its clock shows to the other side */
  constructor(
    nowMs: TimeMs,
    private readonly clockOffsetMs = 0,
  ) {
    this.sendAtMs = nowMs;
  }

  /** Whether everything has arrived at the other side. */
  get isIdle(): boolean {
    return this.unacknowledged.length === 0;
  }

  push(record: ExchangeRecord): void {
    this.unacknowledged.push(encodeRecord(record));
  }

  /** @returns the records that are new; undefined if the message makes no sense */
  take(nowMs: TimeMs, message: ExchangeMessage): ExchangeRecord[] | undefined {
    const { sentAtMs, nextRecord, firstRecord, records, echo } = message;
    const acknowledged = nextRecord - this.firstNumber;
    if (acknowledged > this.unacknowledged.length) return undefined;
    const clockMs = nowMs + this.clockOffsetMs;
    if (echo !== undefined && echo.sentAtMs !== 0) this.clock.sample(clockMs, sentAtMs, echo);
    this.echo = { sentAtMs, arrivedAtMs: clockMs };
    if (acknowledged > 0) this.acknowledge(nowMs, acknowledged);
    const taken: ExchangeRecord[] = [];
    for (const bytes of records.slice(Math.max(0, this.expectedNumber - firstRecord))) {
      if (firstRecord > this.expectedNumber) break;
      const record = decodeRecord(bytes);
      if (record === undefined) return undefined;
      taken.push(record);
      this.expectedNumber++;
    }
    this.isAnswerDue ||= records.length > 0;
    return taken;
  }

  private acknowledge(nowMs: TimeMs, count: number): void {
    this.unacknowledged.splice(0, count);
    this.firstNumber += count;
    this.sentCount = Math.max(0, this.sentCount - count);
    this.repeatMs = streamTiming.firstRepeatMs;
    this.repeatAtMs = this.sentCount === 0 ? Infinity : nowMs + this.repeatMs;
  }

  /** The next message to send, if any. */
  poll(nowMs: TimeMs): ExchangeMessage | undefined {
    if (nowMs >= this.repeatAtMs) {
      this.sentCount = 0;
      this.repeatMs = Math.min(2 * this.repeatMs, streamTiming.maxRepeatMs);
    }
    const firstRecord = this.firstNumber + this.sentCount;
    const records = this.next();
    if (records.length === 0 && !this.isAnswerDue && nowMs < this.sendAtMs) return undefined;
    this.sentCount += records.length;
    if (records.length > 0) this.repeatAtMs = nowMs + this.repeatMs;
    this.isAnswerDue = false;
    this.sendAtMs = nowMs + this.intervalMs();
    const { expectedNumber: nextRecord, echo } = this;
    const sentAtMs = nowMs + this.clockOffsetMs;
    return { kind: 'exchange', nextRecord, sentAtMs, echo, firstRecord, records };
  }

  pollTimeout(): TimeMs {
    return this.isAnswerDue || this.hasNext ? 0 : Math.min(this.sendAtMs, this.repeatAtMs);
  }

  private intervalMs(): number {
    if (this.samplesLeft === 0) return streamTiming.keepAliveMs;
    this.samplesLeft--;
    return streamTiming.samplingMs;
  }

  /** Whether there are records to send, and room for them. */
  private get hasNext(): boolean {
    const { unacknowledged, sentCount } = this;
    if (sentCount >= unacknowledged.length) return false;
    let inFlightBytes = 0;
    for (let i = 0; i < sentCount; i++) inFlightBytes += (unacknowledged[i] as Uint8Array).length;
    return inFlightBytes < windowBytes;
  }

  /** The records of the next message. */
  private next(): Uint8Array[] {
    if (!this.hasNext) return [];
    const { unacknowledged, sentCount } = this;
    let sizeBytes = 0;
    const records: Uint8Array[] = [];
    for (let i = sentCount; i < unacknowledged.length; i++) {
      const record = unacknowledged[i] as Uint8Array;
      sizeBytes += record.length + sizeFieldBytes;
      if (sizeBytes > maxRecordsBytes && records.length > 0) break;
      records.push(record);
    }
    return records;
  }
}
