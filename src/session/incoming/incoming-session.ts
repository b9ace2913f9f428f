/**
 * Handles one session at a receiver, from the offer to the outcome. Exchanges messages with the sender on a
 * secure channel, and reports success only once the object is durable (SESSIONS 4 to 6).
 */
import type { Address } from '../../base/address.js';
import { formatAddress } from '../../base/address.js';
import { assert } from '../../base/assert.js';
import type { TimeMs } from '../../base/machine.js';
import type { Range } from '../../base/range-set.js';
import { withoutUndefined } from '../../base/without-undefined.js';
import type { DeletionResult, HeldBlock } from '../../object/content-store.js';
import { createSessionGeometry } from '../../object/geometry.js';
import type { SecureChannel } from '../../security/secure-channel.js';
import { toHex } from '../../wire/byte-codec.js';
import type { FaultKind } from '../../wire/faults.js';
import type { Bye, Message, Offer } from '../../wire/messages.js';
import { encodeMessage } from '../../wire/messages.js';
import { findContentExcess } from '../object-limits.js';
import type {
  IncomingInfo,
  IncomingResult,
  IncomingStatus,
  SessionReceiverEvent,
} from '../receiver-events.js';
import { receiverLimits } from '../receiver-limits.js';
import { BlockReception } from './block-reception.js';
import type { IncomingObjectOptions, PreparedDetails } from './incoming-object.js';
import { IncomingObject } from './incoming-object.js';
import { describeIncoming, outcomeMessage } from './incoming-status.js';
import { isManifestSound } from './manifest-reception.js';
import { RetryTimer } from './retry-timer.js';

type Stage =
  /** Before the outcome. */
  | 'open'
  /** The outcome is repeated until the sender confirms it or the repetitions are used up. */
  | 'concluding'
  | 'over';

export interface IncomingSessionOptions extends IncomingObjectOptions {
  /** The name that this receiver reports to the sender. */
  readonly name: string;
  /** Size of a block before sealing. */
  readonly blockSizeBytes: number;
  readonly idleMs: number;
  /** Whether a sender may delete entries in folders that it sends. */
  readonly allowsDeletion: boolean;
  readonly emit: (event: SessionReceiverEvent) => void;
  readonly send: (to: Address, bytes: Uint8Array) => void;
  /** Schedules calls of `step`, interleaved with other work, until `hasSteps` is false. */
  readonly stepLater: (nowMs: TimeMs) => void;
  readonly countFault: (kind: FaultKind, from: Address, bytes: Uint8Array, count?: number) => void;
}

export class IncomingSession {
  private stage: Stage = 'open';
  private readonly startedAtMs: TimeMs;
  private lastReceivedAtMs: TimeMs;
  private idleMs: number;
  private endedAtMs: TimeMs | undefined;
  /** Undefined before the offer. */
  info: IncomingInfo | undefined;
  /** Undefined until an offer has passed the first checks. */
  private object: IncomingObject | undefined;
  private result: IncomingResult | undefined;
  private readonly resultRetry = new RetryTimer();
  private resultRepeats = 0;
  /** Whether the sender has repeated the handshake and has not offered the object again since then. */
  private hasNewChannel = false;

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
    this.lastReceivedAtMs = nowMs;
    this.idleMs = options.idleMs;
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

  get secureChannel(): SecureChannel {
    return this.channel;
  }

  /** Switches to a new channel, because the sender has repeated the handshake. */
  rechannel(nowMs: TimeMs, channel: SecureChannel, from: Address): void {
    this.channel = channel;
    this.from = from;
    this.lastReceivedAtMs = nowMs;
    this.hasNewChannel = true;
  }

  /** Shortens the idle timeout because another session is waiting. */
  limitSilence(idleMs: number): void {
    this.idleMs = Math.min(this.idleMs, idleMs);
  }

  // --- Messages

  /** @returns false if messages of this kind are not for receivers */
  handleMessage(nowMs: TimeMs, from: Address, message: Message): boolean {
    this.lastReceivedAtMs = nowMs;
    this.from = from;
    switch (message.kind) {
      case 'offer':
        this.handleOffer(nowMs, message);
        break;
      case 'poll':
        this.object?.handlePoll(nowMs, message);
        if (this.stage === 'concluding') this.sendResult(nowMs);
        else this.object?.report(nowMs);
        break;
      case 'root':
        if (this.stage === 'concluding') this.sendResult(nowMs);
        this.object?.handleRoot(nowMs, message.digest);
        break;
      case 'nodes':
        this.object?.handleNodes(nowMs, message);
        break;
      case 'noted':
        this.object?.handleNoted(nowMs, message);
        break;
      case 'bye':
        this.handleBye(nowMs, message);
        break;
      default:
        return false;
    }
    return true;
  }

  private handleOffer(nowMs: TimeMs, offer: Offer): void {
    if (this.stage === 'concluding') {
      this.sendResult(nowMs);
      return;
    }
    if (this.info === undefined) this.begin(nowMs, offer);
    if (this.isSettled) return;
    this.sendMessage({ kind: 'accept', name: this.options.name });
    if (this.hasNewChannel) this.object?.announceAgain(nowMs);
    this.hasNewChannel = false;
    this.object?.wantReport(nowMs);
  }

