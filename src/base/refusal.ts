/** Refused ports. A receiver's host or a firewall reports by ICMP that it rejects datagrams. */
import type { Address } from './address.js';

/** The system's code for a refusal. */
export type RefusalCode =
  /** No program is bound to the port, or a firewall claims so. */
  | 'ECONNREFUSED'
  /** A firewall or router reports that sending there is prohibited. */
  | 'EHOSTUNREACH';

/** A receiver's port refuses datagrams. The sender keeps trying until the liveness timeout. */
export interface PortRefusedEvent {
  readonly type: 'port-refused';
  readonly receiver: string;
  readonly reason: string;
  /** How long the sender waits for a silent receiver. */
  readonly livenessTimeoutMs: number;
}

/**
 * Describes a refusal and its likely cause.
 * @param program the program that should run there
 */
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

/** Says what to do about a refusal before sending again. The text completes the failure reason of a receiver. */
export function describeRemedy(code: RefusalCode, { host }: Address): string {
  // The description of a firewall already contains the remedy.
  if (code === 'EHOSTUNREACH') return '';
  const orOpen = isLoopback(host) ? '' : ' or open the port';
  return ` (connection refused); start it${orOpen}, then send again`;
}

function isLoopback(host: string): boolean {
  return host.startsWith('127.') || host === '::1';
}
