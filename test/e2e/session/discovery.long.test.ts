/**
 * `p2mp peers` and `--to @lan` over real multicast on loopback. Other receivers of this host may answer as well, so
 * the tests look only at their own, by their names.
 */
import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { formatAddress } from '../../../src/base/address.js';
import { type Exit, type JsonEvent, parseResult } from '../../support/processes.js';
import { eventsOf, SessionPlace } from '../../support/session-commands.js';

/** A unique name, so that receivers of other tests on this host do not count. */
const nameOf = (host: string) => `p2mp-test-${process.pid}-${host}`;

/** Far more than answers take, even on a busy machine. */
const wait = ['--wait', '6', '--interface', '127.0.0.1'];

/** Starts a receiver with a key of its own that admits everybody. @returns its port */
async function startReceiver(
  t: Test,
  place: SessionPlace,
  host: string,
  options: readonly string[] = [],
) {
  const home = join(place.folder, `keys of ${host}`);
  mkdirSync(home);
  const where = ['--dir', join(place.folder, `in ${host}`), '--bind', '127.0.0.1', '--port', '0'];
  const args = ['receive', '--open', ...where, '--name', nameOf(host), '--json', ...options];
  const program = place.start(home, args);
  t.teardown(() => program.kill('SIGKILL'));
  const { addresses } = await program.waitForEvent('listening');
  return { program, address: String(addresses[0]), home };
}

function knownLine(address: string, home: string): string {
  const [kind, key] = readFileSync(join(home, 'key.pub'), 'utf8').split(' ');
  return `${address} ${kind} ${key}\n`;
}

/** Tries again if a receiver was too slow to answer, on a busy machine. */
async function sendToLan(place: SessionPlace, expectedCount: number, args: readonly string[]) {
  for (let attempt = 1; ; attempt++) {
    const exit = await place.send([...args, '--json']).exited;
    const { receivers = [] } = parseResult(exit);
    if (receivers.length >= expectedCount || attempt === 5) return exit;
  }
}

const isOwn = ({ name }: { name: string }) => name.startsWith(nameOf(''));

t.test(
  'p2mp peers lists receivers of one host that share the port, and who is trusted',
  async (t) => {
    const place = new SessionPlace(t);
    const one = await startReceiver(t, place, 'one');
    const two = await startReceiver(t, place, 'two');
    const hidden = await startReceiver(t, place, 'hidden', ['--no-announce']);
    const known = join(place.senderHome, 'known_receivers');
    writeFileSync(known, knownLine('lab1:7735', one.home));

    const exit = await place.start(place.senderHome, ['peers', '--json', ...wait]).exited;
    t.equal(exit.code, 0, exit.stderr);
    const peers: JsonEvent[] = parseResult(exit)['peers'].filter(isOwn);
    t.same(peers.map(({ name }) => name).sort(), [nameOf('one'), nameOf('two')]);
    const [first, second] = ['one', 'two'].map((host) =>
      peers.find(({ name }) => name === nameOf(host)),
    );
    t.match(first, { address: one.address, trust: 'trusted', knownAs: ['lab1:7735'] });
    t.match(second, { address: two.address, trust: 'unknown', knownAs: [] });
    t.match(readFileSync(join(two.home, 'key.pub'), 'utf8'), `${second?.['publicKey']} `);
    t.equal(eventsOf(exit, 'peer').filter(({ name }) => isOwn({ name })).length, 2);

    // The address of two, with the key of one: as if the host had been replaced.
    writeFileSync(known, knownLine(two.address, hidden.home));
    const text = await place.start(place.senderHome, ['peers', ...wait]).exited;
    t.equal(text.code, 0, text.stderr);
    const rows = text.stdout.split('\n').filter((line) => line.includes(nameOf('')));
    t.equal(rows.length, 2);
    t.ok(rows.some((row) => row.startsWith('not trusted') && row.includes(one.address)));
    t.ok(rows.some((row) => row.startsWith('other key') && row.includes(two.address)));
    t.match(text.stdout, /To trust a receiver, run p2mp receive --invite there/);
  },
);

