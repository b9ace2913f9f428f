/** What a terminal shows of work that is under way: some lines at its lower end, drawn again and again. */
import stringWidth from 'string-width';
import { cut } from './table.js';

/** Room on the terminal. */
export interface ViewSize {
  readonly columns: number;
  readonly lines: number;
}

/** The lines for so much room; what goes beyond it is cut off. */
export type View = (size: ViewSize) => readonly string[];

/** The part of a terminal's stream that is used here. */
export interface TerminalStream {
  /** Undefined or 0 where the terminal does not say. */
  readonly columns?: number | undefined;
  readonly rows?: number | undefined;
  write(text: string): unknown;
  on(event: 'resize', listener: () => void): unknown;
  off(event: 'resize', listener: () => void): unknown;
}

/**
 * Whether a terminal that becomes narrower breaks the lines that no longer fit. Most do; xterm, the Linux
 * console and GNU Screen cut them off.
 */
export function breaksLines(env: Readonly<Record<string, string | undefined>>): boolean {
  if (env['TMUX'] !== undefined) return true;
  return env['XTERM_VERSION'] === undefined && env['STY'] === undefined && env['TERM'] !== 'linux';
}

/** Between two drawings the cursor rests at the start of the last line. */
export class LiveView {
  private view: View | undefined;
  private text = '';
  /** Columns of each line as it was drawn last. */
  private widths: readonly number[] = [];
  private readonly redraw = () => {
    this.text = '';
    this.draw();
  };

  /** @param breaksLines see the function of this name */
  constructor(
    private readonly stream: TerminalStream,
    private readonly breaksLines: boolean,
  ) {}

  show(view: View): void {
    if (this.view === undefined) this.stream.on('resize', this.redraw);
    this.view = view;
    this.draw();
  }

  hide(): void {
    if (this.view === undefined) return;
    this.stream.off('resize', this.redraw);
    this.stream.write(`${this.toFirstLine()}\x1b[J`);
    this.view = undefined;
    this.text = '';
    this.widths = [];
  }

  private draw(): void {
    const { columns, rows } = this.stream;
    // One less of each: a full last line or column makes some terminals scroll.
    const size = { columns: (columns || 80) - 1, lines: Math.max(1, (rows || 24) - 1) };
    const lines = (this.view?.(size) ?? [])
      .slice(0, size.lines)
      .map((line) => cut(line, size.columns));
    const text = `${lines.map((line) => `${line}\x1b[K`).join('\r\n')}\x1b[J\r`;
    if (text === this.text) return;
    this.stream.write(this.toFirstLine() + text);
    this.text = text;
    this.widths = lines.map((line) => stringWidth(line));
  }

  private toFirstLine(): string {
    const columns = this.stream.columns || 80;
    let rowCount = 0;
    for (const width of this.widths.slice(0, -1)) {
      rowCount += this.breaksLines ? Math.max(1, Math.ceil(width / columns)) : 1;
    }
    return rowCount === 0 ? '\r' : `\r\x1b[${rowCount}A`;
  }
}
