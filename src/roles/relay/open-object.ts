/** An object that a relay has open: the clients that wait for it, the fetch that fills it, and whether it may close. */
import type { Hash } from '../../base/hash.js';
import type { TimeMs } from '../../base/machine.js';
import type { Steps } from '../../base/steps.js';
import { DigestTree } from '../../object/digest-tree.js';
import { toHex } from '../../wire/byte-codec.js';
import { digestSizeBytes } from '../../wire/sizes.js';
import type { FetchedObject } from '../fetch/fetched-object.js';
import type { Lookup, TakeAnswer } from './lookup.js';
import type { CachedObject, ObjectHead } from './object-cache.js';
import type { RelayedInfo } from './relay-events.js';
import type { RelayedObject } from './relayed-object.js';

export class OpenObject {
  /** Clients that wait until it can be offered. */
  readonly takers: TakeAnswer[] = [];
  /** The question that found it, or the fetch that fills it. */
  lookup: Lookup | undefined;
  /** What was fetched, and the work on its digest tree. */
  fetched: FetchedObject | undefined;
  work: Steps<DigestTree> | undefined;
  fillBeganAtMs: TimeMs = 0;
  /** Whether it is counted as in use in the cache. */
  isHeld = false;
  /** Since when nobody uses it. */
  idleSinceMs: TimeMs = Infinity;
  /** Whether the fetch is given up so that another one can continue without the cache. */
  isRestarting = false;

  constructor(
    readonly info: CachedObject,
    readonly object: RelayedObject,
  ) {}

  get isNeeded(): boolean {
    const { takers, object, lookup, work } = this;
    const isFilling = lookup !== undefined || work !== undefined;
    return takers.length > 0 || object.isInUse || isFilling;
  }
}

/** Builds the tree above the leaf digests of a fetched object. */
export function* growTree(hash: Hash, leaves: Uint8Array): Steps<DigestTree> {
  const blockCount = leaves.length / digestSizeBytes;
  const tree = new DigestTree(hash, blockCount);
  for (let block = 0; block < blockCount; block++) {
    if (block % leavesPerStep === leavesPerStep - 1) yield;
    tree.set(block, leaves.subarray(block * digestSizeBytes, (block + 1) * digestSizeBytes));
  }
  return tree;
}

/** They take about a millisecond. */
const leavesPerStep = 500;

export function headOf(
  { offer, label, contentSizeBytes, contentRoot, manifestBytes: manifest }: FetchedObject,
  name: string,
  digestTree: DigestTree,
): ObjectHead {
  const { manifestDigest, listedAtMs } = offer;
  const facts = { contentSizeBytes, contentRoot, manifestDigest, manifest, listedAtMs };
  return { name, label, ...facts, digestTree };
}

/** An object in events. */
export function infoOf({ info: { name, contentRoot, contentSizeBytes } }: OpenObject): RelayedInfo {
  return { name, contentRoot: toHex(contentRoot), contentSizeBytes };
}
