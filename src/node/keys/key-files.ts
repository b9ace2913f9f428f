/**
 * The key pair of this host, with the habits of SSH: a private file that only its owner may read, a
 * public one beside it of one line, which is handed to others.
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

/** Of X25519, 32 bytes each. */
export interface KeyPair {
  readonly publicKey: Uint8Array;
  readonly secretKey: Uint8Array;
}

/** What stands in front of every public key. */
export const keyKind = 'p2mp-x25519';

/** Far more than a key takes; a file that is larger is something else. */
const maxFileSizeBytes = 64 * 1024;

/** What disks say that have no links. */
const noLinkCodes = ['EPERM', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP', 'EINVAL'];

/** Where keys and lists of trusted keys are: $P2MP_HOME, or where the system keeps settings. */
export function defaultKeyFolder(
  environment: Readonly<Record<string, string | undefined>> = process.env,
  platform: NodeJS.Platform = process.platform,
): string {
  const { P2MP_HOME: own, XDG_CONFIG_HOME: config, APPDATA: appData } = environment;
  if (own !== undefined && own !== '') return own;
  if (platform === 'win32') return join(appData || join(homedir(), 'AppData', 'Roaming'), 'p2mp');
  // The XDG base directory specification: a relative path there is to be ignored.
  const isUsable = config !== undefined && isAbsolute(config);
  return join(isUsable ? config : join(homedir(), '.config'), 'p2mp');
}

/** The public file of a private one. */
export function publicPathOf(path: string): string {
  return `${path}.pub`;
}

/** Makes a new key pair from the randomness of the system. */
export async function generateKeyPair(): Promise<KeyPair> {
  const { privateKey } = await promisify(generateNodeKeyPair)('x25519');
  return exportKeyPair(privateKey);
}

/** How `saveKeyPair` treats files that exist. */
export interface SaveOptions {
  /** Whether a pair that is there may be overwritten. */
  readonly force?: boolean;
}

/**
 * Writes both files, each whole or not at all, and makes them durable. The private one is PKCS #8 in
 * PEM, which other tools read too.
 * @throws P2mpError KEY_EXISTS, TARGET_UNWRITABLE, INVALID_ARGUMENT where the comment is no one line
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
    for (const one of [path, publicPath]) await checkRoomAt(one, force);
    await saveWhole(path, privatePem(pair), 0o600, force);
    // Whoever made the private file owns the public one's name.
    await saveWhole(publicPath, `${line}\n`, 0o644, true);
    await syncFolder(dirname(path));
  } catch (error) {
    throw fileError('TARGET_UNWRITABLE', path, error);
  }
}

/**
 * Reads the private file; the public key follows from it.
 * @throws P2mpError KEY_UNREADABLE
 */
export async function loadKeyPair(path: string): Promise<KeyPair> {
  const fail = (reason: string): never => {
    throw new P2mpError('KEY_UNREADABLE', `${path}: ${reason}`);
  };
  let pem = '';
  try {
    // Before it is opened: opening a pipe would wait for somebody who writes.
    const { size } = await checkRegular(path);
    if (size > maxFileSizeBytes) fail(noKey);
    const openPlace = await findOpenPlace(path);
    if (openPlace !== undefined) fail(openPlace);
    const handle = await open(path, 'r');
    try {
      const { mode, uid } = await handle.stat();
      // As ssh does: of another owner's file, the owner decides.
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
      const message = `${path}: no such key; create one with p2mp keygen`;
      throw new P2mpError('KEY_UNREADABLE', message, { cause: error });
    }
    throw fileError('KEY_UNREADABLE', path, error);
  }
  return parsePrivatePem(pem) ?? fail(noKey);
}

/** @returns the comment that the public file has for this key; none where it is of another key */
export async function loadComment(path: string, publicKey: Uint8Array): Promise<string> {
  try {
    const publicPath = publicPathOf(path);
    if ((await checkRegular(publicPath)).size > maxFileSizeBytes) return '';
    const [line = ''] = (await readFile(publicPath, 'utf8')).split('\n');
    const read = parsePublicKey(line);
    return isEqualBytes(read.publicKey, publicKey) ? read.comment : '';
  } catch {
    // It is a convenience: what counts is in the private file.
    return '';
  }
}

/**
 * The line that is handed to others.
 * @throws P2mpError INVALID_ARGUMENT where the comment is not of one line
 */
export function formatPublicKey(publicKey: Uint8Array, comment: string): string {
  const trimmed = comment.trim();
  if (hasControl(trimmed)) {
    throw new P2mpError('INVALID_ARGUMENT', `comment ${quote(trimmed)}: must be one line of text`);
  }
  return `${keyKind} ${Buffer.from(publicKey).toString('base64')} ${trimmed}`.trimEnd();
}

/** A public key as text, with its comment. */
export interface PublicKeyLine {
  readonly publicKey: Uint8Array;
  /** May be empty. */
  readonly comment: string;
}

/** @throws P2mpError INVALID_ARGUMENT, which says what is expected */
export function parsePublicKey(line: string): PublicKeyLine {
  const fail = (reason: string): never => {
    const expected = `"${keyKind} <base64> <comment>", as p2mp keygen prints it`;
    throw new P2mpError('INVALID_ARGUMENT', `${reason}; expected ${expected}`);
  };
  const [, kind = '', base64 = '', rest = ''] = /^\s*(\S*)\s*(\S*)(.*)$/su.exec(line) ?? [];
  if (kind !== keyKind) fail(`not a p2mp public key: ${quote(kind)}`);
  const bytes = Buffer.from(base64, 'base64');
  // Only one way to write each key, or two lines could be of one key and not look it.
  if (bytes.length !== keySizeBytes || bytes.toString('base64') !== base64) {
    fail(`truncated or altered key: ${quote(base64)}`);
  }
  const comment = rest.trim();
  if (hasControl(comment)) fail('the comment contains control characters');
  return { publicKey: Uint8Array.from(bytes), comment };
}

/** As `ssh-keygen -l` prints it: what people read to each other. */
export function fingerprint(publicKey: Uint8Array): string {
  const digest = createHash('sha256').update(publicKey).digest('base64');
  return `SHA256:${digest.replace(/=+$/, '')}`;
}

/**
 * Makes a folder, if there is none, that only its owner may look into.
 * @throws P2mpError TARGET_UNWRITABLE
 */
export async function makeFolder(path: string): Promise<void> {
  await makeFolders(path, 0o700).catch((error: unknown) => {
    throw fileError('TARGET_UNWRITABLE', path, error);
  });
}

const noKey = 'contains no p2mp private key; name another file, or create a key with p2mp keygen';

/** A terminal must not obey what a file says. */
function hasControl(text: string): boolean {
  return /[\p{Cc}\u2028\u2029]/u.test(text);
}

/** Somebody's text, short and harmless. */
function quote(text: string): string {
  const short = JSON.stringify(text.length > 20 ? `${text.slice(0, 20)}…` : text);
  // JSON leaves some of them as they are.
  return short.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (one) => {
    const number = one.codePointAt(0) ?? 0;
    return `\\u${number.toString(16).padStart(4, '0')}`;
  });
}

/** X25519's private key as PKCS #8 in DER, up to the key itself (RFC 8410). */
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

/** Before anything is written: a folder is never replaced, and a key only by `force`. */
async function checkRoomAt(path: string, force: boolean): Promise<void> {
  // Also a link that leads nowhere is something.
  const stats = await lstat(path).catch(() => undefined);
  if (stats?.isDirectory()) {
    throw new P2mpError('TARGET_UNWRITABLE', `${path}: is a folder; name a file`);
  }
  if (stats !== undefined && !force) throw existsError(path);
}

/** Under the path there is nothing, what was there before, or all of the text. */
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
      // Whatever the mask is: one that is too strict would lock the owner out.
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
 * A link, unlike a renaming, fails where there is something.
 * @returns false where the disk has no links: whether something is there was only looked up before
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
