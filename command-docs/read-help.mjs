// Reads the help of all commands from their parsers, which are the single source of man pages and
// completions.
import { pathToFileURL } from 'node:url';

/** @returns every command: `p2mp`, `p2mp send`, ..., `p2mpserver` */
export async function readCommands(distFolder) {
  // Defaults must not contain names of this host.
  process.env.P2MP_HOME = '~/.config/p2mp';
  process.env.HOME = '~';
  delete process.env.XDG_CACHE_HOME;
  const load = (path) => import(pathToFileURL(`${distFolder}/cli/${path}`).href);
  const { everyCommand } = await load('commands/every-command.js');
  const help = await load('help/command-help.js');
  return everyCommand().map((command) => readCommand(command, help));
}

function readCommand(command, { withCommonOptions, longForm, describeOption, readUsage }) {
  const { name, verbs = {}, examples = [], exitCodes } = command;
  const groups = Object.entries(withCommonOptions(command.groups)).map(([heading, options]) => ({
    heading,
    options: Object.entries(options).map(([long, option]) => ({
      long,
      short: option.alias,
      what: describeOption(option),
      value: option.value,
      takesValue: option.type === 'string',
      // Such a value is part of the same word as the option: --invite=3.
      isValueOptional: option.value?.startsWith('[=') === true,
      isRepeatable: option.array === true,
      isNegated: longForm(long, option) !== `--${long}`,
    })),
  }));
  return {
    name,
    ...readUsage(command),
    groups,
    options: groups.flatMap(({ options }) => options),
    verbs: Object.entries(verbs).map(([verb, what]) => ({ verb, what })),
    examples: examples.map(([text, what]) => ({ text: text.replaceAll('$0', name), what })),
    exitCodes: parseExitCodes(exitCodes),
  };
}

function parseExitCodes(sentence) {
  const list = sentence
    .replaceAll('\n', ' ')
    .replace(/^Exit codes: /, '')
    .replace(/\.$/, '');
  return list.split('; ').map((each) => {
    const [, code, what] = /^(\d+) (.*)$/.exec(each);
    return { code, what };
  });
}
