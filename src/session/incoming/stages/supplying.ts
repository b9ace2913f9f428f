/**
 * The stage of a session whose sender is one of several sources of an object. The session receives what its owner wants
 * of this source at the moment, and passes it on unverified: the owner knows the digests, and what other sources have
 * sent.
 */
import type { TimeMs } from '../../../base/machine.js';
import type { ReadonlyRangeSet } from '../../../base/range-set.js';
import { isManifestBlock, offsetOfBlock } from '../../../object/geometry.js';
import type { ReceiverState } from '../../../wire/report.js';
import type { Nodes, NodesRequest } from '../../../wire/tree-nodes.js';
import type { IncomingPathStatus } from '../../receiver-events.js';
import type { IncomingObject } from '../incoming-object.js';
import type { DatagramFigures } from '../incoming-status.js';
import { ObjectStage } from './object-stage.js';
import type { Next } from './stage.js';

export class Supplying extends ObjectStage {
  override readonly activity = 'supplying';
  private isPrepared = false;

  constructor(object: IncomingObject) {
    super(object);
    const { output, info, offer } = object;
    output.emit({ type: 'source', info, offer });
  }

  /**
   * `preparing` until all that is wanted is known, so that the sender can wait and serve several receivers at once.
   * Never `whole`: the sender is not to send its root digest, and more may be wanted at any time.
   */
  protected override get reportedState(): ReceiverState {
    return this.isPrepared ? 'receiving' : 'preparing';
  }

  /** Wants the manifest, if the offer does not contain it. */
  wantManifest(nowMs: TimeMs): void {
    const { blocks } = this.object;
    blocks.expectManifest();
    blocks.feedback.want(nowMs);
  }

  /** Wants exactly these content blocks from now on. Blocks that have arrived are not affected. */
  wantOnly(nowMs: TimeMs, wanted: ReadonlyRangeSet): void {
    const { blocks } = this.object;
    const isFirst = !blocks.isContentKnown;
    blocks.isContentKnown = true;
    if (blocks.wantOnly(wanted) || isFirst) blocks.feedback.want(nowMs);
  }

  /** From now on, it is known of all blocks whether they are wanted of some source. */
  notePrepared(nowMs: TimeMs): void {
    if (this.isPrepared) return;
    this.isPrepared = true;
    this.object.blocks.feedback.want(nowMs);
  }

  /** Whether the sender can serve this receiver and others by multicast. */
  get usesGroup(): boolean {
    return this.object.blocks.usesGroup;
  }

  /** Whether everything that is wanted has arrived. */
  get isWhole(): boolean {
    return this.object.blocks.isWhole;
  }

  /** Payload that has arrived, also of incomplete blocks. */
  get arrivedBytes(): number {
    const { datagramFigures, geometry } = this.object.blocks;
    return (datagramFigures.datagramsReceived - datagramFigures.duplicates) * geometry.mssBytes;
  }

  get datagramFigures(): DatagramFigures {
    return this.object.blocks.datagramFigures;
  }

  /** What has arrived by each path from the source. */
  get pathStatus(): readonly IncomingPathStatus[] {
    const { blocks, info } = this.object;
    return blocks.pathStatus(info.from);
  }

  /** Asks for digests. A `nodes` event brings the answer, unless request or answer is lost. */
  request(request: NodesRequest): void {
    this.object.output.send(request);
  }

  override takeBlock(_nowMs: TimeMs, index: number, bytes: Uint8Array): Next {
    const { blocks, output, info } = this.object;
    const { geometry } = blocks;
    const { session } = info;
    if (isManifestBlock(geometry, index)) {
      const offsetBytes = offsetOfBlock(geometry, index);
      output.emit({ type: 'manifest-part', session, offsetBytes, bytes });
    } else {
      blocks.noteWrite(bytes.length);
      const block = index - geometry.manifestBlockCount;
      output.emit({ type: 'supplied', session, block, bytes });
    }
    return this;
  }

  override handleNodes(_nowMs: TimeMs, nodes: Nodes): Next {
    const { output, info } = this.object;
    output.emit({ type: 'nodes', session: info.session, nodes });
    return this;
  }
}
