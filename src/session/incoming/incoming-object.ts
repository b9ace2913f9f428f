/**
 * Receives the object of one incoming session: first the manifest, then the blocks that the disk does not
 * hold yet. Verifies the whole object before it is stored (SESSIONS 4 to 6).
 */
import { assert } from '../../base/assert.js';
import type { TimeMs } from '../../base/machine.js';
import type { Range } from '../../base/range-set.js';
import type { Steps } from '../../base/steps.js';
import type { DeletionResult, HeldBlock } from '../../object/content-store.js';
import type { Platform } from '../../object/entry-name.js';
import { isManifestBlock, offsetOfBlock } from '../../object/geometry.js';
import { hashLeaf } from '../../object/hash-tree.js';
import type { Manifest } from '../../object/manifest.js';
import type { Verdict, Verification } from '../../object/verification.js';
import { retryTiming } from '../../transfer/config.js';
import type { Taken } from '../../transfer/reassembler.js';
import type { Extra, Noted } from '../../wire/lists.js';
import type { Message, Nodes, Offer, Poll } from '../../wire/messages.js';
import type { ObjectLimits } from '../object-limits.js';
import type { IncomingInfo, IncomingResult, SessionReceiverEvent } from '../receiver-events.js';
import { Announcement } from './announcement.js';
import type { BlockReception, BlockReceptionOptions } from './block-reception.js';
import { describeDoomed } from './doomed-entries.js';
import type { HeldContent } from './held-content.js';
import { takeHeldContent } from './held-content.js';
import type { NoManifest } from './manifest-reception.js';
import { ManifestReception } from './manifest-reception.js';
import type { ObjectStage } from './object-stage.js';
import { reportedStates } from './object-stage.js';
import { RetryTimer } from './retry-timer.js';

/** What else the shell found when it looked at the disk. */
export interface PreparedDetails {
  /** Files whose size and time are unchanged. Their blocks are among those kept. */
  readonly unchangedFiles?: number;
  /** Entries that the sender does not send, in folders that it sends. Empty with the deletion `none`. */
  readonly extras?: Iterable<Extra>;
}

export interface IncomingObjectOptions extends BlockReceptionOptions {
  readonly platform: Platform;
  readonly limits: ObjectLimits;
}

/** What the object needs from its session. */
export interface IncomingObjectOwner {
  emit(event: SessionReceiverEvent): void;
  sendMessage(message: Message): void;
  countFault(kind: 'bad-block'): void;
  /** Schedules calls of `step` until `hasSteps` is false. */
  stepLater(nowMs: TimeMs): void;
  /** Refuses an object that this receiver must not accept. */
  refuseObject(nowMs: TimeMs, reason: string): void;
  /** Ends the session and closes the object. */
  end(nowMs: TimeMs, status: IncomingResult['status'], reason: string): void;
}

export class IncomingObject {
  private stage: ObjectStage = 'manifest';
  private manifest: ManifestReception | undefined;
  /** Long work in progress. When it is done, it returns the function to call next. */
  private steps: Steps<(nowMs: TimeMs) => void> | undefined;
  /** Undefined until the shell has reported which content blocks the disk holds. */
  private verification: Verification | undefined;
  /** What the disk holds, until the announcement is over. */
  private content: HeldContent | undefined;
  /** Undefined until the shell has reported what the disk holds. */
  private announcement: Announcement | undefined;
  private unchangedCount = 0;
  /** What was deleted, or, if the sender only asked, what would be deleted. */
  deletion: DeletionResult | undefined;
  private readonly nodesRetry = new RetryTimer();
  private damageRepairs = 0;

  constructor(
    private readonly options: IncomingObjectOptions,
    private readonly owner: IncomingObjectOwner,
    private readonly offer: Offer,
    private readonly info: IncomingInfo,
    readonly blocks: BlockReception,
  ) {}

  /** The current activity, as text for users. */
  get activity(): string {
    return this.stage;
  }

  /** Begins to receive. */
  start(nowMs: TimeMs): void {
    this.manifest = new ManifestReception(this.offer);
    if (this.manifest.isInline) this.takeManifest(nowMs);
    else this.awaitManifest();
  }

