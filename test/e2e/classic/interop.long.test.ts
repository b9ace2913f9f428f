/** Transfers of all boundary sizes to and from literal implementations of the course text. */
import { join } from 'node:path';
import t from 'tap';
import { isSameContent, writeRandomFile } from '../../support/loopback.js';
import {
  parseResult,
  runClient,
  runLiteralSender,
  startLiteralReceiver,
  startServer,
} from '../../support/processes.js';

t.jobs = 6;

const mebibyte = 1024 * 1024;

const files = [
  { what: 'an empty file', size: 0, mss: 500 },
  { what: 'one byte', size: 1, mss: 500 },
  { what: 'one byte less than MSS', size: 499, mss: 500 },
  { what: 'exactly MSS', size: 500, mss: 500 },
  { what: 'one byte more than MSS', size: 501, mss: 500 },
  { what: '1 MiB', size: mebibyte, mss: 1400 },
  { what: '1 MiB less one byte, in odd segments', size: mebibyte - 1, mss: 1399 },
];

for (const [i, { what, size, mss }] of files.entries()) {
  for (const [j, p] of [0, 0.05, 0.3].entries()) {
    // Each size meets two losses, and each loss meets one receiver and three.
    if ((i + j) % 3 === 2) continue;
    const count = (i + j) % 2 === 0 ? 1 : 3;
    const where = `${count} at p = ${p}`;

    t.test(
      `p2mpclient to literal receivers: ${what} to ${where}`,
      { buffered: true },
      async (t) => {
        const folder = t.testdir();
        const sent = writeRandomFile(folder, size);
        const copies = names(count).map((name) => join(folder, name));
        const receivers = await Promise.all(
          copies.map((copy, i) => startLiteralReceiver(t, copy, p, ['--seed', String(i)])),
        );
        const servers = receivers.map(({ server }) => server);
        const client = await runClient(t, servers, sent, mss, ['--json']);
        t.equal(client.code, 0, client.stderr);
        t.match(parseResult(client), { status: 'complete', receivers: { length: count } });
        for (const { program } of receivers) {
          program.kill('SIGTERM');
          await program.exited;
        }
        for (const copy of copies) t.ok(isSameContent(sent, copy), 'all bytes are equal');
      },
    );

    // Without an end marker, the literal sender sends nothing for an empty file.
    if (size === 0) continue;

    t.test(`a literal sender to p2mpserver: ${what} to ${where}`, { buffered: true }, async (t) => {
      const folder = t.testdir();
      const sent = writeRandomFile(folder, size);
      const copies = names(count).map((name) => join(folder, name));
      // After a single segment, only a timeout shows the end; after a short segment, one second is
      // enough.
      const idle = size <= mss ? '1' : '60';
      const receivers = await Promise.all(
        copies.map((copy, i) =>
          startServer(t, copy, p, [
            '--once',
            '--json',
            '--idle-timeout',
            idle,
            '--seed',
            String(i),
          ]),
        ),
      );
      const servers = receivers.map(({ server }) => server);
      const sender = await runLiteralSender(t, servers, sent, mss, [
        '--timeout',
        '10',
        '--max-seconds',
        '1000',
      ]);
      t.equal(sender.code, 0, sender.stderr);
      for (const { program } of receivers) {
        const server = await program.exited;
        t.equal(server.code, 0, server.stderr);
        t.match(parseResult(server), { status: 'complete', bytes: size, end: 'silence' });
      }
      for (const copy of copies) t.ok(isSameContent(sent, copy), 'all bytes are equal');
    });
  }
}

function names(count: number): string[] {
  return ['a', 'b', 'c'].slice(0, count);
}
