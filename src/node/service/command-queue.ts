/**
 * Runs the user's shell commands, a few at a time. Commands that arrive faster than they finish wait in a
 * bounded queue. A command that hangs is killed together with all its child processes.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { Queue } from '../../base/queue.js';
import { describeError } from '../system-error.js';

/** Maximum number of waiting commands; further commands are refused. */
export const maxWaitingCommands = 1000;

/** Time between SIGTERM and SIGKILL. */
export const killGraceMs = 5000;

/** How often to check a process group whose shell has exited. */
const groupCheckMs = 100;

/** Maximum delay of a Node timer. */
const maxTimerMs = 2 ** 31 - 1;

export interface CommandQueueOptions<Job> {
  /** Run by the system's shell. */
  readonly command: string;
  /** Maximum number that run at once. */
  readonly maxRunning: number;
  /** Time limit of a command, which is then killed together with its process group. */
  readonly timeoutMs: number;
  /** Environment variables for the command, in addition to those of this process. */
  readonly environmentOf: (job: Job) => Readonly<Record<string, string>>;
  readonly onEnd: (job: Job, end: CommandEnd) => void;
}

export type CommandStatus =
  /** Exit code 0. */
  | 'done'
  /** Exited with a code other than 0, was killed by a signal, or could not be started. */
  | 'failed'
  /** Killed after the timeout. */
  | 'killed'
  /** Killed because the receiver shut down. */
  | 'stopped'
  /** Never started. */
  | 'refused';

export interface CommandEnd {
  readonly status: CommandStatus;
  /** Present unless `done`. */
  readonly reason?: string;
}

export interface CommandCounts {
  readonly running: number;
  readonly waiting: number;
  readonly ended: Readonly<Record<CommandStatus, number>>;
}

interface Running {
  readonly child: ChildProcess;
  /** The outcome to report, set once the command is being killed; undefined before. */
  ending: CommandEnd | undefined;
  timer: NodeJS.Timeout | undefined;
  /** SIGKILL has been sent. */
  isOverdue: boolean;
}

export class CommandQueue<Job> {
  private readonly waiting = new Queue<Job>();
  private readonly running = new Set<Running>();
  private readonly ended: Record<CommandStatus, number> = {
    done: 0,
    failed: 0,
    killed: 0,
    stopped: 0,
    refused: 0,
  };
  private isStopped = false;
  private onIdle: (() => void)[] = [];

  constructor(private readonly options: CommandQueueOptions<Job>) {}

  get counts(): CommandCounts {
    return { running: this.running.size, waiting: this.waiting.length, ended: { ...this.ended } };
  }

  get isIdle(): boolean {
    return this.running.size === 0 && this.waiting.length === 0;
  }

  /** Runs the command for a job, immediately or later. Calls `onEnd` exactly once for each job. */
  add(job: Job): void {
    if (this.isStopped) {
      this.end(job, { status: 'refused', reason: 'not run: this receiver is shutting down' });
    } else if (this.running.size < this.options.maxRunning) {
      this.run(job);
    } else if (this.waiting.length < maxWaitingCommands) {
      this.waiting.push(job);
    } else {
      this.end(job, {
        status: 'refused',
        reason: `not run: ${maxWaitingCommands} commands are already waiting`,
      });
    }
  }

  /** Kills running commands and refuses waiting and later ones. */
  stop(): void {
    if (this.isStopped) return;
    this.isStopped = true;
    for (let job = this.waiting.shift(); job !== undefined; job = this.waiting.shift()) {
      this.end(job, { status: 'refused', reason: 'not run: this receiver is shutting down' });
    }
    const end: CommandEnd = {
      status: 'stopped',
      reason: 'stopped because this receiver shut down',
    };
    for (const running of this.running) this.terminate(running, end);
  }

  /** Resolves once no command runs or waits. */
  idle(): Promise<void> {
    if (this.isIdle) return Promise.resolve();
    return new Promise((resolve) => this.onIdle.push(resolve));
  }

  private run(job: Job): void {
    const { command, environmentOf, timeoutMs } = this.options;
    let child: ChildProcess;
    try {
      child = spawn(command, {
        shell: true,
        stdio: ['ignore', 'inherit', 'inherit'],
        env: { ...process.env, ...environmentOf(job) },
        // A separate process group, so that child processes of the shell can be killed with it.
        detached: hasGroups,
      });
    } catch (error) {
      this.end(job, { status: 'failed', reason: `did not start: ${describeError(error)}` });
      return;
    }
    const running: Running = { child, ending: undefined, timer: undefined, isOverdue: false };
    if (this.running.size === 0) process.on('exit', this.killAll);
    this.running.add(running);
    running.timer = setTimeout(
      () => {
        const reason = `killed after ${timeoutMs / 1000} s; see --on-complete-timeout`;
        this.terminate(running, { status: 'killed', reason });
      },
      Math.min(timeoutMs, maxTimerMs),
    );
    let failure: CommandEnd | undefined;
    child.once('error', (error) => {
      failure = { status: 'failed', reason: `did not start: ${describeError(error)}` };
      // Without a process there is no `close` event.
      if (child.pid === undefined) this.finish(job, running, failure);
    });
    child.once('close', (code, signal) => {
      const end = running.ending ?? failure ?? endOf(code, signal);
      if (running.ending === undefined) this.finish(job, running, end);
      else this.awaitGroup(job, running, end);
    });
  }

  /**
   * Waits for the process group after the shell has exited. Child processes that ignore SIGTERM get the rest
   * of their grace period.
   */
  private awaitGroup(job: Job, running: Running, end: CommandEnd): void {
    if (!running.isOverdue && isAlive(running.child)) {
      setTimeout(() => this.awaitGroup(job, running, end), groupCheckMs);
    } else {
      this.finish(job, running, end);
    }
  }

  private terminate(running: Running, end: CommandEnd): void {
    if (running.ending !== undefined) return;
    running.ending = end;
    clearTimeout(running.timer);
    kill(running.child, 'SIGTERM');
    running.timer = setTimeout(() => {
      kill(running.child, 'SIGKILL');
      running.isOverdue = true;
    }, killGraceMs);
  }

  private finish(job: Job, running: Running, end: CommandEnd): void {
    clearTimeout(running.timer);
    this.running.delete(running);
    this.end(job, end);
    const next = this.waiting.shift();
    if (next !== undefined) this.run(next);
    if (this.running.size === 0) process.off('exit', this.killAll);
    if (!this.isIdle) return;
    const resolvers = this.onIdle;
    this.onIdle = [];
    for (const resolve of resolvers) resolve();
  }

  private end(job: Job, end: CommandEnd): void {
    this.ended[end.status]++;
    this.options.onEnd(job, end);
  }

  /** Kills all commands when this process exits, for example after a second signal. */
  private readonly killAll = (): void => {
    for (const { child } of this.running) kill(child, 'SIGKILL');
  };
}

/** Windows has no process groups; only the shell is killed there. */
const hasGroups = process.platform !== 'win32';

function kill(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    if (hasGroups) process.kill(-child.pid, signal);
    else child.kill(signal);
  } catch {
    // It has exited in the meantime.
  }
}

/** Whether any process of the group is left. */
function isAlive({ pid }: ChildProcess): boolean {
  if (!hasGroups || pid === undefined) return false;
  try {
    process.kill(-pid, 0);
    return true;
  } catch {
    return false;
  }
}

function endOf(code: number | null, signal: NodeJS.Signals | null): CommandEnd {
  if (code === 0) return { status: 'done' };
  const reason = code === null ? `killed by ${signal}` : `exit code ${code}`;
  return { status: 'failed', reason };
}
