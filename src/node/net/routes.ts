/** Checks whether this host has a route to an address. */
import dgram from 'node:dgram';
import type { Address } from '../../base/address.js';
import { isIPv6 } from '../../base/address.js';
import type { CandidateAddresses } from '../../path/candidate-addresses.js';

const reasons: Readonly<Record<string, string>> = {
  ENETUNREACH: 'this host has no route to it; check the address, and whether the network is up',
  EHOSTUNREACH: 'this host has no route to it; check the address, and whether the network is up',
  ENETDOWN: 'the interface that leads to it is down',
  EADDRNOTAVAIL: 'this host has no suitable source address; check whether the network is up',
  EAFNOSUPPORT: 'this host does not support that IP version',
  EACCES: 'it is a broadcast address; name each host by its own address',
  EINVAL:
    'the system rejects this address; a link-local address needs its interface, as in fe80::1%eth0',
  ENODEV: 'this host has no interface of that name',
};

/**
 * @returns text that names the address and says why this host cannot send to it; undefined if the error has
 *   another cause
 */
export function noRouteReason(error: NodeJS.ErrnoException, { host }: Address): string | undefined {
  const reason = reasons[error.code ?? ''];
  return reason === undefined ? undefined : `cannot send to ${host}: ${reason}`;
}

/**
 * Looks up the route, without sending anything.
 * @returns the reason why this host cannot send to the address; undefined if it can
 */
export async function findNoRoute(to: Address): Promise<string | undefined> {
  const socket = dgram.createSocket(isIPv6(to.host) ? 'udp6' : 'udp4');
  try {
    return await new Promise((resolve) => {
      // `connect` only looks up the route.
      socket.once('error', (error: NodeJS.ErrnoException) => resolve(noRouteReason(error, to)));
      socket.connect(to.port, to.host, (error?: NodeJS.ErrnoException) =>
        resolve(error == null ? undefined : noRouteReason(error, to)),
      );
    });
  } finally {
    socket.close();
  }
}

/** A receiver that datagrams are sent to. */
export interface SentTo {
  readonly index: number;
  readonly address: Address;
  readonly addresses: CandidateAddresses;
  readonly hasAnswered: boolean;
}

/**
 * Finds the receiver to which the system refused to send.
 * @returns undefined unless the receiver is unreachable: it has never answered and has no other address. A
 *   receiver that has answered fails only after the usual liveness timeout.
 */
export function findUnreachable(
  peers: readonly SentTo[],
  error: NodeJS.ErrnoException & { address?: string; port?: number },
): { readonly index: number; readonly reason: string } | undefined {
  const peer = peers.find(
    ({ address }) => address.host === error.address && address.port === error.port,
  );
  if (peer === undefined || peer.hasAnswered || peer.addresses.all.length > 1) return undefined;
  const reason = noRouteReason(error, peer.address);
  return reason === undefined ? undefined : { index: peer.index, reason };
}
