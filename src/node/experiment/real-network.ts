/**
 * The network of real runs. Either all processes use loopback, or each process has its own network namespace,
 * and a bridge connects the namespaces. Namespaces allow a configurable rate and queue; they require Linux,
 * root and iproute2.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { P2mpError } from '../../base/errors.js';
import type { Point } from '../../experiment/parameters.js';
import type { Command } from './command-process.js';

const execute = promisify(execFile);

export interface RealNetwork {
  /** Applies the point's rate and queue size to the path of each receiver, in both directions. */
  prepare(point: Point): Promise<void>;
  /** The address of receiver k, counted from 0. */
  address(receiver: number): string;
  onSender(command: Command): Command;
  onReceiver(receiver: number, command: Command): Command;
  close(): Promise<void>;
}

export const loopback: RealNetwork = {
  prepare: async () => undefined,
  address: () => '127.0.0.1',
  onSender: (command) => command,
  onReceiver: (_, command) => command,
  close: async () => undefined,
};

/** Size of the token bucket: a full datagram with headers. */
const bucketBytes = 66_000;

/** Queue size if the plan sets a rate but no queue limit. */
const defaultQueueBytes = 16 * 1024 * 1024;

export class NamespaceNetwork implements RealNetwork {
  private readonly prefix = `p2mp-${process.pid}`;
  private readonly bridge = `${this.prefix}-bridge`;
  /** Number of hosts created so far: first the sender, then receivers. */
  private hostCount = 0;
  private readonly ratedHosts = new Set<number>();

  private constructor() {}

  /** @throws P2mpError RUN_FAILED if namespaces cannot be created here */
  static async open(): Promise<NamespaceNetwork> {
    const network = new NamespaceNetwork();
    const { bridge } = network;
    try {
      await ip('netns', 'add', bridge);
      await ip('-n', bridge, 'link', 'add', 'br0', 'type', 'bridge');
      await ip('-n', bridge, 'link', 'set', 'br0', 'up');
      await network.addHost();
      return network;
    } catch (error) {
      await network.close();
      throw new P2mpError(
        'RUN_FAILED',
        `network namespaces: ${messageOf(error)}; they require Linux, root and iproute2. ` +
          'Elsewhere, set "network": "loopback" in the plan',
        { cause: error },
      );
    }
  }

  async prepare(point: Point): Promise<void> {
    while (this.hostCount <= point.receivers) await this.addHost();
    const { rateBytesPerSec, queueBytes = defaultQueueBytes } = point;
    for (let host = 1; host < this.hostCount; host++) {
      const ways = [
        { namespace: this.bridge, device: `p${host}` },
        { namespace: this.namespace(host), device: 'eth0' },
      ];
      for (const { namespace, device } of ways) {
        const onDevice = ['dev', device, 'root'];
        if (rateBytesPerSec === undefined) {
          if (this.ratedHosts.has(host)) await tc(namespace, 'qdisc', 'del', ...onDevice);
          continue;
        }
        const rate = `${Math.round(rateBytesPerSec * 8)}bit`;
        const bucket = ['burst', `${bucketBytes}b`, 'limit', `${queueBytes}b`];
        await tc(namespace, 'qdisc', 'replace', ...onDevice, 'tbf', 'rate', rate, ...bucket);
      }
      if (rateBytesPerSec === undefined) this.ratedHosts.delete(host);
      else this.ratedHosts.add(host);
    }
  }

  address(receiver: number): string {
    return addressOf(receiver + 1);
  }

  onSender(command: Command): Command {
    return this.inNamespace(0, command);
  }

  onReceiver(receiver: number, command: Command): Command {
    return this.inNamespace(receiver + 1, command);
  }

  async close(): Promise<void> {
    const namespaces = Array.from({ length: this.hostCount }, (_, host) => this.namespace(host));
    for (const namespace of [...namespaces, this.bridge]) {
      await ip('netns', 'del', namespace).catch(() => undefined);
    }
    this.hostCount = 0;
  }

  private async addHost(): Promise<void> {
    const host = this.hostCount;
    const namespace = this.namespace(host);
    const port = `p${host}`;
    await ip('netns', 'add', namespace);
    this.hostCount++;
    const peer = ['type', 'veth', 'peer', 'name', port, 'netns', this.bridge];
    await ip('-n', namespace, 'link', 'add', 'eth0', ...peer);
    await ip('-n', this.bridge, 'link', 'set', port, 'master', 'br0', 'up');
    await ip('-n', namespace, 'addr', 'add', `${addressOf(host)}/24`, 'dev', 'eth0');
    await ip('-n', namespace, 'link', 'set', 'lo', 'up');
    await ip('-n', namespace, 'link', 'set', 'eth0', 'up');
  }

  private inNamespace(host: number, command: Command): Command {
    return ['ip', 'netns', 'exec', this.namespace(host), ...command];
  }

  private namespace(host: number): string {
    return `${this.prefix}-${host}`;
  }
}

/** 198.18.0.0/15 is reserved for benchmarks between isolated networks (RFC 2544). */
function addressOf(host: number): string {
  return `198.18.0.${10 + host}`;
}

async function ip(...args: string[]): Promise<void> {
  await execute('ip', args);
}

async function tc(namespace: string, ...args: string[]): Promise<void> {
  await ip('netns', 'exec', namespace, 'tc', ...args);
}

function messageOf(error: unknown): string {
  const { stderr = '', message } = error as Error & { stderr?: string };
  const said = stderr.trim();
  return said === '' ? message : said;
}
