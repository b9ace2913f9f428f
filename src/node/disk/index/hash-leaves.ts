/** Computes the leaf digests of an object, in turns, so that a process that serves meanwhile is not held up. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { DigestTree } from '../../../object/digest-tree.js';
import { hashLeaf } from '../../../object/hash-tree.js';
import { digestSizeBytes, standardBlockSizeBytes } from '../../../wire/sizes.js';
import { sha256 } from '../../primitives/primitives.js';
import type { KnownBlocks } from './known-blocks.js';
import type { ListedPath } from './listed-path.js';

/** Blocks that are hashed in one turn of the event loop: about a quarter of a millisecond. */
const hashedAtOnce = 4;

/** Known digests that are copied, or put into a tree, in one turn. */
const copiedAtOnce = 256;

/** Content after which the digests so far are saved, so that a killed process does not begin again. */
const checkpointBytes = 4 * 1024 ** 3;

export interface HashOptions {
  /** Where to look for blocks that need not be read. */
  readonly known: readonly KnownBlocks[];
  readonly signal: AbortSignal | undefined;
  /** Called in each turn, with the number of blocks whose digests are there, the first ones. */
  readonly onProgress: (doneCount: number) => void;
  /** Called from time to time, so that the first digests can be saved. */
  readonly saveSome: (doneCount: number) => Promise<void>;
}

/**
 * @param leaves where the digests go, one after another
 * @returns how much was read
 * @throws P2mpError SOURCE_CHANGED, SOURCE_UNREADABLE; the signal's reason after it aborts
 */
export async function hashLeaves(
  { source }: ListedPath,
  leaves: Uint8Array,
  { known, signal, onProgress, saveSome }: HashOptions,
): Promise<number> {
  const { contentSizeBytes } = source.manifest;
  const blockCount = leaves.length / digestSizeBytes;
  let hashedBytes = 0;
  let savedBytes = 0;
  let turn = 0;
  for (let block = 0; block < blockCount; block++) {
    const offsetBytes = block * standardBlockSizeBytes;
    const sizeBytes = Math.min(standardBlockSizeBytes, contentSizeBytes - offsetBytes);
    let leaf: Uint8Array | undefined;
    for (const each of known) leaf ??= each.leaf(block, sizeBytes);
    turn += leaf === undefined ? 1 / hashedAtOnce : 1 / copiedAtOnce;
    if (leaf === undefined) {
      const bytes =
        source.peek(offsetBytes, sizeBytes) ?? (await source.read(offsetBytes, sizeBytes));
      leaf = hashLeaf(sha256, bytes);
      hashedBytes += sizeBytes;
    }
    leaves.set(leaf, block * digestSizeBytes);
    if (hashedBytes - savedBytes >= checkpointBytes) {
      savedBytes = hashedBytes;
      await saveSome(block + 1);
    }
    if (turn < 1) continue;
    turn = 0;
    onProgress(block + 1);
    await nextTurn();
    signal?.throwIfAborted();
  }
  onProgress(blockCount);
  return hashedBytes;
}

/** Builds the tree above the leaf digests, in turns with other work. */
export async function treeOf(leaves: Uint8Array, signal?: AbortSignal): Promise<DigestTree> {
  const blockCount = leaves.length / digestSizeBytes;
  const tree = new DigestTree(sha256, blockCount);
  for (let block = 0; block < blockCount; block++) {
    const at = block * digestSizeBytes;
    tree.set(block, leaves.subarray(at, at + digestSizeBytes));
    if (block % copiedAtOnce !== copiedAtOnce - 1) continue;
    await nextTurn();
    signal?.throwIfAborted();
  }
  return tree;
}
