/**
 * What the stages have in common in which it is known what the disk holds: the announcement, which is repeated when the
 * sender may have forgotten it.
 */
import type { TimeMs } from '../../../base/machine.js';
import { withoutUndefined } from '../../../base/without-undefined.js';
import type { Noted } from '../../../wire/lists.js';
import type { ReceiverState } from '../../../wire/report.js';
import type { IncomingContent } from '../incoming-content.js';
import type { IncomingObject } from '../incoming-object.js';
import { ObjectStage } from './object-stage.js';
import type { Next } from './stage.js';

export abstract class ContentStage extends ObjectStage {
  /** The state to report once the sender has noted the announcement. */
  protected abstract readonly announcedState: ReceiverState;

  constructor(
    object: IncomingObject,
    readonly content: IncomingContent,
  ) {
    super(object);
  }

  override get progress() {
    const { verification, unchangedFiles } = this.content;
    const { contentRoot } = verification;
    return { ...super.progress, ...withoutUndefined({ contentRoot }), unchangedFiles };
  }

  protected override get reportedState(): ReceiverState {
    return this.hasReport ? this.announcedState : 'preparing';
  }

  /**
   * There is nothing to report until the sender knows which blocks are kept here. A report follows then.
   */
  protected override get hasReport(): boolean {
    return this.content.announcement.isOver;
  }

  // --- The announcement

  protected override announceAgain(nowMs: TimeMs): Next {
    const { announcement } = this.content;
    announcement.restart();
    this.object.blocks.isContentKnown &&= announcement.isOver;
    return this.announce(nowMs);
  }

  override handleNoted(nowMs: TimeMs, noted: Noted): Next {
    return this.content.announcement.handleNoted(noted) ? this.announce(nowMs) : this;
  }

  /** Sends the parts that are due. */
  announce(nowMs: TimeMs): Next {
    const { announcement } = this.content;
    for (const message of announcement.next(nowMs)) this.object.output.send(message);
    return announcement.isOver ? this.handleAnnounced(nowMs) : this;
  }

  /** The sender has noted everything. */
  protected handleAnnounced(nowMs: TimeMs): Next {
    this.object.blocks.isContentKnown = true;
    this.object.blocks.feedback.want(nowMs);
    return this;
  }

  override pollTimeout(): TimeMs {
    return Math.min(super.pollTimeout(), this.content.announcement.retry.dueAtMs);
  }

  override handleTimeout(nowMs: TimeMs): Next {
    this.flush(nowMs);
    const { announcement } = this.content;
    if (nowMs < announcement.retry.dueAtMs) return this;
    announcement.repeat();
    return this.announce(nowMs);
  }
}
