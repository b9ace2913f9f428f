// p2mp fetch from several servers against aria2c over HTTP from nginx on the same hosts. The servers' links have
// different rates, and something happens to a server or to the client.
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startCommand, tail } from './commands.mjs';
import { Lab } from './lab.mjs';
import { firstLieBlocks } from './lies.mjs';
import { median } from './processes.mjs';
import { withServedFile } from './served-file.mjs';
import { programs } from './source-programs.mjs';

const ratesMbit = [100, 60, 40];
const totalMbit = 200;
const readyMs = 20_000;
const limitMs = 120_000;
const blockSizeBytes = 61_440;

/** Of each datagram of 1,400 bytes: headers of Ethernet, IP, UDP and the session; and the tag of each block. */
const wireShare = 1 + (14 + 20 + 8 + 16) / 1400 + 16 / blockSizeBytes;

/** The time for so many megabytes at a rate. */
const seconds = (mb, mbit) => (8 * mb) / mbit;

/**
 * What happens once this share of the payload has reached the client's host, and how long the payload then takes at
 * best.
 */
const cases = {
  steady: { bestS: (mb) => seconds(mb, totalMbit) },
  'fastest killed at half': {
    atShare: 0.5,
    act: ({ servers }) => servers[0].kill('SIGKILL'),
    bestS: (mb) => seconds(mb / 2, totalMbit) + seconds(mb / 2, totalMbit - ratesMbit[0]),
  },
  'fastest throttled to 1 Mbit/s at 95 %': {
    atShare: 0.95,
    act: ({ lab }) => lab.changeRate(1, 1),
    bestS: (mb) => seconds(0.95 * mb, totalMbit) + seconds(0.05 * mb, totalMbit - ratesMbit[0] + 1),
  },
  'slowest lies once': {
    only: 'p2mp',
    liar: 3,
    // Nothing of it counts after its first lie.
    bestS: (mb) => {
      const lieS = seconds((firstLieBlocks * blockSizeBytes) / 1e6, ratesMbit[2]);
      const gotMb = (lieS * totalMbit) / 8;
      return gotMb >= mb
        ? seconds(mb, totalMbit)
        : lieS + seconds(mb - gotMb, totalMbit - ratesMbit[2]);
    },
  },
  'client killed at half, started again': { atShare: 0.5, isRestarted: true },
};

export async function benchSources({ runs = 3, sizeMb = 200, only = Object.keys(programs) }) {
  await withServedFile(sizeMb, async ({ folder, data }) => {
    console.log(
      `${sizeMb} MB from servers at ${ratesMbit.join(', ')} Mbit/s; best: the payload alone`,
    );
    console.log(`the wire of p2mp adds ${(100 * (wireShare - 1)).toFixed(1)} %`);
    for (const [name, scene] of Object.entries(cases)) {
      const ids = only.filter((id) => scene.only === undefined || scene.only === id);
      const results = Object.fromEntries(ids.map((id) => [id, []]));
      for (let run = 0; run < runs; run++) {
        for (const id of ids) {
          const result = await fetchOnce(programs[id], scene, { data, folder, sizeMb });
          results[id].push(result);
        }
      }
      for (const id of ids) console.log(`${name}: ${id} ${describe(scene, results[id], sizeMb)}`);
    }
  });
}

function describe(scene, results, sizeMb) {
  if (scene.isRestarted) {
    const all = results.map(({ againMb }) => againMb);
    return `fetched ${median(all).toFixed(2)} MB again (${list(all)})`;
  }
  const all = results.map(({ elapsedS }) => elapsedS);
  const [middleS, bestS] = [median(all), scene.bestS(sizeMb)];
  const ratios = [bestS, bestS * wireShare].map((each) => (middleS / each).toFixed(3));
  return `${middleS.toFixed(2)} s (${list(all)}); best ${bestS.toFixed(2)} s; ${ratios[0]} of the best, ${ratios[1]} with the wire of p2mp`;
}

function list(values) {
  return values.map((each) => each.toFixed(2)).join(' ');
}

async function fetchOnce(program, scene, { data, folder, sizeMb }) {
  const work = mkdtempSync(join(folder, 'run-'));
  const lab = new Lab({ hostCount: 1 + ratesMbit.length });
  const servers = [];
  // /proc shows a network's counters through a process that lives in it.
  const [ip, ...args] = lab.on(0);
  const resident = spawn(ip, [...args, 'sleep', 'infinity'], { stdio: 'ignore' });
  try {
    const hosts = ratesMbit.map((rate, i) => {
      lab.limitRate(i + 1, rate);
      return i + 1;
    });
    for (const host of hosts) {
      const isLiar = host === scene.liar;
      const { words, isReady } = program.server(lab, host, { data, work, isLiar });
      const server = startCommand(words);
      servers.push(server);
      await server.until(isReady, readyMs);
    }
    const receivedMb = () => program.payloadOf(readReceived(resident.pid)) / 1e6;
    const start = () => startCommand(program.client(lab, hosts, { work }), { limitMs });
    const client = start();
    let hasEnded = false;
    void client.ended.then(() => {
      hasEnded = true;
    });
    if (scene.atShare !== undefined) {
      while (receivedMb() < scene.atShare * sizeMb && !hasEnded) await sleep(1);
      scene.act?.({ lab, servers });
    }
    const outcome = scene.isRestarted
      ? await restart(client, start, { receivedMb, sizeMb })
      : { result: await client.ended };
    const { result, againMb } = outcome;
    if (result.code !== 0)
      throw new Error(`the fetch ended with code ${result.code}${tail(result)}`);
    execFileSync('cmp', [data, join(work, 'out', 'data')]);
    if (scene.liar !== undefined) checkReported(result, lab.address(scene.liar));
    return { elapsedS: result.elapsedMs / 1000, againMb };
  } finally {
    await Promise.all(servers.map(({ stop }) => stop()));
    resident.kill('SIGKILL');
    lab.close();
    rmSync(work, { recursive: true, force: true });
  }
}

/** Kills a client and starts another. @returns its result, and how much the client's host received again */
async function restart(client, start, { receivedMb, sizeMb }) {
  client.kill('SIGKILL');
  const firstMb = receivedMb();
  await client.ended;
  // What is on its way to the dead client is not fetched again.
  let beforeMb;
  do {
    beforeMb = receivedMb();
    await sleep(200);
  } while (receivedMb() > beforeMb);
  const result = await start().ended;
  return { result, againMb: firstMb + receivedMb() - beforeMb - sizeMb };
}

function checkReported({ stdout }, liar) {
  const left = stdout.split('\n').filter((line) => line.includes('"left"'));
  const isReported = left.some((line) => line.includes(liar) && line.includes('wrong content'));
  if (!isReported) throw new Error(`the lie is not reported: ${left.join(' ')}`);
}

/** What the interface of a process's network has received. */
function readReceived(pid) {
  const line = readFileSync(`/proc/${pid}/net/dev`, 'utf8')
    .split('\n')
    .find((text) => text.trimStart().startsWith('eth0:'));
  const [bytes, packets] = (line?.split(':')[1] ?? '0 0').trim().split(/\s+/).map(Number);
  return { bytes, packets };
}
