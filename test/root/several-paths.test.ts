/** A session by two links between two hosts, of which one is cut midway. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { isSameContent, noOffload, writeRandomFile } from '../support/loopback.js';
import { distFolder, Program, parseResult } from '../support/processes.js';
import { NetworkLab } from './network-lab.js';
import { noLab } from './session-lab.js';

/** Two hosts with two links between them, `eth0` and `side`. */
class PathPlace {
  readonly lab = new NetworkLab(2, 0);
  readonly sent: string;
  readonly dir: string;
  readonly spool: string;
  private readonly folder: string;

  constructor(
    private readonly t: Test,
    sizeBytes: number,
  ) {
    t.teardown(() => this.lab.close());
    this.lab.linkHosts(0, 1, 'side', 1500);
    for (const host of [0, 1])
      this.run(host, 'ip', 'addr', 'add', `10.98.0.${10 + host}/24`, 'dev', 'side');
    this.folder = t.testdir();
    this.sent = writeRandomFile(this.folder, sizeBytes);
    this.dir = join(this.folder, 'in');
    this.spool = join(this.folder, 'spool');
  }

  run(host: number, ...command: string[]): string {
    const [program, args] = this.lab.on(host, ...command);
    return execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
  }

  /** The receiver gets nothing more by this link. */
  drop(link: string): void {
    this.run(1, 'nft', 'add table inet test');
    this.run(1, 'nft', 'add chain inet test in { type filter hook input priority 0 ; }');
    this.run(1, 'nft', `add rule inet test in iifname ${link} drop`);
  }

  /** Counts what the receiver gets that this rule of nftables describes. */
  count(name: string, rule: string): void {
    this.run(1, 'nft', 'add table inet test');
    this.run(1, 'nft', `add counter inet test ${name}`);
    this.run(1, 'nft', 'add chain inet test in { type filter hook input priority 0 ; }');
    this.run(1, 'nft', `add rule inet test in ${rule} counter name ${name}`);
  }

  /** The number of datagrams that were counted. */
  counted(name: string): number {
    const listed = this.run(1, 'nft', '-j', 'list', 'counter', 'inet', 'test', name);
    const { nftables } = JSON.parse(listed) as { nftables: { counter?: { packets: number } }[] };
    return nftables.find(({ counter }) => counter !== undefined)?.counter?.packets ?? 0;
  }

  /** The second link leads to the first address of the receiver, too. The routing prefers the first one. */
  leadBoth(): void {
    const route = '10.99.0.0/24 via 10.98.0.11 dev side metric 500';
    this.run(0, 'ip', 'route', 'add', ...route.split(' '));
    for (const each of ['all', 'side'])
      this.run(1, 'sysctl', '-qw', `net.ipv4.conf.${each}.rp_filter=0`);
  }

  start(host: number, ...args: string[]): Program {
    const path = join(distFolder, 'cli', 'p2mp.js');
    const [program, words] = this.lab.on(host, process.execPath, path, ...args);
    const env = { P2MP_HOME: join(this.folder, `keys ${host}`) };
    return new Program(this.t, program, words, { env });
  }

  async receive(...options: string[]): Promise<Program> {
    const common = ['--open', '--json', '--once', '--dir', this.dir];
    const receiver = this.start(1, 'receive', ...common, ...options);
    await receiver.waitForEvent('listening');
    return receiver;
  }

  send(path = 'eth0,side'): Program {
    const common = ['--to', this.lab.address(1), '--open', '--json', '--rate', '3MB'];
    return this.start(0, 'send', this.sent, ...common, '--path', path);
  }

  /** Waits until both have ended, and the content is the same. @returns the paths of the session */
  async completed(sender: Program, receiver: Program) {
    const { t } = this;
    const exit = await sender.exited;
    t.equal(exit.code, 0, exit.stderr);
    t.ok(isSameContent(this.sent, join(this.dir, 'sent')));
    t.equal((await receiver.exited).code, 0);
    const [{ paths }] = parseResult(exit)['receivers'];
    return paths;
  }
}

