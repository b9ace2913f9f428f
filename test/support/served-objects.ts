/** Objects that simulated hosts serve with digests: right ones, and those of hosts that lie. */
import { DigestTree } from '../../src/object/digest-tree.js';
import { hashLeaf } from '../../src/object/hash-tree.js';
import type { ServedObject } from '../../src/simulator/roles/serving.js';
import { createSimulatedCrypto } from '../../src/simulator/session-crypto.js';

export type VerifiableObject = ServedObject & { readonly digestTree: DigestTree };

const { hash } = createSimulatedCrypto('', '');

export function withDigests(
  name: string,
  content: Uint8Array,
  blockSizeBytes: number,
): VerifiableObject {
  const blockCount = Math.ceil(content.length / blockSizeBytes);
  const digestTree = new DigestTree(hash, blockCount);
  for (let i = 0; i < blockCount; i++) {
    const block = content.subarray(i * blockSizeBytes, (i + 1) * blockSizeBytes);
    digestTree.set(i, hashLeaf(hash, block));
  }
  return { name, content, digestTree };
}

/** The object of a host that sends wrong bytes of some blocks, although it knows the right digests. */
export function withWrongBlocks(
  object: VerifiableObject,
  blocks: readonly number[],
  blockSizeBytes: number,
): ServedObject {
  const content = object.content.slice();
  for (const block of blocks) {
    const place = block * blockSizeBytes;
    content[place] = (content[place] as number) ^ 1;
  }
  // The sender compares what it reads with digests that it knows.
  const digestTree = changed(object.digestTree, { has: () => false, set: () => undefined });
  return { ...object, content, digestTree };
}

/** The object of a host that sends wrong digests of its blocks under the right root. */
export function withWrongDigests(object: VerifiableObject): ServedObject {
  const { digestTree: tree } = object;
  const nodes = (height: number, firstNode: number, count: number) => {
    const digests = tree.nodes(height, firstNode, count);
    if (digests.length > 0) digests[0] = (digests[0] as number) ^ 1;
    return digests;
  };
  return { ...object, digestTree: changed(tree, { nodes }) };
}

/** The object of a host that offers a wrong size of the content. The number of its blocks is right. */
export function withWrongSize(
  object: VerifiableObject,
  sizeBytes: number,
  manifest: Uint8Array,
): ServedObject {
  const content = new Uint8Array(sizeBytes);
  content.set(object.content.subarray(0, sizeBytes));
  const digestTree = changed(object.digestTree, { has: () => false, set: () => undefined });
  return { ...object, content, manifest, digestTree };
}

function changed(tree: DigestTree, methods: Partial<DigestTree>): DigestTree {
  return new Proxy(tree, {
    get: (_, property) => {
      const value: unknown = Reflect.get(methods, property) ?? Reflect.get(tree, property, tree);
      return typeof value === 'function' ? value.bind(tree) : value;
    },
  });
}
