/**
 * The senders that are allowed to send to this host, from a file with one public key per line, like
 * `authorized_keys` of SSH. Blank lines and lines that start with `#` are ignored.
 */
import { open, stat } from 'node:fs/promises';
import { P2mpError } from '../../base/errors.js';
import { fileError } from '../system-error.js';
import { appendLine } from './append-line.js';
import { formatPublicKey, parsePublicKey } from './key-files.js';
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

interface TrustFile {
  readonly lines: readonly TrustLine[];
  /** Identifies this state of the file; undefined if a further change might leave the stamp the same. */
  readonly stamp: string | undefined;
}

/** A sender that is listed in the file of authorized senders. */
export interface AuthorizedSender {
  /** The text after the key; may be empty. */
  readonly comment: string;
}

/**
 * The senders that a receiver accepts, from a file with one public key per line. The file is read
 * again when it changes.
 * @example
 * ```ts
 * import { writeFileSync } from 'node:fs';
 * import { AuthorizedSenders, formatPublicKey, generateKeyPair } from 'p2mp';
 *
 * const { publicKey } = await generateKeyPair();
 * writeFileSync('authorized_senders', formatPublicKey(publicKey, 'alice'));
 * const senders = await AuthorizedSenders.load('authorized_senders');
 * console.log(senders.find(publicKey)?.comment); // alice
 * ```
 */
export class AuthorizedSenders {
  private senders: ReadonlyMap<string, AuthorizedSender> = new Map();
  /** Added here, and not yet in the file. */
  private readonly unsaved = new Map<string, AuthorizedSender>();
  private stamp: string | undefined;
  /** Serializes refreshes, so that old content never replaces newer content. */
  private work: Promise<unknown> = Promise.resolve();

  private constructor(
    readonly path: string,
    private readonly mayBeMissing: boolean,
  ) {}

  /**
   * @param mayBeMissing whether a missing file counts as an empty list; `add` then creates the file
   * @throws P2mpError TRUST_FILE_BAD, with the number of an invalid line
   */
  static async load(path: string, mayBeMissing = false): Promise<AuthorizedSenders> {
    const list = new AuthorizedSenders(path, mayBeMissing);
    const error = await list.refresh();
    if (error !== undefined) throw error;
    return list;
  }

  /** If a key occurs twice, the first line counts. */
  find(publicKey: Uint8Array): AuthorizedSender | undefined {
    const id = idOf(publicKey);
    return this.senders.get(id) ?? this.unsaved.get(id);
  }

  /**
   * Trusts a sender from this call on, and appends it to the file durably. If that fails, the sender is trusted until
   * this process ends.
   * @throws P2mpError TARGET_UNWRITABLE, INVALID_ARGUMENT if the comment is not one line
   */
  async add(publicKey: Uint8Array, comment: string): Promise<void> {
    const line = formatPublicKey(publicKey, comment);
    this.unsaved.set(idOf(publicKey), { comment });
    const saved = this.work.then(() => appendLine(this.path, line));
    this.work = saved.catch(() => undefined);
    await saved;
    // From now on, the file decides: removing the line ends the trust.
    if ((await this.refresh()) === undefined) this.unsaved.delete(idOf(publicKey));
  }

  /**
   * Reads the file again if it has changed.
   * @returns the error if the file is invalid; the previous list stays in use until the file is corrected
   */
  refresh(): Promise<P2mpError | undefined> {
    const next = this.work.then(() => this.reload());
    this.work = next;
    return next;
  }

  private async reload(): Promise<P2mpError | undefined> {
    try {
      const { lines, stamp } = await readTrustFile(this.path, this.stamp);
      if (lines === undefined) return undefined;
      this.senders = parseSenders(this.path, lines);
      this.stamp = stamp;
      return undefined;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
        if (this.mayBeMissing && this.senders.size === 0) return undefined;
        const message = `${this.path}: the list of trusted senders does not exist; create it with one public key per line, as p2mp keygen prints it, or let a sender in with --invite`;
        return new P2mpError('TRUST_FILE_BAD', message, { cause: error });
      }
      return fileError('TRUST_FILE_BAD', this.path, error);
    }
  }
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

function parseSenders(
  path: string,
  lines: readonly TrustLine[],
): ReadonlyMap<string, AuthorizedSender> {
  const senders = new Map<string, AuthorizedSender>();
  for (const { number, text } of lines) {
    try {
      const { publicKey, comment } = parsePublicKey(text);
      const id = idOf(publicKey);
      if (!senders.has(id)) senders.set(id, { comment });
    } catch (error) {
      if (!(error instanceof P2mpError)) throw error;
      throw badLine(path, number, error.message);
    }
  }
  return senders;
}

function idOf(publicKey: Uint8Array): string {
  return Buffer.from(publicKey).toString('base64');
}

/** @returns an empty object if the stamp of the file is still `knownStamp` */
async function readTrustFile(
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
