/**
 * Hosts on one machine: network namespaces on one bridge. Needs root on Linux with iproute2 and
 * nftables. Host 0 is the sender's.
 */
import { execFileSync } from 'node:child_process';

export class NetworkLab {
  private readonly prefix = `p2mp-${process.pid}`;

  /** @param lossPercent of the UDP datagrams that each host takes in */
  constructor(
    private readonly hostCount: number,
    lossPercent: number,
  ) {
    const bridge = `${this.prefix}-bridge`;
    run('ip', 'netns', 'add', bridge);
    run('ip', '-n', bridge, 'link', 'add', 'br0', 'type', 'bridge');
    run('ip', '-n', bridge, 'link', 'set', 'br0', 'up');
    for (let i = 0; i < hostCount; i++) {
      const host = this.namespace(i);
      const port = `p${i}`;
      run('ip', 'netns', 'add', host);
      run(
        'ip',
        '-n',
        host,
        'link',
        'add',
        'eth0',
        'type',
        'veth',
        'peer',
        'name',
        port,
        'netns',
        bridge,
      );
      run('ip', '-n', bridge, 'link', 'set', port, 'master', 'br0', 'up');
      run('ip', '-n', host, 'link', 'set', 'lo', 'up');
      run('ip', '-n', host, 'addr', 'add', `${this.address(i)}/24`, 'dev', 'eth0');
      run('ip', '-n', host, 'link', 'set', 'eth0', 'up');
      if (lossPercent > 0) loseUdp(host, lossPercent);
    }
  }

  address(host: number): string {
    return `10.99.0.${10 + host}`;
  }

  /** A command line that runs `command` on a host. */
  on(host: number, ...command: string[]): [string, string[]] {
    return ['ip', ['netns', 'exec', this.namespace(host), ...command]];
  }

  /** Lets no more than this out of a host, as `tc` spells rates; the rest waits in its queue. */
  limitRate(host: number, rate: string): void {
    const shaping = ['tbf', 'rate', rate, 'burst', '16kb', 'latency', '10s'];
    run(
      'ip',
      'netns',
      'exec',
      this.namespace(host),
      'tc',
      'qdisc',
      'add',
      'dev',
      'eth0',
      'root',
      ...shaping,
    );
  }

  /** A second address that a host answers from in preference to its first. */
  addPreferredSource(host: number, address: string): void {
    const namespace = this.namespace(host);
    run('ip', '-n', namespace, 'addr', 'add', `${address}/24`, 'dev', 'eth0');
    run('ip', '-n', namespace, 'route', 'replace', '10.99.0.0/24', 'dev', 'eth0', 'src', address);
  }

  /** Of a host's interface, and of its port of the bridge. */
  setMtu(host: number, mtuBytes: number): void {
    const mtu = ['mtu', String(mtuBytes)];
    run('ip', '-n', `${this.prefix}-bridge`, 'link', 'set', `p${host}`, ...mtu);
    run('ip', '-n', this.namespace(host), 'link', 'set', 'eth0', ...mtu);
  }

  /** A link between two hosts, besides the bridge; both call their interface by this name. */
  linkHosts(one: number, other: number, name: string, mtuBytes: number): void {
    const ends = [this.namespace(one), this.namespace(other)] as const;
    const mtu = ['mtu', String(mtuBytes)];
    const peer = ['peer', 'name', name, 'netns', ends[1], ...mtu];
    run('ip', '-n', ends[0], 'link', 'add', name, ...mtu, 'type', 'veth', ...peer);
    for (const end of ends) run('ip', '-n', end, 'link', 'set', name, 'up');
  }

  /** Pulls a host's cable, or puts it back. */
  setLink(host: number, state: 'up' | 'down'): void {
    run('ip', '-n', `${this.prefix}-bridge`, 'link', 'set', `p${host}`, state);
  }

  /** Gives a host another address in place of its own. */
  moveHost(host: number, address: string): void {
    const namespace = this.namespace(host);
    // In this order: with the first address of a network, Linux takes away the others.
    run('ip', '-n', namespace, 'addr', 'del', `${this.address(host)}/24`, 'dev', 'eth0');
    run('ip', '-n', namespace, 'addr', 'add', `${address}/24`, 'dev', 'eth0');
  }

  close(): void {
    for (let i = 0; i < this.hostCount; i++) run('ip', 'netns', 'del', this.namespace(i));
    run('ip', 'netns', 'del', `${this.prefix}-bridge`);
  }

  private namespace(host: number): string {
    return `${this.prefix}-${host}`;
  }
}

function loseUdp(namespace: string, percent: number): void {
  const nft = (rule: string) => run('ip', 'netns', 'exec', namespace, 'nft', rule);
  nft('add table inet lab');
  nft('add chain inet lab in { type filter hook input priority 0 ; }');
  nft(`add rule inet lab in meta l4proto udp numgen random mod 100 < ${percent} drop`);
}

function run(command: string, ...args: string[]): void {
  execFileSync(command, args, { stdio: ['ignore', 'ignore', 'inherit'] });
}
