/** p2mpclient with servers that acknowledge in nonstandard ways. */

import { join } from 'node:path';
import t from 'tap';
import { isSameContent, noSecondLoopback, writeRandomFile } from '../../support/loopback.js';
import type { Cleaner, Exit, JsonEvent } from '../../support/processes.js';
import {
  parseResult,
  runClient,
  startClient,
  startLiteralReceiver,
} from '../../support/processes.js';

t.jobs = 4;

interface Sent {
  readonly client: Exit;
  readonly result: JsonEvent;
  readonly sent: string;
  readonly copies: readonly string[];
}

/** Sends a file to one literal receiver for each list of options. */
async function send(
  t: Cleaner,
  folder: string,
  size: number,
  receivers: readonly (readonly string[])[],
  clientOptions: readonly string[] = [],
): Promise<Sent> {
  const sent = writeRandomFile(folder, size);
  const copies = receivers.map((_, i) => join(folder, `received-${i}`));
  const started = await Promise.all(
    receivers.map((options, i) => startLiteralReceiver(t, copies[i] ?? '', 0, options)),
  );
  const servers = started.map(({ server }) => server);
  const client = await runClient(t, servers, sent, 500, ['--json', ...clientOptions]);
  return { client, result: parseResult(client), sent, copies };
}

const nextNumber = /acknowledges the next number/;

for (const { size, window } of [
  { size: 1, window: 1 },
  { size: 500, window: 1 },
  { size: 5000, window: 1 },
  { size: 5000, window: 16 },
]) {
  t.test(
    `a server that acknowledges the next number is never complete: ${size} bytes, window ${window}`,
    { buffered: true },
    async (t) => {
      const options = ['--window', String(window), '--give-up-after', '5'];
      const { client, result } = await send(t, t.testdir(), size, [['--ack-next']], options);
      t.equal(client.code, 1);
      t.match(result, { status: 'incomplete' });
      t.match(result['receivers'], [{ status: 'failed', reason: nextNumber, heldBytes: 0 }]);
    },
  );
}

t.test('such a server does not delay the others', { buffered: true }, async (t) => {
  const servers = [[], ['--ack-next'], []];
  const { client, result, sent, copies } = await send(t, t.testdir(), 5000, servers);
  t.equal(client.code, 3);
  t.match(result['receivers'], [
    { status: 'complete' },
    { status: 'failed', reason: nextNumber },
    { status: 'complete' },
  ]);
  for (const copy of [copies[0], copies[2]]) t.ok(isSameContent(sent, copy ?? ''));
});

t.test('ACKs with nonzero padding are accepted and counted', { buffered: true }, async (t) => {
  const { client, result, sent, copies } = await send(t, t.testdir(), 5000, [['--ack-junk']]);
  t.equal(client.code, 0, client.stderr);
  // Ten segments and the end marker; a spurious timeout can only increase the count.
  t.ok(result['faults']['ack-reserved-bits'] >= 11);
  t.ok(result['faults']['ack-trailing-bytes'] >= 11);
  t.ok(isSameContent(sent, copies[0] ?? ''));
});

t.test('a server that ignores the end marker has all the data', { buffered: true }, async (t) => {
  const servers = [['--ignore-empty'], []];
  const { client, result, sent, copies } = await send(t, t.testdir(), 5000, servers);
  t.equal(client.code, 0, client.stderr);
  t.match(result['receivers'], [
    { status: 'complete', confirmed: false, reason: /its end was not confirmed/, heldBytes: 5000 },
    { status: 'complete', confirmed: false, identified: false, heldBytes: 5000 },
  ]);
  for (const copy of copies) t.ok(isSameContent(sent, copy));
});

t.test('without an end marker, nobody is asked to confirm it', { buffered: true }, async (t) => {
  const options = ['--no-end-marker'];
  const { client, result, sent, copies } = await send(t, t.testdir(), 5000, [[]], options);
  t.equal(client.code, 0, client.stderr);
  t.match(result['receivers'], [{ status: 'complete', confirmed: false, heldBytes: 5000 }]);
  t.ok(isSameContent(sent, copies[0] ?? ''));
});

t.test('a server that waits for type 0xFFFF gets the whole file', { buffered: true }, async (t) => {
  const { client, sent, copies } = await send(t, t.testdir(), 5000, [['--eof-type']]);
  t.equal(client.code, 0, client.stderr);
  t.ok(isSameContent(sent, copies[0] ?? ''));
});

t.test(
  'a server that does not acknowledge duplicates causes no delay',
  { buffered: true },
  async (t) => {
    const folder = t.testdir();
    const sent = writeRandomFile(folder, 5000);
    const copy = join(folder, 'received');
    const { program, server } = await startLiteralReceiver(t, copy, 0, ['--ignore-duplicates']);
    // Copies of the first segment collect in its socket while it is suspended.
    program.kill('SIGSTOP');
    const client = startClient(t, [server], sent, 500);
    await client.waitFor(/^Timeout, sequence number = 0$/m);
    program.kill('SIGCONT');
    const { code, stderr } = await client.exited;
    t.equal(code, 0, stderr);
    program.kill('SIGTERM');
    const { stdout } = await program.exited;
    const stats = JSON.parse(/^stats (.*)$/m.exec(stdout)?.[1] ?? '');
    t.ok(stats.outOfSequence > 0, 'at least one duplicate arrived');
    t.ok(isSameContent(sent, copy));
  },
);

t.test(
  'a server that answers from another of its addresses is matched by its port',
  { buffered: true, skip: noSecondLoopback },
  async (t) => {
    const servers = [['--reply-from', '127.0.0.2'], []];
    const { client, result, sent, copies } = await send(t, t.testdir(), 5000, servers);
    t.equal(client.code, 0, client.stderr);
    t.match(result['receivers'], [
      { status: 'complete', address: /^127\.0\.0\.1:/ },
      { status: 'complete' },
    ]);
    t.ok(result['faults']['other-address'] > 0, 'the fault is counted');
    for (const copy of copies) t.ok(isSameContent(sent, copy));
  },
);

t.test('a window of many segments works with a literal receiver', { buffered: true }, async (t) => {
  const folder = t.testdir();
  const sent = writeRandomFile(folder, 50_001);
  const copy = join(folder, 'received');
  const { server } = await startLiteralReceiver(t, copy, 0.05, ['--seed', '3']);
  const client = await runClient(t, [server], sent, 500, ['--window', '16']);
  t.equal(client.code, 0, client.stderr);
  t.ok(isSameContent(sent, copy));
});
