/** Refused datagrams. A receiver's host, a router or a firewall reports by ICMP that a datagram went no further. */
import type { Address } from './address.js';
import { isLoopbackHost } from './address.js';

/** Why a datagram went no further. */
export type RefusalCode =
  /** The host reports that no program is bound to the port. A firewall can send the same report. */
  | 'port-closed'
  /** A firewall or router reports that it prohibits sending to this address or port. */
  | 'prohibited'
  /** The host does not answer on its own network. */
  | 'no-host'
  /** A router has no route to the host. */
  | 'no-route';

/** What a host or router reported about a datagram. */
export interface Refusal {
  readonly code: RefusalCode;
  /** The router that reported it; undefined if this host did, or if it is not known. */
  readonly router?: string;
}

/** A receiver's port refuses datagrams, or they do not reach its host. The sender tries until the liveness timeout. */
export interface RefusedEvent {
  readonly type: 'port-refused' | 'unreachable';
  readonly receiver: string;
  readonly reason: string;
  /** Time for which the sender waits for a silent receiver. */
  readonly livenessTimeoutMs: number;
}

/** Whether the datagrams have reached neither the host nor a firewall before it. */
export function isUnreachable({ code }: Refusal): boolean {
  return code === 'no-host' || code === 'no-route';
}

/**
 * Describes a refusal and its likely cause.
 * @param program the program that is expected to listen on the port
 */
export function describeRefusal(
  { code, router }: Refusal,
  { host, port }: Address,
  program: string,
): string {
  switch (code) {
    case 'prohibited':
      return `a firewall on the way to ${host} rejects UDP port ${port}; ask for the port to be opened`;
    case 'no-host': {
      const reporter = router === undefined ? '' : ` (reported by the router ${router})`;
      return `no host answers at ${host}${reporter}; check the address, and that the host is on and connected`;
    }
    case 'no-route': {
      const reporter = router === undefined ? 'a router on the way' : `the router ${router}`;
      return `${reporter} has no route to ${host}; check the address, and the network behind that router`;
    }
    case 'port-closed': {
      const orFirewall = isLoopbackHost(host)
        ? ''
        : ', or a firewall of that host rejects the port';
      return `port ${port} at ${host} refused: no ${program} runs there${orFirewall}`;
    }
  }
}

/** Describes how to fix a refusal before another attempt. The text is appended to the failure reason of the host. */
export function describeRemedy({ code }: Refusal, { host }: Address): string {
  // `describeRefusal` already names the remedy for the other codes.
  if (code !== 'port-closed') return '';
  const orOpen = isLoopbackHost(host) ? '' : ' or open the port';
  return ` (connection refused); start it${orOpen}, then try again`;
}
