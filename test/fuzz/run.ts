/**
 * The long run: hostile inputs at all targets, or at one.
 *
 *   npm run fuzz -- [--count inputs] [--seed number] [--target name] [--tape hexadecimal]
 *
 * Exits with 1 where anything failed, or memory has grown.
 */
import { setImmediate } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { type Failure, Fuzzing, kindOf, replayCommand } from './fuzzing.js';
import { fromHex, toHex } from './tape.js';
import { runInput, type Target, targetOf, targets } from './targets.js';

const { values } = parseArgs({
  options: {
    count: { type: 'string', default: '1000000' },
    seed: { type: 'string', default: '1' },
    target: { type: 'string' },
    tape: { type: 'string' },
  },
});

/** Memory that a process may retain between warm-up and end: the engine still optimizes. */
const mostGrowthBytes = 8 * 1024 * 1024;

/** By then, every function has run, and one-time initialization is done. */
const warmUpShare = 0.1;

const progressMs = 5000;

/** Longer than any input takes on a busy host. */
const hangMs = 60_000;

const mostFailures = 20;

function chosenTargets(): readonly Target[] {
  if (values.target === undefined) return targets;
  const target = targetOf(values.target);
  if (target !== undefined) return [target];
  console.error(
    `no target ${values.target}; there are ${targets.map(({ name }) => name).join(', ')}`,
  );
  process.exit(2);
}

/** An input that never ends blocks this thread, so another thread reports it. */
function watchHangs(chosen: readonly Target[]): { note(target: number, number: number): void } {
  const shared = new Float64Array(new SharedArrayBuffer(16));
  const code = `
    const { workerData: { shared, names, hangMs } } = require('node:worker_threads');
    let last = '', since = Date.now();
    setInterval(() => {
      const now = shared[0] + ' ' + shared[1];
      if (now !== last) [last, since] = [now, Date.now()];
      if (Date.now() - since < hangMs) return;
      require('node:fs').writeSync(2, 'HANGS: target ' + names[shared[0]] + ', input ' + shared[1] + '\\n');
      process.kill(process.pid, 'SIGKILL');
    }, 1000);`;
  const names = chosen.map(({ name }) => name);
  const worker = new Worker(code, {
    eval: true,
    execArgv: [],
    workerData: { shared, names, hangMs },
  });
  worker.unref();
  return {
    note(target, number) {
      shared[0] = target;
      shared[1] = number;
    },
  };
}

/** The size of the heap after garbage collection. */
async function heapBytes(): Promise<number> {
  for (let i = 0; i < 3; i++) {
    globalThis.gc?.();
    // The memory of arrays is released after the collection.
    await setImmediate();
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

const mib = (bytes: number) => `${(bytes / 1024 / 1024).toFixed(1)} MiB`;

function report(failure: Failure): void {
  const { target, number, error, tape } = failure;
  console.log(`FAILED: ${target}, input ${number}: ${error.message}`);
  console.log((error.stack ?? '').split('\n').slice(1, 8).join('\n'));
  console.log(`  tape:   ${toHex(tape)}`);
  console.log(`  replay: ${replayCommand(failure)}`);
}

async function run(count: number, seed: number): Promise<boolean> {
  const chosen = chosenTargets();
  const watchdog = watchHangs(chosen);
  const all = chosen.map((target) => new Fuzzing(target, seed));
  const kinds = new Set<string>();
  const begunAtMs = performance.now();
  const cpu = process.cpuUsage();
  let total = 0;
  let heapAtStart: number | undefined;
  let reportedAtMs = begunAtMs;
  console.log(`${count} inputs, seed ${seed}: ${chosen.map(({ name }) => name).join(', ')}`);
  while (total < count && kinds.size < mostFailures) {
    // The target that is furthest behind its share is next.
    let place = 0;
    for (let i = 1; i < all.length; i++) if (progressOf(all, i) < progressOf(all, place)) place = i;
    const fuzzing = all[place] as Fuzzing;
    watchdog.note(place, fuzzing.number);
    const before = fuzzing.datagrams;
    const failure = await fuzzing.next();
    total += fuzzing.datagrams - before;
    if (failure !== undefined) {
      total++;
      fuzzing.datagrams++;
      const kind = `${failure.target} ${kindOf(failure.error)}`;
      if (!kinds.has(kind)) report(failure);
      kinds.add(kind);
    }
    if (heapAtStart === undefined && total >= warmUpShare * count) heapAtStart = await heapBytes();
    const nowMs = performance.now();
    if (nowMs - reportedAtMs < progressMs) continue;
    reportedAtMs = nowMs;
    const perSec = Math.round((total * 1000) / (nowMs - begunAtMs));
    console.log(`${total} inputs, ${perSec} a second, heap ${mib(process.memoryUsage().heapUsed)}`);
  }
  const heapAtEnd = await heapBytes();
  const { user, system } = process.cpuUsage(cpu);
  const cpuSec = (user + system) / 1e6;
  const perCpuSec = Math.round(total / cpuSec);
  for (const { target, datagrams, number } of all) {
    console.log(`  ${target.name}: ${datagrams} inputs on ${number} tapes`);
  }
  console.log(`${total} inputs in ${cpuSec.toFixed(1)} s of CPU: ${perCpuSec} a second`);
  const growth = heapAtEnd - (heapAtStart ?? heapAtEnd);
  const hasGrown = growth > mostGrowthBytes;
  const start = heapAtStart === undefined ? 'not looked at' : mib(heapAtStart);
  const verdict = hasGrown ? 'HAS GROWN' : 'has not grown';
  const unlocked = globalThis.gc === undefined ? ' (not collected: run with --expose-gc)' : '';
  console.log(
    `heap: ${start} after the warm-up, ${mib(heapAtEnd)} at the end: ${verdict}${unlocked}`,
  );
  console.log(`${kinds.size} kinds of failures`);
  return kinds.size === 0 && !hasGrown;
}

function progressOf(all: readonly Fuzzing[], place: number): number {
  const { datagrams, target } = all[place] as Fuzzing;
  return datagrams / target.share;
}

async function replay(target: Target, hex: string): Promise<boolean> {
  try {
    console.log(await runInput(target, fromHex(hex)));
    return true;
  } catch (error) {
    console.log(error);
    return false;
  }
}

const isGood =
  values.tape === undefined
    ? await run(Number(values.count), Number(values.seed))
    : await replay(chosenTargets()[0] as Target, values.tape);
process.exit(isGood ? 0 : 1);
