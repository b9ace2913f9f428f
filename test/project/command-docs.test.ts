/**
 * Man pages and completions are complete, derived from --help, and valid for man and the shells.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { logFormats, logLevels } from '../../src/cli/output/log-output.js';
import { distFolder, projectFolder, startCommand } from '../support/processes.js';

const manFolder = join(distFolder, 'man');
const scripts = join(distFolder, 'completions');
const bashScript = join(scripts, 'p2mp.bash');

const verbs = [
  ...['send', 'receive', 'serve', 'fetch', 'relay', 'exchange', 'list', 'peers'],
  ...['digest', 'keygen', 'experiment', 'completion'],
];
const commands = ['p2mp', ...verbs.map((verb) => `p2mp ${verb}`), 'p2mpclient', 'p2mpserver'];

/** Options as a user types them. */
async function optionsOf(t: Test, command: string): Promise<string[]> {
  const [program = '', ...verb] = command.split(' ');
  const name = program as Parameters<typeof startCommand>[1];
  const { stdout } = await startCommand(t, name, [...verb, '--help']).exited;
  return [...stdout.matchAll(/^ {2}(?:-\w, | {4})--([\w-]+)/gm)].map(([, long]) => `${long}`);
}

function read(folder: string, name: string): string {
  return readFileSync(join(folder, name), 'utf8');
}

for (const command of commands) {
  t.test(`${command}: every option is in its man page and in the completions`, async (t) => {
    const options = await optionsOf(t, command);
    t.ok(options.length >= 5, options.join(' '));
    const page = read(manFolder, `${command.replace(' ', '-')}.1`);
    const [bash, zsh, fish] = ['p2mp.bash', '_p2mp', 'p2mp.fish'].map((name) =>
      read(scripts, name),
    );
    const words = bash?.split('\n').find((line) => line.includes(`'${command}')`));
    for (const option of options) {
      t.ok(page.includes(`\\-\\-${option.replaceAll('-', '\\-')}\\fR`), `${option} in the page`);
      t.match(words, new RegExp(`--${option}[ ']`), 'bash');
      t.ok(zsh?.includes(`--${option}`), 'zsh');
      t.match(
        fish,
        new RegExp(`^complete -c ${command.split(' ')[0]} .*-l ${option} `, 'm'),
        'fish',
      );
    }
  });
}

t.test('every command is on the page of p2mp, and has its own page', async (t) => {
  const page = read(manFolder, 'p2mp.1');
  for (const verb of verbs) t.ok(page.includes(`\n.B ${verb}\n`), verb);
  const names = commands.map((command) => `${command.replace(' ', '-')}.1`);
  t.same(readdirSync(manFolder).sort(), names.sort());
  const { man } = JSON.parse(readFileSync(join(projectFolder, 'package.json'), 'utf8'));
  t.same([...man].sort(), names.map((name) => `dist/man/${name}`).sort(), 'the page is installed');
});

t.test('pages contain nothing from the build host', async (t) => {
  for (const name of readdirSync(manFolder)) {
    t.notOk(read(manFolder, name).includes(process.env['HOME'] ?? '/root'), name);
  }
});

/** Runs a program, or skips the test with its name if it is missing. */
function run(t: Test, program: string, args: readonly string[]) {
  const { error, ...result } = spawnSync(program, args, {
    encoding: 'utf8',
    timeout: 600_000,
  });
  if ((error as NodeJS.ErrnoException | undefined)?.code !== 'ENOENT') return result;
  t.pass(`no ${program} here`, { skip: true });
  return undefined;
}

for (const [program, ...args] of [
  ['groff', '-man', '-ww', '-Tutf8'],
  ['man', '--warnings', '-E', 'UTF-8', '-l'],
] as const) {
  t.test(`${program} formats every page without a warning`, async (t) => {
    for (const name of readdirSync(manFolder)) {
      const result = run(t, program, [...args, join(manFolder, name)]);
      if (result === undefined) return;
      t.match(result, { status: 0, stderr: '' }, name);
      t.match(result.stdout, /Show this help/);
    }
  });
}

/** Completions of bash after these words, the last of which is incomplete. */
const askBash = `
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_p2mp
printf '%s\\n' "\${COMPREPLY[@]}"
`;

const plans = readdirSync(join(projectFolder, 'experiments/plans')).map((name) =>
  name.slice(0, -5),
);

/**
 * Command lines, the last word incomplete, with the expected completions; files are those of the
 * project folder.
 */
