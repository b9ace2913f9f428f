/**
 * What a command prints: lines for people or JSON lines on standard output, warnings, errors and
 * the progress on standard error. A reader that goes away never stops a transfer.
 */
import { escapeControls, escapeControlsInLines } from '../../base/control-characters.js';
import { breaksLines, LiveView, type View } from './live-view.js';

export interface OutputOptions {
  readonly isJson: boolean;
  readonly isQuiet: boolean;
  /** Only what is wrong, and results with --json. */
  readonly isTerse?: boolean;
}

/** The object as a line of JSON that acts on no terminal: what JSON leaves as it is, is escaped as well. */
export function toJsonLine(object: Readonly<Record<string, unknown>>): string {
  const text = JSON.stringify(object).replace(
    /[\x7f-\x9f\p{Bidi_Control}\u2028\u2029]/gu,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  return `${text}\n`;
}

/** Lines are gathered up to this size within one turn of the event loop. */
const maxBufferedChars = 64 * 1024;

export class Output {
  private buffer = '';
  private isFlushDue = false;
  private readonly live = new LiveView(process.stderr, breaksLines(process.env));
  /** A dumb terminal, as an editor's, takes lines and nothing else. */
  private readonly isTerminal = process.stderr.isTTY === true && process.env['TERM'] !== 'dumb';

  constructor(private readonly options: OutputOptions) {
    for (const stream of [process.stdout, process.stderr]) {
      // EPIPE: whoever read us has gone. The files still have to arrive.
      stream.on('error', () => undefined);
    }
    if (this.hasProgress && process.platform !== 'win32') {
      // Ctrl-Z: the shell prints its prompt at the cursor, so the table must be gone by then.
      process.on('SIGTSTP', () => {
        this.live.hide();
        process.kill(process.pid, 'SIGSTOP');
      });
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
    this.append(`${escapeControlsInLines(text)}\n`);
  }

  /** One JSON object on a line of its own; only with --json. */
  json(object: { readonly event: string } & Readonly<Record<string, unknown>>): void {
    if (!this.options.isJson) return;
    const { isQuiet, isTerse } = this.options;
    // Of a quiet run only results are told.
    if ((isQuiet || isTerse) && object.event.toLowerCase() !== 'result') return;
    this.append(toJsonLine(object));
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

  /** Shows how far the work is, in place of what was shown before; nothing without a terminal. */
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

  /** Takes the progress away for good. */
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
