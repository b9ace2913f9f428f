/** Receivers without a route, or unreachable at the first address of their name. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { isSameContent, noOffload } from '../support/loopback.js';
import { distFolder, Program, parseEvents, parseResult } from '../support/processes.js';
import { noLab, SessionLab } from './session-lab.js';

const skip = noLab;

/** A liveness timeout longer than any test. */
const livenessOptions = ['--give-up-after', '100'];

t.test('no route: fails at once and by name, and the others complete', { skip }, async (t) => {
  const lab = new SessionLab(t, 100_000);
  await lab.receive(['--once']);
  const to = ['203.0.113.1', '[2001:db8::1]:7000', lab.address(1, 4)].join();
  const exit = await lab.p2mp(
    0,
    'send',
    lab.sent,
    '--to',
    to,
    '--open',
    '--json',
    ...livenessOptions,
  ).exited;
  t.equal(exit.code, 3);
  t.match(parseResult(exit)['receivers'], [
    {
      status: 'failed',
      reason: /^cannot send to 203\.0\.113\.1: this host has no route to /,
    },
    { status: 'failed', reason: /^cannot send to 2001:db8::1: this host has no / },
    { status: 'complete' },
  ]);
  t.ok(isSameContent(lab.sent, join(lab.dir(1), 'sent')));
});

t.test('interface down: fails at once, in both protocols', { skip }, async (t) => {
  const lab = new SessionLab(t, 1000);
  lab.run(0, 'ip', 'link', 'set', 'eth0', 'down');
  const session = await lab.send(4, ...livenessOptions).exited;
  t.equal(session.code, 1);
  for (const { reason } of parseResult(session)['receivers']) t.match(reason, /has no route to it/);
  const client = await startClient(t, lab, lab.address(1, 4));
  t.equal(client.code, 1);
  t.match(client.stderr, /^10\.99\.0\.11: failed: cannot send to 10\.99\.0\.11: this host /);
});

for (const version of [4, 6] as const) {
  t.test(
    `a firewall that rejects the port, IPv${version}`,
    { skip: skip || noOffload },
    async (t) => {
      const lab = new SessionLab(t, 1000);
      await lab.receive(['--once']);
      lab.filter(2, 'udp dport 7735', 'reject with icmpx admin-prohibited');
      lab.filter(3, 'udp dport 7735', 'reject with icmpx port-unreachable');
      const exit = await lab.send(version, '--give-up-after', '2').exited;
      t.equal(exit.code, 3);
      const [, second, third] = [1, 2, 3].map((host) => lab.address(host, version));
      const firewall = `a firewall on the way to ${second} rejects UDP port 7735; ask for the port to be opened`;
      const refused = `port 7735 at ${third} refused: no p2mp receive runs there, or a firewall of that host rejects the port`;
      const events = parseEvents(exit.stdout).filter(({ event }) => event === 'port-refused');
      t.same(new Set(events.map(({ reason }) => reason)), new Set([firewall, refused]));
      t.match(parseResult(exit)['receivers'], [
        { status: 'complete' },
        { status: 'failed', reason: firewall },
        {
          status: 'failed',
          reason: `${refused} (connection refused); start it or open the port, then try again`,
        },
      ]);
    },
  );
}

/** Hosts that nobody has; host 1 is the router to all of them but the last, which is on the network itself. */
const nobody = {
  4: { noHost: '10.98.0.1', noRoute: '10.97.0.1', neighbor: '10.99.0.77' },
  6: { noHost: 'fd98::1', noRoute: 'fd97::1', neighbor: 'fd99::77' },
} as const;

/** Makes host 1 a router that reports every datagram, and neighbors that do not answer known quickly. */
function addRouter(lab: SessionLab, version: 4 | 6): string {
  const router = lab.address(1, version);
  const { noHost, noRoute } = nobody[version];
  const ip = ['ip', `-${version}`, 'route', 'add'];
  const forwarding = version === 4 ? 'ipv4.ip_forward' : 'ipv6.conf.all.forwarding';
  const limit = version === 4 ? 'ipv4.icmp_ratemask' : 'ipv6.icmp.ratelimit';
  lab.run(1, 'sysctl', '-qw', `net.${forwarding}=1`, `net.${limit}=0`);
  lab.lab.linkHosts(1, 2, 'back', 1500);
  const back = version === 4 ? ['10.98.0.9/24'] : ['fd98::9/64', 'nodad'];
  lab.run(1, 'ip', 'addr', 'add', ...back, 'dev', 'back');
  for (const host of [noHost, noRoute]) lab.run(0, ...ip, host, 'via', router);
  for (const [host, name] of [
    [0, 'eth0'],
    [1, 'back'],
  ] as const) {
    const neighbors = `net.ipv${version}.neigh.${name}`;
    const settings = [`${neighbors}.mcast_solicit=1`, `${neighbors}.retrans_time_ms=100`];
    lab.run(host, 'sysctl', '-qw', ...settings);
  }
  return router;
}

