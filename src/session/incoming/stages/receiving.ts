/**
 * The stages in which content arrives, is verified and is stored. Each of them can lead back to the first, if a block
 * turns out to be wrong.
 */
import type { TimeMs } from '../../../base/machine.js';
import type { DeletionResult } from '../../../object/content-store.js';
import { offsetOfBlock } from '../../../object/geometry.js';
import { hashLeaf } from '../../../object/hash-tree.js';
import type { Verdict } from '../../../object/verification.js';
import { sealReceipt } from '../../../security/envelope.js';
import { isEqualBytes } from '../../../wire/byte-codec.js';
import type { Root } from '../../../wire/messages.js';
import type { Nodes } from '../../../wire/tree-nodes.js';
import type { Withdrawn } from '../../../wire/withdrawn.js';
import type { WrongBlock } from '../leaf-reception.js';
import { RetryTimer } from '../retry-timer.js';
import { ContentStage, notOfOrigin } from './content-stage.js';
import type { Next } from './stage.js';
import { Outcome } from './stage.js';

abstract class ReceptionStage extends ContentStage {
  protected override discard(nowMs: TimeMs, wrong: readonly WrongBlock[]): Next {
    return new Receiving(this.object, this.content).drop(nowMs, wrong);
  }

  override handleWithdrawn(nowMs: TimeMs, withdrawn: Withdrawn): Next {
    const { object, content } = this;
    const { output, blocks, info, offer } = object;
    const { withdrawal, verification } = content;
    const isFixed = offer.contentRoot !== undefined || offer.relayed !== undefined;
    const isFurther = isFixed ? undefined : withdrawal.take(withdrawn);
    if (isFurther === undefined) output.countFault('bad-message');
    if (isFurther !== true) return this;
    const { emptyBlocks, entries } = withdrawal.content;
    for (const { start, end } of emptyBlocks.ranges()) verification.tree.keep(start, end);
    blocks.withdraw(emptyBlocks);
    blocks.feedback.want(nowMs);
    const ranges = [...emptyBlocks.ranges()];
    output.emit({ type: 'withdrawn', session: info.session, entries, blocks: ranges });
    return new Receiving(object, content).checkWhole();
  }
}

/** Receiving the blocks that the disk does not hold. */
export class Receiving extends ReceptionStage {
  override readonly activity = 'receiving';
  protected override readonly announcedState = 'receiving';

  override takeBlock(nowMs: TimeMs, block: number, bytes: Uint8Array): Next {
    const { object, content } = this;
    const { blocks, options, output, info } = object;
    const { geometry } = blocks;
    const index = block - geometry.manifestBlockCount;
    const digest = hashLeaf(options.crypto.hash, bytes);
    if (content.leaves?.accepts(index, digest) === false) return this.refuseBlock(nowMs, index);
    content.verification.tree.set(index, digest);
    content.arrived.add(index, index + 1);
    blocks.noteWrite(bytes.length);
    const offsetBytes = offsetOfBlock(geometry, block);
    output.emit({ type: 'write', session: info.session, offsetBytes, bytes });
    const next = this.compareLeaves(nowMs);
    if (next !== this || !blocks.isWhole) return next;
    blocks.feedback.want(nowMs);
    return this.checkWhole();
  }

  /** A block has arrived that does not match its leaf digest. */
  private refuseBlock(nowMs: TimeMs, block: number): Next {
    const { blocks, output } = this.object;
    output.countFault('bad-block');
    blocks.noteBad(1);
    blocks.markMissing(block);
    blocks.feedback.want(nowMs);
    return this.content.noteBadBlock() ? this : failed(badBlocksReason);
  }

  /** Drops blocks that do not match their leaf digests, which have become known since. */
  drop(nowMs: TimeMs, wrong: readonly WrongBlock[]): Next {
    const { blocks, output, info } = this.object;
    let next: Next = this;
    for (const { block, hasArrived } of wrong) {
      this.content.verification.tree.forget(block);
      output.emit({ type: 'forget', session: info.session, block });
      if (hasArrived) next = this.refuseBlock(nowMs, block);
      else {
        blocks.noteUpdated(1);
        blocks.markMissing(block);
      }
    }
    blocks.feedback.want(nowMs);
    return next;
  }

  /** Moves on if no block is missing. */
  checkWhole(): Next {
    return this.object.blocks.isWhole ? new Whole(this.object, this.content) : this;
  }

  /** If the sender repeats the digest, it has not received the reports that followed the first copy. */
  override handleRoot(nowMs: TimeMs): Next {
    this.object.blocks.feedback.want(nowMs);
    return this;
  }

  /** Requests blocks that differ from the sender's. Those that were held before are updated; the others were bad. */
  replace(nowMs: TimeMs, differing: readonly number[]): Next {
    const { arrived } = this.content;
    const updated = differing.filter((block) => !arrived.has(block));
    this.object.blocks.noteUpdated(updated.length);
    this.request(nowMs, updated);
    return this.repair(
      nowMs,
      differing.filter((block) => arrived.has(block)),
    );
  }

  /** Requests again blocks that were damaged on the way or on disk. */
  repair(nowMs: TimeMs, damaged: readonly number[]): Next {
    const { blocks, output } = this.object;
    for (const _ of damaged) output.countFault('bad-block');
    blocks.noteBad(damaged.length);
    return this.request(nowMs, damaged);
  }

