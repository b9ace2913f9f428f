/**
 * One session at a receiver. It receives the manifest, then the blocks that the disk does not hold yet,
 * reports the gaps, verifies the object, and sends the outcome once it is durable (SESSIONS 4 to 6).
 */
import type { Address } from '../base/address.js';
import { formatAddress } from '../base/address.js';
import { assert } from '../base/assert.js';
import type { TimeMs } from '../base/machine.js';
import type { Range } from '../base/range-set.js';
import { RangeSet } from '../base/range-set.js';
import type { Steps } from '../base/steps.js';
import { DigestTree } from '../object/digest-tree.js';
import type { Platform } from '../object/entry-name.js';
import type { SessionGeometry } from '../object/geometry.js';
import { createSessionGeometry, isManifestBlock, offsetOfBlock } from '../object/geometry.js';
import { hashLeaf } from '../object/hash-tree.js';
import type { Manifest } from '../object/manifest.js';
import type { Verdict } from '../object/verification.js';
import { Verification } from '../object/verification.js';
import { BlockSeal } from '../security/block-seal.js';
import type { SessionCrypto } from '../security/crypto.js';
import type { SecureChannel } from '../security/secure-channel.js';
import { retryTiming } from '../transfer/config.js';
import { FeedbackScheduler } from '../transfer/feedback-scheduler.js';
import type { MemoryBudget } from '../transfer/partial-block.js';
import type { Taken } from '../transfer/reassembler.js';
import { Reassembler } from '../transfer/reassembler.js';
import { SegmentBatch } from '../transfer/segment-batch.js';
import { toHex } from '../wire/byte-codec.js';
import type { FaultKind } from '../wire/faults.js';
import type { Bye, Message, Offer } from '../wire/messages.js';
import { encodeMessage } from '../wire/messages.js';
import type { ReceiverState } from '../wire/report.js';
import type { NoManifest } from './manifest-reception.js';
import { isManifestSound, ManifestReception } from './manifest-reception.js';
import type { ObjectLimits } from './object-limits.js';
import { findContentExcess } from './object-limits.js';
import type {
  IncomingInfo,
  IncomingResult,
  IncomingStatus,
  SessionReceiverEvent,
} from './receiver-events.js';
import { receiverLimits } from './receiver-limits.js';
import { heldBefore, lossRatioOf } from './receiver-status.js';

type Stage =
  | 'offered'
  /** Receiving the manifest. */
  | 'manifest'
  /** The manifest is complete and is being checked step by step. */
  | 'checking'
  /** The shell is finding out which blocks the disk holds. */
  | 'preparing'
  | 'receiving'
  /** All blocks have arrived; waiting for the sender's root digest. */
  | 'whole'
  /** The root digests differ; searching for the blocks that are wrong. */
  | 'searching'
  | 'storing'
  /** The outcome is repeated until the sender confirms it. */
  | 'concluding'
  | 'over';

export interface IncomingSessionOptions {
  readonly crypto: SessionCrypto;
  readonly platform: Platform;
  /** The name that this receiver reports to the sender. */
  readonly name: string;
  readonly limits: ObjectLimits;
  readonly idleMs: number;
  readonly budget: MemoryBudget;
  /** This session's share of the budget. */
  readonly shareBytes: () => number;
  readonly emit: (event: SessionReceiverEvent) => void;
  readonly send: (to: Address, bytes: Uint8Array) => void;
  /** Schedules calls of `step` for as long as `hasSteps` is true, interleaved with other work. */
  readonly stepLater: (nowMs: TimeMs) => void;
  readonly countFault: (kind: FaultKind, from: Address, bytes: Uint8Array, count?: number) => void;
}

export class IncomingSession {
  private stage: Stage = 'offered';
  private readonly startedAtMs: TimeMs;
  private heardAtMs: TimeMs;
  private idleMs: number;
  private endedAtMs: TimeMs | undefined;
  private offer: Offer | undefined;
  private info: IncomingInfo | undefined;
  private geometry: SessionGeometry | undefined;
  private seal: BlockSeal | undefined;
  private reassembler: Reassembler | undefined;
  private feedback: FeedbackScheduler | undefined;
  private manifest: ManifestReception | undefined;
  /** Work in progress; it returns the continuation to run when it is done. */
  private steps: Steps<(nowMs: TimeMs) => void> | undefined;
  /** Undefined until it is known which content blocks the disk holds. */
  private verification: Verification | undefined;
  private result: IncomingResult | undefined;

