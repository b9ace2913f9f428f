/** `p2mp relay --to` as a process: rows, keys and rights, metrics, and kill -9. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { isSameContent, writeRandomFile } from '../../support/loopback.js';
import type { Program } from '../../support/processes.js';
import { eventsOf, type ReceiverProgram, SessionPlace } from '../../support/session-commands.js';

t.jobs = 2;

const buffered = true;
const skip = process.platform === 'win32' && 'Windows has no such signals';

interface SendingOnProgram {
  readonly program: Program;
  readonly name: string;
}

/** Starts `p2mp relay --to` on any free port unless the options name one. */
async function startRelay(
  place: SessionPlace,
  to: readonly string[],
  options: readonly string[] = ['--open'],
  home = place.receiverHome,
): Promise<SendingOnProgram> {
  const port = options.includes('--port') ? [] : ['--port', '0'];
  const where = ['--to', to.join(), '--dir', join(place.folder, 'passing'), '--bind', '127.0.0.1'];
  const program = place.start(home, ['relay', ...where, ...port, '--json', ...options]);
  const [, bound] = await program.waitFor(/listening.*?127\.0\.0\.1:(\d+)/i);
  return { program, name: `127.0.0.1:${bound}` };
}

t.test('each receiver has a row; the relay ends by SIGTERM', { buffered }, async (t) => {
  const place = new SessionPlace(t);
  const path = writeRandomFile(place.sent, 2_000_000);
  const receivers = [await place.receive(['--open'], 'a'), await place.receive(['--open'], 'b')];
  const [a, b] = receivers.map(({ name }) => name);
  const relay = await startRelay(place, [a as string, b as string], ['--open', '--metrics', '0']);
  const { address: metrics } = await relay.program.waitForEvent('metrics');
  const { code, stdout, stderr } = await place.send([
    ...[path, '--to', relay.name, '--open', '--json'],
  ]).exited;
  t.equal(code, 0, stderr);
  for (const into of ['a', 'b']) t.ok(isSameContent(path, join(place.folder, into, 'sent')));
  t.match(eventsOf({ stdout }, 'result'), [
    {
      status: 'complete',
      receivers: [
        { receiver: relay.name, status: 'complete' },
        { status: 'complete', via: [relay.name] },
        { status: 'complete', via: [relay.name] },
      ],
    },
  ]);
  const ready = await fetch(`http://${metrics}/readyz`);
  t.equal(ready.status, 200);
  const text = await (await fetch(`http://${metrics}/metrics`)).text();
  t.match(text, /^p2mp_\S*sessions\S*\{?.*complete.* 1$/m);
  relay.program.kill('SIGTERM');
  const exit = await relay.program.exited;
  t.equal(exit.code, 0, exit.stderr);
  t.match(eventsOf(exit, 'receiver-result'), [{ status: 'complete' }, { status: 'complete' }]);
  t.match(eventsOf(exit, 'result'), [{ status: 'stopped', completeSessions: 1 }]);
});

t.test('a refused port behind the relay is named', { buffered }, async (t) => {
  const place = new SessionPlace(t);
  const path = writeRandomFile(place.sent, 100_000);
  const receivers = [await place.receive(['--open'], 'a'), await place.receive(['--open'], 'b')];
  const [dead, living] = receivers as [ReceiverProgram, ReceiverProgram];
  dead.program.kill('SIGKILL');
  await dead.program.exited;
  const options = ['--open', '--give-up-after', '4'];
  const relay = await startRelay(place, [dead.name, living.name], options);
  const send = place.send([path, '--to', relay.name, '--open', '--json']);
  const reason = `port ${dead.port} at 127.0.0.1 refused: no p2mp receive runs there`;
  t.match(await relay.program.waitForEvent('port-refused'), { receiver: dead.name, reason });
  const { stdout } = await send.exited;
  const [result] = eventsOf({ stdout }, 'result');
  t.equal(result?.['status'], 'incomplete');
  const via = [relay.name];
  for (const [name, row] of [
    [dead.name, { status: 'failed', reason: `${reason} (connection refused)`, via }],
    [living.name, { status: 'complete', via }],
  ] as const) {
    const rows = result?.['receivers'] as readonly { receiver: string }[];
    t.match(
      rows.find(({ receiver }) => receiver === name),
      row,
    );
  }
});

t.test(
  'keys and rights decide at the receiver, the relay and the sender',
  { buffered },
  async (t) => {
    const place = new SessionPlace(t);
    const path = writeRandomFile(place.sent, 100_000);
    const relayHome = join(place.folder, 'keys of the relay');
    mkdirSync(relayHome);
    const senderKey = await place.keygen(place.senderHome);
    const relayKey = await place.keygen(relayHome);
    const list = join(place.receiverHome, 'authorized_keys');
    writeFileSync(list, `send ${senderKey}`);
    writeFileSync(join(relayHome, 'authorized_keys'), `send ${senderKey}`);
    const receiver = await place.receive([]);
    const relay = await startRelay(place, [receiver.name], ['--accept-new'], relayHome);
    const args = [path, '--to', relay.name, '--json'];
    const first = await place.send([...args, '--accept-new']).exited;
    t.equal(first.code, 1, first.stderr);
    t.match(eventsOf(first, 'receiver-result'), [
      { receiver: relay.name, status: 'failed' },
      { receiver: receiver.name, status: 'refused', reason: /send p2mp-x25519/ },
    ]);
    writeFileSync(list, `send ${senderKey}relay ${relayKey}`);
    receiver.program.kill('SIGTERM');
    await receiver.program.exited;
    const again = await place.receive(['--port', String(receiver.port), '--json']);
    // Both keys are known by now, also that of the receiver behind the relay.
    const second = await place.send(args).exited;
    t.equal(second.code, 0, second.stderr);
    t.ok(isSameContent(path, join(receiver.dir, 'sent')));
    again.program.kill('SIGTERM');
    const exit = await again.program.exited;
    t.match(eventsOf(exit, 'connect'), [{ origin: /^SHA256:/, fingerprint: /^SHA256:/ }]);
  },
);

t.test('after kill -9, the relay continues with what it had', { buffered }, async (t) => {
  const place = new SessionPlace(t);
  const path = writeRandomFile(place.sent, 6_000_000);
  const receivers = [await place.receive(['--open'], 'a'), await place.receive(['--open'], 'b')];
  const names = receivers.map(({ name }) => name);
  const first = await startRelay(place, names);
  const sender = place.send([path, '--to', first.name, '--open', '--json', '--rate', '3MB']);
  await first.program.waitForEvent('progress');
  first.program.kill('SIGKILL');
  await first.program.exited;
  const port = first.name.split(':')[1] as string;
  const second = await startRelay(place, names, ['--open', '--port', port]);
  const { code, stderr, stdout } = await sender.exited;
  t.equal(code, 0, stderr);
  for (const into of ['a', 'b']) t.ok(isSameContent(path, join(place.folder, into, 'sent')));
  t.match(eventsOf({ stdout }, 'result'), [{ receivers: { length: 3 } }]);
  second.program.kill('SIGTERM');
  t.equal((await second.program.exited).code, 0);
});

t.test('SIGHUP reads the receivers again, for the next object', { buffered, skip }, async (t) => {
  const place = new SessionPlace(t);
  const path = writeRandomFile(place.sent, 100_000);
  const [a, b] = [await place.receive(['--open'], 'a'), await place.receive(['--open'], 'b')];
  const hosts = join(place.folder, 'hosts');
  writeFileSync(hosts, a.name);
  const { program, name } = await startRelay(place, [`@${hosts}`]);
  const send = async () => {
    const exit = await place.send([path, '--to', name, '--open', '--json']).exited;
    return eventsOf(exit, 'receiver-result').map(({ receiver }) => receiver);
  };
  t.same(await send(), [name, a.name]);
  for (const [text, field] of [
    ['no host: at all', '"reason":".*hosts'],
    [`${b.name}\n`, '"receivers":'],
  ] as const) {
    writeFileSync(hosts, text);
    program.kill('SIGHUP');
    await program.waitFor(new RegExp(`"event":"reloaded",${field}`));
  }
  t.same(await send(), [name, b.name]);
  program.kill('SIGTERM');
  t.equal((await program.exited).code, 0);
});

t.test('a relay that is its own receiver is refused', { buffered }, async (t) => {
  const place = new SessionPlace(t);
  const receiver = await place.receive();
  receiver.program.kill('SIGTERM');
  await receiver.program.exited;
  const address = ['--port', String(receiver.port), '--bind', '127.0.0.1', '--open'];
  const args = ['relay', '--to', receiver.name, '--dir', join(place.folder, 'passing')];
  const exit = await place.start(place.receiverHome, [...args, ...address]).exited;
  t.equal(exit.code, 2);
  t.match(exit.stderr, /127\.0\.0\.1:\d+ is this relay itself; name the receivers behind it/);
});

t.test('health, and a folder that is gone', { buffered }, async (t) => {
  const place = new SessionPlace(t);
  const { program } = await startRelay(place, ['127.0.0.1:1'], ['--open', '--metrics', '0']);
  const { address } = await program.waitForEvent('metrics');
  const statusOf = async (path: string) => (await fetch(`http://${address}${path}`)).status;
  t.same([await statusOf('/healthz'), await statusOf('/readyz')], [200, 200]);
  rmSync(join(place.folder, 'passing'), { recursive: true });
  t.same([await statusOf('/healthz'), await statusOf('/readyz')], [503, 503]);
  program.kill('SIGTERM');
  t.equal((await program.exited).code, 0);
});

t.test('options that do not fit together', { buffered }, async (t) => {
  const place = new SessionPlace(t);
  const to = ['--to', '127.0.0.1:1'];
  for (const [args, message] of [
    [to, /no folder/],
    [[], /nothing to relay: give --upstream and --cache, or --to and --dir/],
    [['--dir', 'x'], /--dir is for --to/],
    [[...to, '127.0.0.2', '--dir', 'x'], /127.0.0.2: unexpected argument; separate hosts by/],
    [[...to, '--dir', 'x', '--cache-list'], /a relay with --to has no cache/],
    [[...to, '--dir', 'x', '--open', '--multicast-ttl', '999'], /--multicast-ttl 999: must be/],
    [[...to, '--dir', 'x', '--upstream', 'y'], /--to and --upstream/],
    [[...to, '--dir', 'x', '--multicast', 'y', '--open'], /--multicast y/],
  ] as const) {
    const { code, stderr } = await place.start(place.receiverHome, ['relay', ...args]).exited;
    t.equal(code, 2, stderr);
    t.match(stderr, message);
  }
});
