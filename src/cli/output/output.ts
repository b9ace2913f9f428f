/**
 * Output of a command: text or JSON lines on standard output; warnings, errors and progress on standard
 * error. A transfer continues when the reader of the output goes away.
 */
import { escapeControls, escapeControlsInLines } from '../../base/control-characters.js';
import type { P2mpError } from '../../base/errors.js';
import { breaksLines, LiveView, type View } from './live-view.js';

export interface OutputOptions {
  readonly isJson: boolean;
  readonly isQuiet: boolean;
  /** Whether to print only warnings and errors, and with --json also results. */
  readonly isTerse?: boolean;
}

/**
 * Formats the object as one line of JSON. To protect terminals, also escapes the control characters that JSON allows.
 */
export function toJsonLine(object: Readonly<Record<string, unknown>>): string {
  const text = JSON.stringify(object).replace(
    /[\x7f-\x9f\p{Bidi_Control}\u2028\u2029]/gu,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  return `${text}\n`;
}

/** An error in JSON, for the `error` of results. */
export function errorJson({ code, message }: P2mpError): { code: string; message: string } {
  return { code, message };
}

/** Whether the event is an outcome, which `--json` prints even with `--quiet`. */
export function isResult(event: string): boolean {
  return event === 'result' || event.endsWith('-result');
}

/** Lines are buffered up to this size within one turn of the event loop. */
const maxBufferedChars = 64 * 1024;

export class Output {
  private buffer = '';
  private isFlushDue = false;
  private readonly live = new LiveView(process.stderr, breaksLines(process.env));
  /** A dumb terminal, such as that of an editor, supports plain lines only. */
  private readonly isTerminal = process.stderr.isTTY === true && process.env['TERM'] !== 'dumb';

  constructor(private readonly options: OutputOptions) {
    for (const stream of [process.stdout, process.stderr]) {
      // EPIPE: the reader has gone, but the transfer continues.
      stream.on('error', () => undefined);
    }
    if (this.hasProgress && process.platform !== 'win32') {
      // Ctrl-Z: remove the table before the shell prints its prompt at the cursor.
      process.on('SIGTSTP', () => {
        this.live.hide();
        process.kill(process.pid, 'SIGSTOP');
      });
    }
  }

  get isJson(): boolean {
    return this.options.isJson;
  }

  /** Whether the output is a log, whose lines must make sense on their own. */
  get isLog(): boolean {
    return false;
  }

  /** Prints a line for people, unless --json or --quiet is given. */
  line(text: string): void {
    const { isJson, isQuiet, isTerse } = this.options;
    if (isJson || isQuiet || isTerse) return;
    this.append(`${escapeControlsInLines(text)}\n`);
  }

  /** Prints a JSON object on a line of its own, with --json only. */
  json(object: { readonly event: string } & Readonly<Record<string, unknown>>): void {
    if (!this.options.isJson) return;
    const { isQuiet, isTerse } = this.options;
    if ((isQuiet || isTerse) && !isResult(object.event)) return;
    this.append(toJsonLine(object));
  }

  /** Prints a detail. Callers check for --verbose. */
  detail(text: string): void {
    this.warn(text);
  }

  /** Prints a warning about something that ends neither the command nor a transfer. */
  warn(text: string): void {
    if (!this.options.isQuiet) this.toStandardError(text);
  }

  /** Prints an error that ended the command or a transfer, even with --quiet. */
  error(text: string): void {
    this.toStandardError(text);
  }

  /** Shows or updates the progress view; does nothing without a terminal. */
  progress(view: View): void {
    if (!this.hasProgress) return;
    this.flush();
    this.live.show((size) => view(size).map(escapeControls));
  }

  /** Whether there is a terminal to show progress on. */
  get hasProgress(): boolean {
    return this.isTerminal && !this.options.isQuiet && !this.options.isJson;
  }

  /** Writes out everything; call it before the process ends. */
  flush(): void {
    if (this.buffer === '') return;
    this.live.hide();
    process.stdout.write(this.buffer);
    this.buffer = '';
  }

  /** Removes the progress view. */
  endProgress(): void {
    this.flush();
    this.live.hide();
  }

  private toStandardError(text: string): void {
    this.flush();
    this.live.hide();
    process.stderr.write(`${escapeControlsInLines(text)}\n`);
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
}
