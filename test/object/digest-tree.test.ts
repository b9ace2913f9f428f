/** The digest tree that is filled block by block, compared with the functions that define it. */
import * as fc from 'fast-check';
import t from 'tap';
import type { Hash } from '../../src/base/hash.js';
import { createRandom } from '../../src/base/random.js';
import { DigestTree } from '../../src/object/digest-tree.js';
import { createSimulatedCrypto } from '../../src/simulator/session-crypto.js';
import { maxNodesPerMessage } from '../../src/wire/tree-nodes.js';
import { hashLevel, hashRoot } from '../support/reference-tree.js';

const { hash } = createSimulatedCrypto('digest tree', 'one');
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const leavesOf = (count: number) => Array.from({ length: count }, (_, i) => hash(Uint8Array.of(i)));

t.test('its root and levels match the definition for every number of blocks', (t) => {
  const many = [127, 128, 129, 192, 193, 1000, 4097];
  for (const count of [...Array.from({ length: 71 }, (_, i) => i), ...many]) {
    const leaves = leavesOf(count);
    const tree = new DigestTree(hash, count);
    for (const [i, leaf] of leaves.entries()) tree.set(i, leaf);
    t.equal(hex(tree.root()), hex(hashRoot(hash, leaves)), `root of ${count}`);
    for (let height = 0; height <= tree.height; height++) {
      const level = hashLevel(hash, leaves, height);
      t.equal(tree.nodeCount(height), level.length, `height ${height} of ${count}`);
      const digests = tree.nodes(height, 0, level.length);
      t.equal(hex(digests), level.map(hex).join(''), `height ${height} of ${count}`);
    }
    if (count > 0) t.equal(hex(tree.nodes(tree.height, 0, 1)), hex(tree.root()));
    t.equal(tree.nodes(tree.height + 1, 0, 1).length, 0, 'above the root there is nothing');
  }
  t.end();
});

t.test('blocks are added in any order, replaced and forgotten', (t) => {
  const step = fc.record({ block: fc.nat(19), kind: fc.constantFrom('set', 'set', 'forget') });
  const property = fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
    const tree = new DigestTree(hash, 20);
    const plain = new Map<number, Uint8Array>();
    for (const [i, { block, kind }] of steps.entries()) {
      const leaf = hash(Uint8Array.of(block, i));
      if (kind === 'set') {
        tree.set(block, leaf);
        plain.set(block, leaf);
      } else {
        tree.forget(block);
        plain.delete(block);
      }
      // A level computed before a change must not be used after it.
      if (tree.isComplete) tree.nodes(2, 0, 5);
    }
    const isSame = [...plain].every(([block, leaf]) => hex(tree.leaf(block)) === hex(leaf));
    if (!isSame || tree.isComplete !== (plain.size === 20)) return false;
    for (const [i, leaf] of leavesOf(20).entries()) tree.set(i, leaf);
    const level = hashLevel(hash, leavesOf(20), 2).map(hex).join('');
    return (
      hex(tree.root()) === hex(hashRoot(hash, leavesOf(20))) && hex(tree.nodes(2, 0, 5)) === level
    );
  });
  fc.assert(property, { seed: 1, numRuns: 300 });
  t.end();
});

t.test('runs of blocks are forgotten and added again, in any order', (t) => {
  const random = createRandom('digest tree');
  for (const count of [65, 200, 1025]) {
    const tree = new DigestTree(hash, count);
    const leaves = leavesOf(count);
    for (let i = 0; i < 5 * count; i++) {
      const block = Math.floor(random() * count);
      if (random() < 0.3) tree.forget(block);
      else tree.set(block, random() < 0.5 ? hash(Uint8Array.of(i)) : (leaves[block] as Uint8Array));
    }
    for (const [block, leaf] of leaves.entries()) tree.set(count - 1 - block, leaf);
    for (const [block, leaf] of leaves.entries()) tree.set(block, leaf);
    t.equal(hex(tree.root()), hex(hashRoot(hash, leaves)), `root of ${count}`);
    const level = hashLevel(hash, leaves, 6);
    t.equal(hex(tree.nodes(6, 0, level.length)), level.map(hex).join(''), `runs of ${count}`);
  }
  t.end();
});

t.test('no call hashes much, however many blocks there are', (t) => {
  let hashed = 0;
  const counting: Hash = (...parts) => {
    hashed++;
    return hash(...parts);
  };
  const tree = new DigestTree(counting, 100_000);
  const leaf = hash();
  let most = 0;
  const measure = (work: () => void) => {
    hashed = 0;
    work();
    most = Math.max(most, hashed);
  };
  for (let block = tree.blockCount - 1; block > 0; block--) measure(() => tree.set(block, leaf));
  measure(() => tree.set(0, leaf));
  measure(() => tree.root());
  t.ok(most <= 64 + 17, `${most} to add a block, or for the root`);
  most = 0;
  for (let height = 0; height <= tree.height; height++) {
    measure(() => tree.nodes(height, 0, maxNodesPerMessage));
    measure(() => tree.nodes(height, 2 ** 53 - 1, maxNodesPerMessage));
  }
  t.ok(most <= 32 * maxNodesPerMessage, `${most} for one message`);
  t.end();
});

t.test('unknown digests are not returned', (t) => {
  const tree = new DigestTree(hash, 2);
  tree.set(0, hash());
  t.throws(() => tree.root(), /every digest is known/);
  t.throws(() => tree.leaf(1), /digest of block 1/);
  t.throws(() => tree.set(2, hash()), /leaf of this tree/);
  t.end();
});
