// The programs that `sources.mjs` compares: p2mp fetch from p2mp serve, and aria2c over HTTP from nginx.
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const programAt = (path) => fileURLToPath(new URL(path, import.meta.url));
const p2mp = programAt('../dist/cli/p2mp.js');
const lyingServer = programAt('lying-server.mjs');

const isIndexed = ({ stdout }) => stdout.includes('"indexed"');

/**
 * `server` gives the command of a server on a host, and when it is ready. `client` gives the command that gets the file
 * from all hosts. `payloadOf` computes the payload from what an interface counts: bytes with Ethernet headers, and
 * packets, of which a batch of segments is one.
 */
export const programs = {
  p2mp: {
    server: (lab, host, { data, work, isLiar }) => ({
      words: isLiar
        ? [...lab.on(host), process.execPath, lyingServer, data, join(work, `index${host}`)]
        : [
            ...[...lab.on(host), process.execPath, p2mp, 'serve', data, '--open', '--json'],
            ...['--key', join(work, `key${host}`), '--index', join(work, `index${host}`)],
          ],
      isReady: isIndexed,
    }),
    client: (lab, hosts, { work }) => [
      ...[...lab.on(0), process.execPath, p2mp, 'fetch', 'data', '--open', '--json'],
      ...['--from', hosts.map((host) => lab.address(host)).join(), '--dir', join(work, 'out')],
    ],
    // Headers of Ethernet, IP and UDP; the session's of each segment; and the tag of each block.
    payloadOf: ({ bytes, packets }) =>
      (bytes - 42 * packets) * (1400 / 1416) * (61_440 / (61_440 + 16)),
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
      ...['--continue', '--dir', join(work, 'out'), '--out', 'data'],
      ...hosts.map((host) => `http://${lab.address(host)}:8080/data`),
    ],
    // Headers of Ethernet, IP and TCP, with timestamps.
    payloadOf: ({ bytes, packets }) => bytes - 66 * packets,
  },
};

function isListening(lab, host) {
  try {
    const sockets = execFileSync(lab.on(host)[0], [...lab.on(host).slice(1), 'ss', '-ltn']);
    return sockets.includes(':8080');
  } catch {
    return false;
  }
}
