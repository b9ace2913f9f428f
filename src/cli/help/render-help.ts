/** Renders the help of a command for any width, broken at words. */
import { homedir } from 'node:os';
import wrapAnsi from 'wrap-ansi';
import type { CommandHelp, CommandOption } from './command-help.js';
import { describeOption, longForm, readUsage, withCommonOptions } from './command-help.js';

/** Beyond this width, lines are hard to read. */
const maxColumns = 120;

/** From this width on, each option and its description stand side by side. */
const sideBySideColumns = 72;

/** Width of the column of options, if the descriptions stand beside them. */
const headColumns = 32;

/** @returns the width of the terminal; without one, the environment variable COLUMNS, or else 80 */
export function helpColumns(): number {
  if (process.stdout.isTTY && process.stdout.columns > 0) return process.stdout.columns;
  const given = Number(process.env['COLUMNS']);
  return Number.isInteger(given) && given > 0 ? given : 80;
}

/**
 * @returns the help, without a line break at its end. No line is wider than `columns`, unless `columns` is
 * below 20.
 */
export function renderHelp(help: CommandHelp, columns: number): string {
  const width = Math.max(20, Math.min(columns, maxColumns));
  const { synopsis, prose } = readUsage(help);
  const { name, verbs = {}, examples = [], exitCodes } = help;
  const blocks = [
    synopsis.flatMap((line) => wrap(line, width, '', '    ')),
    ...prose.map((paragraph) => wrap(paragraph, width)),
  ];
  const verbItems = Object.entries(verbs).map(([verb, what]) => item(verb, what, width, 16));
  if (verbItems.length > 0) blocks.push(['Commands:', ...verbItems.flat()]);
  for (const [heading, options] of Object.entries(withCommonOptions(help.groups))) {
    const items = Object.entries(options).map(([option, about]) => {
      const what = describeOption(about).replaceAll(homedir(), '~');
      return item(headOf(option, about), what, width, headColumns);
    });
    blocks.push([`${heading}:`, ...items.flat()]);
  }
  const exampleLines = examples.flatMap(([command, what]) => [
    ...wrap(`# ${what}`, width, '  ', '  # '),
    ...wrap(command.replaceAll('$0', name), width, '  ', '    '),
  ]);
  if (exampleLines.length > 0) blocks.push(['Examples:', ...exampleLines]);
  blocks.push(wrap(exitCodes.replaceAll('\n', ' '), width));
  return blocks.map((lines) => lines.join('\n')).join('\n\n');
}

function headOf(name: string, option: CommandOption): string {
  const short = option.alias === undefined ? '    ' : `-${option.alias}, `;
  const { type, value = 'VALUE' } = option;
  // A value that may be left out must follow the option in the same word: --invite[=COUNT].
  const space = value.startsWith('[=') ? '' : ' ';
  return `${short}${longForm(name, option)}${type === 'string' ? space + value : ''}`;
}

/** An option or a command, and what it does: beside it if there is room, otherwise below it. */
function item(head: string, what: string, width: number, column: number): string[] {
  if (width < sideBySideColumns) return [...wrap(head, width, '  ', '      '), ...below(6)];
  const indent = ' '.repeat(column);
  const first = `  ${head}`;
  if (first.length + 2 > column) return [first, ...below(column)];
  const [line = '', ...more] = wrap(what, width, indent);
  return [first.padEnd(column) + line.slice(column), ...more];

  function below(columns: number): string[] {
    return wrap(what, width, ' '.repeat(columns));
  }
}

/** Breaks text at words. Only a word that is wider than a whole line is cut. */
function wrap(text: string, width: number, first = '', next = first): string[] {
  const room = width - Math.max(first.length, next.length);
  const lines = wrapAnsi(text.trim(), room, { hard: true }).split('\n');
  return lines.map((line, index) => `${index === 0 ? first : next}${line}`);
}
