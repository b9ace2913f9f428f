/**
 * The keys that may use this host, and what each may do, from a file like `authorized_keys` of SSH. A line names
 * rights, a public key and a comment: `send,delete p2mp-x25519 <base64> alice@desk`.
 */
import { P2mpError } from '../../base/errors.js';
import { fileError } from '../system-error.js';
import { appendLine } from './append-line.js';
import { formatPublicKey, keyKind, parsePublicKey } from './key-files.js';
import { badLine, readTrustFile, type TrustLine } from './trust-file.js';

/**
 * What a key may do: send to this host, fetch from it, delete here what it no longer sends, and bring here as a relay what
 * keys with the right `send` send; and take part in an exchange that this host coordinates.
 */
export const rights = ['send', 'fetch', 'delete', 'relay', 'exchange'] as const;

/** One of `rights`. */
export type Right = (typeof rights)[number];

/** A key in the file. */
export interface AuthorizedKey {
  readonly rights: ReadonlySet<Right>;
  /** The text after the key; may be empty. */
  readonly comment: string;
}

/**
 * The keys that may use this host, and what each may do. The file is read again when it changes.
 * @example
 * ```ts
 * import { writeFileSync } from 'node:fs';
 * import { AuthorizedKeys, formatAuthorizedKey, generateKeyPair } from 'p2mp';
 *
 * const { publicKey } = await generateKeyPair();
 * writeFileSync('authorized_keys', formatAuthorizedKey(['send', 'fetch'], publicKey, 'alice'));
 * const keys = await AuthorizedKeys.load('authorized_keys');
 * console.log(keys.find(publicKey)?.comment); // alice
 * console.log(keys.may(publicKey, 'fetch'), keys.may(publicKey, 'delete')); // true false
 * ```
 */
export class AuthorizedKeys {
  private keys: ReadonlyMap<string, AuthorizedKey> = new Map();
  /** Added here, and not yet in the file. */
  private readonly unsaved = new Map<string, AuthorizedKey>();
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
  static async load(path: string, mayBeMissing = false): Promise<AuthorizedKeys> {
    const list = new AuthorizedKeys(path, mayBeMissing);
    const error = await list.refresh();
    if (error !== undefined) throw error;
    return list;
  }

  /** If a key has several lines, it has the rights of all of them, and the comment of the first. */
  find(publicKey: Uint8Array): AuthorizedKey | undefined {
    const id = idOf(publicKey);
    const [saved, unsaved] = [this.keys.get(id), this.unsaved.get(id)];
    return saved === undefined || unsaved === undefined ? (saved ?? unsaved) : join(saved, unsaved);
  }

  /** Whether a key has a right. */
  may(publicKey: Uint8Array, right: Right): boolean {
    return this.find(publicKey)?.rights.has(right) === true;
  }

  /**
   * Gives a key rights from this call on, and appends the line to the file durably. If that fails, the key has the
   * rights until this process ends.
   * @throws P2mpError TARGET_UNWRITABLE, INVALID_ARGUMENT if the comment is not one line
   */
  async add(given: readonly Right[], publicKey: Uint8Array, comment: string): Promise<void> {
    const line = formatAuthorizedKey(given, publicKey, comment);
    const id = idOf(publicKey);
    const earlier = this.unsaved.get(id);
    const own = { rights: new Set(given), comment };
    const key = earlier === undefined ? own : join(earlier, own);
    this.unsaved.set(id, key);
    const saved = this.work.then(() => appendLine(this.path, line));
    this.work = saved.catch(() => undefined);
    await saved;
    // From now on, the file decides: removing the line ends the rights.
    const error = await this.refresh();
    if (error === undefined && this.unsaved.get(id) === key) this.unsaved.delete(id);
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
      this.keys = parseKeys(this.path, lines);
      this.stamp = stamp;
      return undefined;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
        if (this.mayBeMissing && this.keys.size === 0) return undefined;
        const message = `${this.path}: the list of authorized keys does not exist; --invite lets a first host in and makes it; or create it with one line per key, such as "send,fetch ${keyKind} <base64>": the rights, then the key as p2mp keygen prints it`;
        return new P2mpError('TRUST_FILE_BAD', message, { cause: error });
      }
      return fileError('TRUST_FILE_BAD', this.path, error);
    }
  }
}

/**
 * Formats a line of the file.
 * @throws P2mpError INVALID_ARGUMENT if the comment is not one line
 * @example
 * ```ts
 * import { formatAuthorizedKey } from 'p2mp';
 *
 * const line = formatAuthorizedKey(['send', 'delete'], new Uint8Array(32), 'alice');
 * console.log(line.split(' ').slice(0, 2).join(' ')); // send,delete p2mp-x25519
 * ```
 */
export function formatAuthorizedKey(
  given: readonly Right[],
  publicKey: Uint8Array,
  comment: string,
): string {
  return `${given.join()} ${formatPublicKey(publicKey, comment)}`;
}

function parseKeys(path: string, lines: readonly TrustLine[]): ReadonlyMap<string, AuthorizedKey> {
  const keys = new Map<string, AuthorizedKey>();
  for (const { number, text } of lines) {
    const [, words = '', rest = ''] = /^(\S+)(.*)$/su.exec(text) ?? [];
    const given = readRights(words);
    if (typeof given === 'string') throw badLine(path, number, given);
    try {
      const { publicKey, comment } = parsePublicKey(rest);
      const id = idOf(publicKey);
      const key = { rights: given, comment };
      const earlier = keys.get(id);
      keys.set(id, earlier === undefined ? key : join(earlier, key));
    } catch (error) {
      if (!(error instanceof P2mpError)) throw error;
      throw badLine(path, number, error.message);
    }
  }
  return keys;
}

/** @returns what is wrong, for a text that is not a list of rights */
function readRights(text: string): ReadonlySet<Right> | string {
  const known = rights.join(', ');
  if (text === keyKind) {
    return `names no rights; begin the line with what the key may do, such as "send" or "send,fetch" (${known})`;
  }
  const given = new Set<Right>();
  for (const word of text.split(',')) {
    const right = rights.find((each) => each === word);
    if (right === undefined) {
      return `does not begin with rights (${known}), separated by commas without blanks`;
    }
    given.add(right);
  }
  if (given.has('delete') && !given.has('send')) {
    return '"delete" has no effect without "send"; write "send,delete"';
  }
  return given;
}

function join(one: AuthorizedKey, other: AuthorizedKey): AuthorizedKey {
  return { rights: new Set([...one.rights, ...other.rights]), comment: one.comment };
}

function idOf(publicKey: Uint8Array): string {
  return Buffer.from(publicKey).toString('base64');
}
