/** Both commands in use: their output and the files they leave. */
import { createHash } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { isSameContent, writeRandomFile } from '../../support/loopback.js';
import {
  parseEvents,
  projectFolder,
  runClient,
  startCommand,
  startServer,
} from '../../support/processes.js';

t.jobs = 4;

const { version: projectVersion } = JSON.parse(
  readFileSync(join(projectFolder, 'package.json'), 'utf8'),
);

/** Whether the text has control characters other than line breaks. */
function hasControls(text: string): boolean {
  return [...text].some((char) => (char < ' ' && char !== '\n') || char === '\x7f');
}

t.test(
  'output: the lines of the course text, then a summary with the same digest',
  { buffered: true },
  async (t) => {
    const folder = t.testdir();
    const [sent, copy] = [writeRandomFile(folder, 1234), join(folder, 'copy')];
    // The first segment is lost, and so is the second.
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
      /^sent: 1,234 bytes in 3 segments of up to 500 bytes, complete at 1 of 1 receiver$/,
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
    t.notOk(hasControls(client.stdout + served.stdout), 'no control characters in the output');
  },
);

t.test(
  'with --json every line is an object, and the last one is the result',
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

    const clientEvents = parseEvents(client.stdout).filter(({ event }) => event !== 'progress');
    t.match(clientEvents[0], { event: 'timeout', sequence: 0, round: 1, pendingCount: 1 });
    t.match(clientEvents[1], { event: 'receiver-result', receiver: server, status: 'complete' });
    t.match(clientEvents[2], {
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
          heldBytes: 1234,
          seconds: Number,
          datagrams: 5,
          retransmissions: 1,
          rttMs: Number,
        },
      ],
    });
    t.equal(clientEvents.length, 3);

    const serverEvents = parseEvents(served.stdout);
    t.match(serverEvents, [
      { event: 'listening', addresses: [server], seed: 'abc' },
      { event: 'loss', sequence: 0 },
      { event: 'connect', sender: /^127\.0\.0\.1:\d+$/ },
      {
        event: 'result',
        sender: /^127\.0\.0\.1:\d+$/,
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
    t.equal(serverEvents.length, 4);
  },
);

t.test(
  'prints nothing with --quiet, and only results with --quiet --json',
  { buffered: true },
  async (t) => {
    const folder = t.testdir();
    const [sent, copy] = [writeRandomFile(folder, 1234), join(folder, 'copy')];
    // A quiet server does not print its port; this one was free a moment ago.
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
    t.match(parseEvents(both.stdout), [
      { event: 'receiver-result', receiver: server, status: 'complete' },
      { event: 'result', status: 'complete' },
    ]);
    t.equal(parseEvents(both.stdout).length, 2);
  },
);

for (const name of ['p2mpclient', 'p2mpserver'] as const) {
  t.test(`${name} prints a help text`, { buffered: true }, async (t) => {
    const help = await startCommand(t, name, ['--help']).exited;
    t.match(help, { code: 0, stderr: '' });
    t.ok(help.stdout.startsWith(`${name} <`));
    t.match(help.stdout, /Exit codes: 0 complete; 1 [^;]*; 2 usage error;/);
    t.match(help.stdout, new RegExp(`^ +${name} .*7735`, 'm'), 'the help has a complete example');
    t.notOk(hasControls(help.stdout));
    t.equal((await startCommand(t, name, ['-h']).exited).stdout, help.stdout);
    const version = await startCommand(t, name, ['--version']).exited;
    t.match(version, { code: 0, stdout: `${projectVersion}\n`, stderr: '' });
  });
}
