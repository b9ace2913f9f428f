/** What a host serves: the paths by their names, each indexed in the background and looked at again from time to time. */
import { stat } from 'node:fs/promises';
import { withoutUndefined } from '../../base/without-undefined.js';
import { type AskedObject, compareNames, type ListedObject } from '../../wire/asks.js';
import { isEqualBytes } from '../../wire/byte-codec.js';
import type { IndexFolder } from '../disk/index/index-folder.js';
import { fileError } from '../system-error.js';
import type {
  CatalogueEntry,
  ObjectCatalogue,
  OfferedObject,
  ReadFailure,
} from './object-catalogue.js';
import { nameOfferedPaths } from './offered-names.js';
import type { ServedObject } from './served-object.js';
import { ServedPath, type ServedPathEvent } from './served-path.js';

/** Time between two looks at a path. What is read is checked in any case. */
const lookIntervalMs = 10_000;

export interface CatalogueOptions {
  readonly paths: readonly string[];
  /** Where indexes outlive the process; by default, nowhere. */
  readonly folder?: IndexFolder;
  readonly onEvent: (event: ServedPathEvent) => void;
  /** A monotonic clock; `performance.now` by default. */
  readonly nowMs?: () => number;
}

export class Catalogue implements ObjectCatalogue {
  private readonly abort = new AbortController();
  private readonly byName = new Map<string, ServedPath>();
  /** Paths are hashed one after another. */
  private hashing: Promise<unknown> = Promise.resolve();
  private timer: NodeJS.Timeout | undefined;

  private constructor(
    { folder, onEvent, nowMs }: Omit<CatalogueOptions, 'paths'>,
    paths: readonly string[],
  ) {
    const schedule = <T>(work: () => Promise<T>): Promise<T> => {
      const done = this.hashing.then(work);
      this.hashing = done.catch(() => undefined);
      return done;
    };
    for (const offered of nameOfferedPaths(paths)) {
      const options = {
        ...withoutUndefined({ folder }),
        ...{ schedule, onEvent, signal: this.abort.signal },
        nowMs: nowMs ?? (() => performance.now()),
      };
      this.byName.set(offered.name, new ServedPath(offered, options));
    }
  }

  /**
   * Begins to index the paths.
   * @throws P2mpError INVALID_ARGUMENT; SOURCE_UNREADABLE if a path does not exist
   */
  static async open(options: CatalogueOptions): Promise<Catalogue> {
    const catalogue = new Catalogue(options, options.paths);
    for (const { path } of catalogue.byName.values()) {
      await stat(path).catch((error: unknown) => {
        throw fileError('SOURCE_UNREADABLE', path, error);
      });
    }
    void catalogue.lookAtAll();
    catalogue.timer = setInterval(() => void catalogue.lookAtAll(), lookIntervalMs);
    catalogue.timer.unref();
    return catalogue;
  }

  /** In the order of `compareNames`. */
  entries(): CatalogueEntry<ServedObject>[] {
    return [...this.byName.values()]
      .toSorted((a, b) => compareNames(a.name, b.name))
      .map(({ name, current: object, progress: indexing, error }) => {
        return { name, object, indexing, error };
      });
  }

  listed(): ListedObject[] {
    return this.entries().flatMap(({ name, object }) => {
      if (object === undefined) return [];
      const { manifestDigest, contentRoot: root } = object.index;
      return [{ name, contentSizeBytes: object.terms.contentSizeBytes, manifestDigest, root }];
    });
  }

  /**
   * Finds what somebody asks for, after a look at its files. While they are being indexed, the answer waits.
   * @returns the reason if there is no such object now; it reveals nothing else of this host
   */
  async find(asked: AskedObject): Promise<ServedObject | string> {
    const { name } = asked;
    const named = this.byName.get(name);
    if (name !== '' && named === undefined) return `offers nothing named ${name}`;
    const candidates = named === undefined ? this.byName.values() : [named];
    for (const candidate of candidates) {
      // By its digest alone, an object is found only if it was there at the last look.
      if (named === undefined && !isAsked(asked, candidate.current)) continue;
      await candidate.check();
      const { current } = candidate;
      if (current !== undefined && isAsked(asked, current)) return current;
    }
    if (named === undefined) return 'offers nothing with this digest';
    return named.current === undefined
      ? `cannot read ${name} now; ask again later`
      : `has other content under the name ${name}; to get that, fetch it again by its name`;
  }

  handleAnswered(): void {
    // An object stays open as long as its path is in that state.
  }

  /** A read of this object has failed; see `ServedPath.handleReadFailure`. */
  handleReadFailure(object: OfferedObject, cause: ReadFailure): void {
    this.byName.get(object.name)?.handleReadFailure(object, cause);
  }

  close(): void {
    clearInterval(this.timer);
    this.abort.abort();
    for (const served of this.byName.values()) served.close();
  }

  private async lookAtAll(): Promise<void> {
    await Promise.all([...this.byName.values()].map((served) => served.check()));
  }
}

function isAsked({ root, manifestDigest }: AskedObject, object: ServedObject | undefined): boolean {
  if (object === undefined) return false;
  const { contentRoot, manifestDigest: ownDigest } = object.index;
  return (
    (root === undefined || isEqualBytes(root, contentRoot)) &&
    (manifestDigest === undefined || isEqualBytes(manifestDigest, ownDigest))
  );
}