  private readonly batch = new SegmentBatch();
  private reportCursor = 0;
  private repeatAtMs: TimeMs = Infinity;
  private repeatWaitMs = 0;
  private repeats = 0;
  private isMulticastReachable = false;
  private hasLeftGroup = false;
  private badBlocks = 0;
  private damageRepairs = 0;
  /** Whether the sender tags each datagram from now on. */
  private hasTags = false;

  constructor(
    private readonly options: IncomingSessionOptions,
    private channel: SecureChannel,
    readonly senderKey: Uint8Array,
    private from: Address,
    nowMs: TimeMs,
    /** Round-trip time of the handshake; undefined if it could not be measured. */
    private readonly rttMs: number | undefined,
  ) {
    this.startedAtMs = nowMs;
    this.heardAtMs = nowMs;
    this.idleMs = options.idleMs;
  }

  /** Shortens the idle timeout because another session is waiting. */
  limitSilence(idleMs: number): void {
    this.idleMs = Math.min(this.idleMs, idleMs);
  }

  get session(): number {
    return this.channel.session;
  }

  get isOver(): boolean {
    return this.stage === 'over';
  }

  /** Whether the outcome has been decided. */
  get isSettled(): boolean {
    return this.result !== undefined;
  }

  /** Whether work is left that is too long for one turn. */
  get hasSteps(): boolean {
    return this.steps !== undefined;
  }

  step(nowMs: TimeMs): void {
    const { done, value: follow } = this.steps?.next() ?? {};
    if (done !== true) return;
    this.steps = undefined;
    follow?.(nowMs);
  }

  /** Nothing can be reported until it is known which content blocks the disk holds. */
  private get isPreparing(): boolean {
    return this.stage === 'checking' || this.stage === 'preparing';
  }

  get label(): string | undefined {
    return this.info?.label;
  }

  get objectId(): string | undefined {
    return this.info?.objectId;
  }

  /** The sender has repeated the handshake: messages go through the new channel from now on. */
  rechannel(nowMs: TimeMs, channel: SecureChannel, from: Address): void {
    this.channel = channel;
    this.from = from;
    this.heardAtMs = nowMs;
  }

  get secureChannel(): SecureChannel {
    return this.channel;
  }

  // --- Messages

  /** @returns whether it is a message for a receiver */
  handleMessage(nowMs: TimeMs, from: Address, message: Message): boolean {
    this.heardAtMs = nowMs;
    this.from = from;
    switch (message.kind) {
      case 'offer':
        this.handleOffer(nowMs, message);
        break;
      case 'poll':
        if (message.hasTags) this.beginTags();
        if (message.leavesGroup) this.leaveGroup();
        this.feedback?.keepApart(message.reportGapMs);
        if (message.burst !== undefined) this.feedback?.handleEnd(nowMs, message.burst);
        if (this.stage === 'concluding') this.sendResult(nowMs);
        else this.report(nowMs);
        break;
      case 'root':
        this.handleRoot(nowMs, message.digest);
        break;
      case 'nodes':
        // A late answer must not revive a session that has ended.
        if (this.stage === 'searching')
          this.handleVerdict(nowMs, this.verification?.handle(message));
        break;
      case 'bye':
        this.handleBye(nowMs, message);
        break;
      default:
        return false;
    }
    return true;
  }

  private leaveGroup(): void {
    if (this.hasLeftGroup) return;
    this.hasLeftGroup = true;
    this.isMulticastReachable = false;
    this.options.emit({ type: 'leave', session: this.session });
  }

  private handleOffer(nowMs: TimeMs, offer: Offer): void {
    if (this.stage === 'concluding') {
      this.sendResult(nowMs);
      return;
    }
    if (this.offer === undefined) this.begin(nowMs, offer);
    if (this.isSettled) return;
    this.sendMessage({ kind: 'accept', name: this.options.name });
    if (!this.isPreparing) this.feedback?.want(nowMs);
  }

