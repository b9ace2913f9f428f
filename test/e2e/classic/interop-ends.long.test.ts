/** Nonstandard end markers, checksums and last segments of other programs. */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { isSameContent, writeRandomFile } from '../../support/loopback.js';
import type { Cleaner, Exit, JsonEvent } from '../../support/processes.js';
import { parseResult, runLiteralSender, startServer } from '../../support/processes.js';

t.jobs = 4;

interface Received {
  readonly sender: Exit;
  readonly server: Exit;
  readonly result: JsonEvent;
  readonly copy: string;
}

/** Sends a file of the folder to one p2mpserver. */
async function receive(
  t: Cleaner,
  folder: string,
  mss: number,
  senderOptions: readonly string[],
  serverOptions: readonly string[] = [],
): Promise<Received> {
  const copy = join(folder, 'received');
  const options = ['--once', '--json', ...serverOptions];
  const { program, server: address } = await startServer(t, copy, 0, options);
  const sent = join(folder, 'sent');
  const sender = await runLiteralSender(t, [address], sent, mss, senderOptions);
  const server = await program.exited;
  return { sender, server, result: parseResult(server), copy };
}

for (const size of [0, 999, 1000]) {
  t.test(
    `an empty data packet immediately ends a file of ${size} bytes`,
    { buffered: true },
    async (t) => {
      const folder = t.testdir();
      const sent = writeRandomFile(folder, size);
      const { sender, server, result, copy } = await receive(t, folder, 500, ['--end', 'empty']);
      t.equal(server.code, 0, server.stderr);
      t.match(result, { status: 'complete', end: 'end-marker', certain: true, bytes: size });
      t.ok(isSameContent(sent, copy));
      t.equal(sender.code, 0, sender.stderr);
    },
  );
}

for (const size of [999, 1000]) {
  t.test(
    `a packet of type 0xFFFF ends a file of ${size} bytes and is echoed`,
    { buffered: true },
    async (t) => {
      const folder = t.testdir();
      const sent = writeRandomFile(folder, size);
      const { sender, server, result, copy } = await receive(t, folder, 500, [
        '--end',
        'ffff',
        '--timeout',
        '5000',
      ]);
      t.equal(server.code, 0, server.stderr);
      t.match(result, { status: 'complete', end: 'end-packet', certain: true, bytes: size });
      t.ok(isSameContent(sent, copy));
      t.notMatch(sender.stdout, 'Timeout, sequence number = 0', 'the sender got the echo');
    },
  );
}

for (const type of ['5557', '5556']) {
  for (const size of [499, 1000]) {
    t.test(
      `a last segment of type 0x${type} ends a file of ${size} bytes`,
      { buffered: true },
      async (t) => {
        const folder = t.testdir();
        const sent = writeRandomFile(folder, size);
        const { sender, result, copy } = await receive(t, folder, 500, ['--last-type', type]);
        t.match(result, { status: 'complete', end: 'marked-last', certain: true, bytes: size });
        t.ok(isSameContent(sent, copy));
        t.equal(sender.code, 0, 'its last segment was acknowledged');
      },
    );
  }
}

t.test(
  'a sender that stops after a full segment leaves a file with an uncertain end',
  { buffered: true },
  async (t) => {
    const folder = t.testdir();
    const sent = writeRandomFile(folder, 1000);
    const { server, result, copy } = await receive(t, folder, 500, [], ['--idle-timeout=1']);
    t.equal(server.code, 0, server.stderr);
    t.match(result, { status: 'complete', end: 'silence', certain: false });
    t.ok(isSameContent(sent, copy));
  },
);

t.test('a sender that stops after a short segment is complete', { buffered: true }, async (t) => {
  const folder = t.testdir();
  const sent = writeRandomFile(folder, 999);
  const { server, result, copy } = await receive(t, folder, 500, [], ['--must-end']);
  t.equal(server.code, 0, server.stderr);
  t.match(result, { status: 'complete', end: 'silence', certain: true });
  t.ok(isSameContent(sent, copy));
});

t.test('with --must-end, an inferred end is a failure', { buffered: true }, async (t) => {
  const folder = t.testdir();
  writeRandomFile(folder, 1000);
  const options = ['--must-end', '--idle-timeout=1'];
  const { server, result, copy } = await receive(t, folder, 500, [], options);
  t.equal(server.code, 1);
  t.match(result, { status: 'failed', reason: /no data for 1 s/ });
  t.notOk(existsSync(copy), 'no file remains');
});

t.test(
  'checksums with the odd last byte in the low half are accepted and counted',
  { buffered: true },
  async (t) => {
    const folder = t.testdir();
    // No byte is zero, and the two bytes of each word differ, so the two paddings give different
    // sums.
    writeFileSync(join(folder, 'sent'), 'odd'.repeat(333));
    const options = ['--odd-low', '--end', 'empty'];
    const { server, result, copy } = await receive(t, folder, 333, options);
    t.equal(server.code, 0, server.stderr);
    t.match(result, { status: 'complete', bytes: 999 });
    // On a slow machine, repeated segments count again.
    const count = result['faults']['odd-byte-low'];
    t.ok(count >= 3, `${count} times`);
    t.ok(isSameContent(join(folder, 'sent'), copy));
  },
);

for (const options of [[], ['--zero-as-ffff']]) {
  const form = options.length === 0 ? '0' : '0xFFFF';
  t.test(`a checksum of zero is valid as ${form}`, { buffered: true }, async (t) => {
    const folder = t.testdir();
    writeFileSync(join(folder, 'sent'), Buffer.alloc(1000, 0xff));
    const { server, result, copy } = await receive(t, folder, 500, [...options, '--end', 'empty']);
    t.equal(server.code, 0, server.stderr);
    t.match(result, { status: 'complete', bytes: 1000, faults: {} });
    t.notOk(result['faults']['bad-checksum']);
    t.ok(isSameContent(join(folder, 'sent'), copy));
  });
}

t.test('under loss, the end marker is repeated until it arrives', { buffered: true }, async (t) => {
  const folder = t.testdir();
  const sent = writeRandomFile(folder, 1000);
  // Arrivals 2 and 3 are the end marker.
  const options = ['--loss-model', 'scripted:2,3'];
  const { server, result, copy } = await receive(t, folder, 500, ['--end', 'empty'], options);
  t.equal(server.code, 0, server.stderr);
  t.match(result, { status: 'complete', end: 'end-marker', losses: 2 });
  t.ok(isSameContent(sent, copy));
});
