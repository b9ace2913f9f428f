/** Finding the blocks that differ between two sides. */
import * as fc from 'fast-check';
import t from 'tap';
import { DigestTree } from '../../src/object/digest-tree.js';
import { TreeSearch } from '../../src/object/tree-search.js';
import { createSimulatedCrypto } from '../../src/simulator/session-crypto.js';
import { maxNodesPerMessage } from '../../src/wire/tree-nodes.js';

const { hash } = createSimulatedCrypto('tree search', 'one');
const leafOf = (block: number, version = 0) =>
  hash(Uint8Array.of(version, block, block >>> 8, block >>> 16));

function createTree(count: number, differing: ReadonlySet<number>) {
  const tree = new DigestTree(hash, count);
  for (let i = 0; i < count; i++) tree.set(i, leafOf(i, differing.has(i) ? 1 : 0));
  return tree;
}

/** Answers like a sender until the search is over. */
function run(search: TreeSearch, other: DigestTree): { messages: number } {
  let messages = 0;
  while (!search.isOver) {
    for (const { height, firstNode, count } of search.pending()) {
      if (count < 1 || count > maxNodesPerMessage) throw new Error(`${count} nodes requested`);
      const digests = other.nodes(height, firstNode, count);
      if (!search.handle({ kind: 'nodes', tree: 'receiver', height, firstNode, digests }))
        throw new Error('lost');
      messages++;
    }
  }
  return { messages };
}

const sorted = (values: Iterable<number>) => [...values].sort((a, b) => a - b);

t.test('it finds exactly the blocks that differ', (t) => {
  const cases = fc
    .integer({ min: 1, max: 3000 })
    .chain((count) =>
      fc.tuple(fc.constant(count), fc.uniqueArray(fc.nat(count - 1), { maxLength: 12 })),
    );
  const property = fc.property(cases, ([count, differing]) => {
    const search = new TreeSearch(createTree(count, new Set(differing)));
    run(search, createTree(count, new Set()));
    return JSON.stringify(sorted(search.differing)) === JSON.stringify(sorted(differing));
  });
  fc.assert(property, { seed: 1, numRuns: 200 });
  t.end();
});

t.test('with very many differences, its requests stay bounded and it misses none', (t) => {
  const count = 40_000;
  const differing = new Set(Array.from({ length: count / 4 }, (_, i) => 4 * i));
  const search = new TreeSearch(createTree(count, differing));
  const { messages } = run(search, createTree(count, new Set()));
  const found = new Set(search.differing);
  t.ok([...differing].every((block) => found.has(block)));
  t.equal(found.size, search.differing.length, 'no block is named twice');
  t.ok(messages < 1000, `${messages} messages`);
  t.end();
});

t.test('unrequested answers, or answers of the wrong length, change nothing', (t) => {
  const search = new TreeSearch(createTree(40, new Set([3])));
  const [request] = search.pending();
  t.match(request, { height: 1, firstNode: 0, count: 20 });
  const digests = createTree(40, new Set()).nodes(1, 0, 20);
  t.equal(
    search.handle({ kind: 'nodes', tree: 'receiver', height: 1, firstNode: 2, digests }),
    false,
  );
  t.equal(
    search.handle({ kind: 'nodes', tree: 'receiver', height: 2, firstNode: 0, digests }),
    false,
  );
  t.equal(
    search.handle({
      kind: 'nodes',
      tree: 'receiver',
      height: 1,
      firstNode: 0,
      digests: digests.subarray(32),
    }),
    false,
  );
  t.equal(
    search.handle({ kind: 'nodes', tree: 'receiver', height: 1, firstNode: 0, digests }),
    true,
  );
  t.equal(
    search.handle({ kind: 'nodes', tree: 'receiver', height: 1, firstNode: 0, digests }),
    false,
    'twice',
  );
  t.end();
});
