/** Commands of p2mp as processes that can be killed, for the tests of faults. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

const p2mp = new URL('../../dist/cli/p2mp.js', import.meta.url).pathname;
const running = new Set();

/** No program takes as long to start, however slow the machine is. */
const startLimitMs = 120_000;

/** Starts commands with --json: their events as they arrive, and their ends. */
export const startIn = (home) => (args) => {
  const child = spawn(process.execPath, [p2mp, ...args, '--json'], {
    env: { ...process.env, P2MP_HOME: home },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.add(child);
  const events = [];
  const waiting = [];
  let errors = '';
  child.stderr.on('data', (text) => {
    errors += text;
  });
  createInterface({ input: child.stdout }).on('line', (line) => {
    const event = JSON.parse(line);
    events.push(event);
    for (const { isWanted, resolve } of waiting) if (isWanted(event)) resolve(event);
  });
  const ended = new Promise((resolve) => {
    child.once('close', (code) => {
      running.delete(child);
      resolve(code);
    });
  });
  const event = (isWanted) =>
    Promise.race([
      new Promise((resolve) => {
        const found = events.find(isWanted);
        if (found !== undefined) resolve(found);
        else waiting.push({ isWanted, resolve });
      }),
      ended.then(() => undefined),
    ]);
  return { child, events, ended, event, errors: () => errors };
};

/**
 * Waits for what a program does.
 * @throws Error that names what hangs, with the program's last event, if it takes longer than this
 */
export async function within(limitMs, what, { events, errors }, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => {
      const last = JSON.stringify(events.at(-1)) ?? 'none';
      reject(new Error(`${what}: not within ${limitMs / 1000} s; last event: ${last} ${errors()}`));
    }, limitMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

export function killAll() {
  for (const child of running) child.kill('SIGKILL');
}

/** The port on which a program has begun to listen. */
export async function portOf(program, what) {
  const listening = await within(
    startLimitMs,
    `${what} does not listen`,
    program,
    program.event(({ event }) => event === 'listening'),
  );
  if (listening === undefined) throw new Error(`${what}: ${program.errors()}`);
  return Number(/:(\d+)$/.exec(listening.addresses[0])[1]);
}

export const sha256 = (path) => createHash('sha256').update(readFileSync(path)).digest('hex');
export const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
