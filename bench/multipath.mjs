// p2mp send by two paths against one of them, and kernel MPTCP beside it, through routers of different rates; and what
// happens when a path is cut.
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { aggregationBenefit } from '../dist/path/aggregation-benefit.js';
import { killCommands } from './commands.mjs';
import { describeMaking } from './made.mjs';
import { closePathLabs, PathLab } from './path-lab.mjs';
import { sendByP2mp, sendByTcp } from './path-programs.mjs';
import { median } from './processes.mjs';

/** Rates of the two paths in Mbit/s. */
const grid = [
  [100, 100],
  [100, 50],
  [100, 20],
  [100, 10],
  [100, 5],
  [50, 50],
  [20, 20],
];

/** How long a transfer takes at best. */
const aimS = 4;
const cutMb = 100;
/** Long enough for the start not to matter. */
const longMb = 1000;

/** Headers of Ethernet, IP, UDP and the session for each datagram of 1,400 bytes, and the tag of each block. */
const wireShare = 1 + (14 + 20 + 8 + 16) / 1400 + 16 / 61_440;

export async function benchMultipath({
  runs = 3,
  only = ['p2mp', 'mptcp'],
  scene = ['grid', 'long', 'cut'],
}) {
  const stop = () => {
    killCommands();
    closePathLabs();
  };
  process.once('exit', stop);
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(1));
  console.log(JSON.stringify(describeMaking()));
  const lab = new PathLab();
  try {
    if (only.includes('mptcp')) lab.allowMptcp();
    if (scene.includes('grid')) await measureGrid(lab, { runs, only });
    if (scene.includes('long')) await measureLong(lab, { runs, only });
    if (scene.includes('cut')) await measureCuts(lab, { runs });
  } finally {
    lab.close();
  }
}

async function measureGrid(lab, { runs, only }) {
  console.log(
    `Mbit/s of payload; the wire of p2mp adds ${(100 * (wireShare - 1)).toFixed(1)} %; medians of ${runs} runs`,
  );
  const benefits = [];
  for (const rates of grid) {
    for (const [path, rate] of rates.entries()) lab.setRate(path, rate);
    await withFiles(rates, async (places) => {
      const measured = {};
      for (let run = 0; run < runs; run++) {
        for (const [name, send] of Object.entries(waysOf(lab, places, only))) {
          measured[name] ??= [];
          measured[name].push((await send()).mbit);
        }
      }
      const mid = Object.fromEntries(Object.entries(measured).map(([k, v]) => [k, median(v)]));
      console.log(`${rates.join(' + ')} Mbit/s, ${places.both.sizeMb} MB by both`);
      for (const kind of only) {
        const [first, second, both] = ['first', 'second', 'both'].map(
          (how) => mid[`${kind} ${how}`],
        );
        const best = Math.max(first, second);
        const benefit = aggregationBenefit(both, [first, second]);
        if (kind === 'p2mp') benefits.push(benefit);
        console.log(
          `  ${kind}: ${first.toFixed(1)} and ${second.toFixed(1)} alone, ${both.toFixed(1)} by both (${list(measured[`${kind} both`])}); ` +
            `${(both / best).toFixed(2)} of the best alone, benefit ${benefit.toFixed(2)}`,
        );
      }
    });
  }
  if (benefits.length > 0) console.log(`p2mp: median benefit ${median(benefits).toFixed(2)}`);
}

/** How near two paths of 100 Mbit/s come to their sum. */
async function measureLong(lab, { runs, only }) {
  for (const path of [0, 1]) lab.setRate(path, 100);
  await withFile(longMb, async (place) => {
    const ways = waysOf(lab, { first: place, second: place, both: place }, only);
    for (const kind of only) {
      const results = [];
      for (let run = 0; run < runs; run++) results.push((await ways[`${kind} both`]()).mbit);
      console.log(`100 + 100 Mbit/s, ${longMb} MB: ${kind} ${list(results)} Mbit/s`);
    }
  });
}

