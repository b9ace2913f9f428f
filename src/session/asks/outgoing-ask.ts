/** One ask, as the asker knows it: whom it asks, for what, and how far it has come. */
import type { Address, Arrival } from '../../base/address.js';
import { assert } from '../../base/assert.js';
import { P2mpError } from '../../base/errors.js';
import type { TimeMs } from '../../base/machine.js';
import { readUint32 } from '../../base/network-order.js';
import { answeredPath, pairFrom } from '../../path/first-paths.js';
import type { PathEnds } from '../../path/path.js';
import { Path } from '../../path/path.js';
import type { SessionCrypto } from '../../security/crypto.js';
import { OutgoingHandshake } from '../../security/handshake.js';
import { handshakeLimits } from '../../security/handshake-limits.js';
import type { SecureChannel } from '../../security/secure-channel.js';
import type { ReceiverSpec } from '../../transfer/receiver-spec.js';
import { type AskedObject, isNamed } from '../../wire/asks.js';
import type { EnvelopeQuestion } from '../../wire/envelope-request.js';
import { askerNumber } from '../../wire/header.js';
import type { Message } from '../../wire/messages.js';
import type { ExistingFiles } from '../../wire/offer.js';
import { Requests } from '../outgoing/requests.js';

/** Whom to ask, and for what. */
export interface AskSpec {
  /** The host to ask: its name in events, and its addresses. */
  readonly server: ReceiverSpec;
  /** The object; undefined for the list of all objects, for an envelope, or for an exchange. */
  readonly what?: Partial<AskedObject>;
  /** What an origin is to say in an envelope. */
  readonly envelope?: EnvelopeQuestion;
  /** Whether the host coordinates an exchange in which the asking host takes part. */
  readonly isExchange?: boolean;
  /** The relays that the ask has come through, the nearest to the asking receiver first; none by default. */
  readonly hops?: readonly Uint8Array[];
  /** What happens to existing files; `update` by default. */
  readonly existing?: ExistingFiles;
  /** Whether the host is one of several sources; if so, the session receives only what its owner wants of it. */
  readonly isSource?: boolean;
  /** The ask fails after this time without a message; by default, after the asker's liveness timeout. */
  readonly patienceMs?: number;
}

export type AskStage =
  | 'connecting'
  /** The shell decides whether to trust the key of the asked host. */
  | 'identifying'
  /** The channel is open, and the ask waits for its answer. */
  | 'asking'
  /** A session, or the conversation with a coordinator, has begun. */
  | 'answered';

/** The first message to a coordinator. Its time says nothing. */
const greeting: Message = {
  kind: 'exchange',
  ...{ nextRecord: 0, sentAtMs: 0, echo: undefined, firstRecord: 0, records: [] },
};

/** The asked host counts as silent after this time without a message, or after a few report intervals. */
const silentAfterMs = 5000;
const silentReports = 4;

/** How long an ask stays prepared. The asked host keeps the handshake for longer. */
const preparedMs = handshakeLimits.handshakeMs / 2;

/** @throws P2mpError INVALID_ARGUMENT if nothing names the object, or its name is too long */
export function checkAsk({ what, envelope }: AskSpec): void {
  const asked: Partial<AskedObject> | undefined = what ?? envelope;
  if (asked !== undefined && !isNamed(asked))
    throw new P2mpError('INVALID_ARGUMENT', `no object can have the name "${asked.name ?? ''}"`);
}

export class OutgoingAsk {
  readonly path: Path;
  readonly requests = new Requests();
  stage: AskStage = 'connecting';
  /** Time at which something authentic last arrived, or at which the ask began. */
  heardAtMs: TimeMs;
  /** Undefined unless a handshake is in progress. */
  handshake: OutgoingHandshake | undefined;
  /** Number of datagrams from the asked host. */
  answerCount = 0;
  /** Whether the asked host has answered on the channel of this handshake. */
  isHeard = false;
  /** Version field of an answer that uses another protocol version. Such an answer is not authenticated. */
  otherVersion: number | undefined;
  /** Since when the asked host has asked to wait. */
  deferredAtMs: TimeMs | undefined;
  /** Where the next page of the list begins. */
  after = '';
  private handshakeNumber: number | undefined;
  private used: SecureChannel | undefined;
  private sessionNumber: number | undefined;
  private trustedKey: Uint8Array | undefined;
  private offeredIntervalMs = 0;
  private roundTripMs: number | undefined;

