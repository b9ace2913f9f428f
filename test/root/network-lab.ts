/**
 * Hosts on one machine: network namespaces on one bridge. Requires root on Linux with iproute2 and
 * nftables. Host 0 is the sender.
 */
import { execFileSync } from 'node:child_process';

export class NetworkLab {
  private readonly prefix = `p2mp-${process.pid}`;

  /** @param lossPercent of incoming UDP datagrams at each host */
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
      // Otherwise, link-local addresses cannot be used for a second or two, while the system looks for duplicates.
      run('ip', 'netns', 'exec', host, 'sysctl', '-qw', 'net.ipv6.conf.eth0.accept_dad=0');
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

  /** @returns a command line that runs `command` on a host */
  on(host: number, ...command: string[]): [string, string[]] {
    return ['ip', ['netns', 'exec', this.namespace(host), ...command]];
  }

  /** Limits the outgoing rate of a host, in `tc` notation; excess traffic is queued. */
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

  /** Adds an address that a host prefers as source address. */
  addPreferredSource(host: number, address: string): void {
    const namespace = this.namespace(host);
    run('ip', '-n', namespace, 'addr', 'add', `${address}/24`, 'dev', 'eth0');
    run('ip', '-n', namespace, 'route', 'replace', '10.99.0.0/24', 'dev', 'eth0', 'src', address);
  }

  /** Sets the MTU of the interface of a host and of its port of the bridge. */
  setMtu(host: number, mtuBytes: number): void {
    const mtu = ['mtu', String(mtuBytes)];
    run('ip', '-n', `${this.prefix}-bridge`, 'link', 'set', `p${host}`, ...mtu);
    run('ip', '-n', this.namespace(host), 'link', 'set', 'eth0', ...mtu);
  }

  /** Adds a link between two hosts; both name their interface `name`. */
  linkHosts(one: number, other: number, name: string, mtuBytes: number): void {
    const ends = [this.namespace(one), this.namespace(other)] as const;
    const mtu = ['mtu', String(mtuBytes)];
    const peer = ['peer', 'name', name, 'netns', ends[1], ...mtu];
    run('ip', '-n', ends[0], 'link', 'add', name, ...mtu, 'type', 'veth', ...peer);
    for (const end of ends) run('ip', '-n', end, 'link', 'set', name, 'up');
  }

  /** Unplugs or plugs in the cable of a host. */
  setLink(host: number, state: 'up' | 'down'): void {
    run('ip', '-n', `${this.prefix}-bridge`, 'link', 'set', `p${host}`, state);
  }

  /** Replaces the address of a host. */
  moveHost(host: number, address: string): void {
    const namespace = this.namespace(host);
    // In this order: removing the primary address of a network removes its secondary ones.
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
