// What a crowd of p2mp fetch costs the link of one server: the bytes that leave its interface, with all headers.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startCommand, tail } from './commands.mjs';
import { Lab } from './lab.mjs';
import { median } from './processes.mjs';
import { withServedFile } from './served-file.mjs';

const program = fileURLToPath(new URL('../dist/cli/p2mp.js', import.meta.url));
const clientProgram = fileURLToPath(new URL('crowd-client.mjs', import.meta.url));
const rateMbit = 1000;
const readyMs = 20_000;
const limitMs = 180_000;

/** Time for all clients to start up. */
const startUpMs = 4000;

/** The time from the first client's start to the last one's. */
const spreadsMs = [0, 300];

export async function benchCrowd({ runs = 3, sizeMb = 200, clientCounts = [8], losses = [0] }) {
  await withServedFile(sizeMb, async ({ folder, data }) => {
    console.log(`${sizeMb} MB from one server at ${rateMbit} Mbit/s; what its link carries`);
    for (const clientCount of clientCounts) {
      for (const lossPercent of losses) {
        for (const spreadMs of spreadsMs) {
          for (const multicast of ['auto', 'never']) {
            const scene = { clientCount, lossPercent, spreadMs, multicast };
            const results = [];
            for (let run = 0; run < runs; run++)
              results.push(await fetchOnce(scene, { data, folder, sizeMb }));
            print(scene, results);
          }
        }
      }
    }
  });
}

function print({ clientCount, lossPercent, spreadMs, multicast }, results) {
  const name = `${clientCount} clients within ${spreadMs} ms, loss ${lossPercent} %, multicast ${multicast}`;
  const times = (values) => values.map((value) => value.toFixed(3)).join(' ');
  const sent = results.map((each) => each.sentTimes);
  const repaired = results.map((each) => each.repairedTimes);
  const seconds = results.map((each) => each.lastS);
  console.log(
    `${name}: sent ${median(sent).toFixed(3)} of the object (${times(sent)}), ` +
      `repairs ${median(repaired).toFixed(3)}; the last client took ${median(seconds).toFixed(2)} s`,
  );
}

async function fetchOnce(
  { clientCount, lossPercent, spreadMs, multicast },
  { data, folder, sizeMb },
) {
  const work = mkdtempSync(join(folder, 'run-'));
  // Loss must meet single datagrams.
  const wire = lossPercent > 0 ? 'datagrams' : 'batches';
  const lab = new Lab({ hostCount: 1 + clientCount, rateMbit, lossPercent, wire });
  let server;
  try {
    server = startCommand([
      ...[...lab.on(0), process.execPath, program, 'serve', data, '--open', '--json'],
      ...['--key', join(work, 'key'), '--index', join(work, 'index'), '--multicast', multicast],
    ]);
    await server.until(({ stdout }) => stdout.includes('"indexed"'), readyMs);
    const startAt = Date.now() + startUpMs;
    const clients = Array.from({ length: clientCount }, (_, i) => {
      const at = startAt + (spreadMs * i) / Math.max(1, clientCount - 1);
      const own = ['data', join(work, `out${i}`)];
      const words = [process.execPath, clientProgram, at, lab.address(0), ...own];
      return startCommand([...lab.on(1 + i), ...words], { limitMs });
    });
    const before = sentBytes(lab);
    const results = await Promise.all(clients.map(({ ended }) => ended));
    const after = sentBytes(lab);
    let lastS = 0;
    for (const [i, result] of results.entries()) {
      if (result.code !== 0) throw new Error(`a client ended with ${result.code}${tail(result)}`);
      execFileSync('cmp', [data, join(work, `out${i}`, 'data')]);
      lastS = Math.max(lastS, JSON.parse(result.stdout).elapsedMs / 1000);
    }
    const ends = server.texts.stdout
      .split('\n')
      .filter((line) => line.includes('"event":"client-result"'));
    const repairs = Math.max(0, ...ends.map((line) => JSON.parse(line).repairs ?? 0));
    return {
      sentTimes: (after - before) / (sizeMb * 1e6),
      repairedTimes: (repairs * 1400) / (sizeMb * 1e6),
      lastS,
    };
  } finally {
    await server?.stop();
    lab.close();
    rmSync(work, { recursive: true, force: true });
  }
}

/** Bytes that have left the server's interface, with the headers of Ethernet. */
function sentBytes(lab) {
  const [command, ...words] = lab.on(0);
  const file = '/sys/class/net/eth0/statistics/tx_bytes';
  return Number(execFileSync(command, [...words, 'cat', file], { encoding: 'utf8' }));
}