  /**
   * @param asked undefined as long as the ask is only prepared: it connects to the server, and waits for a question
   */
  constructor(
    readonly id: number,
    private readonly server: ReceiverSpec,
    private asked: AskSpec | undefined,
    private readonly startedAtMs: TimeMs,
    mssBytes: number,
    /** Where asks are found by the numbers of their channels. */
    private readonly byChannel: Map<number, OutgoingAsk>,
  ) {
    this.path = new Path(server, mssBytes);
    this.heardAtMs = startedAtMs;
    this.requests.scheduleAt(startedAtMs);
  }

  get spec(): AskSpec {
    return this.asked ?? { server: this.server };
  }

  get isPrepared(): boolean {
    return this.asked === undefined;
  }

  /** Whether it is prepared for this server. */
  isPreparedFor(server: ReceiverSpec): boolean {
    return this.isPrepared && this.server === server;
  }

  /** Whether it was prepared in vain. */
  isStale(nowMs: TimeMs): boolean {
    return this.isPrepared && nowMs >= this.startedAtMs + preparedMs;
  }

  /** It is known now what to ask. */
  begin(nowMs: TimeMs, spec: AskSpec): void {
    this.asked = spec;
    this.heardAtMs = nowMs;
  }

  /** Time without a message, or since the asked host has asked to wait. */
  waitedMs(nowMs: TimeMs): number {
    return nowMs - Math.min(this.heardAtMs, this.deferredAtMs ?? Infinity);
  }

  get name(): string {
    return this.server.name;
  }

  get address(): Address {
    return this.path.address;
  }

  /** The channel of the session. */
  get channel(): SecureChannel | undefined {
    return this.used;
  }

  /** The number of the session; undefined until an offer has arrived. */
  get session(): number | undefined {
    return this.sessionNumber;
  }

  /** Whether the asked host counts as silent. @param sessionHeardAtMs when it was last heard of in the session */
  isSilent(nowMs: TimeMs, sessionHeardAtMs: TimeMs): boolean {
    const silentMs = Math.max(silentAfterMs, silentReports * this.offeredIntervalMs);
    return nowMs - Math.max(this.heardAtMs, sessionHeardAtMs) >= silentMs;
  }

  /** Round-trip time of the handshake. */
  get rttMs(): number | undefined {
    return this.roundTripMs;
  }

  /** When the request in progress is repeated; Infinity if there is none. */
  pollTimeout(): TimeMs {
    return this.requests.atMs;
  }

  /** Whether this is the number of a channel in use. */
  uses(channelNumber: number): boolean {
    if (this.used?.session === channelNumber) return true;
    return this.handshake !== undefined && this.handshakeNumber === channelNumber;
  }

  /** The ask is over. */
  forgetChannels(): void {
    if (this.handshakeNumber !== undefined) this.byChannel.delete(this.handshakeNumber);
    if (this.used !== undefined) this.byChannel.delete(this.used.session);
  }

  /** Begins a handshake with a new channel number. */
  beginHandshake(crypto: SessionCrypto): void {
    const { handshakeNumber: earlier, used, path, byChannel } = this;
    if (earlier !== undefined && earlier !== used?.session) byChannel.delete(earlier);
    const number = readUint32(crypto.random(4), 0);
    this.handshakeNumber = number;
    byChannel.set(number, this);
    this.handshake = new OutgoingHandshake(crypto, number, askerNumber, path.datagramSizeBytes);
    this.isHeard = false;
    this.stage = 'connecting';
    this.requests.beginHandshake();
  }

