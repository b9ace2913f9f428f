/**
 * Lists what a sender with `--delete` would delete: the entries in the folders of an object that the object does not
 * contain. Nothing above these folders, on another disk, or in the state of p2mp is listed. Each entry is listed with
 * its identity, so that it is deleted only if it is still the same.
 */
import { isUtf8 } from 'node:buffer';
import type { BigIntStats } from 'node:fs';
import { lstat, opendir, realpath, stat } from 'node:fs/promises';
import { basename, dirname, join, sep } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { at } from '../../../base/assert.js';
import { escapeControls } from '../../../base/control-characters.js';
import { P2mpError } from '../../../base/errors.js';
import { formatCount } from '../../../base/format.js';
import { checkEntryName } from '../../../object/entry-name.js';
import type { Manifest } from '../../../object/manifest.js';
import { isLongerUtf8 } from '../../../wire/byte-codec.js';
import type { Extra, UndeletedCause } from '../../../wire/lists.js';
import { maxNameBytesPerPart } from '../../../wire/lists.js';
import { forEachInTurns, namesPerTurn } from '../../in-turns.js';
import { diskConcurrency, forEachLimited, mapLimited } from '../../limited-concurrency.js';
import { describeError, systemCode } from '../../system-error.js';
import { isStateName, partsFolderName } from '../parts/part-folder.js';
import { mountPoints } from '../store/same-disk.js';
import { SpreadMap } from '../store/spread-map.js';
import { type TargetFolder, TargetSurvey } from '../store/target-folder.js';

/** Maximum number of entries that one session deletes. */
const maxExtras = 200_000;

/** By what an entry is recognized. */
export interface EntryIdentity {
  readonly dev: bigint;
  readonly ino: bigint;
  /** Undefined for folders: the deletion of its content changes the size and the times of a folder. */
  readonly state: FileState | undefined;
}

interface FileState {
  readonly sizeBytes: bigint;
  readonly modifiedNs: bigint;
  /** Undefined for a file with several hard links: the deletion of another link also changes this time (ctime). */
  readonly changedNs: bigint | undefined;
}

export function identifyExtra(stats: BigIntStats): EntryIdentity {
  const { dev, ino, nlink, size, mtimeNs, ctimeNs } = stats;
  if (stats.isDirectory()) return { dev, ino, state: undefined };
  const changedNs = nlink > 1n ? undefined : ctimeNs;
  return { dev, ino, state: { sizeBytes: size, modifiedNs: mtimeNs, changedNs } };
}

export function isSameExtra(stats: BigIntStats, { dev, ino, state }: EntryIdentity): boolean {
  if (stats.dev !== dev || stats.ino !== ino) return false;
  if (stats.isDirectory() || state === undefined) return stats.isDirectory() && state === undefined;
  const { sizeBytes, modifiedNs, changedNs } = state;
  if (stats.size !== sizeBytes || stats.mtimeNs !== modifiedNs) return false;
  return changedNs === undefined || stats.ctimeNs === changedNs;
}

/** An entry that was not deleted, with the reason as text for users. */
export interface KeptExtra {
  readonly name: string;
  readonly cause: UndeletedCause;
  readonly reason: string;
}

export interface ExtraEntries {
  /** In the order of deletion: the content of a folder comes before the folder. */
  readonly entries: ReadonlyMap<Extra, EntryIdentity>;
  /** Entries that cannot be deleted, as was found before anything was sent. */
  readonly kept: readonly KeptExtra[];
}

export interface ListExtrasOptions {
  readonly target: TargetFolder;
  readonly manifest: Manifest;
  /** Files and folders that must not be deleted, such as those with keys. */
  readonly protectedPaths: readonly string[];
  readonly signal?: AbortSignal | undefined;
}

/**
 * @throws P2mpError TARGET_UNWRITABLE if a folder of the object is a link, or there are too many entries; the signal's
 *   reason
 */
export async function listExtras(options: ListExtrasOptions): Promise<ExtraEntries> {
  const { target, manifest, protectedPaths } = options;
  const names = new SpreadMap<string, true>();
  await forEachInTurns(manifest.entries, ({ name }) => names.set(name, true), options.signal);
  const below = target.root.endsWith(sep) ? target.root : `${target.root}${sep}`;
  const listing = new Listing(options, names, {
    device: (await stat(target.root)).dev,
    mounts: new Set((await mountPoints()).filter((path) => path.startsWith(below))),
    ...(await guard([...protectedPaths, target.path(partsFolderName)])),
  });
  await listing.run();
  return listing;
}

