/** Whether a receiver is well, and whether it takes sessions, for those who start and watch it. */
import { access, constants, stat, statfs } from 'node:fs/promises';
import { setTimeout } from 'node:timers/promises';
import { formatBytes } from '../../base/format.js';
import type { Receiving } from '../receive.js';
import { describeError } from '../system-error.js';

/** What is wrong, in words; nothing where all is well. */
export type Complaints = readonly string[];

/** A disk that does not answer in this time is as good as none. */
const diskTimeoutMs = 2000;

/** With less room than this, the next session hardly fits. */
const minFreeBytes = 16 * 1024 * 1024;

/** It is up: its sockets are open, and its folder is there and may be written to. */
export async function checkAlive(receiving: Receiving): Promise<Complaints> {
  return [...checkSockets(receiving), ...(await checkFolder(receiving.dir))];
}

/** It takes new sessions: all of the above, it does not end, has a session to spare and room on its disk. */
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
    // A socket that was closed has no address to tell.
    return receiving.addresses.length > 0 ? [] : ['no socket is open'];
  } catch (error) {
    return [`a socket is closed: ${describeError(error)}`];
  }
}

/** Only asks: a file written every few seconds would wear out a flash card. */
async function checkFolder(dir: string): Promise<Complaints> {
  return inTime(dir, async () => {
    // One that was exchanged for a file can be written to as well.
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
    return blocks === 0 || freeBytes >= minFreeBytes ? [] : [`${formatBytes(freeBytes)} free`];
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
