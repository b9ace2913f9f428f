// Parses the --help of all commands. The help is the single source of man pages and completions,
// since it is generated from the options that are parsed.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** In a fixed language, and without names of this host in the defaults. */
const env = { ...process.env, LC_ALL: 'C', LANG: 'C', P2MP_HOME: '~/.config/p2mp' };

/** @returns every command: `p2mp`, `p2mp send`, ..., `p2mpserver` */
export async function readCommands(distFolder) {
  const ask = async (name) => {
    const [program, ...verb] = name.split(' ');
    const args = [`${distFolder}/cli/${program}.js`, ...verb, '--help'];
    return parseHelp(name, (await run(process.execPath, args, { env })).stdout);
  };
  const main = await ask('p2mp');
  const others = [...main.verbs.map(({ verb }) => `p2mp ${verb}`), 'p2mpclient', 'p2mpserver'];
  return [main, ...(await Promise.all(others.map(ask)))];
}

/**
 * @param text of --help, in which blank lines separate usage, prose, options, examples and exit
 * codes
 */
export function parseHelp(name, text) {
  const blocks = text.trimEnd().split(/\n\n+/);
  const command = { name, synopsis: [], prose: [], verbs: [], options: [], examples: [] };
  command.synopsis = blocks.shift().split('\n');
  for (const block of blocks) {
    const [head, ...lines] = block.split('\n');
    if (head === 'Options:') command.options = lines.map((line) => parseOption(name, line));
    else if (head === 'Examples:') command.examples = lines.map(parseExample);
    else if (head.startsWith('Exit codes: ')) command.exitCodes = parseExitCodes(block);
    else if (/^ {2}p2mp \w+ {2}/.test(head)) command.verbs = block.split('\n').map(parseVerb);
    else command.prose.push(block.split('\n'));
  }
  if (command.options.length === 0) throw new Error(`${name} --help: has no options`);
  return command;
}

function parseOption(name, line) {
  const match =
    /^ {2}(?:-(?<short>\w), | {4})--(?<long>[\w-]+) +(?<what>.*?) {2}\[(?<type>boolean|string|array)\](?: \[default: (?<value>.*)\])?$/.exec(
      line,
    );
  if (match === null) throw new Error(`${name} --help: no option: ${line}`);
  const { short, long, what, type, value } = match.groups;
  return {
    long,
    short,
    what,
    takesValue: type !== 'boolean',
    isRepeatable: type === 'array',
    // A switch that is on by default can be turned off.
    isNegated: type === 'boolean' && value === 'true',
    byDefault: type === 'boolean' ? undefined : value?.replace(/^"(.*)"$/, '$1'),
  };
}

function parseExample(line) {
  const [, text, what] = /^ {2}(.*?) {2,}(\S.*)$/.exec(line);
  return { text, what };
}

function parseVerb(line) {
  const [, verb, what] = /^ {2}p2mp (\w+) +(.*)$/.exec(line);
  return { verb, what };
}

function parseExitCodes(block) {
  const list = block
    .replaceAll('\n', ' ')
    .replace(/^Exit codes: /, '')
    .replace(/\.$/, '');
  return list.split('; ').map((each) => {
    const [, code, what] = /^(\d+) (.*)$/.exec(each);
    return { code, what };
  });
}
