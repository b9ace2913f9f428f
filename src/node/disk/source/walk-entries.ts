/**
 * What paths stand for: the entries of an object, in an order that follows from their names alone, so
 * that the same tree is the same object each time.
 */
import { isUtf8 } from 'node:buffer';
import type { Stats } from 'node:fs';
import { access, constants, lstat, open, opendir, readlink, stat } from 'node:fs/promises';
import { basename, sep } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { at } from '../../../base/assert.js';
import { P2mpError } from '../../../base/errors.js';
import { formatCount } from '../../../base/format.js';
import { readEntryName } from '../../../object/entry-name.js';
import type { Entry } from '../../../object/manifest.js';
import { isInside, manifestLimits } from '../../../object/manifest.js';
import { forEachInTurns, namesPerTurn } from '../../in-turns.js';
import { mapLimited } from '../../limited-concurrency.js';
import { describeError, fileError, systemCode } from '../../system-error.js';
import { partsFolderName } from '../parts/part-folder.js';
import { sortInTurns } from './sort-in-turns.js';
import { checkSize, isSizeDoubtful } from './told-size.js';

/** As many as keep the threads for the file system busy; none of them holds a file open for long. */
const inspectedAtOnce = 32;

/** Entries that were looked at and are taken in one turn. */
const takenAtOnce = 1000;

/** What a manifest can hold: the limit of JavaScript's dates. Some file systems go further. */
const maxTimeMs = 8.64e15;

export interface FoundEntry {
  readonly entry: Entry;
  readonly path: string;
  /** Named by the user: a link there is followed. */
  readonly isGiven: boolean;
}

/** What is not sent, and why. */
export interface SkippedEntry {
  readonly name: string;
  readonly reason: string;
}

export interface WalkedEntries {
  /** In the order of the manifest. */
  readonly found: readonly FoundEntry[];
  readonly skipped: readonly SkippedEntry[];
}

/** Something whose name is known. */
interface Candidate {
  /** The last part of its name; what entries of one folder are sorted by. */
  readonly nameBytes: Buffer;
  /** As in the manifest; for people where it is skipped. */
  readonly name: string;
  readonly path: string;
  readonly isGiven: boolean;
  /** Why nobody would take the name. */
  readonly fault?: string;
}

/** Faults of this host, not of one file: with these, most of a folder would be skipped. */
const hostFaults = new Set(['EMFILE', 'ENFILE', 'ENOMEM']);

/** The file was there a moment before. */
const vanishedCodes = new Set(['ENOENT', 'ENOTDIR', 'ESTALE']);
const replacedCodes = new Set(['ELOOP', 'ENXIO']);

type Inspected =
  | { readonly reason: string }
  | { readonly entry: Entry; readonly below: Candidate[] };

/**
 * Below a folder, what cannot be read is skipped with its reason; a path of the user's that cannot be read
 * is an error. Unfinished parts of a receiver are not of the object.
 * @param paths as the user named them; `-` takes `inputName` and is otherwise left to the caller
 * @throws P2mpError SOURCE_UNREADABLE, or INVALID_ARGUMENT where two paths give one name;
 *   the signal's reason once that is aborted
 */
export async function walkEntries(
  paths: readonly string[],
  inputName: string,
  signal?: AbortSignal,
): Promise<WalkedEntries> {
  const givers = new Map<string, string>();
  const claim = (nameBytes: Buffer, path: string) => {
    const key = nameBytes.toString('latin1');
    const other = givers.get(key);
    if (other !== undefined) throw sameName(nameBytes.toString(), other, path);
    givers.set(key, path);
  };
  const candidates: Candidate[] = [];
  for (const path of paths) {
    signal?.throwIfAborted();
    if (path === '-') {
      claim(Buffer.from(inputName), path);
      continue;
    }
    for (const candidate of await listGiven(path)) {
      claim(candidate.nameBytes, path);
      candidates.push(candidate);
    }
  }
  candidates.sort((a, b) => Buffer.compare(a.nameBytes, b.nameBytes));
  const walk = new Walk(signal);
  await walk.visit(candidates);
  return walk;
}

/** The time of a file as manifests have it. */
export function modifiedMsOf(stats: Stats): number {
  return Math.max(-maxTimeMs, Math.min(stats.mtimeMs, maxTimeMs));
}

