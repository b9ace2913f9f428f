/** Whether what a receiver holds is the sender's object, by their trees of digests; if not, which blocks differ. */
import type { Range } from '../base/range-set.js';
import { isEqualBytes } from '../wire/byte-codec.js';
import type { Nodes, NodesRequest } from '../wire/messages.js';
import type { DigestTree } from './digest-tree.js';
import { TreeSearch } from './tree-search.js';

export type Verdict =
  | { readonly kind: 'same' }
  /** The sender's nodes are asked for: `requests` says which. */
  | { readonly kind: 'searching' }
  /** These blocks, counted within the content: they are to come again. */
  | { readonly kind: 'differs'; readonly blocks: readonly number[] }
  /** However often blocks were repaired. */
  | { readonly kind: 'hopeless' };

/** Blocks that opened but were not the object's, again and again: the sender is at fault. */
const maxSearches = 8;

export class Verification {
  private root: Uint8Array | undefined;
  private search: TreeSearch | undefined;
  private searches = 0;

  /** @param kept blocks that were not read, as runs: their digests are the sender's */
  constructor(
    readonly tree: DigestTree,
    private readonly kept: readonly Range[],
  ) {}

  /** Begins, once all blocks are here. @param root the digest of the sender's tree */
  check(root: Uint8Array): Verdict {
    this.root = root;
    return this.compare(root);
  }

  /** @returns undefined where these nodes were not asked for */
  handle(nodes: Nodes): Verdict | undefined {
    const { search, root } = this;
    if (search === undefined || root === undefined || !search.handle(nodes)) return undefined;
    return this.advance(search, root);
  }

  /** What to ask the sender for, now or again. */
  get requests(): readonly NodesRequest[] {
    return this.search?.pending() ?? [];
  }

  private compare(root: Uint8Array): Verdict {
    const { tree } = this;
    if (tree.isComplete && isEqualBytes(tree.root(), root)) return { kind: 'same' };
    this.searches++;
    if (this.searches > maxSearches) return { kind: 'hopeless' };
    this.search = new TreeSearch(tree, tree.isComplete ? [] : this.kept);
    return this.advance(this.search, root);
  }

  private advance(search: TreeSearch, root: Uint8Array): Verdict {
    if (!search.isOver) return { kind: 'searching' };
    this.search = undefined;
    const blocks = search.differing;
    return blocks.length > 0 ? { kind: 'differs', blocks } : this.compare(root);
  }
}