  private begin(nowMs: TimeMs, offer: Offer): void {
    const { crypto, emit, limits } = this.options;
    this.offer = offer;
    this.info = {
      session: this.session,
      objectId: toHex(offer.manifestDigest),
      label: offer.label,
      from: formatAddress(this.from),
      senderKey: this.senderKey,
      contentSizeBytes: offer.contentSizeBytes,
    };
    emit({ type: 'offer', info: this.info });
    const geometry = createSessionGeometry(
      offer.manifestSizeBytes,
      offer.contentSizeBytes,
      offer.mssBytes,
      offer.segmentsPerBlock,
    );
    if (geometry === undefined || !isManifestSound(offer)) {
      this.refuseObject(nowMs, 'the offered sizes are invalid');
      return;
    }
    const excess = findContentExcess(offer.contentSizeBytes, limits);
    if (excess !== undefined) {
      this.refuseObject(nowMs, excess);
      return;
    }
    this.geometry = geometry;
    this.seal = new BlockSeal(crypto, offer.groupKey);
    const staleMs = minStaleMs + staleReports * offer.reportIntervalMs;
    this.reassembler = new Reassembler(geometry, this.seal, this.options.budget, staleMs);
    const randomPhase = (crypto.random(1)[0] as number) / 256;
    this.feedback = new FeedbackScheduler(nowMs, offer.reportIntervalMs, randomPhase);
    if (offer.groupHost !== '') {
      emit({ type: 'join', session: this.session, groupHost: offer.groupHost });
    }
    this.manifest = new ManifestReception(offer);
    if (this.manifest.isInline) this.takeManifest(nowMs);
    else this.awaitManifest();
  }

  private awaitManifest(): void {
    this.stage = 'manifest';
    this.reassembler?.missing.add(0, this.geometry?.manifestBlockCount ?? 0);
  }

  /** The manifest is complete. */
  private takeManifest(nowMs: TimeMs): void {
    const { manifest } = this;
    assert(manifest !== undefined, 'a manifest was offered');
    this.stage = 'checking';
    this.steps = this.checkManifest(manifest);
    if (manifest.isSmall) this.step(nowMs);
    if (this.hasSteps) this.options.stepLater(nowMs);
  }

  private *checkManifest(manifest: ManifestReception): Steps<(nowMs: TimeMs) => void> {
    const { crypto, platform, limits } = this.options;
    const checked = yield* manifest.check(crypto, platform, limits);
    return (nowMs) => this.takeChecked(nowMs, checked);
  }

  private takeChecked(nowMs: TimeMs, checked: Manifest | NoManifest): void {
    const { offer, geometry, info } = this;
    if ('kind' in checked) {
      if (checked.kind === 'bad') this.refuseObject(nowMs, checked.reason);
      else this.awaitManifest();
      this.feedback?.want(nowMs);
      return;
    }
    // Frees the manifest's bytes.
    this.manifest = undefined;
    this.stage = 'preparing';
    assert(offer !== undefined && geometry !== undefined && info !== undefined, 'it was offered');
    const { blockSizeBytes } = geometry;
    const { existing } = offer;
    this.options.emit({ type: 'prepare', info, manifest: checked, blockSizeBytes, existing });
  }

  // --- Input from the shell

  /**
   * @param held blocks that the disk holds, numbered within the content, with their digests
   * @param kept ranges of blocks that are neither needed nor verified
   */
  prepared(
    nowMs: TimeMs,
    held: Iterable<{ readonly index: number; readonly leaf: Uint8Array }>,
    kept: readonly Range[],
  ): void {
    const { geometry } = this;
    if (this.stage !== 'preparing' || this.hasSteps) return;
    assert(geometry !== undefined, 'it was offered');
    this.steps = this.takeHeld(geometry, held, kept);
    this.step(nowMs);
    if (this.hasSteps) this.options.stepLater(nowMs);
  }

  private *takeHeld(
    { manifestBlockCount, blockCount }: SessionGeometry,
    held: Iterable<{ readonly index: number; readonly leaf: Uint8Array }>,
    kept: readonly Range[],
  ): Steps<(nowMs: TimeMs) => void> {
    const tree = new DigestTree(this.options.crypto.hash, blockCount - manifestBlockCount);
    // The reassembler gets this set only when it is complete: no content is wanted before.
    const missing = new RangeSet();
    if (blockCount > manifestBlockCount) missing.add(manifestBlockCount, blockCount);
    let count = 0;
    for (const { index, leaf } of held) {
      if (count++ % heldStepBlocks === heldStepBlocks - 1) yield;
      tree.set(index, leaf);
      missing.remove(manifestBlockCount + index, manifestBlockCount + index + 1);
    }
    for (const { start, end } of kept) {
      missing.remove(manifestBlockCount + start, manifestBlockCount + end);
    }
    return (nowMs) => this.beginToReceive(nowMs, missing, new Verification(tree, kept));
  }

