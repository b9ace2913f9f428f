/**
 * Collects the entries of an object from paths. The order of the entries depends only on their names, so that
 * the same tree always gives the same object.
 */
import { isUtf8 } from 'node:buffer';
import type { Stats } from 'node:fs';
import { access, constants, lstat, open, opendir, readlink, stat } from 'node:fs/promises';
import { basename, sep } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { at } from '../../../base/assert.js';
import { P2mpError } from '../../../base/errors.js';
import { formatCount } from '../../../base/format.js';
import { describeNameFault, readEntryName } from '../../../object/entry-name.js';
import type { Entry } from '../../../object/manifest.js';
import { isInside, manifestLimits } from '../../../object/manifest.js';
import { forEachInTurns, namesPerTurn } from '../../in-turns.js';
import { mapLimited } from '../../limited-concurrency.js';
import { describeError, fileError, systemCode } from '../../system-error.js';
import { partsFolderName } from '../parts/part-folder.js';
import { holderOf, readDestination } from './destination.js';
import type { Exclusions } from './exclusions.js';
import { checkSize, isSizeDoubtful } from './reported-size.js';
import { sortInTurns } from './sort-in-turns.js';

/**
 * Number of entries inspected at a time, enough to keep Node's thread pool busy. No inspection keeps a file
 * open for long.
 */
const inspectedAtOnce = 32;

/** Inspected entries to process per turn. */
const takenAtOnce = 1000;

/** Limit of times in a manifest, which is the limit of JavaScript dates. Some file systems allow more. */
const maxTimeMs = 8.64e15;

export interface FoundEntry {
  readonly entry: Entry;
  readonly path: string;
  /** Whether the user gave this path. A link at such a path is followed. */
  readonly isGiven: boolean;
}

/** An entry that is not sent. */
export interface SkippedEntry {
  readonly name: string;
  readonly reason: string;
}

export interface WalkedEntries {
  /** In manifest order. */
  readonly found: readonly FoundEntry[];
  readonly skipped: readonly SkippedEntry[];
  /** The names of the folders that the user named, each with a slash at the end; empty for the receiver's own folder. */
  readonly roots: readonly string[];
  /** The name of the entry for standard input. */
  readonly inputName: string;
  /** Patterns that matched nothing. */
  readonly unusedPatterns: readonly string[];
}

/** An entry whose name is known. */
interface Candidate {
  /** Last component of the name. The entries of a folder are sorted by these bytes. */
  readonly nameBytes: Buffer;
  /** The name as in the manifest. If the name is not UTF-8, it is escaped for display. */
  readonly name: string;
  readonly path: string;
  readonly isGiven: boolean;
  /** Why receivers would not accept the name. */
  readonly fault?: string;
}

/** Errors caused by this host, not by a file. Skipping files because of such errors would omit most of a folder. */
const hostFaults = new Set(['EMFILE', 'ENFILE', 'ENOMEM']);

/** Errors for a file that has disappeared since its folder was listed. */
const vanishedCodes = new Set(['ENOENT', 'ENOTDIR', 'ESTALE']);
const replacedCodes = new Set(['ELOOP', 'ENXIO']);

type Inspected =
  | 'excluded'
  | { readonly reason: string }
  | { readonly entry: Entry; readonly below: Candidate[] };

export interface WalkOptions {
  /** As given by the user; `-` gets the name `inputName` and is otherwise left to the caller. */
  readonly paths: readonly string[];
  readonly inputName: string;
  /** The destination at the receivers: `NAME` or `FOLDER/`. */
  readonly dest?: string;
  /** What is not sent from the folders that the user named. */
  readonly exclusions?: Exclusions;
  readonly signal?: AbortSignal;
}

/**
 * Below a folder, unreadable entries are skipped with a reason; an unreadable path given by the user is an error.
 * Unfinished parts of a receiver are not part of the object.
 * @throws P2mpError SOURCE_UNREADABLE; INVALID_ARGUMENT if two paths give the same name, or for a bad `dest`;
 *   the signal's reason after it aborts
 */
