/** A receiver's port that refuses datagrams, as its host or a firewall reports it by ICMP. */
import type { Address } from './address.js';

/**
 * ECONNREFUSED: no program has the port, or a firewall says so in its place. EHOSTUNREACH: a firewall or a
 * router says that it forbids to send there.
 */
export type RefusalCode = 'ECONNREFUSED' | 'EHOSTUNREACH';

/** @param program what should run there */
export function describeRefusal(
  code: RefusalCode,
  { host, port }: Address,
  program: string,
): string {
  if (code === 'EHOSTUNREACH') {
    return `a firewall on the way to ${host} rejects UDP port ${port}; ask for the port to be opened`;
  }
  const isLocal = host.startsWith('127.') || host === '::1';
  const orFirewall = isLocal ? '' : ', or a firewall of that host rejects the port';
  return `port ${port} at ${host} refused: no ${program} runs there${orFirewall}`;
}
