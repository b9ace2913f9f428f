/** A receiver of sessions on loopback, its events, and the content of folders. */
import { createHash } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { KeyPair, ReceiveEvent, ReceiveOptions, SendOptions } from '../../src/index.js';
import { generateKeyPair, type Receiving, receive, send } from '../../src/index.js';
import type { Cleaner } from './processes.js';

type EndResult = Extract<ReceiveEvent, { type: 'end' }>['result'];

export class SessionHost {
  readonly events: ReceiveEvent[] = [];
  private waiting: (() => void)[] = [];

  private constructor(
    readonly dir: string,
    readonly keyPair: KeyPair,
  ) {}

  private opened: Receiving | undefined;

  /** Trusts any sender, on any free port of 127.0.0.1, unless the options say otherwise. */
  static async open(
    t: Cleaner,
    dir: string,
    options: Partial<ReceiveOptions> = {},
  ): Promise<SessionHost> {
    const { onEvent, keyPair = await generateKeyPair(), ...others } = options;
    const host = new SessionHost(dir, keyPair);
    host.opened = await receive({
      dir,
      port: 0,
      bind: ['127.0.0.1'],
      trustSender: () => true,
      keyPair,
      ...others,
      onEvent: (event) => {
        host.events.push(event);
        onEvent?.(event);
        for (const look of host.waiting.splice(0)) look();
      },
    });
    t.teardown(() => host.receiving.close('the test is over'));
    return host;
  }

  get receiving(): Receiving {
    if (this.opened === undefined) throw new Error('not open');
    return this.opened;
  }

  /** The receiver option of `send`. */
  spec(name?: string) {
    const [address] = this.receiving.addresses;
    if (address === undefined) throw new Error('no address');
    return { ...address, ...(name === undefined ? {} : { name }) };
  }

  path(...names: string[]): string {
    return join(this.dir, ...names);
  }

  get ended(): EndResult[] {
    return this.events.flatMap((event) => (event.type === 'end' ? [event.result] : []));
  }

  /** Resolves with all results when there are `count`. */
  async ends(count: number): Promise<EndResult[]> {
    while (this.ended.length < count) await this.nextEvent();
    return this.ended;
  }

  /** Resolves when this many objects were offered. */
  async offers(count: number): Promise<void> {
    while (this.events.filter(({ type }) => type === 'offer').length < count) {
      await this.nextEvent();
    }
  }

  private nextEvent(): Promise<void> {
    return new Promise((resolve) => {
      this.waiting.push(resolve);
    });
  }
}

/** Sends to hosts, and trusts any key, unless the options say otherwise. */
export function sendTo(
  hosts: readonly SessionHost[],
  paths: readonly string[],
  options: Partial<SendOptions> = {},
) {
  return send({
    paths,
    receivers: hosts.map((host) => host.spec()),
    trustReceiver: () => true,
    ...options,
  });
}

export function sha256(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}

/** Everything below a folder, by name: kind, mode, time to the microsecond, content. */
export function treeOf(folder: string): Record<string, string> {
  const tree: Record<string, string> = {};
  const visit = (path: string, name: string) => {
    const stats = lstatSync(path);
    const mode = (stats.mode & 0o777).toString(8);
    const time = Math.round(stats.mtimeMs * 1000);
    if (stats.isSymbolicLink()) tree[name] = `link to ${readlinkSync(path)}`;
    else if (stats.isFile()) tree[name] = `file ${mode} ${time} ${stats.size} ${sha256(path)}`;
    else {
      if (name !== '') tree[name] = `folder ${mode} ${time}`;
      for (const child of readdirSync(path)) {
        visit(join(path, child), name === '' ? child : `${name}/${child}`);
      }
    }
  };
  visit(folder, '');
  return tree;
}