/** What deletion must not touch or cross. */
interface Bounds {
  /** Device of the target folder. */
  readonly device: number;
  /** Paths of mount points below the target folder. */
  readonly mounts: ReadonlySet<string>;
  /** Inodes of protected files and folders: they may have several names. */
  readonly guardedInodes: ReadonlySet<string>;
  /** Paths of the same: an editor may replace a file while the folder is listed. */
  readonly guardedPaths: ReadonlySet<string>;
}

interface Child {
  readonly name: string;
  /** Whether the name is UTF-8, and so can be compared and sent. */
  readonly isText: boolean;
}

class Listing implements ExtraEntries {
  readonly entries = new Map<Extra, EntryIdentity>();
  readonly kept: KeptExtra[] = [];

  constructor(
    private readonly options: ListExtrasOptions,
    private readonly names: SpreadMap<string, true>,
    private readonly bounds: Bounds,
  ) {}

  async run(): Promise<void> {
    const { target, manifest, signal } = this.options;
    const survey = new TargetSurvey(target);
    // The last folder below which nothing is listed, with a slash at the end. In a manifest, the content of a folder
    // comes directly after the folder.
    let closed: string | undefined;
    for (const [index, entry] of manifest.entries.entries()) {
      if (index % namesPerTurn === namesPerTurn - 1) await nextTurn();
      if (entry.kind !== 'folder' || (closed !== undefined && entry.name.startsWith(closed))) {
        continue;
      }
      signal?.throwIfAborted();
      if (!(await survey.hasFolder(entry.name))) continue;
      const stats = await survey.look(entry.name);
      if (stats === undefined) continue;
      if (this.isClosed(entry.name, stats)) closed = `${entry.name}/`;
      else if (entry.isHolder !== true) await this.listFolder(entry.name, index, stats);
    }
  }

  /** Lists the extra entries of a folder of the object. */
  private async listFolder(folder: string, index: number, stats: BigIntStats): Promise<void> {
    const children = await this.read(folder);
    if (children === undefined) return;
    const extras = children.filter(
      ({ name, isText }) => !isText || this.names.get(name) === undefined,
    );
    if (extras.length === 0) return;
    const aliases = await this.findAliases(folder, index, children);
    await this.listAll(folder, stats, extras, aliases);
  }

  /**
   * Finds inodes of entries of the object that the disk lists under other names, because it ignores case, for
   * example. Such a name looks like an extra entry, but is the sender's.
   * @param index the place of the folder in the manifest, directly before its content
   */
  private async findAliases(
    folder: string,
    index: number,
    children: readonly Child[],
  ): Promise<ReadonlySet<string>> {
    const { target, manifest } = this.options;
    const listed = new Set(children.map(({ name }) => name));
    const unseen: string[] = [];
    const prefix = `${folder}/`;
    for (let i = index + 1; i < manifest.entries.length; i++) {
      if (i % namesPerTurn === 0) await nextTurn();
      const { name } = at(manifest.entries, i);
      if (!name.startsWith(prefix)) break;
      if (!name.includes('/', prefix.length) && !listed.has(name)) unseen.push(name);
    }
    const found = await mapLimited(unseen, diskConcurrency, (name) => inodeOf(target.path(name)));
    return new Set(found.flat());
  }

  /**
   * Lists extra entries of one folder, and everything below them.
   * @returns whether all of them can be deleted
   */
  private async listAll(
    folder: string,
    before: BigIntStats,
    children: readonly Child[],
    aliases: ReadonlySet<string>,
  ): Promise<boolean> {
    const { target, signal } = this.options;
    const found = await mapLimited(children, diskConcurrency, ({ name }) => {
      signal?.throwIfAborted();
      return lookAt(target.path(name));
    });
    // If another folder or a link has taken the place of the folder meanwhile, its entries are not what was listed.
    if (!isStillAt(target, folder, before)) return false;
    let isWhole = true;
    for (const [i, child] of children.entries()) {
      if (i % namesPerTurn === namesPerTurn - 1) await nextTurn();
      const stats = found[i];
      const { name, isText } = child;
      if (!isText) isWhole = this.keep({ name, cause: 'failed', reason: 'its name is not UTF-8' });
      if (!isText || stats === undefined) continue;
      const isAlias = aliases.has(inodeText(stats));
      if (isAlias || !(await this.listOne(name, stats))) isWhole = false;
    }
    return isWhole;
  }