  private begin(nowMs: TimeMs, offer: Offer): void {
    const { emit, limits, allowsDeletion } = this.options;
    const { contentSizeBytes, groupHost } = offer;
    const info = this.describeOffer(offer);
    this.info = info;
    emit({ type: 'offer', info });
    if (offer.deletion !== 'none' && !allowsDeletion) {
      this.end(nowMs, 'refused', refusesDeletion);
      return;
    }
    const geometry = createSessionGeometry(
      offer.manifestSizeBytes,
      contentSizeBytes,
      offer.mssBytes,
      this.options.blockSizeBytes,
    );
    if (geometry === undefined || !isManifestSound(offer)) {
      this.refuseObject(nowMs, 'the offered sizes are invalid');
      return;
    }
    const excess = findContentExcess(contentSizeBytes, limits);
    if (excess !== undefined) {
      this.refuseObject(nowMs, excess);
      return;
    }
    const blocks = new BlockReception(this.options, geometry, offer, nowMs, this.startedAtMs);
    if (groupHost !== '') emit({ type: 'join', session: this.session, groupHost });
    this.object = this.createObject(offer, info, blocks);
    this.object.start(nowMs);
  }

  private describeOffer({
    manifestDigest,
    label,
    contentSizeBytes,
    deletion,
  }: Offer): IncomingInfo {
    return {
      session: this.session,
      manifestDigest: toHex(manifestDigest),
      label,
      from: formatAddress(this.from),
      senderKey: this.senderKey,
      contentSizeBytes,
      isListing: deletion === 'list',
    };
  }

  private createObject(offer: Offer, info: IncomingInfo, blocks: BlockReception): IncomingObject {
    const { emit, stepLater, countFault } = this.options;
    const owner = {
      emit,
      stepLater,
      sendMessage: (message: Message) => this.sendMessage(message),
      countFault: (kind: FaultKind) => countFault(kind, this.from, nothing),
      refuseObject: (nowMs: TimeMs, reason: string) => this.refuseObject(nowMs, reason),
      end: (nowMs: TimeMs, status: IncomingResult['status'], reason: string) =>
        this.end(nowMs, status, reason),
    };
    return new IncomingObject(this.options, owner, offer, info, blocks);
  }

  private handleBye(nowMs: TimeMs, { reason, isFinal }: Bye): void {
    if (this.stage === 'over') return;
    if (!this.isSettled) this.end(nowMs, 'failed', reason === '' ? 'the sender stopped' : reason);
    this.stage = 'over';
    if (isFinal && this.info !== undefined && this.result?.status !== 'complete') {
      this.options.emit({ type: 'drop', info: this.info });
    }
  }

  private sendMessage(message: Message): void {
    if (this.channel.isSpent) return;
    this.options.send(this.from, this.channel.seal(encodeMessage(message)));
  }

  // --- Input from the shell

  /**
   * @param held blocks that the disk holds, numbered within the content, with their digests
   * @param kept ranges of blocks that are neither needed nor verified
   */
  prepared(
    nowMs: TimeMs,
    held: Iterable<HeldBlock>,
    kept: readonly Range[],
    details?: PreparedDetails,
  ): void {
    this.object?.prepared(nowMs, held, kept, details);
  }

  /** The shell cannot store the object. */
  refuse(nowMs: TimeMs, reason: string): void {
    if (!this.isSettled) this.end(nowMs, 'refused', reason);
  }

  handleWritten(nowMs: TimeMs, sizeBytes: number): void {
    this.object?.blocks.noteWritten(nowMs, sizeBytes);
  }

  /** Handles blocks whose content on disk differs from what was written, and requests these blocks again. */
  handleDamaged(nowMs: TimeMs, blocks: readonly number[]): void {
    this.object?.handleDamaged(nowMs, blocks);
  }

  /** @param deletion what was deleted because the sender does not send it */
  handleStored(nowMs: TimeMs, note = '', deletion?: DeletionResult): void {
    this.object?.handleStored(nowMs, note, deletion);
  }

  /** Fails the session, for example because the disk failed or the program is shutting down. */
  fail(nowMs: TimeMs, reason: string): void {
    if (!this.isSettled) this.end(nowMs, 'failed', reason);
  }

  // --- Datagrams

  /** @returns whether the probe is authentic */
  handleProbe(nowMs: TimeMs, header: Uint8Array, body: Uint8Array): boolean {
    if (this.object?.handleProbe(nowMs, header, body) !== true) return false;
    this.lastReceivedAtMs = nowMs;
    return true;
  }

