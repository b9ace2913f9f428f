/** Liveness and readiness of a receiver, for process supervisors. */
import { access, constants, stat, statfs } from 'node:fs/promises';
import { setTimeout } from 'node:timers/promises';
import { formatBytes } from '../../base/format.js';
import type { ReceivingState } from '../receive/receiving-totals.js';
import { describeError } from '../system-error.js';
import type { CommandSource } from './metrics.js';
import type { Complaints, StatusSource } from './status-source.js';

/** Time limit for an answer of the disk. A slower disk counts as failed. */
const diskTimeoutMs = 2000;

/** Minimum free space. With less, the next session is unlikely to fit. */
const minFreeBytes = 16 * 1024 * 1024;

/** The state of a receiver, or of a relay that sends on, for HTTP. */
export function receiverStatus(receiving: ReceivingState, commands?: CommandSource): StatusSource {
  return {
    get activeCount() {
      return receiving.activeCount;
    },
    checkAlive: () => checkAlive(receiving),
    checkReady: () => checkReady(receiving),
    loadMetrics: async () => {
      const { ReceiverMetrics } = await import('./metrics.js');
      return new ReceiverMetrics(receiving, commands);
    },
  };
}

/** A receiver is alive if its sockets are open and its folder exists and is writable. */
async function checkAlive(receiving: ReceivingState): Promise<Complaints> {
  return [...checkSockets(receiving), ...(await checkFolder(receiving.dir))];
}

/**
 * A receiver is ready for new sessions if it is alive, not shutting down and below its session limit, and if
 * the disk has free space.
 */
async function checkReady(receiving: ReceivingState): Promise<Complaints> {
  const { refusal } = receiving;
  const alive = await checkAlive(receiving);
  return [
    ...(refusal === undefined ? [] : [refusal]),
    ...alive,
    ...(alive.length > 0 ? [] : await checkRoom(receiving.dir)),
  ];
}

export function checkSockets(owner: { readonly addresses: readonly unknown[] }): Complaints {
  try {
    // Reading the address of a closed socket throws.
    return owner.addresses.length > 0 ? [] : ['no socket is open'];
  } catch (error) {
    return [`a socket is closed: ${describeError(error)}`];
  }
}

/** Checks without writing, because writing a file every few seconds would wear out flash storage. */
async function checkFolder(dir: string): Promise<Complaints> {
  return inTime(dir, async () => {
    // Check the type first: a file that has replaced the folder may be writable too.
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
