/** Starts programs for tests: the built commands and the independent peers of test/peers. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, watch } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as z from 'zod';
import { jsonLineSchema } from '../../src/cli/output/json/json-events.js';

export const projectFolder = fileURLToPath(new URL('../../', import.meta.url));

/** The folder of the built programs; P2MP_DIST selects another build. */
export const distFolder = process.env['P2MP_DIST'] ?? join(projectFolder, 'dist');

/** The Node that runs commands; P2MP_NODE selects another one. */
export const nodePath = process.env['P2MP_NODE'] ?? process.execPath;

/** Far longer than any program takes, so that a hanging program does not block the tests. */
const maxProgramMs = 900_000;

/** The part of a test that programs need. */
export interface Cleaner {
  teardown(handler: () => unknown): unknown;
}

export interface ProgramOptions {
  readonly cwd?: string;
  /** Added to the environment of the tests. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

const lineSchema = jsonLineSchema();

/** A line of --json. */
export interface JsonEvent {
  readonly event: string;
  // biome-ignore lint/suspicious/noExplicitAny: the fields are what the tests are about
  readonly [field: string]: any;
}

export class Program {
  stdout = '';
  stderr = '';
  readonly exited: Promise<Exit>;
  private readonly child: ChildProcess;
  private onOutput: (() => void)[] = [];
  private exit: Exit | undefined;

  constructor(t: Cleaner, command: string, args: readonly string[], options: ProgramOptions = {}) {
    // The test runner adds its own options to each Node process. They slow it down, and the tests
    // are about the program alone.
    this.child = spawn('env', ['-u', 'NODE_OPTIONS', command, ...args], {
      ...options,
      env: { ...process.env, ...options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: maxProgramMs,
      killSignal: 'SIGKILL',
    });
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text;
      this.notify();
    });
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text;
      this.notify();
    });
    this.exited = new Promise((resolve, reject) => {
      this.child.on('error', reject);
      this.child.on('close', (code, signal) => {
        const { stdout, stderr } = this;
        this.exit = { code, signal, stdout, stderr };
        resolve(this.exit);
        this.notify();
      });
    });
    t.teardown(async () => {
      this.child.kill('SIGKILL');
      await this.exited.catch(() => undefined);
    });
  }

  get pid(): number {
    return this.child.pid ?? Number.NaN;
  }

  kill(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  /** Closes the reading end of standard output, as `| head` does. */
  closeStdout(): void {
    this.child.stdout?.destroy();
  }

  /** Resolves with the first match in the complete lines of standard output or error. */
  waitFor(pattern: RegExp, where: 'stdout' | 'stderr' = 'stdout'): Promise<RegExpExecArray> {
    return new Promise((resolve, reject) => {
      const look = () => {
        const text = this[where];
        const match = pattern.exec(text.slice(0, text.lastIndexOf('\n') + 1));
        if (match !== null) resolve(match);
        else if (this.exit !== undefined) {
          reject(new Error(`ended without ${pattern}: ${JSON.stringify(this.exit)}`));
        } else this.onOutput.push(look);
      };
      look();
    });
  }

  /** Resolves at the first --json line with this event. */
  async waitForEvent(event: string): Promise<JsonEvent> {
    const [line] = await this.waitFor(new RegExp(`^{"time":"[^"]+","event":"${event}".*$`, 'm'));
    return parseEvent(line);
  }

  /** Resolves when a matching name appears in the folder. @returns its path */
  async waitForFile(folder: string, pattern: RegExp): Promise<string> {
    const ended = new AbortController();
    const end = () => ended.abort(new Error(`ended without ${pattern} in ${folder}`));
    this.exited.then(end, end);
    const watcher = watch(folder);
    try {
      for (;;) {
        const name = readdirSync(folder).find((one) => pattern.test(one));
        if (name !== undefined) return join(folder, name);
        await once(watcher, 'change', { signal: ended.signal });
      }
    } finally {
      watcher.close();
    }
  }

  private notify(): void {
    const waiting = this.onOutput;
    this.onOutput = [];
    for (const look of waiting) look();
  }
}

/** A program that is listening. */
export interface Listening {
  readonly program: Program;
  readonly port: number;
  /** The server argument of a client. */
  readonly server: string;
}

