/**
 * One session at a receiver: takes the manifest, then the blocks that its disk does not hold yet, reports
 * what is lacking, verifies the whole, and tells its outcome once it is durable (SESSIONS 4 to 6).
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
  /** The manifest is on its way. */
  | 'manifest'
  /** All of the manifest is here, and is looked at step by step. */
  | 'checking'
  /** The shell looks at what it holds. */
  | 'preparing'
  | 'receiving'
  /** All is here; the sender's digest is awaited. */
  | 'whole'
  /** The digests differ: the blocks are looked for. */
  | 'searching'
  | 'storing'
  /** The outcome is told until the sender confirms it. */
  | 'concluding'
  | 'over';

export interface IncomingSessionOptions {
  readonly crypto: SessionCrypto;
  readonly platform: Platform;
  /** What this receiver calls itself. */
  readonly name: string;
  readonly limits: ObjectLimits;
  readonly idleMs: number;
  readonly budget: MemoryBudget;
  /** This session's part of the budget. */
  readonly shareBytes: () => number;
  readonly emit: (event: SessionReceiverEvent) => void;
  readonly send: (to: Address, bytes: Uint8Array) => void;
  /** Has `step` called again and again while `hasSteps`, with other work in between. */
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
  /** Work that is under way; it says what follows once it is done. */
  private steps: Steps<(nowMs: TimeMs) => void> | undefined;
  /** Undefined before it is known what of the content is held. */
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
  /** Whether the sender has begun to tag each datagram. */
  private hasTags = false;

  constructor(
    private readonly options: IncomingSessionOptions,
    private channel: SecureChannel,
    readonly senderKey: Uint8Array,
    private from: Address,
    nowMs: TimeMs,
    /** Round trip of the opening; undefined where it could not be told. */
    private readonly rttMs: number | undefined,
  ) {
    this.startedAtMs = nowMs;
    this.heardAtMs = nowMs;
    this.idleMs = options.idleMs;
  }

  /** Patience with its sender's silence ends sooner: somebody waits for this session's end. */
  limitSilence(idleMs: number): void {
    this.idleMs = Math.min(this.idleMs, idleMs);
  }

  get session(): number {
    return this.channel.session;
  }

  get isOver(): boolean {
    return this.stage === 'over';
  }

  /** Whether the outcome is known. */
  get isSettled(): boolean {
    return this.result !== undefined;
  }

  /** Whether it has work to do that is too long for one turn. */
  get hasSteps(): boolean {
    return this.steps !== undefined;
  }

  step(nowMs: TimeMs): void {
    const { done, value: follow } = this.steps?.next() ?? {};
    if (done !== true) return;
    this.steps = undefined;
    follow?.(nowMs);
  }

  /** Before it is known what of the content is held, there is nothing to report. */
  private get isPreparing(): boolean {
    return this.stage === 'checking' || this.stage === 'preparing';
  }

  get label(): string | undefined {
    return this.info?.label;
  }

  get objectId(): string | undefined {
    return this.info?.objectId;
  }

  /** The sender has opened the session anew: it is spoken to by the new channel. */
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
        // An answer that is still on its way must not bring a session back that is over.
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
      this.refuseObject(nowMs, 'sizes that no session can have');
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

