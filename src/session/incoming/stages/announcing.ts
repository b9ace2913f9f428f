/** The stage in which a receiver tells the sender what it keeps and what it would delete. */
import { assert } from '../../../base/assert.js';
import type { TimeMs } from '../../../base/machine.js';
import type { RangeSet } from '../../../base/range-set.js';
import { retryTiming } from '../../../transfer/config.js';
import { describeDoomed } from '../doomed-entries.js';
import type { HeldContent } from '../held-content.js';
import type { IncomingContent } from '../incoming-content.js';
import type { IncomingObject } from '../incoming-object.js';
import type { WrongBlock } from '../leaf-reception.js';
import { ContentStage } from './content-stage.js';
import { Receiving } from './receiving.js';
import type { Next } from './stage.js';
import { Outcome } from './stage.js';

export class Announcing extends ContentStage {
  override readonly activity = 'announcing';
  protected override readonly announcedState = 'preparing';

  /** @param missing the content blocks that the disk does not hold */
  constructor(
    object: IncomingObject,
    content: IncomingContent,
    private readonly missing: RangeSet,
  ) {
    super(object, content);
  }

  protected override discard(_nowMs: TimeMs, wrong: readonly WrongBlock[]): Next {
    const { missing, content } = this;
    discardHeld(this.object, { missing, verification: content.verification }, wrong);
    return this;
  }

  protected override handleAnnounced(nowMs: TimeMs): Next {
    const { object, content, missing } = this;
    const { offer, blocks } = object;
    if (offer.deletion === 'list') {
      return new Outcome('listed', '', describeDoomed(content.announcement.doomed()));
    }
    assert(blocks.isWhole, 'the manifest is here');
    blocks.expectContent(missing);
    // A multicast probe might still be in flight. The report is delayed, so that it can mention the probe.
    blocks.feedback.want(blocks.awaitsProbe ? nowMs + retryTiming.probeWaitMs : nowMs);
    return new Receiving(object, content).checkWhole();
  }
}

/** Discards blocks that the disk holds and that do not belong to the content. */
export function discardHeld(
  { output, info, blocks }: IncomingObject,
  { missing, verification }: HeldContent,
  wrong: readonly WrongBlock[],
): void {
  for (const { block } of wrong) {
    const index = blocks.geometry.manifestBlockCount + block;
    verification.tree.forget(block);
    missing.add(index, index + 1);
    output.emit({ type: 'forget', session: info.session, block });
  }
}
