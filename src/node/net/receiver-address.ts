/** Rejects addresses that do not belong to a single host. */
import { BlockList } from 'node:net';
import { networkInterfaces } from 'node:os';
import type { Address } from '../../base/address.js';
import { isIPv6, isWildcardHost } from '../../base/address.js';
import { P2mpError } from '../../base/errors.js';

/** @throws P2mpError INVALID_ARGUMENT for a wildcard, multicast or broadcast address */
export function checkIsHost(name: string, { host }: Address): void {
  const shown = name === host ? host : `${name} (${host})`;
  const [address = ''] = host.split('%');
  // Linux would send to this host instead, where the port seems to refuse.
  if (isWildcardHost(address)) {
    refuse(`${shown}: stands for all addresses of a host; name one of them`);
  }
  if (groups.check(address, isIPv6(address) ? 'ipv6' : 'ipv4')) {
    const reason = 'is the address of a multicast group, not of a host';
    refuse(`${shown}: ${reason}; name each host by its own address`);
  }
  const network = networkOfBroadcast(address);
  if (network !== undefined) {
    const reason = `is the broadcast address of ${network}, not of a host`;
    refuse(`${shown}: ${reason}; name each host by its own address`);
  }
}

function refuse(message: string): never {
  throw new P2mpError('INVALID_ARGUMENT', message);
}

const groups = new BlockList();
groups.addSubnet('224.0.0.0', 4, 'ipv4');
groups.addSubnet('ff00::', 8, 'ipv6');

/** @returns a description of the network; undefined if the address is not a broadcast address */
function networkOfBroadcast(address: string): string | undefined {
  if (address === '255.255.255.255') return 'every network';
  for (const [name, infos = []] of Object.entries(networkInterfaces())) {
    for (const { family, cidr, netmask, address: own } of infos) {
      if (family !== 'IPv4' || cidr === null || own === address) continue;
      // Networks of one or two addresses have no broadcast address (RFC 3021).
      if (Number(cidr.split('/')[1]) >= 31) continue;
      if (toNumber(address) === (toNumber(own) | ~toNumber(netmask)) >>> 0) {
        return `${name} (${cidr})`;
      }
    }
  }
  return undefined;
}

/** @returns the address as a number; NaN if it is not an IPv4 address */
function toNumber(address: string): number {
  const parts = address.split('.').map(Number);
  return parts.length === 4 ? parts.reduce((sum, part) => sum * 256 + part, 0) : Number.NaN;
}
