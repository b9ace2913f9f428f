/** Chooses the multicast group of a sender and the interface through which its multicast datagrams leave. */
import { randomBytes } from 'node:crypto';
import dgram from 'node:dgram';
import net from 'node:net';
import { networkInterfaces } from 'node:os';
import { type Address, isIPv6 } from '../../../base/address.js';
import { P2mpError } from '../../../base/errors.js';
import { mapLimited } from '../../limited-concurrency.js';
import { isGroupHost } from '../paths/port-choice.js';

/** `auto` chooses a random group if all receivers have the same IP version and at least two share a port. */
export type MulticastChoice = 'auto' | 'never' | (string & {});

/**
 * @returns the multicast group for these receivers; undefined if all receivers are served by unicast
 * @throws P2mpError INVALID_ARGUMENT
 */
export function chooseGroup(
  choice: MulticastChoice,
  receivers: readonly Address[],
): Address | undefined {
  checkMulticastChoice(choice);
  if (choice === 'never') return undefined;
  const port = mostCommonPort(receivers);
  const version6 = receivers.filter(({ host }) => isIPv6(host)).length;
  if (choice !== 'auto') {
    if (version6 !== (isIPv6(choice) ? receivers.length : 0)) {
      const version = isIPv6(choice) ? 'IPv6' : 'IPv4';
      throw new P2mpError(
        'INVALID_ARGUMENT',
        `--multicast ${choice}: is an ${version} group, but some receivers have addresses of the other IP version; give a group of that version, or use auto`,
      );
    }
    return { host: choice, port };
  }
  // All receivers of a group share a port. With only one receiver, multicast saves nothing.
  if (receivers.filter((receiver) => receiver.port === port).length < 2) return undefined;
  if (version6 > 0 && version6 < receivers.length) return undefined;
  return { host: randomGroup(version6 > 0), port };
}

/** The port of the groups of sessions with clients, which have no common port. */
const crowdPort = 7737;

/** @returns the group for a client and others that may join it; undefined if all are served by unicast */
export function chooseCrowdGroup(choice: MulticastChoice, client: Address): Address | undefined {
  if (choice === 'never') return undefined;
  const isVersion6 = isIPv6(client.host);
  if (choice !== 'auto' && isIPv6(choice) !== isVersion6) return undefined;
  return { host: choice === 'auto' ? randomGroup(isVersion6) : choice, port: crowdPort };
}

/** @throws P2mpError INVALID_ARGUMENT */
export function checkMulticastChoice(choice: MulticastChoice): void {
  if (choice === 'auto' || choice === 'never') return;
  if (net.isIP(choice) !== 0 && isGroupHost(choice)) return;
  throw new P2mpError(
    'INVALID_ARGUMENT',
    `--multicast ${choice}: must be auto, never or the address of a group, such as 239.1.2.3 or ff15::1`,
  );
}

function randomGroup(isVersion6: boolean): string {
  const [a = 0, b = 0, c = 0, d = 0] = randomBytes(4);
  // Ranges of administratively scoped addresses (RFC 2365; RFC 4291, 2.7). Routers do not forward them.
  return isVersion6 ? `ff15::${hex(a, b)}:${hex(c, d)}` : `239.${128 + (a % 64)}.${b}.${c}`;
}

function hex(high: number, low: number): string {
  // Avoid an all-zero group ID.
  return (high * 256 + (low | 1)).toString(16);
}

function mostCommonPort(receivers: readonly Address[]): number {
  const counts = new Map<number, number>();
  for (const { port } of receivers) counts.set(port, (counts.get(port) ?? 0) + 1);
  const [first] = [...counts].sort((a, b) => b[1] - a[1]);
  return first?.[0] ?? 0;
}

/**
 * @returns a local address of the interface that leads to the largest number of receivers in the group. If
 *   two interfaces lead to equally many receivers, the first one is taken. Undefined if there is no route to
 *   any of the receivers.
 */
export async function groupSource(
  group: Address,
  receivers: readonly Address[],
): Promise<string | undefined> {
  const reachable = receivers.filter(
    ({ host, port }) => port === group.port && isIPv6(host) === isIPv6(group.host),
  );
  const sources = await mapLimited(reachable, askedAtOnce, localAddressTowards);
  const found = new Map<string, { count: number; address: string }>();
  for (const address of sources) {
    if (address === undefined) continue;
    // Count by interface, because an interface can have several addresses.
    const name = interfaceOf(address) ?? address;
    const use = found.get(name) ?? { count: 0, address };
    use.count++;
    found.set(name, use);
  }
  const [most] = [...found.values()].sort((a, b) => b.count - a.count);
  return most?.address;
}

const askedAtOnce = 16;

function interfaceOf(address: string): string | undefined {
  for (const [name, infos = []] of Object.entries(networkInterfaces())) {
    if (infos.some((info) => info.address === address)) return name;
  }
  return undefined;
}

/** @returns the source address for datagrams to a host; undefined if there is no route */
export async function localAddressTowards(to: Address): Promise<string | undefined> {
  const socket = dgram.createSocket(isIPv6(to.host) ? 'udp6' : 'udp4');
  try {
    return await new Promise((resolve) => {
      socket.once('error', () => resolve(undefined));
      // `connect` only looks up the route; it sends nothing. The IPv6 scope is removed from the address.
      socket.connect(to.port, to.host, () => resolve(socket.address().address.split('%')[0]));
    });
  } finally {
    socket.close();
  }
}
