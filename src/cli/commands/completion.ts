/** `p2mp completion <shell>`: prints a shell completion script. */
import { readFile } from 'node:fs/promises';
import { P2mpError } from '../../base/errors.js';
import { parseChoice } from '../arguments.js';
import { createParser, parse } from '../command.js';
import type { ExitCode } from '../exit-code.js';
import { exitCode } from '../exit-code.js';
import { Output } from '../output/output.js';

const usage = [
  '$0 <bash|zsh|fish> [options]',
  '',
  'Prints a shell completion script for p2mp, p2mpclient and p2mpserver. The script completes',
  'commands, options, files and host names. The examples show how to load the script.',
].join('\n');

const exitCodes = 'Exit codes: 0 success; 2 usage error; 4 file error.';

/** File name of the script for each shell. The build generates the scripts (see command-docs/). */
const scripts = { bash: 'p2mp.bash', zsh: '_p2mp', fish: 'p2mp.fish' } as const;

export function createCompletionParser() {
  return createParser({
    name: 'p2mp completion',
    usage,
    groups: {},
    examples: [
      ['source <($0 bash)', 'add to ~/.bashrc'],
      ['source <($0 zsh)', 'add to ~/.zshrc, after compinit'],
      ['$0 fish > ~/.config/fish/completions/p2mp.fish', 'run once'],
    ],
    exitCodes,
  });
}

export async function completion(args: readonly string[]): Promise<ExitCode> {
  const argv = await parse(createCompletionParser(), args);
  if (typeof argv === 'number') return argv;
  const [shell, ...more] = argv._;
  if (shell === undefined || more.length > 0) {
    const { length } = argv._;
    throw new P2mpError('INVALID_ARGUMENT', `${length} arguments: expected exactly 1, the shell`);
  }
  const shells = Object.keys(scripts) as (keyof typeof scripts)[];
  const file = scripts[parseChoice(undefined, String(shell), shells)];
  const script = await readFile(new URL(`../../completions/${file}`, import.meta.url), 'utf8');
  const output = new Output({ isJson: argv.json, isQuiet: argv.quiet, color: argv.color });
  output.json({ event: 'result', status: 'printed', shell, script });
  output.line(script.trimEnd());
  output.flush();
  return exitCode.ok;
}
