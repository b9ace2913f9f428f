/** Usage errors and bad input: one line that names the problem, an exit code, and no files left. */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { openSilentPort } from '../../support/loopback.js';
import { distFolder, Program, startCommand } from '../../support/processes.js';

t.jobs = 4;

interface Refusal {
  readonly args: string;
  readonly code: 2 | 4;
  /** The text after the name of the command. */
  readonly line: string | RegExp;
}

/**
 * Runs a command in a folder that contains `file` and `folder`; arguments are separated by spaces.
 */
async function refuse(
  t: Test,
  name: 'p2mpclient' | 'p2mpserver',
  { args, code, line }: Refusal,
): Promise<void> {
  const cwd = mkdtempSync(join(tmpdir(), 'p2mp-'));
  t.teardown(() => rmSync(cwd, { recursive: true }));
  writeFileSync(join(cwd, 'file'), 'content');
  mkdirSync(join(cwd, 'folder'));
  const words = args.split(' ').filter((word) => word !== '');
  const program = startCommand(t, name, words, { cwd });
  // A command that wrongly accepts its input would run forever.
  const kill = () => program.kill('SIGKILL');
  program.waitFor(/\n/).then(kill, () => undefined);
  const exit = await program.exited;
  t.equal(exit.code, code, 'exit code');
  t.equal(exit.stdout, '', 'nothing on standard output');
  t.match(exit.stderr, /^[^\n]+\n$/, 'one line');
  t.ok(exit.stderr.startsWith(`${name}: `), 'the line starts with the name of the command');
  t.match(exit.stderr.slice(name.length + 2), line);
  t.equal(
    exit.stderr.includes(`(see ${name} --help)`),
    code === 2,
    'only usage errors point to the help',
  );
  t.same(readdirSync(cwd).sort(), ['file', 'folder'], 'no file is created or deleted');
}

const client: readonly Refusal[] = [
  { args: '', code: 2, line: '0 arguments: expected at least 4' },
  { args: 'localhost 7735 file', code: 2, line: '3 arguments: expected at least 4' },
  { args: 'localhost 7735 file 0', code: 2, line: 'MSS 0: ' },
  { args: 'localhost 7735 file -1', code: 2, line: 'MSS -1: ' },
  { args: 'localhost 7735 file 1.5', code: 2, line: 'MSS 1.5: ' },
  { args: 'localhost 7735 file abc', code: 2, line: 'MSS abc: ' },
  { args: 'localhost 7735 file 0x10', code: 2, line: 'MSS 0x10: ' },
  { args: 'localhost 7735 file 65500', code: 2, line: /^MSS 65500: .* from 1 to 65499/ },
  { args: 'a,b 7735 file 500', code: 2, line: 'server a,b: separate servers by spaces: a b' },
  { args: 'localhost 0 file 500', code: 2, line: /^port 0: .* from 1 to 65535/ },
  { args: 'localhost 65536 file 500', code: 2, line: 'port 65536: ' },
  { args: 'localhost abc file 500', code: 2, line: 'port abc: ' },
  { args: 'localhost:0 7735 file 500', code: 2, line: /^port 0: |^server localhost:0: / },
  { args: 'localhost:x 7735 file 500', code: 2, line: /^port x: |^server localhost:x: / },
  { args: 'a:b:c 7735 file 500', code: 2, line: /^(a:b:c|port b:c): / },
  { args: '[localhost]:1 7735 file 500', code: 2, line: '[localhost]:1: ' },
  {
    args: 'localhost localhost 7735 file 500',
    code: 2,
    line: 'localhost and localhost are the same host and port',
  },
  { args: 'localhost 7735 file 500 --timeout 0', code: 2, line: '--timeout 0: ' },
  { args: 'localhost 7735 file 500 --timeout -5', code: 2, line: '--timeout -5: ' },
  { args: 'localhost 7735 file 500 --timeout soon', code: 2, line: '--timeout soon: ' },
  {
    args: 'localhost 7735 file 500 --timeout 1 --timeout 2',
    code: 2,
    line: '--timeout: given more',
  },
  { args: 'localhost 7735 file 500 --give-up-after 0', code: 2, line: '--give-up-after 0: ' },
  { args: 'localhost 7735 file 500 --window 0', code: 2, line: 'window 0: ' },
  { args: 'localhost 7735 file 500 --window 1.5', code: 2, line: '--window 1.5: ' },
  { args: 'localhost 7735 file 500 --bogus', code: 2, line: 'bogus' },
  { args: 'localhost 7735 file 500 --timeout', code: 2, line: 'timeout' },
  { args: 'localhost 7735 file 500 --give-up-after', code: 2, line: 'give-up-after' },
  { args: 'localhost 7735 file 500 --window', code: 2, line: 'window' },
  { args: 'nowhere.invalid 7735 file 500', code: 4, line: 'nowhere.invalid: unknown host name' },
  { args: 'localhost 7735 missing 500', code: 4, line: 'missing: does not exist' },
  { args: 'localhost 7735 folder 500', code: 4, line: 'folder: is a folder' },
  {
    args: 'localhost 7735 file/x 500',
    code: 4,
    line: 'file/x: a part of the path is not a folder',
  },
];

