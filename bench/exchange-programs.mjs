// The programs that `exchange.mjs` compares: p2mp exchange, and BitTorrent with libtorrent.
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { startCommand } from './commands.mjs';

const programAt = (path) => fileURLToPath(new URL(path, import.meta.url));
const p2mp = programAt('../dist/cli/p2mp.js');
const torrentPeer = programAt('torrent-peer.py');
// Debian installs libtorrent for its own Python.
const python = '/usr/bin/python3';

const readyMs = 60_000;

/** The path of a peer's copy of another peer's file. */
const nameOf = (owner) => `of${owner}.bin`;

/**
 * `start` starts the peers of hosts 1 and up, each with its file, and resolves when the exchange begins. It returns the
 * peers, whether one has everything, when the last of some had everything, and the paths of the copies.
 */
export const programs = {
  p2mp: {
    async start(lab, { work, files, limitMs, stalledS }) {
      const coordinator = startCommand(
        [
          ...[...lab.on(0), process.execPath, p2mp, 'exchange', 'coordinate', '--open', '--json'],
          ...['--peers', files.length, '--stalled-after', stalledS, '--key', join(work, 'key')],
        ],
        { limitMs },
      );
      await coordinator.until(({ stdout }) => stdout.includes('"listening"'), readyMs);
      const peers = files.map((file, i) => {
        const own = (name) => join(work, `${name}${i + 1}`);
        return startCommand(
          [
            ...[...lab.on(i + 1), process.execPath, p2mp, 'exchange', 'join', lab.address(0), file],
            ...['--open', '--json', '--name', `p${i + 1}`, '--dir', own('dir')],
            ...['--index', own('index')],
          ],
          // Each has a key of its own.
          { limitMs, env: { HOME: own('home') } },
        );
      });
      await coordinator.until(({ stdout }) => stdout.includes('"start"'), readyMs);
      return {
        peers,
        ended: async () => {
          const { stdout } = await coordinator.ended;
          const result = stdout.split('\n').filter(Boolean).map(JSON.parse).at(-1);
          await Promise.all(peers.map(({ ended }) => ended));
          return { elapsedS: result.seconds, status: result.status };
        },
        copyOf: (peer, owner) => join(work, `dir${peer}`, `p${owner}`, nameOf(owner)),
      };
    },
  },
  libtorrent: {
    async start(lab, { work, files, limitMs, stalledS }) {
      const torrents = files.map((file, i) => {
        const torrent = join(work, `${i + 1}.torrent`);
        execFileSync(python, [torrentPeer, 'make', file, torrent]);
        return torrent;
      });
      const addresses = files.map((_, i) => lab.address(i + 1));
      const peers = files.map((file, i) =>
        startCommand(
          [
            ...[...lab.on(i + 1), python, torrentPeer, 'run', i, join(file, '..')],
            ...[...torrents, '--', ...addresses],
          ],
          { limitMs },
        ),
      );
      for (const peer of peers) await peer.until(({ stdout }) => stdout.includes('ready'), readyMs);
      const startedAtMs = Date.now();
      writeFileSync(join(work, 'go'), '');
      return {
        peers,
        ended: async ({ staying, receivedBytes }) => {
          const wholeAtMs = (peer) => Number(/whole (\d+)/.exec(peer.texts.stdout)?.[1] ?? NaN);
          let [seenBytes, seenAtMs] = [receivedBytes(), Date.now()];
          while (staying.some((peer) => Number.isNaN(wholeAtMs(peer)))) {
            await sleep(50);
            const bytes = receivedBytes();
            // Peers exchange some messages all the time.
            if (bytes > seenBytes + 100_000) [seenBytes, seenAtMs] = [bytes, Date.now()];
            if (Date.now() - seenAtMs < 1000 * stalledS) continue;
            return { elapsedS: (seenAtMs - startedAtMs) / 1000, status: 'incomplete' };
          }
          const endedAtMs = Math.max(...staying.map(wholeAtMs));
          return { elapsedS: (endedAtMs - startedAtMs) / 1000, status: 'complete' };
        },
        copyOf: (peer, owner) => join(work, `own${peer}`, nameOf(owner)),
      };
    },
  },
};
