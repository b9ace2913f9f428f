/**
 * The key pair of this host, following the conventions of SSH: a private file that only its owner may read, and
 * beside it a public file with one line to give to others.
 */
import {
  createHash,
  createPrivateKey,
  generateKeyPair as generateNodeKeyPair,
  type KeyObject,
  randomBytes,
} from 'node:crypto';
import { link, lstat, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename, dirname, isAbsolute, join } from 'node:path';
import { promisify } from 'node:util';
import { P2mpError } from '../../base/errors.js';
import { isEqualBytes } from '../../wire/byte-codec.js';
import { keySizeBytes } from '../../wire/sizes.js';
import { makeFolders, syncFolder } from '../disk/fsync.js';
import { fileError } from '../system-error.js';
import { findOpenPlace } from './trusted-place.js';

/** An X25519 key pair, 32 bytes each. */
export interface KeyPair {
  readonly publicKey: Uint8Array;
  readonly secretKey: Uint8Array;
}

/** Precedes every public key. */
export const keyKind = 'p2mp-x25519';

/** Maximum size of a key file. A key is far smaller, so a larger file must be something else. */
const maxFileSizeBytes = 64 * 1024;

/** Errors of file systems without hard links. */
const noLinkCodes = ['EPERM', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP', 'EINVAL'];

/**
 * The folder of keys and lists of trusted keys: $P2MP_HOME, or the platform's folder for settings.
 * @example
 * ```ts
 * import { defaultKeyFolder } from 'p2mp';
 *
 * console.log(defaultKeyFolder({ XDG_CONFIG_HOME: '/home/alice/.config' }, 'linux')); // /home/alice/.config/p2mp
 * ```
 */
export function defaultKeyFolder(
  environment: Readonly<Record<string, string | undefined>> = process.env,
  platform: NodeJS.Platform = process.platform,
): string {
  const { P2MP_HOME: own, XDG_CONFIG_HOME: config, APPDATA: appData } = environment;
  if (own !== undefined && own !== '') return own;
  if (platform === 'win32') return join(appData || join(homedir(), 'AppData', 'Roaming'), 'p2mp');
  // According to the XDG Base Directory Specification, relative paths must be ignored.
  const isUsable = config !== undefined && isAbsolute(config);
  return join(isUsable ? config : join(homedir(), '.config'), 'p2mp');
}

/** The path of the public file that belongs to a private one. */
export function publicPathOf(path: string): string {
  return `${path}.pub`;
}

/**
 * Makes a new key pair from the randomness of the system.
 * @example
 * ```ts
 * import { generateKeyPair } from 'p2mp';
 *
 * const { publicKey, secretKey } = await generateKeyPair();
 * console.log(publicKey.length, secretKey.length); // 32 32
 * ```
 */
export async function generateKeyPair(): Promise<KeyPair> {
  const { privateKey } = await promisify(generateNodeKeyPair)('x25519');
  return exportKeyPair(privateKey);
}

/** How `saveKeyPair` treats files that exist. */
export interface SaveOptions {
  /** Whether an existing pair may be overwritten. */
  readonly force?: boolean;
}

/**
 * Writes both files durably, each completely or not at all. The private key is PKCS #8 in PEM, which other tools can
 * read.
 * @throws P2mpError KEY_EXISTS, TARGET_UNWRITABLE, INVALID_ARGUMENT if the comment is not one line
 * @example
 * ```ts
 * import { existsSync } from 'node:fs';
 * import { generateKeyPair, saveKeyPair } from 'p2mp';
 *
 * await saveKeyPair('key', await generateKeyPair(), 'alice');
 * console.log(existsSync('key'), existsSync('key.pub')); // true true
 * ```
 */
export async function saveKeyPair(
  path: string,
  pair: KeyPair,
  comment: string,
  { force = false }: SaveOptions = {},
): Promise<void> {
  const line = formatPublicKey(pair.publicKey, comment);
  const publicPath = publicPathOf(path);
  try {
    await makeFolder(dirname(path));
    await checkRoomAt(path, force, existsError(path));
    await checkRoomAt(publicPath, force, remainsError(path, publicPath));
    await saveWhole(path, privatePem(pair), 0o600, force);
    // This process has created the private file, so it may overwrite the public file.
    await saveWhole(publicPath, `${line}\n`, 0o644, true);
    await syncFolder(dirname(path));
  } catch (error) {
    throw fileError('TARGET_UNWRITABLE', path, error);
  }
}

/**
 * Reads the private file and derives the public key.
 * @throws P2mpError KEY_UNREADABLE
 * @example
 * ```ts
 * import { fingerprint, generateKeyPair, loadKeyPair, saveKeyPair } from 'p2mp';
 *
 * const pair = await generateKeyPair();
 * await saveKeyPair('key', pair, 'alice');
 * const { publicKey } = await loadKeyPair('key');
 * console.log(fingerprint(publicKey) === fingerprint(pair.publicKey)); // true
 * ```
 */
export async function loadKeyPair(path: string): Promise<KeyPair> {
  const fail = (reason: string): never => {
    throw new P2mpError('KEY_UNREADABLE', `${path}: ${reason}`);
  };
  let pem = '';
  try {
    // Check before opening the file, because opening a pipe would block.
    const { size } = await checkRegular(path);
    if (size > maxFileSizeBytes) fail(noKey);
    const openPlace = await findOpenPlace(path);
    if (openPlace !== undefined) fail(openPlace);
    const handle = await open(path, 'r');
    try {
      const { mode, uid } = await handle.stat();
      // Like ssh, accept any mode if the file has another owner: that owner decides.
      if (uid === process.getuid?.() && (mode & 0o077) !== 0) {
        const octal = (mode & 0o777).toString(8).padStart(4, '0');
        fail(`other users can access it (mode ${octal}); run chmod 600 ${path}`);
      }
      pem = await handle.readFile('utf8');
    } finally {
      await handle.close();
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      const option = path === join(defaultKeyFolder(), 'key') ? '' : ` --key ${path}`;
      const message = `${path}: no such key; create one with p2mp keygen${option}`;
      throw new P2mpError('KEY_UNREADABLE', message, { cause: error });
    }
    throw fileError('KEY_UNREADABLE', path, error);
  }
  return parsePrivatePem(pem) ?? fail(noKey);
}

/** @returns the comment in the public file; empty if that file has another key */
export async function loadComment(path: string, publicKey: Uint8Array): Promise<string> {
  try {
    const publicPath = publicPathOf(path);
    if ((await checkRegular(publicPath)).size > maxFileSizeBytes) return '';
    const [line = ''] = (await readFile(publicPath, 'utf8')).split('\n');
    const read = parsePublicKey(line);
    return isEqualBytes(read.publicKey, publicKey) ? read.comment : '';
  } catch {
    // The comment is optional; only the private file matters.
    return '';
  }
}

/**
 * Formats a public key as the line to give to others.
 * @throws P2mpError INVALID_ARGUMENT if the comment is not one line
 * @example
 * ```ts
 * import { formatPublicKey } from 'p2mp';
 *
 * console.log(formatPublicKey(new Uint8Array(32), 'alice').split(' ')[0]); // p2mp-x25519
 * ```
 */
export function formatPublicKey(publicKey: Uint8Array, comment: string): string {
  const trimmed = comment.trim();
  if (hasControl(trimmed)) {
    throw new P2mpError('INVALID_ARGUMENT', `comment ${quote(trimmed)} must be one line of text`);
  }
  return `${keyKind} ${Buffer.from(publicKey).toString('base64')} ${trimmed}`.trimEnd();
}

/** A public key as text, with its comment. */
export interface PublicKeyLine {
  readonly publicKey: Uint8Array;
  /** May be empty. */
  readonly comment: string;
}

/**
 * Parses the line of a public file.
 * @throws P2mpError INVALID_ARGUMENT if the line is invalid; the message shows the expected format
 * @example
 * ```ts
 * import { formatPublicKey, generateKeyPair, parsePublicKey } from 'p2mp';
 *
 * const { publicKey } = await generateKeyPair();
 * console.log(parsePublicKey(formatPublicKey(publicKey, 'alice')).comment); // alice
 * ```
 */
export function parsePublicKey(line: string): PublicKeyLine {
  const fail = (reason: string): never => {
    const expected = `"${keyKind} <base64> <comment>", as p2mp keygen prints it`;
    throw new P2mpError('INVALID_ARGUMENT', `${reason}; expected ${expected}`);
  };
  const [, kind = '', base64 = '', rest = ''] = /^\s*(\S*)\s*(\S*)(.*)$/su.exec(line) ?? [];
  if (kind !== keyKind) fail(`not a p2mp public key: ${quote(kind)}`);
  const bytes = Buffer.from(base64, 'base64');
  // Base64 must be canonical, so that one key has only one text form.
  if (bytes.length !== keySizeBytes || bytes.toString('base64') !== base64) {
    fail(`truncated or altered key: ${quote(base64)}`);
  }
  const comment = rest.trim();
  if (hasControl(comment)) fail('the comment contains control characters');
  return { publicKey: Uint8Array.from(bytes), comment };
}

/**
 * Returns the fingerprint of a public key in the format of `ssh-keygen -l`, for people to compare.
 * @example
 * ```ts
 * import { fingerprint, generateKeyPair } from 'p2mp';
 *
 * const { publicKey } = await generateKeyPair();
 * console.log(fingerprint(publicKey).startsWith('SHA256:')); // true
 * ```
 */
export function fingerprint(publicKey: Uint8Array): string {
  const digest = createHash('sha256').update(publicKey).digest('base64');
  return `SHA256:${digest.replace(/=+$/, '')}`;
}

/**
 * Creates a folder that only its owner can access, if it does not exist.
 * @throws P2mpError TARGET_UNWRITABLE
 */
export async function makeFolder(path: string): Promise<void> {
  await makeFolders(path, 0o700).catch((error: unknown) => {
    throw fileError('TARGET_UNWRITABLE', path, error);
  });
}

const noKey = 'contains no p2mp private key; name another file, or create a key with p2mp keygen';

/** Whether the text contains control characters, which a terminal would interpret. */
function hasControl(text: string): boolean {
  return /[\p{Cc}\u2028\u2029]/u.test(text);
}

/** Shortens and escapes foreign text. */
function quote(text: string): string {
  const short = JSON.stringify(text.length > 20 ? `${text.slice(0, 20)}…` : text);
  // JSON does not escape all of these.
  return short.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (one) => {
    const number = one.codePointAt(0) ?? 0;
    return `\\u${number.toString(16).padStart(4, '0')}`;
  });
}