const server: readonly Refusal[] = [
  { args: '', code: 2, line: '0 arguments: expected exactly 3' },
  { args: '0 copy', code: 2, line: '2 arguments: expected exactly 3' },
  { args: '0 copy 0 more', code: 2, line: '4 arguments: expected exactly 3' },
  { args: '-1 copy 0', code: 2, line: 'port -1: ' },
  { args: '65536 copy 0', code: 2, line: 'port 65536: ' },
  { args: 'abc copy 0', code: 2, line: 'port abc: ' },
  { args: '0 copy -0.1', code: 2, line: 'loss probability -0.1: ' },
  { args: '0 copy 1', code: 2, line: 'loss probability 1: ' },
  { args: '0 copy 1.5', code: 2, line: 'loss probability 1.5: ' },
  { args: '0 copy abc', code: 2, line: 'loss probability abc: ' },
  { args: '0 copy 5%', code: 2, line: 'loss probability 5%: ' },
  { args: '0 copy 0 --loss-model nonsense', code: 2, line: '--loss-model nonsense: ' },
  { args: '0 copy 0 --loss-model scripted:x', code: 2, line: '--loss-model scripted:x: ' },
  { args: '0 copy 0 --loss-model scripted', code: 2, line: '--loss-model scripted: ' },
  { args: '0 copy .5 --loss-model burst', code: 2, line: '--loss-model burst: ' },
  { args: '0 copy .5 --loss-model burst:0.5', code: 2, line: 'mean burst 0.5: ' },
  { args: '0 copy 0 --loss-model gilbert-elliott:1,2', code: 2, line: '--loss-model gilbert-' },
  { args: '0 copy 0 --loss-model gilbert-elliott:0,0,0,2', code: 2, line: /bad state 2: / },
  { args: '0 copy 0 --idle-timeout 0', code: 2, line: '--idle-timeout 0: ' },
  { args: '0 copy 0 --bogus', code: 2, line: 'bogus' },
  { args: '0 copy 0 --bind', code: 2, line: 'bind' },
  { args: '0 copy 0 --seed', code: 2, line: 'seed' },
  { args: '0 copy 0 --idle-timeout', code: 2, line: 'idle-timeout' },
  { args: '0 copy 0 --loss-model', code: 2, line: 'loss-model' },
  { args: '0 copy 0 --bind 192.0.2.1', code: 4, line: /192\.0\.2\.1:0: this host has no such/ },
  { args: '0 missing/copy 0', code: 4, line: /missing: does not exist/ },
  { args: '0 file/copy 0', code: 4, line: /file is not a folder/ },
  { args: '0 folder 0', code: 4, line: 'folder: is a folder; name a file in it' },
  { args: '0 folder/ 0', code: 4, line: 'folder/: names a folder' },
];

for (const refusal of client) {
  t.test(`p2mpclient ${refusal.args}`, { buffered: true }, (t) => refuse(t, 'p2mpclient', refusal));
}