export async function walkEntries(options: WalkOptions): Promise<WalkedEntries> {
  const { paths, inputName, dest, signal } = options;
  const [only] = paths;
  const isContent = paths.length === 1 && only !== undefined && isContentPath(only);
  const { folders, rename } = readDestination(dest, paths.length, isContent);
  const into = folders.at(-1);
  const prefix = into === undefined ? '' : `${into}/`;
  const givers = new Map<string, string>();
  const claim = (nameBytes: Buffer, path: string) => {
    const key = nameBytes.toString('latin1');
    const other = givers.get(key);
    if (other !== undefined) throw sameName(nameBytes.toString(), other, path);
    givers.set(key, path);
  };
  const candidates: Candidate[] = [];
  const roots: string[] = [];
  let contentPath: string | undefined;
  for (const path of paths) {
    signal?.throwIfAborted();
    if (path === '-') {
      claim(Buffer.from(rename ?? inputName), path);
      continue;
    }
    const isFolderContent = isContentPath(path);
    if (isFolderContent) contentPath ??= path;
    roots.push(isFolderContent ? prefix : `${prefix}${rename ?? basename(path)}/`);
    for (const candidate of await listGiven(path, prefix, rename)) {
      claim(candidate.nameBytes, path);
      candidates.push(candidate);
    }
  }
  candidates.sort((a, b) => Buffer.compare(a.nameBytes, b.nameBytes));
  const walk = new Walk(options, { roots, inputName: `${prefix}${rename ?? inputName}` });
  for (const folder of folders) {
    // The content of `.` goes into this folder, so the folder is sent as well.
    const isSent = folder === into && contentPath !== undefined;
    walk.found.push(
      isSent
        ? await sentFolder(folder, contentPath as string)
        : { entry: holderOf(folder), path: '', isGiven: true },
    );
  }
  await walk.visit(candidates, prefix.length);
  return walk;
}

async function sentFolder(name: string, path: string): Promise<FoundEntry> {
  const stats = await stat(path).catch((error: unknown) => {
    throw fileError('SOURCE_UNREADABLE', path, error);
  });
  const entry = { kind: 'folder', name, mode: stats.mode & 0o777, modifiedMs: modifiedMsOf(stats) };
  return { entry: entry as Entry, path, isGiven: true };
}

/** The modification time of a file, limited to the range that a manifest can hold. */
export function modifiedMsOf(stats: Pick<Stats, 'mtimeMs'>): number {
  return Math.max(-maxTimeMs, Math.min(stats.mtimeMs, maxTimeMs));
}

class Walk implements WalkedEntries {
  readonly found: FoundEntry[] = [];
  readonly skipped: SkippedEntry[] = [];
  readonly roots: readonly string[];
  readonly inputName: string;

  constructor(
    private readonly options: Pick<WalkOptions, 'exclusions' | 'signal'>,
    { roots, inputName }: Pick<WalkedEntries, 'roots' | 'inputName'>,
  ) {
    this.roots = roots;
    this.inputName = inputName;
  }

  get unusedPatterns(): readonly string[] {
    return this.options.exclusions?.unused ?? [];
  }

  /**
   * @param candidates all entries of one folder, in order
   * @param rootLength the length of the root's name; patterns are matched against the rest of each name
   */
  async visit(candidates: readonly Candidate[], rootLength: number): Promise<void> {
    const { exclusions, signal } = this.options;
    const inspected = await mapLimited(candidates, inspectedAtOnce, (candidate) => {
      signal?.throwIfAborted();
      const isExcluded = (isFolder: boolean) =>
        !candidate.isGiven && exclusions?.has(candidate.name.slice(rootLength), isFolder) === true;
      return inspect(candidate, isExcluded);
    });
    for (const [i, { name, path, isGiven }] of candidates.entries()) {
      if (i % takenAtOnce === takenAtOnce - 1) await nextTurn();
      const result = at(inspected, i);
      if (result === 'excluded') continue;
      if ('reason' in result) {
        this.skipped.push({ name, reason: result.reason });
        continue;
      }
      this.found.push({ entry: result.entry, path, isGiven });
      if (this.found.length > manifestLimits.entryCount) {
        const most = formatCount(manifestLimits.entryCount);
        throw new P2mpError(
          'INVALID_ARGUMENT',
          `${path}: more than ${most} files and folders; send them in parts`,
        );
      }
      const below = isGiven ? name.length + 1 : rootLength;
      if (result.below.length > 0) await this.visit(result.below, below);
    }
  }
}

