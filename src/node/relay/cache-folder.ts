/**
 * The cache of a relay on disk. An object is a part that is never finished, with a file beside it that describes the
 * object. So what was written survives `kill -9`, and what cannot be used after a crash is removed at the next start.
 */
import { readdir, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { P2mpError } from '../../base/errors.js';
import type { ContentStore, StoreRequest } from '../../object/content-store.js';
import type { Manifest } from '../../object/manifest.js';
import type { CachedObject, ObjectCache, ObjectHead } from '../../roles/relay/object-cache.js';
import { standardBlockSizeBytes } from '../../wire/sizes.js';
import { makeFolders } from '../disk/fsync.js';
import { isNothingThere } from '../disk/parts/nothing-there.js';
import { partPaths } from '../disk/parts/part-folder.js';
import { readJournal } from '../disk/parts/part-journal.js';
import { PartInUse, PartLock } from '../disk/parts/part-lock.js';
import { PartStore } from '../disk/parts/part-store.js';
import type { PartStoreOptions } from '../disk/parts/part-store-options.js';
import { SessionPart } from '../disk/parts/session-part.js';
import { removePart } from '../disk/parts/stale-parts.js';
import { FileBudget } from '../disk/store/file-budget.js';
import { unfinishedSuffix } from '../disk/write-file-durably.js';
import { fileError } from '../system-error.js';
import { readFacts, readHead, writeHead } from './head-file.js';

const headSuffix = '.object';

/** Marks a folder as a cache, so that nothing is removed from any other folder. */
const markName = 'p2mp-cache';

export interface CacheFolderOptions {
  readonly path: string;
  readonly fileBudget: FileBudget;
  /** Gets an error that does not concern a single open object. The cache works without what has failed. */
  readonly handleError: (error: P2mpError) => void;
}

export class CacheFolder implements ObjectCache {
  /** Work in progress, by object. */
  private readonly work = new Map<string, Promise<void>>();
  private readonly saving = new Map<string, Promise<void>>();

  private constructor(
    private readonly options: CacheFolderOptions,
    private readonly lock: PartLock,
    readonly objects: readonly CachedObject[],
  ) {}

  /**
   * Creates the folder if it is missing, locks it, and removes from it what a crash has left.
   * @throws P2mpError TARGET_UNWRITABLE if it cannot be used, holds something else, or another process uses it
   */
  static async open(options: CacheFolderOptions): Promise<CacheFolder> {
    const { path } = options;
    const makeFolder = async () => {
      await makeFolders(path, 0o700).catch((error: unknown) => {
        throw fileError('TARGET_UNWRITABLE', path, error);
      });
    };
    if (!(await isCache(path, 'new'))) {
      await makeFolder();
      await writeFile(join(path, markName), 'The cache of a p2mp relay.\n').catch(
        (error: unknown) => {
          throw fileError('TARGET_UNWRITABLE', path, error);
        },
      );
    }
    const lock = await PartLock.acquire(join(path, 'lock'), makeFolder, path).catch(
      (error: unknown) => {
        if (!(error instanceof PartInUse)) throw fileError('TARGET_UNWRITABLE', path, error);
        const remedy = 'stop it, or choose another folder';
        const message = `${path}: is the cache of another process; ${remedy}`;
        throw new P2mpError('TARGET_UNWRITABLE', message, { cause: error });
      },
    );
    try {
      return new CacheFolder(options, lock, await readObjects(path));
    } catch (error) {
      await lock.release();
      throw fileError('TARGET_UNWRITABLE', path, error);
    }
  }

  load(id: string, take: (head: ObjectHead | undefined) => void): void {
    void this.after(id, async () => take(await readHead(this.headPath(id))));
  }

  save(id: string, head: ObjectHead): void {
    const path = this.headPath(id);
    const saved = writeHead(path, head).catch((error: unknown) =>
      this.options.handleError(fileError('TARGET_FAILED', path, error)),
    );
    this.saving.set(id, saved);
    void saved.then(() => this.saving.delete(id));
  }

  open(
    id: string,
    contentSizeBytes: number,
    head: ObjectHead | undefined,
    handleFailure: (error: unknown) => void,
  ): ContentStore {
    const { path: dir, fileBudget } = this.options;
    const manifest = manifestOf(contentSizeBytes);
    const before = this.work.get(id);
    const part = new SessionPart({
      request: requestFor(id, manifest),
      openPart: async (signal, handleNothing) => {
        await before;
        if (signal.aborted) return undefined;
        const options: PartStoreOptions = {
          ...{ dir, partId: id, manifest, fileBudget, signal, existing: 'update' },
          blockSizeBytes: standardBlockSizeBytes,
          ...(head === undefined ? {} : { leafOf: (block) => head.digestTree.leaf(block) }),
        };
        if (await isNothingThere(options)) handleNothing();
        return PartStore.open(options);
      },
      handleFailure,
      handleBadBlock: () => undefined,
      handleEnd: () => undefined,
    });
    this.setWork(id, part.done);
    return part;
  }

  touch(id: string): void {
    const now = new Date();
    // If the time cannot be set, the object counts as unused for longer after a restart.
    utimes(this.headPath(id), now, now).catch(() => undefined);
  }

  remove(id: string, handleRemoved: (isGone: boolean) => void): void {
    const { path } = this.options;
    void this.after(id, async () => {
      await this.saving.get(id);
      let isGone = true;
      try {
        await removeObject(path, id);
      } catch (error) {
        isGone = false;
        this.options.handleError(fileError('TARGET_FAILED', path, error));
      }
      handleRemoved(isGone);
    });
  }

  /** Resolves once all work is done and the folder is unlocked. */
  async close(): Promise<void> {
    await Promise.all(this.saving.values());
    while (this.work.size > 0) await Promise.all(this.work.values());
    await this.lock.release();
  }

  private headPath(id: string): string {
    return join(this.options.path, `${id}${headSuffix}`);
  }

  /** Does something after whatever is being done with an object. */
  private after(id: string, work: () => Promise<void>): Promise<void> {
    const before = this.work.get(id) ?? Promise.resolve();
    const done = before.then(work);
    this.setWork(id, done);
    return done;
  }

  private setWork(id: string, done: Promise<void>): void {
    this.work.set(id, done);
    void done.then(() => {
      if (this.work.get(id) === done) this.work.delete(id);
    });
  }
}

/**
 * Lists the objects of a cache that no relay uses; the one that was used the longest time ago comes first.
 * @throws P2mpError TARGET_UNWRITABLE
 */
export async function listCache(path: string): Promise<readonly CachedObject[]> {
  const { folder } = await openAlone(path);
  await folder.close();
  return folder.objects;
}

/**
 * Removes all objects from a cache that no relay uses.
 * @returns what was there
 * @throws P2mpError TARGET_UNWRITABLE; TARGET_FAILED if something cannot be removed
 */
export async function clearCache(path: string): Promise<readonly CachedObject[]> {
  const { folder, errors } = await openAlone(path);
  const removals = folder.objects.map(
    ({ id }) => new Promise<void>((resolve) => folder.remove(id, () => resolve())),
  );
  await Promise.all(removals);
  await folder.close();
  const [first] = errors;
  if (first !== undefined) throw first;
  return folder.objects;
}

async function openAlone(path: string): Promise<{ folder: CacheFolder; errors: P2mpError[] }> {
  await isCache(path, 'existing');
  const errors: P2mpError[] = [];
  const folder = await CacheFolder.open({
    ...{ path, fileBudget: new FileBudget(1) },
    handleError: (error) => errors.push(error),
  });
  return { folder, errors };
}

/**
 * @returns whether the folder is a cache; false if it is missing or empty, and may become one
 * @throws P2mpError TARGET_UNWRITABLE
 */
async function isCache(path: string, wanted: 'new' | 'existing'): Promise<boolean> {
  const names: string[] = await readdir(path).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT' && wanted === 'new') return [];
    throw fileError('TARGET_UNWRITABLE', path, error);
  });
  if (names.includes(markName)) return true;
  if (names.length === 0 && wanted === 'new') return false;
  const message = `${path}: is not the cache of a relay; choose an empty folder, or one that does not exist`;
  throw new P2mpError('TARGET_UNWRITABLE', message);
}

