// p2mp fetch from several servers against aria2c over HTTP from nginx on the same hosts. The servers' links have
// different rates, and something happens to the fastest server.
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { killCommands, startCommand, tail } from './commands.mjs';
import { closeLabs, Lab } from './lab.mjs';
import { describeMaking } from './made.mjs';
import { median } from './processes.mjs';

const program = fileURLToPath(new URL('../dist/cli/p2mp.js', import.meta.url));
const ratesMbit = [100, 60, 40];
const totalMbit = 200;
const readyMs = 20_000;
const limitMs = 120_000;

/** Of each datagram of 1,400 bytes: headers of Ethernet, IP, UDP and the session; and the tag of each block. */
const wireShare = 1 + (14 + 20 + 8 + 16) / 1400 + 16 / 61_440;

const contenders = {
  p2mp: {
    server: (lab, host, { data, work }) => ({
      words: [
        ...[...lab.on(host), process.execPath, program, 'serve', data, '--open', '--json'],
        ...['--key', join(work, `key${host}`), '--index', join(work, `index${host}`)],
      ],
      isReady: ({ stdout }) => stdout.includes('"indexed"'),
    }),
    client: (lab, hosts, { work }) => [
      ...[...lab.on(0), process.execPath, program, 'fetch', 'data', '--open', '--json'],
      ...['--from', hosts.map((host) => lab.address(host)).join(), '--dir', join(work, 'out')],
    ],
  },
  aria2c: {
    server: (lab, host, { work, data }) => {
      const conf = join(work, `nginx${host}.conf`);
      const lines = [
        ...['daemon off; master_process off; error_log stderr;', `pid ${work}/nginx${host}.pid;`],
        'events { worker_connections 64; }',
        `http { access_log off; sendfile on; client_body_temp_path ${work}/t${host}; proxy_temp_path ${work}/t${host};`,
        `fastcgi_temp_path ${work}/t${host}; uwsgi_temp_path ${work}/t${host}; scgi_temp_path ${work}/t${host};`,
        `server { listen 8080; root ${join(data, '..')}; } }`,
      ];
      writeFileSync(conf, lines.join('\n'));
      const words = [...lab.on(host), 'nginx', '-c', conf, '-p', work];
      return { words, isReady: () => isListening(lab, host) };
    },
    client: (lab, hosts, { work }) => [
      ...[...lab.on(0), 'aria2c', '--quiet', '--file-allocation=none', '--check-certificate=false'],
      ...[`--split=${hosts.length}`, '--max-connection-per-server=1', '--min-split-size=1M'],
      ...['--allow-overwrite=true', '--dir', join(work, 'out'), '--out', 'data'],
      ...hosts.map((host) => `http://${lab.address(host)}:8080/data`),
    ],
  },
};

/** What happens after so many seconds, and how long the payload then takes at best, for 200 MB. */
const cases = {
  steady: { bestS: (mb) => (8 * mb) / totalMbit },
  'fastest killed at half': {
    atShare: 0.5,
    act: ({ servers }) => servers[0].kill('SIGKILL'),
    bestS: (mb) => (4 * mb) / totalMbit + (4 * mb) / (totalMbit - ratesMbit[0]),
  },
  'fastest throttled to 1 Mbit/s at 95 %': {
    atShare: 0.95,
    act: ({ lab }) => lab.changeRate(1, 1),
    bestS: (mb) => (0.95 * 8 * mb) / totalMbit + (0.05 * 8 * mb) / (totalMbit - ratesMbit[0] + 1),
  },
};

export async function benchSources({ runs = 3, sizeMb = 200, only = Object.keys(contenders) }) {
  const folder = mkdtempSync(join(tmpdir(), 'p2mp-bench-sources-'));
  const stop = () => {
    killCommands();
    closeLabs();
  };
  process.once('exit', stop);
  try {
    const data = join(folder, 'served', 'data');
    mkdirSync(join(folder, 'served'));
    writeFileSync(data, randomBytes(sizeMb * 1e6));
    console.log(JSON.stringify(describeMaking()));
    console.log(
      `${sizeMb} MB from servers at ${ratesMbit.join(', ')} Mbit/s; best: the payload alone`,
    );
    console.log(`the wire of p2mp adds ${(100 * (wireShare - 1)).toFixed(1)} %`);
    for (const [name, scene] of Object.entries(cases)) {
      const times = Object.fromEntries(only.map((id) => [id, []]));
      for (let run = 0; run < runs; run++) {
        for (const id of only)
          times[id].push(await fetchOnce(contenders[id], scene, { data, folder, sizeMb }));
      }
      const bestS = scene.bestS(sizeMb);
      for (const id of only) {
        const middleS = median(times[id]);
        const all = times[id].map((each) => each.toFixed(2)).join(' ');
        const ratio = `${(middleS / bestS).toFixed(3)} of the best, ${(middleS / bestS / wireShare).toFixed(3)} with the wire of p2mp`;
        console.log(
          `${name}: ${id} ${middleS.toFixed(2)} s (${all}); best ${bestS.toFixed(2)} s; ${ratio}`,
        );
      }
    }
  } finally {
    stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function fetchOnce(contender, scene, { data, folder, sizeMb }) {
  const work = mkdtempSync(join(folder, 'run-'));
  const lab = new Lab({ hostCount: 1 + ratesMbit.length });
  const servers = [];
  try {
    const hosts = ratesMbit.map((rate, i) => {
      lab.limitRate(i + 1, rate);
      return i + 1;
    });
    for (const host of hosts) {
      const { words, isReady } = contender.server(lab, host, { data, work });
      const server = startCommand(words);
      servers.push(server);
      await server.until(isReady, readyMs);
    }
    const client = startCommand(contender.client(lab, hosts, { work }), { limitMs });
    if (scene.atShare !== undefined) {
      await sleep((scene.atShare * 8000 * sizeMb) / totalMbit);
      scene.act({ lab, servers });
    }
    const result = await client.ended;
    if (result.code !== 0)
      throw new Error(`the fetch ended with code ${result.code}${tail(result)}`);
    execFileSync('cmp', [data, join(work, 'out', 'data')]);
    return result.elapsedMs / 1000;
  } finally {
    await Promise.all(servers.map(({ stop }) => stop()));
    lab.close();
    rmSync(work, { recursive: true, force: true });
  }
}

function isListening(lab, host) {
  try {
    const sockets = execFileSync(lab.on(host)[0], [...lab.on(host).slice(1), 'ss', '-ltn']);
    return sockets.includes(':8080');
  } catch {
    return false;
  }
}
