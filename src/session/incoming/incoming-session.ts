/**
 * Handles one session at a receiver, from the offer to the outcome. Exchanges messages with the sender on a
 * secure channel, and reports success only once the object is durable (SESSIONS 4 to 6). What an input means depends
 * on the stage of the session; see `stages/`.
 */
import type { Address } from '../../base/address.js';
import { formatAddress } from '../../base/address.js';
import type { TimeMs } from '../../base/machine.js';
import type { Range } from '../../base/range-set.js';
import { withoutUndefined } from '../../base/without-undefined.js';
import type { DeletionResult, HeldBlock } from '../../object/content-store.js';
import type { SecureChannel } from '../../security/secure-channel.js';
import type { Bye, Message } from '../../wire/messages.js';
import type { Offer } from '../../wire/offer.js';
import type { Behind } from '../../wire/relayed.js';
import type { IncomingInfo, IncomingResult, IncomingStatus } from '../receiver-events.js';
import type { WorkQueue } from '../work-queue.js';
import type { ReceptionOptions } from './incoming-object.js';
import { describeIncoming } from './incoming-status.js';
import type { OutputQueues } from './session-output.js';
import { SessionOutput } from './session-output.js';
import { AwaitingOffer } from './stages/awaiting-offer.js';
import { Concluding, Over } from './stages/concluding.js';
import { ObjectStage } from './stages/object-stage.js';
import type { Next, PreparedDetails, Stage } from './stages/stage.js';
import { Outcome } from './stages/stage.js';
import { Supplying } from './stages/supplying.js';

/** Where sessions put what they give out. */
export interface IncomingSessionOutputs {
  readonly queues: OutputQueues;
  /** Calls `step`, interleaved with other work, until `hasSteps` is false. */
  readonly steps: WorkQueue<IncomingSession>;
  /** How many sessions had each outcome. */
  readonly outcomeCounts: Record<IncomingResult['status'], number>;
}

export interface IncomingSessionOptions extends ReceptionOptions, IncomingSessionOutputs {
  readonly idleMs: number;
}

export class IncomingSession {
  private stage: Stage;
  private readonly output: SessionOutput;
  private readonly startedAtMs: TimeMs;
  private lastReceivedAtMs: TimeMs;
  private idleMs: number;
  /** Whether the sender has said that it will never offer the object again. */
  private isFinal = false;

  constructor(
    private readonly options: IncomingSessionOptions,
    /** The session's number. If this receiver asked for the object, the channel has another number. */
    readonly session: number,
    channel: SecureChannel,
    readonly senderKey: Uint8Array,
    from: Address,
    nowMs: TimeMs,
  ) {
    this.startedAtMs = nowMs;
    this.lastReceivedAtMs = nowMs;
    this.idleMs = options.idleMs;
    this.output = new SessionOutput(options.queues, channel, from);
    const { output } = this;
    this.stage = new AwaitingOffer({ options, output, senderKey, startedAtMs: nowMs });
  }

  get isOver(): boolean {
    return this.stage.isOver;
  }

  /** Whether the outcome has been decided. */
  get isSettled(): boolean {
    return this.stage.isSettled;
  }

  /** What was offered; undefined before the offer. */
  get info(): IncomingInfo | undefined {
    return this.stage.info;
  }

  /** Time at which something authentic last came from the sender. */
  get heardAtMs(): TimeMs {
    return this.lastReceivedAtMs;
  }

  get secureChannel(): SecureChannel {
    return this.output.channel;
  }

  /** Switches to a new channel, because the sender has repeated the handshake. */
  rechannel(nowMs: TimeMs, channel: SecureChannel, from: Address): void {
    this.output.rechannel(channel, from);
    this.lastReceivedAtMs = nowMs;
  }

  /** Shortens the idle timeout because another session is waiting. */
  limitSilence(idleMs: number): void {
    this.idleMs = Math.min(this.idleMs, idleMs);
  }

  // --- Messages

  /** @returns false if messages of this kind are not for receivers */
  handleMessage(nowMs: TimeMs, from: Address, message: Message): boolean {
    this.lastReceivedAtMs = nowMs;
    const { stage } = this;
    const blocks = stage instanceof ObjectStage ? stage.object.blocks : undefined;
    blocks?.quiet.handleArrival(nowMs);
    if (message.kind === 'path-challenge') {
      // It says only that its own path works.
      this.output.noteArrival(from);
      if (stage instanceof ObjectStage) stage.handleChallenge(nowMs, from, message);
      return true;
    }
    this.output.noteMessage(from, blocks?.paths.hasProven(from) === true);
    switch (message.kind) {
      case 'offer':
        this.handleOffer(nowMs, message);
        break;
      case 'poll':
        this.enter(nowMs, stage.handlePoll(nowMs, message));
        break;
      case 'root':
        this.enter(nowMs, stage.handleRoot(nowMs, message));
        break;
      case 'nodes':
        this.enter(nowMs, stage.handleNodes(nowMs, message));
        break;
      case 'noted':
        this.enter(nowMs, stage.handleNoted(nowMs, message));
        break;
      case 'bye':
        this.handleBye(nowMs, message);
        break;
      case 'withdrawn':
        this.enter(nowMs, stage.handleWithdrawn(nowMs, message));
        break;
      case 'addresses-noted':
        this.options.addresses.handleNoted(message.number);
        break;
      case 'envelope':
        this.enter(nowMs, stage.handleEnvelope(message.envelope));
        break;
      case 'behind-noted':
        this.output.emit({ type: 'behind-noted', session: this.session, noted: message });
        break;
      default:
        return false;
    }
    return true;
  }

