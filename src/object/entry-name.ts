/**
 * Checks names from the network against the rules of one platform. On that platform, a name that passes the
 * check stays inside the folder to which it is joined. The check does not cover symbolic links in the path:
 * the code that writes files refuses them.
 */
import { decodeUtf8, isLongerUtf8 } from '../wire/byte-codec.js';

/**
 * The platform on which a name will be used. A name that is harmless on one platform can lead out of the
 * folder on another.
 */
export type Platform = 'posix' | 'windows';

/** The reason why a name is refused. */
export type NameFault =
  | 'empty-name'
  | 'long-name'
  | 'deep-name'
  | 'not-utf8'
  | 'nul-in-name'
  | 'absolute-name'
  | 'dot-name'
  | 'reserved-name';

export const nameLimits = {
  /** Maximum size of a name in UTF-8. Linux allows 4,096 bytes for the folder and the name together. */
  sizeBytes: 3072,
  /** Maximum size of one part of a name. Nearly all file systems allow parts of this size. */
  partSizeBytes: 255,
  depth: 64,
} as const;

/** What is wrong with a name, as the rest of a sentence about it. */
const nameFaultTexts: Readonly<Record<NameFault, string>> = {
  'empty-name': 'has an empty part',
  'long-name': `is longer than ${nameLimits.sizeBytes} bytes, or a part of it than ${nameLimits.partSizeBytes}`,
  'deep-name': `is more than ${nameLimits.depth} levels deep`,
  'not-utf8': 'is not UTF-8',
  'nul-in-name': 'contains a zero byte',
  'absolute-name': 'is absolute',
  'dot-name': 'has a part "." or "..", or one that ends with a dot or a blank',
  'reserved-name': 'is reserved, or contains a reserved character',
};

/** @returns text that follows the name, such as `is not UTF-8` */
export function describeNameFault(fault: NameFault): string {
  return nameFaultTexts[fault];
}

/** Names reserved for devices on Windows, with any extension, and with spaces before the extension. */
const deviceName = /^(?:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$) *(?:\.|$)/i;

/** Characters that Windows does not allow in file names. A colon would select a drive or a stream. */
const windowsCharacter = /[<>:"\\|?*]/;

/**
 * Checks a received name, whose parts are separated by slashes.
 * @returns the decoded name, or the reason why it is refused
 */
export function readEntryName(
  bytes: Uint8Array,
  platform: Platform,
): { readonly name: string } | NameFault {
  if (bytes.length === 0) return 'empty-name';
  if (bytes.length > nameLimits.sizeBytes) return 'long-name';
  const name = decodeUtf8(bytes);
  if (name === undefined) return 'not-utf8';
  return checkEntryName(name, platform) ?? { name };
}

/**
 * Checks a decoded name.
 * @returns the reason why the name is refused; undefined if the name is valid
 */
export function checkEntryName(name: string, platform: Platform): NameFault | undefined {
  if (name === '') return 'empty-name';
  if (name.includes('\0')) return 'nul-in-name';
  if (name.startsWith('/')) return 'absolute-name';
  if (platform === 'windows' && /^(?:[a-z]:|\\)/i.test(name)) return 'absolute-name';
  if (isLongerUtf8(name, nameLimits.sizeBytes)) return 'long-name';
  const parts = name.split('/');
  if (parts.length > nameLimits.depth) return 'deep-name';
  for (const part of parts) {
    const fault = checkPart(part, platform);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

function checkPart(part: string, platform: Platform): NameFault | undefined {
  if (part === '') return 'empty-name';
  if (part === '.' || part === '..') return 'dot-name';
  if (isLongerUtf8(part, nameLimits.partSizeBytes)) return 'long-name';
  if (platform === 'posix') return undefined;
  // Windows drops trailing dots and spaces, so ".. " would become "..".
  if (/[. ]$/.test(part)) return 'dot-name';
  if (hasControl(part) || windowsCharacter.test(part) || deviceName.test(part))
    return 'reserved-name';
  return undefined;
}

function hasControl(part: string): boolean {
  for (let i = 0; i < part.length; i++) if (part.charCodeAt(i) < 0x20) return true;
  return false;
}

/** Yields the folders that contain an entry, the innermost first. */
export function* foldersAbove(name: string): Generator<string> {
  for (let end = name.lastIndexOf('/'); end > 0; end = name.lastIndexOf('/', end - 1)) {
    yield name.slice(0, end);
  }
}
