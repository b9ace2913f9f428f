/** Checks whether this host has a route to an address. */
import dgram from 'node:dgram';
import { isIPv6 } from 'node:net';
import type { Address } from '../../base/address.js';
import type { CandidateAddresses } from '../../path/candidate-addresses.js';

const reasons: Readonly<Record<string, string>> = {
  ENETUNREACH: 'this host has no route to it; check the address, and whether the network is up',
  EHOSTUNREACH: 'this host has no route to it; check the address, and whether the network is up',
  ENETDOWN: 'the interface that leads to it is down',
  EADDRNOTAVAIL: 'this host has no suitable source address; check whether the network is up',
  EAFNOSUPPORT: 'this host does not support that IP version',
  EACCES: 'it is a broadcast address, not that of a receiver; name each receiver',
  EINVAL:
    'the system rejects that address; a link-local one needs its interface, such as fe80::1%eth0',
  ENODEV: 'this host has no interface of that name',
};

/** @returns why nothing can be sent there, with the address; undefined if the error has another meaning */
export function noRouteReason(error: NodeJS.ErrnoException, { host }: Address): string | undefined {
  const reason = reasons[error.code ?? ''];
  return reason === undefined ? undefined : `cannot send to ${host}: ${reason}`;
}

/** @returns why nothing can be sent there; undefined if it can. Sends nothing. */
export async function findNoRoute(to: Address): Promise<string | undefined> {
  const socket = dgram.createSocket(isIPv6(to.host) ? 'udp6' : 'udp4');
  try {
    return await new Promise((resolve) => {
      // Connecting only looks up the route.
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
 * Finds the receiver that the system refused to send to, if there is no hope of reaching it: it never answered and
 * has no other address. A receiver that did answer gets the usual liveness timeout.
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
