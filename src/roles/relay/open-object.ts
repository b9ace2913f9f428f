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
  /** The work on the digest tree of what is fetched, which ends with its description. */
  work: Steps<ObjectHead> | undefined;
  /** Whether the cache has its description, so that its blocks are of use after a restart. */
  isDescribed = false;
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

  /** All digests of what is fetched have arrived. */
  handleReady(hash: Hash, fetched: FetchedObject): void {
    if (this.object.head !== undefined) this.object.handleReady();
    else this.work = describe(hash, fetched, this.info.name);
  }

  /** Does a step of the work on the digest tree. @returns whether the object is described now */
  step(): boolean {
    const step = this.work?.next();
    if (step?.done !== true) return false;
    this.work = undefined;
    this.object.setHead(step.value);
    return true;
  }
}

/** Describes a fetched object of which all digests are known. */
export function* describe(hash: Hash, fetched: FetchedObject, name: string): Steps<ObjectHead> {
  const { offer, label, contentSizeBytes, contentRoot, manifestBytes: manifest } = fetched;
  const { manifestDigest, listedAtMs } = offer;
  const facts = { contentSizeBytes, contentRoot, manifestDigest, manifest, listedAtMs };
  const digestTree = yield* growTree(hash, fetched.leaves.all);
  return { name, label, ...facts, digestTree };
}

/** Builds the tree above leaf digests. */
function* growTree(hash: Hash, leaves: Uint8Array): Steps<DigestTree> {
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

/** An object in events. */
export function infoOf({
  info: { name, contentRoot, contentSizeBytes },
}: Pick<OpenObject | Lookup, 'info'>): RelayedInfo {
  return { name, contentRoot: toHex(contentRoot), contentSizeBytes };
}