  private beginToReceive(nowMs: TimeMs, missing: RangeSet, verification: Verification): void {
    assert(this.reassembler?.missing.isEmpty === true, 'the manifest is here');
    this.reassembler.missing = missing;
    this.verification = verification;
    this.stage = 'receiving';
    this.checkWhole();
    // Waits for a probe that may be in flight, so that the same report covers it.
    const awaitsProbe = this.offer?.groupHost !== '' && !this.isMulticastReachable;
    this.feedback?.want(awaitsProbe ? nowMs + retryTiming.probeWaitMs : nowMs);
  }

  /** The shell cannot store the object. */
  refuse(nowMs: TimeMs, reason: string): void {
    if (this.isSettled) return;
    this.end(nowMs, 'refused', reason);
  }

  handleWritten(nowMs: TimeMs, sizeBytes: number): void {
    const { reassembler } = this;
    // The write may belong to an earlier session with this number that ended before its disk was done.
    if (reassembler !== undefined)
      reassembler.unwrittenBytes = Math.max(0, reassembler.unwrittenBytes - sizeBytes);
    this.feedback?.want(nowMs);
  }

  /** The disk returned other bytes for these blocks than were written: they are requested again. */
  handleDamaged(nowMs: TimeMs, blocks: readonly number[]): void {
    if (this.stage !== 'storing') return;
    this.damageRepairs++;
    if (this.damageRepairs <= maxDamageRepairs) this.repairBlocks(nowMs, blocks);
    else
      this.end(nowMs, 'failed', 'the disk does not return the data written to it; check the disk');
  }

  handleStored(nowMs: TimeMs, note = ''): void {
    if (this.stage === 'storing') this.end(nowMs, 'complete', note);
  }

  /** The disk failed, or the program is shutting down. */
  fail(nowMs: TimeMs, reason: string): void {
    if (!this.isSettled) this.end(nowMs, 'failed', reason);
  }

  // --- Blocks

  handleProbe(nowMs: TimeMs, header: Uint8Array, body: Uint8Array): boolean {
    if (this.seal?.hasTag(header, nothing, body) !== true) return false;
    this.heardAtMs = nowMs;
    if (!this.isMulticastReachable && !this.hasLeftGroup) {
      this.isMulticastReachable = true;
      // While preparing, the report that follows covers this too.
      if (!this.isPreparing) this.feedback?.want(nowMs);
    }
    return true;
  }

  /**
   * Handles the first segment batch of a joined datagram, from `start` on.
   * @returns the offset where the batch ends
   */
  handleBlocks(nowMs: TimeMs, from: Address, bytes: Uint8Array, start: number): number {
    const { geometry, reassembler, feedback, batch } = this;
    const isHere = geometry !== undefined && reassembler !== undefined && feedback !== undefined;
    if (!isHere || this.isSettled) {
      this.options.countFault('no-session', from, bytes.subarray(start));
      return bytes.length;
    }
    if (!batch.read(geometry, bytes, start)) {
      this.options.countFault('forged-data', from, bytes.subarray(start));
      return bytes.length;
    }
    const { fault, faultCount } = this.takeBatch(nowMs, reassembler, feedback);
    if (fault !== undefined) this.options.countFault(fault, from, batch.datagram(0), faultCount);
    return batch.end;
  }

  private takeBatch(nowMs: TimeMs, reassembler: Reassembler, feedback: FeedbackScheduler): Taken {
    const { batch } = this;
    if (!reassembler.isOfSession(batch)) {
      return { newCount: 0, fault: 'forged-data', faultCount: batch.count };
    }
    if (batch.isTagged) this.beginTags();
    feedback.handleBlock(nowMs, batch.burst, batch.flags);
    const taken = reassembler.take(nowMs, batch);
    if (taken.newCount > 0) feedback.handleTaken(nowMs, batch.burst);
    if (taken.content !== undefined) {
      // Only a block that decrypts is proof of the sender; a single datagram is not.
      this.heardAtMs = nowMs;
      this.takeBlock(nowMs, batch.block, taken.content);
    } else if (taken.fault === 'forged-data') {
      feedback.want(nowMs);
    }
    return taken;
  }