/** DER prefix of an X25519 private key in PKCS #8 (RFC 8410). */
const derPrefix = Buffer.from('302e020100300506032b656e04220420', 'hex');

function privatePem({ secretKey }: KeyPair): string {
  const der = Buffer.concat([derPrefix, secretKey]);
  return `-----BEGIN PRIVATE KEY-----\n${der.toString('base64')}\n-----END PRIVATE KEY-----\n`;
}

function parsePrivatePem(pem: string): KeyPair | undefined {
  try {
    const key = createPrivateKey(pem);
    return key.asymmetricKeyType === 'x25519' ? exportKeyPair(key) : undefined;
  } catch {
    return undefined;
  }
}

function exportKeyPair(key: KeyObject): KeyPair {
  const { x = '', d = '' } = key.export({ format: 'jwk' });
  const bytesOf = (text: string) => Uint8Array.from(Buffer.from(text, 'base64url'));
  return { publicKey: bytesOf(x), secretKey: bytesOf(d) };
}

async function checkRegular(path: string): Promise<{ size: number }> {
  const stats = await stat(path);
  if (!stats.isFile()) {
    const reason = stats.isDirectory() ? 'is a folder; name a file' : 'is not a regular file';
    throw new P2mpError('KEY_UNREADABLE', `${path}: ${reason}`);
  }
  return stats;
}