class Walk implements WalkedEntries {
  readonly found: FoundEntry[] = [];
  readonly skipped: SkippedEntry[] = [];

  constructor(private readonly signal?: AbortSignal) {}

  /** @param candidates all of one folder, in order */
  async visit(candidates: readonly Candidate[]): Promise<void> {
    const inspected = await mapLimited(candidates, inspectedAtOnce, (candidate) => {
      this.signal?.throwIfAborted();
      return inspect(candidate);
    });
    for (const [i, { name, path, isGiven }] of candidates.entries()) {
      if (i % takenAtOnce === takenAtOnce - 1) await nextTurn();
      const result = at(inspected, i);
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
      if (result.below.length > 0) await this.visit(result.below);
    }
  }
}

/** What a path of the user's stands for: itself, or what is in it where it has no name of its own. */
async function listGiven(path: string): Promise<Candidate[]> {
  if (path === '')
    throw new P2mpError('INVALID_ARGUMENT', 'a path is empty; name a file or folder');
  const name = basename(path);
  if (name === '' || name === '.' || name === '..') return listFolder(path, '');
  if (name === partsFolderName) {
    throw new P2mpError(
      'INVALID_ARGUMENT',
      `${path}: holds unfinished transfers of a receiver; send the received files instead`,
    );
  }
  return [{ nameBytes: Buffer.from(name), name, path, isGiven: true }];
}

const partsFolderNameBytes = Buffer.from(partsFolderName);

/** @param prefix what the names of its entries begin with */
async function listFolder(path: string, prefix: string): Promise<Candidate[]> {
  const names = await readNames(path).catch((error: unknown) => {
    throw fileError('SOURCE_UNREADABLE', path, error);
  });
  // Not `join`: behind a link, `..` is not where the path came from.
  const isEnded = path.endsWith('/') || path.endsWith(sep);
  const folder = isEnded ? path : path.endsWith('/.') ? path.slice(0, -1) : `${path}/`;
  const candidates: Candidate[] = [];
  await forEachInTurns(await sortInTurns(names, Buffer.compare), (nameBytes) => {
    if (nameBytes.equals(partsFolderNameBytes)) return;
    candidates.push(candidateOf(nameBytes, prefix, folder));
  });
  return candidates;
}

/** As bytes, since text would hide what is not UTF-8. */
async function readNames(path: string): Promise<Buffer[]> {
  const names: Buffer[] = [];
  // Node's types know of names as text alone.
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
    ...(typeof read === 'string' ? { fault: `would be refused (${read})` } : {}),
  };
}

async function inspect(candidate: Candidate): Promise<Inspected> {
  const { name, path, isGiven, fault } = candidate;
  if (fault !== undefined) return { reason: `its name ${fault}` };
  try {
    const stats = await (isGiven ? stat(path) : lstat(path));
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

/** Why something below a folder could not be read, though its name was listed there. */
function describeLoss(error: unknown): string {
  const { cause = error } = error as Error;
  const code = systemCode(cause);
  if (vanishedCodes.has(code)) return 'was removed meanwhile';
  if (replacedCodes.has(code)) return 'was replaced meanwhile';
  return `cannot be read: ${describeError(cause)}`;
}

/** A file that is empty by its size, or that no block holds. */
async function inspectContent(candidate: Candidate): Promise<Inspected> {
  const { name, path, isGiven } = candidate;
  const { O_RDONLY, O_NONBLOCK, O_NOFOLLOW } = constants;
  // Meanwhile a pipe or a link may have taken its place.
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
    `${path}: ${sizeFault}; send it through a pipe: cat ${path} | p2mp send - --stdin-name ${name}`,
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

/** What has no content to send: below a folder it is left out, by its own name it is a mistake. */
function refuse({ path, isGiven }: Candidate, stats: Stats): Inspected {
  if (isGiven) {
    throw new P2mpError(
      'SOURCE_UNREADABLE',
      `${path}: is not a regular file; copy its content to one and send that`,
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

/** Of a name that is no text, for people. */
function printable(bytes: Buffer): string {
  return bytes
    .toString('latin1')
    .replace(/[^ -~]/g, (byte) => `\\x${byte.charCodeAt(0).toString(16).padStart(2, '0')}`);
}
