/**
 * Runs `p2mp send` and `p2mp receive` as processes with separate folders and keys, on free loopback
 * ports.
 */
import { once } from 'node:events';
import { mkdirSync, readFileSync, statSync, watch } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Test } from 'tap';
import type { Address } from '../../src/base/address.js';
import { type Exit, type JsonEvent, type Program, parseEvents, startCommand } from './processes.js';

/** Size of the journal of an empty part. */
const journalHeaderBytes = 56;

/** A program that stores what it receives in parts in a folder. */
export interface StoringProgram {
  readonly program: Program;
  readonly dir: string;
}

/** A receiver that is listening. */
export interface ReceiverProgram extends StoringProgram {
  readonly port: number;
  /** The --to argument of a sender. */
  readonly name: string;
}

/** A server that is listening. */
export interface ServerProgram {
  readonly program: Program;
  readonly address: Address;
}

/** The folders of one test: `sent`, those of receivers, and a folder of keys for each side. */
export class SessionPlace {
  readonly folder: string;
  readonly sent: string;
  readonly senderHome: string;
  readonly receiverHome: string;

  constructor(private readonly t: Test) {
    this.folder = t.testdir({ sent: {} });
    this.sent = join(this.folder, 'sent');
    this.senderHome = join(this.folder, 'keys of the sender');
    this.receiverHome = join(this.folder, 'keys of the receiver');
    for (const home of [this.senderHome, this.receiverHome]) mkdirSync(home);
  }

  /** @returns the line of the public key */
  async keygen(home: string): Promise<string> {
    const { code, stderr } = await this.start(home, ['keygen']).exited;
    if (code !== 0) throw new Error(stderr);
    return readFileSync(join(home, 'key.pub'), 'utf8');
  }

  /** Starts `p2mp receive`, on any free port unless the options name one. */
  async receive(options: readonly string[] = ['--open'], into = 'in'): Promise<ReceiverProgram> {
    const dir = join(this.folder, into);
    const where = options.includes('--dir') ? [] : ['--dir', dir];
    const port = options.includes('--port') ? [] : ['--port', '0'];
    const args = ['receive', ...where, '--bind', '127.0.0.1', ...port, ...options];
    const program = this.start(this.receiverHome, args);
    const [, bound] = await program.waitFor(/listening.*?127\.0\.0\.1:(\d+)/i);
    return { program, port: Number(bound), name: `127.0.0.1:${bound}`, dir };
  }

  /** Starts `p2mp serve` on a free port. */
  async serve(args: readonly string[]): Promise<ServerProgram> {
    const port = args.includes('--port') ? [] : ['--port', '0'];
    const index = args.includes('--index') ? [] : ['--index', join(this.folder, 'index')];
    const all = ['serve', ...args, '--bind', '127.0.0.1', ...port, ...index];
    const program = this.start(this.receiverHome, all);
    const [, bound] = await program.waitFor(/listening.*?127\.0\.0\.1:(\d+)/i);
    return { program, address: { host: '127.0.0.1', port: Number(bound) } };
  }

  /** Starts `p2mp relay`, on any free port unless the options name one. */
  async relay(args: readonly string[]): Promise<ServerProgram> {
    const port = args.includes('--port') ? [] : ['--port', '0'];
    const cache =
      args.includes('--cache') || args.includes('--to')
        ? []
        : ['--cache', join(this.folder, 'cache')];
    const all = ['relay', ...args, '--bind', '127.0.0.1', ...port, ...cache];
    const program = this.start(this.receiverHome, all);
    const [, bound] = await program.waitFor(/listening.*?127\.0\.0\.1:(\d+)/i);
    return { program, address: { host: '127.0.0.1', port: Number(bound) } };
  }

  send(args: readonly string[], options: { readonly cwd?: string } = {}): Program {
    return this.start(this.senderHome, ['send', ...args], options);
  }

  start(home: string, args: readonly string[], options: { readonly cwd?: string } = {}): Program {
    return startCommand(this.t, 'p2mp', args, { ...options, env: { P2MP_HOME: home } });
  }
}

/**
 * Resolves when a part in the folder records something as durable. @returns the path of the journal
 */
export async function waitForNote({ program, dir }: StoringProgram): Promise<string> {
  const parts = await program.waitForFile(dir, /^\.p2mp-part$/);
  const part = await program.waitForFile(parts, /^[0-9a-f]{64}$/);
  const journal = await program.waitForFile(part, /^journal$/);
  await waitForSize(journal, journalHeaderBytes + 1);
  return journal;
}

async function waitForSize(path: string, sizeBytes: number): Promise<void> {
  const watcher = watch(dirname(path));
  try {
    while (statSync(path).size < sizeBytes) await once(watcher, 'change');
  } finally {
    watcher.close();
  }
}

/**
 * Stops a sender once half a megabyte of its file has been written, and resolves when that is durable. What a test does
 * next then happens midway, however long it takes. Continue the sender with SIGCONT.
 * @returns the path of the journal
 */
export async function stopMidway(sender: Program, receiver: StoringProgram): Promise<string> {
  const { program, dir } = receiver;
  const parts = await program.waitForFile(dir, /^\.p2mp-part$/);
  const part = await program.waitForFile(parts, /^[0-9a-f]{64}$/);
  const file = await program.waitForFile(part, /^0$/);
  await waitForSize(file, 500_000);
  sender.kill('SIGSTOP');
  return waitForNote(receiver);
}

/** The --json lines with this event. */
export function eventsOf({ stdout }: Pick<Exit, 'stdout'>, name: string): JsonEvent[] {
  return parseEvents(stdout).filter(({ event }) => event === name);
}
