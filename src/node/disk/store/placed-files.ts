/**
 * Records which sender's key has placed which file. A sender whose blocks are compared with arbitrary files
 * could guess the content of files it never had. Existing files therefore count only for the key that placed
 * them, and only while they are unchanged.
 *
 * The record is a table of fixed size in a file, without locks. Each slot holds two digests: one of the path,
 * and one of the path, the sender's key, and the file's inode, size and times. A lost or torn slot matches
 * nothing, so its file is sent again.
 */
import { createHash } from 'node:crypto';
import type { BigIntStats } from 'node:fs';
import { closeSync, constants, openSync, readSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { makeFolders } from '../fsync.js';

type Placed = Pick<BigIntStats, 'ino' | 'size' | 'mtimeNs' | 'ctimeNs'>;

/** Makes the token that represents a file in a certain state in the record. */
type MakeToken = (path: string, stats: Placed) => Buffer;

/** Lets a part store check which files one sender has placed, and record further ones. */
export interface PlacedFiles {
  /** Whether the sender has placed the file at this absolute path and the file is unchanged. */
  has(path: string, stats: Placed): boolean;
  /**
   * Like `has`, but only if the sender's file was so old when the sender listed it that every later change of
   * that file shows in its modification time.
   */
  isSettled(path: string, stats: Placed): boolean;
  /** Records a file that is about to be renamed to this path, in case of a crash right after that. */
  expect(path: string, stats: Placed): void;
  /**
   * Records the file again after the rename, which has updated the file's change time (ctime). Ignores a file
   * that was not passed to `expect`.
   */
  confirm(path: string, stats: Placed): void;
  /** Records a file whose content was verified in place, or whose mode has changed. */
  note(path: string, stats: Placed): void;
}

/**
 * A file can change twice within the resolution of file times, which is 2 s at worst (FAT). If the sender
 * reads it between the two changes, the second change does not show in its time. So a file that changed this
 * recently is compared by content once more.
 */
const recentMs = 2000;

const tagBytes = 4;
const tokenBytes = 12;
const slotBytes = tagBytes + tokenBytes;
const bucketBytes = 4 * slotBytes;
/**
 * Number of buckets: enough for a million files, in 16 MiB. When a bucket is full, a new entry replaces an
 * old one.
 */
const bucketCount = 2 ** 18;

export class PlacedIndex {
  /** The record in memory, used if there is no file. */
  private readonly buckets = new Map<number, Buffer>();

  private constructor(private fd: number | undefined) {}

  /**
   * Opens the record and creates its file if missing. Several processes may have the file open at the same
   * time. Without a path, or if the file cannot be opened, placed files are remembered only while the process
   * runs.
   */
  static async open(path: string | undefined): Promise<PlacedIndex> {
    if (path === undefined) return new PlacedIndex(undefined);
    const { O_RDWR, O_CREAT, O_NOFOLLOW = 0, O_NONBLOCK = 0 } = constants;
    try {
      await makeFolders(dirname(path), 0o700);
      return new PlacedIndex(openSync(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o600));
    } catch {
      return new PlacedIndex(undefined);
    }
  }

  /**
   * @param senderKey in hexadecimal
   * @param partOwner owner of the part: the same key, or empty for a shared part
   * @param listedAtMs when the sender listed its files, by the clock that also sets the times of these files
   */
  ofSender(senderKey: string, partOwner: string, listedAtMs = 0): PlacedFiles {
    const settled: MakeToken = (path, stats) =>
      tokenOf(`settled ${senderKey}`, path, stats, stats.ctimeNs);
    const recent: MakeToken = (path, stats) =>
      tokenOf(`recent ${senderKey}`, path, stats, stats.ctimeNs);
    const isOld = ({ mtimeNs }: Placed) => Number(mtimeNs / 1_000_000n) < listedAtMs - recentMs;
    const placed: MakeToken = (path, stats) => (isOld(stats) ? settled : recent)(path, stats);
    // This token does not contain the change time (ctime), because the coming rename updates it.
    const expected: MakeToken = (path, stats) => tokenOf(`expected ${partOwner}`, path, stats, 0n);
    return {
      has: (path, stats) => this.holds(path, stats, settled, recent, expected),
      isSettled: (path, stats) => this.holds(path, stats, settled),
      expect: (path, stats) => this.put(path, expected(path, stats)),
      confirm: (path, stats) => {
        if (this.holds(path, stats, expected)) this.put(path, placed(path, stats));
      },
      note: (path, stats) => this.put(path, placed(path, stats)),
    };
  }

  close(): void {
    if (this.fd !== undefined) closeSync(this.fd);
    this.fd = undefined;
  }

  /** Whether the record of the path has one of these tokens. */
  private holds(path: string, stats: Placed, ...wanted: readonly MakeToken[]): boolean {
    const { bucket, tag } = placeOf(path);
    const slots = this.read(bucket);
    const at = findSlot(slots, tag);
    if (at === undefined) return false;
    const token = slots.subarray(at + tagBytes, at + slotBytes);
    return wanted.some((makeToken) => makeToken(path, stats).equals(token));
  }

  private put(path: string, token: Buffer): void {
    const { bucket, tag } = placeOf(path);
    const slots = this.read(bucket);
    const anyone = ((token[0] as number) % 4) * slotBytes;
    const at = findSlot(slots, tag) ?? findSlot(slots, emptyTag) ?? anyone;
    this.write(bucket, at, Buffer.concat([tag, token]));
  }

  private read(bucket: number): Buffer {
    const slots = this.buckets.get(bucket) ?? Buffer.alloc(bucketBytes);
    if (this.fd === undefined) return slots;
    try {
      readSync(this.fd, slots, 0, bucketBytes, bucket * bucketBytes);
    } catch {
      // An unreadable slot counts as not placed.
    }
    return slots;
  }

  private write(bucket: number, at: number, slot: Buffer): void {
    if (this.fd === undefined) {
      const slots = this.read(bucket);
      slot.copy(slots, at);
      this.buckets.set(bucket, slots);
      return;
    }
    try {
      writeSync(this.fd, slot, 0, slot.length, bucket * bucketBytes + at);
    } catch {
      // A file that is not recorded is sent again.
    }
  }
}

const emptyTag = Buffer.alloc(tagBytes);

function findSlot(slots: Buffer, tag: Buffer): number | undefined {
  for (let at = 0; at < bucketBytes; at += slotBytes) {
    if (slots.compare(tag, 0, tagBytes, at, at + tagBytes) === 0) return at;
  }
  return undefined;
}

function placeOf(path: string): { readonly bucket: number; readonly tag: Buffer } {
  const digest = createHash('sha256').update(path).digest();
  return { bucket: digest.readUInt32BE(0) % bucketCount, tag: digest.subarray(8, 8 + tagBytes) };
}

function tokenOf(owner: string, path: string, stats: Placed, ctimeNs: bigint): Buffer {
  const { ino, size, mtimeNs } = stats;
  const text = `${owner}\n${ino} ${size} ${mtimeNs} ${ctimeNs}\n${path}`;
  return createHash('sha256').update(text).digest().subarray(0, tokenBytes);
}
