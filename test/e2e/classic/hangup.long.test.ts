/** Commands when the terminal that started them closes. */
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { isSameContent, openSilentPort, writeRandomFile } from '../../support/loopback.js';
import {
  distFolder,
  Program,
  parseResult,
  startCommand,
  startServer,
} from '../../support/processes.js';
import { SessionPlace } from '../../support/session-commands.js';

t.jobs = 4;

const buffered = true;
const skip = process.platform === 'win32' && 'Windows ends the programs of a closed window';
const hasScript = spawnSync('script', ['--version']).stdout?.toString().includes('util-linux');
const noTerminal = !hasScript && 'util-linux script is not available';

t.test('without a terminal: receiver and sender keep running', { skip, buffered }, async (t) => {
  const place = new SessionPlace(t);
  const { program, name, dir } = await place.receive(['--open', '--once', '--json']);
  program.kill('SIGHUP');
  const sent = writeRandomFile(place.sent, 100_000);
  const sender = place.send([sent, '--to', name, '--open', '--rate', '200k', '--json']);
  await sender.waitForEvent('connect');
  sender.kill('SIGHUP');
  program.kill('SIGHUP');
  t.equal((await sender.exited).code, 0);
  t.equal((await program.exited).code, 0);
  t.ok(isSameContent(sent, join(dir, 'sent')));
});

t.test(
  'without a terminal: p2mpserver and p2mpclient keep running',
  { skip, buffered },
  async (t) => {
    const folder = t.testdir();
    const [sent, copy] = [writeRandomFile(folder, 20_000), join(folder, 'copy')];
    const { program, server } = await startServer(t, copy, 0.5, ['--once', '--seed', '1']);
    program.kill('SIGHUP');
    const args = [server, '7735', sent, '1000', '--timeout', '20'];
    const client = startCommand(t, 'p2mpclient', args);
    await client.waitFor(/^Timeout/m);
    client.kill('SIGHUP');
    program.kill('SIGHUP');
    t.equal((await client.exited).code, 0);
    t.equal((await program.exited).code, 0);
    t.ok(isSameContent(sent, copy));
  },
);

t.test('without a terminal: an experiment keeps running', { skip, buffered }, async (t) => {
  const folder = t.testdir();
  const plan = {
    title: 'Long enough to be hung up on',
    seed: 'hangup',
    repetitions: 20,
    mode: 'simulated',
    fileSizeBytes: 500_000,
    receivers: { from: 1, to: 3 },
    mssBytes: 500,
    loss: 0.05,
  };
  const path = join(folder, 'plan.json');
  writeFileSync(path, JSON.stringify(plan));
  const args = [
    'experiment',
    path,
    '--out',
    join(folder, 'out'),
    '--jobs',
    '1',
    '--json',
    '--verbose',
  ];
  const program = startCommand(t, 'p2mp', args);
  await program.waitForEvent('run');
  program.kill('SIGHUP');
  const exit = await program.exited;
  t.equal(exit.code, 0, exit.stderr);
  t.equal(parseResult(exit)['status'], 'complete');
});

/** Runs a command on a terminal; killing the program closes the terminal. */
async function startOnTerminal(t: Test, command: string, args: readonly string[], home: string) {
  const words = [process.execPath, join(distFolder, 'cli', `${command}.js`), ...args];
  const line = `echo process $$; exec ${words.map((word) => `'${word}'`).join(' ')}`;
  const terminal = ['--quiet', '--return', '--command', line, '/dev/null'];
  const env = { SHELL: '/bin/sh', TERM: 'xterm', P2MP_HOME: home };
  const program = new Program(t, 'script', terminal, { env });
  const [, id] = await program.waitFor(/^process (\d+)/);
  return { program, id: Number(id) };
}

t.test(
  'a sender notifies its receivers when its terminal closes',
  { skip: noTerminal, buffered },
  async (t) => {
    const place = new SessionPlace(t);
    const { program, name } = await place.receive(['--open', '--once', '--json']);
    const sent = writeRandomFile(place.sent, 1_000_000);
    const args = ['send', sent, '--to', name, '--open', '--rate', '50k'];
    const sender = await startOnTerminal(t, 'p2mp', args, place.senderHome);
    await program.waitForEvent('progress');
    // The shell and the kernel both send SIGHUP; a second one must not kill the sender.
    process.kill(sender.id, 'SIGHUP');
    sender.program.kill('SIGKILL');
    const result = await program.waitForEvent('session-result');
    t.match(result, { status: 'failed', reason: /interrupted/ }, 'not because it fell silent');
    t.equal((await program.exited).code, 1);
  },
);

t.test(
  'a receiver notifies its senders when its terminal closes',
  { skip: noTerminal, buffered },
  async (t) => {
    const place = new SessionPlace(t);
    const args = [
      'receive',
      '--open',
      '--bind',
      '127.0.0.1',
      '--port',
      '0',
      '--dir',
      join(place.folder, 'in'),
    ];
    const receiver = await startOnTerminal(t, 'p2mp', args, place.receiverHome);
    const [, port] = await receiver.program.waitFor(/Listening on 127\.0\.0\.1:(\d+)/);
    const sent = writeRandomFile(place.sent, 1_000_000);
    const to = ['--to', `127.0.0.1:${port}`, '--open', '--rate', '50k', '--json'];
    const sender = place.send([sent, ...to]);
    await sender.waitForEvent('progress');
    receiver.program.kill('SIGKILL');
    const exit = await sender.exited;
    t.equal(exit.code, 1);
    t.match(parseResult(exit)['receivers'][0], { reason: /the receiver was stopped/ });
  },
);

t.test(
  'a client whose terminal closes ends as after Ctrl-C',
  { skip: noTerminal, buffered },
  async (t) => {
    const sent = writeRandomFile(t.testdir(), 1000);
    const silent = `127.0.0.1:${await openSilentPort(t)}`;
    const args = [silent, '7735', sent, '1000', '--give-up-after', '100'];
    const client = await startOnTerminal(t, 'p2mpclient', args, t.testdirName);
    await client.program.waitFor(/Timeout/);
    process.kill(client.id, 'SIGHUP');
    const exit = await client.program.exited;
    t.equal(exit.code, 130);
    t.match(exit.stdout, 'p2mpclient: interrupted');
  },
);