  /** Stops all work, because the session has its outcome. */
  close(): void {
    this.stage = 'closed';
    this.manifest = undefined;
    this.steps = undefined;
    this.nodesRetry.stop();
    this.announcement = undefined;
    this.blocks.close();
  }

  /** Files that are not read, because their size and time are unchanged. */
  get unchangedFiles(): number {
    return this.unchangedCount;
  }

  /** The verified content root; undefined if it is not known, or blocks are kept. */
  get contentRoot(): Uint8Array | undefined {
    return this.verification?.contentRoot;
  }

  // --- Work in steps

  /** Whether work remains to be done in steps. */
  get hasSteps(): boolean {
    return this.steps !== undefined;
  }

  step(nowMs: TimeMs): void {
    const { done, value: follow } = this.steps?.next() ?? {};
    if (done !== true) return;
    this.steps = undefined;
    follow?.(nowMs);
  }

  // --- The manifest

  private awaitManifest(): void {
    this.stage = 'manifest';
    this.blocks.expectManifest();
  }

  /** The manifest is complete. */
  private takeManifest(nowMs: TimeMs): void {
    const { manifest } = this;
    assert(manifest !== undefined, 'a manifest was offered');
    this.stage = 'checking';
    this.steps = this.checkManifest(manifest);
    if (manifest.isSmall) this.step(nowMs);
    if (this.hasSteps) this.owner.stepLater(nowMs);
  }

  private *checkManifest(manifest: ManifestReception): Steps<(nowMs: TimeMs) => void> {
    const { crypto, platform, limits } = this.options;
    const checked = yield* manifest.check(crypto, platform, limits);
    return (nowMs) => this.takeChecked(nowMs, checked);
  }

  private takeChecked(nowMs: TimeMs, checked: Manifest | NoManifest): void {
    if ('kind' in checked) {
      if (checked.kind === 'bad') this.owner.refuseObject(nowMs, checked.reason);
      else this.awaitManifest();
      this.blocks.feedback.want(nowMs);
      return;
    }
    // Frees the manifest's bytes.
    this.manifest = undefined;
    this.stage = 'preparing';
    const { info, offer, blocks } = this;
    const { blockSizeBytes } = blocks.geometry;
    const { existing, deletion, listedAtMs } = offer;
    this.owner.emit({
      ...{ type: 'prepare', info, manifest: checked, blockSizeBytes },
      ...{ existing, deletion, listedAtMs },
    });
  }

  // --- Input from the shell

  /**
   * @param held blocks that the disk holds
   * @param kept blocks that are neither needed nor verified, as ranges of block numbers within the content
   */
  prepared(
    nowMs: TimeMs,
    held: Iterable<HeldBlock>,
    kept: readonly Range[],
    { unchangedFiles = 0, extras = [] }: PreparedDetails = {},
  ): void {
    if (this.stage !== 'preparing' || this.hasSteps) return;
    this.unchangedCount = unchangedFiles;
    this.steps = this.takeHeld(held, kept, extras);
    this.step(nowMs);
    if (this.hasSteps) this.owner.stepLater(nowMs);
  }

  /** Handles blocks whose content on disk differs from what was written, and requests these blocks again. */
  handleDamaged(nowMs: TimeMs, blocks: readonly number[]): void {
    if (this.stage !== 'storing') return;
    this.damageRepairs++;
    if (this.damageRepairs <= maxDamageRepairs) this.repairBlocks(nowMs, blocks);
    else this.fail(nowMs, 'the disk does not return the data written to it; check the disk');
  }

  handleStored(nowMs: TimeMs, note: string, deletion: DeletionResult | undefined): void {
    if (this.stage !== 'storing') return;
    this.deletion = deletion;
    this.owner.end(nowMs, 'complete', note);
  }

  private *takeHeld(
    held: Iterable<HeldBlock>,
    kept: readonly Range[],
    extras: Iterable<Extra>,
  ): Steps<(nowMs: TimeMs) => void> {
    this.announcement = yield* Announcement.create(kept, extras);
    const { hash } = this.options.crypto;
    const content = yield* takeHeldContent(hash, this.blocks.geometry, held, kept);
    return (nowMs) => this.announce(nowMs, content);
  }

  // --- The announcement

