/**
 * What a coordinator and a peer of an exchange say to each other (SESSIONS 11.2). Each side sends a sequence of records,
 * repeats what has not arrived, and takes them in order. Each message is also a measurement of the other side's clock.
 */
import type { ByteReader, ByteWriter } from './byte-codec.js';

/** A message of the conversation between a coordinator and a peer. */
export interface ExchangeMessage {
  readonly kind: 'exchange';
  /** The number of the first record that has not arrived from the other side. */
  readonly nextRecord: number;
  /** When the message was sent, in milliseconds by the clock of its sender. */
  readonly sentAtMs: number;
  /** The latest message from the other side; undefined if none has arrived. */
  readonly echo: ExchangeEcho | undefined;
  /** The number of the first record in this message. */
  readonly firstRecord: number;
  /** Consecutive records, encoded. */
  readonly records: readonly Uint8Array[];
}

/** A message that has arrived. */
export interface ExchangeEcho {
  /** As the message said, by the clock of its sender. */
  readonly sentAtMs: number;
  /** By the clock of the side that received it. */
  readonly arrivedAtMs: number;
}

/** Maximum size of the records of one message, including their sizes. */
export const maxRecordsBytes = 1100;

const flag = { hasEcho: 1 } as const;

export function writeExchange(writer: ByteWriter, message: ExchangeMessage): void {
  const { nextRecord, sentAtMs, echo, firstRecord, records } = message;
  writer.uint8(echo === undefined ? 0 : flag.hasEcho).varint(nextRecord);
  writer.float64(sentAtMs);
  if (echo !== undefined) writer.float64(echo.sentAtMs).float64(echo.arrivedAtMs);
  writer.varint(firstRecord);
  for (const record of records) writer.counted(record);
}

/** @returns undefined if a time is not a number, or a record is empty */
export function readExchange(reader: ByteReader): ExchangeMessage | undefined {
  const flags = reader.uint8();
  const nextRecord = reader.varint();
  const sentAtMs = reader.float64();
  const echo =
    (flags & flag.hasEcho) === 0
      ? undefined
      : { sentAtMs: reader.float64(), arrivedAtMs: reader.float64() };
  const firstRecord = reader.varint();
  const records: Uint8Array[] = [];
  while (reader.remainingBytes > 0 && reader.isGood) {
    const record = reader.counted().slice();
    if (record.length === 0) return undefined;
    records.push(record);
  }
  const times = [sentAtMs, echo?.sentAtMs ?? 0, echo?.arrivedAtMs ?? 0];
  if (!times.every((time) => Number.isFinite(time))) return undefined;
  return { kind: 'exchange', nextRecord, sentAtMs, echo, firstRecord, records };
}
