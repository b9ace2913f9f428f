/** The progress of p2mpclient on a pseudo terminal, and colors on a terminal and in a pipe. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import t from 'tap';
import { isSameContent, openSilentPort, writeRandomFile } from '../../support/loopback.js';
import {
  type Cleaner,
  distFolder,
  type Listening,
  Program,
  startServer,
} from '../../support/processes.js';
import { TerminalScreen, toScreen } from '../../support/terminal-screen.js';

t.jobs = 4;

const hasScript = spawnSync('script', ['--version']).stdout?.toString().includes('util-linux');
const skip = !hasScript && 'util-linux script is not available';
const buffered = true;

/** Matches a line with bar, percentage, size, rates and estimated time. */
const progressStart =
  /^[#.]{20} {2}[ \d]+% {2}[\d.]+ k?B of 100 kB( {2}[\d.]+ [kM]?B\/s)?( {2}average [\d.]+ [kM]?B\/s)?( {2}ETA [\d:]+( s)?)?( {2}waiting for|$)/;

/** Runs p2mpclient on a terminal with this many columns; with 0, the width is unknown. */
function startOnTerminal(
  t: Cleaner,
  columns: number,
  servers: readonly Listening['server'][],
  file: string,
  options: readonly string[] = [],
  terminalType = 'xterm',
  variables: readonly string[] = ['NO_COLOR=1'],
  rows = 30,
): Program {
  const path = join(distFolder, 'cli', 'p2mpclient.js');
  const words = [process.execPath, path, ...servers, '7735', file, '1000', ...options];
  const command = words.map((word) => `'${word}'`).join(' ');
  const line = `stty cols ${columns} rows ${rows}; echo process $$; exec ${command}`;
  const terminal = ['script', '--quiet', '--return', '--command', line, '/dev/null'];
  const env = ['SHELL=/bin/sh', 'LC_ALL=C', `TERM=${terminalType}`, ...variables];
  return new Program(t, 'env', ['-u', 'NO_COLOR', '-u', 'FORCE_COLOR', ...env, ...terminal]);
}

/** Lists all lines that the progress display has drawn. */
function progressOf(output: string): string[] {
  const drawn = output.split('\x1b[2K').slice(1);
  return drawn.map((text) => text.split(/[\r\n]/)[0]?.split('\x1b[J')[0] ?? '');
}

t.test(
  'the line shows progress and slow receivers, and is erased at the end',
  { skip, buffered },
  async (t) => {
    const folder = t.testdir();
    const [sent, copy] = [writeRandomFile(folder, 100_000), join(folder, 'copy')];
    const serving = await startServer(t, copy, 0.5, ['--once', '--seed', '1']);
    // Each of the hundred segments is lost once on average, so the transfer takes over a second.
    const client = startOnTerminal(t, 120, [serving.server], sent, ['--timeout', '20']);
    const { code, stdout } = await client.exited;
    t.equal(code, 0);
    t.ok(isSameContent(sent, copy));

    const progress = progressOf(stdout);
    t.ok(progress.length > 1, `${progress.length} lines`);
    for (const line of progress) t.match(line, progressStart);
    const waiting = new RegExp(` {2}waiting for ${serving.server} \\(segment \\d+\\)$`);
    t.ok(progress.some((line) => waiting.test(line)));
    t.ok(progress.some((line) => !line.includes('   0% ')));
    t.ok(progress.some((line) => / {2}[\d.]+ kB\/s {2}average .* {2}ETA \d/.test(line)));

    const screen = await toScreen(stdout, 120);
    t.notOk(
      screen.some((line) => line.includes('%')),
      'the line is erased',
    );
    const summary = screen.findIndex((line) =>
      line.startsWith('sent: 100,000 bytes in 100 segments'),
    );
    t.ok(summary > 0);
    for (const line of screen.slice(1, summary)) t.match(line, /^Timeout, sequence number = \d+$/);
  },
);

for (const columns of [60, 0]) {
  const what = columns === 0 ? 'of unknown width' : `of ${columns} columns`;
  t.test(`the line fits a terminal ${what}`, { skip, buffered }, async (t) => {
    const sent = writeRandomFile(t.testdir(), 100_000);
    const silent: string[] = [];
    for (let i = 0; i < 4; i++) silent.push(`127.0.0.1:${await openSilentPort(t)}`);
    const client = startOnTerminal(t, columns, silent, sent, ['--give-up-after', '1']);
    const { code, stdout } = await client.exited;
    t.equal(code, 1);
    const progress = progressOf(stdout);
    t.ok(progress.length > 0);
    const longest = Math.max(...progress.map((line) => line.length));
    t.ok(longest < (columns || 81), `${longest} columns`);
    const screen = await toScreen(stdout, columns || 80);
    t.notOk(
      screen.some((line) => line.includes('waiting for')),
      'the line is erased',
    );
  });
}

t.test('an interrupt erases the line as well', { skip, buffered }, async (t) => {
  const sent = writeRandomFile(t.testdir(), 100_000);
  const silent = `127.0.0.1:${await openSilentPort(t)}`;
  const client = startOnTerminal(t, 120, [silent], sent, ['--give-up-after', '100']);
  await client.waitFor(/Timeout.*waiting for.*Timeout/s);
  const [, id] = await client.waitFor(/^process (\d+)/);
  process.kill(Number(id), 'SIGINT');
  const { stdout } = await client.exited;
  const screen = await toScreen(stdout, 120);
  t.notOk(screen.some((line) => line.includes('waiting for')));
  t.ok(screen.some((line) => /^sent: .* complete at 0 of 1 receiver$/.test(line)));
  t.equal(
    screen.at(-2),
    'p2mpclient: interrupted; incomplete servers discard the file; to retry, run the same command again',
  );
});

t.test(
  'on a small terminal, the total line stays below everything',
  { skip, buffered },
  async (t) => {
    const sent = writeRandomFile(t.testdir(), 100_000);
    const silent: string[] = [];
    for (let i = 0; i < 6; i++) silent.push(`127.0.0.1:${await openSilentPort(t)}`);
    const options = ['--give-up-after', '1', '--timeout', '50'];
    const client = startOnTerminal(t, 40, silent, sent, options, 'xterm', [], 5);
    const { stdout } = await client.exited;
    let drawn = 0;
    const screen = new TerminalScreen(40, 5);
    for (const part of stdout.split('\x1b[J')) {
      await screen.write(part);
      if (!part.includes('0/6 complete')) continue;
      drawn++;
      const [head, one, more, total] = screen.visibleLines.slice(-4);
      t.match(head, /^server +state +here +rate$/);
      t.match(one, /^127.*\d +(receiving|failed) +0% +-$/);
      t.equal(more, 'and 5 more');
      t.match(total, /^0\/6 complete {2}[#.]{6} {4}0%/);
    }
    t.ok(drawn > 1, `${drawn} tables`);
  },
);

t.test('colors only on a terminal, or with --color always', { skip, buffered }, async (t) => {
  const folder = t.testdir();
  const sent = writeRandomFile(folder, 2000);
  const onTerminal = async (options: readonly string[], variables: readonly string[] = []) => {
    const { program, server } = await startServer(t, join(folder, 'copy'), 0, ['--once']);
    const client = startOnTerminal(t, 120, [server], sent, options, 'xterm', variables);
    const { stdout } = await client.exited;
    await program.exited;
    return stdout;
  };
  const green = '\x1b[32mcomplete at 1 of 1 receiver\x1b[39m';
  t.ok((await onTerminal([])).includes(green));
  t.ok((await onTerminal(['--color', 'always'], ['NO_COLOR=1'])).includes(green));
  for (const [options, variables] of [
    [['--color', 'never'], ['FORCE_COLOR=1']],
    [[], ['NO_COLOR=1']],
    [['--color=always', '--json'], []],
  ] as const) {
    const text = await onTerminal(options, variables);
    t.notMatch(text, '\x1b[3', `${options} ${variables}`);
    t.match(text, /complete/);
  }
});

t.test('in a pipe, --color always adds colors, but moves no cursor', { buffered }, async (t) => {
  const folder = t.testdir();
  const sent = writeRandomFile(folder, 2000);
  const path = join(distFolder, 'cli', 'p2mpclient.js');
  for (const [color, isColored] of [
    ['always', true],
    ['auto', false],
    ['never', false],
  ] as const) {
    const { server } = await startServer(t, join(folder, 'copy'), 0, ['--once']);
    const args = [path, server, '7735', sent, '1000', '--color', color];
    const words = ['-u', 'FORCE_COLOR', process.execPath, ...args];
    const { stdout, stderr } = await new Program(t, 'env', words).exited;
    t.equal(stdout.includes('\x1b[32mcomplete'), isColored, color);
    const plain = styleless(stdout + stderr);
    t.notOk(plain.includes('\x1b'), `${color}: no other escape codes`);
    t.match(plain, /complete at 1 of 1 receiver/);
  }
  const wrong = new Program(t, process.execPath, [
    path,
    '--color',
    'sometimes',
    'x',
    '1',
    'y',
    '1',
  ]);
  t.match(await wrong.exited, {
    code: 2,
    stderr:
      'p2mpclient: --color sometimes: must be one of auto, always, never (see p2mpclient --help)\n',
  });
});

/** Removes the codes of colors and of bold and dim text. */
function styleless(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: escape codes
  return text.replaceAll(/\x1b\[\d+m/g, '');
}

t.test('with --quiet or --json there is no line', { skip, buffered }, async (t) => {
  const sent = writeRandomFile(t.testdir(), 100_000);
  const silent = `127.0.0.1:${await openSilentPort(t)}`;
  for (const option of ['--quiet', '--json']) {
    const client = startOnTerminal(t, 120, [silent], sent, ['--give-up-after', '0.5', option]);
    const { stdout } = await client.exited;
    t.same(progressOf(stdout), []);
    t.notOk(stdout.includes('\x1b'), option);
  }
});

t.test('a dumb terminal gets plain lines', { skip, buffered }, async (t) => {
  const folder = t.testdir();
  const [sent, copy] = [writeRandomFile(folder, 20_000), join(folder, 'copy')];
  const { server } = await startServer(t, copy, 0.5, ['--once', '--seed', '1']);
  const client = startOnTerminal(t, 120, [server], sent, ['--timeout', '20'], 'dumb');
  const { code, stdout } = await client.exited;
  t.equal(code, 0);
  const moves = ['\x1b', '\r'].filter((part) => stdout.replaceAll('\r\n', '').includes(part));
  t.same(moves, [], 'no cursor movement');
  t.match(stdout, /^sent: 20,000 bytes in 20 segments/m);
});
