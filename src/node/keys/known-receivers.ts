/**
 * The keys of known receivers, in a file like `known_hosts` of SSH, with lines of the form `host:port
 * p2mp-x25519 <base64>`. If a name occurs twice, the first line counts, so that two senders that add the same
 * name at the same time use the same key afterwards.
 */
import { assert } from '../../base/assert.js';
import { P2mpError } from '../../base/errors.js';
import { isEqualBytes } from '../../wire/byte-codec.js';
import { appendLine } from './append-line.js';
import { formatPublicKey, parsePublicKey } from './key-files.js';
import { badLine, readTrustLines, type TrustLine } from './trust-file.js';

/**
 * Whether the file lists a receiver with this key (`known`), with another key (`changed`), or not at all
 * (`unknown`).
 */
export type ReceiverCheck =
  | { readonly status: 'known' }
  | { readonly status: 'unknown' }
  /** Number of the line that has another key for this name. */
  | { readonly status: 'changed'; readonly lineNumber: number };

interface KnownReceiver {
  /** As spelled in the file. */
  readonly name: string;
  readonly publicKey: Uint8Array;
  readonly lineNumber: number;
}

/**
 * The public keys of receivers by address, in a file like known_hosts of SSH.
 * @example
 * ```ts
 * import { generateKeyPair, KnownReceivers } from 'p2mp';
 *
 * const { publicKey } = await generateKeyPair();
 * const known = await KnownReceivers.load('known_receivers');
 * await known.add('localhost:7735', publicKey);
 * console.log(known.check('localhost:7735', publicKey).status); // known
 * ```
 */
export class KnownReceivers {
  private receivers: ReadonlyMap<string, KnownReceiver> = new Map();

  private constructor(readonly path: string) {}

  /**
   * Loads the file; a missing file counts as an empty list.
   * @throws P2mpError TRUST_FILE_BAD, with the number of an invalid line
   */
  static async load(path: string): Promise<KnownReceivers> {
    const list = new KnownReceivers(path);
    await list.reload();
    return list;
  }

  /**
   * Compares a key with the key that the file lists for an address.
   * @param name `host:port`, or `[address]:port` for IPv6
   */
  check(name: string, publicKey: Uint8Array): ReceiverCheck {
    const known = this.receivers.get(idOf(name));
    if (known === undefined) return { status: 'unknown' };
    const isSame = isEqualBytes(known.publicKey, publicKey);
    return isSame ? { status: 'known' } : { status: 'changed', lineNumber: known.lineNumber };
  }

  /** Returns the key that the file lists for an address; undefined if there is none. */
  keyOf(name: string): Uint8Array | undefined {
    return this.receivers.get(idOf(name))?.publicKey;
  }

  /** Returns the names that the file lists with this key, in file order. */
  namesOf(publicKey: Uint8Array): string[] {
    const found = [...this.receivers.values()].filter((each) =>
      isEqualBytes(each.publicKey, publicKey),
    );
    return found.map(({ name }) => name);
  }

  /**
   * Appends a receiver durably. Reads the file again first, and appends nothing if the file already lists the
   * name.
   * @param name as for `check`
   * @returns `known`, or `changed` if the file lists another key for this name
   * @throws P2mpError TRUST_FILE_BAD, TARGET_UNWRITABLE
   */
  async add(name: string, publicKey: Uint8Array): Promise<ReceiverCheck> {
    assert(namePattern.test(name), 'a receiver is named host:port');
    await this.reload();
    const before = this.check(name, publicKey);
    if (before.status !== 'unknown') return before;
    await appendLine(this.path, knownReceiverLine(name, publicKey));
    await this.reload();
    return this.check(name, publicKey);
  }

  /**
   * Reads the file again.
   * @throws P2mpError TRUST_FILE_BAD
   */
  async reload(): Promise<void> {
    this.receivers = parseReceivers(this.path, await readLines(this.path));
  }
}

/**
 * A host and port, with brackets around an IPv6 address; must not start like a comment. For a receiver behind relays,
 * theirs come first, with slashes between.
 */
const namePattern =
  /^(?:(?:^|(?<!^)\/)(?:\[[0-9a-f:.]+(?:%[\w.-]+)?\]|[^\s:/#[\]\p{Cc}][^\s:/[\]\p{Cc}]*):\d{1,5})+$/iu;

/** A line of the file. */
export function knownReceiverLine(name: string, publicKey: Uint8Array): string {
  return `${name} ${formatPublicKey(publicKey, '')}`;
}

/** Host names are case-insensitive. */
function idOf(name: string): string {
  return name.toLowerCase();
}

async function readLines(path: string): Promise<readonly TrustLine[]> {
  try {
    return await readTrustLines(path);
  } catch (error) {
    const { cause } = error as { cause?: NodeJS.ErrnoException };
    if (cause?.code === 'ENOENT') return [];
    throw error;
  }
}

function parseReceivers(
  path: string,
  lines: readonly TrustLine[],
): ReadonlyMap<string, KnownReceiver> {
  const receivers = new Map<string, KnownReceiver>();
  for (const { number: lineNumber, text } of lines) {
    const [, name = '', key = ''] = /^(\S+)\s*(.*)$/su.exec(text) ?? [];
    if (!namePattern.test(name)) {
      throw badLine(path, lineNumber, 'does not begin with host:port, or [address]:port for IPv6');
    }
    const id = idOf(name);
    const publicKey = parseKey(path, lineNumber, key);
    if (!receivers.has(id)) receivers.set(id, { name, publicKey, lineNumber });
  }
  return receivers;
}

function parseKey(path: string, lineNumber: number, key: string): Uint8Array {
  try {
    return parsePublicKey(key).publicKey;
  } catch (error) {
    if (!(error instanceof P2mpError)) throw error;
    throw badLine(path, lineNumber, error.message);
  }
}
