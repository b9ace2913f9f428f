/** Messages with digests of a sender's hash trees: what a receiver requests, and the answer (SESSIONS 6). */
import type { ByteReader, ByteWriter } from './byte-codec.js';

/**
 * A hash tree over the blocks: that of the receiver, without the blocks that it keeps, or that of the
 * whole content.
 */
export type TreeName = 'receiver' | 'content';
const treeNames: readonly TreeName[] = ['receiver', 'content'];

/** The receiver requests the digests of `count` nodes, each of which covers 2^height blocks. */
export interface NodesRequest {
  readonly kind: 'nodes-request';
  readonly tree: TreeName;
  readonly height: number;
  readonly firstNode: number;
  readonly count: number;
}

/** The sender answers with the digests of the requested nodes. */
export interface Nodes {
  readonly kind: 'nodes';
  readonly tree: TreeName;
  readonly height: number;
  readonly firstNode: number;
  /** Concatenated digests. */
  readonly digests: Uint8Array;
}

/** Maximum number of digests in one message. */
export const maxNodesPerMessage = 32;

export function writeNodes(writer: ByteWriter, message: NodesRequest | Nodes): void {
  writer.uint8(treeNames.indexOf(message.tree));
  writer.uint8(message.height).varint(message.firstNode);
  if (message.kind === 'nodes') writer.raw(message.digests);
  else writer.uint8(message.count);
}

export function readNodes(
  reader: ByteReader,
  kind: 'nodes-request' | 'nodes',
): NodesRequest | Nodes | undefined {
  const tree = treeNames[reader.uint8()];
  if (tree === undefined) return undefined;
  const place = { tree, height: reader.uint8(), firstNode: reader.varint() };
  return kind === 'nodes-request'
    ? { kind, ...place, count: reader.uint8() }
    : { kind, ...place, digests: reader.raw(reader.remainingBytes).slice() };
}
