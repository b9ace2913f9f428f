/**
 * What a command that runs for weeks prints: one line for each thing, with its time and level, on standard
 * output. JSON for machines, text for people, or text for the journal of systemd, which adds the time itself.
 */
import { escapeControlsInLines } from '../../base/control-characters.js';
import { Output, toJsonLine } from './output.js';

/** From the least to the most that is told. */
export const logLevels = ['error', 'warn', 'info', 'debug'] as const;
export type LogLevel = (typeof logLevels)[number];

export const logFormats = ['text', 'json', 'journal'] as const;
export type LogFormat = (typeof logFormats)[number];

export interface LogOptions {
  readonly format: LogFormat;
  readonly level: LogLevel;
}

/** As syslog counts them; the journal takes the number in front of a line. */
const priorities: Readonly<Record<LogLevel, number>> = { error: 3, warn: 4, info: 6, debug: 7 };

/** Events that come often, or that only somebody who looks for a fault wants to see. */
const detailEvents = new Set(['PROGRESS', 'BAD_BLOCK', 'fault']);

export class LogOutput extends Output {
  constructor(private readonly log: LogOptions) {
    super({ isJson: log.format === 'json', isQuiet: false });
  }

  override get isLog(): boolean {
    return true;
  }

  override get hasProgress(): boolean {
    return false;
  }

  override line(text: string): void {
    // Of what is told by a line, JSON has an event.
    if (!this.isJson) this.write('info', text);
  }

  override json(object: { readonly event: string } & Readonly<Record<string, unknown>>): void {
    if (this.isJson) this.writeRecord(levelOf(object), object);
  }

  override detail(text: string): void {
    this.write('debug', text);
  }

  override warn(text: string): void {
    this.write('warn', text);
  }

  override error(text: string): void {
    this.write('error', text);
  }

  private write(level: LogLevel, text: string): void {
    if (this.isJson) this.writeRecord(level, { event: 'message', message: text });
    else if (this.tells(level)) this.append(this.format(level, text));
  }

  private writeRecord(level: LogLevel, fields: Readonly<Record<string, unknown>>): void {
    if (!this.tells(level)) return;
    this.append(toJsonLine({ time: new Date().toISOString(), level, ...fields }));
  }

  private format(level: LogLevel, text: string): string {
    const shown = escapeControlsInLines(text);
    if (this.log.format === 'journal') return `<${priorities[level]}>${shown}\n`;
    return `${new Date().toISOString()} ${level.padEnd(5)} ${shown}\n`;
  }

  private tells(level: LogLevel): boolean {
    return logLevels.indexOf(level) <= logLevels.indexOf(this.log.level);
  }
}

function levelOf(object: { readonly event: string; readonly status?: unknown }): LogLevel {
  const { event, status } = object;
  if (detailEvents.has(event)) return 'debug';
  if (event === 'send-error' || event === 'TURNED_AWAY') return 'warn';
  if (event === 'ON_COMPLETE' && status !== 'done') return 'warn';
  const isEnd = event === 'RESULT' || event === 'CLASSIC';
  return isEnd && status !== 'complete' ? 'error' : 'info';
}
