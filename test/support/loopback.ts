/** What tests on the loopback interface share: file contents, and a server that never answers. */
import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { loadSystemCalls } from '../../src/node/net/offload/offload-system.js';
import type { Cleaner } from './processes.js';

/** Whether this host has the loopback address of IPv6. */
export const hasIPv6 = Object.values(networkInterfaces()).some((addresses) =>
  addresses?.some(({ address }) => address === '::1'),
);

/** Why a test with two addresses of the loopback interface cannot run here, or false. */
export const noSecondLoopback =
  process.platform === 'darwin' ? 'this host has no address 127.0.0.2' : false;

/** Writes a file of random bytes. @returns its path */
export function writeRandomFile(folder: string, sizeBytes: number, name = 'sent'): string {
  const path = join(folder, name);
  writeFileSync(path, randomBytes(sizeBytes));
  return path;
}

export function isSameContent(path: string, copy: string): boolean {
  return existsSync(copy) && readFileSync(path).equals(readFileSync(copy));
}

/** A port of 127.0.0.1 that takes datagrams and never answers. */
export async function openSilentPort(t: Cleaner): Promise<number> {
  const socket = createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  t.teardown(() => new Promise<void>((resolve) => socket.close(() => resolve())));
  return socket.address().port;
}

/** A port of this host that nobody has. */
export async function findClosedPort(host = '127.0.0.1'): Promise<number> {
  const socket = createSocket(host === '::1' ? 'udp6' : 'udp4');
  socket.bind(0, host);
  await once(socket, 'listening');
  const { port } = socket.address();
  await new Promise<void>((resolve) => socket.close(() => resolve()));
  return port;
}

/** Why batches cannot be tried here; false where they can. */
export const noOffload = (() => {
  try {
    loadSystemCalls();
    return false;
  } catch (error) {
    return `no offload: ${(error as Error).message}`;
  }
})();