  private async listOne(name: string, stats: BigIntStats): Promise<boolean> {
    if (this.isClosed(name, stats)) return false;
    if (isLongerUtf8(name, maxNameBytesPerPart) || checkEntryName(name, 'posix') !== undefined) {
      const shown = `${name.slice(0, 200)}…`;
      return this.keep({
        name: shown,
        cause: 'failed',
        reason: 'its name is too long, or too deep',
      });
    }
    const isFolder = stats.isDirectory();
    if (isFolder) {
      const children = await this.read(name);
      if (children === undefined) return false;
      if (!(await this.listAll(name, stats, children, noAliases))) return false;
    }
    this.entries.set({ name, isFolder }, identifyExtra(stats));
    this.checkCount(name);
    return true;
  }

  /** @returns the entries of a folder; undefined if it cannot be read */
  private async read(folder: string): Promise<Child[] | undefined> {
    const { target, manifest, signal } = this.options;
    const mostChildren = manifest.entries.length + maxExtras;
    try {
      const children: Child[] = [];
      // Node's types declare names as strings only.
      const options = { encoding: 'buffer' as BufferEncoding, bufferSize: namesPerTurn };
      for await (const { name } of await opendir(target.path(folder), options)) {
        signal?.throwIfAborted();
        const bytes = name as unknown as Buffer;
        const isText = isUtf8(bytes);
        const shown = isText ? bytes.toString() : escapeControls(bytes.toString('latin1'));
        children.push({ name: `${folder}/${shown}`, isText });
        if (children.length > mostChildren) throw this.tooMany(folder);
      }
      return children;
    } catch (error) {
      signal?.throwIfAborted();
      if (error instanceof P2mpError) throw error;
      // The folder has disappeared.
      if (systemCode(error) === 'ENOENT') return undefined;
      const isDenied = systemCode(error) === 'EACCES';
      const reason = `cannot be read: ${describeError(error)}`;
      this.keep({ name: folder, cause: isDenied ? 'denied' : 'failed', reason });
      return undefined;
    }
  }

  private keep(kept: KeptExtra): false {
    this.kept.push(kept);
    this.checkCount(kept.name);
    return false;
  }

  private checkCount(name: string): void {
    if (this.entries.size + this.kept.length <= maxExtras) return;
    throw this.tooMany(name.slice(0, name.lastIndexOf('/')));
  }

  private tooMany(folder: string): P2mpError {
    return new P2mpError(
      'TARGET_UNWRITABLE',
      `${this.options.target.shown(folder)}: more than ${formatCount(maxExtras)} entries would be deleted; delete some there first, or send without --delete`,
    );
  }

  /**
   * Whether neither this entry nor anything below it is listed: it lies on another disk, or is p2mp's own, such as the
   * parts of a receiver into this folder, probes, and protected paths.
   */
  private isClosed(name: string, stats: BigIntStats): boolean {
    const { device, mounts, guardedInodes, guardedPaths } = this.bounds;
    const path = this.options.target.path(name);
    return (
      stats.dev !== BigInt(device) ||
      mounts.has(path) ||
      isStateName(name.slice(name.lastIndexOf('/') + 1)) ||
      guardedPaths.has(path) ||
      guardedInodes.has(inodeText(stats))
    );
  }
}

const noAliases: ReadonlySet<string> = new Set();

function inodeText({ dev, ino }: BigIntStats): string {
  return `${dev}:${ino}`;
}

async function lookAt(path: string): Promise<BigIntStats | undefined> {
  return lstat(path, { bigint: true }).catch(() => undefined);
}

/** @returns the inode of the entry itself, as a list of at most one */
async function inodeOf(path: string): Promise<string[]> {
  const stats = await lookAt(path);
  return stats === undefined ? [] : [inodeText(stats)];
}

/** Whether the name refers to this folder, and no folder on the way to it is a link. */
function isStillAt(target: TargetFolder, folder: string, before: BigIntStats): boolean {
  try {
    target.checkOpened(folder, 'TARGET_UNWRITABLE', before);
    return true;
  } catch {
    return false;
  }
}

/** Finds the inodes and the paths of files and folders. If a path is a link, its target counts too. */
async function guard(
  paths: readonly string[],
): Promise<Pick<Bounds, 'guardedInodes' | 'guardedPaths'>> {
  const inodes: string[] = [];
  const guardedPaths = new Set<string>();
  await forEachLimited(paths, diskConcurrency, async (path) => {
    const stats = await stat(path, { bigint: true }).catch(() => undefined);
    if (stats !== undefined) inodes.push(inodeText(stats));
    inodes.push(...(await inodeOf(path)));
    const folder = await realpath(dirname(path)).catch(() => undefined);
    if (folder !== undefined) guardedPaths.add(join(folder, basename(path)));
    const actual = await realpath(path).catch(() => undefined);
    if (actual !== undefined) guardedPaths.add(actual);
  });
  return { guardedInodes: new Set(inodes), guardedPaths };
}
