/** Leaf digests that are fetched from the root downwards, each group checked against the node above it. */
import * as fc from 'fast-check';
import t from 'tap';
import { DigestTree } from '../../src/object/digest-tree.js';
import type { NodeGroup } from '../../src/object/leaf-digests.js';
import { LeafDigests, requestOf } from '../../src/object/leaf-digests.js';
import { createSimulatedCrypto } from '../../src/simulator/session-crypto.js';
import { maxNodesPerMessage } from '../../src/wire/tree-nodes.js';

const { hash } = createSimulatedCrypto('leaf digests', 'one');
const leafOf = (block: number) => hash(Uint8Array.of(block, block >>> 8, block >>> 16));

function createTree(count: number): DigestTree {
  const tree = new DigestTree(hash, count);
  for (let i = 0; i < count; i++) tree.set(i, leafOf(i));
  return tree;
}

function createLeaves(tree: DigestTree): LeafDigests {
  const leaves = LeafDigests.create(hash, tree.blockCount, tree.root());
  if (leaves === undefined) throw new Error('an impossible root');
  return leaves;
}

const nobody = () => false;
const nodesOf = (tree: DigestTree, { height, firstNode, count }: NodeGroup) =>
  tree.nodes(height, firstNode, count);

/** @returns the number of groups that were fetched */
function fetchAll(leaves: LeafDigests, tree: DigestTree, nowMs = 0): number {
  let count = 0;
  for (; !leaves.isComplete; count++) {
    const group = leaves.next(nowMs, nobody);
    if (group === undefined) throw new Error('nothing to ask for');
    if (!leaves.take(group, nodesOf(tree, group))) throw new Error('an honest answer is refused');
  }
  return count;
}

t.test('all leaves of a content of any size are found, in the order of the blocks', (t) => {
  for (const blockCount of [0, 1, 2, 31, 32, 33, 63, 1024, 1025, 1056, 32_769]) {
    const tree = createTree(blockCount);
    const leaves = createLeaves(tree);
    const count = fetchAll(leaves, tree);
    t.ok(count <= Math.ceil(blockCount / 32) * 1.04 + 2, `${count} groups of ${blockCount} blocks`);
    const wrong = Array.from({ length: blockCount }, (_, i) => i).filter(
      (block) => !Buffer.from(leafOf(block)).equals(leaves.leaf(block) ?? new Uint8Array(0)),
    );
    t.strictSame(wrong, []);
    let end = 0;
    for (let i = 0; i < leaves.arrivalCount; i++) {
      t.equal(leaves.arrival(i).start, end);
      end = leaves.arrival(i).end;
    }
    t.equal(end, blockCount);
  }
  t.end();
});

t.test('empty content has one root', (t) => {
  t.equal(LeafDigests.create(hash, 0, leafOf(1)), undefined);
  t.equal(LeafDigests.create(hash, 0, hash())?.isComplete, true);
  t.end();
});

t.test('a group that does not lead to the root changes nothing', (t) => {
  const cases = fc.tuple(fc.integer({ min: 2, max: 3000 }), fc.nat(), fc.nat(), fc.nat());
  const property = fc.property(cases, ([blockCount, at, place, bit]) => {
    const tree = createTree(blockCount);
    const leaves = createLeaves(tree);
    const lieAt = at % (Math.ceil(blockCount / 32) + 1);
    for (let i = 0; !leaves.isComplete; i++) {
      const group = leaves.next(0, nobody) as NodeGroup;
      const digests = nodesOf(tree, group);
      if (i === lieAt) {
        const lies = digests.slice();
        lies[place % lies.length] = (lies[place % lies.length] as number) ^ (1 << (bit % 8));
        if (leaves.take(group, lies) || leaves.isKnown(group)) return false;
        if (leaves.take(group, digests.subarray(32)) || leaves.isKnown(group)) return false;
      }
      if (!leaves.take(group, digests)) return false;
      if (leaves.take(group, new Uint8Array(digests.length))) return false;
    }
    return true;
  });
  fc.assert(property, { numRuns: 60 });
  t.end();
});

t.test('no request is larger than a message', (t) => {
  const tree = createTree(5000);
  const leaves = createLeaves(tree);
  while (!leaves.isComplete) {
    const group = leaves.next(0, nobody) as NodeGroup;
    const { tree: name, count, firstNode, height } = requestOf(group);
    if (count < 1 || count > maxNodesPerMessage) t.fail(`${count} nodes`);
    if (firstNode + count > tree.nodeCount(height)) t.fail('nodes after the end');
    t.equal(name, 'content');
    leaves.take(group, nodesOf(tree, group));
  }
  t.end();
});

t.test('several sessions share the work, and none waits for one that is gone', (t) => {
  const tree = createTree(2000);
  const leaves = createLeaves(tree);
  /** Asks for what can be asked for; no answer comes. */
  const askForAll = (nowMs: number) => {
    const own = new Set<NodeGroup>();
    for (;;) {
      const group = leaves.next(nowMs, (each) => own.has(each));
      if (group === undefined) return [...own];
      own.add(group);
    }
  };
  for (const count of [1, 2]) {
    const above = askForAll(0);
    t.equal(above.length, count, 'nothing else can be asked for');
    t.strictSame(askForAll(0), above, 'everybody waits for digests above the leaves');
    for (const group of above) t.equal(leaves.take(group, nodesOf(tree, group)), true);
  }
  t.equal(askForAll(0).length, 63, 'all leaves');
  t.strictSame(askForAll(99), [], 'no work is done twice while an answer may come');
  t.equal(leaves.nextAtMs(nobody), 100);
  t.equal(fetchAll(leaves, tree, 100), 63);
  t.equal(leaves.next(1000, nobody), undefined);
  t.equal(leaves.nextAtMs(nobody), Infinity);
  t.end();
});
