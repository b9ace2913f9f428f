/** Discovery between network namespaces on one bridge. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { isSameContent } from '../support/loopback.js';
import { type JsonEvent, parseResult } from '../support/processes.js';
import { noLab, receiverHosts, SessionLab } from './session-lab.js';

const skip = noLab;

/** Writes the list of known receivers of the sender. */
function trust(lab: SessionLab, hosts: readonly number[]): void {
  const lines = hosts.map((host) => {
    const [kind, key] = readFileSync(join(lab.folder, `keys ${host}`, 'key.pub'), 'utf8').split(
      ' ',
    );
    return `lab${host}:7735 ${kind} ${key}\n`;
  });
  writeFileSync(join(lab.folder, 'keys 0', 'known_receivers'), lines.join(''));
}

t.test('--to @lan delivers to the two trusted ones of three receivers', { skip }, async (t) => {
  const lab = new SessionLab(t, 500_000);
  await lab.receive([]);
  const keygen = await lab.p2mp(0, 'keygen').exited;
  t.equal(keygen.code, 0, keygen.stderr);
  trust(lab, [1, 3]);
  const found = await lab.p2mp(0, 'peers', '--json', '--wait', '6').exited;
  t.equal(found.code, 0, found.stderr);
  const { peers } = parseResult(found);
  const byAddress = (a: JsonEvent, b: JsonEvent) => (a['address'] < b['address'] ? -1 : 1);
  t.match(
    [...peers].sort(byAddress),
    receiverHosts.map((host) => ({
      address: `${lab.address(host, 4)}:7735`,
      trust: host === 2 ? 'unknown' : 'trusted',
    })),
  );
  for (const { addresses } of peers) t.equal(addresses.length, 2, 'by IPv4 and by IPv6, once each');

  const send = () => lab.p2mp(0, 'send', lab.sent, '--to', '@lan', '--json', '--overwrite').exited;
  let sent = await send();
  // On a busy machine, a receiver can be too slow to answer.
  for (let i = 0; i < 5 && parseResult(sent)['receivers']?.length !== 2; i++) sent = await send();
  t.equal(sent.code, 0, sent.stderr);
  const statuses = parseResult(sent)['receivers'];
  t.match([...statuses].sort(byAddress), [
    { receiver: lab.address(1, 4), status: 'complete', multicast: true },
    { receiver: lab.address(3, 4), status: 'complete', multicast: true },
  ]);
  for (const host of [1, 3]) t.ok(isSameContent(lab.sent, join(lab.dir(host), 'sent')));
  t.throws(() => readFileSync(join(lab.dir(2), 'sent')), { code: 'ENOENT' });
});

t.test(
  'receivers with IPv6 only are found and served by link-local addresses',
  { skip },
  async (t) => {
    const lab = new SessionLab(t, 100_000);
    for (const host of [0, ...receiverHosts]) {
      lab.run(host, 'ip', 'addr', 'del', `${lab.address(host, 4)}/24`, 'dev', 'eth0');
    }
    // A link-local address can be used only after the check for duplicates.
    await lab.receive([]);
    const args = ['send', lab.sent, '--to', '@lan', '--accept-new', '--json'];
    let sent = await lab.p2mp(0, ...args).exited;
    for (let i = 0; i < 10 && sent.code === 4; i++) sent = await lab.p2mp(0, ...args).exited;
    t.equal(sent.code, 0, sent.stderr);
    const { receivers } = parseResult(sent);
    t.ok(receivers.length >= 1);
    for (const { address, status } of receivers) {
      t.match(address, /^\[fe80::.*%eth0\]:7735$/);
      t.equal(status, 'complete');
    }
  },
);

t.test('a receiver on loopback is not announced to other hosts', { skip }, async (t) => {
  const lab = new SessionLab(t, 1000);
  const programs = receiverHosts.map((host) =>
    lab.p2mp(host, 'receive', '--open', '--json', '--dir', lab.dir(host), '--bind', '127.0.0.1'),
  );
  await Promise.all(programs.map((program) => program.waitForEvent('listening')));
  const elsewhere = await lab.p2mp(0, 'peers', '--json').exited;
  t.equal(elsewhere.code, 1, 'none found');
  t.match(parseResult(elsewhere), { status: 'none', peers: [] });
  const text = await lab.p2mp(0, 'peers').exited;
  t.match(text.stdout, /^No receiver or server answered within 1\.5 s on lo, eth0\. /);
  const here = await lab.p2mp(1, 'peers', '--json', '--wait', '6').exited;
  t.match(parseResult(here)['peers'], [{ addresses: ['127.0.0.1:7735'] }]);
});

t.test('a query from another network gets no answer', { skip }, async (t) => {
  const lab = new SessionLab(t, 1000);
  await lab.receive([]);
  // On the same wire, but in a network of its own, as a forged source would be.
  lab.run(0, 'ip', 'addr', 'del', `${lab.address(0, 4)}/24`, 'dev', 'eth0');
  lab.run(0, 'ip', 'addr', 'add', '203.0.113.7/24', 'dev', 'eth0');
  lab.run(0, 'ip', 'route', 'add', 'default', 'dev', 'eth0');
  const exit = await lab.p2mp(0, 'peers', '--json', '--interface', '203.0.113.7').exited;
  t.equal(exit.code, 1);
  t.same(parseResult(exit)['peers'], []);
});

t.test(
  'a host without multicast receives, and says once that it is not found',
  { skip },
  async (t) => {
    const lab = new SessionLab(t, 100_000);
    // The system refuses every membership.
    lab.run(1, 'sysctl', '-qw', 'net.ipv4.igmp_max_memberships=0');
    const args = ['receive', '--open', '--once', '--dir', lab.dir(1), '--bind', lab.address(1, 4)];
    const program = lab.p2mp(1, ...args);
    await program.waitFor(
      /p2mp peers does not find this receiver: interface eth0 does not/,
      'stderr',
    );
    const sent = await lab.p2mp(0, 'send', lab.sent, '--to', lab.address(1, 4), '--open').exited;
    t.equal(sent.code, 0, sent.stderr);
    const { code, stderr } = await program.exited;
    t.equal(code, 0);
    t.equal(stderr.match(/does not find this receiver/g)?.length, 1);
  },
);
