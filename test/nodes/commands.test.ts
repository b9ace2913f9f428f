/**
 * Runs every command and both entry points of the library once with the Node of P2MP_NODE: each
 * must work, and Node must print no warnings. run-on-each.mjs runs this with all supported
 * versions.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { formatAddress } from '../../src/base/address.js';
import { isSameContent, writeRandomFile } from '../support/loopback.js';
import {
  type Exit,
  nodePath,
  Program,
  parseResult,
  projectFolder,
  runClient,
  startCommand,
  startExperiment,
  startServer,
} from '../support/processes.js';
import { SessionPlace } from '../support/session-commands.js';

t.jobs = 2;
const buffered = true;

/** Checks that a command succeeded and printed only these lines on standard error. */
function checkQuiet(t: Test, exit: Exit, ...allowed: RegExp[]): void {
  t.equal(exit.code, 0, exit.stderr);
  const lines = exit.stderr.split('\n').filter((line) => line !== '');
  t.same(
    lines.filter((line) => !allowed.some((pattern) => pattern.test(line))),
    [],
    'standard error',
  );
}

const openNote = /^--open: /;
const keyNote = /^Created this \w+'s key, /;
const unknownNote = /SHA256:/;
/** What commands say if the machine is too busy to answer in time. */
const slowNote = /: (?:has fallen silent; it is asked again|takes no new clients; exiting when )/;

t.test('help, version, keys and completion', { buffered }, async (t) => {
  const home = t.testdir();
  const env = { P2MP_HOME: home };
  for (const args of [
    ['--help'],
    ['--version'],
    ['send', '--help'],
    ['receive', '--help'],
    ['serve', '--help'],
    ['fetch', '--help'],
    ['relay', '--help'],
    ['list', '--help'],
    ['peers', '--help'],
    ['digest', '--help'],
    ['experiment', '--help'],
    ['keygen'],
    ['completion', 'bash'],
  ]) {
    const exit = await startCommand(t, 'p2mp', args, { env }).exited;
    checkQuiet(t, exit);
    t.not(exit.stdout, '', args.join(' '));
  }
  for (const name of ['p2mpclient', 'p2mpserver'] as const) {
    checkQuiet(t, await startCommand(t, name, ['--help']).exited);
  }
});

t.test('digests, and a search for receivers', { buffered }, async (t) => {
  const folder = t.testdir({ a: 'abc' });
  const env = { P2MP_HOME: folder };
  const digest = await startCommand(t, 'p2mp', ['digest', join(folder, 'a')], { env }).exited;
  checkQuiet(t, digest);
  t.match(digest.stdout, /[0-9a-f]{64}/);
  const args = ['receive', '--open', '--dir', join(folder, 'in'), '--bind', '127.0.0.1'];
  const receiver = startCommand(t, 'p2mp', [...args, '--port', '0', '--json'], { env });
  await receiver.waitFor(/"event":"listening"/);
  const search = ['peers', '--interface', '127.0.0.1', '--json'];
  const found = await startCommand(t, 'p2mp', search, { env }).exited;
  checkQuiet(t, found);
  t.match(parseResult(found), { event: 'result', status: 'found' });
  receiver.kill('SIGTERM');
  await receiver.exited;
});

for (const offload of ['with', 'without']) {
  for (const format of [[], ['--json']]) {
    const name = `a session ${offload} batches by the system ${format}`.trim();
    t.test(name, { buffered }, async (t) => {
      const place = new SessionPlace(t);
      const env = offload === 'with' ? {} : { P2MP_OFFLOAD: 'off' };
      await place.keygen(place.senderHome);
      const file = writeRandomFile(place.sent, 3_000_000);
      const common = { env: { P2MP_HOME: place.receiverHome, ...env } };
      const dir = join(place.folder, 'in');
      const options = ['--open', '--once', '--dir', dir, '--bind', '127.0.0.1', '--port', '0'];
      const receiver = startCommand(t, 'p2mp', ['receive', ...options, ...format], common);
      const [, port] = await receiver.waitFor(/listening.*?127\.0\.0\.1"?[:,"a-z]*(\d+)/i);
      const sender = startCommand(
        t,
        'p2mp',
        ['send', file, '--to', `127.0.0.1:${port}`, '--accept-new', ...format],
        { env: { P2MP_HOME: place.senderHome, ...env } },
      );
      const sent = await sender.exited;
      checkQuiet(t, sent, unknownNote);
      if (format.length > 0) t.equal(parseResult(sent).event, 'result');
      checkQuiet(t, await receiver.exited, openNote, keyNote);
      t.ok(isSameContent(file, join(dir, file.slice(file.lastIndexOf('/') + 1))));
    });
  }
}

for (const format of [[], ['--json']]) {
  t.test(`a server, a relay, a list and a fetch ${format}`.trim(), { buffered }, async (t) => {
    const place = new SessionPlace(t);
    const file = writeRandomFile(place.sent, 300_000);
    const server = await place.serve([file, '--open', ...format]);
    const from = formatAddress(server.address);
    const caching = ['--upstream', from, '--cache-size', '50MB', '--open', ...format];
    const relay = await place.relay(caching);
    const list = await place.start(place.senderHome, ['list', from, '--open', ...format]).exited;
    checkQuiet(t, list, openNote, keyNote, slowNote);
    t.match(list.stdout, /sent/);
    const dir = join(place.folder, 'in');
    mkdirSync(dir);
    const sources = ['--from', `${formatAddress(relay.address)},${from}`];
    const words = ['fetch', 'sent', ...sources, '--open', '--dir', dir, ...format];
    checkQuiet(t, await place.start(place.senderHome, words).exited, openNote, keyNote, slowNote);
    t.ok(isSameContent(file, join(dir, 'sent')));
    for (const { program } of [relay, server]) {
      program.kill('SIGTERM');
      checkQuiet(t, await program.exited, openNote, keyNote, slowNote);
    }
  });
}

for (const format of [[], ['--json']]) {
  t.test(`p2mpclient to p2mpserver ${format}`.trim(), { buffered }, async (t) => {
    const folder = t.testdir();
    const [file, copy] = [writeRandomFile(folder, 300_000), join(folder, 'copy')];
    const { program, server } = await startServer(t, copy, 0.01, ['--once', ...format]);
    checkQuiet(t, await runClient(t, [server], file, 1000, format));
    checkQuiet(t, await program.exited);
    t.ok(isSameContent(file, copy));
  });
}

for (const mode of ['simulated', 'real']) {
  t.test(`an experiment, ${mode}`, { buffered }, async (t) => {
    const folder = t.testdir();
    const plan = {
      title: 'Small',
      seed: 'small',
      repetitions: 1,
      mode: [mode],
      fileSizeBytes: 20_000,
      receivers: 2,
      mssBytes: 1000,
      loss: 0.1,
    };
    writeFileSync(join(folder, 'plan.json'), JSON.stringify(plan));
    const args = [join(folder, 'plan.json'), '--out', join(folder, 'out'), '--json'];
    checkQuiet(t, await startExperiment(t, args).exited);
    t.match(readFileSync(join(folder, 'out/report.html'), 'utf8'), '<svg');
  });
}

t.test('the entry points of the library', { buffered }, async (t) => {
  const code = `
    import * as p2mp from 'p2mp';
    import * as core from 'p2mp/core';
    console.log(typeof p2mp.send, typeof core.createRandom);
  `;
  const args = ['--input-type=module', '--eval', code];
  const exit = await new Program(t, nodePath, args, { cwd: projectFolder }).exited;
  checkQuiet(t, exit);
  t.equal(exit.stdout, 'function function\n');
});
