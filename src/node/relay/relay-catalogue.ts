/** The objects of a relay, for the server that offers them to clients. */

import type { ObjectHead } from '../../roles/relay/object-cache.js';
import type { Relay } from '../../roles/relay/relay.js';
import type { RelayMachine } from '../../roles/relay/relay-machine.js';
import type { RelayedObject } from '../../roles/relay/relayed-object.js';
import type { AskRefusal } from '../../session/asks/listener-events.js';
import { type AskedObject, compareNames, type ListedObject } from '../../wire/asks.js';
import type { EnvelopeQuestion } from '../../wire/envelope-request.js';
import type { CatalogueEntry, ObjectCatalogue, OfferedObject } from '../serve/object-catalogue.js';

export class RelayCatalogue implements ObjectCatalogue {
  /** One for each object, so that clients share sessions. */
  private readonly offered = new WeakMap<RelayedObject, OfferedRelayedObject>();

  /**
   * @param drain sends what the relay has to send
   * @param closeRelay ends what is fetched, while upstream servers can still be told
   */
  constructor(
    private readonly machine: Pick<RelayMachine, 'relay' | 'pass'>,
    private readonly drain: () => void,
    private readonly closeRelay: () => void,
  ) {}

  private get relay(): Relay {
    return this.machine.relay;
  }

  /** The relay has no paths whose state it knows. */
  entries(): CatalogueEntry[] {
    return [];
  }

  listed(): ListedObject[] {
    const newest = new Map<string, ListedObject>();
    for (const { name, contentSizeBytes, contentRoot: root, manifestDigest } of this.relay.list())
      newest.set(name, { name, contentSizeBytes, manifestDigest, root });
    return [...newest.values()].toSorted((a, b) => compareNames(a.name, b.name));
  }

  find(what: AskedObject, hops: readonly Uint8Array[]): Promise<OfferedObject | AskRefusal> {
    return new Promise((resolve) => {
      this.relay.find(what, hops, (answer) => {
        if ('reason' in answer) {
          resolve(answer);
          return;
        }
        // Until the client is in a session.
        answer.use();
        resolve(this.offer(answer));
      });
      // The question to the upstream servers leaves now, not with the next datagram that arrives.
      this.drain();
    });
  }

  pass(question: EnvelopeQuestion, hops: readonly Uint8Array[]): Promise<Uint8Array | AskRefusal> {
    return new Promise((resolve) => {
      this.machine.pass(question, hops, resolve);
      this.drain();
    });
  }

  handleAnswered(object: OfferedObject): void {
    object.release();
  }

  /** Blocks are compared before they are passed on, so this is a bug. */
  handleReadFailure(): void {
    throw new Error('p2mp: internal error: a relayed object does not change');
  }

  close(): void {
    this.closeRelay();
  }

  /** What sessions see of an object. */
  offer(object: RelayedObject): OfferedObject {
    const known = this.offered.get(object);
    if (known !== undefined) return known;
    const offered = new OfferedRelayedObject(object, object.head as ObjectHead);
    this.offered.set(object, offered);
    return offered;
  }
}

class OfferedRelayedObject implements OfferedObject {
  readonly fileCount = undefined;

  constructor(
    private readonly object: RelayedObject,
    private readonly head: ObjectHead,
  ) {}

  get name(): string {
    return this.object.name;
  }

  get terms() {
    const { label, manifest, manifestDigest, contentSizeBytes, digestTree, listedAtMs } = this.head;
    const facts = { label, manifest, manifestDigest, contentSizeBytes, digestTree, listedAtMs };
    return this.object.isPassing ? { ...facts, servesTogether: true } : facts;
  }

  open(): RelayedObject {
    this.object.use();
    return this.object;
  }

  release(): void {
    this.object.release();
  }
}
