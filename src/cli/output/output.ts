/**
 * Output of a command: text or JSON lines on standard output; warnings, errors and progress on standard
 * error. A transfer continues even if the process that reads the output exits.
 */
import type { P2mpError } from '../../base/errors.js';
import type { JsonEvent } from './json/json-events.js';
import { breaksLines, LiveView, type View } from './progress/live-view.js';
import { dropColumns, formatTable } from './table.js';
import { type ColorMode, chooseGlyphs, usesColor } from './terminal-look.js';
import { join, plain, render, type Text, type Tone, toned, widthOf } from './text.js';
import { wrapWords } from './word-wrap.js';

export interface OutputOptions {
  readonly isJson: boolean;
  readonly isQuiet: boolean;
  /** Whether to print only warnings and errors (with --json: warnings, errors and results). */
  readonly isTerse?: boolean;
  /** The value of `--color`; `auto` by default. */
  readonly color?: ColorMode;
}

/** Whether the stream shows colors: see `usesColor`. */
export function hasColor(stream: NodeJS.WriteStream, mode: ColorMode = 'auto'): boolean {
  return usesColor(mode, stream.isTTY === true, process.env);
}

/** Breaks lines between words if the stream is a terminal that reports its size. */
export function forTerminal(rendered: string, { isTTY, columns = 0 }: NodeJS.WriteStream): string {
  if (!isTTY) return rendered;
  return wrapWords(rendered, columns, chooseGlyphs(process.env, process.platform).ellipsis);
}

/** Formats an event as a line of `--json`. */
export function toEventLine(event: JsonEvent): string {
  return toJsonLine({ time: new Date().toISOString(), ...event });
}

/**
 * Formats the object as one line of JSON. To protect terminals, it also escapes control characters that JSON
 * permits unescaped.
 */
