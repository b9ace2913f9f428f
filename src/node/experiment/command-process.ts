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
  /** The names of the events so far. */
  private readonly printed = new Set<string>();
  /** Called at the first event of each name. */
  private readonly awaited = new Map<string, () => void>();
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
        this.noteEvent(line);
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

  /**
   * Resolves once the process has printed an event of this name.
   * @throws P2mpError RUN_FAILED if it ends first
   */
  async event(name: string): Promise<void> {
    if (this.printed.has(name)) return;
    const isPrinted = await Promise.race([
      new Promise<boolean>((resolve) => this.awaited.set(name, () => resolve(true))),
      this.ended.then(() => false),
    ]);
    if (!isPrinted) throw new P2mpError('RUN_FAILED', `${this.name} ended before: ${name}`);
  }

  private noteEvent(line: string): void {
    const { event: name } = JSON.parse(line) as { readonly event: string };
    this.printed.add(name);
    this.awaited.get(name)?.();
  }

  /** Kills the process at once. */
  kill(): void {
    this.child.kill('SIGKILL');
  }

  /** Asks the process to exit and waits until it has exited. */
  async stop(): Promise<void> {
    this.child.kill();
    await this.ended;
  }
}