  private request(nowMs: TimeMs, wanted: readonly number[]): Next {
    const { blocks, output, info } = this.object;
    for (const block of wanted) {
      this.content.verification.tree.forget(block);
      blocks.markMissing(block);
      output.emit({ type: 'forget', session: info.session, block });
    }
    blocks.feedback.want(nowMs);
    return this;
  }
}

/** All blocks have arrived; waiting for its root. */
class Whole extends ReceptionStage {
  override readonly activity = 'whole';
  protected override readonly announcedState = 'whole';

  override handleRoot(nowMs: TimeMs, { digest, withdrawnEntries = 0 }: Root): Next {
    const { verification, leaves, envelope, withdrawal } = this.content;
    // The sender repeats what it has withdrawn, and the root.
    if (withdrawnEntries !== withdrawal.content.count) return this;
    if (this.object.offer.relayed !== undefined) {
      // The relay repeats the root, with the envelope.
      if (envelope === undefined) return this;
      if (!isEqualBytes(digest, envelope.contentRoot)) {
        this.object.output.countFault('bad-envelope');
        return failed(notOfOrigin);
      }
    }
    if (verification.tree.keepsBlocks) {
      // The root does not show whether the other blocks belong to the offered content. The sender repeats it.
      if (leaves?.isOver === false) return this.compareLeaves(nowMs);
    } else if (!isEqualBytes(digest, this.object.offer.contentRoot ?? digest)) {
      this.object.output.countFault('bad-digests');
      return failed('the content root of the sender is not the one that it offered');
    }
    return act(nowMs, this, verification.check(digest));
  }
}

/** The roots differ; searching for the wrong blocks. */
export class Searching extends ReceptionStage {
  override readonly activity = 'searching';
  protected override readonly announcedState = 'whole';
  private readonly retry = new RetryTimer();

  /** Sends the requests for nodes that are due. */
  ask(nowMs: TimeMs): Searching {
    this.retry.handleSent(nowMs);
    for (const request of this.content.verification.requests) this.object.output.send(request);
    return this;
  }

  override handleRoot(nowMs: TimeMs): Next {
    this.object.blocks.feedback.want(nowMs);
    return this;
  }

  override handleNodes(nowMs: TimeMs, nodes: Nodes): Next {
    const verdict = this.content.verification.handle(nodes);
    return verdict === undefined ? super.handleNodes(nowMs, nodes) : act(nowMs, this, verdict);
  }

  override pollTimeout(): TimeMs {
    return Math.min(super.pollTimeout(), this.retry.dueAtMs);
  }

  override handleTimeout(nowMs: TimeMs): Next {
    this.flush(nowMs);
    if (nowMs >= this.retry.dueAtMs) this.ask(nowMs);
    return super.handleTimeout(nowMs);
  }
}

/** The shell is storing the verified content. */
class Storing extends ReceptionStage {
  override readonly activity = 'storing';
  protected override readonly announcedState = 'storing';

  /** The root that was accepted says how much is withdrawn. */
  override handleWithdrawn(): Next {
    return this;
  }

  override handleRoot(nowMs: TimeMs): Next {
    this.object.blocks.feedback.want(nowMs);
    return this;
  }

  override handleDamaged(nowMs: TimeMs, blocks: readonly number[]): Next {
    if (this.content.noteDamage()) {
      return new Receiving(this.object, this.content).repair(nowMs, blocks);
    }
    return failed('the disk does not return the data written to it; check the disk');
  }

  override handleStored(note: string, deletion: DeletionResult | undefined): Next {
    const { offer, options } = this.object;
    const { envelope } = this.content;
    const receipt =
      offer.relayed === undefined || envelope === undefined
        ? undefined
        : sealReceipt(options.crypto, offer.relayed.originKey, envelope);
    return new Outcome('complete', note, deletion, receipt);
  }
}

/** Acts on the verdict on all blocks. */
function act(nowMs: TimeMs, { object, content }: ContentStage, verdict: Verdict): Next {
  switch (verdict.kind) {
    case 'same':
      return finish(nowMs, new Storing(object, content));
    case 'searching':
      return new Searching(object, content).ask(nowMs);
    case 'differs':
      return new Receiving(object, content).replace(nowMs, verdict.blocks);
    case 'hopeless':
      return failed(
        object.offer.relayed === undefined
          ? 'the digests still differ after repeated repairs'
          : notOfOrigin,
      );
  }
}

/** Asks the shell to store the content. */
function finish(nowMs: TimeMs, storing: Storing): Storing {
  const { object, content } = storing;
  const { output, info, offer, blocks } = object;
  const { tree } = content.verification;
  const leafOf = (block: number) => tree.leaf(block);
  // What the sender can no longer read may be what makes entries look like extras.
  const deletes = offer.deletion === 'delete' && content.withdrawal.content.count === 0;
  const doomed = deletes ? content.announcement.doomed() : [];
  output.emit({ type: 'finish', session: info.session, leafOf, doomed });
  blocks.feedback.want(nowMs);
  return storing;
}

const badBlocksReason = 'too many blocks arrived that do not belong to the object';

function failed(reason: string): Outcome {
  return new Outcome('failed', reason);
}