  /**
   * Handles one segment batch. The datagrams in `bytes` arrived together and can hold several batches.
   * @param start the offset where the batch begins
   * @returns the offset where the batch ends
   */
  handleBlocks(nowMs: TimeMs, from: Address, bytes: Uint8Array, start: number): number {
    const { object } = this;
    if (object === undefined || this.isSettled) {
      this.options.countFault('no-session', from, bytes.subarray(start));
      return bytes.length;
    }
    const { batch, geometry } = object.blocks;
    if (!batch.read(geometry, bytes, start)) {
      this.options.countFault('forged-data', from, bytes.subarray(start));
      return bytes.length;
    }
    const { content, fault, faultCount } = object.takeBatch(nowMs);
    // A block that can be decrypted proves that the sender is alive. A single datagram does not.
    if (content !== undefined) this.lastReceivedAtMs = nowMs;
    if (fault !== undefined) this.options.countFault(fault, from, batch.datagram(0), faultCount);
    return batch.end;
  }

  // --- The outcome

  private refuseObject(nowMs: TimeMs, reason: string): void {
    this.options.countFault('bad-object', this.from, nothing);
    this.end(nowMs, 'refused', reason);
  }

  private end(nowMs: TimeMs, status: IncomingResult['status'], reason: string): void {
    this.settle(nowMs, status, reason);
    this.stage = 'concluding';
    this.sendResult(nowMs);
  }

  /**
   * Ends the session without notifying the sender. If the sender comes back, its new handshake begins a new
   * session, which resumes from the blocks kept on disk.
   */
  private endSilently(nowMs: TimeMs): void {
    const seconds = this.idleMs / 1000;
    const reason = `no response from the sender for ${seconds} s; the received data is kept`;
    this.settle(nowMs, 'failed', reason);
    this.stage = 'over';
  }

  private settle(nowMs: TimeMs, status: IncomingResult['status'], reason: string): void {
    this.endedAtMs = nowMs;
    this.object?.close();
    const info: IncomingInfo = this.info ?? {
      session: this.session,
      manifestDigest: '',
      label: '',
      from: formatAddress(this.from),
      senderKey: this.senderKey,
      contentSizeBytes: 0,
      isListing: false,
    };
    const result = {
      ...this.describe(nowMs, info, status),
      status,
      ...withoutUndefined({ deletion: this.object?.deletion }),
    };
    this.result = reason === '' ? result : { ...result, reason };
    // Before the offer, the shell does not know the session.
    if (this.info !== undefined) this.options.emit({ type: 'end', result: this.result });
  }

  private sendResult(nowMs: TimeMs): void {
    assert(this.result !== undefined, 'the outcome is known');
    this.sendMessage(outcomeMessage(this.result));
    this.resultRetry.handleSent(nowMs);
  }

  private repeatResult(nowMs: TimeMs): void {
    this.resultRepeats++;
    if (this.resultRepeats > receiverLimits.doneRepeats) this.stage = 'over';
    else this.sendResult(nowMs);
  }

  // --- Time

  pollTimeout(): TimeMs {
    const idleAtMs = this.isSettled ? Infinity : this.lastReceivedAtMs + this.idleMs;
    return Math.min(this.object?.pollTimeout() ?? Infinity, this.resultRetry.dueAtMs, idleAtMs);
  }

  /** @param stoppedMs how long this process was suspended before this call */
  handleTimeout(nowMs: TimeMs, stoppedMs: number): void {
    if (this.isOver) return;
    this.lastReceivedAtMs += stoppedMs;
    if (!this.isSettled && nowMs >= this.lastReceivedAtMs + this.idleMs) {
      this.endSilently(nowMs);
      return;
    }
    this.object?.handleTimeout(nowMs);
    if (nowMs >= this.resultRetry.dueAtMs) this.repeatResult(nowMs);
  }

  /** Whether work remains to be done in steps. */
  get hasSteps(): boolean {
    return this.object?.hasSteps === true;
  }

  step(nowMs: TimeMs): void {
    this.object?.step(nowMs);
  }

  /** Sends the report if it is due. Called after each input. */
  flush(nowMs: TimeMs): void {
    this.object?.flush(nowMs);
  }

  // --- Status

  /** Undefined before the offer. */
  status(nowMs: TimeMs): IncomingStatus | undefined {
    const activity = this.stage === 'open' ? (this.object?.activity ?? 'offered') : this.stage;
    return this.info === undefined ? undefined : this.describe(nowMs, this.info, activity);
  }

  private describe(nowMs: TimeMs, info: IncomingInfo, activity: string): IncomingStatus {
    const elapsedMs = (this.endedAtMs ?? nowMs) - this.startedAtMs;
    const course = {
      ...{ activity, elapsedMs, rttMs: this.rttMs },
      contentRoot: this.object?.contentRoot,
      unchangedFiles: this.object?.unchangedFiles ?? 0,
      deletedEntries: this.object?.deletion?.deletedEntries ?? 0,
      undeletedEntries: this.object?.deletion?.undeletedEntries ?? 0,
    };
    return describeIncoming(info, course, this.object?.blocks.figures);
  }
}

const nothing = new Uint8Array(0);

const refusesDeletion =
  'allows this sender no deletion: send without --delete, or there, give its key the right "delete" in authorized_keys (with --open: start p2mp receive with --allow-delete)';
