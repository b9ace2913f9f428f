/** The digest tree, compared with the published values and the definition of RFC 6962. */
import { createHash } from 'node:crypto';
import * as fc from 'fast-check';
import t from 'tap';
import type { Hash } from '../../src/base/hash.js';
import { hashLeaf } from '../../src/object/hash-tree.js';
import { hashLevel, hashRoot } from '../support/reference-tree.js';

const sha256: Hash = (...parts) => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
};

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

/** The inputs and roots that Certificate Transparency implementations use in their tests. */
const inputs = [
  '',
  '00',
  '10',
  '2021',
  '3031',
  '40414243',
  '5051525354555657',
  '606162636465666768696a6b6c6d6e6f',
];
const roots = [
  'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
];

const leaves = inputs.map((input) => hashLeaf(sha256, Buffer.from(input, 'hex')));

t.test('roots match those of the published trees', (t) => {
  for (const [count, root] of roots.entries()) {
    t.equal(hex(hashRoot(sha256, leaves.slice(0, count))), root, `${count} leaves`);
  }
  t.end();
});

/** The recursive definition of RFC 6962, 2.1: split at the largest power of two below the size. */
function definedRoot(digests: readonly Uint8Array[]): Uint8Array {
  if (digests.length === 0) return sha256();
  if (digests.length === 1) return digests[0] as Uint8Array;
  const split = 2 ** Math.ceil(Math.log2(digests.length) - 1);
  const [left, right] = [digests.slice(0, split), digests.slice(split)].map(definedRoot);
  return sha256(Uint8Array.of(1), left as Uint8Array, right as Uint8Array);
}

const digest = fc.uint8Array({ minLength: 32, maxLength: 32 });

t.test('a tree of any size matches the definition, and its levels lead to the same root', (t) => {
  const digests = fc.array(digest, { maxLength: 70 });
  const property = fc.property(digests, fc.integer({ min: 0, max: 8 }), (digests, height) => {
    const root = hex(definedRoot(digests));
    const level = hashLevel(sha256, digests, height);
    const isRightSize = level.length === Math.ceil(digests.length / 2 ** height);
    const isEachRoot = level.every((node, i) => {
      const covered = digests.slice(i * 2 ** height, (i + 1) * 2 ** height);
      return hex(node) === hex(definedRoot(covered));
    });
    const isSameRoot = hex(hashRoot(sha256, level)) === root;
    return hex(hashRoot(sha256, digests)) === root && isRightSize && isEachRoot && isSameRoot;
  });
  fc.assert(property, { seed: 1, numRuns: 300 });
  t.end();
});

t.test('a different block changes one node of each level, and the root', (t) => {
  const property = fc.property(
    fc.array(digest, { minLength: 1, maxLength: 70 }),
    fc.nat(),
    (digests, n) => {
      const place = n % digests.length;
      const others = digests.map((one, i) => (i === place ? sha256(one) : one));
      for (let height = 0; 2 ** height < 2 * digests.length; height++) {
        const [mine, theirs] = [digests, others].map((side) => hashLevel(sha256, side, height));
        const bad = mine?.flatMap((node, i) => (hex(node) === hex(theirs?.[i] ?? node) ? [] : [i]));
        if (bad?.length !== 1 || bad[0] !== Math.floor(place / 2 ** height)) return false;
      }
      return hex(hashRoot(sha256, digests)) !== hex(hashRoot(sha256, others));
    },
  );
  fc.assert(property, { seed: 1, numRuns: 300 });
  t.end();
});

t.test('a block cannot pass for a node: the two have different prefixes', (t) => {
  const [left, right] = leaves as [Uint8Array, Uint8Array];
  const forged = hashLeaf(sha256, Buffer.concat([left, right]));
  t.not(hex(hashRoot(sha256, [forged])), hex(hashRoot(sha256, [left, right])));
  t.end();
});
