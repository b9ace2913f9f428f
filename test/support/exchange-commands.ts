/** Runs `p2mp exchange` as processes: a coordinator and its peers. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { isSameContent, writeRandomFile } from './loopback.js';
import { type Exit, type Program, parseEvents } from './processes.js';
import { SessionPlace } from './session-commands.js';

/** The processes of one exchange, each peer with a folder of its own. */
export class Exchange {
  readonly place: SessionPlace;
  address = '';

  constructor(t: Test) {
    this.place = new SessionPlace(t);
  }

  async coordinate(...options: string[]): Promise<Program> {
    const { place } = this;
    const args = ['--port', '0', '--bind', '127.0.0.1', '--logs', this.path('logs of all')];
    const all = ['exchange', 'coordinate', ...args, ...options];
    const program = place.start(place.receiverHome, all);
    const [, port] = await program.waitFor(/listening.*?127\.0\.0\.1:(\d+)/i);
    this.address = `127.0.0.1:${port}`;
    return program;
  }

  join(name: string, paths: readonly string[], ...options: string[]): Program {
    const { place } = this;
    const home = this.path(`keys of ${name}`);
    mkdirSync(home, { recursive: true });
    const dirs = ['--dir', this.path(`to ${name}`), '--logs', this.path(`logs of ${name}`)];
    const index = ['--index', this.path(`index of ${name}`)];
    const all = ['exchange', 'join', this.address, ...paths, '--name', name, ...dirs, ...index];
    return place.start(home, [...all, ...options]);
  }

  path(...names: string[]): string {
    return join(this.place.folder, ...names);
  }

  /** Writes a file that a peer brings. @returns its path */
  write(peer: string, name: string, sizeBytes: number): string {
    const folder = this.path(`of ${peer}`);
    mkdirSync(folder, { recursive: true });
    return writeRandomFile(folder, sizeBytes, name);
  }

  /** Whether a peer has what another one brings. */
  has(peer: string, owner: string, name: string): boolean {
    return isSameContent(this.path(`of ${owner}`, name), this.path(`to ${peer}`, owner, name));
  }
}

/** Resolves when the first chunk of this owner has arrived. */
export function firstChunk(program: Program, owner: string): Promise<unknown> {
  return program.waitFor(new RegExp(`"event":"chunk","owner":"${owner}"`));
}

export function resultOf({ stdout }: Exit) {
  return parseEvents(stdout).at(-1);
}
