/**
 * The owner of a part. The same object from two senders has two parts, so that no sender can learn from a part
 * what others have sent.
 */
import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

export interface PartOrigin {
  /** Hexadecimal; empty for a shared part. */
  readonly senderKey: string;
  /** Key, in hexadecimal, of the sender that last continued the part. Recorded for shared parts too. */
  readonly lastKey: string;
  /** The sender's label of the object. */
  readonly label: string;
}

/** @returns the name of the part: 64 hexadecimal digits */
export function partIdOf(manifestDigest: string, senderKey: Uint8Array): string {
  return createHash('sha256').update(manifestDigest, 'hex').update(senderKey).digest('hex');
}

/** A crash can leave a part without a valid origin. Such a part is removed only because of its age. */
export async function writeOrigin(partPath: string, origin: PartOrigin): Promise<void> {
  await writeFile(join(partPath, fileName), JSON.stringify(origin), { mode: 0o600 });
}

/** @returns undefined if there is no valid origin */
export async function readOrigin(partPath: string): Promise<PartOrigin | undefined> {
  try {
    const text = await readFile(join(partPath, fileName), 'utf8');
    const { senderKey, lastKey, label } = JSON.parse(text);
    const isSound = [senderKey, lastKey, label].every((field) => typeof field === 'string');
    return isSound ? { senderKey, lastKey, label } : undefined;
  } catch {
    return undefined;
  }
}

const fileName = 'origin';
