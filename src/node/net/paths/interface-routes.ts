/** Whether an interface leads to an address, by the main routing table of Linux. Rules of other tables are not read. */
import { readFileSync } from 'node:fs';
import { BlockList } from 'node:net';
import { isIPv6 } from '../../../base/address.js';

/** A route that is up. */
interface Route {
  readonly interfaceName: string;
  readonly covers: (host: string) => boolean;
}

/** @returns true where the table cannot be read */
export function hasRoute(interfaceName: string, host: string): boolean {
  try {
    const [plainHost = ''] = host.split('%');
    const routes = isIPv6(host)
      ? parseRoutes6(readFileSync('/proc/net/ipv6_route', 'utf8'))
      : parseRoutes4(readFileSync('/proc/net/route', 'utf8'));
    return routes.some((route) => route.interfaceName === interfaceName && route.covers(plainHost));
  } catch {
    return true;
  }
}

const flagUp = 1;
/** Routes that lead nowhere. */
const flagReject = 0x200;

/** The table has a header, and addresses as hexadecimal numbers of the host's byte order: little-endian. */
export function parseRoutes4(table: string): Route[] {
  return rowsOf(table)
    .slice(1)
    .flatMap(([name = '', destination = '', , flags = '', , , , mask = '']) => {
      const prefix = bytesOf(mask).reduce((sum, byte) => sum + bitCount(byte), 0);
      const network = bytesOf(destination).toReversed().join('.');
      return isUsable(flags) ? [routeOf(name, network, prefix, 'ipv4')] : [];
    });
}

/** The table has no header. Its last columns are the flags and the interface. */
export function parseRoutes6(table: string): Route[] {
  return rowsOf(table).flatMap((row) => {
    const [destination = '', prefix = ''] = row;
    const [flags = '', name = ''] = row.slice(-2);
    const network = (destination.match(/.{4}/g) ?? []).join(':');
    return isUsable(flags) ? [routeOf(name, network, Number.parseInt(prefix, 16), 'ipv6')] : [];
  });
}

function rowsOf(table: string): string[][] {
  return table
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter((row) => row.length > 1);
}

function isUsable(flags: string): boolean {
  const value = Number.parseInt(flags, 16);
  return (value & flagUp) !== 0 && (value & flagReject) === 0;
}

function routeOf(
  interfaceName: string,
  network: string,
  prefix: number,
  family: 'ipv4' | 'ipv6',
): Route {
  const list = new BlockList();
  // A prefix of 0 is the default route.
  if (prefix > 0) list.addSubnet(network, prefix, family);
  return { interfaceName, covers: (host) => prefix === 0 || list.check(host, family) };
}

function bytesOf(hex: string): number[] {
  return (hex.match(/../g) ?? []).map((byte) => Number.parseInt(byte, 16));
}

function bitCount(byte: number): number {
  let count = 0;
  for (let rest = byte; rest > 0; rest >>= 1) count += rest & 1;
  return count;
}
