/** Finds the receivers and servers on the networks of this host. */
import { randomBytes } from 'node:crypto';
import type dgram from 'node:dgram';
import type { Address } from '../base/address.js';
import { isIPv6 } from '../base/address.js';
import { P2mpError } from '../base/errors.js';
import type { Transmit } from '../base/machine.js';
import type { Checks } from '../base/options/check-options.js';
import {
  amount,
  callback,
  checkOptions,
  listOf,
  oneOf,
  text,
} from '../base/options/check-options.js';
import { withoutUndefined } from '../base/without-undefined.js';
import type { AnnouncedReceiver, ReceiverSearchEvent } from '../discovery/receiver-search.js';
import { ReceiverSearch } from '../discovery/receiver-search.js';
import type { AnnouncedRole } from '../wire/discovery.js';
import { discoveryNonceSizeBytes } from '../wire/discovery.js';
import { openGroupSocket } from './net/discovery/group-socket.js';
import { LinkRunner } from './net/discovery/link-runner.js';
import { createNearCheck, findNamedLinks, type Link } from './net/discovery/links.js';
import { signal as signalCheck } from './option-checks.js';

/** Options of `findReceivers`. */
export interface FindReceiversOptions {
  /** How long to wait for answers; 1.5 s by default. The query is sent three times, in the first half. */
  readonly waitMs?: number;
  /** Names or addresses of the interfaces to search on; all by default. */
  readonly interfaces?: readonly string[];
  /** Only hosts with this role are found; by default, receivers and servers. */
  readonly role?: AnnouncedRole;
  /** Receivers with these keys are found even if more others answer than are kept. */
  readonly isPreferred?: (receiverKey: Uint8Array) => boolean;
  /** Called for each receiver, at its first answer. Its addresses may grow until the end of the search. */
  readonly onFound?: (receiver: AnnouncedReceiver) => void;
  /** Ends the search. What was found until then is returned. */
  readonly signal?: AbortSignal;
}

const checks: Checks<FindReceiversOptions> = {
  waitMs: amount,
  interfaces: listOf(text),
  role: oneOf('receiver', 'server'),
  isPreferred: callback,
  onFound: callback,
  signal: signalCheck,
};

/** Result of `findReceivers`. */
export interface FoundReceivers {
  /** In the order of their first answers. */
  readonly receivers: readonly AnnouncedReceiver[];
  /** Answers of receivers for which there was no room: more than 1,024, or more than 64 at one address. */
  readonly leftOutCount: number;
  /** Names of the interfaces that were searched. */
  readonly interfaces: readonly string[];
}

const defaultWaitMs = 1500;

/**
 * Finds hosts that run `p2mp receive`, `p2mp serve` or `announceReceiver` on the same network, by multicast. What they say is not
 * proven: only a handshake shows whether a receiver has the key that it announces.
 * @throws P2mpError INVALID_ARGUMENT for an unknown interface; PORT_UNAVAILABLE if no interface can send multicast
 * @example
 * ```ts
 * import { announceReceiver, findReceivers, generateKeyPair } from 'p2mp';
 *
 * const { publicKey } = await generateKeyPair();
 * const addresses = [{ host: '127.0.0.1', port: 7735 }];
 * const announcement = await announceReceiver({ addresses, publicKey, name: 'lab1' });
 * const { receivers } = await findReceivers({ interfaces: ['127.0.0.1'], waitMs: 500 });
 * console.log(receivers.some(({ name }) => name === 'lab1')); // true
 * announcement.close();
 * ```
 */
export async function findReceivers(options: FindReceiversOptions = {}): Promise<FoundReceivers> {
  checkOptions(options, checks);
  const { waitMs = defaultWaitMs, interfaces, role, isPreferred, onFound, signal } = options;
  const links = await openLinks(findNamedLinks(interfaces));
  try {
    const search = new ReceiverSearch(performance.now(), {
      nonce: randomBytes(discoveryNonceSizeBytes),
      waitMs,
      isNear: createNearCheck(),
      ...withoutUndefined({ role, isPreferred }),
    });
    await run(search, links, { onFound, signal });
    const names = links.map(({ link }) => link.name);
    const { receivers, leftOutCount } = search;
    return { receivers, leftOutCount, interfaces: [...new Set(names)] };
  } finally {
    for (const { socket } of links) socket.close();
  }
}

interface OpenLink {
  readonly link: Link;
  readonly socket: dgram.Socket;
}

/** @throws P2mpError PORT_UNAVAILABLE if no link can be opened */
async function openLinks(links: readonly Link[]): Promise<OpenLink[]> {
  const opened: OpenLink[] = [];
  let failure: unknown;
  for (const link of links) {
    let socket: dgram.Socket | undefined;
    try {
      socket = await openGroupSocket({ host: link.address, port: 0 }, false);
      socket.setMulticastInterface(link.membership);
      opened.push({ link, socket });
    } catch (error) {
      // The other links may work.
      socket?.close();
      failure ??= error;
    }
  }
  if (opened.length > 0) return opened;
  const why = failure instanceof Error ? ` (${failure.message})` : '';
  throw new P2mpError(
    'PORT_UNAVAILABLE',
    `no interface can send multicast${why}; check whether the network is up`,
    { cause: failure },
  );
}

function run(
  search: ReceiverSearch,
  links: readonly OpenLink[],
  {
    onFound,
    signal,
  }: {
    readonly onFound: FindReceiversOptions['onFound'] | undefined;
    readonly signal: AbortSignal | undefined;
  },
): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = () => {
      runner.close();
      signal?.removeEventListener('abort', end);
      resolve();
    };
    const handleEvent = (event: ReceiverSearchEvent) => {
      if (event.type === 'end') return end();
      try {
        onFound?.(event.receiver);
      } catch (error) {
        // Before `end`, which resolves.
        reject(error);
        end();
      }
    };
    const transmit = (each: Transmit) => sendBy(links, each);
    const runner = new LinkRunner({ machine: search, transmit, handleEvent });
    for (const { socket } of links) {
      socket.on('message', (bytes, { address, port }) =>
        runner.handleDatagram({ host: address, port }, bytes),
      );
    }
    signal?.addEventListener('abort', end);
    if (signal?.aborted) end();
    else runner.drain();
  });
}

function sendBy(
  links: readonly OpenLink[],
  { to, bytes }: { to: Address; bytes: Uint8Array },
): void {
  const family = isIPv6(to.host) ? 'IPv6' : 'IPv4';
  for (const { link, socket } of links) {
    // A link that cannot send is like one without receivers.
    if (link.family === family) socket.send(bytes, to.port, to.host, () => undefined);
  }
}
