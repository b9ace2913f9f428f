/** Refused ports. A receiver's host or a firewall reports by ICMP that it rejects datagrams. */
import type { Address } from './address.js';
import { isLoopbackHost } from './address.js';

/** The system's code for a refusal. */
export type RefusalCode =
  /** The host reports that no program is bound to the port. A firewall can send the same report. */
  | 'ECONNREFUSED'
  /** A firewall or router reports that it prohibits sending to this address or port. */
  | 'EHOSTUNREACH';

/** A receiver's port refuses datagrams. The sender keeps trying until the liveness timeout. */
export interface PortRefusedEvent {
  readonly type: 'port-refused';
  readonly receiver: string;
  readonly reason: string;
  /** Time for which the sender waits for a silent receiver. */
  readonly livenessTimeoutMs: number;
}

/**
 * Describes a refusal and its likely cause.
 * @param program the program that is expected to listen on the port
 */
export function describeRefusal(
  code: RefusalCode,
  { host, port }: Address,
  program: string,
): string {
  if (code === 'EHOSTUNREACH') {
    return `a firewall on the way to ${host} rejects UDP port ${port}; ask for the port to be opened`;
  }
  const orFirewall = isLoopbackHost(host) ? '' : ', or a firewall of that host rejects the port';
  return `port ${port} at ${host} refused: no ${program} runs there${orFirewall}`;
}

/**
 * Describes how to fix a refusal before sending again. The text is appended to the failure reason of a
 * receiver.
 */
export function describeRemedy(code: RefusalCode, { host }: Address): string {
  // `describeRefusal` already names the remedy for this code.
  if (code === 'EHOSTUNREACH') return '';
  const orOpen = isLoopbackHost(host) ? '' : ' or open the port';
  return ` (connection refused); start the receiver${orOpen}, then send again`;
}
