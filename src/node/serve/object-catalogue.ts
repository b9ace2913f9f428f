/** Where the objects come from that a host serves: paths on its disk, or the cache of a relay. */
import type { P2mpError } from '../../base/errors.js';
import type { ContentSource } from '../../object/content-source.js';
import type { AskRefusal } from '../../session/asks/listener-events.js';
import type { SessionSenderOptions } from '../../session/sender-options.js';
import type { AskedObject, ListedObject } from '../../wire/asks.js';
import type { EnvelopeQuestion } from '../../wire/envelope-request.js';

/** An object that sessions can send. */
export interface OfferedObject {
  readonly name: string;
  readonly terms: Pick<
    SessionSenderOptions,
    'label' | 'manifest' | 'manifestDigest' | 'contentSizeBytes' | 'listedAtMs' | 'servesTogether'
  > &
    Required<Pick<SessionSenderOptions, 'digestTree'>>;
  /** Undefined if it is not known. */
  readonly fileCount: number | undefined;
  /**
   * The content, for one session; `release` when the session has ended.
   * @param handleFailure gets a P2mpError if the content cannot be read any more; anything else is a bug
   */
  open(handleFailure: (error: unknown) => void): ContentSource;
  release(): void;
}

/** Why a read failed; `wrong-content` if a block differs from its digest although its file looks as before. */
export type ReadFailure = P2mpError | 'wrong-content';

/** How far the index of a path is. */
export interface IndexProgress {
  readonly doneBytes: number;
  readonly totalBytes: number;
}

/** An object by its name, for lists. */
export interface CatalogueEntry<Offered = OfferedObject> {
  readonly name: string;
  /** The state that can be fetched; undefined if there is none now. */
  readonly object: Offered | undefined;
  /** How far the index is, while it is being made. */
  readonly indexing: IndexProgress | undefined;
  /** Why it cannot be fetched. */
  readonly error: P2mpError | undefined;
}

export interface ObjectCatalogue {
  /** In the order of `compareNames`. */
  entries(): CatalogueEntry[];
  /** What clients see if they ask for a list; in the same order. */
  listed(): ListedObject[];
  /**
   * Finds what somebody asks for.
   * @param hops the relays that the ask has come through
   * @returns a reason alone if there is no such object
   */
  find(
    what: AskedObject,
    hops: readonly Uint8Array[],
  ): Promise<OfferedObject | AskRefusal | string>;
  /**
   * If this is a relay: passes a question for an origin on.
   * @param hops the relays that the question has come through
   */
  pass?(question: EnvelopeQuestion, hops: readonly Uint8Array[]): Promise<Uint8Array | AskRefusal>;
  /** The answer to the client is given: a session has the object open, or the client is gone. */
  handleAnswered(object: OfferedObject): void;
  /** A read of this object has failed. */
  handleReadFailure(object: OfferedObject, cause: ReadFailure): void;
  close(): void;
}
