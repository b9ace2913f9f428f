/** Objects of simulated servers, and whether clients have got them. */
import { DigestTree } from '../../object/digest-tree.js';
import { hashLeaf } from '../../object/hash-tree.js';
import type { MemoryStores } from '../../object/memory-store.js';
import type { FetchResult } from '../../roles/fetch/fetch-result.js';
import type { Link } from '../../simulator/link.js';
import type { ServedObject } from '../../simulator/roles/serving.js';
import { createSimulatedCrypto } from '../../simulator/session-crypto.js';
import { isEqualBytes } from '../../wire/byte-codec.js';
import { standardBlockSizeBytes } from '../../wire/sizes.js';

const { hash } = createSimulatedCrypto('', '');

/** An object whose digests the server knows. */
export function servedObject(name: string, content: Uint8Array): ServedObject {
  const blockCount = Math.ceil(content.length / standardBlockSizeBytes);
  const digestTree = new DigestTree(hash, blockCount);
  for (let i = 0; i < blockCount; i++) {
    const start = i * standardBlockSizeBytes;
    digestTree.set(i, hashLeaf(hash, content.subarray(start, start + standardBlockSizeBytes)));
  }
  return { name, content, digestTree };
}

/** Whether a fetch ended with the whole content in these stores. */
export function isFetched(
  { status, object }: FetchResult,
  stores: MemoryStores,
  content: Uint8Array,
): boolean {
  const blocks = object && stores.blocksOf(object.manifestDigest);
  return status === 'complete' && blocks !== undefined && isContent(blocks, content);
}

/** Whether these blocks, by their indexes, are the whole content. */
export function isContent(blocks: ReadonlyMap<number, Uint8Array>, content: Uint8Array): boolean {
  let sizeBytes = 0;
  for (const [block, bytes] of blocks) {
    const start = block * standardBlockSizeBytes;
    if (!isEqualBytes(bytes, content.subarray(start, start + bytes.length))) return false;
    sizeBytes += bytes.length;
  }
  return sizeBytes === content.length;
}

export function countSent(links: readonly Link[]): number {
  return links.reduce((sum, { counts }) => sum + counts.sent, 0);
}
