/** What a terminal can show: colors, and characters beyond ASCII. */

export const colorModes = ['auto', 'always', 'never'] as const;
export type ColorMode = (typeof colorModes)[number];

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Decides on colors. In order of precedence: `--color always` and `never`; NO_COLOR; FORCE_COLOR; and whether
 * the stream is a terminal other than TERM=dumb. A variable with an empty value counts as not set.
 */
export function usesColor(mode: ColorMode, isTerminal: boolean, env: Environment): boolean {
  if (mode !== 'auto') return mode === 'always';
  if (env['NO_COLOR']) return false;
  const force = env['FORCE_COLOR'];
  if (force) return force !== '0' && force !== 'false';
  return isTerminal && env['TERM'] !== 'dumb';
}

/** @returns the value of `--color` before the arguments are parsed; `auto` if it is missing or invalid */
export function colorModeOf(args: readonly string[]): ColorMode {
  const index = args.findLastIndex((arg) => /^--color(=|$)/.test(arg));
  const given = args[index]?.split('=')[1] ?? args[index + 1];
  return colorModes.find((mode) => index >= 0 && mode === given) ?? 'auto';
}

/** The characters of bars, and the character that replaces what does not fit. */
export interface Glyphs {
  readonly done: string;
  readonly rest: string;
  readonly ellipsis: string;
}

export const unicodeGlyphs: Glyphs = { done: '█', rest: '░', ellipsis: '…' };
export const asciiGlyphs: Glyphs = { done: '#', rest: '.', ellipsis: '~' };

/** @returns Unicode where the locale is one of UTF-8, and in Windows Terminal and Visual Studio Code; else ASCII */
export function chooseGlyphs(env: Environment, platform: NodeJS.Platform): Glyphs {
  const locale = env['LC_ALL'] || env['LC_CTYPE'] || env['LANG'] || '';
  const isUnicode =
    platform === 'win32'
      ? env['WT_SESSION'] !== undefined || env['TERM_PROGRAM'] === 'vscode'
      : /utf-?8/i.test(locale);
  return isUnicode ? unicodeGlyphs : asciiGlyphs;
}
