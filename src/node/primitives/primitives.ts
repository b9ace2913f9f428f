/** SHA-256 and AES-256-GCM: by calls of libcrypto if possible, otherwise by node:crypto. */
import type { Hash } from '../../base/hash.js';
import { loadLibcrypto } from './libcrypto.js';
import { nodePrimitives, type Primitives } from './node-primitives.js';

let chosen: Primitives | undefined;

export function loadPrimitives(): Primitives {
  chosen ??= loadLibcrypto() ?? nodePrimitives;
  return chosen;
}

export const sha256: Hash = (...parts) => loadPrimitives().sha256(...parts);
