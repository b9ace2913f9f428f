/**
 * Text whose parts can have a tone, which a terminal shows as a color. The text itself has no escape codes: they
 * are added when it is printed, after all control characters in it have been escaped. So a name from another
 * host can neither move the cursor nor change a color.
 */
import { styleText } from 'node:util';
import cliTruncate from 'cli-truncate';
import stringWidth from 'string-width';
import { escapeControls, escapeControlsInLines } from '../../base/control-characters.js';

/** What a part of a text means. The text must say the same in words. */
export type Tone = 'good' | 'bad' | 'warning' | 'active' | 'faint' | 'strong';

export interface Span {
  readonly text: string;
  readonly tone?: Tone | undefined;
}

/** Text for people. Without any tone, it is always a string. */
export type Text = string | readonly Span[];

const styles = {
  good: 'green',
  bad: 'red',
  warning: 'yellow',
  active: 'cyan',
  faint: 'dim',
  strong: 'bold',
} as const satisfies Record<Tone, string>;

export function toned(tone: Tone | undefined, text: string): Text {
  return tone === undefined || text === '' ? text : [{ text, tone }];
}

export function spansOf(text: Text): readonly Span[] {
  return typeof text === 'string' ? [{ text }] : text;
}

/** Joins texts. @returns a string if none of them has a tone */
export function join(texts: readonly string[], separator?: string): string;
export function join(texts: readonly Text[], separator?: string): Text;
export function join(texts: readonly Text[], separator = ''): Text {
  const spans: Span[] = [];
  texts.forEach((text, i) => {
    if (i > 0 && separator !== '') spans.push({ text: separator });
    spans.push(...spansOf(text));
  });
  return spans.every(({ tone }) => tone === undefined)
    ? spans.map(({ text }) => text).join('')
    : spans;
}

/** @returns the text without its tones */
export function plain(text: Text): string {
  return typeof text === 'string' ? text : text.map((span) => span.text).join('');
}

/** @returns the text with its control characters escaped, so that its width is that of the printed text */
export function escapeText(text: Text): Text {
  if (typeof text === 'string') return escapeControls(text);
  return text.map((span) => ({ ...span, text: escapeControls(span.text) }));
}

/** Text in which each character takes one column: most names, all figures, and the bars. */
const narrowOnly = /^[ -~█░·×±–…]*$/;

/** @returns the number of columns that the text takes on a terminal */
export function widthOf(text: Text): number {
  const string = plain(text);
  // A table has hundreds of cells and is drawn many times per second, and string-width is slow.
  return narrowOnly.test(string) ? string.length : stringWidth(string);
}

/**
 * Shortens the text to the number of columns.
 * @param position where the ellipsis replaces a part; a text with several tones is always shortened at its end
 */
export function shorten(
  text: Text,
  columns: number,
  position: 'middle' | 'end',
  ellipsis = '…',
): Text {
  if (widthOf(text) <= columns) return text;
  if (typeof text === 'string') return shortenString(text, columns, position, ellipsis);
  const [only, ...others] = text;
  if (only === undefined) return text;
  if (others.length === 0) {
    return [{ ...only, text: shortenString(only.text, columns, position, ellipsis) }];
  }
  const spans: Span[] = [];
  let room = columns;
  for (const span of text) {
    const width = widthOf(span.text);
    const isLast = width >= room;
    spans.push(
      isLast ? { ...span, text: shortenString(`${span.text} `, room, 'end', ellipsis) } : span,
    );
    if (isLast) break;
    room -= width;
  }
  return spans;
}

function shortenString(
  text: string,
  columns: number,
  position: 'middle' | 'end',
  ellipsis: string,
) {
  const options = { position, truncationCharacter: ellipsis };
  let shorter = cliTruncate(text, columns, options);
  // With wide characters, cli-truncate can return one column too many.
  for (let room = columns - 1; room >= 0 && stringWidth(shorter) > columns; room--) {
    shorter = cliTruncate(text, room, options);
  }
  return shorter;
}

/** @returns the text for a terminal or a file; control characters other than line breaks are escaped */
export function render(text: Text, hasColor: boolean): string {
  return spansOf(text)
    .map((span) => {
      const safe = escapeControlsInLines(span.text);
      if (!hasColor || span.tone === undefined || safe === '') return safe;
      // The command itself decides on colors: see terminal-look.ts.
      return styleText(styles[span.tone], safe, { validateStream: false });
    })
    .join('');
}

/** @returns the tone of the status of a receiver or of a transfer */
export function statusTone(status: string): Tone {
  return status === 'complete' ? 'good' : 'bad';
}
