/** A receiver's port that refuses datagrams, as its host or a firewall reports it by ICMP. */
import type { Address } from './address.js';

/**
 * ECONNREFUSED: no program has the port, or a firewall says so in its place. EHOSTUNREACH: a firewall or a
 * router says that it forbids to send there.
 */
export type RefusalCode = 'ECONNREFUSED' | 'EHOSTUNREACH';

/** A receiver cannot answer: its port refuses what is sent there. It is sent to until patience ends. */
export interface PortRefusedEvent {
  readonly type: 'port-refused';
  readonly receiver: string;
  readonly reason: string;
  /** How long a silent receiver is waited for. */
  readonly livenessTimeoutMs: number;
}

/** @param program what should run there */
export function describeRefusal(
  code: RefusalCode,
  { host, port }: Address,
  program: string,
): string {
  if (code === 'EHOSTUNREACH') {
    return `a firewall on the way to ${host} rejects UDP port ${port}; ask for the port to be opened`;
  }
  const orFirewall = isLoopback(host) ? '' : ', or a firewall of that host rejects the port';
  return `port ${port} at ${host} refused: no ${program} runs there${orFirewall}`;
}

/** @returns what to do about a refusal before sending again, as the end of a receiver's reason */
export function describeRemedy(code: RefusalCode, { host }: Address): string {
  // The firewall's text says it already.
  if (code === 'EHOSTUNREACH') return '';
  const orOpen = isLoopback(host) ? '' : ' or open the port';
  return ` (connection refused); start it${orOpen}, then send again`;
}

function isLoopback(host: string): boolean {
  return host.startsWith('127.') || host === '::1';
}