export function toJsonLine(object: Readonly<Record<string, unknown>>): string {
  const text = JSON.stringify(object).replace(
    /[\x7f-\x9f\p{Bidi_Control}\u2028\u2029]/gu,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  return `${text}\n`;
}

/** @returns the JSON form of an error, for the field `error` of results */
export function errorJson({ code, message }: P2mpError): { code: string; message: string } {
  return { code, message };
}

/** Whether the event is a result. With `--json`, results are printed even if `--quiet` is given. */
export function isResult(event: string): boolean {
  return event === 'result' || event.endsWith('-result');
}

/** Maximum buffer size. The buffer collects the lines of one turn of the event loop. */
const maxBufferedChars = 64 * 1024;

/** A row of a table. */
type Row = readonly Text[];

/** The indentation of tables. */
const indent = '  ';

export class Output {
  private buffer = '';
  private isFlushDue = false;
  private isProgressPaused = false;
  /** While the last line is a question: prints it once more. */
  private repeatQuestion: (() => void) | undefined;
  private readonly live: LiveView;
  private readonly glyphs = chooseGlyphs(process.env, process.platform);
  /** Whether standard error is a terminal that can redraw lines. The terminals in some editors cannot. */
  private readonly isTerminal = process.stderr.isTTY === true && process.env['TERM'] !== 'dumb';

  constructor(private readonly options: OutputOptions) {
    const { glyphs } = this;
    this.live = new LiveView(process.stderr, breaksLines(process.env), {
      hasColor: hasColor(process.stderr, options.color),
      glyphs,
    });
    for (const stream of [process.stdout, process.stderr]) {
      // The transfer continues after write errors, such as EPIPE when the reading process has exited.
      stream.on('error', () => undefined);
    }
    if (this.hasProgress && process.platform !== 'win32') {
      // On Ctrl-Z, remove the table, because the shell prints its prompt at the cursor.
      process.on('SIGTSTP', () => {
        this.live.hide();
        process.kill(process.pid, 'SIGSTOP');
      });
    }
  }

  get isJson(): boolean {
    return this.options.isJson;
  }

  /** Whether the output is a log. Each line of a log must make sense on its own. */
  get isLog(): boolean {
    return false;
  }

  /** Prints a line for people. Does nothing with --json, --quiet or `isTerse`. */
  line(text: Text): void {
    const { isJson, isQuiet, isTerse, color } = this.options;
    if (isJson || isQuiet || isTerse) return;
    this.append(`${forTerminal(render(text, hasColor(process.stdout, color)), process.stdout)}\n`);
  }

  /**
   * Prints a table, indented. Its rows are not wider than the terminal.
   * @param rows the first row has the names of the columns
   * @param dropOrder names of columns that a narrow terminal can do without, the least important first
   * @param notes for each row but the first, what there is to say about it, or ''. Where the notes do not fit
   *   beside the rows, they follow below.
   */
  table(rows: readonly Row[], dropOrder: readonly string[], notes: readonly string[] = []): void {
    const { columns = 0 } = process.stdout;
    const width = columns > 0 ? columns - indent.length : Number.POSITIVE_INFINITY;
    const [names = [], ...others] = rows;
    const hasNotes = notes.some((note) => note !== '');
    const whole = hasNotes
      ? [[...names, 'note'], ...others.map((row, i) => [...row, notes[i] ?? ''])]
      : rows;
    const isWide = formatTable(whole).every((line) => widthOf(line) <= width);
    const [head = [], ...figures] = isWide ? whole : dropColumns(rows, width, dropOrder);
    const header = head.map((name) => toned('strong', plain(name)));
    for (const line of formatTable([header, ...figures], width, this.glyphs.ellipsis)) {
      this.line(join([indent, line]));
    }
    if (isWide) return;
    others.forEach(([name = ''], i) => {
      if (notes[i]) this.line(`${indent}${plain(name)}: ${notes[i]}`);
    });
  }

  /** With --json, prints the object as one line. With --quiet as well, prints only results. */
  json(event: JsonEvent): void {
    if (!this.options.isJson) return;
    const { isQuiet, isTerse } = this.options;
    if ((isQuiet || isTerse) && !isResult(event.event)) return;
    this.append(toEventLine(event));
  }

  /** Prints a detail. Callers must check first that --verbose is given. */
  detail(text: string): void {
    if (!this.options.isQuiet) this.toStandardError(text, 'faint');
  }

  /** Prints a warning: the command and all transfers continue. */
  warn(text: string): void {
    if (!this.options.isQuiet) this.toStandardError(text, 'warning');
  }

  /** Prints an error, even with --quiet. Use it for errors that end the command or a transfer. */
  error(text: string): void {
    this.toStandardError(text, 'bad');
  }

  /** Shows or updates the progress view. Does nothing if `hasProgress` is false. */
  progress(view: View): void {
    if (!this.hasProgress || this.isProgressPaused) return;
    this.flush();
    this.live.show(view);
  }

  /** Hides the progress view, for example while the user answers a question, or lets it be shown again. */
  pauseProgress(isPaused: boolean): void {
    this.isProgressPaused = isPaused;
    if (isPaused) this.endProgress();
  }

  /**
   * From now on, the last line is a question, and what is printed goes above it.
   * @param repeat prints the question once more, with what is typed already; undefined after the answer
   */
  setQuestion(repeat: (() => void) | undefined): void {
    this.flush();
    this.repeatQuestion = repeat;
  }

  /** Whether progress is shown: on a terminal, without --json and --quiet. */
  get hasProgress(): boolean {
    return this.isTerminal && !this.options.isQuiet && !this.options.isJson;
  }

  /** Writes the buffered lines. Must be called before the process ends. */
  flush(): void {
    if (this.buffer === '') return;
    const { buffer } = this;
    this.buffer = '';
    // Lines that go into a file do not disturb the view.
    if (process.stdout.isTTY) this.printAbove(() => process.stdout.write(buffer));
    else process.stdout.write(buffer);
  }

  /** Removes the progress view. */
  endProgress(): void {
    this.flush();
    this.live.hide();
  }

  private toStandardError(text: string, tone: Tone): void {
    this.flush();
    const line = render(toned(tone, text), hasColor(process.stderr, this.options.color));
    this.printAbove(() => process.stderr.write(`${forTerminal(line, process.stderr)}\n`));
  }

  private printAbove(print: () => void): void {
    if (this.repeatQuestion !== undefined) process.stderr.write('\r\x1b[J');
    this.live.printAbove(print);
    this.repeatQuestion?.();
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