  private handleOffer(nowMs: TimeMs, offer: Offer): void {
    if (this.stage instanceof AwaitingOffer) this.stage = this.stage.takeOffer(offer);
    this.enter(nowMs, this.stage.handleOffer(nowMs, offer));
  }

  private handleBye(nowMs: TimeMs, { reason, isFinal }: Bye): void {
    this.isFinal = isFinal;
    this.fail(nowMs, reason === '' ? `the ${this.peer} stopped` : reason);
    const { stage } = this;
    if (!(stage instanceof Concluding)) return;
    const { info, status } = stage;
    this.stage = new Over(info, status);
    if (isFinal && info !== undefined && status !== 'complete') {
      this.output.emit({ type: 'drop', info });
    }
  }

  // --- Input from the shell

  /**
   * @param held blocks that the disk holds, numbered within the content, with their digests
   * @param kept ranges of blocks, numbered within the content, that are neither needed nor verified
   */
  prepared(
    nowMs: TimeMs,
    held: Iterable<HeldBlock>,
    kept: readonly Range[],
    details: PreparedDetails = {},
  ): void {
    this.enter(nowMs, this.stage.handlePrepared(nowMs, held, kept, details));
  }

  /** The shell cannot store the object. */
  refuse(nowMs: TimeMs, reason: string): void {
    if (!this.isSettled) this.enter(nowMs, new Outcome('refused', reason));
  }

  handleWritten(nowMs: TimeMs, sizeBytes: number): void {
    this.stage.handleWritten(nowMs, sizeBytes);
  }

  /** Handles blocks whose content on disk differs from what was written, and requests these blocks again. */
  handleDamaged(nowMs: TimeMs, blocks: readonly number[]): void {
    this.enter(nowMs, this.stage.handleDamaged(nowMs, blocks));
  }

  /** @param deletion what was deleted because the sender does not send it */
  handleStored(nowMs: TimeMs, note = '', deletion?: DeletionResult): void {
    this.enter(nowMs, this.stage.handleStored(note, deletion));
  }

  /** Fails the session, for example because the disk failed or the program is shutting down. */
  fail(nowMs: TimeMs, reason: string): void {
    if (!this.isSettled) this.enter(nowMs, new Outcome('failed', reason));
  }

  // --- A relay

  /** Reports a receiver behind this relay to the sender. A `behind-noted` event brings the answer. */
  tell(behind: Behind): void {
    if (!this.isSettled) this.output.send(behind);
  }

  // --- A source

  /** What the owner may want of the sender; undefined unless the sender is one of several sources. */
  get source(): Supplying | undefined {
    return this.stage instanceof Supplying ? this.stage : undefined;
  }

  /** Ends a session with a source, of which nothing more is needed. */
  conclude(nowMs: TimeMs, isComplete: boolean, reason: string): void {
    if (!this.isSettled) this.enter(nowMs, new Outcome(isComplete ? 'complete' : 'failed', reason));
  }

  /** The sender learns at which addresses this host can be reached now. */
  setAddresses(nowMs: TimeMs, addresses: readonly Address[]): void {
    const { options, stage, output } = this;
    // The accept names them otherwise.
    if (options.addresses.change(addresses) && stage instanceof ObjectStage)
      output.send(options.addresses.next(nowMs));
  }

  /** This host has another address. The sender learns it from a message. */
  handleMove(nowMs: TimeMs): void {
    if (this.stage instanceof ObjectStage) this.stage.reportQuiet(nowMs);
  }

  // --- Datagrams

  /** @returns whether the probe is authentic, or of no interest any more */
  handleProbe(nowMs: TimeMs, header: Uint8Array, body: Uint8Array): boolean {
    const { stage } = this;
    if (!(stage instanceof ObjectStage)) return stage.isSettled;
    if (!stage.handleProbe(nowMs, header, body)) return false;
    this.lastReceivedAtMs = nowMs;
    return true;
  }