  private announce(nowMs: TimeMs, content: HeldContent): void {
    this.stage = 'announcing';
    this.content = content;
    this.sendAnnouncement(nowMs);
  }

  /** The sender has a new channel to this receiver, and may have forgotten what was announced. */
  announceAgain(nowMs: TimeMs): void {
    const { announcement } = this;
    if (announcement === undefined) return;
    announcement.restart();
    this.blocks.isContentKnown &&= announcement.isOver;
    this.sendAnnouncement(nowMs);
  }

  /** The sender has noted a part of what was announced. */
  handleNoted(nowMs: TimeMs, noted: Noted): void {
    if (this.announcement?.handleNoted(noted) === true) this.sendAnnouncement(nowMs);
  }

  private sendAnnouncement(nowMs: TimeMs): void {
    const { announcement, content } = this;
    assert(announcement !== undefined, 'the shell has reported what the disk holds');
    for (const message of announcement.next(nowMs)) this.owner.sendMessage(message);
    if (!announcement.isOver) return;
    if (this.offer.deletion === 'list') {
      this.deletion = describeDoomed(announcement.doomed());
      this.owner.end(nowMs, 'listed', '');
    } else if (content !== undefined) {
      this.content = undefined;
      this.beginToReceive(nowMs, content);
    } else {
      this.blocks.isContentKnown = true;
      this.blocks.feedback.want(nowMs);
    }
  }

  private get isAnnouncing(): boolean {
    return this.announcement?.isOver === false;
  }

  private beginToReceive(nowMs: TimeMs, { missing, verification }: HeldContent): void {
    const { blocks } = this;
    assert(blocks.isWhole, 'the manifest is here');
    blocks.expectContent(missing);
    this.verification = verification;
    this.stage = 'receiving';
    this.checkWhole();
    // A multicast probe might still be in flight. The report is delayed, so that it can mention the probe.
    blocks.feedback.want(blocks.awaitsProbe ? nowMs + retryTiming.probeWaitMs : nowMs);
  }

  // --- Blocks

  /** @returns whether the probe is authentic */
  handleProbe(nowMs: TimeMs, header: Uint8Array, body: Uint8Array): boolean {
    if (!this.blocks.isProbe(header, body)) return false;
    if (this.blocks.noteProbe()) this.wantReport(nowMs);
    return true;
  }

  /**
   * Processes the batch that `blocks` has read, and the block that this batch completes, if any.
   * @returns the result for the batch: new segments, fault, and completed block
   */
  takeBatch(nowMs: TimeMs): Taken {
    const taken = this.blocks.takeBatch(nowMs);
    if (taken.content !== undefined) this.takeBlock(nowMs, this.blocks.batch.block, taken.content);
    return taken;
  }

  private takeBlock(nowMs: TimeMs, block: number, bytes: Uint8Array): void {
    const { blocks, verification, info } = this;
    const { geometry } = blocks;
    const offsetBytes = offsetOfBlock(geometry, block);
    if (isManifestBlock(geometry, block)) {
      this.manifest?.take(offsetBytes, bytes);
      if (blocks.isWhole) this.takeManifest(nowMs);
      blocks.feedback.want(nowMs);
      return;
    }
    verification?.tree.set(
      block - geometry.manifestBlockCount,
      hashLeaf(this.options.crypto.hash, bytes),
    );
    blocks.noteWrite(bytes.length);
    this.owner.emit({ type: 'write', session: info.session, offsetBytes, bytes });
    if (!blocks.isWhole) return;
    this.checkWhole();
    blocks.feedback.want(nowMs);
  }

  private checkWhole(): void {
    if (this.stage === 'receiving' && this.blocks.isWhole) this.stage = 'whole';
  }

  // --- Reports

  /** Requests a report at this receiver's next turn. */
  wantReport(nowMs: TimeMs): void {
    // There is nothing to report until the sender knows which blocks are kept here. A report follows then.
    const { stage, isAnnouncing } = this;
    const isPreparing = stage === 'checking' || stage === 'preparing' || isAnnouncing;
    if (!isPreparing) this.blocks.feedback.want(nowMs);
  }

