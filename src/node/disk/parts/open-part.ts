/** Opens a part. All checks are done before the part is changed. */
import { lstat, opendir } from 'node:fs/promises';
import { assert, at } from '../../../base/assert.js';
import type { Range } from '../../../base/range-set.js';
import { RangeSet } from '../../../base/range-set.js';
import type { HeldBlock } from '../../../object/content-store.js';
import type { Manifest } from '../../../object/manifest.js';
import { commonAllocationBytes } from '../../../session/object-limits.js';
import { forEachInTurns, namesPerTurn } from '../../in-turns.js';
import { fileError } from '../../system-error.js';
import type { ExtraEntries } from '../deletion/extra-entries.js';
import { listExtras } from '../deletion/extra-entries.js';
import { canHaveHoles } from '../holes.js';
import type { ContentFile } from '../store/content-layout.js';
import { ContentLayout, wholeBlocks } from '../store/content-layout.js';
import type { FoundFile } from '../store/existing-files.js';
import { surveyTarget } from '../store/existing-files.js';
import { FileBudget } from '../store/file-budget.js';
import type { SpaceNeed } from '../store/free-space.js';
import { checkFreeSpace } from '../store/free-space.js';
import { assumeHeldBlocks, readHeldBlocks } from '../store/held-blocks.js';
import { refuseClashes } from '../store/name-clashes.js';
import { OpenFiles } from '../store/open-files.js';
import type { Placing } from '../store/prepare-files.js';
import { countWithin, hasAll, hasAny } from '../store/range-queries.js';
import { refuseUnlessFolder, TargetFolder } from '../store/target-folder.js';
import { takeOverPart } from './earlier-part.js';
import type { FilePlace } from './part-files.js';
import { PartFiles } from './part-files.js';
import type { PartPaths } from './part-folder.js';
import { makePrivateFolder, partPaths, removedPart, removeIfEmpty } from './part-folder.js';
import type { JournalContent, JournalKey } from './part-journal.js';
import { PartJournal, readJournal } from './part-journal.js';
import { PartLock } from './part-lock.js';
import { writeOrigin } from './part-origin.js';
import type { PartStoreOptions } from './part-store-options.js';
import { removePartFolder } from './remove-part.js';

const defaultMaxOpenFiles = 16;

export interface OpenedPart extends Placing {
  readonly blockSizeBytes: number;
  readonly layout: ContentLayout;
  readonly paths: PartPaths;
  readonly lock: PartLock;
  readonly journal: PartJournal;
  readonly fileBudget: FileBudget;
  readonly present: RangeSet;
  /** Ranges of the part that an earlier process wrote, but did not sync. */
  readonly unsynced: RangeSet;
  readonly held: readonly HeldBlock[];
  readonly kept: readonly Range[];
  /** Number of existing files that stay as they are, whatever their content. */
  readonly keptCount: number;
  /** Files whose size and time are unchanged. */
  readonly unchangedCount: number;
  /** Entries that the sender does not send; undefined unless it asks to delete them. */
  readonly extras: ExtraEntries | undefined;
}

/** The state that an earlier session left. */
interface OldPart {
  /** What the journal records; undefined if there is no journal of this object. */
  readonly journal: JournalContent | undefined;
  /** Numbers of the existing files. */
  readonly numbers: ReadonlySet<number>;
}

/** @throws P2mpError TARGET_UNWRITABLE, TARGET_FAILED; the signal's reason */
export async function openPart(options: PartStoreOptions): Promise<OpenedPart> {
  const { dir, partId, blockSizeBytes, signal } = options;
  assert(/^[0-9a-f]{64}$/.test(partId), 'a part is named by 64 hexadecimal digits');
  assert(Number.isSafeInteger(blockSizeBytes) && blockSizeBytes > 0, 'a block has a size');
  signal?.throwIfAborted();
  const target = await TargetFolder.open(dir);
  const paths = partPaths(target.root, partId);
  const shown = partPaths(target.name, partId).part;
  const makeParts = () => makePrivateFolder(paths.parts);
  const lock = await PartLock.acquire(paths.lock, makeParts, shown).catch((error: unknown) => {
    throw fileError('TARGET_UNWRITABLE', shown, error);
  });
  try {
    return await openLocked(options, target, paths, lock);
  } catch (error) {
    // The lock is beside the part, and nobody else may remove it.
    const isLocked = await isThere(paths.lock);
    await lock.release();
    await removeIfEmpty(paths.parts);
    if (signal?.aborted) throw error;
    throw isLocked ? fileError('TARGET_FAILED', target.name, error) : removedPart(target, error);
  }
}