  /** All of it is here. */
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
    // The bytes are not needed any more.
    this.manifest = undefined;
    this.stage = 'preparing';
    assert(offer !== undefined && geometry !== undefined && info !== undefined, 'it was offered');
    const { blockSizeBytes } = geometry;
    const { existing } = offer;
    this.options.emit({ type: 'prepare', info, manifest: checked, blockSizeBytes, existing });
  }

  // --- What the shell says

  /**
   * @param held blocks that the disk holds, counted within the content, with their digests
   * @param kept blocks that are neither needed nor verified, as runs
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
    // Nothing of the content is wanted before all of this is known.
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
    // A probe that is on its way is told of in the same report.
    const awaitsProbe = this.offer?.groupHost !== '' && !this.isMulticastReachable;
    this.feedback?.want(awaitsProbe ? nowMs + retryTiming.probeWaitMs : nowMs);
  }

  /** The shell cannot take the object. */
  refuse(nowMs: TimeMs, reason: string): void {
    if (this.isSettled) return;
    this.end(nowMs, 'refused', reason);
  }

  handleWritten(nowMs: TimeMs, sizeBytes: number): void {
    const { reassembler } = this;
    // It may be of an earlier session of this number, which was over before its disk was.
    if (reassembler !== undefined)
      reassembler.unwrittenBytes = Math.max(0, reassembler.unwrittenBytes - sizeBytes);
    this.feedback?.want(nowMs);
  }

  /** The disk holds other bytes of these blocks than were written: they come again. */
  handleDamaged(nowMs: TimeMs, blocks: readonly number[]): void {
    if (this.stage !== 'storing') return;
    this.damageRepairs++;
    if (this.damageRepairs <= maxDamageRepairs) this.repairBlocks(nowMs, blocks);
    else this.end(nowMs, 'failed', 'the disk does not keep what is written to it; check it');
  }

  handleStored(nowMs: TimeMs, note = ''): void {
    if (this.stage === 'storing') this.end(nowMs, 'complete', note);
  }

  /** The disk failed, or the program ends. */
  fail(nowMs: TimeMs, reason: string): void {
    if (!this.isSettled) this.end(nowMs, 'failed', reason);
  }

  // --- Blocks

  handleProbe(nowMs: TimeMs, header: Uint8Array, body: Uint8Array): boolean {
    if (this.seal?.hasTag(header, nothing, body) !== true) return false;
    this.heardAtMs = nowMs;
    if (!this.isMulticastReachable && !this.hasLeftGroup) {
      this.isMulticastReachable = true;
      // That is then told with what is held.
      if (!this.isPreparing) this.feedback?.want(nowMs);
    }
    return true;
  }

  /**
   * Takes the first run of what came together from `start` on.
   * @returns where it ends
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
      // A block that opens is the sender's; of a datagram alone, that is not known.
      this.heardAtMs = nowMs;
      this.takeBlock(nowMs, batch.block, taken.content);
    } else if (taken.fault === 'forged-data') {
      feedback.want(nowMs);
    }
    return taken;
  }

  /** The sender tags its data: what bears no tag is not its, and what was heard before may not be. */
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

  /** A report goes out now. */
  private report(nowMs: TimeMs): void {
    const { geometry, reassembler, feedback } = this;
    const state = reportedStates[this.stage];
    if (geometry === undefined || reassembler === undefined || feedback === undefined) return;
    feedback.handleReport(nowMs);
    if (state === undefined) return;
    // Before it is known what of the content is held, the manifest is all there is to tell of.
    const isKnown = this.verification !== undefined;
    const endBlock = isKnown ? geometry.blockCount : geometry.manifestBlockCount;
    const firstBlock = this.reportCursor < endBlock ? this.reportCursor : 0;
    const { gaps, describedBlocks } = reassembler.list(firstBlock, endBlock, (burst) =>
      feedback.isCovered(burst),
    );
    // What one message does not hold comes with the next.
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
    // A sender that repeats the digest has missed what was told since.
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
        this.end(nowMs, 'failed', 'the digests do not agree, however often blocks are repaired');
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
   * The sender is not told of it: if it comes back, it finds nothing here any more, and opens the session anew,
   * with what is held by then.
   */
  private giveUp(nowMs: TimeMs): void {
    const seconds = this.idleMs / 1000;
    const reason = `the sender was silent for ${seconds} s; what came is kept for it`;
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
    // Of what was never offered, nobody has heard.
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

  /** @param stoppedMs for how long this process stood still before */
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

  /** What is due goes out now: called after each input. */
  flush(nowMs: TimeMs): void {
    if (this.feedback !== undefined && nowMs >= this.feedback.dueAtMs) this.report(nowMs);
  }

  /** Undefined before anything was offered. */
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

  /** Before it is known what is held, all of the content. */
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

/** For how long nothing must have come of a block before others may have its room. */
const minStaleMs = 1000;
const staleReports = 4;

/** Blocks that the disk holds already, taken in one step: some milliseconds of hashing. */
const heldStepBlocks = 1000;

/** Blocks that the disk spoils again and again are its fault. */
const maxDamageRepairs = 4;

const nothing = new Uint8Array(0);