/** A line of a sender: something has arrived by the second path, too. */
const isBothUsed = /"path":1,[^{}]*"receivedBytes":[1-9]/;

for (const [cut, what] of [
  ['eth0', 'the path of the handshake'],
  ['side', 'the other path'],
] as const) {
  t.test(`${what} is cut midway`, { skip: noLab }, async (t) => {
    const place = new PathPlace(t, 8_000_000);
    const receiver = await place.receive('--path', 'eth0,side');
    const sender = place.send();
    await sender.waitFor(isBothUsed);
    // Neither host sees its own link go down.
    place.drop(cut);
    const paths = await place.completed(sender, receiver);
    t.match(paths, [
      { from: '10.99.0.10', address: /^10\.99\.0\.11:/, state: cut === 'eth0' ? 'silent' : 'open' },
      { from: '10.98.0.10', address: /^10\.98\.0\.11:/, state: cut === 'eth0' ? 'open' : 'silent' },
    ]);
    for (const { receivedBytes } of paths) t.ok(receivedBytes > 0, 'it was used before');
  });
}

for (const host of [0, 1]) {
  t.test(`an address of host ${host} goes midway`, { skip: noLab }, async (t) => {
    const place = new PathPlace(t, 12_000_000);
    const receiver = await place.receive('--path', 'eth0,side');
    const sender = place.send();
    await sender.waitFor(isBothUsed);
    place.run(host, 'ip', 'addr', 'del', `10.98.0.${10 + host}/24`, 'dev', 'side');
    const paths = await place.completed(sender, receiver);
    t.match(paths, [{ state: 'open' }, { state: 'closed' }]);
    t.ok(paths[1].receivedBytes > 0, 'it was used before');
  });
}

for (const host of [0, 1]) {
  t.test(`an interface of host ${host} gets another address midway`, { skip: noLab }, async (t) => {
    const place = new PathPlace(t, 12_000_000);
    const receiver = await place.receive('--path', 'eth0,side');
    const sender = place.send();
    await sender.waitFor(isBothUsed);
    place.run(host, 'ip', 'addr', 'add', `10.98.0.${30 + host}/24`, 'dev', 'side');
    place.run(host, 'ip', 'addr', 'del', `10.98.0.${10 + host}/24`, 'dev', 'side');
    // Removing the first address of a network removes its other ones.
    place.run(host, 'ip', 'addr', 'replace', `10.98.0.${30 + host}/24`, 'dev', 'side');
    const paths = await place.completed(sender, receiver);
    const end = host === 0 ? { from: '10.98.0.30' } : { address: '10.98.0.31:7735' };
    const [found] = paths.filter((path: object) => hasAll(path, end));
    t.match(found, { state: 'open' });
    t.ok(found?.receivedBytes > 0, 'it is used');
  });
}

t.test(
  'an interface comes up midway, which leads to no address that was known',
  { skip: noLab },
  async (t) => {
    const place = new PathPlace(t, 12_000_000);
    const receiver = await place.receive('--path', 'auto');
    const sender = place.send('auto');
    await sender.waitFor(isBothUsed);
    place.lab.linkHosts(0, 1, 'more', 1500);
    for (const host of [0, 1])
      place.run(host, 'ip', 'addr', 'add', `10.97.0.${10 + host}/24`, 'dev', 'more');
    const paths = await place.completed(sender, receiver);
    const [found] = paths.filter((path: object) => hasAll(path, { address: '10.97.0.11:7735' }));
    t.match(found, { state: 'open' });
    t.ok(found?.receivedBytes > 0, 'it is used');
  },
);

