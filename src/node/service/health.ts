/** Liveness and readiness of a receiver, for process supervisors. */
import { access, constants, stat, statfs } from 'node:fs/promises';
import { setTimeout } from 'node:timers/promises';
import { formatBytes } from '../../base/format.js';
import type { Receiving } from '../receive.js';
import { describeError } from '../system-error.js';

/** What is wrong; empty if nothing is. */
export type Complaints = readonly string[];

/** A disk that takes longer counts as failed. */
const diskTimeoutMs = 2000;

/** With less free space, the next session is unlikely to fit. */
const minFreeBytes = 16 * 1024 * 1024;

/** Alive: its sockets are open, and its folder exists and is writable. */
export async function checkAlive(receiving: Receiving): Promise<Complaints> {
  return [...checkSockets(receiving), ...(await checkFolder(receiving.dir))];
}

/** Ready for new sessions: alive, not shutting down, below its session limit, and with free disk space. */
export async function checkReady(receiving: Receiving): Promise<Complaints> {
  const { refusal } = receiving;
  const alive = await checkAlive(receiving);
  return [
    ...(refusal === undefined ? [] : [refusal]),
    ...alive,
    ...(alive.length > 0 ? [] : await checkRoom(receiving.dir)),
  ];
}

function checkSockets(receiving: Receiving): Complaints {
  try {
    // A closed socket has no address and throws.
    return receiving.addresses.length > 0 ? [] : ['no socket is open'];
  } catch (error) {
    return [`a socket is closed: ${describeError(error)}`];
  }
}

/** Read-only: writing a file every few seconds would wear out flash storage. */
async function checkFolder(dir: string): Promise<Complaints> {
  return inTime(dir, async () => {
    // If a file has replaced the folder, it could be writable as well.
    if (!(await stat(dir)).isDirectory()) return ['is no longer a folder'];
    await access(dir, constants.W_OK | constants.X_OK);
    return [];
  });
}

async function checkRoom(dir: string): Promise<Complaints> {
  return inTime(dir, async () => {
    const { bavail, bsize, blocks } = await statfs(dir);
    const freeBytes = bavail * bsize;
    // Some file systems do not know their size.
    return blocks === 0 || freeBytes >= minFreeBytes
      ? []
      : [`${formatBytes(freeBytes)} free, less than ${formatBytes(minFreeBytes)}`];
  });
}

async function inTime(dir: string, check: () => Promise<Complaints>): Promise<Complaints> {
  const ended = new AbortController();
  const { signal } = ended;
  const late = setTimeout(diskTimeoutMs, ['does not answer'], { signal, ref: false });
  const answers = check().catch((error: unknown) => [describeError(error)]);
  const complaints = await Promise.race([answers, late.catch(() => [])]);
  ended.abort();
  return complaints.map((complaint) => `${dir}: ${complaint}`);
}
