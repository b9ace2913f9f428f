/**
 * One session at a receiver: takes the manifest, then the blocks that its disk does not hold yet, reports
 * what is lacking, verifies the whole, and tells its outcome once it is durable (SESSIONS 4 to 6).
 */
import type { Address } from '../address.js';
import { formatAddress } from '../address.js';
import { assert } from '../assert.js';
import type { FaultKind } from '../faults.js';
import type { TimeMs } from '../machine.js';
import { RangeSet } from '../range-set.js';
import type { MemoryBudget } from './assembly.js';
import { Assembly } from './assembly.js';
import { BlockSeal } from './block-seal.js';
import { isEqualBytes, toHex } from './byte-codec.js';
import type { SessionCrypto } from './crypto.js';
import { tagSizeBytes } from './crypto.js';
import { DigestTree } from './digest-tree.js';
import type { Platform } from './entry-name.js';
import { hashLeaf } from './hash-tree.js';
import type {
  IncomingInfo,
  IncomingResult,
  IncomingStatus,
  SessionReceiverEvent,
} from './incoming-events.js';
import { decodeManifest, manifestLimits } from './manifest.js';
import type { Message, Offer } from './messages.js';
import { encodeMessage } from './messages.js';
import type { ReceiverState } from './report.js';
import { listLacks } from './report-list.js';
import type { SecureChannel } from './secure-channel.js';
import { callTiming, receiverLimits } from './session-config.js';
import type { SessionGeometry } from './session-geometry.js';
import {
  createSessionGeometry,
  isManifestBlock,
  offsetOfBlock,
  segmentCountOfBlock,
  sizeOfBlock,
  sizeOfSegment,
} from './session-geometry.js';
import type { BlockPacket } from './session-packet.js';
import { burstsAhead, dataFlag } from './session-packet.js';
import { TreeSearch } from './tree-search.js';

type Stage =
  | 'offered'
  /** The manifest is on its way. */
  | 'manifest'
  /** The shell looks at what it holds. */
  | 'preparing'
  | 'receiving'
  /** All is here; the sender's digest is awaited. */
  | 'whole'
  /** The digests differ: the blocks are looked for. */
  | 'searching'
  | 'storing'
  /** The outcome is told until the sender confirms it. */
  | 'telling'
  | 'over';

export interface IncomingSessionOptions {
  readonly crypto: SessionCrypto;
  readonly platform: Platform;
  /** What this receiver calls itself. */
  readonly name: string;
  readonly maxContentBytes: number;
  readonly idleMs: number;
  readonly budget: MemoryBudget;
  /** This session's part of the budget. */
  readonly shareBytes: () => number;
  readonly emit: (event: SessionReceiverEvent) => void;
  readonly send: (to: Address, bytes: Uint8Array) => void;
  readonly countFault: (kind: FaultKind, from: Address, bytes: Uint8Array) => void;
}

/** Blocks that opened but were not the object's, again and again: the sender is at fault. */
const maxSearches = 8;

