/** A sender and three receivers on one bridge, each with its own folder and keys. */
import { execFileSync, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import type { Test } from 'tap';
import { writeRandomFile } from '../support/loopback.js';
import { distFolder, Program } from '../support/processes.js';
import { NetworkLab } from './network-lab.js';

/** The reason for skipping tests without a lab, or false. */
export const noLab =
  (process.getuid?.() !== 0 && 'network namespaces need root') ||
  (spawnSync('ip', ['-V']).status !== 0 && 'iproute2 is not available') ||
  (spawnSync('nft', ['--version']).status !== 0 && 'nftables is not available');

export const receiverHosts = [1, 2, 3];
const port = 7735;

export class SessionLab {
  readonly folder: string;
  readonly sent: string;
  readonly lab: NetworkLab;

  constructor(
    private readonly t: Test,
    sizeBytes: number,
  ) {
    this.lab = new NetworkLab(1 + receiverHosts.length, 0);
    t.teardown(() => this.lab.close());
    this.folder = t.testdir();
    this.sent = writeRandomFile(this.folder, sizeBytes);
    for (const host of [0, ...receiverHosts]) {
      const address = `${this.address(host, 6)}/64`;
      this.run(host, 'ip', '-6', 'addr', 'add', address, 'dev', 'eth0', 'nodad');
    }
  }

  address(host: number, version: 4 | 6): string {
    return version === 4 ? this.lab.address(host) : `fd99::${10 + host}`;
  }

  dir(host: number): string {
    return join(this.folder, `in ${host}`);
  }

  run(host: number, ...command: string[]): void {
    const [program, args] = this.lab.on(host, ...command);
    execFileSync(program, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  }

  /** Drops incoming traffic of a host that matches the rule. */
  drop(host: number, rule: string): void {
    this.filter(host, rule, 'drop');
  }

  /** Applies a verdict to incoming traffic that matches the rule, both in nftables syntax. */
  filter(host: number, rule: string, verdict: string): void {
    this.run(host, 'nft', 'add table inet test');
    this.run(host, 'nft', 'add chain inet test in { type filter hook input priority 0 ; }');
    this.run(host, 'nft', `add rule inet test in ${rule} ${verdict}`);
  }

  /** Reverts `drop` and `filter`. */
  unfilter(host: number): void {
    this.run(host, 'nft', 'delete table inet test');
  }

  p2mp(host: number, ...args: string[]): Program {
    const path = join(distFolder, 'cli', 'p2mp.js');
    const [program, words] = this.lab.on(host, process.execPath, path, ...args);
    const env = { P2MP_HOME: join(this.folder, `keys ${host}`) };
    return new Program(this.t, program, words, { env });
  }

  /** Starts a receiver on each host. */
  async receive(options: readonly string[], dirs: Readonly<Record<number, string>> = {}) {
    const programs = receiverHosts.map((host) => {
      const dir = dirs[host] ?? this.dir(host);
      return this.p2mp(host, 'receive', '--open', '--json', '--dir', dir, ...options);
    });
    await Promise.all(programs.map((program) => program.waitForEvent('listening')));
    return programs;
  }

  send(version: 4 | 6, ...options: string[]): Program {
    const to = receiverHosts.map((host) => this.address(host, version)).join();
    const common = ['--to', to, '--port', String(port), '--open', '--json'];
    return this.p2mp(0, 'send', this.sent, ...common, ...options);
  }
}
