/**
 * What the stages have in common in which it is known what the disk holds: the announcement, which is repeated when the
 * sender may have forgotten it.
 */
import type { TimeMs } from '../../../base/machine.js';
import { withoutUndefined } from '../../../base/without-undefined.js';
import { openEnvelope } from '../../../security/envelope.js';
import { isEqualBytes } from '../../../wire/byte-codec.js';
import { asLine } from '../../../wire/lines.js';
import type { Noted } from '../../../wire/lists.js';
import type { ReceiverState } from '../../../wire/report.js';
import type { Nodes } from '../../../wire/tree-nodes.js';
import type { IncomingContent } from '../incoming-content.js';
import type { IncomingObject } from '../incoming-object.js';
import type { WrongBlock } from '../leaf-reception.js';
import { ObjectStage } from './object-stage.js';
import type { Next } from './stage.js';
import { Outcome } from './stage.js';

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
    const { verification, unchangedFiles, withdrawal } = this.content;
    const { contentRoot } = verification;
    const { named: withdrawn } = withdrawal;
    return { ...super.progress, ...withoutUndefined({ contentRoot, withdrawn }), unchangedFiles };
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

  // --- Leaf digests

  /** Sends the requests for leaf digests that are due. */
  requestLeaves(nowMs: TimeMs): void {
    const { leaves } = this.content;
    if (leaves === undefined) return;
    for (const request of leaves.requests(nowMs)) this.object.output.send(request);
  }

  override handleNodes(nowMs: TimeMs, nodes: Nodes): Next {
    const { leaves } = this.content;
    if (nodes.tree !== 'content' || leaves === undefined) return this;
    if (!leaves.take(nodes)) {
      this.object.output.countFault('bad-digests');
      return new Outcome('failed', 'the digests from the sender do not lead to its content root');
    }
    this.requestLeaves(nowMs);
    return this.compareLeaves(nowMs);
  }

  /** Compares blocks with leaf digests that have become known. */
  protected compareLeaves(nowMs: TimeMs): Next {
    const { leaves } = this.content;
    if (leaves?.isComparisonDue !== true) return this;
    const wrong = leaves.compare();
    return wrong.length === 0 ? this : this.discard(nowMs, wrong);
  }

  /** Discards blocks that do not match their leaf digests. They are missing from now on. */
  protected abstract discard(nowMs: TimeMs, wrong: readonly WrongBlock[]): Next;

  // --- The envelope

  override handleEnvelope(envelope: Uint8Array): Next {
    const { offer, options, output, challenge } = this.object;
    const { relayed, manifestDigest, label } = offer;
    if (relayed === undefined || challenge === undefined) return this;
    const opened = openEnvelope(options.crypto, relayed.originKey, envelope);
    const isRight =
      opened !== undefined &&
      isEqualBytes(opened.challenge, challenge) &&
      isEqualBytes(opened.manifestDigest, manifestDigest) &&
      asLine(opened.label) === asLine(label);
    if (!isRight) {
      output.countFault('bad-envelope');
      return new Outcome('failed', notOfOrigin);
    }
    this.content.envelope = opened;
    return this;
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

  /** Sessions with the same content share its digests. */
  override get isDueByOthers(): boolean {
    return this.content.leaves !== undefined;
  }

  override pollTimeout(): TimeMs {
    const { announcement, leaves } = this.content;
    const leavesAtMs = leaves?.dueAtMs ?? Infinity;
    return Math.min(super.pollTimeout(), announcement.retry.dueAtMs, leavesAtMs);
  }

  override handleTimeout(nowMs: TimeMs): Next {
    this.flush(nowMs);
    const { announcement, leaves } = this.content;
    if (leaves !== undefined && nowMs >= leaves.dueAtMs) {
      for (const request of leaves.repetitions(nowMs)) this.object.output.send(request);
      this.requestLeaves(nowMs);
    }
    if (nowMs < announcement.retry.dueAtMs) return this;
    announcement.repeat();
    return this.announce(nowMs);
  }
}

/** Why a session ends whose relay does not bring what the origin sends. */
export const notOfOrigin =
  'the relay does not bring what the sender behind it sends: nothing was stored; do not trust this relay';
