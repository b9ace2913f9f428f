/**
 * Sessions between real processes of an installation without some packages: the optional ones, and
 * the binary that makes handshakes fastest. No install scripts have run, as with --ignore-scripts.
 */
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import t, { type Test } from 'tap';
import { isSameContent, writeRandomFile } from '../support/loopback.js';
import { distFolder, Program, projectFolder } from '../support/processes.js';

t.jobs = 2;

const { dependencies, optionalDependencies } = JSON.parse(
  readFileSync(join(projectFolder, 'package.json'), 'utf8'),
);
const optional = Object.keys(optionalDependencies);
const onLinux = process.platform === 'linux';
const plain = onLinux ? 'koffi is not installed' : 'not Linux';

/**
 * Creates an installation without these packages: the build, and a folder of packages beside it.
 */
function install(t: Test, missing: readonly string[]): string {
  // Outside of the project, whose packages would be found otherwise.
  const folder = mkdtempSync(join(tmpdir(), 'p2mp-installed-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  cpSync(distFolder, join(folder, 'dist'), { recursive: true });
  cpSync(join(projectFolder, 'package.json'), join(folder, 'package.json'));
  for (const name of [...Object.keys(dependencies), ...optional]) {
    const from = join(projectFolder, 'node_modules', name);
    if (missing.includes(name) || !existsSync(from)) continue;
    const to = join(folder, 'node_modules', name);
    mkdirSync(dirname(to), { recursive: true });
    symlinkSync(from, to, 'junction');
  }
  return folder;
}

/**
 * Prevents packages from being found elsewhere: in a parent folder, or inside another package.
 * @returns options for Node
 */
function hide(folder: string, names: readonly string[]): string[] {
  const path = join(folder, 'hide.cjs');
  writeFileSync(
    path,
    `const { Module } = require('node:module');
    const resolve = Module._resolveFilename;
    Module._resolveFilename = function (request, ...rest) {
      if (!${JSON.stringify(names)}.includes(request)) return resolve.call(this, request, ...rest);
      process.stderr.write('asked for ' + request + '\\n');
      throw Object.assign(new Error('no ' + request), { code: 'MODULE_NOT_FOUND' });
    };`,
  );
  return ['--require', path];
}

/** Sends one file from one process to another. @returns the output of both */
async function transfer(t: Test, folder: string, options: readonly string[] = []) {
  const keys = join(folder, 'keys');
  const start = (...args: string[]) =>
    new Program(t, process.execPath, [...options, join(folder, 'dist/cli/p2mp.js'), ...args], {
      env: { P2MP_HOME: keys },
    });
  const dir = join(folder, 'in');
  const listen = ['--dir', dir, '--bind', '127.0.0.1', '--port', '0'];
  const receiver = start('receive', ...listen, '--open', '--once', '--verbose');
  const [, port] = await receiver.waitFor(/127\.0\.0\.1:(\d+)/);
  const sent = writeRandomFile(folder, 300_000);
  const to = ['--to', `127.0.0.1:${port}`, '--open', '--verbose'];
  const sender = await start('send', sent, ...to).exited;
  t.equal(sender.code, 0, sender.stderr);
  const received = await receiver.exited;
  t.equal(received.code, 0, received.stderr);
  t.ok(isSameContent(sent, join(dir, 'sent')));
  return { sender: sender.stderr, receiver: received.stderr };
}

t.test('without koffi, plain sockets are used, and --verbose says why', async (t) => {
  const folder = install(t, ['koffi']);
  const said = await transfer(t, folder, hide(folder, ['koffi']));
  t.match(said.sender, `sockets: datagrams are sent one by one: ${plain}\n`);
  t.match(said.receiver, `sockets: datagrams are received one by one: ${plain}\n`);
});

for (const name of optional.filter((one) => one !== 'koffi')) {
  t.test(`without ${name}, sessions work`, async (t) => {
    const folder = install(t, [name]);
    await transfer(t, folder, hide(folder, [name]));
  });
}

t.test('without any optional package', async (t) => {
  const folder = install(t, optional);
  const said = await transfer(t, folder, hide(folder, optional));
  t.match(said.sender, plain);
});

t.test('without the binary of libsodium, as if it had never been installed', async (t) => {
  const folder = install(t, []);
  const said = await transfer(t, folder, hide(folder, ['sodium-native']));
  for (const side of [said.sender, said.receiver]) t.match(side, 'asked for sodium-native\n');
});
