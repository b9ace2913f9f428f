/** SHA-256 by Node's own implementation. */
import { createHash } from 'node:crypto';
import type { Hash } from '../base/hash.js';

export const sha256: Hash = (...parts) => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  const digest = hash.digest();
  return new Uint8Array(digest.buffer, digest.byteOffset, digest.length);
};
