/** Breaks lines that are wider than the terminal between words, which the terminal itself does not. */
import wrapAnsi from 'wrap-ansi';
import { plain, shorten, widthOf } from './text.js';

/** With fewer columns, most words would have a line of their own. */
const leastColumns = 20;

/** Lines after the first have this more. */
const hangingIndent = '  ';

/** A line to copy into a file of keys. Line breaks of the terminal are not copied, but these would be. */
const lineToCopy = /\S+ p2mp-x25519 .*/u;

/** Between a number and its unit, which belong together. */
const spaceBeforeUnit = /(?<=\d) (?=(?:%|ms|s|[kMGT]?B(?:\/s)?)(?![\p{L}\p{N}]))/gu;

/** Takes one column, and is no place for a line break. */
const fixedSpace = '\u{e000}';

/** A digest after other words. One at the begin of a line is there to be copied. */
const laterDigest = /(?<=\S +)\b[0-9a-f]{64}\b/gu;

/** What a digest is shortened to: two of them that look alike are the same. */
const digestColumns = 33;

/**
 * @param rendered text that can have colors; a digest that is wider than the terminal is shortened in the middle, and any
 *   other such word is left whole
 */
export function wrapWords(rendered: string, columns: number, ellipsis = '…'): string {
  if (columns < leastColumns) return rendered;
  return rendered
    .split('\n')
    .map((line) => (widthOf(line) <= columns ? line : wrapLine(line, columns, ellipsis)))
    .join('\n');
}

function wrapLine(whole: string, columns: number, ellipsis: string): string {
  const line = shortenDigests(whole, columns, ellipsis);
  if (widthOf(line) <= columns) return line;
  const [indent = ''] = /^ */u.exec(line) ?? [];
  const fixed = line
    .slice(indent.length)
    .replace(spaceBeforeUnit, fixedSpace)
    .replace(lineToCopy, (each) => each.replaceAll(' ', fixedSpace));
  const room = columns - indent.length - hangingIndent.length;
  const wrapped = wrapAnsi(fixed, room).split('\n').join(`\n${indent}${hangingIndent}`);
  return `${indent}${wrapped.replaceAll(fixedSpace, ' ')}`;
}

function shortenDigests(line: string, columns: number, ellipsis: string): string {
  const room = columns - 2 * hangingIndent.length;
  return line.replace(laterDigest, (digest) =>
    digest.length <= room
      ? digest
      : plain(shorten(digest, Math.min(digestColumns, room), 'middle', ellipsis)),
  );
}