t.test(
  '--to @lan sends to the trusted receivers, and --retry-failed to those that failed',
  async (t) => {
    const place = new SessionPlace(t);
    const one = await startReceiver(t, place, 'one');
    const two = await startReceiver(t, place, 'two');
    const stranger = await startReceiver(t, place, 'stranger');
    const file = join(place.sent, 'a file');
    writeFileSync(file, 'content');
    const known = join(place.senderHome, 'known_receivers');
    // Known under names that do not exist: their keys count.
    writeFileSync(known, knownLine('lab1:7735', one.home) + knownLine('lab2:7735', two.home));

    const plan = await sendToLan(place, 2, [file, '--to', '@LAN', '--dry-run']);
    t.equal(plan.code, 0, plan.stderr);
    const planned = parseResult(plan)['receivers'].map(({ address }: JsonEvent) => address);
    const portOf = (address: string) => address.split(':').at(-1) ?? '';
    t.same(planned.map(portOf).sort(), [one, two].map(({ address }) => portOf(address)).sort());
    t.notOk(existsSync(join(place.folder, 'in one', 'a file')), 'nothing was sent');

    const sent = await sendToLan(place, 2, [file, '--to', '@lan']);
    t.equal(sent.code, 0, sent.stderr);
    for (const host of ['one', 'two']) {
      t.equal(readFileSync(join(place.folder, `in ${host}`, 'a file'), 'utf8'), 'content');
    }
    t.notOk(existsSync(join(place.folder, 'in stranger', 'a file')));
    const names = eventsOf(sent, 'peer').filter(({ name }) => isOwn({ name }));
    t.equal(names.find(({ name }) => name === nameOf('stranger'))?.['trust'], 'unknown');
    t.equal(readFileSync(known, 'utf8').split('\n').length, 3, 'the list has not changed');

    // As if one of them had failed: the retry knows its key by the fingerprint in the result.
    const result = parseResult(sent);
    const [failed, ...others] = result['receivers'];
    const earlier = join(place.folder, 'result.json');
    const receivers = [{ ...failed, status: 'failed' }, ...others];
    writeFileSync(earlier, `${JSON.stringify({ ...result, receivers })}\n`);
    const again = await place.send([file, '--retry-failed', earlier, '--json']).exited;
    t.equal(again.code, 0, again.stderr);
    t.match(parseResult(again)['receivers'], [{ status: 'complete', address: failed.address }]);

    // A receiver that is named as well counts once.
    for (const { address, home } of [stranger, one])
      appendFileSync(known, knownLine(address, home));
    const mixed = ['--to', `@lan,${stranger.address},${one.address}`];
    const all = await place.send([file, ...mixed, '--json']).exited;
    const statuses = parseResult(all)['receivers'].filter(({ name = '' }) => isOwn({ name }));
    t.equal(statuses.length, 3, all.stderr);
    t.ok(statuses.every(({ status }: JsonEvent) => status === 'complete'));
  },
);

t.test(
  '--to @lan without a trusted receiver sends nothing and says how to trust one',
  async (t) => {
    const place = new SessionPlace(t);
    const { address } = await startReceiver(t, place, 'one');
    const exit = await place.send([place.sent, '--to', '@lan', '--json']).exited;
    t.equal(exit.code, 4);
    const peer = eventsOf(exit, 'peer').find(({ name }) => name === nameOf('one'));
    t.ok(peer?.['addresses'].includes(address));
    t.match(parseResult(exit), {
      error: { code: 'UNKNOWN_HOST', message: /p2mp receive --invite/ },
    });
    const text = await place.send([place.sent, '--to', '@lan']).exited;
    t.match(
      text.stderr,
      new RegExp(`${nameOf('one')}\\): nothing is sent to it: not trusted here`),
    );
  },
);

t.test('wrong values of p2mp peers', async (t) => {
  const place = new SessionPlace(t);
  const run = async (...args: string[]) => place.start(place.senderHome, ['peers', ...args]).exited;
  for (const [args, message] of [
    [['--interface', 'nowhere0'], /interface nowhere0: this host has no interface .*; it has lo/],
    [['--wait', '0'], /--wait 0: must be above 0/],
    [['eth0'], /eth0: unexpected argument; name an interface with --interface/],
  ] as const) {
    const { code, stderr } = await run(...args);
    t.equal(code, 2);
    t.match(stderr, message);
  }
});

t.test('p2mp fetch and p2mp list find the trusted servers, and send does not', async (t) => {
  const place = new SessionPlace(t);
  const path = join(place.sent, 'file');
  writeFileSync(path, 'served');
  const { address } = await place.serve([path, '--open', '--json']);
  const hidden = await place.serve([path, '--open', '--json', '--no-announce']);
  const own = formatAddress(address);
  const isNear = (each: JsonEvent) =>
    [own, formatAddress(hidden.address)].includes(String(each['address']));

  const found = await place.start(place.senderHome, ['peers', '--json', ...wait]).exited;
  t.match(parseResult(found)['peers'].filter(isNear), [{ address: own, role: 'server' }]);
  const untrusted = await place.start(place.senderHome, ['list', '@lan']).exited;
  t.equal(untrusted.code, 4);
  t.match(untrusted.stderr, 'To trust a server, run p2mp serve --invite there');

  const known = join(place.senderHome, 'known_receivers');
  writeFileSync(known, knownLine('lab1:7735', place.receiverHome));
  const start = (...args: string[]) => retry(() => place.start(place.senderHome, args).exited);
  const dir = join(place.folder, 'in');
  const fetched = await start('fetch', 'file', '--from', '@lan', '--dir', dir, '--json');
  t.match(parseResult(fetched), { status: 'complete', groups: [{ sources: [own] }] });
  t.equal(readFileSync(join(dir, 'file'), 'utf8'), 'served');
  const listed = await start('list', '@lan', '--json');
  t.match(parseResult(listed), {
    status: 'searched',
    servers: [{ server: own, status: 'listed', objects: [{ name: 'file', bytes: 6 }] }],
  });
  const text = await start('list', '@lan');
  t.match(text.stdout, `${own}:\n`);
  // Receivers of other tests can answer, too.
  const sent = await place.send([path, '--to', '@lan']).exited;
  t.equal(sent.code, 4);
  t.match(sent.stderr, /@lan: (no|none of the \d+|the only) receiver/);
});

/** Tries again if a server was too slow to answer, on a busy machine. */
async function retry(start: () => Promise<Exit>): Promise<Exit> {
  for (let attempt = 1; ; attempt++) {
    const exit = await start();
    if (exit.code === 0 || attempt === 5) return exit;
  }
}
