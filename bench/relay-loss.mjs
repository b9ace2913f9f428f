// Loss behind a relay that sends on: does a repair cross the link before it? Eight receivers, 5 % of the datagrams to each
// are lost. UFTP with its proxies beside it. What the origin's host sends is counted at its interface; p2mp says itself
// how many segments it sent again.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startCommand, tail } from './commands.mjs';
import { listensOn } from './contenders/programs.mjs';
import { Lab } from './lab.mjs';
import { median } from './processes.mjs';
import { readCounters, settle } from './relay.mjs';
import { withServedFile } from './served-file.mjs';
import { findMissing } from './tools.mjs';

const receiverCount = 8;
const lossPercents = [0, 5];
const rateMbit = 100;
/** UFTP sends at a fixed rate. At higher rates its proxies lose datagrams, even where the network loses none. */
const uftpRateKbit = 50_000;
const uftpBufferBytes = 4 * 1024 * 1024;
const readyMs = 30_000;
const limitMs = 300_000;

const p2mp = fileURLToPath(new URL('../dist/cli/p2mp.js', import.meta.url));
const uftpPort = 1044;

/** The origin, the relay, the receivers; and for UFTP the proxy at the origin's site. */
const [originHost, relayHost, firstReceiver] = [0, 1, 2];
const receivers = Array.from({ length: receiverCount }, (_, i) => firstReceiver + i);
const proxyHost = firstReceiver + receiverCount;

const programs = {
  p2mp: {
    needs: [],
    residents: (lab, work) => [
      ...receivers.map((host) => ({
        words: [...run(lab, host, work), 'receive', ...common, '--dir', join(work, `out${host}`)],
        isReady: ({ stdout }) => stdout.includes('"listening"'),
      })),
      {
        words: [
          ...[...run(lab, relayHost, work), 'relay', ...common],
          ...['--to', receivers.map((host) => lab.address(host)).join(',')],
          ...['--dir', join(work, 'passing')],
        ],
        isReady: ({ stdout }) => stdout.includes('"listening"'),
      },
    ],
    sender: (lab, work, data) => [
      ...run(lab, originHost, work),
      ...['send', data, '--to', lab.address(relayHost), ...common],
    ],
    describe: ({ stdout }) => {
      const result = JSON.parse(stdout.trim().split('\n').at(-1));
      return { elapsedS: result.seconds, repairs: result.repairs };
    },
  },
  uftp: {
    needs: ['uftp', 'uftpd', 'uftpproxyd'],
    residents: (lab, work) => [
      ...receivers.map((host) => daemon(lab, host, 'uftpd', ['-D', join(work, `out${host}`)])),
      daemon(lab, relayHost, 'uftpproxyd', ['-c', '-O', 'eth0', '-U', '0x000000a1']),
      daemon(lab, proxyHost, 'uftpproxyd', ['-s', lab.address(relayHost), '-U', '0x000000a2']),
    ],
    sender: (lab, work, data) => [
      ...[...lab.on(originHost), 'uftp', '-R', uftpRateKbit, '-I', 'eth0', '-b', 1400],
      ...['-B', uftpBufferBytes],
      ...['-S', join(work, 'log'), data],
    ],
    describe: ({ stdout, stderr }) => ({
      elapsedS: Number(`${stdout}${stderr}`.match(/Total elapsed time: *([\d.]+) seconds/)?.[1]),
    }),
  },
};

const common = ['--open', '--json'];

function run(lab, host, work) {
  const key = join(work, `key${host}`);
  return [...lab.on(host), 'env', `P2MP_HOME=${key}`, process.execPath, p2mp];
}

function daemon(lab, host, name, options) {
  const words = [...lab.on(host), name, '-d', '-I', 'eth0', '-B', uftpBufferBytes, ...options];
  return { words, isReady: () => listensOn(lab, host, uftpPort) };
}

export async function benchRelayLoss({ runs = 3, sizeMb = 50, only = Object.keys(programs) }) {
  await withServedFile(sizeMb, async (place) => {
    console.log(`${sizeMb} MB to ${receiverCount} receivers behind a relay`);
    const results = new Map();
    for (let number = 0; number < runs; number++) {
      for (const lossPercent of lossPercents) {
        for (const id of only) {
          const missing = await findMissing(programs[id].needs);
          if (missing.length > 0) throw new Error(`${id}: ${missing.join('; ')}`);
          const key = `${id}, ${lossPercent} % lost behind the relay`;
          const result = await runOnce(programs[id], lossPercent, { ...place, sizeMb });
          console.log(`${key}: ${JSON.stringify(result)}`);
          results.set(key, [...(results.get(key) ?? []), result]);
        }
      }
    }
    for (const [key, all] of results) {
      const middle = (field) => median(all.map((each) => each[field]));
      const repairs = all[0].repairs === undefined ? '' : `, ${middle('repairs')} repairs`;
      console.log(
        `${key}: the origin sent ${middle('originShare').toFixed(4)} of the file in ` +
          `${middle('originPackets')} packets${repairs}; ${middle('elapsedS').toFixed(2)} s`,
      );
    }
  });
}

async function runOnce(program, lossPercent, { data, folder, sizeMb }) {
  const work = mkdtempSync(join(folder, 'run-'));
  const hostCount = proxyHost + 1;
  const lab = new Lab({ hostCount, lossPercent, lossyFrom: firstReceiver, wire: 'datagrams' });
  const commands = [];
  const residents = [];
  try {
    for (const host of [originHost, relayHost]) lab.limitRate(host, rateMbit);
    for (const host of receivers) {
      mkdirSync(join(work, `out${host}`));
      for (const other of [originHost, proxyHost]) lab.separate(other, host);
    }
    for (const host of [originHost, proxyHost])
      lab.separate(relayHost, host, { isOnlyMulticast: true });
    lab.separate(originHost, relayHost, { isOnlyMulticast: true });
    for (const { words, isReady } of program.residents(lab, work)) {
      const command = startCommand(words);
      commands.push(command);
      await command.until(isReady, readyMs);
    }
    const origin = await settle(lab, originHost, residents);
    const before = readCounters(origin);
    const sender = startCommand(program.sender(lab, work, data), { limitMs });
    const result = await sender.ended;
    if (result.code !== 0) throw new Error(`the sender ended with ${result.code}${tail(result)}`);
    const after = readCounters(origin);
    for (const host of receivers) execFileSync('cmp', [data, join(work, `out${host}`, 'data')]);
    return {
      ...program.describe(result),
      originShare: (after.sentBytes - before.sentBytes) / (sizeMb * 1e6),
      originPackets: after.sentPackets - before.sentPackets,
      lost: lab.countLoss()?.droppedPackets ?? 0,
      seen: lab.countLoss()?.seenPackets ?? 0,
    };
  } finally {
    await Promise.all(commands.map(({ stop }) => stop()));
    for (const each of residents) each.kill('SIGKILL');
    lab.close();
    rmSync(work, { recursive: true, force: true });
  }
}
