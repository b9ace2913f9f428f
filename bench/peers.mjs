// Compares sessions of p2mp with its peers in the same networks. Contenders take turns within each
// round, so that other load on the machine affects all alike.
import { randomFillSync } from 'node:crypto';
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { killCommands } from './commands.mjs';
import { contenders } from './contenders.mjs';
import { closeLabs, Lab } from './lab.mjs';
import { describeMaking } from './made.mjs';
import { defaultOut, render } from './render.mjs';
import { createScenes, describeScene } from './scenes.mjs';
import { flowBytes, measureStart } from './start-time.mjs';
import { disturbingShare } from './summary.mjs';
import { findMissing, findObstacle, labNeeds } from './tools.mjs';
import { runTransfer } from './transfer.mjs';

/** A folder in memory, so that no disk is measured. */
const memoryFolder = '/dev/shm';
const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'];
const startSizes = [1e6, 2e9];
const startReceiverCount = 3;

/** Wrong arguments on the command line: the message is all that a user needs. */
export class WrongArguments extends Error {}

export async function benchPeers({
  runs = 5,
  sizeMb = 200,
  // TCP to 8 receivers at 100 Mbit/s takes 136 s.
  limitS = 180,
  out = defaultOut,
  only,
  skipStart = false,
  /** Continues the results in the folder: scenes found there are not run again. */
  resume = false,
  ...lists
}) {
  const obstacle = findObstacle() ?? (await findMissing(labNeeds))[0];
  if (obstacle !== undefined) {
    console.log(`SKIP peers: ${obstacle}`);
    return;
  }
  const { present, skipped } = await select(only);
  const bytes = sizeMb * 1e6;
  const folder = mkdtempSync(join(memoryFolder, 'p2mp-bench-'));
  const cleanUp = () => {
    killCommands();
    closeLabs();
    rmSync(folder, { recursive: true, force: true });
  };
  const interrupt = () => {
    cleanUp();
    process.exit(130);
  };
  for (const signal of signals) process.on(signal, interrupt);
  try {
    const bench = {
      ...{ folder, present, runs, limitMs: limitS * 1000, keys: join(folder, 'keys') },
      file: join(folder, 'object.bin'),
      bytes,
      results: resume
        ? readEarlier(out, present, bytes)
        : {
            made: [],
            bytes,
            limitS,
            contenders: present.map(({ id, name, about }) => ({ id, name, about })),
            skipped,
            flowBytes,
            starts: [],
            losses: [],
            runs: [],
          },
      save: (results) => {
        mkdirSync(out, { recursive: true });
        return writeFile(join(out, 'results.json'), `${JSON.stringify(results, null, 1)}\n`);
      },
    };
    bench.results.made.push(describeMaking());
    mkdirSync(bench.keys);
    writeRandom(bench.file, bytes);
    const scenes = createScenes(lists, runs).filter((scene) => !isThere(bench.results, scene));
    for (const scene of scenes) await runScene(bench, scene);
    if (!skipStart && bench.results.starts.length === 0) await runStarts(bench);
  } finally {
    for (const signal of signals) process.off(signal, interrupt);
    cleanUp();
  }
  await render(out);
}

function readEarlier(out, present, bytes) {
  const path = join(out, 'results.json');
  if (!existsSync(path)) throw new WrongArguments(`${path}: not there; leave out --resume`);
  const results = JSON.parse(readFileSync(path, 'utf8'));
  const idsOf = (contenders) => contenders.map(({ id }) => id).join(', ');
  if (results.bytes === bytes && idsOf(results.contenders) === idsOf(present)) return results;
  throw new WrongArguments(
    `${path}: of ${results.bytes} bytes by ${idsOf(results.contenders)}; go on with these`,
  );
}

/** A scene is stored once it is complete. */
function isThere({ runs }, { runs: _, ...scene }) {
  return runs.some((run) => Object.entries(scene).every(([field, value]) => run[field] === value));
}

async function select(only) {
  const present = [];
  const skipped = [];
  for (const contender of contenders) {
    if (only !== undefined && !only.includes(contender.id)) continue;
    const [why] = await findMissing(contender.needs);
    if (why === undefined) present.push(contender);
    else skipped.push({ contender: contender.name, why });
  }
  for (const { contender, why } of skipped) console.log(`SKIP ${contender}: ${why}`);
  return { present, skipped };
}

async function runScene(bench, scene) {
  const { folder, present, limitMs, file, bytes, keys, results } = bench;
  const { receiverCount, runs, ...network } = scene;
  console.log(`\n${describeScene(scene)}`);
  const fit = present.filter((contender) => {
    const why = contender.unfit?.(scene);
    if (why !== undefined) console.log(`  ${contender.name} takes no part: ${why}`);
    return why === undefined;
  });
  const isOut = new Set();
  const lab = new Lab({ hostCount: receiverCount + 1, ...network });
  try {
    for (let round = 1; round <= runs; round++) {
      for (const contender of fit) {
        // A contender that hit the time limit once would do so again, and take as long each time.
        const { runShare = 1 } = contender;
        if (isOut.has(contender) || round > Math.ceil(runs * runShare)) continue;
        const context = { lab, file, bytes, limitMs, keys, folder: join(folder, 'run') };
        const { isTimedOut, version, ...run } = await runTransfer(contender, context);
        if (isTimedOut) isOut.add(contender);
        results.contenders.find(({ id }) => id === contender.id).version ??= version;
        results.runs.push({ contender: contender.id, receiverCount, ...network, round, ...run });
        console.log(`  ${round} ${contender.name}: ${describeRun(run, bytes)}`);
      }
    }
    const loss = lab.countLoss();
    if (loss !== undefined) results.losses.push({ receiverCount, ...network, ...loss });
  } finally {
    lab.close();
  }
  await bench.save(results);
}

function describeRun({ failure, elapsedS, otherShare }, bytes) {
  if (failure !== undefined) return `FAILED: ${failure}`;
  const busy = otherShare > disturbingShare ? ' (the machine was busy with other work)' : '';
  return `${elapsedS.toFixed(2)} s, ${(bytes / 1e6 / elapsedS).toFixed(1)} MB/s${busy}`;
}

async function runStarts({ folder, present, runs, limitMs, keys, results, save }) {
  console.log(`\nTime to the first data, ${startReceiverCount} receivers`);
  // Only contenders that send a file have a start-up phase worth measuring.
  const senders = present.filter(({ hasFile }) => hasFile);
  const lab = new Lab({ hostCount: startReceiverCount + 1 });
  try {
    for (const bytes of startSizes) {
      const file = join(folder, 'sparse.bin');
      await writeFile(file, '');
      await truncate(file, bytes);
      for (let round = 1; round <= runs; round++) {
        for (const contender of senders) {
          const context = { lab, file, bytes, limitMs, keys, folder: join(folder, 'run') };
          const start = await measureStart(contender, context);
          const entry = { contender: contender.id, receiverCount: startReceiverCount, bytes };
          results.starts.push({ ...entry, round, ...start });
          const result = start.failure ?? `${start.startS.toFixed(3)} s`;
          console.log(`  ${round} ${contender.name}, ${bytes / 1e6} MB: ${result}`);
        }
      }
    }
  } finally {
    lab.close();
  }
  await save(results);
}

/** Incompressible bytes. */
function writeRandom(path, bytes) {
  const part = Buffer.alloc(1e6);
  const fd = openSync(path, 'w');
  for (let left = bytes; left > 0; left -= part.length) {
    writeSync(fd, randomFillSync(part), 0, Math.min(left, part.length));
  }
  closeSync(fd);
}
