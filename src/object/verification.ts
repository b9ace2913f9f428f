/** Verifies a receiver's object against the sender's digest tree and finds the blocks that differ. */
import { isEqualBytes } from '../wire/byte-codec.js';
import type { Nodes, NodesRequest } from '../wire/tree-nodes.js';
import type { DigestTree } from './digest-tree.js';
import { TreeSearch } from './tree-search.js';

export type Verdict =
  | { readonly kind: 'same' }
  /** Nodes of the sender's tree are needed; see `requests`. */
  | { readonly kind: 'searching' }
  /** These blocks, numbered within the content, must be received again. */
  | { readonly kind: 'differs'; readonly blocks: readonly number[] }
  /** The digests still differ after the maximum number of searches. */
  | { readonly kind: 'hopeless' };

/**
 * Maximum number of searches; each search that finds differing blocks leads to a repair. If authentic blocks
 * still differ after so many searches, the sender is at fault.
 */
const maxSearches = 8;

export class Verification {
  private root: Uint8Array | undefined;
  private search: TreeSearch | undefined;
  private searches = 0;
  private isVerified = false;

  /** @param tree has `keptLeaf` as the digest of each block that is kept without being read */
  constructor(readonly tree: DigestTree) {}

  /**
   * Begins verification. All blocks must be present.
   * @param root the root of the sender's tree
   */
  check(root: Uint8Array): Verdict {
    this.root = root;
    return this.compare(root);
  }

  /** @returns the verdict so far; undefined if these nodes were not requested */
  handle(nodes: Nodes): Verdict | undefined {
    const { search, root } = this;
    if (search === undefined || root === undefined || !search.handle(nodes)) return undefined;
    return this.advance(search, root);
  }

  /** The root of the whole content. Undefined before the verdict `same`, and if the tree does not cover kept blocks. */
  get contentRoot(): Uint8Array | undefined {
    return this.isVerified && !this.tree.keepsBlocks ? this.root : undefined;
  }

  /** The requests to send or repeat now. */
  get requests(): readonly NodesRequest[] {
    return this.search?.pending() ?? [];
  }

  private compare(root: Uint8Array): Verdict {
    const { tree } = this;
    if (isEqualBytes(tree.root(), root)) {
      this.isVerified = true;
      return { kind: 'same' };
    }
    this.searches++;
    if (this.searches > maxSearches) return { kind: 'hopeless' };
    this.search = new TreeSearch(tree);
    return this.advance(this.search, root);
  }

  private advance(search: TreeSearch, root: Uint8Array): Verdict {
    if (!search.isOver) return { kind: 'searching' };
    this.search = undefined;
    const blocks = search.differing;
    return blocks.length > 0 ? { kind: 'differs', blocks } : this.compare(root);
  }
}
