/**
 * The content of an object on disk, file by file. A file is in the part, or under its final name if a file of
 * the right size existed there.
 */
import type { FileHandle } from 'node:fs/promises';
import { chmod, constants, copyFile, lstat, open } from 'node:fs/promises';
import { join } from 'node:path';
import { assert, at } from '../../../base/assert.js';
import { P2mpError } from '../../../base/errors.js';
import { diskConcurrency, forEachLimited } from '../../limited-concurrency.js';
import { fileError } from '../../system-error.js';
import type { FileIdentity } from '../fsync.js';
import { identityOf, isSameFile, openFlags, readAll, syncFolder, writeParts } from '../fsync.js';
import { copyAroundHoles, findHoles, writeAroundHoles } from '../holes.js';
import type { ContentFile, ContentLayout, Piece } from '../store/content-layout.js';
import type { OpenFiles } from '../store/open-files.js';
import type { TargetFolder } from '../store/target-folder.js';
import { orRemovedPart } from './part-folder.js';

export type FilePlace =
  /** In the part, or not created yet. */
  | { readonly kind: 'part' }
  /**
   * An existing file under the final name, assumed to have the right content until a received block differs.
   */
  | {
      readonly kind: 'candidate';
      readonly identity: FileIdentity;
      /** Whether it has other hard links. */
      readonly isShared: boolean;
    }
  /** An existing file under the final name that must not be changed. */
  | {
      readonly kind: 'kept';
      /** Set if the file is kept because size and time are unchanged. It must not change before the end. */
      readonly unchanged?: FileIdentity;
    }
  /** Renamed to the final name by this session. */
  | { readonly kind: 'placed' }
  /** Not to be stored, because the sender can no longer read it. */
  | { readonly kind: 'withdrawn' };

/** What a checkpoint has to sync. */
export interface UnsyncedFiles {
  readonly numbers: readonly number[];
  /** Whether new files were created. If so, their names must be made durable too. */
  readonly hasNewNames: boolean;
}

export class PartFiles {
  /** Called once a candidate has been copied into the part completely. */
  handleCopied: (file: ContentFile) => void = () => undefined;
  private unsynced = new Set<number>();
  private hasNewNames = false;
  /** Files that exist in the part. */
  private readonly made: Set<number>;
  /** Files that were extended to their full size before they were completely written. */
  private readonly extended = new Set<number>();
  /** For each file that this process created, the offset after which there are only zeros. */
  private readonly usedBytes = new Map<number, number>();
  /** Copies of candidates, in progress or done. */
  private readonly copies = new Map<number, Promise<void>>();

  constructor(
    readonly layout: ContentLayout,
    private readonly target: TargetFolder,
    private readonly partPath: string,
    private readonly openFiles: OpenFiles,
    private readonly places: FilePlace[],
    made: Iterable<number>,
    /** Whether long runs of zeros become holes in the part. */
    private readonly makesHoles: boolean,
  ) {
    this.made = new Set(made);
  }

  place({ number }: ContentFile): FilePlace {
    return at(this.places, number);
  }

  setPlaced({ number }: ContentFile): void {
    this.places[number] = { kind: 'placed' };
  }

  setWithdrawn({ number }: ContentFile): void {
    this.places[number] = { kind: 'withdrawn' };
  }

  path({ number }: ContentFile): string {
    return join(this.partPath, `${number}`);
  }

  /** @returns false if a file is shorter than it should be */
  async read(start: number, bytes: Uint8Array): Promise<boolean> {
    let isWhole = true;
    const pieces = this.layout.pieces(start, start + bytes.length);
    await forEachLimited(pieces, diskConcurrency, async (piece) => {
      const from = piece.file.start + piece.offsetBytes - start;
      const part = bytes.subarray(from, from + piece.sizeBytes);
      if (!(await this.readPiece(piece, part))) isWhole = false;
    });
    return isWhole;
  }

