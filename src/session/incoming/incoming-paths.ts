/**
 * The paths by which one incoming session receives (SESSIONS 3.17, 5.14). Path 0 is that of the handshake. A further
 * path exists once the sender has challenged it, and gets reports once its other end has repeated a token.
 */
import type { Address } from '../../base/address.js';
import { formatAddress, sameAddress } from '../../base/address.js';
import { at } from '../../base/assert.js';
import type { TimeMs } from '../../base/machine.js';
import { withoutUndefined } from '../../base/without-undefined.js';
import type { FeedbackScheduler } from '../../transfer/feedback-scheduler.js';
import { isEqualBytes } from '../../wire/byte-codec.js';
import type { PathChallenge, PathResponse } from '../../wire/paths.js';
import { pathTokenSizeBytes } from '../../wire/paths.js';
import type { IncomingPathStatus } from '../receiver-events.js';

export class IncomingPath {
  /** Number of data datagrams that arrived by this path. */
  datagramsReceived = 0;
  private provenAddress: Address | undefined;
  private token: Uint8Array | undefined;
  private tokenIsFor: Address | undefined;
  /** The token of the first challenge. */
  private openedBy: Uint8Array | undefined;

  constructor(
    readonly number: number,
    /** Decides when a report on this path is due. */
    readonly feedback: FeedbackScheduler,
  ) {}

  /** Whether the sender has begun another path with this number. It knows nothing yet of this receiver's tokens. */
  isReplacedBy({ token, echo }: PathChallenge): boolean {
    if (this.number === 0 || this.openedBy === undefined) return false;
    return echo.every((byte) => byte === 0) && !isEqualBytes(token, this.openedBy);
  }

  /** Where reports on this path go; undefined for the address of the session. */
  get address(): Address | undefined {
    return this.provenAddress;
  }

  /** Answers a challenge from this address. The answer proves the address if the next challenge repeats its token. */
  answer(from: Address, { token, echo }: PathChallenge, random: Random): PathResponse {
    this.openedBy ??= token;
    const isKnown = this.tokenIsFor !== undefined && sameAddress(this.tokenIsFor, from);
    if (!isKnown || this.token === undefined) {
      this.token = random(pathTokenSizeBytes);
      this.tokenIsFor = from;
    } else if (this.number > 0 && isEqualBytes(echo, this.token)) {
      this.provenAddress = from;
    }
    return { kind: 'path-response', path: this.number, echo: token, token: this.token };
  }
}

type Random = (sizeBytes: number) => Uint8Array;

export class IncomingPaths {
  private readonly byNumber: (IncomingPath | undefined)[] = [];

  constructor(
    private readonly random: Random,
    private readonly createFeedback: (nowMs: TimeMs) => FeedbackScheduler,
    nowMs: TimeMs,
  ) {
    this.open(nowMs, 0);
  }

  /** The path of the handshake. */
  get first(): IncomingPath {
    return at(this.byNumber, 0) as IncomingPath;
  }

  find(number: number): IncomingPath | undefined {
    return this.byNumber[number];
  }

  /** Whether the sender has shown on any path that it gets what is sent to this address. */
  hasProven(address: Address): boolean {
    for (const path of this)
      if (path.address !== undefined && sameAddress(path.address, address)) return true;
    return false;
  }

  *[Symbol.iterator](): IterableIterator<IncomingPath> {
    for (const path of this.byNumber) if (path !== undefined) yield path;
  }

  /** @param sessionFrom the address of the session, which is that of the first path */
  status(sessionFrom: string, mssBytes: number): readonly IncomingPathStatus[] {
    return [...this].map(({ number, address, datagramsReceived }) => {
      const otherFrom = number === 0 ? sessionFrom : undefined;
      const from = address === undefined ? otherFrom : formatAddress(address);
      const receivedBytes = datagramsReceived * mssBytes;
      return { number, ...withoutUndefined({ from }), datagramsReceived, receivedBytes };
    });
  }

  /** When the next report is due on any path. */
  get dueAtMs(): TimeMs {
    let dueAtMs = Infinity;
    for (const path of this.byNumber)
      if (path !== undefined) dueAtMs = Math.min(dueAtMs, path.feedback.dueAtMs);
    return dueAtMs;
  }

  /** Answers a challenge, which opens its path. */
  answer(nowMs: TimeMs, from: Address, challenge: PathChallenge): PathResponse {
    const known = this.byNumber[challenge.path];
    const isNew = known === undefined || known.isReplacedBy(challenge);
    const path = isNew ? this.open(nowMs, challenge.path) : known;
    return path.answer(from, challenge, this.random);
  }

  /** Forgets the bursts of all paths, because some of them may have been forged. */
  resetBursts(): void {
    for (const { feedback } of this) feedback.reset();
  }

  /** Stops reporting. */
  stop(): void {
    for (const { feedback } of this) feedback.stop();
  }

  private open(nowMs: TimeMs, number: number): IncomingPath {
    const path = new IncomingPath(number, this.createFeedback(nowMs));
    this.byNumber[number] = path;
    const all = [...this];
    for (const { feedback } of all) feedback.shareInterval(all.length);
    return path;
  }
}
