// The programs that `relay.mjs` compares: p2mp relay, and nginx as a caching proxy, each with its own server and client.
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const programAt = (path) => fileURLToPath(new URL(path, import.meta.url));
const p2mp = programAt('../dist/cli/p2mp.js');
const crowdClient = programAt('crowd-client.mjs');

/** nginx lets clients wait for the first one's object no longer than this. */
const lockS = 600;

const digestBytes = 32;
const blockSizeBytes = 61_440;

/**
 * `server` and `relay` give the command of a host, and when it is ready. `client` gives the command that gets the file
 * from a host at a moment. `bytesBefore` gives what a client receives before the content.
 */
export const programs = {
  p2mp: {
    server: (lab, host, { data, work }) => ({
      words: [
        ...[...lab.on(host), process.execPath, p2mp, 'serve', data, '--open', '--json'],
        ...['--key', join(work, `key${host}`), '--index', join(work, `index${host}`)],
      ],
      isReady: ({ stdout }) => stdout.includes('"indexed"'),
    }),
    relay: (lab, host, upstream, { work }) => ({
      words: [
        ...[...lab.on(host), process.execPath, p2mp, 'relay', '--open', '--json'],
        ...['--upstream', lab.address(upstream), '--key', join(work, `key${host}`)],
        ...['--cache', join(work, `cache${host}`), '--cache-size', '50GB'],
      ],
      isReady: ({ stdout }) => stdout.includes('"listening"'),
    }),
    client: (lab, host, from, { atMs, dir }) => [
      ...[...lab.on(host), process.execPath, crowdClient, atMs, lab.address(from), 'data', dir],
    ],
    /** Most of what arrives before the content are digests: 32 bytes for each block, and the headers of 32 digests each. */
    bytesBefore: (sizeBytes) => 1.2 * digestBytes * Math.ceil(sizeBytes / blockSizeBytes),
    /** @returns the time that the transfer took, in seconds */
    elapsedS: ({ stdout }) => JSON.parse(stdout).elapsedMs / 1000,
  },
  nginx: {
    server: (lab, host, { data, work }) =>
      nginx(lab, host, work, `server { listen 8080; root ${dirname(data)}; }`),
    relay: (lab, host, upstream, { work }) => {
      const cache = join(work, `cache${host}`);
      return nginx(
        ...[lab, host, work],
        `proxy_cache_path ${cache} keys_zone=kept:1m max_size=50g use_temp_path=off;
        server {
          listen 8080;
          location / {
            proxy_pass http://${lab.address(upstream)}:8080;
            proxy_cache kept; proxy_cache_valid 1h;
            proxy_cache_lock on; proxy_cache_lock_age ${lockS}s; proxy_cache_lock_timeout ${lockS}s;
            proxy_read_timeout ${lockS}s;
          }
        }`,
      );
    },
    client: (lab, host, from, { atMs, dir }) => {
      mkdirSync(dir, { recursive: true });
      const url = `http://${lab.address(from)}:8080/data`;
      const wait = `sleep $(awk "BEGIN { print (${atMs} - $(date +%s%3N)) / 1000 }")`;
      const get = `exec curl --silent --fail --max-time ${lockS} --output ${join(dir, 'data')}`;
      return [...lab.on(host), 'sh', '-c', `${wait}; ${get} --write-out '%{time_total}' ${url}`];
    },
    bytesBefore: () => 0,
    elapsedS: ({ stdout }) => Number(stdout),
  },
};

function nginx(lab, host, work, server) {
  const folder = join(work, `nginx${host}`);
  mkdirSync(folder);
  const folders = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  const lines = [
    // All of the files belong to root.
    ...['user root; daemon off; master_process off; error_log stderr;', `pid ${folder}/pid;`],
    'events { worker_connections 64; }',
    'http { access_log off; sendfile on; tcp_nodelay on;',
    ...folders.map((name) => `${name}_temp_path ${folder}/${name};`),
    `${server} }`,
  ];
  const conf = join(folder, 'conf');
  writeFileSync(conf, lines.join('\n'));
  const words = [...lab.on(host), 'nginx', '-c', conf, '-p', folder];
  return { words, isReady: () => isListening(lab, host) };
}

function isListening(lab, host) {
  try {
    const [command, ...words] = lab.on(host);
    return execFileSync(command, [...words, 'ss', '-ltn']).includes(':8080');
  } catch {
    return false;
  }
}