  /**
   * Writes bytes that belong to one file; bytes of a kept file are discarded.
   * @param parts consecutive pieces of the bytes
   */
  async write(piece: Piece, parts: readonly Uint8Array[]): Promise<void> {
    const { file, offsetBytes } = piece;
    const { kind } = this.place(file);
    if (kind === 'kept') return;
    assert(kind !== 'placed', 'no writes behind the end');
    try {
      if (kind === 'candidate') {
        // If the candidate already has these bytes, it need not be copied.
        if (await this.holdsBytes(piece, Buffer.concat(parts))) return;
        await this.copyCandidate(file);
      }
      await this.openFiles.use(
        this.path(file),
        () => this.openPartFile(file),
        (handle) => this.writeInto(handle, file, parts, offsetBytes),
      );
    } catch (error) {
      throw this.failure(file, error);
    }
    this.unsynced.add(file.number);
  }

  private async writeInto(
    handle: FileHandle,
    { number, entry }: ContentFile,
    parts: readonly Uint8Array[],
    offsetBytes: number,
  ): Promise<void> {
    const holes = this.makesHoles ? findHoles(parts, offsetBytes) : [];
    const sizeBytes = parts.reduce((sum, part) => sum + part.length, 0);
    const usedBytes = this.usedBytes.get(number) ?? entry.sizeBytes;
    const [hole] = holes;
    const isZero = hole !== undefined && hole.end - hole.start === sizeBytes;
    if (!isZero) this.usedBytes.set(number, Math.max(usedBytes, offsetBytes + sizeBytes));
    if (holes.length === 0) return writeParts(handle, parts, offsetBytes);
    // Extend the file only once: if another process truncates it later, zeros must not replace the lost
    // bytes.
    if (!this.extended.has(number)) {
      this.extended.add(number);
      const { size } = await handle.stat();
      if (size < entry.sizeBytes) await handle.truncate(entry.sizeBytes);
    }
    await writeAroundHoles(handle, parts, offsetBytes, holes, usedBytes);
  }

  /** An earlier process wrote to this file of the part, and might not have synced it. */
  noteUnsynced({ number }: ContentFile): void {
    this.unsynced.add(number);
    this.hasNewNames = true;
  }

  /** @returns the files written since the last call; the caller has to sync them */
  takeUnsynced(): UnsyncedFiles {
    const unsynced = { numbers: [...this.unsynced], hasNewNames: this.hasNewNames };
    this.unsynced = new Set();
    this.hasNewNames = false;
    return unsynced;
  }

  async sync({ numbers, hasNewNames }: UnsyncedFiles): Promise<void> {
    await forEachLimited(numbers, diskConcurrency, async (number) => {
      const file = at(this.layout.files, number);
      await this.openFiles
        .use(
          this.path(file),
          () => this.openPartFile(file),
          async (handle) => {
            await handle.datasync();
            // An open file outlives its name. Without this check, the loss would show only at the end.
            await lstat(this.path(file));
          },
        )
        .catch((error: unknown) => {
          throw this.failure(file, error);
        });
    });
    if (!hasNewNames) return;
    // An open folder counts toward the budget of open files, just like a file.
    await this.openFiles
      .withRoom(() => syncFolder(this.partPath))
      .catch((error: unknown) => {
        throw fileError('TARGET_FAILED', this.partPath, orRemovedPart(this.target, error));
      });
  }

  /** Creates the file if it is missing. */
  async openPartFile(file: ContentFile): Promise<FileHandle> {
    const path = this.path(file);
    const isNew = !this.made.has(file.number);
    // If the file has disappeared, do not create it again, because it would read as zeros.
    const flags = openFlags.write | (isNew ? constants.O_CREAT : 0);
    const handle = await open(path, flags, 0o600).catch(async (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EACCES') throw error;
      // The file has its final mode already if an earlier attempt to finish was interrupted.
      await chmod(path, 0o600);
      return open(path, flags, 0o600);
    });
    if (isNew) {
      this.made.add(file.number);
      this.usedBytes.set(file.number, 0);
      this.hasNewNames = true;
    }
    return handle;
  }

