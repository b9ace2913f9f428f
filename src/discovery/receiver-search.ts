/** The searching side of discovery: sends a query a few times and collects the answers. */
import type { Address } from '../base/address.js';
import { sameAddress } from '../base/address.js';
import type { Machine, TimeMs, Transmit } from '../base/machine.js';
import { Queue } from '../base/queue.js';
import { isEqualBytes, toHex } from '../wire/byte-codec.js';
import type { AnnouncedRole } from '../wire/discovery.js';
import { decodeDiscovery, discoveryPlace, encodeQuery } from '../wire/discovery.js';

export const searchLimits = {
  /** Maximum number of receivers that are kept, besides those with preferred keys. */
  receivers: 1024,
  /** Maximum number of them that answer from one address. */
  perHost: 64,
  /** Maximum number of receivers with the same preferred key. */
  perPreferredKey: 8,
  /** Maximum number of addresses of one receiver. */
  addresses: 8,
} as const;

/** When queries are sent, as shares of the time of the search. */
const queryTimes = [0, 0.25, 0.5];

/** A receiver or server that answered a query. Only a handshake can show whether it really has this key. */
export interface AnnouncedReceiver {
  /** Its name for itself: any text, so do not print it without escaping. */
  readonly name: string;
  readonly receiverKey: Uint8Array;
  readonly role: AnnouncedRole;
  /** Where it answered, in the order of arrival, with the port of its sessions. */
  readonly addresses: readonly Address[];
}

/** What a search reports. */
export type ReceiverSearchEvent =
  | { readonly type: 'found'; readonly receiver: AnnouncedReceiver }
  | { readonly type: 'end' };

export interface ReceiverSearchOptions {
  /** Unpredictable bytes; a new value for each search. */
  readonly nonce: Uint8Array;
  /** Duration of the search. */
  readonly waitMs: number;
  /** Whether this address belongs to a network that this host is part of. Other answers are ignored. */
  readonly isNear: (from: Address) => boolean;
  /** Answers of hosts with another role are ignored; by default, none are. */
  readonly role?: AnnouncedRole;
  /** Whether receivers with this key are kept even if too many others answer. */
  readonly isPreferred?: (receiverKey: Uint8Array) => boolean;
}

interface Found extends AnnouncedReceiver {
  readonly addresses: Address[];
}

/** A receiver is identified by its key and its port, so it counts once however many addresses it has. */
export class ReceiverSearch implements Machine<ReceiverSearchEvent> {
  private readonly found = new Map<string, Found>();
  private readonly countsByHost = new Map<string, number>();
  private readonly countsByPreferredKey = new Map<string, number>();
  private otherCount = 0;
  private readonly events = new Queue<ReceiverSearchEvent>();
  private readonly transmits = new Queue<Transmit>();
  private readonly queriesAtMs: TimeMs[];
  private readonly endsAtMs: TimeMs;
  private isOver = false;
  /** Answers of receivers for which there was no room. */
  leftOutCount = 0;

  constructor(
    startedAtMs: TimeMs,
    private readonly options: ReceiverSearchOptions,
  ) {
    this.queriesAtMs = queryTimes.map((share) => startedAtMs + share * options.waitMs);
    this.endsAtMs = startedAtMs + options.waitMs;
    this.handleTimeout(startedAtMs);
  }

  /** The receivers in the order of their first answers. */
  get receivers(): AnnouncedReceiver[] {
    return [...this.found.values()];
  }

  handleDatagram(_nowMs: TimeMs, from: Address, bytes: Uint8Array): void {
    if (this.isOver) return;
    const packet = decodeDiscovery(bytes);
    if (typeof packet === 'string' || packet.kind !== 'answer') return;
    const { nonce, port, name, role } = packet;
    if (!isEqualBytes(nonce, this.options.nonce) || !this.options.isNear(from)) return;
    if (role !== (this.options.role ?? role)) return;
    const address = { host: from.host, port };
    const key = toHex(packet.receiverKey);
    const known = this.found.get(`${key} ${port}`);
    if (known !== undefined) {
      const isNew = !known.addresses.some((each) => sameAddress(each, address));
      if (isNew && known.addresses.length < searchLimits.addresses) known.addresses.push(address);
      return;
    }
    if (!this.takeRoom(key, packet.receiverKey, from.host)) {
      this.leftOutCount++;
      return;
    }
    // The receive buffer is reused.
    const receiverKey = Uint8Array.from(packet.receiverKey);
    const receiver = { name, receiverKey, role, addresses: [address] };
    this.found.set(`${key} ${port}`, receiver);
    this.events.push({ type: 'found', receiver });
  }

  handleTimeout(nowMs: TimeMs): void {
    let isDue = false;
    while ((this.queriesAtMs[0] ?? Infinity) <= nowMs) {
      this.queriesAtMs.shift();
      isDue = true;
    }
    if (isDue) {
      const { port, group4, group6 } = discoveryPlace;
      const bytes = encodeQuery(this.options.nonce);
      for (const host of [group4, group6]) this.transmits.push({ to: { host, port }, bytes });
    }
    if (nowMs >= this.endsAtMs && !this.isOver) {
      this.isOver = true;
      this.events.push({ type: 'end' });
    }
  }

  /** The shell sends each query by all interfaces that have the IP version of its group. */
  pollTransmit(): Transmit | undefined {
    return this.transmits.shift();
  }

  pollTimeout(): TimeMs | undefined {
    if (this.isOver) return undefined;
    return this.queriesAtMs[0] ?? this.endsAtMs;
  }

  pollEvent(): ReceiverSearchEvent | undefined {
    return this.events.shift();
  }

  private takeRoom(key: string, receiverKey: Uint8Array, host: string): boolean {
    if (this.options.isPreferred?.(receiverKey) === true) {
      return countUp(this.countsByPreferredKey, key, searchLimits.perPreferredKey);
    }
    if (this.otherCount >= searchLimits.receivers) return false;
    if (!countUp(this.countsByHost, host, searchLimits.perHost)) return false;
    this.otherCount++;
    return true;
  }
}

/** @returns false if the count has reached the limit */
function countUp(counts: Map<string, number>, key: string, limit: number): boolean {
  const count = counts.get(key) ?? 0;
  if (count >= limit) return false;
  counts.set(key, count + 1);
  return true;
}
