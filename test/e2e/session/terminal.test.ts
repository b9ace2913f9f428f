/** The progress line on a pseudo terminal. */
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
import { toScreen } from '../../support/terminal-screen.js';

t.jobs = 4;

const hasScript = spawnSync('script', ['--version']).stdout?.toString().includes('util-linux');
const skip = !hasScript && 'util-linux script is not available';
const buffered = true;

/** Matches a line with percentage, size, goodput and estimated time. */
const progressStart = /\d+% {2}[\d.]+ k?B of 100 kB {2}[\d.]+ [kM]?B\/s {2}ETA [^ ]/;

/** Runs p2mpclient on a terminal with this many columns; with 0, the width is unknown. */
function startOnTerminal(
  t: Cleaner,
  columns: number,
  servers: readonly Listening['server'][],
  file: string,
  options: readonly string[] = [],
  terminalType = 'xterm',
): Program {
  const path = join(distFolder, 'cli', 'p2mpclient.js');
  const words = [process.execPath, path, ...servers, '7735', file, '1000', ...options];
  const command = words.map((word) => `'${word}'`).join(' ');
  const line = `stty cols ${columns}; echo process $$; exec ${command}`;
  const terminal = ['script', '--quiet', '--return', '--command', line, '/dev/null'];
  return new Program(t, 'env', ['SHELL=/bin/sh', `TERM=${terminalType}`, ...terminal]);
}

/** Lists all states of the progress line. */
function progressOf(output: string): string[] {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the end of a progress line
  return [...output.matchAll(/\r([^\r\n\x1b]+)\x1b\[K/g)].map(([, text]) => text ?? '');
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
    for (const line of progress) t.match(line, new RegExp(`^${progressStart.source}`));
    const waiting = new RegExp(` {2}waiting for ${serving.server} \\(segment \\d+\\)$`);
    t.ok(progress.some((line) => waiting.test(line)));
    t.ok(progress.some((line) => !line.startsWith('0% ')));

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
      screen.some((line) => line.includes('ETA')),
      'the line is erased',
    );
  });
}

t.test('an interrupt erases the line as well', { skip, buffered }, async (t) => {
  const sent = writeRandomFile(t.testdir(), 100_000);
  const silent = `127.0.0.1:${await openSilentPort(t)}`;
  const client = startOnTerminal(t, 120, [silent], sent, ['--give-up-after', '100']);
  await client.waitFor(/Timeout.*ETA.*Timeout/s);
  const [, id] = await client.waitFor(/^process (\d+)/);
  process.kill(Number(id), 'SIGINT');
  const { stdout } = await client.exited;
  const screen = await toScreen(stdout, 120);
  t.notOk(screen.some((line) => line.includes('ETA')));
  t.ok(screen.some((line) => /^sent: .* complete at 0 of 1 receiver$/.test(line)));
  t.equal(
    screen.at(-2),
    'p2mpclient: interrupted; incomplete servers discard the file; to retry, run the same command again',
  );
});

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
