/** Inspects what exists under the final names, before anything is written. */
import type { BigIntStats } from 'node:fs';
import { access, constants } from 'node:fs/promises';
import { P2mpError } from '../../../base/errors.js';
import type { Entry, FileEntry, Manifest } from '../../../object/manifest.js';
import type { ExistingFiles } from '../../../wire/offer.js';
import { forEachInTurns } from '../../in-turns.js';
import { diskConcurrency, forEachLimited } from '../../limited-concurrency.js';
import { identityOf, isTimeRight } from '../fsync.js';
import type { FilePlace } from '../parts/part-files.js';
import { isReservedName, partsFolderName } from '../parts/part-folder.js';
import type { ContentFile, ContentLayout } from './content-layout.js';
import type { PlacedFiles } from './placed-files.js';
import { SameDisk } from './same-disk.js';
import type { TargetFolder } from './target-folder.js';
import { refuseFolder, TargetSurvey } from './target-folder.js';

export interface FoundFile {
  readonly place: FilePlace;
  /** With `overwrite`: the place to use instead if an interrupted finish has already placed this file. */
  readonly ifPlaced?: FilePlace;
}

/**
 * Inspects the final names of all entries.
 * @param placed existing files that may be compared with the sender's files; undefined means all
 * @returns the place of each file, by number
 * @throws P2mpError TARGET_UNWRITABLE if something is in the way or a link would be followed; the signal's
 * reason
 */
export async function surveyTarget(
  target: TargetFolder,
  { entries }: Manifest,
  layout: ContentLayout,
  existing: ExistingFiles,
  placed: PlacedFiles | undefined,
  signal?: AbortSignal,
): Promise<FoundFile[]> {
  const survey = new TargetSurvey(target);
  const others: Entry[] = [];
  const sort = (entry: Entry) => {
    if (isReservedName(entry.name)) throw reserved(target.shown(entry.name));
    if (entry.kind !== 'file') others.push(entry);
  };
  await forEachInTurns(entries, sort, signal);
  const disk = await SameDisk.open(target, survey);
  const found: FoundFile[] = [];
  const lookAtFile = async (file: ContentFile) => {
    signal?.throwIfAborted();
    const stats = await look(target, survey, file.entry);
    const judged = await judge(target, file, stats, existing, placed);
    found[file.number] = judged;
    if (judged.place.kind !== 'kept') await disk.check(file.entry.name);
  };
  const lookAtOther = async (entry: Entry) => {
    signal?.throwIfAborted();
    if (entry.kind === 'folder') {
      await survey.hasFolder(entry.name);
      if (await isPartsFolder(survey, entry.name)) throw reserved(target.shown(entry.name));
      return;
    }
    await look(target, survey, entry);
    await disk.check(entry.name);
  };
  await forEachLimited(others, diskConcurrency, lookAtOther);
  await forEachLimited(layout.files, diskConcurrency, lookAtFile);
  return found;
}

/**
 * Whether the name refers to the folder of parts. A file system may accept other names for that folder too:
 * in a different case, or a short (8.3) name on Windows.
 */
async function isPartsFolder(survey: TargetSurvey, name: string): Promise<boolean> {
  if (name.includes('/')) return false;
  const [stats, parts] = [await survey.look(name), await survey.look(partsFolderName)];
  return stats !== undefined && stats.ino === parts?.ino && stats.dev === parts.dev;
}

async function look(
  target: TargetFolder,
  survey: TargetSurvey,
  { name }: Entry,
): Promise<BigIntStats | undefined> {
  const stats = await survey.look(name);
  if (stats !== undefined) refuseFolder('TARGET_UNWRITABLE', target.shown(name), stats);
  return stats;
}

async function judge(
  target: TargetFolder,
  { entry }: ContentFile,
  stats: BigIntStats | undefined,
  existing: ExistingFiles,
  placed: PlacedFiles | undefined,
): Promise<FoundFile> {
  if (stats === undefined) return { place: { kind: 'part' } };
  if (existing === 'keep') return { place: { kind: 'kept' } };
  const path = target.path(entry.name);
  if (existing === 'quick' && isUnchanged(path, entry, stats, placed)) {
    return { place: { kind: 'kept', unchanged: identityOf(stats) } };
  }
  const isComparable = placed === undefined || placed.has(path, stats);
  const mayBeRight = stats.isFile() && stats.size === BigInt(entry.sizeBytes) && isComparable;
  // An unreadable file cannot be compared but can be replaced.
  if (!mayBeRight || !(await isReadable(path))) {
    return { place: { kind: 'part' } };
  }
  const isShared = stats.nlink > 1n;
  const candidate: FilePlace = { kind: 'candidate', identity: identityOf(stats), isShared };
  return existing !== 'overwrite'
    ? { place: candidate }
    : { place: { kind: 'part' }, ifPlaced: candidate };
}

/**
 * Whether this file can be assumed to equal the sender's. Equal size and time alone do not suffice, because
 * somebody else may have placed the file. So this receiver must have verified the file for the same sender
 * before, and nothing must have changed the file since then.
 */
function isUnchanged(
  path: string,
  entry: FileEntry,
  stats: BigIntStats,
  placed: PlacedFiles | undefined,
): boolean {
  const isAlike =
    stats.isFile() && stats.size === BigInt(entry.sizeBytes) && isTimeRight(stats, entry);
  return isAlike && placed?.isSettled(path, stats) === true;
}

async function isReadable(path: string): Promise<boolean> {
  return access(path, constants.R_OK).then(
    () => true,
    () => false,
  );
}

function reserved(shown: string): P2mpError {
  return new P2mpError(
    'TARGET_UNWRITABLE',
    `${shown}: this name is reserved for unfinished transfers; ask the sender to choose another one`,
  );
}
