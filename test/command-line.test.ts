/** The two commands at work: what they print, and what they leave. */
import { createHash } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { isSameContent, writeRandomFile } from './support/loopback.js';
import {
  type Cleaner,
  parseEvents,
  parseResult,
  projectFolder,
  runClient,
  startCommand,
  startServer,
} from './support/processes.js';

t.jobs = 4;

const { version: projectVersion } = JSON.parse(
  readFileSync(join(projectFolder, 'package.json'), 'utf8'),
);

/** Control characters other than the end of a line. */
function hasControls(text: string): boolean {
  return [...text].some((char) => (char < ' ' && char !== '\n') || char === '\x7f');
}

t.test(
  'the lines of the course, then a summary with the same digest',
  { buffered: true },
  async (t) => {
    const folder = t.testdir();
    const [sent, copy] = [writeRandomFile(folder, 1234), join(folder, 'copy')];
    // The first segment is lost on its way, and so is the second.
    const options = ['--once', '--loss-model', 'scripted:0,2', '--seed', '1'];
    const { program, server } = await startServer(t, copy, 0, options);
    const client = await runClient(t, [server], sent, 500, ['--timeout', '2000']);
    const served = await program.exited;
    t.same([client.code, served.code], [0, 0]);
    t.same([client.stderr, served.stderr], ['', '']);
    t.ok(isSameContent(sent, copy));

    const digest = createHash('sha256').update(readFileSync(sent)).digest('hex');
    const lines = client.stdout.split('\n');
    t.same(lines.slice(0, 2), ['Timeout, sequence number = 0', 'Timeout, sequence number = 1']);
    t.match(
      lines[2],
      /^sent: 1,234 bytes in 3 segments of up to 500 B, complete at 1 of 1 receiver$/,
    );
    t.match(
      lines[3],
      /^ {2}\d+\.\d+ s, goodput \d+ B\/s, 5 rounds, 2 timeouts, 2 retransmissions$/,
    );
    t.equal(lines[4], `  SHA-256 ${digest}`);
    t.match(lines[6], new RegExp(`^ {2}${server} +complete +1,234 +\\d+\\.\\d+ s +2$`));

    const served2 = served.stdout.split('\n');
    t.equal(served2[0], `Listening on ${server}, seed 1`);
    t.same(served2.slice(1, 3), [
      'Packet loss, sequence number = 0',
      'Packet loss, sequence number = 1',
    ]);
    t.match(served2[3], /^From 127\.0\.0\.1:\d+: complete, 1,234 bytes in 3 segments$/);
    t.ok(served2.includes(`  SHA-256 ${digest}`));
    t.notOk(hasControls(client.stdout + served.stdout), 'no control characters');
  },
);

t.test(
  'with --json every line is an object, the last one the result',
  { buffered: true },
  async (t) => {
    const folder = t.testdir();
    const [sent, copy] = [writeRandomFile(folder, 1234), join(folder, 'copy')];
    const options = ['--once', '--json', '--loss-model', 'scripted:0', '--seed', 'abc'];
    const { program, server } = await startServer(t, copy, 0, options);
    const client = await runClient(t, [server], sent, 500, ['--json', '--timeout', '2000']);
    const served = await program.exited;
    t.same([client.code, served.code], [0, 0]);
    t.same([client.stderr, served.stderr], ['', ''], 'nothing on standard error');
    const sha256 = createHash('sha256').update(readFileSync(sent)).digest('hex');

    const told = parseEvents(client.stdout).filter(({ event }) => event !== 'progress');
    t.match(told[0], { event: 'timeout', sequence: 0, round: 1, pending: 1 });
    t.match(told[1], { event: 'receiver', receiver: server, status: 'complete' });
    t.match(told[2], {
      event: 'result',
      file: sent,
      status: 'complete',
      bytes: 1234,
      segments: 3,
      seconds: Number,
      goodputBytesPerSec: Number,
      rounds: 4,
      timeouts: 1,
      datagrams: 5,
      retransmissions: 1,
      acks: 4,
      faults: {},
      sha256,
      receivers: [
        {
          receiver: server,
          address: server,
          status: 'complete',
          confirmed: true,
          bytes: 1234,
          seconds: Number,
          datagrams: 5,
          retransmissions: 1,
          rttMs: Number,
        },
      ],
    });
    t.equal(told.length, 3);

    const heard = parseEvents(served.stdout);
    t.match(heard, [
      { event: 'listening', addresses: [server], seed: 'abc' },
      { event: 'loss', sequence: 0 },
      { event: 'start', from: /^127\.0\.0\.1:\d+$/ },
      {
        event: 'result',
        from: /^127\.0\.0\.1:\d+$/,
        status: 'complete',
        end: 'end-marker',
        certain: true,
        bytes: 1234,
        segments: 3,
        seconds: Number,
        goodputBytesPerSec: Number,
        dataPackets: 5,
        acks: Number,
        losses: 1,
        faults: {},
        seed: 'abc',
        sha256,
      },
    ]);
    t.equal(heard.length, 4);
  },
);

