// Starts any command and measures its cost: its elapsed time and the CPU time of all its processes.
// It ends by itself, at a time limit, or with the benchmark, so no process is left over.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** The shell reports its children's CPU time, which /proc no longer shows once they have ended. */
const shell = 'trap : TERM INT; "$@"; code=$?; times >&3; exit $code';
const ticksPerS = 100;

const running = new Set();

/** Without what makes Node read certificates at its start, on machines that are set up like that: 35 ms. */
const { NODE_EXTRA_CA_CERTS: _, ...environment } = process.env;

/**
 * @param words the command and its arguments
 * @param limitMs the time after which it is killed
 */
export function startCommand(words, { limitMs, env = {} } = {}) {
  const startedAtMs = performance.now();
  const child = spawn('sh', ['-c', shell, 'sh', ...words.map(String)], {
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    env: { ...environment, LC_ALL: 'C', ...env },
    // A process group of its own, so that a signal reaches all its processes.
    detached: true,
  });
  const texts = { stdout: '', stderr: '', times: '' };
  const watchers = new Set();
  ['stdout', 'stderr', 'times'].forEach((name, i) => {
    child.stdio[i + 1].setEncoding('utf8').on('data', (text) => {
      texts[name] += text;
      for (const watch of watchers) watch();
    });
  });
  let result;
  let isTimedOut = false;
  const kill = (signal) => {
    try {
      process.kill(-child.pid, signal);
    } catch {
      // It has already ended.
    }
  };
  const timer = setTimeout(
    () => {
      isTimedOut = true;
      kill('SIGKILL');
    },
    limitMs ?? 2 ** 31 - 1,
  );
  const command = { words, kill, texts };
  running.add(command);
  command.ended = new Promise((resolve, reject) => {
    child.once('error', reject);
    let elapsedMs;
    child.once('exit', () => {
      elapsedMs = performance.now() - startedAtMs;
      clearTimeout(timer);
    });
    child.once('close', (code) => {
      running.delete(command);
      result = { code, elapsedMs, isTimedOut, cpuS: parseTimes(texts.times), ...texts };
      resolve(result);
      for (const watch of watchers) watch();
    });
  });
  /** @returns CPU seconds so far, or in total once it has ended */
  command.cpuS = () => (result === undefined ? treeCpuS(child.pid) : result.cpuS);
  /** @returns once `isDone` accepts its output; rejects if it ends first or takes too long */
  command.until = (isDone, forMs) =>
    new Promise((resolve, reject) => {
      const finish = (settle, value) => {
        clearTimeout(late);
        clearInterval(poll);
        watchers.delete(check);
        settle(value);
      };
      const fail = (why) => finish(reject, new Error(`${words.join(' ')}: ${why}${tail(texts)}`));
      const check = () => {
        if (isDone(texts)) finish(resolve);
        else if (result !== undefined) fail(`ended with code ${result.code} before it was ready`);
      };
      const late = setTimeout(() => fail('not ready in time'), forMs);
      const poll = setInterval(check, 20);
      watchers.add(check);
      check();
    });
  /** Stops it, by force if necessary. */
  command.stop = async () => {
    kill('SIGTERM');
    const force = setTimeout(() => kill('SIGKILL'), 2000);
    await command.ended;
    clearTimeout(force);
  };
  return command;
}

/** To be called when the process ends, for whatever reason. */
export function killCommands() {
  for (const { kill } of running) kill('SIGKILL');
}

/** @returns the last lines that a command printed as errors */
export function tail({ stderr, stdout }) {
  const lines = (stderr.trim() || stdout.trim()).split('\n').slice(-3).join(' | ');
  return lines === '' ? '' : `: ${lines.slice(-300)}`;
}

/** CPU seconds of a process and of all its descendants that still run or were waited for. */
function treeCpuS(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name, in parentheses, may contain anything; the fields after it start with the third.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const ownS = fields.slice(11, 15).reduce((sum, ticks) => sum + Number(ticks), 0) / ticksPerS;
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
    return children
      .split(' ')
      .filter(Boolean)
      .reduce((sum, child) => sum + treeCpuS(child), ownS);
  } catch {
    return 0;
  }
}

/**
 * The second line of the shell's `times` is for its children: `0m1.230s 0m0.450s`, user and system.
 */
function parseTimes(text) {
  const parts = [...(text.split('\n')[1] ?? '').matchAll(/(\d+)m([\d.]+)s/g)];
  return parts.reduce(
    (sum, [, minutes, seconds]) => sum + Number(minutes) * 60 + Number(seconds),
    0,
  );
}

/** CPU seconds of the whole machine since it started, including the kernel's network work. */
export function machineCpuS() {
  const [, user, nice, system, , , hardirq, softirq] = readFileSync('/proc/stat', 'utf8')
    .split('\n')[0]
    .split(/\s+/)
    .map(Number);
  return (user + nice + system + hardirq + softirq) / ticksPerS;
}
