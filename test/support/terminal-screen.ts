/** What a terminal shows of a program's output, as far as our programs steer it. */

/** @returns the lines on the screen, with blanks at their ends taken away */
export function toScreen(output: string, columns: number): string[] {
  const lines: string[][] = [[]];
  let row = 0;
  let column = 0;
  const toRow = (next: number) => {
    row = next;
    while (lines.length <= row) lines.push([]);
  };
  // biome-ignore lint/suspicious/noControlCharactersInRegex: a terminal's output is made of them
  for (const [token] of output.matchAll(/\x1b\[[0-9;?]*[A-Za-z]|./gsu)) {
    const line = lines[row] ?? [];
    if (token === '\r') column = 0;
    else if (token === '\n') toRow(row + 1);
    else if (token === '\x1b[K') line.length = Math.min(line.length, column);
    else if (token === '\x1b[J' || token === '\x1b[0J') {
      line.length = Math.min(line.length, column);
      lines.length = row + 1;
    } else if (token.startsWith('\x1b[') && token.endsWith('A')) {
      row = Math.max(0, row - Number.parseInt(token.slice(2), 10));
    } else if (token.startsWith('\x1b[') && token.endsWith('G')) {
      column = Number.parseInt(token.slice(2), 10) - 1;
    } else if (token.startsWith('\x1b')) throw new Error(`unknown: ${JSON.stringify(token)}`);
    else {
      if (column === columns) {
        toRow(row + 1);
        column = 0;
      }
      const target = lines[row] ?? [];
      while (target.length < column) target.push(' ');
      target[column++] = token;
    }
  }
  return lines.map((line) => line.join('').trimEnd());
}
