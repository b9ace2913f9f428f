/** One question to the upstream servers: which content an object has now. It becomes the fetch of that content. */
import type { TimeMs } from '../../base/machine.js';
import type { ContentStores } from '../../object/content-store.js';
import type { AskRefusal } from '../../session/asks/listener-events.js';
import { commonAllocationBytes } from '../../session/object-limits.js';
import type { AskedObject } from '../../wire/asks.js';
import { isEqualBytes } from '../../wire/byte-codec.js';
import type { FetchOptions } from '../fetch/fetch.js';
import { Fetch } from '../fetch/fetch.js';
import type { RelayedObject } from './relayed-object.js';

/** What a client gets: the object, or why it does not get it. */
export type RelayAnswer = RelayedObject | AskRefusal;

export type TakeAnswer = (answer: RelayAnswer) => void;

export type LookupOptions = Pick<
  FetchOptions,
  'crypto' | 'port' | 'sources' | 'host' | 'ownKey' | 'blockSizeBytes' | 'graceMs' | 'patienceMs'
>;

export class Lookup {
  readonly fetch: Fetch;
  /** Clients that wait for the answer. */
  readonly takers: TakeAnswer[] = [];
  /** The object, once it is known which one it is. */
  object: RelayedObject | undefined;
  /** For each upstream server that is of no use, the reason. */
  readonly reasons = new Map<string, string>();
  /** Whether a server may answer later that does not now. */
  isAnyAway = false;

  /** Whether a server has answered with a session in which an object is filled already. */
  isShared = false;

  constructor(
    options: LookupOptions,
    readonly what: Partial<AskedObject>,
    readonly hops: readonly Uint8Array[],
    ownHop: Uint8Array,
    readonly startedAtMs: TimeMs,
  ) {
    const stores: ContentStores = {
      create: () => (this.object as RelayedObject).fill(),
      drop: () => undefined,
    };
    this.fetch = new Fetch({
      ...options,
      ...{
        stores,
        what,
        hops: [...hops, ownHop],
        platform: 'posix',
        awaitsDecision: true,
        prefersFirst: true,
        // Clients are offered an object when all of its digests are known.
        digestsFirst: true,
      },
      limits: {
        ...{ maxBytes: Infinity, maxEntries: Infinity },
        allocationBytes: commonAllocationBytes,
      },
    });
  }

  /**
   * Whether the answer is also one for this ask. An ask that came through relays must not wait for a question that did
   * not, because the question might wait for that ask.
   */
  isFor(what: Partial<AskedObject>, hops: readonly Uint8Array[]): boolean {
    return (
      this.isBehind(hops) &&
      (this.what.name ?? '') === (what.name ?? '') &&
      isSame(this.what.root, what.root) &&
      isSame(this.what.manifestDigest, what.manifestDigest)
    );
  }

  /** Whether the question has come through all of these relays. */
  isBehind(hops: readonly Uint8Array[]): boolean {
    return hops.every((hop) => this.hops.some((own) => isEqualBytes(own, hop)));
  }

  /** Why no server has answered. */
  get reason(): string {
    const all = [...this.reasons].map(([server, reason]) => `${server}: ${reason}`);
    return all.length === 0 ? 'no upstream server answers' : all.join('; ');
  }
}

function isSame(one: Uint8Array | undefined, other: Uint8Array | undefined): boolean {
  return one === undefined || other === undefined ? one === other : isEqualBytes(one, other);
}
