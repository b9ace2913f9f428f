// Simulates hosts on one machine: network namespaces on one bridge. Needs root on Linux with
// iproute2, and for loss and slow links nftables, ethtool and tc. Host 0 is the sender's.
//
// What crosses the wire: a batch of segments that a program sends in one call (UDP GSO, or TCP
// segmentation) crosses veth as ONE packet. That is `batches`: as if network cards did the splitting
// and joining, at no cost to the hosts' processors. But a drop rule then loses a whole batch, 45
// datagrams at once, which no network does and which is not the requested loss.
// With `datagrams`, everything is split where it leaves the sender's host, as by the driver of a card
// without segmentation offload. Each datagram crosses the bridge alone and is lost alone, as it leaves
// the bridge towards each receiver. That is before the receiver's GRO, which joins datagrams for
// sockets that request it, as with a real card; a rule in the receiver's own input hook would come
// after GRO and see batches again. All contenders thus meet the same loss of single datagrams, and
// keep the batches that they would have on a real network. countLoss() proves it.
import { execFileSync } from 'node:child_process';

/** Frames that wait at a slow link: Linux's usual queue length of a network card. */
const queueFrames = 1000;
const frameBytes = 1514;
/** A whole batch passes at once; with less, tbf would split it, at this machine's cost. */
const burstBytes = 128 * 1024;

const open = new Set();

export class Lab {
  #prefix = `p2mp-bench-${process.pid}-${open.size}`;

  /**
   * @param hostCount including the sender
   * @param lossPercent of the datagrams to each receiver, independent for each
   * @param lossyFrom the first host to which datagrams are lost; those before it send singly if `wire` says so
   * @param rateMbit of the sender's link; 0: unlimited
   * @param wire `batches` or `datagrams`, see above
   */
  constructor({ hostCount, lossPercent = 0, lossyFrom = 1, rateMbit = 0, wire = 'batches' }) {
    this.hostCount = hostCount;
    this.lossPercent = lossPercent;
    this.lossyFrom = lossyFrom;
    open.add(this);
    try {
      this.#addBridge();
      for (let i = 0; i < hostCount; i++) this.#addHost(i);
      if (wire === 'datagrams') this.#sendSingly();
      if (lossPercent > 0) this.#lose(lossPercent);
      if (rateMbit > 0) this.limitRate(0, rateMbit);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  address(host) {
    return `10.98.0.${10 + host}`;
  }

  /** The words before a command that run it on a host. */
  on(host) {
    return ['ip', 'netns', 'exec', this.#host(host)];
  }

  /**
   * What the loss rules counted: all receivers' packets, those dropped, and those longer than any
   * frame, that is, batches. It proves the actual loss. Nothing where there is no loss.
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

  /** Nothing that a host sends reaches another one; or only its multicast does not. */
  separate(host, other, { isOnlyMulticast = false } = {}) {
    const nft = (rule) => run('ip', 'netns', 'exec', this.#bridge, 'nft', rule);
    nft('add table netdev sites');
    const hook = `type filter hook egress device p${other} priority -1 ;`;
    nft(`add chain netdev sites to${other} { ${hook} }`);
    const groups = isOnlyMulticast ? 'ip daddr 224.0.0.0/4' : '';
    nft(`add rule netdev sites to${other} ip saddr ${this.address(host)} ${groups} drop`);
  }

  /** Limits the rate at which a host sends. */
  limitRate(host, rateMbit) {
    this.#shape('add', host, rateMbit);
  }

  /** Changes a limit. */
  changeRate(host, rateMbit) {
    this.#shape('change', host, rateMbit);
  }

  /** Limits the rate at which a host receives. */
  limitDownRate(host, rateMbit) {
    addShaping(['ip', 'netns', 'exec', this.#bridge], 'add', `p${host}`, rateMbit);
  }

  /** @returns the bytes of frames that a host with a limited rate has sent; each datagram of a batch counts as a frame */
  countUp(host) {
    return countShaped(this.on(host), 'eth0');
  }

  /** The same of what a host with a limited rate has received. */
  countDown(host) {
    return countShaped(['ip', 'netns', 'exec', this.#bridge], `p${host}`);
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
    // Without snooping, multicast reaches every port, as through a simple switch.
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
    for (let i = 0; i < this.lossyFrom; i++)
      run(...this.on(i), 'ethtool', '-K', 'eth0', ...cutting);
    for (let i = this.lossyFrom; i < this.hostCount; i++) {
      run(...this.on(i), 'ethtool', '-K', 'eth0', 'gro', 'on');
      // veth skips GRO if its peer could have sent whole batches.
      run('ip', 'netns', 'exec', this.#bridge, 'ethtool', '-K', `p${i}`, ...cutting);
    }
  }

  #lose(percent) {
    const nft = (rule) => run('ip', 'netns', 'exec', this.#bridge, 'nft', rule);
    const count = (name, action = '') => `counter ${action} comment "${name}"`;
    const isLost = `numgen random mod 10000 < ${Math.round(percent * 100)}`;
    nft('add table netdev lab');
    for (let i = this.lossyFrom; i < this.hostCount; i++) {
      nft(`add chain netdev lab to${i} { type filter hook egress device p${i} priority 0 ; }`);
      const rule = `add rule netdev lab to${i} meta l4proto { tcp, udp }`;
      nft(`${rule} ${count('seenPackets')}`);
      nft(`${rule} meta length > ${frameBytes} ${count('batchPackets')}`);
      nft(`${rule} ${isLost} ${count('droppedPackets', 'drop')}`);
    }
  }

  #shape(verb, host, rateMbit) {
    addShaping(this.on(host), verb, 'eth0', rateMbit);
  }
}

/** @param on the words before a command that run it where the device is */
function addShaping(on, verb, device, rateMbit) {
  const limitBytes = queueFrames * frameBytes;
  const shaping = ['rate', `${rateMbit}mbit`, 'burst', `${burstBytes}`, 'limit', `${limitBytes}`];
  run(...on, 'tc', 'qdisc', verb, 'dev', device, 'root', 'tbf', ...shaping);
}

function countShaped(on, device) {
  const [{ bytes }] = JSON.parse(run(...on, 'tc', '-s', '-j', 'qdisc', 'show', 'dev', device));
  return bytes;
}

/** To be called when the process ends, for whatever reason. */
export function closeLabs() {
  for (const lab of open) lab.close();
}

/** Ends all processes of a namespace, so that none keeps a removed namespace alive. */
function removeNamespace(name) {
  try {
    for (const pid of run('ip', 'netns', 'pids', name).split('\n').filter(Boolean)) {
      process.kill(Number(pid), 'SIGKILL');
    }
  } catch {
    // The namespace does not exist, or a process has just ended.
  }
  try {
    run('ip', 'netns', 'del', name);
  } catch {
    // It was never created.
  }
}

function run(command, ...args) {
  return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}
