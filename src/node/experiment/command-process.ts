/** Runs p2mp commands as child processes and reads the JSON lines that they print. */
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { P2mpError } from '../../base/errors.js';
import { withoutUndefined } from '../../base/without-undefined.js';

/** A command line: the program, then its arguments. */
export type Command = readonly [string, ...string[]];

/** The command line of one of our commands. */
export function commandOf(name: string, args: readonly string[]): Command {
  const script = fileURLToPath(new URL(`../../cli/${name}.js`, import.meta.url));
  return [process.execPath, script, ...args];
}

export interface ProcessOptions {
  /** Ends the process when it aborts. */
  readonly signal?: AbortSignal;
  /** Added to the environment of this process. */
  readonly env?: Readonly<Record<string, string>>;
}

/** A command that runs in its own process with --json. */
export class CommandProcess {
  /** Rejects with RUN_FAILED if the process ends before it prints a line. */
  private readonly firstLine: Promise<string>;
  /** Resolves once the process has ended. */
  readonly lastLine: Promise<string>;
  private readonly child: ChildProcess;
  private readonly ended: Promise<void>;

  /** @param name the command's name in errors */
  constructor(
    [file, ...args]: Command,
    private readonly name: string,
    { signal, env }: ProcessOptions = {},
  ) {
    const child = spawn(file, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      ...withoutUndefined({ signal, env: env && { ...process.env, ...env } }),
    });
    this.child = child;
    this.ended = new Promise((resolve) => {
      child.once('close', () => resolve());
      // A process that failed to start emits no `close`.
      child.once('error', () => child.pid === undefined && resolve());
    });
    let last: string | undefined;
    let complaints = '';
    const failure = (what: string) =>
      new P2mpError(
        'RUN_FAILED',
        `${name} ${what}${complaints === '' ? '' : `: ${complaints.trim()}`}`,
      );
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      complaints += text;
    });
    const lines = createInterface({ input: child.stdout });
    this.firstLine = new Promise((resolve, reject) => {
      lines.once('line', resolve);
      child.once('error', reject);
      child.once('close', () => reject(failure('ended before it began')));
    });
    this.lastLine = new Promise((resolve, reject) => {
      lines.on('line', (line) => {
        last = line;
      });
      child.once('error', reject);
      child.once('close', () => {
        if (last === undefined) reject(failure('ended without a result'));
        else resolve(last);
      });
    });
    // Avoids unhandled rejections; callers get the errors when they await the lines.
    this.firstLine.catch(() => undefined);
    this.lastLine.catch(() => undefined);
  }

  /**
   * @returns the first address that the command listens on, from its first line
   * @throws P2mpError RUN_FAILED if it does not listen
   */
  async listeningAddress(): Promise<string> {
    const { addresses: [address] = [], error } = JSON.parse(await this.firstLine) as {
      readonly addresses?: readonly string[];
      readonly error?: { readonly message: string };
    };
    if (address !== undefined) return address;
    throw new P2mpError('RUN_FAILED', `${this.name}: ${error?.message ?? 'does not listen'}`);
  }

  /** Asks the process to exit and waits until it has exited. */
  async stop(): Promise<void> {
    this.child.kill();
    await this.ended;
  }
}
