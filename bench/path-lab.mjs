// Two hosts with several paths between them, each through a router of its own: network namespaces. Needs root on Linux with
// iproute2, tc, ethtool and nftables. The rate of a path is that of its router's link to the receiver: neither host knows
// it, and what waits, waits in the router. Datagrams leave the sender singly, as from a card without segmentation, so
// the router drops single ones.
import { execFileSync } from 'node:child_process';

/** What may wait in a router: 1,000 frames, the usual queue length of Linux; 121 ms at 100 Mbit/s. */
const queueBytes = 1000 * 1514;
/** What may pass at once. */
const burstBytes = 4 * 1024;

const open = new Set();

export class PathLab {
  #prefix = `p2mp-paths-${process.pid}-${open.size}`;
  #isShaped = new Set();

  constructor(pathCount = 2) {
    this.pathCount = pathCount;
    open.add(this);
    try {
      for (const host of ['s', 'r']) this.#add(host);
      for (let path = 0; path < pathCount; path++) this.#connect(path);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** The address of the sender on a path. */
  sender(path) {
    return `10.${10 + path}.1.2`;
  }

  receiver(path) {
    return `10.${10 + path}.2.2`;
  }

  /** The words before a command that run it on the sender or the receiver. */
  onSender() {
    return this.#on('s');
  }

  onReceiver() {
    return this.#on('r');
  }

  setRate(path, rateMbit) {
    const verb = this.#isShaped.has(path) ? 'change' : 'add';
    this.#isShaped.add(path);
    const shaping = ['rate', `${rateMbit}mbit`, 'burst', `${burstBytes}`, 'limit', `${queueBytes}`];
    this.#run(`x${path}`, 'tc', 'qdisc', verb, 'dev', 'out', 'root', 'tbf', ...shaping);
  }

  /** From now on, a router drops everything in both directions. The hosts see their links up. */
  cut(path) {
    const nft = (rule) => this.#run(`x${path}`, 'nft', rule);
    nft('add table inet cut');
    nft('add chain inet cut forward { type filter hook forward priority 0 ; policy drop ; }');
  }

  restore(path) {
    this.#run(`x${path}`, 'nft', 'delete table inet cut');
  }

  /** Lets TCP connections between the hosts use all paths. */
  allowMptcp() {
    for (const host of ['s', 'r']) {
      this.#run(host, 'sysctl', '-qw', 'net.mptcp.enabled=1');
      this.#run(host, 'ip', 'mptcp', 'limits', 'set', 'subflow', '4', 'add_addr_accepted', '4');
    }
    for (let path = 1; path < this.pathCount; path++) {
      const at = ['dev', `eth${path}`];
      this.#run('r', 'ip', 'mptcp', 'endpoint', 'add', this.receiver(path), ...at, 'signal');
    }
  }

  close() {
    open.delete(this);
    for (const name of ['s', 'r', ...Array.from({ length: this.pathCount }, (_, i) => `x${i}`)])
      removeNamespace(`${this.#prefix}-${name}`);
  }

  #on(name) {
    return ['ip', 'netns', 'exec', `${this.#prefix}-${name}`];
  }

  #add(name) {
    run('ip', 'netns', 'add', `${this.#prefix}-${name}`);
    this.#run(name, 'ip', 'link', 'set', 'lo', 'up');
    // A path may come back by another interface.
    this.#run(name, 'sysctl', '-qw', 'net.ipv4.conf.all.rp_filter=0');
  }

  #connect(path) {
    const router = `x${path}`;
    this.#add(router);
    this.#run(router, 'sysctl', '-qw', 'net.ipv4.ip_forward=1');
    const net = `10.${10 + path}`;
    for (const [host, side, link] of [
      ['s', 1, 'in'],
      ['r', 2, 'out'],
    ]) {
      const eth = `eth${path}`;
      const peer = ['peer', 'name', link, 'netns', `${this.#prefix}-${router}`];
      this.#run(host, 'ip', 'link', 'add', eth, 'type', 'veth', ...peer);
      this.#run(host, 'ip', 'addr', 'add', `${net}.${side}.2/24`, 'dev', eth);
      this.#run(router, 'ip', 'addr', 'add', `${net}.${side}.1/24`, 'dev', link);
      this.#run(host, 'ip', 'link', 'set', eth, 'up');
      this.#run(router, 'ip', 'link', 'set', link, 'up');
      // Each path leads only to the addresses of its own networks.
      this.#run(host, 'ip', 'route', 'add', `${net}.0.0/16`, 'via', `${net}.${side}.1`);
      const cutting = ['tx-udp-segmentation', 'off', 'tso', 'off'];
      this.#run(host, 'ethtool', '-K', eth, ...cutting);
      this.#run(router, 'ethtool', '-K', link, 'gro', 'off', ...cutting);
    }
  }

  #run(name, ...words) {
    return run(...this.#on(name), ...words);
  }
}

/** To be called when the process ends, for whatever reason. */
export function closePathLabs() {
  for (const lab of open) lab.close();
}

function removeNamespace(name) {
  try {
    for (const pid of run('ip', 'netns', 'pids', name).split('\n').filter(Boolean))
      process.kill(Number(pid), 'SIGKILL');
    run('ip', 'netns', 'del', name);
  } catch {
    // It was never created.
  }
}

function run(command, ...args) {
  return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}