for (const version of [4, 6] as const) {
  t.test(
    `nobody there, or no route behind a router, IPv${version}`,
    {
      skip: skip || noOffload,
    },
    async (t) => {
      const lab = new SessionLab(t, 1000);
      const router = addRouter(lab, version);
      const { noHost, noRoute, neighbor } = nobody[version];
      const hosts = [noHost, noRoute, neighbor];
      const reasons = [
        `no host answers at ${noHost} (reported by the router ${router}); check the address, and that the host is on and connected`,
        `the router ${router} has no route to ${noRoute}; check the address, and the network behind that router`,
        `no host answers at ${neighbor}; check the address, and that the host is on and connected`,
      ];
      const sender = lab.p2mp(
        0,
        'send',
        lab.sent,
        '--to',
        hosts.join(),
        '--open',
        '--json',
        '--give-up-after',
        '4',
      );
      const client = startClient(t, lab, noHost, '--json', '--give-up-after', '4');
      const exit = await sender.exited;
      t.equal(exit.code, 1);
      const events = parseEvents(exit.stdout).filter(({ event }) => event === 'unreachable');
      t.same(new Set(events.map(({ reason }) => reason)), new Set(reasons));
      t.same(
        parseResult(exit)['receivers'].map(({ reason }: { reason: string }) => reason),
        reasons,
      );
      const old = await client;
      t.equal(old.code, 1);
      const [event] = parseEvents(old.stdout).filter(({ event }) => event === 'unreachable');
      t.equal(event?.['reason'], reasons[0]);
      t.match(parseResult(old)['receivers'], [{ status: 'failed', reason: reasons[0] }]);
    },
  );
}

t.test('the broadcast address of a network', { skip }, async (t) => {
  const lab = new SessionLab(t, 1000);
  const session = lab.p2mp(
    0,
    'send',
    lab.sent,
    '--to',
    '10.99.0.255',
    '--open',
    ...livenessOptions,
  );
  const exit = await session.exited;
  t.equal(exit.code, 2);
  t.match(exit.stderr, '10.99.0.255: is the broadcast address of eth0 (10.99.0.10/24), not of a ');
  const client = await startClient(t, lab, '10.99.0.255');
  t.equal(client.code, 2);
  t.match(client.stderr, /is the broadcast address of eth0/);
});

t.test('a name with both addresses, whose receiver listens at only one', { skip }, async (t) => {
  const lab = new SessionLab(t, 100_000);
  const hosts = join(lab.folder, 'hosts');
  writeFileSync(hosts, `127.0.0.1 localhost\n10.99.0.11 both\nfd99::11 both\n`);
  const receive = ['receive', '--open', '--json', '--once', '--dir', lab.dir(1), '--bind', '::'];
  const receiver = lab.p2mp(1, ...receive);
  await receiver.waitForEvent('listening');
  const command = [process.execPath, join(distFolder, 'cli', 'p2mp.js'), 'send', lab.sent];
  const words = [...command, '--to', 'both', '--open', '--json', ...livenessOptions];
  const exit = await withHosts(t, lab, hosts, words).exited;
  t.equal(exit.code, 0, exit.stderr);
  t.match(
    parseEvents(exit.stdout).filter(({ event }) => event === 'other-address'),
    [{ receiver: 'both', address: '[fd99::11]:7735', insteadOf: '10.99.0.11:7735' }],
  );
  t.match(parseResult(exit)['receivers'], [{ receiver: 'both', address: '[fd99::11]:7735' }]);
  t.ok(isSameContent(lab.sent, join(lab.dir(1), 'sent')));
});

t.test('the same with p2mpclient', { skip }, async (t) => {
  const lab = new SessionLab(t, 10_000);
  const hosts = join(lab.folder, 'hosts');
  writeFileSync(hosts, `127.0.0.1 localhost\n10.99.0.11 both\nfd99::11 both\n`);
  const copy = join(lab.folder, 'copy');
  const path = (name: string) => join(distFolder, 'cli', `${name}.js`);
  const args = ['7735', copy, '0', '--once', '--bind', '::', '--json'];
  const [program, words] = lab.lab.on(1, process.execPath, path('p2mpserver'), ...args);
  const server = new Program(t, program, words);
  await server.waitForEvent('listening');
  const client = [process.execPath, path('p2mpclient'), 'both', '7735', lab.sent, '1000'];
  const exit = await withHosts(t, lab, hosts, [...client, ...livenessOptions]).exited;
  t.equal(exit.code, 0, exit.stderr);
  t.equal(exit.stderr, 'both: answers at [fd99::11]:7735, not at 10.99.0.11:7735\n');
  t.equal((await server.exited).code, 0);
  t.ok(isSameContent(lab.sent, copy));
});

function startClient(t: Test, lab: SessionLab, server: string, ...options: string[]) {
  const path = join(distFolder, 'cli', 'p2mpclient.js');
  const given = options.length > 0 ? options : livenessOptions;
  const args = [path, server, '7735', lab.sent, '500', ...given];
  const [program, words] = lab.lab.on(0, process.execPath, ...args);
  return new Program(t, program, words).exited;
}

/** Runs a command on the sender's host with these entries in /etc/hosts. */
function withHosts(t: Test, lab: SessionLab, hosts: string, command: readonly string[]): Program {
  const line = 'mount --bind "$1" /etc/hosts; shift; exec "$@"';
  const [program, words] = lab.lab.on(
    0,
    'unshare',
    '-m',
    'sh',
    '-c',
    line,
    'sh',
    hosts,
    ...command,
  );
  return new Program(t, program, words);
}