  /** Ends the handshake in progress, without a new channel. */
  dropHandshake(): void {
    this.handshake = undefined;
    this.stage = this.used === undefined ? 'connecting' : 'answered';
  }

  /** The path does not carry datagrams of full size. @returns whether there is a smaller size to try */
  narrow(): boolean {
    if (!this.path.narrow()) return false;
    this.handshake = undefined;
    return true;
  }

  /** The asked host asks to try again later. @returns whether it did not before */
  defer(nowMs: TimeMs): boolean {
    const isNew = this.deferredAtMs === undefined;
    this.deferredAtMs ??= nowMs;
    this.handshake = undefined;
    this.stage = 'connecting';
    this.requests.scheduleRarely(nowMs);
    return isNew;
  }

  /** The asked host works on its answer. */
  notePreparing(): void {
    this.deferredAtMs = undefined;
    this.requests.noteAttempt('first');
  }

  /**
   * The asked host has answered a hello. What follows goes by the pair of addresses by which the answer came. A host with
   * several addresses can answer from one that nobody has named: by the latest pair then, because hellos by the others have
   * had no answer before.
   * @param pairs those by which hellos go
   * @param latest those by which the latest hello went, the latest pair first
   * @returns whether the host has answered for the first time, and not at its first address
   */
  noteAnswer(pairs: readonly PathEnds[], latest: readonly PathEnds[], from: Arrival): boolean {
    const ends = pairFrom(pairs, from) ?? answeredPath(latest, from) ?? latest[0];
    const isOther = this.path.addresses.noteAnswer(ends?.address ?? from);
    if (ends !== undefined) this.path.moveTo(ends);
    return isOther;
  }

  noteRtt(rttMs: number): void {
    this.roundTripMs = rttMs;
  }

  /** The asked host has shown its key. @returns whether the key was trusted before */
  identify(): boolean {
    this.stage = 'identifying';
    this.requests.stop();
    return this.handshake?.hasShown(this.trustedKey) === true;
  }

  get shownKey(): Uint8Array {
    assert(this.handshake !== undefined, 'a handshake in progress');
    return this.handshake.shownKey;
  }

  /** Trusts the key and opens the channel. @param secret the secret of an invitation from this host, if there is one */
  prove(secret: Uint8Array | undefined): void {
    assert(this.handshake !== undefined, 'a handshake that waits for trust');
    this.trustedKey = this.shownKey;
    this.handshake.prove(secret);
    this.stage = 'asking';
  }

  /** The message that asks. */
  get question(): Message {
    const { what, envelope, isExchange, hops = [] } = this.spec;
    if (isExchange === true) return greeting;
    if (envelope !== undefined) return { kind: 'envelope-request', ...envelope, hops };
    if (what === undefined) return { kind: 'list-request', after: this.after };
    const { name = '', root, manifestDigest } = what;
    return { kind: 'ask', name, root, manifestDigest, mssBytes: this.path.mssBytes, hops };
  }

  /** The asker decides what happens to existing files, and nothing is deleted. */
  adapt(message: Message): Message {
    if (message.kind !== 'offer') return message;
    return { ...message, existing: this.spec.existing ?? 'update', deletion: 'none' };
  }

  /** The key that the asked host has proven. */
  get serverKey(): Uint8Array {
    assert(this.trustedKey !== undefined, 'the channel is open');
    return this.trustedKey;
  }

  /** The session uses the channel of the handshake from now on. */
  take(session: number, reportIntervalMs: number): void {
    this.sessionNumber = session;
    this.offeredIntervalMs = reportIntervalMs;
    this.useChannel();
  }

  /** What follows uses the channel of the handshake. */
  useChannel(): void {
    if (this.used !== undefined) this.byChannel.delete(this.used.session);
    this.used = this.handshake?.channel;
    assert(this.used !== undefined, 'the channel is open');
    this.handshake = undefined;
    this.deferredAtMs = undefined;
    this.stage = 'answered';
    this.requests.endHandshake();
    this.requests.stop();
  }
}