  /** The sender tags its data from now on: untagged data is forged, and earlier burst numbers may be. */
  private beginTags(): void {
    if (this.hasTags) return;
    this.hasTags = true;
    if (this.reassembler !== undefined) this.reassembler.wantsTags = true;
    this.feedback?.reset();
  }

  private takeBlock(nowMs: TimeMs, block: number, bytes: Uint8Array): void {
    const { geometry, verification, reassembler, options } = this;
    assert(geometry !== undefined && reassembler !== undefined, 'the session was offered');
    const offsetBytes = offsetOfBlock(geometry, block);
    if (isManifestBlock(geometry, block)) {
      this.manifest?.take(offsetBytes, bytes);
      if (reassembler.missing.isEmpty) this.takeManifest(nowMs);
      this.feedback?.want(nowMs);
      return;
    }
    verification?.tree.set(
      block - geometry.manifestBlockCount,
      hashLeaf(options.crypto.hash, bytes),
    );
    reassembler.receivedBytes += bytes.length;
    reassembler.unwrittenBytes += bytes.length;
    options.budget.usedBytes += bytes.length;
    options.emit({ type: 'write', session: this.session, offsetBytes, bytes });
    if (!reassembler.missing.isEmpty) return;
    this.checkWhole();
    this.feedback?.want(nowMs);
  }

  private checkWhole(): void {
    if (this.stage === 'receiving' && this.reassembler?.missing.isEmpty === true)
      this.stage = 'whole';
  }

  // --- Reports

  /** Sends a report now. */
  private report(nowMs: TimeMs): void {
    const { geometry, reassembler, feedback } = this;
    const state = reportedStates[this.stage];
    if (geometry === undefined || reassembler === undefined || feedback === undefined) return;
    feedback.handleReport(nowMs);
    if (state === undefined) return;
    // Until it is known which content blocks the disk holds, reports describe the manifest alone.
    const isKnown = this.verification !== undefined;
    const endBlock = isKnown ? geometry.blockCount : geometry.manifestBlockCount;
    const firstBlock = this.reportCursor < endBlock ? this.reportCursor : 0;
    const { gaps, describedBlocks } = reassembler.list(firstBlock, endBlock, (burst) =>
      feedback.isCovered(burst),
    );
    // What does not fit this message goes into the next one.
    this.reportCursor = describedBlocks < endBlock ? describedBlocks : 0;
    if (this.reportCursor > 0) feedback.want(nowMs);
    this.sendMessage({
      kind: 'report',
      report: {
        state,
        cumulativeBurst: feedback.cumulativeBurst,
        largestBurst: feedback.largestBurst,
        ackDelayMs: feedback.ackDelayMs(nowMs),
        stampMs: nowMs - this.startedAtMs,
        isMulticastReachable: this.isMulticastReachable,
        wantsTags: reassembler.wantsTags,
        windowBlocks: this.windowBlocks(geometry, reassembler),
        segmentsReceived: reassembler.datagramsReceived,
        segmentsLost: reassembler.segmentsLost,
        missingBytes: this.missingBytes(geometry, reassembler),
        receivedBytes: reassembler.receivedBytes,
        firstBlock,
        describedBlocks,
        gaps,
      },
    });
  }

  private windowBlocks(geometry: SessionGeometry, reassembler: Reassembler): number {
    const freeBytes = this.options.shareBytes() - reassembler.unwrittenBytes;
    return Math.max(1, Math.floor(freeBytes / geometry.blockSizeBytes));
  }

  // --- The end

  private handleRoot(nowMs: TimeMs, digest: Uint8Array): void {
    if (this.stage === 'concluding') this.sendResult(nowMs);
    // A sender that repeats the digest has missed the reports sent since.
    if (this.stage === 'receiving' || this.stage === 'storing' || this.stage === 'searching') {
      this.feedback?.want(nowMs);
    }
    if (this.stage === 'whole') this.handleVerdict(nowMs, this.verification?.check(digest));
  }

