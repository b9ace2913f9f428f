/** Lets hosts on the same network find a receiver or server: `findReceivers`, `p2mp peers`, `--to @lan`, `--from @lan`. */
import { randomBytes } from 'node:crypto';
import type dgram from 'node:dgram';
import { hostname } from 'node:os';
import type { Address } from '../base/address.js';
import { isLoopbackHost, isWildcardHost } from '../base/address.js';
import type { Checks } from '../base/options/check-options.js';
import { checkOptions, oneOf, required, text } from '../base/options/check-options.js';
import { createRandom } from '../base/random.js';
import { Announcer } from '../discovery/announcer.js';
import type { AnnouncedRole } from '../wire/discovery.js';
import { discoveryPlace } from '../wire/discovery.js';
import { openGroupSocket } from './net/discovery/group-socket.js';
import { LinkRunner } from './net/discovery/link-runner.js';
import { createNearCheck, findLinks, isLinkLocal, type Link } from './net/discovery/links.js';
import { joinGroup } from './net/groups/group-memberships.js';
import { addresses, publicKey } from './option-checks.js';

/** Options of `announceReceiver`. */
export interface AnnounceOptions {
  /** The addresses that the receiver listens on, as in `Receiving.addresses` or `Serving.addresses`. */
  readonly addresses: readonly Address[];
  /** The receiver's public key. */
  readonly publicKey: Uint8Array;
  /** What it does; `receiver` by default. */
  readonly role?: AnnouncedRole;
  /** Its name for itself; the host name by default. Only the first 64 bytes are sent. */
  readonly name?: string;
}

const checks: Checks<AnnounceOptions> = {
  addresses: required(addresses),
  publicKey: required(publicKey),
  role: oneOf('receiver', 'server'),
  name: text,
};

/** A receiver that senders can find. */
export interface Announcement {
  /** Why no sender on another host can find the receiver, although it listens for them; else undefined. */
  readonly problem: string | undefined;
  /** Stops answering queries. */
  close(): void;
}

/** How often interfaces are looked up: a network can appear after the receiver has started. */
const lookIntervalMs = 10_000;

/**
 * Answers the queries of senders on the same network, with the receiver's name, port and public key. A receiver that
 * listens only on loopback is announced only to its own host. Does not throw if this host has no multicast.
 * @example
 * ```ts
 * import { announceReceiver, generateKeyPair, receive } from 'p2mp';
 *
 * const keyPair = await generateKeyPair();
 * const options = { dir: 'received', port: 0, bind: ['127.0.0.1'], keyPair };
 * const receiving = await receive({ ...options, trustSender: () => true });
 * const { addresses } = receiving;
 * const announcement = await announceReceiver({ addresses, publicKey: keyPair.publicKey });
 * console.log(announcement.problem); // undefined
 * announcement.close();
 * await receiving.close('done');
 * ```
 */
export async function announceReceiver(options: AnnounceOptions): Promise<Announcement> {
  checkOptions(options, checks);
  const found = await Promise.all(
    options.addresses.map((at) => AnnouncedAddress.open(at, options)),
  );
  const look = () => {
    for (const each of found) each.join();
  };
  look();
  const timer = setInterval(look, lookIntervalMs).unref();
  const problems = found.map(({ problem }) => problem);
  return {
    // One IP version is enough to be found.
    problem: problems.includes(undefined) ? undefined : problems[0],
    close: () => {
      clearInterval(timer);
      for (const each of found) each.close();
    },
  };
}

/** One address that a receiver listens on, with the sockets that make it known. */
class AnnouncedAddress {
  problem: string | undefined;
  /** Receives queries. */
  private listening: dgram.Socket | undefined;
  /** Sends answers from the receiver's own address. */
  private answering: dgram.Socket | undefined;
  private readonly runner: LinkRunner<never>;
  private readonly isIPv6: boolean;

  private constructor(
    private readonly at: Address,
    { publicKey, role = 'receiver', name = hostname() }: AnnounceOptions,
  ) {
    const { host, port } = at;
    this.isIPv6 = host.includes(':');
    const machine = new Announcer({
      announced: { port, receiverKey: publicKey, role, name },
      isNear: createNearCheck(({ address }) => this.listensOn(address)),
      random: createRandom(randomBytes(16).toString('hex')),
    });
    this.runner = new LinkRunner<never>({
      machine,
      transmit: ({ to, bytes }) => {
        this.answering?.send(bytes, to.port, to.host, () => undefined);
      },
      handleEvent: () => undefined,
    });
  }

  static async open(at: Address, options: AnnounceOptions): Promise<AnnouncedAddress> {
    const each = new AnnouncedAddress(at, options);
    try {
      await each.openSockets();
    } catch (error) {
      each.close();
      const { code, message } = error as NodeJS.ErrnoException;
      const { port } = discoveryPlace;
      each.problem =
        code === 'EADDRINUSE'
          ? `another program uses UDP port ${port}`
          : `UDP port ${port} cannot be opened (${message})`;
    }
    return each;
  }

  /** Joins the group on all interfaces that lead to the receiver. */
  join(): void {
    const { at, listening } = this;
    if (listening === undefined) return;
    const group = this.isIPv6 ? discoveryPlace.group6 : discoveryPlace.group4;
    const joined = this.links().map((link) => ({
      link,
      error: joinGroup(listening, group, link.membership),
    }));
    // Without a network, there is nobody to be found by, so a failure is a problem only on a network.
    const outside = joined.filter(({ link }) => !link.isLoopback || isLoopbackHost(at.host));
    const failed = outside.find(({ error }) => error !== undefined);
    const hasJoined = outside.some(({ error }) => error === undefined);
    this.problem =
      failed === undefined || hasJoined
        ? undefined
        : `interface ${failed.link.name} does not support multicast (${failed.error?.message})`;
  }

  close(): void {
    this.runner.close();
    for (const socket of new Set([this.listening, this.answering])) socket?.close();
    this.listening = undefined;
    this.answering = undefined;
  }

  private async openSockets(): Promise<void> {
    const { host } = this.at;
    const { port } = discoveryPlace;
    const wildcard = this.isIPv6 ? '::' : '0.0.0.0';
    this.listening = await openGroupSocket({ host: wildcard, port }, true);
    // The system chooses a suitable source address for a wildcard, and for answers within a link.
    const isOwnSource = isWildcardHost(host) || isLinkLocal(host);
    this.answering = isOwnSource ? this.listening : await openGroupSocket({ host, port }, true);
    this.listening.on('message', (bytes, info) =>
      this.runner.handleDatagram({ host: info.address, port: info.port }, bytes),
    );
  }

  private links(): Link[] {
    const family = this.isIPv6 ? 'IPv6' : 'IPv4';
    return findLinks((_name, { address }) => this.listensOn(address)).filter(
      (link) => link.family === family,
    );
  }

  /** @param address an address of this host, without an interface */
  private listensOn(address: string): boolean {
    const { host } = this.at;
    return isWildcardHost(host) || host.split('%')[0] === address;
  }
}
