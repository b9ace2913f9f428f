// Hosts on one machine: network namespaces on one bridge. Needs root on Linux with iproute2, and
// for loss and slow links nftables, ethtool and tc. Host 0 is the sender's.
//
// What crosses the wire. A batch of segments that a program hands over in one call (UDP GSO, and TCP's
// own segmentation) crosses veth as ONE packet. That is `batches`: as if network cards did the cutting
// and the joining, which costs the hosts' processors nothing. But a drop rule loses such a batch as a
// whole, 45 datagrams at once: no network does that, and it is not the loss that is asked for.
// So in `datagrams` everything is cut where it leaves the sender's host, as by the driver of a card that
// cannot do it. Each datagram crosses the bridge by itself and is lost by itself, on its way out of the
// bridge towards each receiver. That is before the receiver's GRO, which joins what came, as with a real
// card, for sockets that ask for it; a rule in the receiver's own input hook would come after it, and
// see batches again. All contenders thus meet the same loss, of single datagrams, and keep the batches
// that they would have on a real network. countLoss() proves it.
import { execFileSync } from 'node:child_process';

/** Frames that wait at a slow link: Linux's usual length of a card's queue. */
const queueFrames = 1000;
const frameBytes = 1514;
/** A whole batch passes at once: with less, tbf would cut it, at this machine's cost. */
const burstBytes = 128 * 1024;

const open = new Set();

export class Lab {
  #prefix = `p2mp-bench-${process.pid}-${open.size}`;

  /**
   * @param hostCount the sender's among them
   * @param lossPercent of the datagrams on their way to each receiver, each receiver's its own
   * @param rateMbit of the sender's link; 0: unlimited
   * @param wire `batches` or `datagrams`, see above
   */
  constructor({ hostCount, lossPercent = 0, rateMbit = 0, wire = 'batches' }) {
    this.hostCount = hostCount;
    this.lossPercent = lossPercent;
    open.add(this);
    try {
      this.#addBridge();
      for (let i = 0; i < hostCount; i++) this.#addHost(i);
      if (wire === 'datagrams') this.#sendSingly();
      if (lossPercent > 0) this.#lose(lossPercent);
      if (rateMbit > 0) this.#limitRate(rateMbit);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  address(host) {
    return `10.98.0.${10 + host}`;
  }

  /** The words before a command that make it run on a host. */
  on(host) {
    return ['ip', 'netns', 'exec', this.#host(host)];
  }

  /**
   * What the loss rules saw and dropped of all receivers' packets, and how many of those seen were longer
   * than any frame, that is batches: proof of what was lost. Nothing where there is no loss.
   */
  countLoss() {
    if (this.lossPercent === 0) return undefined;
    const list = ['nft', '-j', 'list', 'table', 'netdev', 'lab'];
    const { nftables } = JSON.parse(run('ip', 'netns', 'exec', this.#bridge, ...list));
    const total = { seenPackets: 0, batchPackets: 0, droppedPackets: 0 };
    for (const { rule } of nftables) {
      if (rule === undefined) continue;
      const { counter } = rule.expr.find((expression) => expression.counter !== undefined);
      total[rule.comment] += counter.packets;
    }
    return total;
  }

  close() {
    open.delete(this);
    for (let i = 0; i < this.hostCount; i++) removeNamespace(this.#host(i));
    removeNamespace(this.#bridge);
  }

  get #bridge() {
    return `${this.#prefix}-bridge`;
  }

  #host(host) {
    return `${this.#prefix}-${host}`;
  }

  #addBridge() {
    run('ip', 'netns', 'add', this.#bridge);
    // Without snooping a group reaches every port, as through a simple switch.
    const options = ['type', 'bridge', 'mcast_snooping', '0'];
    run('ip', '-n', this.#bridge, 'link', 'add', 'br0', ...options);
    run('ip', '-n', this.#bridge, 'link', 'set', 'br0', 'up');
  }

  #addHost(i) {
    const host = this.#host(i);
    const ip = (...args) => run('ip', '-n', host, ...args);
    const peer = ['type', 'veth', 'peer', 'name', `p${i}`, 'netns', this.#bridge];
    run('ip', 'netns', 'add', host);
    ip('link', 'add', 'eth0', ...peer);
    run('ip', '-n', this.#bridge, 'link', 'set', `p${i}`, 'master', 'br0', 'up');
    ip('link', 'set', 'lo', 'up');
    ip('addr', 'add', `${this.address(i)}/24`, 'brd', '+', 'dev', 'eth0');
    ip('link', 'set', 'eth0', 'up');
    ip('route', 'add', '224.0.0.0/4', 'dev', 'eth0');
  }

  #sendSingly() {
    const cutting = ['tx-udp-segmentation', 'off', 'tso', 'off'];
    run(...this.on(0), 'ethtool', '-K', 'eth0', ...cutting);
    for (let i = 1; i < this.hostCount; i++) {
      run(...this.on(i), 'ethtool', '-K', 'eth0', 'gro', 'on');
      // veth leaves GRO out where its peer might have sent whole batches.
      run('ip', 'netns', 'exec', this.#bridge, 'ethtool', '-K', `p${i}`, ...cutting);
    }
  }

  #lose(percent) {
    const nft = (rule) => run('ip', 'netns', 'exec', this.#bridge, 'nft', rule);
    const count = (name, action = '') => `counter ${action} comment "${name}"`;
    const isLost = `numgen random mod 10000 < ${Math.round(percent * 100)}`;
    nft('add table netdev lab');
    for (let i = 1; i < this.hostCount; i++) {
      nft(`add chain netdev lab to${i} { type filter hook egress device p${i} priority 0 ; }`);
      const rule = `add rule netdev lab to${i} meta l4proto { tcp, udp }`;
      nft(`${rule} ${count('seenPackets')}`);
      nft(`${rule} meta length > ${frameBytes} ${count('batchPackets')}`);
      nft(`${rule} ${isLost} ${count('droppedPackets', 'drop')}`);
    }
  }

  #limitRate(rateMbit) {
    const limitBytes = queueFrames * frameBytes;
    const shaping = ['rate', `${rateMbit}mbit`, 'burst', `${burstBytes}`, 'limit', `${limitBytes}`];
    run(...this.on(0), 'tc', 'qdisc', 'add', 'dev', 'eth0', 'root', 'tbf', ...shaping);
  }
}

/** For the end of the process, however it comes. */
export function closeLabs() {
  for (const lab of open) lab.close();
}

/** Processes end with their namespace's last one, so that none keeps a removed namespace alive. */
function removeNamespace(name) {
  try {
    for (const pid of run('ip', 'netns', 'pids', name).split('\n').filter(Boolean)) {
      process.kill(Number(pid), 'SIGKILL');
    }
  } catch {
    // It is not there, or a process has just ended.
  }
  try {
    run('ip', 'netns', 'del', name);
  } catch {
    // It never came to be.
  }
}

function run(command, ...args) {
  return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}
