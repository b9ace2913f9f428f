/** A live view: a few lines at the bottom of a terminal, which are redrawn in place. */
import { cut } from '../table.js';
import { asciiGlyphs, type Glyphs } from '../terminal-look.js';
import { escapeText, render, type Text, widthOf } from '../text.js';

/** The space available to a view. */
export interface ViewSize {
  readonly columns: number;
  readonly lines: number;
}

/** The space available to a view, and the characters that the terminal can show. */
export interface ViewArea extends ViewSize {
  readonly glyphs: Glyphs;
}

/** Renders a view as lines for the available space. The live view cuts off whatever exceeds that space. */
export type View = (area: ViewArea) => readonly Text[];

/** What the terminal can show. */
export interface Look {
  readonly hasColor: boolean;
  readonly glyphs: Glyphs;
}

/** The part of a terminal stream that the view uses. */
export interface TerminalStream {
  /** Undefined or 0 if the terminal does not report its size. */
  readonly columns?: number | undefined;
  readonly rows?: number | undefined;
  write(text: string): unknown;
  on(event: 'resize', listener: () => void): unknown;
  off(event: 'resize', listener: () => void): unknown;
}

/**
 * Whether the terminal rewraps long lines when the terminal becomes narrower. Most terminals rewrap; xterm,
 * the Linux console and GNU Screen truncate the lines.
 */
export function breaksLines(env: Readonly<Record<string, string | undefined>>): boolean {
  if (env['TMUX'] !== undefined) return true;
  return env['XTERM_VERSION'] === undefined && env['STY'] === undefined && env['TERM'] !== 'linux';
}

/**
 * Erases this line, whose start is the cursor's position, and all below it. tmux keeps what is erased from the very first
 * column of the window on, as if it had scrolled off the top. Therefore all is erased from the second column on, and then
 * the first column.
 */
const eraseFromHere = '\x1b[C\x1b[J\x1b[1K\r';

/** Draws a live view. Between redraws, the cursor stays at the start of the last line of the view. */
export class LiveView {
  private view: View | undefined;
  private text = '';
  /** Width of each line as last drawn, in columns. */
  private widths: readonly number[] = [];
  private readonly redraw = () => {
    this.text = '';
    this.draw();
  };

  /** @param breaksLines whether the terminal rewraps lines; see the function `breaksLines` */
  constructor(
    private readonly stream: TerminalStream,
    private readonly breaksLines: boolean,
    private readonly look: Look = { hasColor: false, glyphs: asciiGlyphs },
  ) {}

  show(view: View): void {
    if (this.view === undefined) this.stream.on('resize', this.redraw);
    this.view = view;
    this.draw();
  }

  hide(): void {
    if (this.view === undefined) return;
    this.stream.off('resize', this.redraw);
    this.stream.write(this.toFirstLine() + eraseFromHere);
    this.view = undefined;
    this.text = '';
    this.widths = [];
  }

  /** Prints lines above the view, which stays visible below them. */
  printAbove(print: () => void): void {
    const { view } = this;
    this.hide();
    print();
    if (view !== undefined) this.show(view);
  }

  private draw(): void {
    const { columns, rows } = this.stream;
    const { hasColor, glyphs } = this.look;
    // Leave one line and one column free: some terminals scroll if the last line or column is filled.
    const size = { columns: (columns || 80) - 1, lines: Math.max(1, (rows || 24) - 1) };
    const lines = (this.view?.({ ...size, glyphs }) ?? [])
      .slice(0, size.lines)
      .map((line) => cut(escapeText(line), size.columns, glyphs.ellipsis));
    // Each line is erased as a whole first. Otherwise tmux keeps the width of what the line showed before, and
    // breaks the line into two when the window becomes narrower.
    const drawn = lines.map((line) => `\x1b[2K${render(line, hasColor)}`);
    const text = drawn.length === 0 ? eraseFromHere : `${drawn.join('\r\n')}\x1b[J\r`;
    if (text === this.text) return;
    this.stream.write(this.toFirstLine() + text);
    this.text = text;
    this.widths = lines.map(widthOf);
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
