/** `p2mp serve` as a process: rights, events, metrics, health, and how it stops. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { formatPublicKey, generateKeyPair } from '../../../src/node/keys/key-files.js';
import { FetchingClient } from '../../support/fetching-client.js';
import { isSameContent, writeRandomFile } from '../../support/loopback.js';
import { parseEvents } from '../../support/processes.js';
import { eventsOf, SessionPlace } from '../../support/session-commands.js';

t.jobs = 2;

const buffered = true;

async function openClient(t: Test, place: SessionPlace) {
  const dir = join(place.folder, 'client');
  mkdirSync(dir);
  return FetchingClient.open(t, dir, await generateKeyPair());
}

t.test('--json reports everything from start to result', { buffered }, async (t) => {
  const place = new SessionPlace(t);
  const path = writeRandomFile(place.sent, 300_000);
  const client = await openClient(t, place);
  const { program, address } = await place.serve([path, '--open', '--json', '--metrics', '0']);
  const { address: metrics } = await program.waitForEvent('metrics');
  const indexed = await program.waitForEvent('indexed');
  t.match(indexed, { name: 'sent', bytes: 300_000, files: 1, hashedBytes: 300_000 });
  const ready = await fetch(`http://${metrics}/readyz`);
  t.strictSame([ready.status, await ready.json()], [200, { status: 'ok', sessions: 0 }]);
  t.match(await client.fetch(address, { name: 'sent' }), { status: 'complete' });
  t.ok(isSameContent(path, join(client.dir, 'sent')));
  await client.fetch(address, { name: 'other' });
  await program.waitForEvent('refused');
  const text = await (await fetch(`http://${metrics}/metrics`)).text();
  t.match(text, /^p2mp_clients_total\{status="complete"\} 1$/m);
  t.match(text, /^p2mp_served_bytes_total 300000$/m);
  t.match(
    text,
    new RegExp(`^p2mp_offered_bytes.*content_root="${indexed['contentRoot']}".* 300000$`, 'm'),
  );
  program.kill('SIGTERM');
  const exit = await program.exited;
  t.equal(exit.code, 0, exit.stderr);
  const names = parseEvents(exit.stdout).map(({ event }) => event);
  for (const name of ['listening', 'connect', 'client-result', 'refused'])
    t.ok(names.includes(name));
  t.match(eventsOf(exit, 'client-result'), [
    { name: 'sent', status: 'complete', receivedBytes: 300_000 },
  ]);
  t.match(parseEvents(exit.stdout).at(-1), {
    ...{ event: 'result', status: 'stopped', completeClients: 1, incompleteClients: 0 },
    receivedBytes: 300_000,
  });
});

t.test('only keys with the right "fetch" may list and fetch', { buffered }, async (t) => {
  const place = new SessionPlace(t);
  const path = writeRandomFile(place.sent, 1000);
  const client = await openClient(t, place);
  const authorized = join(place.receiverHome, 'authorized_keys');
  writeFileSync(authorized, `send ${formatPublicKey(client.keyPair.publicKey, 'me')}\n`);
  const { program, address } = await place.serve([path]);
  const refusal =
    /the server does not let this key SHA256:\S{43} fetch; add this line to its authorized_keys: fetch /;
  t.match(await client.fetch(address, { name: 'sent' }), refusal);
  t.match(await client.list(address), refusal);
  const [, line = ''] = await program.waitFor(/add this line: (fetch p2mp-x25519 .*)/, 'stderr');
  writeFileSync(authorized, `${line}\n`);
  // The file is reread within a second.
  let result = await client.list(address);
  while (typeof result === 'string') result = await client.list(address);
  t.match(result, [{ name: 'sent', contentSizeBytes: 1000 }]);
  t.match(await client.fetch(address, { name: 'sent' }), { status: 'complete' });
  await program.waitFor(/^sent to 127\.0\.0\.1:\d+: complete, 1\.00 kB sent, /m);
  program.kill('SIGTERM');
  t.equal((await program.exited).code, 0);
});

t.test('what cannot be served is refused before a key is made', { buffered }, async (t) => {
  const place = new SessionPlace(t);
  const refused: [string[], RegExp, number][] = [
    [[], /nothing to serve; name a file or folder/, 2],
    [['-'], /standard input cannot be served/, 2],
    [['a/x', 'b/x'], /two paths would be offered as x/, 2],
    [[place.sent, '--port', 'x'], /port x/, 2],
    [
      [place.sent, '--metrics-name', 'x', '--open', '--port', '0'],
      /no effect without --metrics/,
      2,
    ],
    [[join(place.folder, 'missing'), '--open', '--port', '0'], /missing: does not exist/, 4],
    [[place.sent, '--port', '0'], /authorized_keys: the list of authorized keys does not exist/, 4],
  ];
  for (const [args, message, code] of refused) {
    const exit = await place.start(place.receiverHome, ['serve', ...args]).exited;
    t.equal(exit.code, code, args.join(' '));
    t.match(exit.stderr, message);
  }
});

t.test('p2mp list shows what a server offers, to keys that may fetch', { buffered }, async (t) => {
  const place = new SessionPlace(t);
  const paths = [writeRandomFile(place.sent, 2000), place.receiverHome];
  const line = await place.keygen(place.senderHome);
  const authorized = join(place.folder, 'authorized');
  writeFileSync(authorized, `fetch ${line}`);
  const { program, address } = await place.serve([
    ...[...paths, '--authorized-keys', authorized, '--json'],
  ]);
  const indexed = await program.waitForEvent('indexed');
  await program.waitFor(/"indexed".*\n(.*\n)*.*"indexed"/);
  const name = `127.0.0.1:${address.port}`;
  const list = (...args: string[]) => place.start(place.senderHome, ['list', name, ...args]).exited;
  const unknown = await list('--json');
  t.equal(unknown.code, 1);
  t.match(parseEvents(unknown.stdout), [
    { event: 'result', status: 'failed', reason: /its key SHA256:\S{43} is not known here/ },
  ]);
  const shown = await list('--accept-new');
  t.equal(shown.code, 0, shown.stderr);
  t.match(shown.stdout, /^ *name +size +content root\n/m);
  t.match(shown.stdout, new RegExp(`^ *sent +2\\.00 kB +${indexed['contentRoot']}`, 'm'));
  t.match(shown.stdout, /^2 objects$/m);
  const known = parseEvents((await list('--json')).stdout).at(-1);
  t.match(known, {
    ...{ event: 'result', server: name, status: 'listed' },
    objects: [{ name: 'keys of the receiver' }, { name: 'sent', bytes: 2000 }],
  });
  const other = join(place.folder, 'other');
  const refused = await place.start(other, ['list', name, '--open']).exited;
  t.match(refused, { code: 1, stderr: /refused: the server does not let this key .* fetch; add/ });
  for (const args of [[], [name, name], [name, '--timeout', '0']]) {
    t.equal((await place.start(other, ['list', ...args]).exited).code, 2);
  }
});

for (const signals of [['SIGINT'], ['SIGTERM', 'SIGINT']] as const)
  t.test(`${signals.join(' and ')} while a client fetches`, { buffered }, async (t) => {
    const place = new SessionPlace(t);
    const path = writeRandomFile(place.sent, 200_000_000);
    const client = await openClient(t, place);
    const { program, address } = await place.serve([path, '--open', '--log', 'text']);
    const fetched = client.fetch(address, { name: 'sent' });
    await program.waitFor(/sent to 127\.0\.0\.1:\d+: key SHA256:/);
    for (const signal of signals) {
      program.kill(signal);
      if (signal === 'SIGTERM') await program.waitFor(/takes no new clients/);
    }
    t.match(await fetched, {
      status: 'failed',
      reason: /the server was stopped; the fetch resumes/,
    });
    t.equal((await program.exited).code, 130);
  });