t.test('with auto, a second interface comes up midway', { skip: noLab }, async (t) => {
  const place = new PathPlace(t, 12_000_000);
  for (const host of [0, 1])
    place.run(host, 'ip', 'addr', 'del', `10.98.0.${10 + host}/24`, 'dev', 'side');
  const receiver = await place.receive('--path', 'auto');
  const sender = place.send('auto');
  await sender.waitFor(/"receivedBytes":[1-9]/);
  for (const host of [0, 1])
    place.run(host, 'ip', 'addr', 'add', `10.98.0.${10 + host}/24`, 'dev', 'side');
  place.leadBoth();
  const paths = await place.completed(sender, receiver);
  const ends = { from: '10.98.0.10', address: '10.98.0.11:7735' };
  const [found] = paths.filter((path: object) => hasAll(path, ends));
  t.match(found, { state: 'open' });
  t.ok(found?.receivedBytes > 0, 'it is used');
});

t.test(
  'a relay that sends on gets a second interface midway',
  { skip: noLab || noOffload },
  async (t) => {
    const place = new PathPlace(t, 12_000_000);
    place.run(0, 'ip', 'addr', 'del', '10.98.0.10/24', 'dev', 'side');
    const receiver = await place.receive();
    place.count('new', 'ip saddr 10.98.0.10 udp length > 1000');
    const to = ['--to', place.lab.address(1), '--path', 'auto'];
    const relay = place.start(0, 'relay', ...to, '--dir', place.spool, '--open', '--json');
    await relay.waitForEvent('listening');
    const common = ['--to', place.lab.address(0), '--open', '--json', '--rate', '3MB'];
    const sender = place.start(0, 'send', place.sent, ...common);
    await sender.waitFor(/"receivedBytes":[1-9]/);
    place.run(0, 'ip', 'addr', 'add', '10.98.0.10/24', 'dev', 'side');
    place.leadBoth();
    const exit = await sender.exited;
    t.equal(exit.code, 0, exit.stderr);
    t.ok(isSameContent(place.sent, join(place.dir, 'sent')));
    t.equal((await receiver.exited).code, 0);
    t.ok(place.counted('new') > 0, 'data leaves there, too');
    relay.kill('SIGTERM');
    await relay.exited;
  },
);

function hasAll(path: object, ends: object): boolean {
  return Object.entries(ends).every(([key, value]) => Reflect.get(path, key) === value);
}

t.test(
  'the first interface is dead, and the receiver has one address',
  { skip: noLab || noOffload },
  async (t) => {
    const place = new PathPlace(t, 1_000_000);
    place.leadBoth();
    place.drop('eth0');
    const receiver = await place.receive();
    const paths = await place.completed(place.send(), receiver);
    t.match(paths[0], { from: '10.98.0.10', address: '10.99.0.11:7735', state: 'open' });
  },
);

t.test(
  'the first interface of a host that fetches is dead, and the server has one address',
  { skip: noLab || noOffload },
  async (t) => {
    const place = new PathPlace(t, 1_000_000);
    place.leadBoth();
    place.drop('eth0');
    const server = place.start(1, 'serve', place.sent, '--open', '--json');
    await server.waitForEvent('listening');
    const from = ['--from', place.lab.address(1), '--open'];
    const options = ['--dir', place.dir, '--path', 'eth0,side', '--give-up-after', '10'];
    const exit = await place.start(0, 'fetch', 'sent', ...from, ...options).exited;
    t.equal(exit.code, 0, exit.stderr);
    t.ok(isSameContent(place.sent, join(place.dir, 'sent')));
    server.kill('SIGTERM');
    await server.exited;
  },
);

t.test(
  'a path leaves by its interface, although the routing prefers the other',
  { skip: noLab || noOffload },
  async (t) => {
    const place = new PathPlace(t, 3_000_000);
    place.leadBoth();
    const receiver = await place.receive();
    const paths = await place.completed(place.send(), receiver);
    t.match(paths, [
      { from: '10.99.0.10', address: '10.99.0.11:7735' },
      { from: '10.98.0.10', address: '10.99.0.11:7735' },
    ]);
    const [link] = JSON.parse(place.run(0, 'ip', '-s', '-j', 'link', 'show', 'dev', 'side'));
    t.ok(
      link.stats64.tx.bytes > paths[1].receivedBytes,
      `${link.stats64.tx.bytes} bytes left there`,
    );
    t.ok(paths[1].receivedBytes > 0);
  },
);