  /**
   * Handles one segment batch. The datagrams in `bytes` arrived together and can hold several batches.
   * @param start the offset where the batch begins
   * @returns the offset where the batch ends
   */
  handleBlocks(nowMs: TimeMs, from: Address, bytes: Uint8Array, start: number): number {
    const { stage, output } = this;
    if (!(stage instanceof ObjectStage)) {
      output.countFaultOf('no-session', from, bytes.subarray(start));
      return bytes.length;
    }
    const { blocks } = stage.object;
    const { batch, geometry } = blocks;
    if (!batch.read(geometry, bytes, start)) {
      output.countFaultOf('forged-data', from, bytes.subarray(start));
      return bytes.length;
    }
    output.noteArrival(from, batch.end - start);
    const { content, fault, faultCount } = blocks.takeBatch(nowMs);
    if (content !== undefined) {
      // A block that can be decrypted proves that the sender is alive. A single datagram does not.
      this.lastReceivedAtMs = nowMs;
      this.enter(nowMs, stage.takeBlock(nowMs, batch.block, content));
    }
    if (fault !== undefined) output.countFaultOf(fault, from, batch.datagram(0), faultCount);
    return batch.end;
  }

  // --- Stages

  private enter(nowMs: TimeMs, next: Next): void {
    if (next instanceof Outcome) {
      this.stage = this.settle(nowMs, next).send(nowMs);
    } else if (next !== this.stage) {
      this.stage = next;
      if (next.hasSteps) this.options.steps.add(nowMs, this);
    }
  }

  private settle(nowMs: TimeMs, { status, reason, deletion, receipt }: Outcome): Concluding {
    const { stage, output, options } = this;
    stage.close();
    options.addresses.stop();
    const { withdrawn } = stage.progress;
    const result: IncomingResult = {
      ...this.describe(nowMs, stage.info ?? this.unknownObject, status, deletion),
      status,
      ...withoutUndefined({ deletion, withdrawn }),
      ...(reason === '' ? {} : { reason }),
    };
    // Before the offer, the shell does not know the session.
    if (stage.info !== undefined) {
      options.outcomeCounts[status]++;
      output.emit({ type: 'end', result, ...(this.isFinal && { isFinal: true }) });
    }
    return new Concluding(output, stage.info, result, receipt);
  }

  /**
   * Ends the session without notifying the sender. If the sender comes back, its new handshake begins a new
   * session, which resumes from the blocks kept on disk.
   */
  private endSilently(nowMs: TimeMs): void {
    const seconds = this.idleMs / 1000;
    const reason = `no response from the ${this.peer} for ${seconds} s; the received data is kept`;
    const { info, status } = this.settle(nowMs, new Outcome('failed', reason));
    this.stage = new Over(info, status);
  }

  /** What the other side is, for messages. */
  private get peer(): 'server' | 'sender' {
    return this.options.isSource ? 'server' : 'sender';
  }

  // --- Time

  get isDueByOthers(): boolean {
    return this.stage.isDueByOthers;
  }

  pollTimeout(): TimeMs {
    const idleAtMs = this.isSettled ? Infinity : this.lastReceivedAtMs + this.idleMs;
    return Math.min(this.stage.pollTimeout(), idleAtMs, this.options.addresses.dueAtMs);
  }

  /** @param stoppedMs how long this process was suspended before this call */
  handleTimeout(nowMs: TimeMs, stoppedMs: number): void {
    this.lastReceivedAtMs += stoppedMs;
    if (!this.isSettled && nowMs >= this.lastReceivedAtMs + this.idleMs) {
      this.endSilently(nowMs);
    } else {
      const { addresses } = this.options;
      if (nowMs >= addresses.dueAtMs) this.output.send(addresses.next(nowMs));
      this.enter(nowMs, this.stage.handleTimeout(nowMs));
    }
  }

  /** Whether work remains to be done in steps. */
  get hasSteps(): boolean {
    return this.stage.hasSteps;
  }

  step(nowMs: TimeMs): void {
    this.enter(nowMs, this.stage.step(nowMs));
  }

  /** Sends the report if it is due. Called after each input. */
  flush(nowMs: TimeMs): void {
    this.stage.flush(nowMs);
  }

  // --- Status

  /** Undefined before the offer. */
  status(nowMs: TimeMs): IncomingStatus | undefined {
    const { info, activity } = this.stage;
    return info === undefined ? undefined : this.describe(nowMs, info, activity);
  }

  private describe(
    nowMs: TimeMs,
    info: IncomingInfo,
    activity: string,
    deletion?: DeletionResult,
  ): IncomingStatus {
    const { figures, contentRoot, unchangedFiles = 0 } = this.stage.progress;
    const course = {
      ...{ activity, elapsedMs: nowMs - this.startedAtMs, rttMs: this.options.rttMs },
      ...{ contentRoot, unchangedFiles },
      deletedEntries: deletion?.deletedEntries ?? 0,
      undeletedEntries: deletion?.undeletedEntries ?? 0,
    };
    return describeIncoming(info, course, figures);
  }

  /** Stands for an object in the outcome of a session that ends before its offer. */
  private get unknownObject(): IncomingInfo {
    return {
      session: this.session,
      manifestDigest: '',
      label: '',
      from: formatAddress(this.output.from),
      senderKey: this.senderKey,
      contentSizeBytes: 0,
      isListing: false,
    };
  }
}
