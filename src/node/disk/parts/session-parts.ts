/**
 * The parts of active sessions. If one sender has two sessions with the same object, both use the same part:
 * the second session waits until the first has finished with the part.
 */

import type { PreparedDetails } from '../../../session/incoming/incoming-object.js';
import type { IncomingInfo, SessionReceiverEvent } from '../../../session/receiver-events.js';
import { toHex } from '../../../wire/byte-codec.js';
import type { ExistingFiles } from '../../../wire/messages.js';
import { listExtras } from '../deletion/extra-entries.js';
import type { FileBudget } from '../store/file-budget.js';
import type { PlacedIndex } from '../store/placed-files.js';
import { TargetFolder } from '../store/target-folder.js';
import type { PartOrigin } from './part-origin.js';
import { partIdOf } from './part-origin.js';
import { PartStore } from './part-store.js';
import type { SenderPart } from './stale-parts.js';
import { listPartsOf, removePart } from './stale-parts.js';

export type PrepareEvent = Extract<SessionReceiverEvent, { type: 'prepare' }>;

export interface SessionPartsOptions {
  readonly dir: string;
  /** How to treat existing files; by default as the sender asks. */
  readonly existing?: ExistingFiles;
  /** Whether existing files and folders get the sender's modes. */
  readonly updatesModes: boolean;
  readonly fileBudget: FileBudget;
  readonly verifiesDisk: boolean;
  /** Whether any sender of the object may continue a part, not just the one that started it. */
  readonly sharesParts: boolean;
  /** What each sender has placed. */
  readonly placed: PlacedIndex;
  /** Whether an offer is also compared with existing files that its sender did not place. */
  readonly comparesAll: boolean;
  /** Files and folders that no sender may delete. */
  readonly protectedPaths: readonly string[];
  /**
   * Called with the error when work on a session's part fails. The error is a P2mpError unless the cause is a
   * bug.
   */
  readonly handleFailure: (session: number, error: unknown) => void;
}

/**
 * Maximum number of idle parts per sender. Parts that have not changed for the longest time are removed
 * first.
 */
const maxIdleParts = 64;

/** What the disk holds of an object. */
export interface FoundOnDisk extends Pick<PartStore, 'held' | 'kept'> {
  readonly details: PreparedDetails;
}

interface SessionPart {
  readonly content: PrepareEvent;
  readonly abort: AbortController;
  /** Resolves to undefined if the part could not be opened. */
  readonly store: Promise<PartStore | undefined>;
  /** Number of unfinished operations on the part, plus one while the session lasts. */
  pendingCount: number;
  /** Called when all work is done. */
  readonly resolveDone: () => void;
}

export class SessionParts {
  private readonly parts = new Map<number, SessionPart>();
  /** Work in progress, by the name of the part. Each promise resolves once that work is done. */
  private readonly work = new Map<string, Promise<void>>();

  /** Sessions that only list what they would delete. */
  private readonly listings = new Map<number, AbortController>();

  constructor(private readonly options: SessionPartsOptions) {}

  /**
   * Finds out what the disk holds. If the sender only asks what it would delete, nothing is created.
   * @returns undefined if the session ended in the meantime
   * @throws P2mpError the reason to refuse this session
   */
  async prepare(content: PrepareEvent): Promise<FoundOnDisk | undefined> {
    if (content.deletion === 'list') return this.list(content);
    const store = await this.open(content);
    if (store === undefined) return undefined;
    const { held, kept, unchangedCount: unchangedFiles, extras } = store;
    return { held, kept, details: { unchangedFiles, extras } };
  }

  private async list(content: PrepareEvent): Promise<FoundOnDisk | undefined> {
    const { manifest, info } = content;
    const { dir, protectedPaths } = this.options;
    const abort = new AbortController();
    this.listings.set(info.session, abort);
    try {
      const target = await TargetFolder.open(dir);
      const { signal } = abort;
      const { entries } = await listExtras({ target, manifest, protectedPaths, signal });
      return { held: [], kept: [], details: { extras: entries.keys() } };
    } catch (error) {
      if (abort.signal.aborted) return undefined;
      throw error;
    } finally {
      this.listings.delete(info.session);
    }
  }

  private async open(content: PrepareEvent): Promise<PartStore | undefined> {
    const { session } = content.info;
    const abort = new AbortController();
    const opening = this.openStore(content, abort.signal);
    const { done, resolve } = createSignal();
    const part: SessionPart = {
      content,
      abort,
      store: opening.catch(() => undefined),
      pendingCount: 2,
      resolveDone: resolve,
    };
    this.parts.set(session, part);
    this.setWork(this.idOf(content.info), done);
    void part.store.then(() => this.endWork(part));
    const store = await opening;
    return abort.signal.aborted ? undefined : store;
  }

  /** @returns undefined before `open` is called for this session and after `end` is called */
  infoOf(session: number): IncomingInfo | undefined {
    return this.parts.get(session)?.content.info;
  }

