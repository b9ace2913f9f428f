/** The help of every command at any width. */
import t from 'tap';
import { parse } from '../../../src/cli/command.js';
import { everyCommand } from '../../../src/cli/commands/every-command.js';
import { createSendParser } from '../../../src/cli/commands/send-arguments.js';
import { describeOption, withCommonOptions } from '../../../src/cli/help/command-help.js';
import { renderHelp } from '../../../src/cli/help/render-help.js';

const words = (text: string) => text.split(/\s+/).filter((word) => word !== '' && word !== '#');

for (const help of everyCommand()) {
  t.test(`${help.name}: the help fits the terminal, and no word is cut`, async (t) => {
    const wide = new Set(words(renderHelp(help, 10_000)));
    for (const columns of [40, 60, 80, 100, 120]) {
      const text = renderHelp(help, columns);
      for (const line of text.split('\n')) {
        t.ok(line.length <= columns, `${columns} columns: ${line}`);
        t.equal(line, line.trimEnd());
      }
      const cut = words(text).filter((word) => !wide.has(word));
      t.same(cut, [], `${columns} columns: no part of a word stands alone`);
    }
  });

  t.test(`${help.name}: each option says what its value is and what it does`, async (t) => {
    const seen = new Set<string>();
    for (const options of Object.values(withCommonOptions(help.groups))) {
      for (const [name, option] of Object.entries(options)) {
        t.notOk(seen.has(name), `--${name} is under one heading`);
        seen.add(name);
        if (option.alias !== undefined) {
          t.notOk(seen.has(option.alias), `-${option.alias} means one option`);
          t.match(option.alias, /^[a-zA-Z]$/);
          seen.add(option.alias);
        }
        t.equal(option.value !== undefined, option.type === 'string', `--${name} and its value`);
        t.notMatch(describeOption(option), /undefined|true|false|\.$/, `--${name}`);
      }
    }
  });
}

t.test('at no width does the help lose an option', async (t) => {
  const { help } = createSendParser();
  const options = Object.values(withCommonOptions(help.groups)).flatMap((group) =>
    Object.keys(group),
  );
  for (const columns of [1, 20, 33, 71, 72, 73, 130]) {
    const text = renderHelp(help, columns).replaceAll(/\s+/g, '');
    for (const option of options) {
      t.ok(
        text.includes(`--${option}`) || text.includes(`--no-${option}`),
        `--${option} at ${columns} columns`,
      );
    }
  }
});

for (const [args, message] of [
  [['--rat', '5'], '--rat: unknown option; did you mean --rate?'],
  [['--no-clober'], '--no-clober: unknown option; did you mean --no-clobber?'],
  [['--dryrun'], '--dryrun: unknown option; did you mean --dry-run?'],
  [['-qZ'], '-Z: unknown option'],
  [['--no-rate'], '--no-rate: unknown option; did you mean --rate?'],
  [['--rate.x', '5'], '--rate.x: unknown option; did you mean --rate?'],
  [['--frobnicate'], '--frobnicate: unknown option'],
  [['--rate'], 'option rate: needs a value'],
] as const) {
  t.test(`a wrong option is refused: ${args.join(' ')}`, async (t) => {
    const code = 'INVALID_ARGUMENT';
    await t.rejects(parse(createSendParser(), ['file', ...args]), { code, message });
  });
}

t.test('short options', async (t) => {
  const args = ['file', '-nq', '-t', 'lab1', '-tlab2', '-p', '7000', '-r5MB', '--', '-h', '--rat'];
  t.match(await parse(createSendParser(), args), {
    _: ['file', '-h', '--rat'],
    'dry-run': true,
    quiet: true,
    to: ['lab1', 'lab2'],
    port: '7000',
    rate: '5MB',
  });
});
