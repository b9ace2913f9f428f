/** Breaks lines that are wider than the terminal between words, which the terminal itself does not. */
import wrapAnsi from 'wrap-ansi';
import { widthOf } from './text.js';

/** With fewer columns, most words would have a line of their own. */
const leastColumns = 20;

/** Lines after the first have this more. */
const hangingIndent = '  ';

/** A line to copy into a file of keys. Line breaks of the terminal are not copied, but these would be. */
const lineToCopy = /\S+ p2mp-x25519 .*/u;

/** Takes one column, and is no place for a line break. */
const fixedSpace = '\u{e000}';

/** @param rendered text that can have colors; a word that is wider than the terminal is left whole */
export function wrapWords(rendered: string, columns: number): string {
  if (columns < leastColumns) return rendered;
  return rendered
    .split('\n')
    .map((line) => (widthOf(line) <= columns ? line : wrapLine(line, columns)))
    .join('\n');
}

function wrapLine(line: string, columns: number): string {
  const [indent = ''] = /^ */u.exec(line) ?? [];
  const fixed = line
    .slice(indent.length)
    .replace(lineToCopy, (each) => each.replaceAll(' ', fixedSpace));
  const room = columns - indent.length - hangingIndent.length;
  const wrapped = wrapAnsi(fixed, room).split('\n').join(`\n${indent}${hangingIndent}`);
  return `${indent}${wrapped.replaceAll(fixedSpace, ' ')}`;
}
