/** Objects that simulated hosts serve with digests: right ones, and those of hosts that lie. */
import { DigestTree } from '../../src/object/digest-tree.js';
import { hashLeaf } from '../../src/object/hash-tree.js';
import { encodeManifest } from '../../src/object/manifest.js';
import type { ServedObject } from '../../src/simulator/roles/serving.js';
import { createManifestOfFiles } from '../../src/simulator/roles/session-sender.js';
import { createSimulatedCrypto } from '../../src/simulator/session-crypto.js';
import { createContent } from '../../src/simulator/transfer.js';

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
  const digestTree = withoutLeaves(object.digestTree);
  return { ...object, content, digestTree };
}

/** The object of a host that sends wrong digests of its blocks under the right root. */
export function withWrongDigests(object: VerifiableObject): ServedObject {
  return { ...object, digestTree: withWrongNodes(object.digestTree) };
}

/** The object of a host that offers a wrong size of the content. The number of its blocks is right. */
export function withWrongSize(
  object: VerifiableObject,
  sizeBytes: number,
  manifest: Uint8Array,
): ServedObject {
  const content = new Uint8Array(sizeBytes);
  content.set(object.content.subarray(0, sizeBytes));
  const digestTree = withoutLeaves(object.digestTree);
  return { ...object, content, manifest, digestTree };
}

/** A tree that a sender does not compare with what it reads. */
export function withoutLeaves(tree: DigestTree): DigestTree {
  return changed(tree, { has: () => false, set: () => undefined });
}

/** A tree that gives wrong digests under the right root. */
export function withWrongNodes(tree: DigestTree): DigestTree {
  const nodes = (height: number, firstNode: number, count: number) => {
    const digests = tree.nodes(height, firstNode, count);
    if (digests.length > 0) digests[0] = (digests[0] as number) ^ 1;
    return digests;
  };
  return changed(tree, { nodes });
}

function changed(tree: DigestTree, methods: Partial<DigestTree>): DigestTree {
  return new Proxy(tree, {
    get: (_, property) => {
      const value: unknown = Reflect.get(methods, property) ?? Reflect.get(tree, property, tree);
      return typeof value === 'function' ? value.bind(tree) : value;
    },
  });
}

/**
 * What a host serves under the name. `right`: the content that is wanted. `wrong-blocks`: that content, with wrong bytes
 * in some blocks. `wrong-digests`: that content, with wrong digests of its blocks. `wrong-manifest`: with a manifest that
 * does not match its digest. `wrong-size`: as if it were one byte longer or shorter. `other`: other content of the same
 * size. `no-digests`: content whose digests it does not know. `nothing`: no such object.
 */
export type Served =
  | 'right'
  | 'wrong-blocks'
  | 'wrong-digests'
  | 'wrong-manifest'
  | 'wrong-size'
  | 'other'
  | 'no-digests'
  | 'nothing';

export interface VersionsOptions {
  readonly name: string;
  readonly seed: string;
  readonly contentSizeBytes: number;
  readonly blockSizeBytes: number;
  readonly fileCount: number;
}

/** An object as honest and other hosts serve it. */
export class ServedVersions {
  readonly right: VerifiableObject;
  readonly other: VerifiableObject;
  /** By root. */
  readonly contents: ReadonlyMap<string, Uint8Array>;
  private readonly manifest: Uint8Array;

  constructor(private readonly options: VersionsOptions) {
    const { name, seed: number, contentSizeBytes, blockSizeBytes, fileCount } = options;
    this.manifest = encodeManifest(createManifestOfFiles(contentSizeBytes, fileCount));
    const create = (seed: string) => ({
      ...withDigests(name, createContent(seed, contentSizeBytes), blockSizeBytes),
      manifest: this.manifest,
    });
    this.right = create(`right ${number}`);
    this.other = create(`other ${number}`);
    const entries = [this.right, this.other].map(({ digestTree, content }) => {
      return [Buffer.from(digestTree.root()).toString('hex'), content] as const;
    });
    this.contents = new Map(entries);
  }

  servedAs(served: Served, wrongBlocks: readonly number[]): ServedObject[] {
    const { right, other, manifest } = this;
    const { contentSizeBytes, blockSizeBytes, fileCount } = this.options;
    switch (served) {
      case 'right':
        return [right];
      case 'other':
        return [other];
      case 'wrong-blocks':
        return [withWrongBlocks(right, wrongBlocks, blockSizeBytes)];
      case 'wrong-digests':
        return [withWrongDigests(right)];
      case 'wrong-manifest': {
        const wrong = manifest.slice();
        wrong[wrong.length - 1] = (wrong.at(-1) as number) ^ 1;
        return [{ ...right, manifest: wrong, manifestDigest: hash(manifest) }];
      }
      case 'wrong-size': {
        // As many blocks as before.
        const sizeBytes = contentSizeBytes + (contentSizeBytes % blockSizeBytes === 1 ? 1 : -1);
        if (sizeBytes < 0) return [];
        const wrong = encodeManifest(createManifestOfFiles(sizeBytes, fileCount));
        return [withWrongSize(right, sizeBytes, wrong)];
      }
      case 'no-digests':
        return [{ name: right.name, content: right.content, manifest }];
      case 'nothing':
        return [];
    }
  }
}