  private handleVerdict(nowMs: TimeMs, verdict: Verdict | undefined): void {
    switch (verdict?.kind) {
      case 'same':
        this.repeatAtMs = Infinity;
        this.stage = 'storing';
        this.emitFinish();
        this.feedback?.want(nowMs);
        break;
      case 'searching':
        this.stage = 'searching';
        this.repeatWaitMs = retryTiming.firstMs;
        this.askForNodes(nowMs);
        break;
      case 'differs':
        this.repeatAtMs = Infinity;
        this.repairBlocks(nowMs, verdict.blocks);
        break;
      case 'hopeless':
        this.end(nowMs, 'failed', 'the digests still differ after repeated repairs');
        break;
    }
  }

  private emitFinish(): void {
    const { verification } = this;
    assert(verification !== undefined, 'the whole was verified');
    const leafOf = (block: number) => verification.tree.leaf(block);
    this.options.emit({ type: 'finish', session: this.session, leafOf });
  }

  private askForNodes(nowMs: TimeMs): void {
    this.repeatLater(nowMs);
    for (const request of this.verification?.requests ?? []) this.sendMessage(request);
  }

  private repairBlocks(nowMs: TimeMs, blocks: readonly number[]): void {
    const { geometry, reassembler, verification } = this;
    assert(geometry !== undefined && reassembler !== undefined, 'there are blocks');
    for (const block of blocks) {
      this.badBlocks++;
      this.options.countFault('bad-block', this.from, nothing);
      verification?.tree.forget(block);
      const index = geometry.manifestBlockCount + block;
      reassembler.markMissing(index);
      this.options.emit({ type: 'forget', session: this.session, block });
    }
    this.stage = 'receiving';
    this.feedback?.want(nowMs);
  }

  private refuseObject(nowMs: TimeMs, reason: string): void {
    this.options.countFault('bad-object', this.from, nothing);
    this.end(nowMs, 'refused', reason);
  }

  private handleBye(nowMs: TimeMs, { reason, isFinal }: Bye): void {
    if (this.stage === 'over') return;
    if (!this.isSettled) this.end(nowMs, 'failed', reason === '' ? 'the sender stopped' : reason);
    this.stage = 'over';
    if (isFinal && this.info !== undefined && this.result?.status !== 'complete') {
      this.options.emit({ type: 'drop', info: this.info });
    }
  }

  private end(nowMs: TimeMs, status: IncomingResult['status'], reason: string): void {
    this.settle(nowMs, status, reason);
    this.stage = 'concluding';
    this.repeatWaitMs = retryTiming.firstMs;
    this.sendResult(nowMs);
  }

  /**
   * Ends without notifying the sender. If it comes back, it finds no session here and starts with a new
   * handshake; the blocks on disk are kept for it.
   */
  private giveUp(nowMs: TimeMs): void {
    const seconds = this.idleMs / 1000;
    const reason = `no response from the sender for ${seconds} s; the received data is kept`;
    this.settle(nowMs, 'failed', reason);
    this.stage = 'over';
  }

  private settle(nowMs: TimeMs, status: IncomingResult['status'], reason: string): void {
    this.endedAtMs = nowMs;
    this.manifest = undefined;
    this.steps = undefined;
    const info: IncomingInfo = this.info ?? {
      session: this.session,
      objectId: '',
      label: '',
      from: formatAddress(this.from),
      senderKey: this.senderKey,
      contentSizeBytes: 0,
    };
    this.reassembler?.close();
    const result = { ...this.statusOf(nowMs, info), activity: status, status };
    this.result = reason === '' ? result : { ...result, reason };
    this.feedback?.stop();
    // The shell does not know of a session without an offer.
    if (this.info !== undefined) this.options.emit({ type: 'end', result: this.result });
  }

  private sendResult(nowMs: TimeMs): void {
    const { result } = this;
    assert(result !== undefined, 'the outcome is known');
    const reason = result.reason ?? '';
    if (result.status === 'refused')
      this.sendMessage({ kind: 'refuse', reason, isTemporary: false });
    else
      this.sendMessage({ ...this.doneFigures(), isComplete: result.status === 'complete', reason });
    this.repeatLater(nowMs);
  }