  /**
   * Applies the settings in a poll: tags, group membership, and the minimum time between reports. The caller
   * sends the report.
   */
  handlePoll(nowMs: TimeMs, { hasTags, leavesGroup, reportGapMs, burst }: Poll): void {
    const { blocks, owner } = this;
    if (hasTags) blocks.beginTags();
    if (leavesGroup && blocks.leaveGroup()) {
      owner.emit({ type: 'leave', session: this.info.session });
    }
    blocks.feedback.keepApart(reportGapMs);
    if (burst !== undefined) blocks.feedback.handleEnd(nowMs, burst);
  }

  /** Sends a report now. */
  report(nowMs: TimeMs): void {
    const { blocks } = this;
    const state = this.isAnnouncing ? 'preparing' : reportedStates[this.stage];
    blocks.feedback.handleReport(nowMs);
    if (state === undefined) return;
    this.owner.sendMessage({ kind: 'report', report: blocks.createReport(nowMs, state) });
  }

  // --- Verification

  handleRoot(nowMs: TimeMs, digest: Uint8Array): void {
    const { stage } = this;
    // If the sender repeats the digest, it has not received the reports that followed the first copy.
    if (stage === 'receiving' || stage === 'storing' || stage === 'searching') {
      this.blocks.feedback.want(nowMs);
    }
    if (stage === 'whole') this.handleVerdict(nowMs, this.verification?.check(digest));
  }

  handleNodes(nowMs: TimeMs, nodes: Nodes): void {
    // A late answer must not revive a session that has ended.
    if (this.stage === 'searching') this.handleVerdict(nowMs, this.verification?.handle(nodes));
  }

  private handleVerdict(nowMs: TimeMs, verdict: Verdict | undefined): void {
    if (verdict !== undefined) this.nodesRetry.stop();
    switch (verdict?.kind) {
      case 'same':
        this.stage = 'storing';
        this.emitFinish();
        this.blocks.feedback.want(nowMs);
        break;
      case 'searching':
        this.stage = 'searching';
        this.askForNodes(nowMs);
        break;
      case 'differs':
        this.repairBlocks(nowMs, verdict.blocks);
        break;
      case 'hopeless':
        this.fail(nowMs, 'the digests still differ after repeated repairs');
        break;
    }
  }

  private emitFinish(): void {
    const { verification } = this;
    assert(verification !== undefined, 'the whole was verified');
    const leafOf = (block: number) => verification.tree.leaf(block);
    const doomed = this.offer.deletion === 'delete' ? (this.announcement?.doomed() ?? []) : [];
    this.owner.emit({ type: 'finish', session: this.info.session, leafOf, doomed });
  }

  private askForNodes(nowMs: TimeMs): void {
    this.nodesRetry.handleSent(nowMs);
    for (const request of this.verification?.requests ?? []) this.owner.sendMessage(request);
  }

  private repairBlocks(nowMs: TimeMs, blocks: readonly number[]): void {
    for (const block of blocks) {
      this.owner.countFault('bad-block');
      this.verification?.tree.forget(block);
      this.blocks.markBad(block);
      this.owner.emit({ type: 'forget', session: this.info.session, block });
    }
    this.stage = 'receiving';
    this.blocks.feedback.want(nowMs);
  }

  private fail(nowMs: TimeMs, reason: string): void {
    this.owner.end(nowMs, 'failed', reason);
  }

  // --- Time

  pollTimeout(): TimeMs {
    const announceAtMs = this.announcement?.retry.dueAtMs ?? Infinity;
    return Math.min(this.blocks.feedback.dueAtMs, this.nodesRetry.dueAtMs, announceAtMs);
  }

  handleTimeout(nowMs: TimeMs): void {
    this.flush(nowMs);
    if (nowMs >= this.nodesRetry.dueAtMs) this.askForNodes(nowMs);
    const { announcement } = this;
    if (announcement === undefined || nowMs < announcement.retry.dueAtMs) return;
    announcement.repeat();
    this.sendAnnouncement(nowMs);
  }

  /** Sends the report if it is due. */
  flush(nowMs: TimeMs): void {
    if (nowMs >= this.blocks.feedback.dueAtMs) this.report(nowMs);
  }
}

/** Maximum number of repairs after damage on disk. After further damage, the disk counts as faulty. */
const maxDamageRepairs = 4;