t.test(
  'with --quiet nothing is printed; with --json as well, the result',
  { buffered: true },
  async (t) => {
    const folder = t.testdir();
    const [sent, copy] = [writeRandomFile(folder, 1234), join(folder, 'copy')];
    // A quiet server does not tell its port: this one was free a moment ago.
    const socket = createSocket('udp4').bind(0, '127.0.0.1');
    await once(socket, 'listening');
    const { port } = socket.address();
    await new Promise<void>((resolve) => socket.close(resolve));
    const args = [`${port}`, copy, '0', '--bind', '127.0.0.1', '--once', '--quiet'];
    const quiet = startCommand(t, 'p2mpserver', args);
    const client = await runClient(t, [`127.0.0.1:${port}`], sent, 500, ['--quiet']);
    t.same(client, { code: 0, signal: null, stdout: '', stderr: '' });
    t.same(await quiet.exited, { code: 0, signal: null, stdout: '', stderr: '' });
    t.ok(isSameContent(sent, copy));

    const { server } = await startServer(t, copy, 0);
    const both = await runClient(t, [server], sent, 500, ['--quiet', '--json']);
    t.match(parseEvents(both.stdout), [{ event: 'result', status: 'complete' }]);
    t.equal(parseEvents(both.stdout).length, 1);
  },
);

t.test(
  'names with blanks, other letters or digits alone are names',
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

t.test(
  'a server serves one client after another, each by name and address',
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

/** The losses among forty data packets that arrive in order. */
async function lossesOf(t: Cleaner, folder: string, seed: string): Promise<string[]> {
  const options = ['--seed', seed, '--verbose'];
  const { program, port } = await startServer(t, join(folder, seed), 0.3, options);
  const socket = createSocket('udp4');
  t.teardown(() => socket.close());
  for (let sequence = 0; sequence < 40; sequence++) {
    // A wrong checksum: what is not lost is dropped, so the server does nothing but lose.
    socket.send(Buffer.from([0, 0, 0, sequence, 0, 0, 0x55, 0x55, 1]), port, '127.0.0.1');
  }
  socket.send('end', port, '127.0.0.1');
  await program.waitFor(/too-short/, 'stderr');
  program.kill('SIGINT');
  const { stdout } = await program.exited;
  return stdout.match(/^Packet loss, sequence number = \d+$/gm) ?? [];
}

t.test(
  'the same seed loses the same packets, another one others',
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
  'a reader of standard output that goes away stops nothing',
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

for (const name of ['p2mpclient', 'p2mpserver'] as const) {
  t.test(`${name} explains itself`, { buffered: true }, async (t) => {
    const help = await startCommand(t, name, ['--help']).exited;
    t.match(help, { code: 0, stderr: '' });
    t.ok(help.stdout.startsWith(`${name} <`));
    t.match(help.stdout, /Exit codes: 0 complete; 1 .*; 2 wrong use;/);
    t.match(help.stdout, new RegExp(`^ +${name} .*7735`, 'm'), 'a whole command as an example');
    const longest = Math.max(...help.stdout.split('\n').map((line) => line.length));
    t.ok(longest <= 120, `no line is too long for a terminal: ${longest}`);
    t.notOk(hasControls(help.stdout));
    t.equal((await startCommand(t, name, ['-h']).exited).stdout, help.stdout);
    const version = await startCommand(t, name, ['--version']).exited;
    t.match(version, { code: 0, stdout: `${projectVersion}\n`, stderr: '' });
  });
}
