/**
 * What a command prints: lines for people or JSON lines on standard output, warnings, errors and
 * the progress line on standard error. A reader that goes away never stops a transfer.
 */
import type { WriteStream } from 'node:tty';

export interface OutputOptions {
  readonly isJson: boolean;
  readonly isQuiet: boolean;
  /** Only what is wrong, and results with --json. */
  readonly isTerse?: boolean;
}

/** Lines are gathered up to this size within one turn of the event loop. */
const maxBufferedChars = 64 * 1024;

export class Output {
  private buffer = '';
  private isFlushDue = false;
  private progressText = '';
  private progressLineCount = 0;
  private readonly isTerminal = process.stderr.isTTY === true;

  constructor(private readonly options: OutputOptions) {
    for (const stream of [process.stdout, process.stderr]) {
      // EPIPE: whoever read us has gone. The files still have to arrive.
      stream.on('error', () => undefined);
    }
  }

  get isJson(): boolean {
    return this.options.isJson;
  }

  /** Whether it is a log, of which each line stands for itself. */
  get isLog(): boolean {
    return false;
  }

  /** A line for people; not with --json or --quiet. */
  line(text: string): void {
    const { isJson, isQuiet, isTerse } = this.options;
    if (isJson || isQuiet || isTerse) return;
    this.append(`${text}\n`);
  }

  /** One JSON object on a line of its own; only with --json. */
  json(object: { readonly event: string } & Readonly<Record<string, unknown>>): void {
    if (!this.options.isJson) return;
    const { isQuiet, isTerse } = this.options;
    // Of a quiet run only results are told.
    if ((isQuiet || isTerse) && object.event.toLowerCase() !== 'result') return;
    this.append(`${JSON.stringify(object)}\n`);
  }

  /** Something that only --verbose tells. */
  detail(text: string): void {
    this.warn(text);
  }

  /** Something that a person should know and that ends nothing. */
  warn(text: string): void {
    if (!this.options.isQuiet) this.toStandardError(text);
  }

  /** Something that ended the command or a transfer; printed whatever the options are. */
  error(text: string): void {
    this.toStandardError(text);
  }

  /** Shows the progress, a line or several, cut to the terminal's size; nothing without a terminal. */
  progress(...lines: readonly string[]): void {
    if (!this.hasProgress) return;
    const { columns, rows } = process.stderr as WriteStream;
    // Some terminals say that they have no columns at all.
    const width = (columns || 80) - 1;
    const shown = lines
      .slice(0, Math.max(1, (rows || 24) - 1))
      .map((line) => (line.length > width ? `${line.slice(0, width - 1)}…` : line));
    const text = shown.join('\x1b[K\r\n');
    if (text === this.progressText) return;
    this.flush();
    const back = this.progressText === '' ? '' : this.toFirstLine();
    this.progressText = text;
    this.progressLineCount = shown.length;
    process.stderr.write(`${back}\r${text}\x1b[K\x1b[J`);
  }

  /** Whether there is a progress line to show. */
  get hasProgress(): boolean {
    return this.isTerminal && !this.options.isQuiet && !this.options.isJson;
  }

  /** Writes out everything; call it before the process ends. */
  flush(): void {
    if (this.buffer === '') return;
    this.hideProgress();
    process.stdout.write(this.buffer);
    this.buffer = '';
  }

  /** Takes the progress line away for good. */
  endProgress(): void {
    this.flush();
    this.hideProgress();
  }

  private toStandardError(text: string): void {
    this.flush();
    this.hideProgress();
    process.stderr.write(`${text}\n`);
  }

  protected append(text: string): void {
    this.buffer += text;
    if (this.buffer.length >= maxBufferedChars) this.flush();
    if (this.isFlushDue) return;
    this.isFlushDue = true;
    setImmediate(() => {
      this.isFlushDue = false;
      this.flush();
    });
  }

  private toFirstLine(): string {
    return this.progressLineCount > 1 ? `\x1b[${this.progressLineCount - 1}A` : '';
  }

  private hideProgress(): void {
    if (this.progressText === '') return;
    this.progressText = '';
    process.stderr.write(`${this.toFirstLine()}\r\x1b[K\x1b[J`);
  }
}