async function listening(program: Program): Promise<Listening> {
  const [, port] = await program.waitFor(
    /listening(?: on |\W+addresses\W+| )(?:127\.0\.0\.1:)?(\d+)/i,
  );
  return { program, port: Number(port), server: `127.0.0.1:${port}` };
}

/** Starts `p2mpserver` on any free port of 127.0.0.1. */
export function startServer(
  t: Cleaner,
  file: string,
  p: string | number,
  options: readonly string[] = [],
): Promise<Listening> {
  const args = ['0', file, String(p), '--bind', '127.0.0.1', ...options];
  return listening(startCommand(t, 'p2mpserver', args));
}

/** Starts the receiver that implements the course text literally. */
export function startLiteralReceiver(
  t: Cleaner,
  file: string,
  p: string | number,
  options: readonly string[] = [],
): Promise<Listening> {
  const path = join(projectFolder, 'test/peers/literal-receiver.mjs');
  return listening(new Program(t, process.execPath, [path, '0', file, String(p), ...options]));
}

export function startCommand(
  t: Cleaner,
  name: 'p2mp' | 'p2mpclient' | 'p2mpserver',
  args: readonly string[],
  options: ProgramOptions = {},
): Program {
  const path = join(distFolder, 'cli', `${name}.js`);
  return new Program(t, nodePath, [path, ...args], options);
}

/** Starts `p2mp experiment`. */
export function startExperiment(
  t: Cleaner,
  args: readonly string[],
  options: ProgramOptions = {},
): Program {
  return startCommand(t, 'p2mp', ['experiment', ...args], options);
}

/** Runs `p2mpclient` with servers that all name their port. */
export function runClient(
  t: Cleaner,
  servers: readonly Listening['server'][],
  file: string,
  mss: number,
  options: readonly string[] = [],
): Promise<Exit> {
  return startClient(t, servers, file, mss, options).exited;
}

export function startClient(
  t: Cleaner,
  servers: readonly Listening['server'][],
  file: string,
  mss: number,
  options: readonly string[] = [],
): Program {
  return startCommand(t, 'p2mpclient', [...servers, '7735', file, String(mss), ...options]);
}

/** Runs the sender that implements the course text literally. */
export function runLiteralSender(
  t: Cleaner,
  servers: readonly Listening['server'][],
  file: string,
  mss: number,
  options: readonly string[] = [],
): Promise<Exit> {
  const path = join(projectFolder, 'test/peers/literal-sender.mjs');
  const args = [path, ...servers, '7735', file, String(mss), ...options];
  return new Program(t, process.execPath, args).exited;
}

/** All --json lines. */
/** @throws Error if the line does not match the schema that users get */
function parseEvent(line: string): JsonEvent {
  const event = JSON.parse(line);
  const { error } = lineSchema.safeParse(event);
  if (error === undefined) return event;
  throw new Error(`not in docs/events.schema.json: ${line}\n${z.prettifyError(error)}`);
}

export function parseEvents(stdout: string): JsonEvent[] {
  return stdout.split('\n').slice(0, -1).map(parseEvent);
}

/** The last --json line. */
export function parseResult({ stdout }: Pick<Exit, 'stdout'>): JsonEvent {
  const result = parseEvents(stdout).at(-1);
  if (result?.event !== 'result') throw new Error(`no result at the end of: ${stdout}`);
  return result;
}

/** Makes a named pipe. @returns what prints its content, and ends once no process has the pipe open any more */
export function createPipe(t: Cleaner, path: string): Program {
  execFileSync('mkfifo', [path]);
  return new Program(t, 'cat', [path]);
}

/** The command lines of all running processes that contain this text. */
export function commandLinesWith(text: string): string[] {
  const lines =
    process.platform === 'linux'
      ? readdirSync('/proc')
          .filter((name) => /^\d+$/.test(name))
          .map(readCommandLine)
      : execFileSync('ps', ['-A', '-o', 'args'], { encoding: 'utf8' }).split('\n');
  return lines.filter((line) => line.includes(text));
}

function readCommandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch {
    // The process has ended in the meantime.
    return '';
  }
}