/**
 * Lists what a path given by the user stands for: the path itself or, if the path has no name of its own
 * (such as `.`), the content of the folder at this path.
 */
async function listGiven(
  path: string,
  prefix: string,
  rename: string | undefined,
): Promise<Candidate[]> {
  if (path === '')
    throw new P2mpError('INVALID_ARGUMENT', 'a path is empty; name a file or folder');
  if (isContentPath(path)) return listFolder(path, prefix);
  const name = basename(path);
  if (name === partsFolderName) {
    throw new P2mpError(
      'INVALID_ARGUMENT',
      `${path}: holds unfinished transfers of a receiver; send the received files instead`,
    );
  }
  const sentName = rename ?? name;
  const nameBytes = Buffer.from(sentName);
  return [{ nameBytes, name: prefix + sentName, path, isGiven: true }];
}

/** Whether a path has no name of its own and stands for the content of a folder. */
function isContentPath(path: string): boolean {
  return path !== '' && path !== '-' && ['', '.', '..'].includes(basename(path));
}

const partsFolderNameBytes = Buffer.from(partsFolderName);

/** @param prefix start of the name of every entry in this folder */
async function listFolder(path: string, prefix: string): Promise<Candidate[]> {
  const names = await readNames(path).catch((error: unknown) => {
    throw fileError('SOURCE_UNREADABLE', path, error);
  });
  // Do not use `join`, which would resolve `..` lexically instead of following links.
  const isEnded = path.endsWith('/') || path.endsWith(sep);
  const folder = isEnded ? path : path.endsWith('/.') ? path.slice(0, -1) : `${path}/`;
  const candidates: Candidate[] = [];
  await forEachInTurns(await sortInTurns(names, Buffer.compare), (nameBytes) => {
    if (nameBytes.equals(partsFolderNameBytes)) return;
    candidates.push(candidateOf(nameBytes, prefix, folder));
  });
  return candidates;
}

/** Reads names as bytes, because text would hide invalid UTF-8. */
async function readNames(path: string): Promise<Buffer[]> {
  const names: Buffer[] = [];
  // Node's types declare names as strings only.
  const options = { encoding: 'buffer' as BufferEncoding, bufferSize: namesPerTurn };
  for await (const { name } of await opendir(path, options)) names.push(name as unknown as Buffer);
  return names;
}

function candidateOf(nameBytes: Buffer, prefix: string, folder: string): Candidate {
  const part = nameBytes.toString();
  if (!isUtf8(nameBytes)) {
    const name = prefix + printable(nameBytes);
    return { nameBytes, name, path: folder + part, isGiven: false, fault: 'is not UTF-8' };
  }
  const name = prefix + part;
  const read = readEntryName(Buffer.from(name), 'posix');
  return {
    nameBytes,
    name,
    path: folder + part,
    isGiven: false,
    ...(typeof read === 'string' ? { fault: describeNameFault(read) } : {}),
  };
}

/** @param isExcluded whether the entry is excluded, which can depend on whether it is a folder */
async function inspect(
  candidate: Candidate,
  isExcluded: (isFolder: boolean) => boolean,
): Promise<Inspected> {
  const { name, path, isGiven, fault } = candidate;
  if (fault !== undefined) return { reason: `its name ${fault}` };
  try {
    const stats = await (isGiven ? stat(path) : lstat(path));
    if (isExcluded(stats.isDirectory())) return 'excluded';
    if (stats.isSymbolicLink()) return await inspectLink(candidate);
    const common = { name, mode: stats.mode & 0o777, modifiedMs: modifiedMsOf(stats) };
    if (stats.isDirectory()) {
      const below = await listFolder(path, `${name}/`);
      return { entry: { kind: 'folder', ...common }, below };
    }
    if (!stats.isFile()) return refuse(candidate, stats);
    if (isSizeDoubtful(stats)) return await inspectContent(candidate);
    await access(path, constants.R_OK);
    return { entry: { kind: 'file', ...common, sizeBytes: stats.size }, below: [] };
  } catch (error) {
    if (isGiven || hostFaults.has(systemCode(error))) {
      throw fileError('SOURCE_UNREADABLE', path, error);
    }
    return { reason: describeLoss(error) };
  }
}

