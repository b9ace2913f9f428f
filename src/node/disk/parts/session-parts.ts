/**
 * The parts of the sessions under way. Two sessions of one sender's object have one part: the second waits
 * until the first one's work on it is done.
 */

import type { IncomingInfo, SessionReceiverEvent } from '../../../session/receiver-events.js';
import { toHex } from '../../../wire/byte-codec.js';
import type { ExistingFiles } from '../../../wire/messages.js';
import type { FileBudget } from '../store/file-budget.js';
import type { PlacedIndex } from '../store/placed-files.js';
import type { PartOrigin } from './part-origin.js';
import { partIdOf } from './part-origin.js';
import { PartStore } from './part-store.js';
import type { SenderPart } from './stale-parts.js';
import { listPartsOf, removePart } from './stale-parts.js';

export type PrepareEvent = Extract<SessionReceiverEvent, { type: 'prepare' }>;

export interface SessionPartsOptions {
  readonly dir: string;
  /** What becomes of files that are there already; what each sender asks for if left out. */
  readonly existing?: ExistingFiles;
  /** Whether files and folders that exist get the sender's modes. */
  readonly updatesModes: boolean;
  readonly fileBudget: FileBudget;
  readonly verifiesDisk: boolean;
  /** Whether a part is anybody's who offers the object, not its sender's alone. */
  readonly sharesParts: boolean;
  /** What each sender has placed. */
  readonly placed: PlacedIndex;
  /** Whether files of others are compared with what a sender offers, too. */
  readonly comparesAll: boolean;
  /** Work on a session's part has failed: with a P2mpError, or by a defect of this program. */
  readonly handleFailure: (session: number, error: unknown) => void;
}

/** Of one sender; those that have not changed for longest go first. */
const maxIdleParts = 64;

interface SessionPart {
  readonly content: PrepareEvent;
  readonly abort: AbortController;
  /** Resolves to undefined where it could not be opened. */
  readonly store: Promise<PartStore | undefined>;
  /** Pieces of work that are not done, and one for the session itself. */
  pendingCount: number;
  /** Called once all of it is done. */
  readonly resolveDone: () => void;
}

export class SessionParts {
  private readonly parts = new Map<number, SessionPart>();
  /** By the part's name, the end of the last session's work on its part. */
  private readonly work = new Map<string, Promise<void>>();

  constructor(private readonly options: SessionPartsOptions) {}

  /**
   * @returns undefined where the session ended meanwhile
   * @throws P2mpError what speaks against this session
   */
  async open(content: PrepareEvent): Promise<PartStore | undefined> {
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

  /** Undefined before a session is prepared, and after its end. */
  infoOf(session: number): IncomingInfo | undefined {
    return this.parts.get(session)?.content.info;
  }

  /** Works on a session's part once it is open; nothing where it could not be opened. */
  use(session: number, work: (store: PartStore) => Promise<void>): void {
    const part = this.parts.get(session);
    if (part === undefined) return;
    part.pendingCount++;
    void part.store
      .then((store) => (store === undefined ? undefined : work(store)))
      .catch((error: unknown) => this.options.handleFailure(session, error))
      .finally(() => this.endWork(part));
  }

  /** The session is over: where it is not complete, its part stays for a resume. */
  end(session: number, isComplete: boolean): void {
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
   * An object is complete: what is kept of the sender's others of that name is of an earlier time. Where parts are
   * anybody's, those that another key has begun stay: two people may call what they send the same.
   * Nothing waits for it; what fails is tried again with the next one.
   */
  dropEarlier(info: IncomingInfo): void {
    const { senderKey, lastKey, label } = this.originOf(info);
    const work = this.dropSome(senderKey, (parts) =>
      parts.filter((part) => part.label === label && part.lastKey === lastKey),
    );
    this.setWork(`before ${this.idOf(info)}`, work);
  }

  /** The sender will not offer the object again. */
  drop(info: IncomingInfo): void {
    void this.dropPart(this.idOf(info));
  }

  /** Resolves once the work of all sessions that have ended is done. */
  async settle(): Promise<void> {
    await Promise.all(this.work.values());
  }

  private async openStore(
    { info, manifest, blockSizeBytes, existing }: PrepareEvent,
    signal: AbortSignal,
  ): Promise<PartStore | undefined> {
    const { dir, fileBudget, verifiesDisk, comparesAll, existing: own } = this.options;
    const { updatesModes } = this.options;
    const objectId = this.idOf(info);
    const origin = this.originOf(info);
    const placed = this.options.placed.ofSender(toHex(info.senderKey), origin.senderKey);
    await this.work.get(objectId);
    try {
      await this.trim(origin.senderKey);
      return await PartStore.open({
        ...{ dir, objectId, origin, manifest, blockSizeBytes, signal, verifiesDisk },
        existing: own ?? existing,
        updatesModes,
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
    // A session may have begun meanwhile.
    for (const { id } of choose(parts)) if (!isInUse(id)) await this.dropPart(id);
  }

  /** The parts of sessions that ended together would else stay until their sender comes again. */
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

function createSignal(): { readonly done: Promise<void>; readonly resolve: () => void } {
  let resolve: () => void = () => undefined;
  const done = new Promise<void>((onDone) => {
    resolve = onDone;
  });
  return { done, resolve };
}
