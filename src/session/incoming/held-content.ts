/** The content on disk when a session begins: the blocks that are missing, and the digests of the blocks held. */
import type { Range } from '../../base/range-set.js';
import { RangeSet } from '../../base/range-set.js';
import type { Steps } from '../../base/steps.js';
import type { HeldBlock } from '../../object/content-store.js';
import { DigestTree } from '../../object/digest-tree.js';
import type { SessionGeometry } from '../../object/geometry.js';
import { Verification } from '../../object/verification.js';
import type { SessionCrypto } from '../../security/crypto.js';

export interface HeldContent {
  /** Content blocks to receive, numbered within the session. */
  readonly missing: RangeSet;
  readonly verification: Verification;
}

/** The number of held blocks processed in one step. Hashing them takes a few milliseconds. */
const heldStepBlocks = 1000;

/** The most kept blocks per step: a multiple of 2^5, because whole runs of 2^5 need no hashing. */
const keptStepBlocks = 64 * 1024;

/** @param kept blocks that are neither needed nor verified, as ranges of block numbers within the content */
export function* takeHeldContent(
  hash: SessionCrypto['hash'],
  { manifestBlockCount, blockCount }: SessionGeometry,
  held: Iterable<HeldBlock>,
  kept: readonly Range[],
): Steps<HeldContent> {
  const tree = new DigestTree(hash, blockCount - manifestBlockCount);
  const missing = new RangeSet();
  if (blockCount > manifestBlockCount) missing.add(manifestBlockCount, blockCount);
  let count = 0;
  for (const { index, leaf } of held) {
    if (count++ % heldStepBlocks === heldStepBlocks - 1) yield;
    tree.set(index, leaf);
    missing.remove(manifestBlockCount + index, manifestBlockCount + index + 1);
  }
  for (const { start, end } of kept) {
    missing.remove(manifestBlockCount + start, manifestBlockCount + end);
    for (let from = start; from < end; from += keptStepBlocks) {
      if (from > start) yield;
      tree.keep(from, Math.min(end, from + keptStepBlocks));
    }
  }
  return { missing, verification: new Verification(tree) };
}