/** Why a listed entry below a folder could not be read. */
function describeLoss(error: unknown): string {
  const { cause = error } = error as Error;
  const code = systemCode(cause);
  if (vanishedCodes.has(code)) return 'was removed meanwhile';
  if (replacedCodes.has(code)) return 'was replaced meanwhile';
  return `cannot be read: ${describeError(cause)}`;
}

/** Inspects a file that reports no size or no blocks. */
async function inspectContent(candidate: Candidate): Promise<Inspected> {
  const { name, path, isGiven } = candidate;
  const { O_RDONLY, O_NONBLOCK, O_NOFOLLOW } = constants;
  // In the meantime, a pipe or a link may have replaced the file.
  const handle = await open(path, O_RDONLY | O_NONBLOCK | (isGiven ? 0 : O_NOFOLLOW));
  try {
    const { stats, fault: sizeFault } = await checkSize(handle);
    if (!stats.isFile()) return refuse(candidate, stats);
    if (sizeFault !== undefined) return refuseSize(candidate, sizeFault);
    const common = { name, mode: stats.mode & 0o777, modifiedMs: modifiedMsOf(stats) };
    return { entry: { kind: 'file', ...common, sizeBytes: stats.size }, below: [] };
  } finally {
    await handle.close();
  }
}

function refuseSize({ name, path, isGiven }: Candidate, sizeFault: string): Inspected {
  if (!isGiven) return { reason: `${sizeFault}; send it through a pipe (p2mp send -)` };
  throw new P2mpError(
    'SOURCE_UNREADABLE',
    `${path}: ${sizeFault}; send it through a pipe: cat ${path} | p2mp send - --stdin-name ${name} --to ...`,
  );
}

async function inspectLink({ name, path }: Candidate): Promise<Inspected> {
  const targetBytes = await readlink(path, { encoding: 'buffer' });
  if (!isUtf8(targetBytes)) return { reason: 'its link target is not UTF-8' };
  const target = targetBytes.toString().replaceAll(sep, '/');
  const entry = { kind: 'link', name, target } as const;
  if (!isInside(entry, 'posix'))
    return { reason: `its target ${target} is outside of what is sent` };
  return { entry, below: [] };
}

/**
 * Refuses an entry that is not a regular file. In a folder, such an entry is skipped; if the user gave its
 * path, it is an error.
 */
function refuse({ path, isGiven }: Candidate, stats: Stats): Inspected {
  if (isGiven) {
    throw new P2mpError(
      'SOURCE_UNREADABLE',
      `${path}: is not a regular file; copy its content to a regular file and send that`,
    );
  }
  if (stats.isDirectory()) return { reason: 'was replaced by a folder' };
  const what = stats.isSocket() ? 'socket' : stats.isFIFO() ? 'pipe' : 'device';
  return { reason: `is a ${what}` };
}

function sameName(name: string, one: string, other: string): P2mpError {
  const who =
    one === other ? `${one} is named twice` : `${one} and ${other} would both get this name`;
  return new P2mpError(
    'INVALID_ARGUMENT',
    `two entries named ${name}: ${who}; rename one, or send them separately`,
  );
}

/** A name that is not UTF-8, for display. */
function printable(bytes: Buffer): string {
  return bytes
    .toString('latin1')
    .replace(/[^ -~]/g, (byte) => `\\x${byte.charCodeAt(0).toString(16).padStart(2, '0')}`);
}
