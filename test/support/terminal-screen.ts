/** Renders the output of a program as a terminal shows it. */
import xterm from '@xterm/headless';

/** A terminal that keeps lines that scroll off the top. */
export class TerminalScreen {
  /** How often the screen was erased from its first column to its end. tmux keeps such a screen as printed lines. */
  wholeErasures = 0;
  private readonly terminal: xterm.Terminal;

  constructor(columns: number, rows = 30) {
    const options = { cols: columns, rows, scrollback: 10_000, allowProposedApi: true };
    this.terminal = new xterm.Terminal(options);
    this.terminal.parser.registerCsiHandler({ final: 'J' }, () => {
      const { cursorX, cursorY } = this.terminal.buffer.active;
      if (cursorX === 0 && cursorY === 0) this.wholeErasures++;
      return false;
    });
  }

  write(text: string): Promise<void> {
    return new Promise((resolve) => this.terminal.write(text, resolve));
  }

  resize(columns: number, rows: number): void {
    this.terminal.resize(columns, rows);
  }

  get cursorColumn(): number {
    return this.terminal.buffer.active.cursorX;
  }

  /** All lines down to the cursor, or below it if there is text; trailing blanks are removed. */
  get lines(): string[] {
    const { active } = this.terminal.buffer;
    const lines: string[] = [];
    for (let row = 0; row < active.length; row++) {
      lines.push(active.getLine(row)?.translateToString(true) ?? '');
    }
    const cursorRow = active.baseY + active.cursorY;
    while (lines.length > cursorRow + 1 && lines.at(-1) === '') lines.pop();
    return lines;
  }

  /** The visible lines. */
  get visibleLines(): string[] {
    return this.lines.slice(this.terminal.buffer.active.baseY);
  }

  /** Like `lines`, with wrapped lines joined. */
  get unbrokenLines(): string[] {
    const { active } = this.terminal.buffer;
    const whole: string[] = [];
    this.lines.forEach((line, row) => {
      if (active.getLine(row)?.isWrapped) whole[whole.length - 1] += line;
      else whole.push(line);
    });
    return whole;
  }
}

/** @returns the final lines on a terminal of this width */
export async function toScreen(output: string, columns: number): Promise<string[]> {
  const screen = new TerminalScreen(columns);
  await screen.write(output);
  return screen.lines;
}