async function isThere(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}

async function openLocked(
  options: PartStoreOptions,
  target: TargetFolder,
  paths: PartPaths,
  lock: PartLock,
): Promise<OpenedPart> {
  const {
    manifest,
    existing,
    placed,
    blockSizeBytes,
    signal,
    fileBudget = new FileBudget(defaultMaxOpenFiles),
    updatesModes = false,
  } = options;
  const layout = await ContentLayout.create(manifest, signal);
  await refuseClashes(target, manifest, signal);
  const found = await surveyTarget(target, manifest, layout, existing, placed, signal);
  const { listsExtras = false, protectedPaths = [] } = options;
  const listing = { target, manifest, protectedPaths, signal };
  const extras = listsExtras ? await listExtras(listing) : undefined;
  const key = { partId: options.partId, contentSizeBytes: layout.sizeBytes };
  const takeEarlier = () => earlierPart(options, target, paths, layout, found);
  const old = await readOldPart(paths, key, takeEarlier);
  const judged = await judge(layout, found, old, signal);
  const { places, durable, unsynced, present, kept, keptCount, unchangedCount } = judged;
  const need = await spaceFor(manifest, layout, places, old, present);
  await checkFreeSpace(target.root, target.name, need);

  const makesHoles = await canHaveHoles(target.root);
  const openFiles = new OpenFiles(fileBudget);
  const files = new PartFiles(
    ...([layout, target, paths.part, openFiles, places, old.numbers, makesHoles] as const),
  );
  try {
    const { leafOf } = options;
    const { held, lost } =
      leafOf === undefined
        ? await readHeldBlocks(files, present, blockSizeBytes, signal)
        : assumeHeldBlocks(present, blockSizeBytes, layout.sizeBytes, leafOf);
    for (const { start, end } of lost) {
      for (const ranges of [present, durable, unsynced]) ranges.remove(start, end);
    }
    await forEachInTurns(unsynced.isEmpty ? [] : layout.files, (file) => {
      if (hasAny(unsynced, file)) files.noteUnsynced(file);
    });
    const content = { held: durable, written: new RangeSet(unsynced.ranges()) };
    const journal = await beginPart(paths, key, old, content, fileBudget, options.origin);
    const { part: partPath } = paths;
    return {
      ...{ target, manifest, existing, updatesModes, placed, files, openFiles, partPath },
      ...{ fileBudget, blockSizeBytes, layout, paths, lock, journal, present, held },
      ...{ unsynced, keptCount, unchangedCount, extras },
      kept: wholeBlocks(kept.ranges(), blockSizeBytes, layout.sizeBytes),
    };
  } catch (error) {
    await openFiles.end();
    throw error;
  }
}

/** Writes the journal of the part. If there was no journal of this object, replaces the folder of the part first. */
async function beginPart(
  paths: PartPaths,
  key: JournalKey,
  old: OldPart,
  { held, written }: JournalContent,
  fileBudget: FileBudget,
  origin: PartStoreOptions['origin'],
): Promise<PartJournal> {
  if (old.journal === undefined) await removePartFolder(paths.part);
  await makePrivateFolder(paths.part);
  const createJournal = async () => {
    if (origin !== undefined) await writeOrigin(paths.part, origin);
    return PartJournal.create(paths.journal, key, held, written);
  };
  return await fileBudget.takeLasting(createJournal).catch(async (error: unknown) => {
    if (old.journal === undefined) await removePartFolder(paths.part);
    throw fileError('TARGET_FAILED', paths.journal, error);
  });
}

