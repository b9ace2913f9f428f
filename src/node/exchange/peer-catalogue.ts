/** What a peer of an exchange offers to others: its own objects, and what it holds of those of others. */

import type { SharedObject } from '../../roles/exchange/objects/shared-object.js';
import type { Peer } from '../../roles/exchange/peer.js';
import type { ObjectHead } from '../../roles/relay/object-cache.js';
import type { AskRefusal } from '../../session/asks/listener-events.js';
import type { AskedObject, ListedObject } from '../../wire/asks.js';
import type {
  CatalogueEntry,
  ObjectCatalogue,
  OfferedObject,
  ReadFailure,
} from '../serve/object-catalogue.js';

export class PeerCatalogue implements ObjectCatalogue {
  /** One for each object, so that peers share sessions. */
  private readonly offered = new Map<SharedObject, OfferedSharedObject>();

  /** @param handleFailure called when an object cannot be offered any more */
  constructor(
    private readonly peer: Peer,
    private readonly handleFailure: (object: OfferedObject, reason: string) => void,
  ) {}

  entries(): CatalogueEntry[] {
    return [];
  }

  /** Peers know from the coordinator what there is. */
  listed(): ListedObject[] {
    return [];
  }

  async find(what: AskedObject): Promise<OfferedObject | AskRefusal> {
    const shared = this.peer.find(what);
    const { head } = shared ?? {};
    if (shared === undefined || head === undefined)
      return { reason: 'does not have it now', isTemporary: true };
    const object = this.offered.get(shared) ?? new OfferedSharedObject(shared, head);
    this.offered.set(shared, object);
    const { failure } = object;
    return failure === undefined ? object : { reason: failure, isTemporary: false };
  }

  handleAnswered(): void {
    // Objects stay as long as the peer.
  }

  handleReadFailure(object: OfferedObject, cause: ReadFailure): void {
    const why = cause === 'wrong-content' ? 'its content has changed' : cause.message;
    this.fail(object as OfferedSharedObject, `cannot offer ${object.name} any more: ${why}`);
  }

  /** The files of an own object cannot be read any more. */
  failOwn(head: ObjectHead, reason: string): void {
    for (const object of this.offered.values())
      if (object.head === head) this.fail(object, `cannot offer ${head.name} any more: ${reason}`);
  }

  private fail(object: OfferedSharedObject, reason: string): void {
    if (object.failure !== undefined) return;
    object.failure = reason;
    this.handleFailure(object, reason);
  }

  close(): void {
    this.offered.clear();
  }
}

class OfferedSharedObject implements OfferedObject {
  readonly fileCount = undefined;
  /** Why it is not offered any more. */
  failure: string | undefined;

  constructor(
    private readonly shared: SharedObject,
    readonly head: ObjectHead,
  ) {}

  get name(): string {
    return this.head.name;
  }

  get terms() {
    const { label, manifest, manifestDigest, contentSizeBytes, digestTree, listedAtMs } = this.head;
    return { label, manifest, manifestDigest, contentSizeBytes, digestTree, listedAtMs };
  }

  open(): SharedObject {
    return this.shared;
  }

  release(): void {
    // The peer closes it.
  }
}
