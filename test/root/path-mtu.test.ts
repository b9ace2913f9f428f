/** Sessions over paths with various MTUs: segments fit, and nothing is fragmented. */
import { execFileSync, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { isSameContent, writeRandomFile } from '../support/loopback.js';
import { distFolder, type Exit, Program, parseEvents, parseResult } from '../support/processes.js';
import { NetworkLab } from './network-lab.js';

const skip =
  (process.getuid?.() !== 0 && 'network namespaces need root') ||
  (spawnSync('ip', ['-V']).status !== 0 && 'iproute2 is not available') ||
  (spawnSync('nft', ['--version']).status !== 0 && 'nftables is not available');

const port = '7735';
const sizeBytes = 1_000_000;
const sender = 0;
/** Reached through the bridge. */
const near = 1;
const router = 2;
/** Reached through the router, over its own link. */
const far = 3;
const farAddress = { 4: '10.98.0.2', 6: 'fd98::2' } as const;
type IpVersion = 4 | 6;

/** A sender, a near receiver, and a far one behind a router. */
class MtuLab {
  readonly sent: string;
  private readonly lab = new NetworkLab(4, 0);
  private readonly folder: string;

  constructor(
    private readonly t: Test,
    private readonly version: IpVersion = 4,
  ) {
    t.teardown(() => this.lab.close());
    this.folder = t.testdir();
    this.sent = writeRandomFile(this.folder, sizeBytes);
    if (version === 4) return;
    for (const host of [sender, near, router, far]) {
      this.run(host, 'ip', 'addr', 'add', `fd99::${10 + host}/64`, 'dev', 'eth0', 'nodad');
    }
  }

  address(host: number): string {
    if (host === far) return farAddress[this.version];
    return this.version === 4 ? this.lab.address(host) : `fd99::${10 + host}`;
  }

  run(host: number, ...command: string[]): string {
    const [program, args] = this.lab.on(host, ...command);
    return execFileSync(program, args, { stdio: ['ignore', 'pipe', 'inherit'], encoding: 'utf8' });
  }

  /** Sets the MTU of these hosts and of their bridge ports. */
  setMtu(hosts: readonly number[], mtuBytes: number): void {
    for (const host of hosts) this.lab.setMtu(host, mtuBytes);
  }

  /** Moves the far host behind the router, by a link with this MTU; only the router knows it. */
  linkFarHost(mtuBytes: number): void {
    this.lab.linkHosts(router, far, 'far', mtuBytes);
    this.run(far, 'ip', 'addr', 'flush', 'dev', 'eth0');
    const link = this.version === 4 ? '10.98.0.' : 'fd98::';
    const width = this.version === 4 ? '24' : '64';
    const nodad = this.version === 4 ? [] : ['nodad'];
    this.run(router, 'ip', 'addr', 'add', `${link}1/${width}`, 'dev', 'far', ...nodad);
    this.run(far, 'ip', 'addr', 'add', `${link}2/${width}`, 'dev', 'far', ...nodad);
    const ip = ['ip', `-${this.version}`];
    this.run(far, ...ip, 'route', 'add', 'default', 'via', `${link}1`);
    const via = this.version === 4 ? this.lab.address(router) : `fd99::${10 + router}`;
    this.run(
      sender,
      ...ip,
      'route',
      'add',
      `${link}${this.version === 4 ? 0 : ''}/${width}`,
      'via',
      via,
    );
    const forwarding = ['net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1'];
    this.run(router, 'sysctl', '-q', '-w', ...forwarding);
  }

  /** Suppresses ICMP errors: large datagrams just disappear. */
  dropIcmp(): void {
    this.run(sender, 'nft', 'add table inet test');
    const hook = '{ type filter hook input priority 0 ; }';
    this.run(sender, 'nft', `add chain inet test in ${hook}`);
    this.run(sender, 'nft', 'add rule inet test in icmp type destination-unreachable drop');
    this.run(sender, 'nft', 'add rule inet test in icmpv6 type packet-too-big drop');
  }

  async receive(host: number, ...options: string[]): Promise<Program> {
    const args = ['--open', '--json', '--dir', this.dir(host), ...options];
    const program = this.p2mp(host, 'receive', ...args);
    await program.waitForEvent('listening');
    return program;
  }

  send(hosts: readonly number[], ...options: string[]): Program {
    const to = hosts.map((host) => this.address(host)).join();
    const common = ['--to', to, '--port', port, '--open', '--json'];
    return this.p2mp(sender, 'send', this.sent, ...common, ...options);
  }

  hasFile(host: number): boolean {
    return isSameContent(this.sent, join(this.dir(host), 'sent'));
  }

  /** The number of fragments created by any host. */
  fragments(): number {
    const counts = [sender, near, router, far].map((host) => {
      const lines = this.run(host, 'cat', '/proc/net/snmp').split('\n');
      const [names, values] = lines.filter((line) => line.startsWith('Ip:'));
      const ipv4 = Number(values?.split(' ')[names?.split(' ').indexOf('FragCreates') ?? -1]);
      const ipv6 = /^Ip6FragCreates\s+(\d+)$/m.exec(this.run(host, 'cat', '/proc/net/snmp6'))?.[1];
      return ipv4 + Number(ipv6);
    });
    return counts.reduce((sum, count) => sum + count, 0);
  }

  private dir(host: number): string {
    return join(this.folder, `in ${host}`);
  }

  private p2mp(host: number, ...args: string[]): Program {
    const path = join(distFolder, 'cli', 'p2mp.js');
    const [program, words] = this.lab.on(host, process.execPath, path, ...args);
    const env = { P2MP_HOME: join(this.folder, `keys ${host}`) };
    return new Program(this.t, program, words, { env });
  }
}

/** The segment sizes of consecutive sessions. */
function sizesOf({ stdout }: Exit): number[] {
  return parseEvents(stdout)
    .filter(({ event }) => event === 'start' || event === 'resize')
    .map(({ mssBytes }) => mssBytes);
}

/** Sends to these hosts, and checks that all content arrives. */
async function checkSend(
  t: Test,
  lab: MtuLab,
  hosts: readonly number[],
  usesGroup = false,
): Promise<number[]> {
  const programs = await Promise.all(hosts.map((host) => lab.receive(host, '--once')));
  const exit = await lab.send(hosts).exited;
  t.equal(exit.code, 0, exit.stderr + exit.stdout);
  for (const host of hosts) t.ok(lab.hasFile(host), `host ${host} has the file`);
  for (const program of programs) t.equal((await program.exited).code, 0, program.stdout);
  t.equal(lab.fragments(), 0, 'nothing is fragmented');
  const sizes = sizesOf(exit);
  const result = parseResult(exit);
  t.equal(result['mssBytes'], sizes.at(-1));
  if (usesGroup) t.ok(result['multicastDatagrams'] > 0, 'by multicast');
  return sizes;
}

t.test('ordinary Ethernet', { skip }, async (t) => {
  const lab = new MtuLab(t);
  t.same(await checkSend(t, lab, [near]), [1400]);
});

t.test('an interface with an MTU of 1280', { skip }, async (t) => {
  const lab = new MtuLab(t);
  lab.run(sender, 'ip', 'link', 'set', 'eth0', 'mtu', '1280');
  t.same(await checkSend(t, lab, [near]), [1280 - 28 - 32]);
});

t.test('jumbo frames', { skip }, async (t) => {
  const lab = new MtuLab(t);
  lab.setMtu([sender, near], 9000);
  t.same(await checkSend(t, lab, [near]), [9000 - 28 - 32]);
});

t.test('jumbo frames that the other side does not accept', { skip }, async (t) => {
  const lab = new MtuLab(t);
  lab.setMtu([sender], 9000);
  t.same(await checkSend(t, lab, [near]), [9000 - 28 - 32, 1400]);
});

for (const version of [4, 6] as const) {
  const headersBytes = version === 4 ? 28 : 48;

  t.test(`a router that reports a narrow path, IPv${version}`, { skip }, async (t) => {
    const lab = new MtuLab(t, version);
    lab.linkFarHost(1300);
    t.same(await checkSend(t, lab, [far]), [1400, 1300 - headersBytes - 32]);
  });

  t.test(`a narrow path without ICMP errors, IPv${version}`, { skip }, async (t) => {
    const lab = new MtuLab(t, version);
    lab.linkFarHost(1300);
    lab.dropIcmp();
    t.same(await checkSend(t, lab, [far]), [1400, 1200]);
  });

  t.test(`multicast with jumbo frames, IPv${version}`, { skip }, async (t) => {
    const lab = new MtuLab(t, version);
    lab.setMtu([sender, near, router], 9000);
    t.same(await checkSend(t, lab, [near, router], true), [9000 - headersBytes - 32]);
  });
}

for (const isSilent of [false, true]) {
  const how = isSilent ? 'silently' : 'with an ICMP error';
  t.test(`one narrow path among others, ${how}`, { skip }, async (t) => {
    const lab = new MtuLab(t);
    lab.linkFarHost(1300);
    if (isSilent) lab.dropIcmp();
    t.same(await checkSend(t, lab, [near, far]), [1400, isSilent ? 1200 : 1240]);
  });
}

t.test('a path with exactly the minimum MTU of IPv4', { skip }, async (t) => {
  const lab = new MtuLab(t);
  lab.linkFarHost(580);
  lab.dropIcmp();
  t.same(await checkSend(t, lab, [far]), [1400, 1200, 508]);
});

for (const isSilent of [false, true]) {
  const how = isSilent ? 'silently' : 'with an ICMP error';
  t.test(
    `a fixed size fails only at receivers that it does not fit, ${how}`,
    { skip },
    async (t) => {
      const lab = new MtuLab(t);
      lab.linkFarHost(1300);
      if (isSilent) lab.dropIcmp();
      await Promise.all([near, far].map((host) => lab.receive(host)));
      const exit = await lab.send([near, far], '--mss', '1400').exited;
      t.equal(exit.code, 3, exit.stderr);
      const reason = isSilent
        ? /silently drops datagrams of 1432 bytes, although small ones arrive; send again/
        : /carries datagrams of at most 1272 bytes, not 1432; send again with --mss auto/;
      t.match(parseResult(exit)['receivers'], [
        { status: 'complete' },
        { receiver: farAddress[4], status: 'failed', reason },
      ]);
      t.ok(lab.hasFile(near));
      t.equal(lab.fragments(), 0);
    },
  );
}

t.test('a size that fits no receiver is an error', { skip }, async (t) => {
  const lab = new MtuLab(t);
  await lab.receive(near);
  const exit = await lab.send([near], '--mss', '1460').exited;
  t.equal(exit.code, 4, exit.stderr);
  t.match(parseResult(exit)['error'], { code: 'DATAGRAM_TOO_LARGE' });
  t.equal(lab.fragments(), 0);
});

for (const isSilent of [false, true]) {
  const how = isSilent ? 'silently' : 'with an ICMP error';
  t.test(
    `a late receiver behind a narrow path does not stop the others, ${how}`,
    { skip },
    async (t) => {
      const lab = new MtuLab(t);
      lab.linkFarHost(1300);
      if (isSilent) lab.dropIcmp();
      await lab.receive(near);
      const program = lab.send([near, far], '--rate', '300k');
      await program.waitForEvent('progress');
      await program.waitFor(/"receivedBytes":[1-9]/);
      await lab.receive(far);
      const exit = await program.exited;
      t.same(sizesOf(exit), isSilent ? [1400] : [1400, 1240]);
      t.match(parseResult(exit)['receivers'], [
        { status: 'complete' },
        isSilent
          ? { status: 'failed', reason: /silently drops datagrams/ }
          : { status: 'complete' },
      ]);
      t.ok(lab.hasFile(near));
      t.equal(lab.fragments(), 0);
    },
  );
}

t.test('a path that becomes narrow midway', { skip }, async (t) => {
  const lab = new MtuLab(t);
  lab.linkFarHost(1500);
  await Promise.all([near, far].map((host) => lab.receive(host)));
  const program = lab.send([near, far], '--rate', '500k');
  await program.waitFor(/"receivedBytes":[1-9]/);
  lab.run(router, 'ip', 'link', 'set', 'far', 'mtu', '1300');
  const exit = await program.exited;
  t.same(sizesOf(exit), [1400]);
  t.match(parseResult(exit)['receivers'], [
    { status: 'complete' },
    { status: 'failed', reason: /carries datagrams of at most 1272 bytes, not 1432/ },
  ]);
  t.ok(lab.hasFile(near));
  t.equal(lab.fragments(), 0);
  const again = await lab.send([near, far]).exited;
  t.equal(again.code, 0, again.stderr);
  t.same(sizesOf(again), [1240]);
  t.ok(lab.hasFile(far));
});