async function readOldPart(
  paths: PartPaths,
  key: JournalKey,
  takeEarlier: () => Promise<JournalContent | undefined>,
): Promise<OldPart> {
  const stats = await lstat(paths.part).catch(() => undefined);
  if (stats !== undefined) refuseUnlessFolder('TARGET_UNWRITABLE', paths.part, stats);
  const own = stats === undefined ? undefined : await readJournal(paths.journal, key);
  const journal = own ?? (await takeEarlier());
  const numbers = new Set<number>();
  if (journal === undefined) return { journal, numbers };
  for await (const { name } of await opendir(paths.part, { bufferSize: namesPerTurn })) {
    if (/^(?:0|[1-9][0-9]*)$/.test(name)) numbers.add(Number(name));
  }
  return { journal, numbers };
}

async function earlierPart(
  { earlierId }: PartStoreOptions,
  target: TargetFolder,
  paths: PartPaths,
  { sizeBytes }: ContentLayout,
  found: readonly FoundFile[],
): Promise<JournalContent | undefined> {
  const [first, second] = found;
  const isNew = first?.place.kind === 'part' && second === undefined;
  if (earlierId === undefined || !isNew) return undefined;
  return takeOverPart(target.root, earlierId, paths, sizeBytes);
}

/** Returns the disk space that the part needs in addition to the space that it already occupies. */
async function spaceFor(
  { entries }: Manifest,
  { files }: ContentLayout,
  places: readonly FilePlace[],
  old: OldPart,
  present: RangeSet,
): Promise<SpaceNeed> {
  let sizeBytes = 0;
  let newFileCount = 0;
  await forEachInTurns(files, (file) => {
    if (at(places, file.number).kind !== 'part') return;
    const missingBytes = file.end - file.start - countWithin(present, file);
    sizeBytes += Math.ceil(missingBytes / commonAllocationBytes) * commonAllocationBytes;
    if (!old.numbers.has(file.number)) newFileCount++;
  });
  return { sizeBytes, inodeCount: entries.length - files.length + newFileCount };
}

/** Determines for each file where its bytes are: in the part or under the final name. */
async function judge(
  layout: ContentLayout,
  found: readonly FoundFile[],
  old: OldPart,
  signal: AbortSignal | undefined,
) {
  const durable = new RangeSet(old.journal?.held.ranges());
  const unsynced = new RangeSet(old.journal?.written.ranges());
  const kept = new RangeSet();
  let keptCount = 0;
  let unchangedCount = 0;
  const candidates = new RangeSet();
  const judgeFile = (file: ContentFile): FilePlace => {
    const { place, ifPlaced } = found[file.number] as FoundFile;
    const { start, end } = file;
    const isEmpty = start === end;
    const isThere = old.numbers.has(file.number);
    if (place.kind === 'kept') {
      if (place.unchanged === undefined) keptCount++;
      else unchangedCount++;
      if (!isEmpty) kept.add(start, end);
      return place;
    }
    if (isThere && (hasAny(durable, file) || hasAny(unsynced, file))) return { kind: 'part' };
    // If the journal records the whole file, but the file is not in the part, an interrupted finish has
    // already renamed the file.
    const wasPlaced = !isEmpty && !isThere && hasAll(durable, file);
    if (!isEmpty) for (const ranges of [durable, unsynced]) ranges.remove(start, end);
    const chosen = wasPlaced && ifPlaced !== undefined ? ifPlaced : place;
    if (chosen.kind === 'candidate' && !isEmpty) candidates.add(start, end);
    return chosen;
  };
  const places: FilePlace[] = [];
  await forEachInTurns(layout.files, (file) => places.push(judgeFile(file)), signal);
  const present = new RangeSet();
  for (const ranges of [durable, unsynced, candidates]) {
    for (const { start, end } of ranges.ranges()) present.add(start, end);
  }
  for (const { start, end } of kept.ranges()) present.remove(start, end);
  return { places, durable, unsynced, present, kept, keptCount, unchangedCount };
}