function waysOf(lab, { first, second, both }, only) {
  const tcp = (path, isMptcp, { sizeMb }) => sendByTcp(lab, path, { isMptcp, sizeMb });
  return {
    ...(only.includes('p2mp') && {
      'p2mp first': () => sendByP2mp(lab, [0], first),
      'p2mp second': () => sendByP2mp(lab, [1], second),
      'p2mp both': () => sendByP2mp(lab, [0, 1], both),
    }),
    ...(only.includes('mptcp') && {
      'mptcp first': () => tcp(0, false, first),
      'mptcp second': () => tcp(1, false, second),
      'mptcp both': () => tcp(0, true, both),
    }),
  };
}

/** Cuts each path in turn at half of the content, also the one of the handshake, and measures how long nothing arrives. */
async function measureCuts(lab, { runs }) {
  for (const path of [0, 1]) lab.setRate(path, 100);
  const sizeMb = cutMb;
  // /proc shows a network's counters through a process that lives in it.
  const [ip, ...args] = lab.onReceiver();
  const resident = spawn(ip, [...args, 'sleep', 'infinity'], { stdio: 'ignore' });
  const { pid } = resident;
  await withFile(sizeMb, async (place) => {
    for (const cut of [0, 1]) {
      const stalls = [];
      const times = [];
      for (let run = 0; run < runs; run++) {
        const stall = { longestMs: 0 };
        const act = ({ sender }) => cutMidway(lab, cut, { sizeMb, sender, pid, stall });
        const { seconds } = await sendByP2mp(lab, [0, 1], { ...place, act });
        lab.restore(cut);
        stalls.push(stall.longestMs);
        times.push(seconds);
      }
      const bestS = ((8 * sizeMb) / 2 / 200 + (8 * sizeMb) / 2 / 100) * wireShare;
      console.log(
        `100 + 100 Mbit/s, ${sizeMb} MB, path ${cut} cut at half: complete in ${median(times).toFixed(2)} s (${list(times)}), ` +
          `at best ${bestS.toFixed(2)} s; longest time without any arrival ${median(stalls).toFixed(0)} ms (${list(stalls)})`,
      );
    }
  });
  resident.kill('SIGKILL');
}

async function cutMidway(lab, cut, { sizeMb, sender, pid, stall }) {
  let hasEnded = false;
  void sender.ended.then(() => {
    hasEnded = true;
  });
  const startBytes = readReceived(pid);
  let cutAtMs;
  let bytes = startBytes;
  let arrivedAtMs = performance.now();
  while (!hasEnded) {
    const now = readReceived(pid);
    const nowMs = performance.now();
    // Reports of the network itself, such as ARP, are no arrivals.
    if (now >= bytes + 1000) {
      if (cutAtMs !== undefined) stall.longestMs = Math.max(stall.longestMs, nowMs - arrivedAtMs);
      bytes = now;
      arrivedAtMs = nowMs;
    }
    const payloadMb = (bytes - startBytes) / wireShare / 1e6;
    if (cutAtMs === undefined && payloadMb >= sizeMb / 2) {
      lab.cut(cut);
      cutAtMs = performance.now();
      arrivedAtMs = cutAtMs;
    }
    // After the last content only small messages come.
    if (payloadMb >= 0.99 * sizeMb) break;
    await sleep(1);
  }
}

function readReceived(pid) {
  try {
    return readFileSync(`/proc/${pid}/net/dev`, 'utf8')
      .split('\n')
      .filter((line) => line.trimStart().startsWith('eth'))
      .reduce((sum, line) => sum + Number(line.split(':')[1].trim().split(/\s+/)[0]), 0);
  } catch {
    return 0;
  }
}

/** Files that take equally long by the first path, the second, and both. */
function withFiles([first, second], measure) {
  const sizeOf = (rate) => Math.max(2, Math.round((rate * aimS) / 8));
  return withFile(sizeOf(first), (a) =>
    withFile(sizeOf(second), (b) =>
      withFile(sizeOf(first + second), (both) => measure({ first: a, second: b, both })),
    ),
  );
}

async function withFile(sizeMb, measure) {
  const work = mkdtempSync(join(tmpdir(), 'p2mp-bench-paths-'));
  try {
    const data = join(work, 'data');
    writeFileSync(data, randomBytes(sizeMb * 1e6));
    await measure({ data, sizeMb, work });
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function list(values) {
  return values.map((each) => each.toFixed(1)).join(' ');
}