for (const refusal of server) {
  t.test(`p2mpserver ${refusal.args}`, { buffered: true }, (t) => refuse(t, 'p2mpserver', refusal));
}

t.test('p2mpserver at a port that is in use', { buffered: true }, async (t) => {
  const port = await openSilentPort(t);
  const args = `${port} copy 0 --bind 127.0.0.1`;
  const line = `UDP 127.0.0.1:${port}: the port is in use`;
  await refuse(t, 'p2mpserver', { args, code: 4, line });
});

t.test('p2mpserver with a name instead of an address', { buffered: true }, async (t) => {
  const args = '0 copy 0 --bind nowhere.invalid';
  const exit = await startCommand(t, 'p2mpserver', args.split(' '), { cwd: t.testdir() }).exited;
  t.ok(exit.code === 2 || exit.code === 4);
  t.match(exit.stderr, /^p2mpserver: .*nowhere\.invalid.*\n$/);
  t.notMatch(exit.stderr, 'EINVAL', 'no error code of the system');
});

const isWindows = process.platform === 'win32';

t.test(
  'p2mpclient with a pipe instead of a file',
  { buffered: true, skip: isWindows },
  async (t) => {
    const path = join(t.testdir(), 'pipe');
    execFileSync('mkfifo', [path]);
    const exit = await startCommand(t, 'p2mpclient', ['localhost', '7735', path, '500']).exited;
    t.equal(exit.code, 4);
    t.match(
      exit.stderr,
      /^p2mpclient: .*pipe: is not a regular file; copy its content to a regular file.*\n$/,
    );
  },
);

const skip = process.getuid?.() === 0 && 'root may read and write everything';

t.test('p2mpclient with an unreadable file', { buffered: true, skip }, async (t) => {
  const path = join(t.testdir({ secret: 'x' }), 'secret');
  chmodSync(path, 0);
  const exit = await startCommand(t, 'p2mpclient', ['localhost', '7735', path, '500']).exited;
  t.equal(exit.code, 4);
  t.match(exit.stderr, /^p2mpclient: .*secret: permission denied; .*\n$/);
});

t.test('p2mpserver with an unwritable folder', { buffered: true, skip }, async (t) => {
  const folder = join(t.testdir(), 'closed');
  mkdirSync(folder, { mode: 0o500 });
  const exit = await startCommand(t, 'p2mpserver', ['0', join(folder, 'copy'), '0']).exited;
  t.equal(exit.code, 4);
  t.match(exit.stderr, /^p2mpserver: .*closed: permission denied; .*\n$/);
});

const noShell = process.platform === 'win32' && 'arguments are Unicode on Windows';

t.test('an argument that is not UTF-8 is reported as such', { skip: noShell }, async (t) => {
  // File names from a Latin-1 disk and from a Shift JIS disk.
  const cases = [
    ['p2mp', 'send "$(printf "caf\\351.txt")" --to localhost --open', 'caf\\xe9.txt'],
    ['p2mpclient', 'localhost 7735 "$(printf "\\223\\372")" 500', '\\x93\\xfa'],
    ['p2mpserver', '0 "$(printf "o\\377")" 0', 'o\\xff'],
  ] as const;
  for (const [command, words, shown] of cases) {
    const line = `exec '${process.execPath}' '${join(distFolder, 'cli', command)}.js' ${words}`;
    const exit = await new Program(t, 'sh', ['-c', line]).exited;
    t.equal(exit.code, 2);
    t.ok(
      exit.stderr.includes(`: argument ${shown}: not UTF-8; if it names a file, rename it `),
      exit.stderr,
    );
  }
});

t.test('a name that contains U+FFFD itself is accepted', { skip: noShell }, async (t) => {
  const cwd = mkdtempSync(join(tmpdir(), 'p2mp-'));
  t.teardown(() => rmSync(cwd, { recursive: true }));
  writeFileSync(join(cwd, 'a\ufffdb'), 'content');
  const args = ['send', 'a\ufffdb', '--to', '127.0.0.1', '--dry-run'];
  const exit = await startCommand(t, 'p2mp', args, { cwd }).exited;
  t.match(exit, { code: 0, stderr: '' });
});
