// Starts the programs that a benchmark compares, and reads what they print.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

/** Starts a Node program. @returns the process, its first line, and all of its lines at the end */
export function start(script, args) {
  const child = spawn(process.execPath, [script, ...args.map(String)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines = [];
  const reader = createInterface({ input: child.stdout });
  const first = new Promise((resolve) => reader.once('line', resolve));
  reader.on('line', (line) => lines.push(line));
  const ended = new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, lines }));
  });
  return { child, first, ended };
}

/** Runs a Node program to its end. @returns its lines; rejects on another exit code than 0 */
export async function run(script, args) {
  const { code, lines } = await start(script, args).ended;
  if (code !== 0) throw new Error(`${script} ${args.join(' ')}: exit code ${code}`);
  return lines;
}

export function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