  /** Runs work on a session's part once the part is open. Does nothing if the part could not be opened. */
  use(session: number, work: (store: PartStore) => Promise<void>): void {
    const part = this.parts.get(session);
    if (part === undefined) return;
    part.pendingCount++;
    void part.store
      .then((store) => (store === undefined ? undefined : work(store)))
      .catch((error: unknown) => this.options.handleFailure(session, error))
      .finally(() => this.endWork(part));
  }

  /** Ends a session. If the object is incomplete, the part stays, so that a later session can resume. */
  end(session: number, isComplete: boolean): void {
    this.listings.get(session)?.abort();
    const part = this.parts.get(session);
    if (part === undefined) return;
    if (!isComplete) {
      part.abort.abort();
      this.use(session, (store) => store.suspend());
    }
    this.parts.delete(session);
    this.endWork(part);
    if (!isComplete) this.trimAfter(part);
  }

  /**
   * Removes the parts of older versions of a complete object: parts with the same sender and label. A shared
   * part that another sender last continued stays, because two users may choose the same label. The removal
   * runs in the background. If it fails, the next complete object with this label tries again.
   */
  dropEarlier(info: IncomingInfo): void {
    const { senderKey, lastKey, label } = this.originOf(info);
    const work = this.dropSome(senderKey, (parts) =>
      parts.filter((part) => part.label === label && part.lastKey === lastKey),
    );
    this.setWork(`before ${this.idOf(info)}`, work);
  }

  /** Removes the part of an object that the sender will not offer again. */
  drop(info: IncomingInfo): void {
    void this.dropPart(this.idOf(info));
  }

  /** Resolves once all work of ended sessions is done. */
  async settle(): Promise<void> {
    await Promise.all(this.work.values());
  }

  private async openStore(
    { info, manifest, blockSizeBytes, existing, deletion, listedAtMs }: PrepareEvent,
    signal: AbortSignal,
  ): Promise<PartStore | undefined> {
    const { dir, fileBudget, verifiesDisk, comparesAll, existing: own } = this.options;
    const { updatesModes, protectedPaths } = this.options;
    const objectId = this.idOf(info);
    const origin = this.originOf(info);
    const placed = this.options.placed.ofSender(
      toHex(info.senderKey),
      origin.senderKey,
      listedAtMs,
    );
    await this.work.get(objectId);
    try {
      await this.trim(origin.senderKey);
      return await PartStore.open({
        ...{ dir, objectId, origin, manifest, blockSizeBytes, signal, verifiesDisk },
        existing: own ?? existing,
        ...{ updatesModes, protectedPaths, listsExtras: deletion === 'delete' },
        fileBudget,
        placed: comparesAll ? { ...placed, has: () => true } : placed,
      });
    } catch (error) {
      if (signal.aborted) return undefined;
      throw error;
    }
  }

  private idOf({ objectId, senderKey }: IncomingInfo): string {
    return this.options.sharesParts ? objectId : partIdOf(objectId, senderKey);
  }

  private originOf({ senderKey, label }: IncomingInfo): PartOrigin {
    const lastKey = toHex(senderKey);
    return { senderKey: this.options.sharesParts ? '' : lastKey, lastKey, label };
  }

  private async dropSome(
    senderKey: string,
    choose: (parts: readonly SenderPart[]) => readonly SenderPart[],
  ): Promise<void> {
    const isInUse = (id: string) => this.work.has(id);
    const parts = await listPartsOf(this.options.dir, senderKey, isInUse).catch(() => []);
    // A session may have started to use the part in the meantime.
    for (const { id } of choose(parts)) if (!isInUse(id)) await this.dropPart(id);
  }

  /** Once no session uses this part, removes the sender's oldest idle parts if there are too many. */
  private trimAfter({ content: { info } }: SessionPart): void {
    const id = this.idOf(info);
    const ended = this.work.get(id);
    const trim = async () => {
      await ended;
      await this.trim(this.originOf(info).senderKey);
    };
    this.setWork(`after ${id}`, trim());
  }

  private trim(senderKey: string): Promise<void> {
    return this.dropSome(senderKey, (parts) =>
      [...parts].sort((a, b) => b.changedAtMs - a.changedAtMs).slice(maxIdleParts),
    );
  }

  private dropPart(id: string): Promise<void> {
    const before = this.work.get(id);
    const drop = async () => {
      await before;
      await removePart(this.options.dir, id).catch(() => undefined);
    };
    const work = drop();
    this.setWork(id, work);
    return work;
  }

  private setWork(id: string, done: Promise<void>): void {
    this.work.set(id, done);
    void done.then(() => {
      if (this.work.get(id) === done) this.work.delete(id);
    });
  }

  private endWork(part: SessionPart): void {
    part.pendingCount--;
    if (part.pendingCount === 0) part.resolveDone();
  }
}

/** @returns a note on files that were kept and not compared; empty if there are none */
export function describeKept(count: number): string {
  if (count === 0) return '';
  return `kept ${count} existing ${count === 1 ? 'file' : 'files'}, not compared with the sender's`;
}

function createSignal(): { readonly done: Promise<void>; readonly resolve: () => void } {
  let resolve: () => void = () => undefined;
  const done = new Promise<void>((onDone) => {
    resolve = onDone;
  });
  return { done, resolve };
}