  async openCandidate(file: ContentFile, flags: number = openFlags.read): Promise<FileHandle> {
    const place = this.place(file);
    assert(place.kind === 'candidate', 'a candidate');
    const path = this.target.path(file.entry.name);
    const handle = await open(path, flags).catch((error: NodeJS.ErrnoException) => {
      // The file has disappeared or was replaced by a link.
      throw ['ENOENT', 'ENOTDIR', 'ELOOP'].includes(error.code ?? '') ? this.changed(file) : error;
    });
    try {
      const identity = identityOf(await handle.stat({ bigint: true }));
      if (!isSameFile(identity, place.identity)) throw this.changed(file);
      return handle;
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  /** Copies a candidate into the part, because the file under the final name is never written to. */
  copyCandidate(file: ContentFile): Promise<void> {
    let copy = this.copies.get(file.number);
    if (copy === undefined) {
      copy = this.copyNow(file).catch((error: unknown) => {
        // A later attempt may find more space.
        this.copies.delete(file.number);
        throw error;
      });
      this.copies.set(file.number, copy);
    }
    return copy;
  }

  /** Wraps an error of a file's operation in the part. */
  failure({ entry }: ContentFile, error: unknown): P2mpError {
    const { target } = this;
    return fileError('TARGET_FAILED', target.shown(entry.name), orRemovedPart(target, error));
  }

  private changed(file: ContentFile): P2mpError {
    const shown = this.target.shown(file.entry.name);
    return new P2mpError(
      'TARGET_FAILED',
      `${shown}: changed while it was being compared; send again`,
    );
  }

  private async readPiece(
    { file, offsetBytes }: Pick<Piece, 'file' | 'offsetBytes'>,
    bytes: Uint8Array,
  ): Promise<boolean> {
    const isCandidate = this.place(file).kind === 'candidate';
    const path = isCandidate ? this.target.path(file.entry.name) : this.path(file);
    try {
      return await this.openFiles.use(
        path,
        () => (isCandidate ? this.openCandidate(file) : this.openPartFile(file)),
        (handle) => readAll(handle, bytes, offsetBytes),
      );
    } catch (error) {
      throw this.failure(file, error);
    }
  }

  /** Whether a candidate has these bytes. */
  private async holdsBytes(piece: Piece, bytes: Uint8Array): Promise<boolean> {
    const found = Buffer.allocUnsafe(bytes.length);
    return (await this.readPiece(piece, found)) && found.equals(bytes);
  }

  private async copyNow(file: ContentFile): Promise<void> {
    const place = this.place(file);
    assert(place.kind === 'candidate', 'a candidate');
    const { name } = file.entry;
    this.target.checkParents(name, 'TARGET_FAILED');
    const to = this.path(file);
    await this.openFiles.withRoom(async () => {
      // Keep the source open, so that the copy does not depend on the name of the source.
      const source = await this.openCandidate(file);
      try {
        await this.copyOpen(source, to, file.entry.sizeBytes);
        const identity = identityOf(await source.stat({ bigint: true }));
        if (!isSameFile(identity, place.identity)) throw this.changed(file);
      } finally {
        await source.close();
      }
    });
    // The copy got the mode of its source.
    await chmod(to, 0o600);
    this.made.add(file.number);
    this.hasNewNames = true;
    this.unsynced.add(file.number);
    this.places[file.number] = { kind: 'part' };
    this.handleCopied(file);
  }

  /**
   * Clones the file if the file system supports that. Otherwise, copies it; a sparse file is then copied
   * without `copyFile`, which would fill the holes.
   */
  private async copyOpen(source: FileHandle, to: string, sizeBytes: number): Promise<void> {
    const { size, blocks } = await source.stat();
    const isSparse = this.makesHoles && blocks * 512 < size;
    const { COPYFILE_FICLONE, COPYFILE_FICLONE_FORCE, O_CREAT, O_TRUNC } = constants;
    const isCopied = await copyFile(
      pathOfOpen(source),
      to,
      isSparse ? COPYFILE_FICLONE_FORCE : COPYFILE_FICLONE,
    ).then(
      () => true,
      () => false,
    );
    if (isCopied) return;
    const copy = await open(to, openFlags.write | O_CREAT | O_TRUNC, 0o600);
    try {
      await copyAroundHoles(source, copy, sizeBytes);
    } finally {
      await copy.close();
    }
  }
}

/** A path that leads to the open file even if its name now refers to another file. Linux only. */
function pathOfOpen({ fd }: FileHandle): string {
  return `/proc/self/fd/${fd}`;
}
