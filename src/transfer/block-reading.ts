/** Opens the blocks that receivers need next, and gets their bytes: from the manifest, from each other, or by reading. */
import { DigestPass } from '../object/digest-pass.js';
import type { DigestTree } from '../object/digest-tree.js';
import type { SessionGeometry } from '../object/geometry.js';
import { isManifestBlock, offsetOfBlock, sizeOfBlock } from '../object/geometry.js';
import type { Demand } from './demand.js';
import type { RateGroup } from './groups/rate-group.js';
import type { RateGroups } from './groups/rate-groups.js';
import type { SessionBlock } from './sealed-block.js';

/** A content block is to be read. */
export interface NeedAction {
  readonly type: 'need';
  readonly block: number;
  readonly offsetBytes: number;
  readonly sizeBytes: number;
}

export interface BlockReadingOptions {
  readonly geometry: SessionGeometry;
  readonly manifest: Uint8Array;
  readonly demands: readonly Demand[];
  readonly tree: DigestTree;
  readonly rateGroups: RateGroups;
  /** Takes what is to be read. */
  readonly actions: { push(action: NeedAction): void };
}

export class BlockReading {
  private readonly digestPass = new DigestPass();

  constructor(private readonly options: BlockReadingOptions) {}

  /** The bytes of a block of the content have been read. */
  take(place: number): void {
    this.digestPass.take(place);
  }

  /** Opens blocks of every rate group. */
  advance(): void {
    const { rateGroups } = this.options;
    for (const rateGroup of rateGroups) {
      rateGroup.advance();
      do this.openBlocks(rateGroup);
      while (rateGroups.takeLate(rateGroup));
    }
  }

  /** Reads ahead for receivers that only wait for their root. */
  readForDigests(): void {
    const { demands, geometry } = this.options;
    for (const { awaitsDigest, view } of demands) {
      if (!awaitsDigest || view === undefined) continue;
      for (;;) {
        const place = this.digestPass.next(view, (each) => this.isTaken(each));
        if (place === undefined) break;
        this.need(geometry.manifestBlockCount + place);
      }
    }
  }

  openBlocks(rateGroup: RateGroup): void {
    for (let block = rateGroup.openNext(); block !== undefined; block = rateGroup.openNext())
      this.read(rateGroup, block);
  }

  /** Gets the bytes of a block that a rate group has opened. */
  private read(rateGroup: RateGroup, block: SessionBlock): void {
    const { geometry, manifest, rateGroups } = this.options;
    const { index } = block;
    if (isManifestBlock(geometry, index)) {
      const offsetBytes = offsetOfBlock(geometry, index);
      const endBytes = offsetBytes + sizeOfBlock(geometry, index);
      rateGroup.fill(block, manifest.subarray(offsetBytes, endBytes));
      return;
    }
    for (const { rounds } of rateGroups) {
      const other = rounds.window.find(index);
      if (other === undefined || other === block) continue;
      // Another rate group has already requested these bytes and is waiting for them.
      if (!other.isRead) return;
      if (other.wire === undefined) continue;
      rateGroup.fillFrom(other, block);
      return;
    }
    if (!this.digestPass.isReading(index - geometry.manifestBlockCount)) this.need(index);
  }

  private need(block: number): void {
    const { geometry, actions } = this.options;
    const offsetBytes = offsetOfBlock(geometry, block);
    actions.push({ type: 'need', block, offsetBytes, sizeBytes: sizeOfBlock(geometry, block) });
  }

  /** Whether the digest of a content block is known, or a rate group is waiting for its bytes. */
  private isTaken(place: number): boolean {
    const { geometry, tree, rateGroups } = this.options;
    return tree.has(place) || rateGroups.isReading(geometry.manifestBlockCount + place);
  }
}
