/** One receiver of a session, as the sender knows it: from the first request to the outcome. */
import type { Address } from '../../base/address.js';
import { formatAddress, sameAddress } from '../../base/address.js';
import { assert } from '../../base/assert.js';
import type { TimeMs } from '../../base/machine.js';
import { DeletionNames } from '../../object/deletion-names.js';
import type { CandidateAddresses } from '../../path/candidate-addresses.js';
import { Path } from '../../path/path.js';
import type { OutgoingHandshake } from '../../security/handshake.js';
import type { ProvenChannel, SecureChannel } from '../../security/secure-channel.js';
import { Demand } from '../../transfer/demand.js';
import type { ReceiverSpec } from '../../transfer/receiver-spec.js';
import { isEqualBytes } from '../../wire/byte-codec.js';
import type { Undeleted } from '../../wire/lists.js';
import type { Done } from '../../wire/messages.js';
import { maxPaths } from '../../wire/paths.js';
import type { KeptPath } from './kept-path.js';
import { Liveness } from './liveness.js';
import { Polls, Requests } from './requests.js';

/** The outcome of a receiver. */
export type SessionOutcomeStatus = 'complete' | 'failed' | 'refused' | 'aborted';

/** The stage of a receiver in a session, or its outcome. */
export type SessionMemberStatus =
  /** There is no contact yet, or contact was lost. The sender keeps trying to connect. */
  | 'connecting'
  /** The user or the program has to decide whether to trust the receiver's key. */
  | 'identifying'
  /** The object has been offered to the receiver. */
  | 'offered'
  /** The receiver has accepted the offer. */
  | 'active'
  | SessionOutcomeStatus;

/** Figures that a receiver reports when it is done. */
interface DeletionFigures {
  readonly unchangedFiles: number;
  readonly deletedEntries: number;
  readonly undeletedEntries: number;
}

/** Time between two changes of a receiver's addresses. Receivers look for changes more rarely. */
const leastChangeMs = 500;

export class SessionMember {
  readonly name: string;
  readonly path: Path;
  readonly demand: Demand;
  readonly requests = new Requests();
  readonly polls = new Polls();
  readonly liveness = new Liveness();
  /** What the receiver announced that it would delete. */
  readonly deletion = new DeletionNames();

  private stage: SessionMemberStatus = 'connecting';
  private hasOutcome = false;
  private settledReason: string | undefined;
  private ownName: string | undefined;
  private begunHandshake: OutgoingHandshake | undefined;
  private openChannel: SecureChannel | undefined;
  private trustedKey: Uint8Array | undefined;
  private hasAsked = false;
  private restartWait: { sinceMs: TimeMs; readonly reason: string } | undefined;
  private versionSeen: number | undefined;
  private startedMs: TimeMs | undefined;
  private settledMs: TimeMs | undefined;
  private offeredMs = 0;
  private toldMs = 0;
  private otherRoute: Path | undefined;
  private keptPaths: readonly KeptPath[] = [];
  private ownAddresses: readonly Address[] = [];
  private handshakeSource: Address | undefined;
  /** Number of the last change of addresses that the receiver has announced since it accepted the offer. */
  private addressChange = 0;
  private addressChangeAtMs: TimeMs = -Infinity;
  /** Message number of the receiver's last report. */
  private lastReport = -1;
  /** Message number of the receiver's last report on each path. */
  private lastReports: number[] = [];
  private figures: DeletionFigures = { unchangedFiles: 0, deletedEntries: 0, undeletedEntries: 0 };
  private spared: readonly Undeleted[] = [];
  private drawnChallenge: Uint8Array | undefined;
  private ownEnvelope: Uint8Array | undefined;
  private doneReceipt: Uint8Array | undefined;

  constructor(
    /** The receiver's number in the session. */
    readonly index: number,
    spec: ReceiverSpec,
    mssBytes: number,
  ) {
    this.name = spec.name;
    this.path = new Path(spec, mssBytes);
    this.demand = new Demand(index, this.path);
  }

  /** The path by which messages go to the receiver. */
  get route(): Path {
    return this.otherRoute ?? this.path;
  }

  /** @param path undefined for the first path */
  setRoute(path: Path | undefined): void {
    this.otherRoute = path;
  }

  /** All paths to the receiver by their numbers; none if there is only one. */
  get paths(): readonly KeptPath[] {
    return this.keptPaths;
  }

  setPaths(paths: readonly KeptPath[]): void {
    this.keptPaths = paths;
  }

  /** The addresses that the receiver has named for several paths. */
  get announcedAddresses(): readonly Address[] {
    return this.ownAddresses;
  }

  setAddresses(addresses: readonly Address[]): void {
    this.ownAddresses = addresses;
  }