function existsError(path: string): P2mpError {
  const remedy = 'choose another file, or overwrite it with --force, which destroys the old key';
  return new P2mpError('KEY_EXISTS', `${path}: a key exists already; ${remedy}`);
}

/**
 * The error if only the public file exists. Without `force`, that file is not overwritten, because other
 * hosts may trust its key.
 */
function remainsError(path: string, publicPath: string): P2mpError {
  const reason = `its private key ${path} is missing`;
  const remedy = 'restore the private key, or delete this file to make a new pair';
  return new P2mpError('KEY_EXISTS', `${publicPath}: ${reason}; ${remedy}`);
}

/** Checks the name before anything is written: a folder is never replaced, and a key only with `force`. */
async function checkRoomAt(path: string, force: boolean, error: P2mpError): Promise<void> {
  // A dangling link counts as existing.
  const stats = await lstat(path).catch(() => undefined);
  if (stats?.isDirectory()) {
    throw new P2mpError('TARGET_UNWRITABLE', `${path}: is a folder; name a file`);
  }
  if (stats !== undefined && !force) throw error;
}

/** Writes atomically: at any time, the file is missing, has its old content, or has the complete new text. */
async function saveWhole(
  path: string,
  text: string,
  mode: number,
  mayReplace: boolean,
): Promise<void> {
  const suffix = randomBytes(4).toString('hex');
  const temporaryPath = join(dirname(path), `.${basename(path).slice(0, 48)}.${suffix}.part`);
  try {
    const handle = await open(temporaryPath, 'wx', mode);
    try {
      // Set the mode regardless of the umask, which could otherwise lock out the owner.
      await handle.chmod(mode);
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    if (!mayReplace && (await isLinked(temporaryPath, path))) return;
    await rename(temporaryPath, path);
  } finally {
    await rm(temporaryPath, { force: true });
  }
}

/**
 * Links the file to its name. Unlike a rename, this fails if the name exists.
 * @returns false if the file system has no hard links; only the earlier check then protects an existing file
 */
async function isLinked(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') throw existsError(to);
    if (noLinkCodes.includes(code)) return false;
    throw error;
  }
}