const cases: readonly (readonly [string, readonly string[]])[] = [
  ['p2mp re', ['receive', 'relay']],
  ['p2mp ', [...verbs, 'help']],
  ['p2mp help ', verbs],
  ['p2mp receive --log', ['--log', '--log-level']],
  ['p2mp receive --log ', logFormats],
  ['p2mp receive --log-level ', logLevels],
  ['p2mp receive --dir command', ['command-docs']],
  ['p2mp receive --key CONTRIB', ['CONTRIBUTING.md']],
  ['p2mp receive --invite --log-l', ['--log-level']],
  ['p2mp receive --color ', ['auto', 'always', 'never']],
  ['p2mp send CONTRIB', ['CONTRIBUTING.md']],
  ['p2mp send --no-', ['--no-clobber']],
  ['p2mp experiment receivers-', plans.filter((name) => name.startsWith('receivers-'))],
  ['p2mp completion ', ['bash', 'zsh', 'fish']],
  ['p2mpclient --wi', ['--window']],
  ['p2mpserver --mu', ['--must-end']],
];

for (const [line, expected] of cases) {
  t.test(`bash completes: ${line}`, async (t) => {
    const result = run(t, 'bash', [
      '-c',
      `cd '${projectFolder}'\n${askBash}`,
      'bash',
      bashScript,
      ...line.split(' '),
    ]);
    if (result === undefined) return;
    t.equal(result.stderr, '');
    t.same(result.stdout.trimEnd().split('\n').sort(), [...expected].sort());
  });

  t.test(`fish completes: ${line}`, async (t) => {
    const command = 'cd $argv[1]; source $argv[2]; complete -C $argv[3]';
    const script = join(scripts, 'p2mp.fish');
    const result = run(t, 'fish', ['-c', command, projectFolder, script, line]);
    if (result === undefined) return;
    t.equal(result.stderr, '');
    const offered = result.stdout.split('\n').map((each) => each.replace(/\/?(\t.*)?$/, ''));
    for (const word of expected) t.ok(offered.includes(word), word);
  });
}

t.test('bash accepts an option and its value as one word', async (t) => {
  const words = ['p2mp', 'receive', '--log', '=', 'j'];
  const result = run(t, 'bash', ['-c', askBash, 'bash', bashScript, ...words]);
  if (result !== undefined) t.match(result, { stdout: 'json\njournal\n', stderr: '' });
});

/**
 * Types a partial line and a tab into an interactive zsh; ends when the whole word is on the
 * screen.
 */
const askZsh = `
zmodload zsh/zpty
zpty shell "TERM=dumb PS1='> ' zsh -f -i"
zpty -w shell "autoload -U compinit; compinit -D -u; source '$1'; print REA''DY"
zpty -r -m shell said '*READY*'
zpty -w -n shell "$2"$'\\t'
zpty -r -m shell said "*$3*"
zpty -d shell
`;

for (const [line, word] of [
  ['p2mp rec', 'receive'],
  ['p2mp receive --log-', '--log-level'],
  ['p2mp receive --log js', 'json'],
  ['p2mp receive --invite --log-', '--log-level'],
  ['p2mp experiment receivers-', 'receivers-real'],
  ['p2mp completion f', 'fish'],
  ['p2mpserver --mu', '--must-end'],
] as const) {
  t.test(`zsh completes: ${line}`, async (t) => {
    const result = run(t, 'zsh', ['-fc', askZsh, 'zsh', join(scripts, '_p2mp'), line, word]);
    if (result !== undefined) t.match(result, { status: 0, stderr: '' });
  });
}

for (const [shell, file] of Object.entries({
  bash: 'p2mp.bash',
  zsh: '_p2mp',
  fish: 'p2mp.fish',
})) {
  t.test(`p2mp completion ${shell}`, async (t) => {
    const exit = await startCommand(t, 'p2mp', ['completion', shell]).exited;
    t.match(exit, { code: 0, stderr: '' });
    t.equal(exit.stdout, read(scripts, file));
  });
}

t.test('p2mp completion with an unknown shell', async (t) => {
  const unknown = await startCommand(t, 'p2mp', ['completion', 'tcsh']).exited;
  t.match(unknown, { code: 2, stdout: '', stderr: /tcsh: must be one of bash, zsh, fish / });
  const none = await startCommand(t, 'p2mp', ['completion']).exited;
  t.match(none, { code: 2, stdout: '', stderr: /0 arguments: expected exactly 1, the shell / });
});
