// p2mp exchange against BitTorrent: each of four peers brings a file to all others. Each peer's link has a rate up and a
// rate down. In one scene, a peer dies.
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { killCommands } from './commands.mjs';
import { programs } from './exchange-programs.mjs';
import { closeLabs, Lab } from './lab.mjs';
import { describeMaking } from './made.mjs';
import { median } from './processes.mjs';

const peerCount = 4;
const limitMs = 300_000;
const stalledS = 10;

/** Of each datagram of 1,400 bytes: headers of Ethernet, IP, UDP and the session; and the tag of each block. */
const wireShare = 1 + (14 + 20 + 8 + 16) / 1400 + 16 / 61_440;

const scenes = [
  { name: '200 Mbit/s both ways', sizeMb: 100, upMbit: 200, downMbit: 200 },
  { name: '50 Mbit/s up, 500 down', sizeMb: 100, upMbit: 50, downMbit: 500 },
  {
    name: '200 Mbit/s both ways, an owner killed after 60 %',
    ...{ sizeMb: 100, upMbit: 200, downMbit: 200, killedAtShare: 0.6 },
  },
  { name: '1 Gbit/s both ways', sizeMb: 500, upMbit: 1000, downMbit: 1000, runs: 1 },
];

/** The least times for the payload alone (docs/THEORY.md). */
function boundsS({ sizeMb, upMbit, downMbit }) {
  const [ownS, othersS] = [(8 * sizeMb) / upMbit, (8 * sizeMb * (peerCount - 1)) / downMbit];
  return { multicast: Math.max(ownS, othersS), unicast: Math.max((peerCount - 1) * ownS, othersS) };
}

export async function benchExchange({ runs = 3, sizeMb, only = Object.keys(programs), scene }) {
  console.log(JSON.stringify(describeMaking()));
  const chosen = scenes.filter((_, i) => scene === undefined || scene.includes(i + 1));
  for (const each of chosen) {
    const used = sizeMb === undefined ? each : { ...each, sizeMb };
    const bounds = boundsS(used);
    const bound = `bound ${bounds.multicast.toFixed(1)} s by multicast, ${bounds.unicast.toFixed(1)} s by unicast`;
    console.log(`${peerCount} peers x ${used.sizeMb} MB, ${used.name}: ${bound}`);
    const results = Object.fromEntries(only.map((id) => [id, []]));
    // The runs of the programs alternate, so that other work on the machine disturbs both alike.
    for (let run = 0; run < Math.min(runs, used.runs ?? runs); run++)
      for (const id of only) results[id].push(await exchangeOnce(programs[id], used));
    for (const id of only) console.log(`  ${id}: ${describe(results[id], bounds.multicast)}`);
  }
}

function describe(results, boundS) {
  const of = (field) => results.map((each) => each[field]);
  const list = (values) => values.map((value) => value.toFixed(2)).join(' ');
  const elapsedS = median(of('elapsedS'));
  const incomplete = of('status').filter((status) => status !== 'complete').length;
  return [
    `${elapsedS.toFixed(2)} s (${list(of('elapsedS'))}), ${(elapsedS / boundS).toFixed(3)} of the bound`,
    `${(elapsedS / boundS / wireShare).toFixed(3)} with the wire of p2mp`,
    `bytes on the wire from the peer that sends most: ${median(of('mostSent')).toFixed(3)} of its file (${list(of('mostSent'))})`,
    `CPU of all peers ${median(of('cpuS')).toFixed(1)} s`,
    ...(incomplete === 0 ? [] : [`${incomplete} of ${results.length} runs incomplete`]),
  ].join('; ');
}

async function exchangeOnce(program, { sizeMb, upMbit, downMbit, killedAtShare }) {
  const work = mkdtempSync(join(tmpdir(), 'p2mp-bench-exchange-'));
  const stop = () => {
    killCommands();
    closeLabs();
  };
  process.once('exit', stop);
  const lab = new Lab({ hostCount: 1 + peerCount });
  try {
    const hosts = Array.from({ length: peerCount }, (_, i) => i + 1);
    const files = hosts.map((host) => {
      lab.limitRate(host, upMbit);
      lab.limitDownRate(host, downMbit);
      const folder = join(work, `own${host}`);
      mkdirSync(folder);
      const file = join(folder, `of${host}.bin`);
      writeFileSync(file, randomBytes(sizeMb * 1e6));
      return file;
    });
    const running = await program.start(lab, { work, files, limitMs, stalledS });
    const receivedBytes = () => hosts.reduce((sum, host) => sum + lab.countDown(host), 0);
    let staying = hosts;
    if (killedAtShare !== undefined) {
      const wanted = killedAtShare * sizeMb * 1e6 * (peerCount - 1) * wireShare;
      while (lab.countDown(2) < wanted) await sleep(5);
      running.peers[0].kill('SIGKILL');
      staying = hosts.slice(1);
    }
    const of = staying.map((host) => running.peers[host - 1]);
    const { elapsedS, status } = await running.ended({ staying: of, receivedBytes });
    const cpuS = of.reduce((sum, peer) => sum + peer.cpuS(), 0);
    const mostSent = Math.max(...staying.map((host) => lab.countUp(host))) / (sizeMb * 1e6);
    const isComplete = status === 'complete' || killedAtShare !== undefined;
    for (const peer of isComplete ? staying : [])
      for (const owner of staying)
        if (peer !== owner) execFileSync('cmp', [files[owner - 1], running.copyOf(peer, owner)]);
    return { elapsedS, cpuS, mostSent, status };
  } finally {
    stop();
    process.off('exit', stop);
    rmSync(work, { recursive: true, force: true });
  }
}
