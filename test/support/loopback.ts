/** Helpers for tests on the loopback interface: file contents, and a server that never answers. */
import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { loadSystemCalls } from '../../src/node/net/offload/offload-system.js';
import type { Cleaner } from './processes.js';

/** Whether this host has the IPv6 loopback address. */
export const hasIPv6 = Object.values(networkInterfaces()).some((addresses) =>
  addresses?.some(({ address }) => address === '::1'),
);

/** The reason for skipping tests with two IPv4 loopback addresses, or false. */
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

/** Opens a port of 127.0.0.1 that receives datagrams but never answers. @returns the port */
export async function openSilentPort(t: Cleaner): Promise<number> {
  const socket = createSocket('udp4');
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  t.teardown(() => new Promise<void>((resolve) => socket.close(() => resolve())));
  return socket.address().port;
}

/** Finds an unused port of this host. */
export async function findClosedPort(host = '127.0.0.1'): Promise<number> {
  const socket = createSocket(host === '::1' ? 'udp6' : 'udp4');
  socket.bind(0, host);
  await once(socket, 'listening');
  const { port } = socket.address();
  await new Promise<void>((resolve) => socket.close(() => resolve()));
  return port;
}

/** The reason for skipping tests of batched I/O, or false. */
export const noOffload = (() => {
  try {
    loadSystemCalls();
    return false;
  } catch (error) {
    return `no offload: ${(error as Error).message}`;
  }
})();