/** Forged blocks after which each datagram must bear a tag. */
const forgedBlocksBeforeTags = 1;

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
  private manifest: Uint8Array = new Uint8Array(0);
  private tree: DigestTree | undefined;
  private search: TreeSearch | undefined;
  private searches = 0;
  private root: Uint8Array | undefined;
  private result: IncomingResult | undefined;

  /** Blocks that are not complete; of the content only once it is known what is held. */
  private readonly lacking = new RangeSet();
  private readonly assemblies = new Map<number, Assembly>();
  /** Blocks of the content whose digests are the sender's, as runs counted within the content. */
  private kept: readonly { readonly start: number; readonly end: number }[] = [];
  private firstLackingBytes = 0;
  private describesContent = false;
  private highestBlock = -1;
  private passGeneration = 0;
  private unwrittenBytes = 0;
  private assembledBytes = 0;

  private throughBurst: number | undefined;
  private latestBurst: number | undefined;
  private latestAtMs: TimeMs = 0;
  private lastReportAtMs: TimeMs;
  private reportAtMs: TimeMs = Infinity;
  private reportCursor = 0;
  private repeatAtMs: TimeMs = Infinity;
  private repeatWaitMs = 0;
  private repeats = 0;

  private hearsGroup = false;
  private wantsTags = false;
  private forgedBlocks = 0;
  private badBlocks = 0;
  private datagramsReceived = 0;
  private duplicates = 0;
  private segmentsLost = 0;

  constructor(
    private readonly options: IncomingSessionOptions,
    private channel: SecureChannel,
    readonly senderKey: Uint8Array,
    private from: Address,
    nowMs: TimeMs,
  ) {
    this.startedAtMs = nowMs;
    this.heardAtMs = nowMs;
    this.lastReportAtMs = nowMs;
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
        if (message.burst !== undefined) this.noteThrough(message.burst);
        if (this.stage === 'telling') this.tellResult(nowMs);
        else this.report(nowMs);
        break;
      case 'root':
        this.handleRoot(nowMs, message.digest);
        break;
      case 'nodes':
        if (this.search?.handle(message)) this.advanceSearch(nowMs);
        break;
      case 'bye':
        this.handleBye(nowMs, message.reason);
        break;
      default:
        return false;
    }
    return true;
  }

  private handleOffer(nowMs: TimeMs, offer: Offer): void {
    if (this.stage === 'telling') {
      this.tellResult(nowMs);
      return;
    }
    if (this.offer === undefined) this.begin(nowMs, offer);
    if (this.isSettled) return;
    this.tell({ kind: 'accept', name: this.options.name });
    this.report(nowMs);
  }

  private begin(nowMs: TimeMs, offer: Offer): void {
    const { crypto, emit, maxContentBytes } = this.options;
    this.offer = offer;
    this.info = {
      session: this.session,
      objectId: toHex(offer.manifestDigest),
      label: offer.label,
      from: formatAddress(this.from),
      senderKey: this.senderKey,
      contentSizeBytes: offer.contentSizeBytes,
    };
    this.seal = new BlockSeal(crypto, offer.groupKey);
    emit({ type: 'offer', info: this.info });
    const geometry = createSessionGeometry(
      offer.manifestSizeBytes,
      offer.contentSizeBytes,
      offer.mssBytes,
      offer.segmentsPerBlock,
    );
    if (geometry === undefined || offer.manifestSizeBytes > manifestLimits.sizeBytes) {
      this.refuseObject(nowMs, 'sizes that no session can have');
      return;
    }
    this.geometry = geometry;
    this.tree = new DigestTree(crypto.hash, geometry.blockCount - geometry.manifestBlockCount);
    if (offer.contentSizeBytes > maxContentBytes) {
      const limit = `${maxContentBytes} bytes`;
      this.refuseObject(
        nowMs,
        `${offer.contentSizeBytes} bytes are more than the limit of ${limit}`,
      );
      return;
    }
    // Receivers report in turn: where in the interval each has its turn is left to chance.
    const chance = (crypto.random(1)[0] as number) / 256;
    this.lastReportAtMs = nowMs - chance * offer.reportIntervalMs;
    if (offer.groupHost !== '') {
      emit({ type: 'join', session: this.session, groupHost: offer.groupHost });
    }
    if (offer.manifest.length === offer.manifestSizeBytes) {
      this.manifest = offer.manifest;
      this.takeManifest(nowMs);
    } else {
      this.stage = 'manifest';
      this.manifest = new Uint8Array(offer.manifestSizeBytes);
      this.lacking.add(0, geometry.manifestBlockCount);
    }
  }

  private takeManifest(nowMs: TimeMs): void {
    const { crypto, platform, emit } = this.options;
    const { offer, geometry, info, manifest } = this;
    assert(offer !== undefined && geometry !== undefined && info !== undefined, 'it was offered');
    if (!isEqualBytes(crypto.hash(manifest), offer.manifestDigest)) {
      this.refuseObject(nowMs, 'a manifest that does not have the digest it was offered by');
      return;
    }
    const decoded = decodeManifest(manifest, platform);
    if ('fault' in decoded) {
      this.refuseObject(nowMs, `${decoded.fault}: ${decoded.name}`);
      return;
    }
    if (decoded.contentSizeBytes !== offer.contentSizeBytes) {
      this.refuseObject(nowMs, 'files that are not as large together as it was offered');
      return;
    }
    this.stage = 'preparing';
    const { blockSizeBytes } = geometry;
    emit({ type: 'prepare', info, manifest: decoded, blockSizeBytes, existing: offer.existing });
  }

  // --- What the shell says

  /**
   * @param held blocks that the disk holds, counted within the content, with their digests
   * @param kept blocks that are neither needed nor verified, as runs
   */
  prepared(
    nowMs: TimeMs,
    held: Iterable<{ readonly index: number; readonly leaf: Uint8Array }>,
    kept: readonly { readonly start: number; readonly end: number }[],
  ): void {
    const { geometry, tree } = this;
    if (this.stage !== 'preparing' || geometry === undefined || tree === undefined) return;
    const { manifestBlockCount, blockCount } = geometry;
    if (blockCount > manifestBlockCount) this.lacking.add(manifestBlockCount, blockCount);
    for (const { index, leaf } of held) {
      tree.set(index, leaf);
      this.lacking.remove(manifestBlockCount + index, manifestBlockCount + index + 1);
    }
    for (const { start, end } of kept) {
      this.lacking.remove(manifestBlockCount + start, manifestBlockCount + end);
    }
    this.kept = kept;
    this.describesContent = true;
    this.firstLackingBytes = this.lackingBytes(geometry);
    this.stage = 'receiving';
    this.checkWhole();
    this.report(nowMs);
  }

  /** The shell cannot take the object. */
  refuse(nowMs: TimeMs, reason: string): void {
    if (this.isSettled) return;
    this.end(nowMs, 'refused', reason);
  }

  handleWritten(nowMs: TimeMs, sizeBytes: number): void {
    this.unwrittenBytes -= sizeBytes;
    this.wantReport(nowMs);
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
    if (!this.hearsGroup) {
      this.hearsGroup = true;
      this.wantReport(nowMs);
    }
    return true;
  }

  /** @returns what is wrong with it, if anything */
  handleBlock(nowMs: TimeMs, packet: BlockPacket): FaultKind | undefined {
    const { geometry, seal } = this;
    if (geometry === undefined || seal === undefined) return 'no-session';
    const { block, segment } = packet;
    const isOfSession =
      block < geometry.blockCount &&
      segment < segmentCountOfBlock(geometry, block) &&
      packet.body.length === sizeOfSegment(geometry, block, segment);
    if (!isOfSession) return 'forged-data';
    const isTagged = packet.kind === 'tagged-data';
    if (isTagged ? !seal.hasTag(packet.header, packet.body, packet.tag) : this.wantsTags) {
      return 'forged-data';
    }
    this.heardAtMs = nowMs;
    this.datagramsReceived++;
    this.noteBurst(nowMs, packet);
    if (!this.lacking.has(block)) {
      this.duplicates++;
      return 'duplicate';
    }
    return this.takeSegment(nowMs, geometry, packet);
  }

  private takeSegment(
    nowMs: TimeMs,
    geometry: SessionGeometry,
    packet: BlockPacket,
  ): FaultKind | undefined {
    const { block, segment, generation } = packet;
    let assembly = this.assemblies.get(block);
    if (assembly === undefined || assembly.generation !== generation) {
      assembly = this.openAssembly(geometry, block, generation);
      if (assembly === undefined) return 'no-room';
    }
    if (!assembly.take(segment, segment * geometry.mssBytes, packet.body)) {
      this.duplicates++;
      return 'duplicate';
    }
    assembly.burst = packet.burst;
    if (assembly.isRepaired) this.segmentsLost++;
    return assembly.isComplete ? this.completeBlock(nowMs, geometry, block, assembly) : undefined;
  }

  private openAssembly(
    geometry: SessionGeometry,
    block: number,
    generation: number,
  ): Assembly | undefined {
    const { budget } = this.options;
    this.closeAssembly(block);
    // One block at a time there is always room for, or nothing would ever move.
    if (budget.isExhausted && this.assemblies.size > 0) return undefined;
    const sealedBytes = sizeOfBlock(geometry, block) + tagSizeBytes;
    // In one pass, blocks go out in order: one that comes behind a later one was lost as a whole.
    if (generation !== this.passGeneration) this.highestBlock = -1;
    this.passGeneration = generation;
    const isLate = block < this.highestBlock;
    const segmentCount = segmentCountOfBlock(geometry, block);
    const assembly = new Assembly(generation, sealedBytes, segmentCount, isLate);
    this.highestBlock = Math.max(this.highestBlock, block);
    this.assemblies.set(block, assembly);
    this.assembledBytes += sealedBytes;
    budget.usedBytes += sealedBytes;
    return assembly;
  }

  private closeAssembly(block: number): void {
    const assembly = this.assemblies.get(block);
    if (assembly === undefined) return;
    this.assemblies.delete(block);
    this.assembledBytes -= assembly.sealed.length;
    this.options.budget.usedBytes -= assembly.sealed.length;
  }

  private completeBlock(
    nowMs: TimeMs,
    geometry: SessionGeometry,
    block: number,
    { generation, sealed }: Assembly,
  ): FaultKind | undefined {
    this.closeAssembly(block);
    const bytes = this.seal?.open(block, generation, sealed);
    if (bytes === undefined) {
      // Which of its datagrams was forged cannot be told; from now on each shows it.
      this.forgedBlocks++;
      if (this.forgedBlocks >= forgedBlocksBeforeTags) this.wantsTags = true;
      this.wantReport(nowMs);
      return 'forged-data';
    }
    this.lacking.remove(block, block + 1);
    if (isManifestBlock(geometry, block)) {
      this.manifest.set(bytes, offsetOfBlock(geometry, block));
      if (this.lacking.isEmpty) this.takeManifest(nowMs);
      this.wantReport(nowMs);
      return undefined;
    }
    this.tree?.set(block - geometry.manifestBlockCount, hashLeaf(this.options.crypto.hash, bytes));
    this.unwrittenBytes += bytes.length;
    this.options.budget.usedBytes += bytes.length;
    const offsetBytes = offsetOfBlock(geometry, block);
    this.options.emit({ type: 'write', session: this.session, offsetBytes, bytes });
    if (this.lacking.isEmpty) {
      this.checkWhole();
      this.report(nowMs);
    }
    return undefined;
  }

  private checkWhole(): void {
    if (this.stage === 'receiving' && this.lacking.isEmpty) this.stage = 'whole';
  }

  // --- Reports

  private noteBurst(nowMs: TimeMs, { burst, flags }: BlockPacket): void {
    const isNewer = this.latestBurst === undefined || burstsAhead(burst, this.latestBurst) > 0;
    if (isNewer) {
      // What was sent before it has come, or is lost.
      if (this.latestBurst !== undefined) this.noteThrough((burst - 1) & 0xffff);
      this.latestBurst = burst;
    }
    if (burst === this.latestBurst) this.latestAtMs = nowMs;
    if ((flags & dataFlag.endOfBurst) !== 0) {
      this.noteThrough(burst);
      this.wantReport(nowMs);
    } else if (this.reportAtMs === Infinity) {
      // The end of the burst may be lost.
      const intervalMs = this.offer?.reportIntervalMs ?? 0;
      this.reportAtMs = Math.max(nowMs + endOfBurstLostMs, this.lastReportAtMs + intervalMs);
    }
  }

  private noteThrough(burst: number): void {
    if (this.throughBurst === undefined || burstsAhead(burst, this.throughBurst) > 0) {
      this.throughBurst = burst;
    }
  }

  private isThrough(burst: number): boolean {
    return this.throughBurst !== undefined && burstsAhead(this.throughBurst, burst) >= 0;
  }

  /** A report goes out as soon as this receiver's turn comes. */
  private wantReport(nowMs: TimeMs): void {
    const turnMs = this.lastReportAtMs + (this.offer?.reportIntervalMs ?? 0);
    this.reportAtMs = Math.min(this.reportAtMs, Math.max(nowMs, turnMs));
  }

  /** A report goes out now. */
  private report(nowMs: TimeMs): void {
    const { geometry, offer } = this;
    this.reportAtMs = Infinity;
    const state = reportedStates[this.stage];
    if (geometry === undefined || offer === undefined || state === undefined) return;
    this.lastReportAtMs = nowMs;
    const endBlock = this.describesContent ? geometry.blockCount : geometry.manifestBlockCount;
    const firstBlock = this.reportCursor < endBlock ? this.reportCursor : 0;
    const { lacks, describedBlocks } = listLacks(
      this.lacking,
      this.assemblies,
      firstBlock,
      endBlock,
    );
    // What one message does not hold comes with the next.
    this.reportCursor = describedBlocks < endBlock ? describedBlocks : 0;
    if (this.reportCursor > 0) this.wantReport(nowMs);
    for (const lack of lacks) {
      const assembly = lack.kind === 'part' ? this.assemblies.get(lack.firstBlock) : undefined;
      // Of a burst that is still coming in, nothing is lost yet.
      if (assembly !== undefined && this.isThrough(assembly.burst)) assembly.isRepaired = true;
    }
    this.tell({
      kind: 'report',
      report: {
        state,
        throughBurst: this.throughBurst,
        latestBurst: this.latestBurst,
        heldMs: this.latestBurst === undefined ? 0 : nowMs - this.latestAtMs,
        hearsGroup: this.hearsGroup,
        wantsTags: this.wantsTags,
        windowBlocks: this.windowBlocks(geometry),
        segmentsReceived: this.datagramsReceived,
        segmentsLost: this.segmentsLost,
        lackingBytes: this.lackingBytes(geometry),
        firstBlock,
        describedBlocks,
        lacks,
      },
    });
  }

  private windowBlocks(geometry: SessionGeometry): number {
    const freeBytes = this.options.shareBytes() - this.unwrittenBytes;
    return Math.max(1, Math.floor(freeBytes / geometry.blockSizeBytes));
  }

  // --- The end

  private handleRoot(nowMs: TimeMs, digest: Uint8Array): void {
    if (this.stage === 'telling') this.tellResult(nowMs);
    if (this.stage === 'storing' || this.stage === 'searching') this.report(nowMs);
    if (this.stage !== 'whole') return;
    this.root = digest;
    this.verify(nowMs);
  }

  private verify(nowMs: TimeMs): void {
    const { tree, root } = this;
    assert(tree !== undefined && root !== undefined, 'there is a tree to verify');
    if (tree.isComplete && isEqualBytes(tree.root(), root)) {
      this.stage = 'storing';
      this.options.emit({ type: 'finish', session: this.session });
      this.report(nowMs);
      return;
    }
    this.searches++;
    if (this.searches > maxSearches) {
      this.end(nowMs, 'failed', 'the digests do not agree, however often blocks are repaired');
      return;
    }
    this.stage = 'searching';
    this.search = new TreeSearch(tree, tree.isComplete ? [] : this.kept);
    this.advanceSearch(nowMs);
  }

  private advanceSearch(nowMs: TimeMs): void {
    const { search } = this;
    assert(search !== undefined, 'a search is under way');
    if (!search.isOver) {
      this.repeatWaitMs = callTiming.firstMs;
      this.askForNodes(nowMs);
      return;
    }
    this.search = undefined;
    this.repeatAtMs = Infinity;
    this.stage = 'whole';
    if (search.differing.length > 0) this.repairBlocks(nowMs, search.differing);
    else this.verify(nowMs);
  }

  private askForNodes(nowMs: TimeMs): void {
    this.repeatAtMs = nowMs + this.repeatWaitMs;
    this.repeatWaitMs = Math.min(this.repeatWaitMs * callTiming.growth, callTiming.maxMs);
    for (const request of this.search?.pending() ?? []) this.tell(request);
  }

  private repairBlocks(nowMs: TimeMs, blocks: readonly number[]): void {
    const { geometry, tree } = this;
    assert(geometry !== undefined && tree !== undefined, 'there are blocks');
    for (const block of blocks) {
      this.badBlocks++;
      tree.forget(block);
      const index = geometry.manifestBlockCount + block;
      this.lacking.add(index, index + 1);
      this.options.emit({ type: 'forget', session: this.session, block });
    }
    this.stage = 'receiving';
    this.report(nowMs);
  }

  private refuseObject(nowMs: TimeMs, reason: string): void {
    this.options.countFault('bad-object', this.from, nothing);
    this.end(nowMs, 'refused', reason);
  }

  private handleBye(nowMs: TimeMs, reason: string): void {
    if (!this.isSettled) this.end(nowMs, 'failed', reason === '' ? 'the sender stopped' : reason);
    this.stage = 'over';
  }

  private end(nowMs: TimeMs, status: IncomingResult['status'], reason: string): void {
    this.endedAtMs = nowMs;
    const info: IncomingInfo = this.info ?? {
      session: this.session,
      objectId: '',
      label: '',
      from: formatAddress(this.from),
      senderKey: this.senderKey,
      contentSizeBytes: 0,
    };
    for (const block of [...this.assemblies.keys()]) this.closeAssembly(block);
    const result = { ...this.statusOf(nowMs, info), activity: status, status };
    this.result = reason === '' ? result : { ...result, reason };
    this.stage = 'telling';
    this.reportAtMs = Infinity;
    this.options.emit({ type: 'end', result: this.result });
    this.repeatWaitMs = callTiming.firstMs;
    this.tellResult(nowMs);
  }

  private tellResult(nowMs: TimeMs): void {
    const { result } = this;
    assert(result !== undefined, 'the outcome is known');
    const reason = result.reason ?? '';
    if (result.status === 'refused') this.tell({ kind: 'refuse', reason });
    else this.tell({ kind: 'done', isComplete: result.status === 'complete', reason });
    this.repeatAtMs = nowMs + this.repeatWaitMs;
    this.repeatWaitMs = Math.min(this.repeatWaitMs * callTiming.growth, callTiming.maxMs);
  }

  // --- Time

  pollTimeout(): TimeMs {
    const idleAtMs = this.isSettled ? Infinity : this.heardAtMs + this.idleMs;
    return Math.min(this.reportAtMs, this.repeatAtMs, idleAtMs);
  }

  /** @param stoppedMs for how long this process stood still before */
  handleTimeout(nowMs: TimeMs, stoppedMs: number): void {
    if (this.isOver) return;
    this.heardAtMs += stoppedMs;
    if (!this.isSettled && nowMs - this.heardAtMs >= this.idleMs) {
      const seconds = this.idleMs / 1000;
      this.end(nowMs, 'failed', `the sender was silent for ${seconds} s; what came is kept for it`);
    }
    if (nowMs >= this.reportAtMs) this.report(nowMs);
    if (nowMs < this.repeatAtMs) return;
    if (this.stage === 'searching') {
      this.askForNodes(nowMs);
    } else if (this.stage === 'telling') {
      this.repeats++;
      if (this.repeats > receiverLimits.doneRepeats) this.stage = 'over';
      else this.tellResult(nowMs);
    }
  }

  /** What is due goes out now: called after each input. */
  flush(nowMs: TimeMs): void {
    if (nowMs >= this.reportAtMs) this.report(nowMs);
  }

  /** Undefined before anything was offered. */
  status(nowMs: TimeMs): IncomingStatus | undefined {
    return this.info === undefined ? undefined : this.statusOf(nowMs, this.info);
  }

  private statusOf(nowMs: TimeMs, info: IncomingInfo): IncomingStatus {
    const shown = this.segmentsLost + this.datagramsReceived;
    const { contentSizeBytes } = info;
    const lackingBytes =
      this.geometry === undefined ? contentSizeBytes : this.lackingBytes(this.geometry);
    return {
      ...info,
      activity: this.stage,
      heldBytes: contentSizeBytes - lackingBytes,
      receivedBytes: this.describesContent ? Math.max(0, this.firstLackingBytes - lackingBytes) : 0,
      elapsedMs: (this.endedAtMs ?? nowMs) - this.startedAtMs,
      datagramsReceived: this.datagramsReceived,
      duplicates: this.duplicates,
      lossRatio: shown === 0 ? 0 : this.segmentsLost / shown,
      usesGroup: this.hearsGroup,
      badBlocks: this.badBlocks,
    };
  }

  /** Content in blocks that are not complete; all of it before it is known what is held. */
  private lackingBytes(geometry: SessionGeometry): number {
    const { contentSizeBytes, blockSizeBytes, blockCount } = geometry;
    if (!this.describesContent) return contentSizeBytes;
    const lacksLast = this.lacking.has(blockCount - 1);
    const shortBytes = lacksLast ? blockSizeBytes - sizeOfBlock(geometry, blockCount - 1) : 0;
    return this.lacking.count * blockSizeBytes - shortBytes;
  }

  private tell(message: Message): void {
    this.options.send(this.from, this.channel.seal(encodeMessage(message)));
  }
}

const reportedStates: Partial<Record<Stage, ReceiverState>> = {
  manifest: 'preparing',
  preparing: 'preparing',
  receiving: 'receiving',
  whole: 'whole',
  searching: 'whole',
  storing: 'storing',
};

/** How long after the last datagram a report is due that no end of a burst asked for. */
const endOfBurstLostMs = 4;

const nothing = new Uint8Array(0);
