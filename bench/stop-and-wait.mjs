// Compares P2MP-FTP over loopback with the cost of bare dgram, side by side in one run, and
// measures the sender's memory by file size. Figures of different runs or machines are not
// comparable; ratios are.
import { randomBytes } from 'node:crypto';
import { mkdtemp, open, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { median, run, start } from './processes.mjs';

const mssBytes = 500;

const path = (name) => fileURLToPath(new URL(name, import.meta.url));
const client = path('../dist/cli/p2mpclient.js');
const server = path('../dist/cli/p2mpserver.js');

/** @param skipMemory omits the memory table, whose last line takes a minute */
export async function benchStopAndWait({ runs = 7, skipMemory = false }) {
  const folder = await mkdtemp(join(tmpdir(), 'p2mp bench '));
  try {
    await speed(folder, runs);
    if (!skipMemory) await memory(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function speed(folder, runs) {
  console.log(
    `Loopback, MSS ${mssBytes}, timeout auto; medians of ${runs} runs, bare dgram and p2mp in turn; ` +
      'us = microseconds per segment\n',
  );
  console.log('| N | p | MiB | bare us | p2mp us | ratio | bare s | p2mp s | timeouts |');
  console.log('|---|---|---|---|---|---|---|---|---|');
  for (const [receiverCount, p, mebibytes] of [
    [1, 0, 8],
    [3, 0, 8],
    [5, 0, 8],
    [1, 0, 1],
    [3, 0, 1],
    [3, 0.05, 1],
  ]) {
    await compare(folder, runs, receiverCount, p, mebibytes);
  }
}

async function compare(folder, runs, receiverCount, p, mebibytes) {
  const file = join(folder, 'file.bin');
  const content = randomBytes(mebibytes * 1024 * 1024);
  await writeFile(file, content);
  const segmentCount = Math.ceil(content.length / mssBytes);
  const bare = [];
  const ours = [];
  const timeouts = [];
  for (let i = 0; i < runs; i++) {
    bare.push(await runBare(receiverCount, segmentCount));
    const result = await runTransfer(folder, file, content, receiverCount, p, i);
    ours.push(result.seconds);
    timeouts.push(result.timeouts);
  }
  const us = (seconds) => ((seconds / segmentCount) * 1e6).toFixed(1);
  const [b, o] = [median(bare), median(ours)];
  console.log(
    `| ${receiverCount} | ${p} | ${mebibytes} | ${us(b)} | ${us(o)} | ${(o / b).toFixed(2)} ` +
      `| ${b.toFixed(3)} | ${o.toFixed(3)} | ${median(timeouts)} |`,
  );
}

async function runBare(receiverCount, segmentCount) {
  const echoes = Array.from({ length: receiverCount }, () => start(path('bare-echo.mjs'), []));
  try {
    const ports = await Promise.all(echoes.map((echo) => echo.first));
    const [seconds] = await run(path('bare-ping.mjs'), [segmentCount, mssBytes + 8, ...ports]);
    return Number(seconds);
  } finally {
    for (const { child } of echoes) child.kill();
  }
}

async function runTransfer(folder, file, content, receiverCount, p, seed) {
  const outputs = Array.from({ length: receiverCount }, (_, i) => join(folder, `copy ${i}`));
  const servers = outputs.map((output, i) =>
    start(server, [
      0,
      output,
      p,
      '--bind',
      '127.0.0.1',
      '--once',
      '--json',
      '--seed',
      `${seed}/${i}`,
    ]),
  );
  const listening = await Promise.all(servers.map(({ first }) => first));
  const names = listening.map((line) => JSON.parse(line).addresses[0]);
  const lines = await run(client, [...names, 7735, file, mssBytes, '--json']);
  await Promise.all(servers.map(({ ended }) => ended));
  for (const output of outputs) {
    if (!content.equals(await readFile(output))) throw new Error(`${output} differs from the file`);
  }
  return JSON.parse(lines.at(-1));
}

/** Peak memory of the sending process, for sparse files. */
async function memory(folder) {
  const mss = 65_000;
  console.log(`\nPeak memory of the sender, N = 1, MSS ${mss}, p = 0, sparse file\n`);
  console.log('| file | seconds | peak RSS |');
  console.log('|---|---|---|');
  for (const mebibytes of [1, 64, 1024, 4096]) {
    const file = join(folder, 'sparse.bin');
    await (await open(file, 'w')).close();
    await truncate(file, mebibytes * 1024 * 1024);
    const sink = start(path('bare-ack.mjs'), []);
    const port = await sink.first;
    const [seconds, peakKilobytes] = await run(path('peak-memory.mjs'), [port, file, mss]);
    sink.child.kill();
    const peak = (Number(peakKilobytes) / 1024).toFixed(0);
    console.log(`| ${mebibytes} MiB | ${Number(seconds).toFixed(1)} | ${peak} MiB |`);
  }
}
