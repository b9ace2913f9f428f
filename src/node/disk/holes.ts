/**
 * Sparse files, in which long runs of zeros take no disk space. A long run of zeros is not written if the
 * file already reads as zeros at that place: past its end or in a hole.
 */

import type { FileHandle } from 'node:fs/promises';
import { statfs } from 'node:fs/promises';
import type { Range } from '../../base/range-set.js';
import { slicesOf, writeParts } from './fsync.js';

/** Smallest allocation unit of file systems; holes are aligned to it. */
const pageSizeBytes = 4096;

/** Shorter runs of zeros are written, because each hole splits a write in two. */
const minHoleBytes = 32 * 1024;

const zeros = Buffer.alloc(pageSizeBytes);
const none: readonly Range[] = [];

/**
 * File system types of vfat, exfat, hfs and hfsplus on Linux. These file systems have no holes: they write
 * the zeros to the disk while the process waits.
 */
const fileSystemsWithoutHoles = [0x4d44, 0x2011bab0, 0x4244, 0x482b];

/**
 * @returns whether files in this folder can have holes; false on Windows, where only specially marked files
 * can
 */
export async function canHaveHoles(folder: string): Promise<boolean> {
  if (process.platform === 'win32') return false;
  const stats = await statfs(folder).catch(() => undefined);
  return stats !== undefined && !fileSystemsWithoutHoles.includes(stats.type);
}

/**
 * Finds runs of zeros that are long enough for a hole. In data without such runs, usually reads only a few
 * bytes of each page.
 * @param parts consecutive buffers
 * @param offsetBytes offset of the first buffer in the file
 * @returns ranges relative to the start of the first buffer, ascending
 */
export function findHoles(parts: readonly Uint8Array[], offsetBytes: number): readonly Range[] {
  let holes: Range[] | undefined;
  let position = 0;
  let start = -1;
  const endStretch = (end: number, isAtEnd: boolean) => {
    if (start === -1) return;
    const hole = wholePages(start, end, offsetBytes, isAtEnd);
    start = -1;
    if (hole.end - hole.start < minHoleBytes) return;
    holes ??= [];
    holes.push(hole);
  };
  for (const part of parts) {
    for (let from = 0; from < part.length; ) {
      const inPage = (offsetBytes + position) % pageSizeBytes;
      const to = Math.min(part.length, from + pageSizeBytes - inPage);
      if (!isZero(part, from, to)) endStretch(position, false);
      else if (start === -1) start = position;
      position += to - from;
      from = to;
    }
  }
  endStretch(position, true);
  return holes ?? none;
}

/**
 * Writes consecutive buffers, but skips each of `holes` where the file already reads as zeros.
 * @param usedBytes offset from which on the file is known to read as zeros; holes that start before this
 * offset are checked by reading the file
 */
export async function writeAroundHoles(
  handle: FileHandle,
  parts: readonly Uint8Array[],
  offsetBytes: number,
  holes: readonly Range[],
  usedBytes: number,
): Promise<void> {
  const sizeBytes = parts.reduce((sum, part) => sum + part.length, 0);
  let written = 0;
  const writeTo = async (end: number) => {
    const slices = slicesOf(parts, written, end - written);
    if (end > written) await writeParts(handle, slices, offsetBytes + written);
    written = end;
  };
  for (const { start, end } of holes) {
    await writeTo(start);
    const range = { start: offsetBytes + start, end: offsetBytes + end };
    if (range.start >= usedBytes || (await readsAsZeros(handle, range))) written = end;
  }
  await writeTo(sizeBytes);
}

/** Copies up to `sizeBytes` bytes into an empty file. Long runs of zeros become holes. */
export async function copyAroundHoles(
  source: FileHandle,
  copy: FileHandle,
  sizeBytes: number,
): Promise<void> {
  const buffer = Buffer.allocUnsafe(Math.min(sizeBytes, 1024 * 1024));
  let at = 0;
  while (at < sizeBytes) {
    const { bytesRead } = await source.read(buffer, 0, Math.min(buffer.length, sizeBytes - at), at);
    if (bytesRead === 0) break;
    const parts = [buffer.subarray(0, bytesRead)];
    await writeAroundHoles(copy, parts, at, findHoles(parts, at), at);
    at += bytesRead;
  }
  await copy.truncate(at);
}

async function readsAsZeros(handle: FileHandle, { start, end }: Range): Promise<boolean> {
  const found = Buffer.allocUnsafe(Math.min(end - start, 256 * 1024));
  for (let at = start; at < end; ) {
    const { bytesRead } = await handle.read(found, 0, Math.min(found.length, end - at), at);
    if (bytesRead === 0) return true;
    for (let from = 0; from < bytesRead; from += pageSizeBytes) {
      if (!isZero(found, from, Math.min(bytesRead, from + pageSizeBytes))) return false;
    }
    at += bytesRead;
  }
  return true;
}

/** Reduces a run to whole pages, but keeps a partial page at the start or end of the data to be written. */
function wholePages(start: number, end: number, offsetBytes: number, isAtEnd: boolean): Range {
  const up = (offsetBytes + start) % pageSizeBytes;
  const first = start === 0 || up === 0 ? start : start + pageSizeBytes - up;
  return { start: first, end: isAtEnd ? end : end - ((offsetBytes + end) % pageSizeBytes) };
}

/** Checks the first and the last byte before the rest, because these two bytes decide most cases. */
function isZero(bytes: Uint8Array, from: number, to: number): boolean {
  return (
    bytes[from] === 0 && bytes[to - 1] === 0 && zeros.compare(bytes, from, to, 0, to - from) === 0
  );
}
