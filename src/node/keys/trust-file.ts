/**
 * Files of trusted keys, with one key per line, as people edit them: blank lines and lines that start with `#` are
 * ignored. A file that others can change is refused.
 */
import { open, stat } from 'node:fs/promises';
import { P2mpError } from '../../base/errors.js';
import { fileError } from '../system-error.js';
import { findOpenPlace } from './trusted-place.js';

/** Maximum size of a trust file, enough for tens of thousands of keys. A larger file is refused. */
const maxTrustFileBytes = 4 * 1024 * 1024;

/** A file that was modified more recently than this might change again without a new modification time. */
const settledAfterMs = 2000;

export interface TrustLine {
  /** Counted from 1. */
  readonly number: number;
  readonly text: string;
}

export interface TrustFile {
  readonly lines: readonly TrustLine[];
  /** Identifies this state of the file; undefined if a further change might leave the stamp the same. */
  readonly stamp: string | undefined;
}

/**
 * Reads a file of trusted keys, without blank lines and comments.
 * @throws P2mpError TRUST_FILE_BAD
 */
export async function readTrustLines(path: string): Promise<readonly TrustLine[]> {
  try {
    return (await readTrustFile(path, undefined)).lines ?? [];
  } catch (error) {
    throw fileError('TRUST_FILE_BAD', path, error);
  }
}

/** The error for an invalid line. */
export function badLine(path: string, lineNumber: number, reason: string): P2mpError {
  const remedy = 'correct the line, or comment it out with #';
  return new P2mpError('TRUST_FILE_BAD', `${path}:${lineNumber}: ${reason}; ${remedy}`);
}

/**
 * @returns an empty object if the stamp of the file is still `knownStamp`
 * @throws P2mpError TRUST_FILE_BAD, and errors of the system
 */
export async function readTrustFile(
  path: string,
  knownStamp: string | undefined,
): Promise<Partial<TrustFile>> {
  const fail = (reason: string): never => {
    throw new P2mpError('TRUST_FILE_BAD', `${path}: ${reason}`);
  };
  // Check before opening the file, because opening a pipe would block.
  const stats = await stat(path, { bigint: true });
  if (stats.isDirectory()) fail('is a folder; name a file');
  if (!stats.isFile()) fail('is not a regular file; name another one');
  if (stats.size > maxTrustFileBytes) {
    fail(`is too large for a list of keys (${stats.size} bytes); name another file`);
  }
  // Windows has no meaningful modes.
  if (process.platform !== 'win32' && (stats.mode & 0o002n) !== 0n) {
    const octal = (stats.mode & 0o777n).toString(8).padStart(4, '0');
    fail(`any user on this host can change it (mode ${octal}); run chmod o-w ${path}`);
  }
  const openPlace = await findOpenPlace(path);
  if (openPlace !== undefined) fail(openPlace);
  const stamp = [stats.dev, stats.ino, stats.size, stats.mtimeNs].join(' ');
  if (stamp === knownStamp) return {};
  const handle = await open(path, 'r');
  try {
    const lines = splitLines(path, await handle.readFile());
    const isSettled = Date.now() - Number(stats.mtimeMs) > settledAfterMs;
    return { lines, stamp: isSettled ? stamp : undefined };
  } finally {
    await handle.close();
  }
}

function splitLines(path: string, bytes: Uint8Array): TrustLine[] {
  const lines: TrustLine[] = [];
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let start = 0;
  for (let number = 1; start < bytes.length; number++) {
    const newline = bytes.indexOf(0x0a, start);
    const end = newline < 0 ? bytes.length : newline;
    let text: string;
    try {
      text = decoder.decode(bytes.subarray(start, end)).trim();
    } catch {
      throw badLine(path, number, 'is not valid UTF-8');
    }
    if (text !== '' && !text.startsWith('#')) lines.push({ number, text });
    start = end + 1;
  }
  return lines;
}