  private doneFigures() {
    const { datagramsReceived = 0, segmentsLost = 0, receivedBytes = 0 } = this.reassembler ?? {};
    return {
      kind: 'done',
      segmentsReceived: datagramsReceived,
      segmentsLost,
      receivedBytes,
    } as const;
  }

  private repeatLater(nowMs: TimeMs): void {
    this.repeatAtMs = nowMs + this.repeatWaitMs;
    this.repeatWaitMs = Math.min(this.repeatWaitMs * retryTiming.growth, retryTiming.maxMs);
  }

  // --- Time

  pollTimeout(): TimeMs {
    const idleAtMs = this.isSettled ? Infinity : this.heardAtMs + this.idleMs;
    return Math.min(this.feedback?.dueAtMs ?? Infinity, this.repeatAtMs, idleAtMs);
  }

  /** @param stoppedMs how long this process was suspended before this call */
  handleTimeout(nowMs: TimeMs, stoppedMs: number): void {
    if (this.isOver) return;
    this.heardAtMs += stoppedMs;
    if (!this.isSettled && nowMs >= this.heardAtMs + this.idleMs) {
      this.giveUp(nowMs);
      return;
    }
    this.flush(nowMs);
    if (nowMs < this.repeatAtMs) return;
    if (this.stage === 'searching') {
      this.askForNodes(nowMs);
    } else if (this.stage === 'concluding') {
      this.repeats++;
      if (this.repeats > receiverLimits.doneRepeats) this.stage = 'over';
      else this.sendResult(nowMs);
    }
  }

  /** Sends the report if it is due. Called after each input. */
  flush(nowMs: TimeMs): void {
    if (this.feedback !== undefined && nowMs >= this.feedback.dueAtMs) this.report(nowMs);
  }

  /** Undefined before the offer. */
  status(nowMs: TimeMs): IncomingStatus | undefined {
    return this.info === undefined ? undefined : this.statusOf(nowMs, this.info);
  }

  private statusOf(nowMs: TimeMs, info: IncomingInfo): IncomingStatus {
    const { geometry, reassembler } = this;
    const {
      datagramsReceived = 0,
      duplicates = 0,
      segmentsLost = 0,
      receivedBytes = 0,
    } = reassembler ?? {};
    const missingBytes =
      geometry === undefined || reassembler === undefined
        ? info.contentSizeBytes
        : Math.min(info.contentSizeBytes, this.missingBytes(geometry, reassembler));
    const heldBytes = info.contentSizeBytes - missingBytes;
    return {
      ...info,
      activity: this.stage,
      heldBytes,
      heldBeforeBytes: heldBefore(heldBytes, receivedBytes),
      receivedBytes,
      elapsedMs: (this.endedAtMs ?? nowMs) - this.startedAtMs,
      datagramsReceived,
      duplicates,
      datagramsLost: segmentsLost,
      lossRatio: lossRatioOf(segmentsLost, datagramsReceived),
      ...(this.rttMs === undefined ? {} : { rttMs: this.rttMs }),
      usesGroup: this.isMulticastReachable,
      badBlocks: this.badBlocks,
    };
  }

  /** All of the content until it is known which blocks the disk holds. */
  private missingBytes(geometry: SessionGeometry, reassembler: Reassembler): number {
    const isKnown = this.verification !== undefined;
    return isKnown
      ? reassembler.missingBytes
      : geometry.contentSizeBytes + reassembler.missingBytes;
  }

  private sendMessage(message: Message): void {
    if (this.channel.isSpent) return;
    this.options.send(this.from, this.channel.seal(encodeMessage(message)));
  }
}

const reportedStates: Partial<Record<Stage, ReceiverState>> = {
  manifest: 'receiving',
  checking: 'preparing',
  preparing: 'preparing',
  receiving: 'receiving',
  whole: 'whole',
  searching: 'whole',
  storing: 'storing',
};

/** A partial block without new segments for this long may be dropped to make room. */
const minStaleMs = 1000;
const staleReports = 4;

/** Held blocks that are processed in one step: a few milliseconds of hashing. */
const heldStepBlocks = 1000;

/** After this many repairs the disk is considered faulty. */
const maxDamageRepairs = 4;

const nothing = new Uint8Array(0);
