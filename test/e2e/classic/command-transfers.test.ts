/** Transfers with both commands in typical situations. */
import { createSocket } from 'node:dgram';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { isSameContent, writeRandomFile } from '../../support/loopback.js';
import {
  type Cleaner,
  parseEvents,
  parseResult,
  runClient,
  startCommand,
  startServer,
} from '../../support/processes.js';

t.jobs = 4;

t.test(
  'names may contain blanks and other letters, or consist of digits',
  { buffered: true },
  async (t) => {
    for (const name of ['Übersicht für März – 報告.pdf', '007', '0x10', '1e3']) {
      const folder = t.testdir({ copies: {} });
      const sent = writeRandomFile(folder, 700, name);
      const cwd = join(folder, 'copies');
      const program = startCommand(
        t,
        'p2mpserver',
        ['0', name, '0', '--once', '--json', '--bind', '127.0.0.1'],
        { cwd },
      );
      const { addresses } = await program.waitForEvent('listening');
      const client = startCommand(t, 'p2mpclient', [addresses[0], '7735', name, '500'], {
        cwd: folder,
      });
      const { code, stdout, stderr } = await client.exited;
      t.equal(code, 0, stderr);
      t.match(stdout, `${name}: 700 bytes in 2 segments`);
      t.equal((await program.exited).code, 0);
      t.ok(isSameContent(sent, join(cwd, name)), name);
    }
  },
);

t.test('an empty file arrives as an empty file', { buffered: true }, async (t) => {
  const folder = t.testdir();
  const [sent, copy] = [writeRandomFile(folder, 0), join(folder, 'copy')];
  const { program, server } = await startServer(t, copy, 0, ['--once']);
  const client = await runClient(t, [server], sent, 500);
  t.equal(client.code, 0, client.stderr);
  t.match(client.stdout, /^sent: 0 bytes in 0 segments/);
  t.match(
    client.stdout,
    'SHA-256 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  );
  t.equal((await program.exited).code, 0);
  t.equal(readFileSync(copy).length, 0);
});

t.test('p2mpserver confirms the end of an empty file', { buffered: true }, async (t) => {
  const folder = t.testdir();
  const sent = writeRandomFile(folder, 0);
  const { program, server } = await startServer(t, join(folder, 'copy'), 0, ['--once', '--json']);
  const client = parseResult(await runClient(t, [server], sent, 500, ['--json']));
  t.match(client['receivers'], [{ status: 'complete', confirmed: true, identified: true }]);
  t.match(parseResult(await program.exited), { status: 'complete', certain: true });
});

t.test(
  'a server serves clients in sequence, and reports each by name and address',
  { buffered: true },
  async (t) => {
    const folder = t.testdir();
    const copy = join(folder, 'copy');
    const { program, port } = await startServer(t, copy, 0, ['--json']);
    for (const server of [`127.0.0.1:${port}`, `localhost:${port}`]) {
      const sent = writeRandomFile(folder, 3000);
      const client = await runClient(t, [server], sent, 500, ['--json']);
      t.equal(client.code, 0, client.stderr);
      t.match(parseResult(client), {
        receivers: [{ receiver: server, address: `127.0.0.1:${port}` }],
      });
      t.ok(isSameContent(sent, copy));
    }
    program.kill('SIGTERM');
    const served = await program.exited;
    t.equal(served.code, 0, 'stopped while idle');
    t.equal(parseEvents(served.stdout).filter(({ event }) => event === 'result').length, 2);
  },
);

/** Counts the losses among forty data packets that arrive in order. */
async function lossesOf(t: Cleaner, folder: string, seed: string): Promise<string[]> {
  const options = ['--seed', seed, '--verbose'];
  const { program, port } = await startServer(t, join(folder, seed), 0.3, options);
  const socket = createSocket('udp4');
  t.teardown(() => socket.close());
  for (let sequence = 0; sequence < 40; sequence++) {
    // With wrong checksums, the server drops all packets that are not lost.
    socket.send(Buffer.from([0, 0, 0, sequence, 0, 0, 0x55, 0x55, 1]), port, '127.0.0.1');
  }
  socket.send('end', port, '127.0.0.1');
  await program.waitFor(/too-short/, 'stderr');
  program.kill('SIGINT');
  const { stdout } = await program.exited;
  return stdout.match(/^Packet loss, sequence number = \d+$/gm) ?? [];
}

t.test(
  'the same seed loses the same packets, and another seed loses others',
  { buffered: true },
  async (t) => {
    const folder = t.testdir();
    const [first, again, other] = [
      await lossesOf(t, folder, '1'),
      await lossesOf(t, folder, '1'),
      await lossesOf(t, folder, '2'),
    ];
    t.ok(first.length > 0 && first.length < 40);
    t.same(again, first);
    t.notSame(other, first);
  },
);

t.test(
  'a reader that closes standard output stops neither command',
  { buffered: true },
  async (t) => {
    const folder = t.testdir();
    const [sent, copy] = [writeRandomFile(folder, 50_000), join(folder, 'copy')];
    const options = ['--once', '--json', '--seed', '1'];
    const { program, server } = await startServer(t, copy, 0.2, options);
    program.closeStdout();
    const client = startCommand(t, 'p2mpclient', [server, '7735', sent, '500', '--timeout', '5']);
    client.closeStdout();
    t.match(await client.exited, { code: 0, signal: null, stderr: '' });
    t.match(await program.exited, { code: 0, signal: null, stderr: '' });
    t.ok(isSameContent(sent, copy));
  },
);