async function removeObject(path: string, id: string): Promise<void> {
  // First what makes the content of use.
  await rm(join(path, `${id}${headSuffix}`), { force: true });
  await removePart(path, id);
}

/** Reads what a cache holds, the one that was used the longest time ago first, and removes what is of no use. */
async function readObjects(path: string): Promise<CachedObject[]> {
  const found: { readonly object: CachedObject; readonly usedAtMs: number }[] = [];
  const names = await readdir(path);
  for (const name of names) {
    if (name.endsWith(unfinishedSuffix)) await rm(join(path, name), { force: true });
    if (!name.endsWith(headSuffix)) continue;
    const id = name.slice(0, -headSuffix.length);
    const facts = await readFacts(join(path, name));
    const durable = await readDurable(path, id, facts?.contentSizeBytes ?? 0);
    if (facts === undefined || durable === undefined) {
      await removeObject(path, id);
      continue;
    }
    const isWhole = durable === facts.contentSizeBytes;
    const { mtimeMs: usedAtMs } = await stat(join(path, name));
    found.push({ object: { ...facts, id, isWhole }, usedAtMs });
  }
  const ids = new Set(found.map(({ object }) => object.id));
  const parts = await readdir(partPaths(path, '').parts).catch(() => []);
  for (const name of parts)
    if (/^[0-9a-f]{64}$/.test(name) && !ids.has(name)) await removePart(path, name);
  return found.toSorted((a, b) => a.usedAtMs - b.usedAtMs).map(({ object }) => object);
}

/** @returns how much of an object the journal records; undefined without a journal */
async function readDurable(
  path: string,
  partId: string,
  contentSizeBytes: number,
): Promise<number | undefined> {
  const { journal } = partPaths(path, partId);
  const content = await readJournal(journal, { partId, contentSizeBytes });
  return content === undefined ? undefined : content.held.count + content.written.count;
}

/** In the cache, the content is one file, whatever the object consists of. */
function manifestOf(contentSizeBytes: number): Manifest {
  const file = { kind: 'file', name: 'content', mode: 0o600, modifiedMs: 0 } as const;
  return { entries: [{ ...file, sizeBytes: contentSizeBytes }], contentSizeBytes };
}

function requestFor(manifestDigest: string, manifest: Manifest): StoreRequest {
  return {
    ...{ manifestDigest, label: '', senderKey: new Uint8Array(0), session: 0, manifest },
    ...{ blockSizeBytes: standardBlockSizeBytes, existing: 'update', deletion: 'none' },
    listedAtMs: 0,
  };
}
