/** Colors, and the characters that a terminal can show. */
import stringWidth from 'string-width';
import t from 'tap';
import { bar, etaPart, formatEta } from '../../../src/cli/output/progress/progress-parts.js';
import { formatTable } from '../../../src/cli/output/table.js';
import {
  asciiGlyphs,
  chooseGlyphs,
  colorModeOf,
  unicodeGlyphs,
  usesColor,
} from '../../../src/cli/output/terminal-look.js';
import { join, plain, render, shorten, toned, widthOf } from '../../../src/cli/output/text.js';

t.test('who decides on colors: the option, NO_COLOR, FORCE_COLOR, the terminal', async (t) => {
  const cases = [
    ['auto', true, {}, true],
    ['auto', false, {}, false],
    ['auto', true, { TERM: 'dumb' }, false],
    ['auto', true, { NO_COLOR: '1' }, false],
    ['auto', true, { NO_COLOR: '' }, true],
    ['auto', false, { FORCE_COLOR: '1' }, true],
    ['auto', false, { FORCE_COLOR: 'true', TERM: 'dumb' }, true],
    ['auto', false, { FORCE_COLOR: '' }, false],
    ['auto', true, { FORCE_COLOR: '0' }, false],
    ['auto', true, { FORCE_COLOR: 'false' }, false],
    ['auto', true, { NO_COLOR: '1', FORCE_COLOR: '1' }, false],
    ['always', false, { NO_COLOR: '1', TERM: 'dumb' }, true],
    ['never', true, { FORCE_COLOR: '1' }, false],
  ] as const;
  for (const [mode, isTerminal, env, expected] of cases) {
    t.equal(usesColor(mode, isTerminal, env), expected, JSON.stringify([mode, isTerminal, env]));
  }
});

t.test(
  'errors in the arguments have colors as well, as far as --color is understood',
  async (t) => {
    t.equal(colorModeOf(['--color', 'always', '--bad']), 'always');
    t.equal(colorModeOf(['--color=never']), 'never');
    t.equal(colorModeOf(['--color=always', '--color', 'never']), 'never');
    t.equal(colorModeOf(['--color', 'sometimes']), 'auto');
    t.equal(colorModeOf(['always']), 'auto');
    t.equal(colorModeOf(['file', '--color']), 'auto');
  },
);

t.test('a name with escape codes neither moves the cursor nor changes a color', async (t) => {
  const name = 'a\x1b[31mb\x1b[2Jc\u202e';
  for (const hasColor of [true, false]) {
    t.equal(render(name, hasColor), 'a\\x1b[31mb\\x1b[2Jc\\x202e');
  }
  t.equal(render(toned('bad', 'x\x1b[0my'), true), '\x1b[31mx\\x1b[0my\x1b[39m');
  t.equal(render(toned('bad', 'x'), false), 'x');
  // Escapes count for the width.
  const [row = ''] = formatTable([[name, toned('good', 'ok')]], 12);
  t.equal(widthOf(row), 12);
  t.match(plain(row), /^a\\x1….* +ok$/);
});

t.test('wide characters take two columns, and those of tables and figures take one', async (t) => {
  t.equal(widthOf('会議'), 4);
  for (const char of '█░·×±–…') t.equal(widthOf(char), stringWidth(char), char);
});

t.test('text without a tone stays a string', async (t) => {
  t.equal(join(['a', 'b'], ', '), 'a, b');
  t.equal(toned(undefined, 'a'), 'a');
  t.same(formatTable([['a', 'b']]), ['a  b']);
});

t.test('a shortened text keeps its tones', async (t) => {
  const text = join([toned('good', 'complete'), ', ', toned('bad', 'failed')]);
  t.equal(plain(shorten(text, 11, 'end')), 'complete, …');
  t.equal(plain(shorten(text, 8, 'end')), 'complet…');
  t.equal(render(shorten(text, 11, 'end'), true), '\x1b[32mcomplete\x1b[39m, \x1b[31m…\x1b[39m');
  t.equal(plain(shorten(toned('good', 'complete'), 5, 'middle', '~')), 'co~te');
  for (let columns = 1; columns < 20; columns++) {
    t.ok(widthOf(shorten(text, columns, 'end')) <= columns, `${columns} columns`);
  }
});

t.test('bars are full only at the end', async (t) => {
  t.equal(plain(bar(0, 4, asciiGlyphs)), '....');
  t.equal(plain(bar(0.5, 4, asciiGlyphs)), '##..');
  t.equal(plain(bar(0.999, 4, asciiGlyphs)), '###.');
  t.equal(plain(bar(1, 4, unicodeGlyphs)), '████');
  t.equal(plain(bar(2, 4, asciiGlyphs)), '####', 'a wrong share does not break the line');
});

t.test('bars have Unicode characters only in a UTF-8 locale', async (t) => {
  const isUnicode = (env: Record<string, string>, platform: NodeJS.Platform = 'linux') =>
    chooseGlyphs(env, platform) === unicodeGlyphs;
  t.equal(isUnicode({ LANG: 'en_US.UTF-8' }), true);
  t.equal(isUnicode({ LANG: 'C.utf8' }), true);
  t.equal(isUnicode({}), false);
  t.equal(isUnicode({ LANG: 'de_DE.ISO-8859-1' }), false);
  t.equal(isUnicode({ LC_ALL: 'C', LANG: 'en_US.UTF-8' }), false, 'LC_ALL comes first');
  t.equal(isUnicode({ LC_CTYPE: 'en_US.UTF-8', LANG: 'C' }), true);
  t.equal(isUnicode({}, 'win32'), false);
  t.equal(isUnicode({ WT_SESSION: 'x' }, 'win32'), true);
  for (const glyph of Object.values(asciiGlyphs)) t.match(glyph, /^[ -~]$/);
});

t.test('a remaining time is short, or not shown', async (t) => {
  t.equal(formatEta(0.2), '1 s');
  t.equal(formatEta(59.2), '1:00');
  t.equal(formatEta(61), '1:01');
  for (const none of [undefined, 0, -1, Number.NaN, Number.POSITIVE_INFINITY, 1e9]) {
    t.equal(formatEta(none), undefined);
    t.equal(etaPart(none), '');
  }
});
