/** What a terminal shows of a program's output. */
import xterm from '@xterm/headless';

/** A terminal that remembers what leaves its upper edge. */
export class TerminalScreen {
  private readonly terminal: xterm.Terminal;

  constructor(columns: number, rows = 30) {
    const options = { cols: columns, rows, scrollback: 10_000, allowProposedApi: true };
    this.terminal = new xterm.Terminal(options);
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

  /** Everything down to the cursor, or to what is below it; blanks at the ends of lines are taken away. */
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

  /** What is within the window. */
  get visibleLines(): string[] {
    return this.lines.slice(this.terminal.buffer.active.baseY);
  }

  /** As `lines`, those that were broken at the right edge put together. */
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

/** @returns the lines that a terminal of so many columns shows in the end */
export async function toScreen(output: string, columns: number): Promise<string[]> {
  const screen = new TerminalScreen(columns);
  await screen.write(output);
  return screen.lines;
}