  /**
   * Takes a change of addresses. One that comes too soon is taken when the receiver repeats it: each change makes the
   * sender challenge addresses that need not be those of the receiver.
   */
  takeAddressChange(nowMs: TimeMs, number: number): 'new' | 'known' | 'too-soon' {
    if (number <= this.addressChange) return 'known';
    if (nowMs < this.addressChangeAtMs + leastChangeMs) return 'too-soon';
    this.addressChange = number;
    this.addressChangeAtMs = nowMs;
    return 'new';
  }

  /** The receiver has been reached at this address. A handshake goes there, too. */
  noteAddress(address: Address): void {
    if (this.ownAddresses.some((each) => sameAddress(each, address))) return;
    this.ownAddresses = [...this.ownAddresses, address].slice(-maxPaths);
  }

  /**
   * Where the receiver's answers in the handshake came from. A host with several addresses need not answer from the one
   * that the sender uses.
   */
  get source(): Address {
    return this.handshakeSource ?? this.address;
  }

  handleHandshakeAnswer(from: Address): void {
    this.liveness.handleAnswer();
    this.handshakeSource = from;
  }

  get address(): Address {
    return this.path.address;
  }

  get addresses(): CandidateAddresses {
    return this.path.addresses;
  }

  get hasAnswered(): boolean {
    return this.liveness.hasAnswered;
  }

  get answerCount(): number {
    return this.liveness.answerCount;
  }

  get status(): SessionMemberStatus {
    return this.stage;
  }

  get isSettled(): boolean {
    return this.hasOutcome;
  }

  /** Whether the receiver owes an answer. */
  get isAwaited(): boolean {
    const { status, polls } = this;
    return (
      status === 'connecting' ||
      status === 'offered' ||
      (status === 'active' && polls.unansweredCount > 0)
    );
  }

  /** The reason of its outcome, if there is one. */
  get reason(): string | undefined {
    return this.settledReason;
  }

  /** The name that the receiver reported. */
  get selfName(): string | undefined {
    return this.ownName;
  }

  /** Time at which the receiver first accepted the offer. */
  get startedAtMs(): TimeMs | undefined {
    return this.startedMs;
  }

  get settledAtMs(): TimeMs | undefined {
    return this.settledMs;
  }

  // --- Connecting

  get handshake(): OutgoingHandshake | undefined {
    return this.begunHandshake;
  }

  get channel(): SecureChannel | undefined {
    return this.openChannel;
  }

  /**
   * Set while the receiver is about to restart: when the wait began, and the reason that the receiver gave.
   */
  get deferral(): { readonly sinceMs: TimeMs; readonly reason: string } | undefined {
    return this.restartWait;
  }

  /** Version field of an answer that uses another protocol version. Such an answer is not authenticated. */
  get otherVersion(): number | undefined {
    return this.versionSeen;
  }

  noteOtherVersion(version: number): void {
    this.versionSeen = version;
  }

  beginHandshake(handshake: OutgoingHandshake): void {
    this.begunHandshake = handshake;
    this.requests.beginHandshake();
  }

  dropHandshake(): void {
    this.begunHandshake = undefined;
  }

  /** Starts to connect again. The old channel is used until there is a new one. */
  startOver(): void {
    this.stage = 'connecting';
    // A handshake goes by the first path, and so does the offer after it.
    this.otherRoute = undefined;
    this.begunHandshake = undefined;
    this.polls.handleAnswer();
  }

  /** Starts to connect again once the receiver has restarted. */
  defer(nowMs: TimeMs, reason: string): void {
    this.restartWait ??= { sinceMs: nowMs, reason };
    this.startOver();
    this.openChannel = undefined;
    this.requests.scheduleRarely(nowMs);
  }

  /** The receiver has shown its key. @returns whether the key was trusted before */
  identify(): boolean {
    this.stage = 'identifying';
    this.requests.stop();
    return this.begunHandshake?.hasShown(this.trustedKey) === true;
  }

  /** The key that the receiver has shown in the handshake. */
  get shownKey(): Uint8Array {
    assert(this.begunHandshake !== undefined, 'a handshake in progress');
    return this.begunHandshake.shownKey;
  }

  trust(nowMs: TimeMs): void {
    this.trustedKey = this.shownKey;
    // While the user was prompted, the receiver had nothing to answer. This time does not count as silence.
    this.liveness.restart(nowMs);
  }

  /** Completes the handshake. @param secret the secret of an invitation from this receiver, if there is one */
  prove(secret: Parameters<OutgoingHandshake['prove']>[0]): void {
    assert(this.begunHandshake !== undefined, 'a handshake that waits for trust');
    this.begunHandshake.prove(secret);
    this.openChannel = this.begunHandshake.channel;
    this.stage = 'offered';
  }

  /** The interval between reports that the last offer named. */
  get offeredIntervalMs(): number {
    return this.offeredMs;
  }

  /** The interval between reports that the receiver was told last, by an offer or a poll. */
  get reportIntervalMs(): number {
    return this.toldMs;
  }

