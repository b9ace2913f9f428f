/** The logs of a peer: `events.log`, `chunks.csv`, and `md5sums.txt` for `md5sum --check`. */
import type { WriteStream } from 'node:fs';
import { createWriteStream } from 'node:fs';
import { mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { escapeControls } from '../../base/control-characters.js';
import { fileError } from '../system-error.js';
import type { ExchangeObject, JoinExchangeEvent } from './join-options.js';

export interface ClockTimes {
  /** By the clock of the coordinator, as far as it is known, in milliseconds since 1970. */
  readonly unixMs: number;
  /** In milliseconds since the start of the exchange; undefined before it is known. */
  readonly sinceStartMs: number | undefined;
}

/** A log file, which is continued if it exists. */
export class LogFile {
  private failure: Error | undefined;

  private constructor(
    private readonly path: string,
    private readonly stream: WriteStream,
  ) {
    stream.on('error', (error) => {
      this.failure ??= error;
    });
  }

  /** @throws P2mpError TARGET_UNWRITABLE */
  static async open(folder: string, name: string, header = ''): Promise<LogFile> {
    const path = join(folder, name);
    try {
      await mkdir(folder, { recursive: true });
      const { size } = await stat(path).catch(() => ({ size: 0 }));
      const stream = createWriteStream(path, { flags: 'a' });
      await new Promise((resolve, reject) => {
        stream.once('open', resolve);
        stream.once('error', reject);
      });
      if (size === 0 && header !== '') stream.write(`${header}\n`);
      return new LogFile(path, stream);
    } catch (error) {
      throw fileError('TARGET_UNWRITABLE', path, error);
    }
  }

  line(text: string): void {
    this.stream.write(`${text}\n`);
  }

  /** @throws P2mpError TARGET_UNWRITABLE if something could not be written */
  async close(): Promise<void> {
    await new Promise<void>((resolve) => this.stream.end(resolve));
    if (this.failure !== undefined) throw fileError('TARGET_UNWRITABLE', this.path, this.failure);
  }
}

/** Formats a line of an `events.log`. */
export function eventLine({ unixMs, sinceStartMs }: ClockTimes, text: string): string {
  const since = sinceStartMs === undefined ? '-' : sinceStartMs.toFixed(3);
  return `${new Date(unixMs).toISOString()} ${since.padStart(12)} ms  ${escapeControls(text)}`;
}

/** Quotes a cell of a CSV file, if necessary. */
export function csvCell(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

const chunkHeader = 'peer,file,chunk,bytes,from,start_ms,end_ms,ms';

export class PeerLog {
  private constructor(
    private readonly events: LogFile,
    private readonly chunks: LogFile,
    private readonly md5sums: LogFile,
  ) {}

  /** @throws P2mpError TARGET_UNWRITABLE */
  static async open(folder: string): Promise<PeerLog> {
    return new PeerLog(
      await LogFile.open(folder, 'events.log'),
      await LogFile.open(folder, 'chunks.csv', chunkHeader),
      await LogFile.open(folder, 'md5sums.txt'),
    );
  }

  write(times: ClockTimes, event: JoinExchangeEvent): void {
    const text = describe(event);
    if (text !== undefined) this.events.line(eventLine(times, text));
    if (event.type === 'chunk') {
      const { object, file, chunk, sizeBytes, sources, startMs, endMs } = event;
      const from = sources.length === 0 ? 'disk' : sources.join(' ');
      const names = [csvCell(object.owner), csvCell(file), chunk, sizeBytes, csvCell(from)];
      const timing = [startMs, endMs, endMs - startMs].map((ms) => ms.toFixed(3));
      this.chunks.line([...names, ...timing].join());
    } else if (event.type === 'file') {
      const { object, file } = event;
      this.md5sums.line(
        `${file.md5}  ${escapeControls(object.owner)}/${escapeControls(file.name)}`,
      );
    }
  }

  noteEnd(times: ClockTimes, elapsedMs: number, reason: string): void {
    this.events.line(eventLine(times, endLine(elapsedMs, reason)));
  }

  async close(): Promise<void> {
    for (const file of [this.events, this.chunks, this.md5sums]) await file.close();
  }
}

export function endLine(elapsedMs: number, reason: string): string {
  return `the end after ${elapsedMs.toFixed(3)} ms: ${reason === '' ? 'everything is complete' : reason}`;
}

export function presenceLine({
  name,
  presence,
}: Pick<Extract<JoinExchangeEvent, { type: 'presence' }>, 'name' | 'presence'>): string {
  return presence === 'left' ? `${name} has left` : `${name} is ${presence}`;
}

/** @returns undefined if nobody is waited for any more */
export function awaitedLine({
  peers,
  forMs,
}: Extract<JoinExchangeEvent, { type: 'awaited' }>): string | undefined {
  if (peers.length === 0) return undefined;
  return `waits ${Math.ceil(forMs)} ms for ${peers.join(', ')} to come back`;
}

/** @returns undefined for events that the log leaves out */
function describe(event: JoinExchangeEvent): string | undefined {
  switch (event.type) {
    case 'indexed': {
      const files = event.files.map(({ name, md5 }) => `${name} MD5 ${md5}`);
      return `brings ${event.name}, ${event.contentSizeBytes} bytes: ${files.join('; ')}`;
    }
    case 'welcome':
      return `connected to the coordinator, which waits for ${event.expectedPeers} peers`;
    case 'coordinator-lost':
      return `the coordinator is lost: ${event.reason}`;
    case 'peer': {
      const objects = event.objects.map((each) => `${each.name} (${each.contentSizeBytes} bytes)`);
      return `connected: ${event.name} at ${event.address} brings ${objects.join(', ') || 'nothing'}`;
    }
    case 'presence':
      return presenceLine(event);
    case 'awaited':
      return awaitedLine(event);
    case 'start':
      return `the exchange begins in ${event.inMs.toFixed(3)} ms; the clock may be wrong by ${event.uncertaintyMs.toFixed(3)} ms`;
    case 'source':
      return `requests chunks of ${nameOf(event.object)} from ${event.source}`;
    case 'left':
      return `requests nothing of ${nameOf(event.object)} from ${event.source} any more: ${event.reason}`;
    case 'segment': {
      const { firstByte, sizeBytes, source, startMs, endMs } = event;
      if (sizeBytes === 0) return undefined;
      const bytes = `bytes ${firstByte} to ${firstByte + sizeBytes} of ${nameOf(event.object)}`;
      return `${bytes}: requested from ${source} at ${startMs.toFixed(3)} ms, there at ${endMs.toFixed(3)} ms`;
    }
    case 'chunk': {
      const { file, chunk, sources, startMs, endMs } = event;
      const from = sources.length === 0 ? 'was on the disk' : `from ${sources.join(' and ')}`;
      const ms = `${startMs.toFixed(3)} to ${endMs.toFixed(3)} ms, ${(endMs - startMs).toFixed(3)} ms`;
      return `chunk ${chunk} of ${event.object.owner}/${file} ${from}: ${ms}`;
    }
    case 'file': {
      const { object, file, elapsedMs } = event;
      return `file ${object.owner}/${file.name} is complete: MD5 ${file.md5}, ${elapsedMs.toFixed(3)} ms in all`;
    }
    case 'failed':
      return `${nameOf(event.object)} cannot be kept: ${event.reason}`;
    case 'stored':
      return `${nameOf(event.object)} is stored after ${event.elapsedMs.toFixed(3)} ms`;
    case 'withdrawn':
      return event.reason;
    case 'no-group':
      return `the group ${event.group} cannot be joined: ${event.reason}`;
    case 'port-refused':
    case 'unreachable':
      return `${event.receiver}: ${event.reason}`;
    case 'send-error':
      return `the system refused to send: ${event.message}`;
    default:
      return undefined;
  }
}

function nameOf({ owner, name }: ExchangeObject): string {
  return `${owner}/${name}`;
}
