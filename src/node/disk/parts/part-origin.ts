/**
 * Whose a part is. The same object from another sender has a part of its own, so that nobody learns from a part
 * what others have sent.
 */
import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

export interface PartOrigin {
  /** In hexadecimal; empty for a part that is anybody's. */
  readonly senderKey: string;
  /** The key of the sender that continued it last, in hexadecimal; known for shared parts, too. */
  readonly lastKey: string;
  /** What the sender calls the object. */
  readonly label: string;
}

/** Names the part: 64 hexadecimal digits. */
export function partIdOf(objectId: string, senderKey: Uint8Array): string {
  return createHash('sha256').update(objectId, 'hex').update(senderKey).digest('hex');
}

/** Where a crash leaves none or half of it, the part is removed by its age alone. */
export async function writeOrigin(partPath: string, origin: PartOrigin): Promise<void> {
  await writeFile(join(partPath, fileName), JSON.stringify(origin), { mode: 0o600 });
}

/** @returns undefined where there is none, or none that makes sense */
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
