/**
 * Log output of a long-running command: one line per event on standard output, with time and level. The
 * format is JSON, plain text, or text for the systemd journal. The journal adds the time itself.
 */
import { escapeControlsInLines } from '../../base/control-characters.js';
import type { JsonEvent } from './json/json-events.js';
import { isResult, Output, toJsonLine } from './output.js';
import { plain, type Text } from './text.js';

/** The log levels, in order of increasing verbosity. */
export const logLevels = ['error', 'warn', 'info', 'debug'] as const;
export type LogLevel = (typeof logLevels)[number];

export const logFormats = ['text', 'json', 'journal'] as const;
export type LogFormat = (typeof logFormats)[number];

export interface LogOptions {
  readonly format: LogFormat;
  readonly level: LogLevel;
}

/** Syslog priorities. The journal expects the priority at the start of a line. */
const priorities: Readonly<Record<LogLevel, number>> = { error: 3, warn: 4, info: 6, debug: 7 };

/** These events have the level debug, because they are frequent or useful only for debugging. */
const detailEvents = new Set(['progress', 'bad-block', 'fault']);

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

  override line(text: Text): void {
    // A JSON log leaves out the text, because a separate JSON event reports the same facts.
    if (!this.isJson) this.write('info', plain(text));
  }

  override json(event: JsonEvent): void {
    if (this.isJson) this.writeRecord(levelOf(event), event);
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
    else if (this.isEnabled(level)) this.append(this.format(level, text));
  }

  private writeRecord(level: LogLevel, event: JsonEvent): void {
    if (!this.isEnabled(level)) return;
    this.append(toJsonLine({ time: new Date().toISOString(), level, ...event }));
  }

  private format(level: LogLevel, text: string): string {
    const shown = escapeControlsInLines(text);
    if (this.log.format === 'journal') return `<${priorities[level]}>${shown}\n`;
    return `${new Date().toISOString()} ${level.padEnd(5)} ${shown}\n`;
  }

  private isEnabled(level: LogLevel): boolean {
    return logLevels.indexOf(level) <= logLevels.indexOf(this.log.level);
  }
}

function levelOf(object: { readonly event: string; readonly status?: unknown }): LogLevel {
  const { event, status } = object;
  if (detailEvents.has(event)) return 'debug';
  if (event === 'send-error' || event === 'turned-away') return 'warn';
  if (event === 'on-complete' && status !== 'done') return 'warn';
  const isGood = status === 'complete' || status === 'stopped';
  return isResult(event) && !isGood ? 'error' : 'info';
}
