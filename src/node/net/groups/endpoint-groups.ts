/**
 * The multicast groups of an endpoint: those that its sockets have joined, and by which socket others are sent to. Both
 * hold for sockets that open later, too.
 */
import type { Address } from '../../../base/address.js';
import { formatAddress } from '../../../base/address.js';
import type { Port } from '../paths/port.js';
import { familyOf, portNear } from '../paths/port-choice.js';
import { multicastInterfaces } from './group-memberships.js';

export class EndpointGroups {
  private readonly joined = new Map<string, Address>();
  /** By IP version: the socket that sends to groups, the address of its interface, and the TTL. */
  private readonly senders = new Map<string, { port: Port; address: string; ttl: number }>();

  /** @returns the reason why no interface could join; undefined if at least one interface joined */
  join(group: Address, ports: readonly Port[]): string | undefined {
    const able = ports.filter(({ family }) => family === familyOf(group));
    if (able.length === 0) return `no open socket for ${familyOf(group)}`;
    const failures = able.map(({ groups }) => groups.join(group));
    if (!failures.includes(undefined)) return failures[0];
    this.joined.set(formatAddress(group), group);
    return undefined;
  }

  leave(group: Address, ports: readonly Port[]): void {
    this.joined.delete(formatAddress(group));
    for (const { groups } of ports) groups.leave(group);
  }

  /** Sets the TTL of multicast datagrams and makes them leave through the interface that has this address. */
  sendBy(address: string, ttl: number, ports: readonly Port[]): void {
    const to = { host: address, port: 0 };
    const able = ports.filter(({ family }) => family === familyOf(to));
    const port = portNear(able, to);
    if (port === undefined) return;
    this.senders.set(port.family, { port, address, ttl });
    sendMulticastBy(port.socket, address, ttl);
  }

  /** The socket that sends to this group. */
  senderTo(group: Address): Port | undefined {
    return this.senders.get(familyOf(group))?.port;
  }

  /** The sockets have changed. */
  handlePorts(ports: readonly Port[], opened: readonly Port[]): void {
    for (const group of this.joined.values())
      for (const { family, groups } of opened) if (family === familyOf(group)) groups.join(group);
    if (opened.length > 0)
      for (const { address, ttl } of [...this.senders.values()]) this.tryBy(address, ttl, ports);
  }

  private tryBy(address: string, ttl: number, ports: readonly Port[]): void {
    try {
      this.sendBy(address, ttl, ports);
    } catch {
      // The interface has just gone. If it comes back, so does a socket.
    }
  }
}

/** Sets the TTL of multicast datagrams and makes them leave through the interface that has this address. */
export function sendMulticastBy(socket: Port['socket'], address: string, ttl: number): void {
  const found = multicastInterfaces(address, (info) => info.address === address)[0];
  if (found !== undefined) socket.setMulticastInterface(found);
  socket.setMulticastTTL(ttl);
}