  offerInterval(intervalMs: number): void {
    this.offeredMs = intervalMs;
    this.toldMs = intervalMs;
  }

  tellInterval(intervalMs: number): void {
    this.toldMs = Math.max(this.offeredMs, intervalMs);
  }

  /** The receiver has begun this channel itself, and asked for the object. @returns the number of the channel */
  open(nowMs: TimeMs, { channel, peerKey, rttMs }: ProvenChannel): number {
    this.hasAsked = true;
    this.openChannel = channel;
    this.trustedKey = peerKey;
    this.stage = 'offered';
    this.liveness.handleMessage(nowMs);
    if (rttMs !== undefined) this.path.handleHandshakeRtt(nowMs, rttMs);
    return channel.session;
  }

  /**
   * Whether the receiver began the channel. Only the receiver can begin another one: no handshake of the sender
   * would reach it.
   */
  get isAsker(): boolean {
    return this.hasAsked;
  }

  /** Whether this is the receiver that had the key and the address of an asker before. */
  isSameAsker({ trustedKey, address, hasAsked }: SessionMember): boolean {
    const own = this.trustedKey;
    const isSameKey =
      own !== undefined && trustedKey !== undefined && isEqualBytes(own, trustedKey);
    return this.hasAsked && hasAsked && isSameKey && isSameAddress(this.address, address);
  }

  // --- Taking part

  /** The receiver has accepted the offer. */
  accept(nowMs: TimeMs, selfName: string, challenge?: Uint8Array): void {
    this.stage = 'active';
    this.restartWait = undefined;
    this.begunHandshake = undefined;
    this.ownName = selfName;
    this.drawnChallenge = challenge;
    // It was for the challenge before.
    this.ownEnvelope = undefined;
    this.startedMs ??= nowMs;
    this.requests.endHandshake();
    this.polls.setDue(false);
    this.addressChange = 0;
    this.lastReport = -1;
    this.lastReports = [];
    this.deletion.clear();
  }

  /** If the object is relayed: what the receiver has drawn for its session. */
  get challenge(): Uint8Array | undefined {
    return this.drawnChallenge;
  }

  /** If the object is relayed: what its origin says to the receiver. */
  get envelope(): Uint8Array | undefined {
    return this.ownEnvelope;
  }

  takeEnvelope(envelope: Uint8Array): void {
    this.ownEnvelope = envelope;
  }

  /** If the object is relayed and the receiver has completed it: its envelope for the origin. */
  get receipt(): Uint8Array | undefined {
    return this.doneReceipt;
  }

  /** Whether the receiver was active and fell silent. */
  get isSilent(): boolean {
    return this.stage === 'connecting' && this.startedMs !== undefined;
  }

  /** Whether the receiver is not served because its reports are overdue. */
  get isPaused(): boolean {
    return this.stage === 'active' && !this.demand.isServed;
  }

  /** The receiver answers on its old channel: it was unreachable but did not restart. */
  comeBack(): void {
    this.stage = 'active';
    this.begunHandshake = undefined;
  }

  /**
   * @param path the number of the path that the report is about
   * @returns whether this report is newer than all others, only newer than those on its path, or older
   */
  takeReportNumber(counter: number, path: number): 'newest' | 'late' | 'old' {
    if (counter <= (this.lastReports[path] ?? -1)) return 'old';
    this.lastReports[path] = counter;
    if (counter <= this.lastReport) return 'late';
    this.lastReport = counter;
    return 'newest';
  }

  // --- The outcome

  /** Figures that the receiver reported when it was done. */
  get done(): DeletionFigures {
    return this.figures;
  }

  /** The first entries that the receiver should have deleted and did not. */
  get undeleted(): readonly Undeleted[] {
    return this.spared;
  }

  takeDone(done: Done): void {
    this.demand.takeFinal(done);
    const { unchangedFiles, deletedEntries, undeletedEntries, undeleted } = done;
    this.figures = { unchangedFiles, deletedEntries, undeletedEntries };
    this.spared = undeleted;
    this.doneReceipt = done.receipt;
  }

  settle(nowMs: TimeMs, status: SessionOutcomeStatus, reason: string | undefined): void {
    assert(!this.isSettled, 'an outcome is final');
    this.hasOutcome = true;
    this.stage = status;
    this.settledReason = reason;
    this.settledMs = nowMs;
  }

  /** Another session takes the receiver over. */
  handOver(): void {
    this.hasOutcome = true;
    this.stage = 'aborted';
  }

  /** This process was suspended. That time does not count as silence. */
  handleStop(stoppedMs: number): void {
    this.liveness.handleStop(stoppedMs);
    this.demand.handleStop(stoppedMs);
    if (this.restartWait !== undefined) this.restartWait.sinceMs += stoppedMs;
  }
}

function isSameAddress(a: Address, b: Address): boolean {
  return formatAddress(a) === formatAddress(b);
}
