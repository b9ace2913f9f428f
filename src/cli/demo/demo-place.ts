/** What both parts of the demo use: a folder, receiver processes, and lines that fit the terminal. */
import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import wrapAnsi from 'wrap-ansi';
import { defaultPort } from '../../classic/config.js';
import { CommandProcess, commandOf } from '../../node/experiment/command-process.js';
import type { ServerSpec } from '../../node/net/resolve-receivers.js';
import { sha256 } from '../../node/primitives/primitives.js';
import { fileError } from '../../node/system-error.js';
import { toHex } from '../../wire/byte-codec.js';
import { parseServer } from '../arguments.js';
import type { Output } from '../output/output.js';

const indent = '   ';

function outputColumns(): number {
  return process.stdout.columns || 80;
}

/** A receiver process that listens. */
export interface DemoReceiver {
  readonly server: ServerSpec;
  /** The file that it writes. */
  readonly copy: string;
  /** The last line of its --json output. */
  readonly lastLine: Promise<string>;
}

export class DemoPlace {
  private readonly processes: CommandProcess[] = [];

  constructor(
    readonly output: Output,
    readonly folder: string,
    readonly signal: AbortSignal,
  ) {}

  /** Prints a headline, wrapped to the terminal. */
  headline(text: string): void {
    this.output.line(wrapAnsi(text, outputColumns()));
  }

  /** Prints a line below a headline: indented, and wrapped to the terminal. */
  line(text: string): void {
    const wrapped = wrapAnsi(text, Math.max(1, outputColumns() - indent.length));
    for (const line of wrapped.split('\n')) this.output.line(indent + line);
  }

  /** Creates a file of random bytes. @returns its path */
  async createFile(name: string, sizeBytes: number): Promise<string> {
    const path = join(this.folder, name);
    try {
      await writeFile(path, randomBytes(sizeBytes));
    } catch (error) {
      throw fileError('TARGET_UNWRITABLE', path, error);
    }
    return path;
  }

  /**
   * Starts a receiver.
   * @param name names the receiver in output and errors
   * @throws P2mpError RUN_FAILED if it does not start to listen
   */
  async startReceiver(
    name: string,
    command: 'p2mp' | 'p2mpserver',
    args: readonly string[],
    copy: string,
  ): Promise<DemoReceiver> {
    const options = {
      signal: this.signal,
      env: { P2MP_HOME: join(this.folder, `${name}'s keys`) },
    };
    const process = new CommandProcess(commandOf(command, args), name, options);
    this.processes.push(process);
    const { host, port } = parseServer(await process.listeningAddress(), defaultPort);
    return { server: { host, port, name }, copy, lastLine: process.lastLine };
  }

  async stop(): Promise<void> {
    await Promise.all(this.processes.map((process) => process.stop()));
  }
}

/** @returns the SHA-256 of a file in hexadecimal; undefined if there is no such file */
export async function digestOf(path: string): Promise<string | undefined> {
  try {
    return toHex(sha256(await readFile(path)));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw fileError('SOURCE_UNREADABLE', path, error);
  }
}
