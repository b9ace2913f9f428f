/** How commands stop on systems without POSIX signals. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import t from 'tap';
import { interruptOfMessage, interruptsOf } from '../../src/cli/interrupts.js';
import { distFolder } from '../support/processes.js';

t.test('every system has a way to stop at once, and one to let sessions finish', (t) => {
  for (const platform of ['linux', 'darwin', 'win32'] as const) {
    const meanings = interruptsOf(platform, false).map(([, meaning]) => meaning);
    t.ok(meanings.includes('SIGINT'), platform);
    t.ok(meanings.includes('SIGTERM'), platform);
  }
  // Windows never raises it, so nothing may depend on it there.
  const signals = interruptsOf('win32', false).map(([signal]) => signal);
  t.notOk(signals.includes('SIGTERM'));
  t.ok(signals.includes('SIGBREAK'), 'Ctrl-Break');
  t.end();
});

t.test('other messages are ignored', (t) => {
  t.equal(interruptOfMessage('SIGTERM'), 'SIGTERM');
  t.equal(interruptOfMessage('SIGINT'), 'SIGINT');
  for (const other of ['SIGKILL', 'shutdown', '', null, { toString: () => 'SIGINT' }, 2]) {
    t.equal(interruptOfMessage(other), undefined);
  }
  t.end();
});

t.test('a message from the parent process stops a receiver', async (t) => {
  const { NODE_OPTIONS: _, ...env } = process.env;
  for (const message of ['SIGINT', 'SIGTERM']) {
    const folder = t.testdir({ keys: {} });
    const options = ['--open', '--bind', '127.0.0.1', '--port', '0', '--dir', join(folder, 'in')];
    const child = fork(join(distFolder, 'cli/p2mp.js'), ['receive', ...options], {
      env: { ...env, P2MP_HOME: join(folder, 'keys') },
      execArgv: [],
      silent: true,
    });
    t.teardown(() => child.kill('SIGKILL'));
    const exited = once(child, 'exit');
    let said = '';
    for await (const text of child.stdout ?? []) {
      said += text;
      if (/Listening on .*\n/.test(said)) break;
    }
    child.send('anything else');
    child.send(message);
    t.same(await exited, [0, null], `${message}: no session was running`);
  }
});
