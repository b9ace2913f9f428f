/** One of the paths to a receiver, as its sender proves it and keeps it alive (SESSIONS 3.17). */
import type { TimeMs } from '../../base/machine.js';
import type { Path } from '../../path/path.js';
import type { SessionCrypto } from '../../security/crypto.js';
import { isEqualBytes } from '../../wire/byte-codec.js';
import type { PathChallenge, PathResponse } from '../../wire/paths.js';
import {
  allowanceFactor,
  leastChallengeDatagramBytes,
  pathTokenSizeBytes,
} from '../../wire/paths.js';

/**
 * `new` until the other end has answered, `closed` if it never does or if one of the hosts has lost its address, and `silent`
 * while it does not answer any more.
 */
export type PathState = 'new' | 'open' | 'silent' | 'closed';

export const pathTiming = {
  /** How often an open path is challenged on which nothing arrives. */
  keepAliveMs: 1000,
  /** Minimum time to wait for an answer on an open path. */
  leastWaitMs: 20,
  /** An open path is silent after this many challenges without an answer. */
  silentAfter: 3,
  /** Time between challenges to a path that is not open: at first, its growth, and at most. */
  firstMs: 100,
  growth: 1.6,
  maxMs: 1000,
  /** An address that never answers is given up after this many challenges; so is one that was left. */
  maxAttempts: 12,
} as const;

/** How the sender has come to know the address of a path. */
export type PathOrigin =
  /** The user or the receiver has named it. Until it answers, challenges are small: it need not be the receiver's. */
  | 'named'
  /** A message has come from it. Until it answers, less is sent to it, because anyone can forge a source address. */
  | 'seen'
  /** The receiver has it no more, as far as the sender can see. */
  | 'left';

export class KeptPath {
  private currentState: Exclude<PathState, 'closed'>;
  private token: Uint8Array;
  /** The token of earlier challenges. Answers to them may follow, and say nothing any more. */
  private earlierToken: Uint8Array | undefined;
  private echo: Uint8Array = new Uint8Array(pathTokenSizeBytes);
  private unanswered = 0;
  private arrived = 0;
  private sentAtMs: TimeMs = 0;
  private dueAtMs: TimeMs = Infinity;
  /** One of the two hosts has lost its address. */
  private isEnded = false;
  /** What may still be sent to this address before it answers; undefined if there is no limit. */
  private allowanceBytes: number | undefined;

  constructor(
    readonly path: Path,
    private readonly crypto: Pick<SessionCrypto, 'random'>,
    private readonly origin: PathOrigin = 'named',
  ) {
    if (origin === 'seen') this.allowanceBytes = 0;
    else if (origin === 'named' && path.number > 0)
      this.allowanceBytes = pathTiming.maxAttempts * leastChallengeDatagramBytes;
    this.token = crypto.random(pathTokenSizeBytes);
    // The handshake has proven the first path.
    this.currentState = path.number === 0 ? 'open' : 'new';
  }

  get state(): PathState {
    return this.isGivenUp ? 'closed' : this.currentState;
  }

  private get isGivenUp(): boolean {
    const { currentState, origin, unanswered, isEnded } = this;
    if (isEnded) return true;
    const canEnd = currentState === 'new' || (currentState === 'silent' && origin !== 'named');
    return canEnd && unanswered >= pathTiming.maxAttempts;
  }

  /** Whether the other end has never answered. */
  get isUnproven(): boolean {
    return this.currentState === 'new';
  }

  /** When `isOver` or `challenge` is due. */
  get nextAtMs(): TimeMs {
    return this.dueAtMs;
  }

  /** A round on this path is overdue. */
  handleOverdue(nowMs: TimeMs): void {
    if (this.currentState === 'open' && this.unanswered === 0) this.dueAtMs = nowMs;
  }

  scheduleAt(atMs: TimeMs): void {
    this.dueAtMs = atMs;
  }

  /** Whether one of the two hosts has lost its address. Nothing is sent on the path then. */
  get hasEnded(): boolean {
    return this.isEnded;
  }

  /** This path has the number of another one from now on. */
  replace({ token, earlierToken, isUnproven }: KeptPath): void {
    this.earlierToken = isUnproven ? (earlierToken ?? token) : token;
  }

  /** One of the two hosts has lost its address. */
  end(): void {
    if (this.currentState === 'open') this.setSilent();
    this.isEnded = true;
    this.dueAtMs = Infinity;
  }

  /** The host has its address again. */
  resume(nowMs: TimeMs): void {
    this.isEnded = false;
    this.unanswered = 0;
    this.dueAtMs = nowMs;
  }

  /** Whether the path has been silent for so long that it cannot be used. */
  get isExhausted(): boolean {
    return this.currentState === 'open' && this.unanswered >= pathTiming.silentAfter;
  }

  setSilent(): void {
    this.currentState = 'silent';
    this.unanswered = 0;
  }

  /** A message of this size has come from the address of the path. */
  handleSource(nowMs: TimeMs, sizeBytes: number): void {
    if (this.currentState === 'open' || this.isEnded) return;
    if (this.allowanceBytes !== undefined) this.allowanceBytes += allowanceFactor * sizeBytes;
    if (this.isGivenUp) this.unanswered = 0;
    if (this.dueAtMs === Infinity) this.dueAtMs = nowMs;
  }

  /**
   * The next challenge.
   * @param burst the last burst of which the receiver must report now
   * @returns undefined if nothing may be sent to the address before more has come from it
   */
  challenge(nowMs: TimeMs, burst: number | undefined): PathChallenge | undefined {
    const { token, echo, path, currentState, allowanceBytes } = this;
    if (allowanceBytes !== undefined && allowanceBytes < leastChallengeDatagramBytes) {
      this.dueAtMs = Infinity;
      return undefined;
    }
    this.unanswered++;
    this.sentAtMs = nowMs;
    this.dueAtMs = nowMs + this.waitMs;
    const fields = { kind: 'path-challenge', path: path.number, token, echo } as const;
    if (allowanceBytes !== undefined) {
      this.allowanceBytes = allowanceBytes - leastChallengeDatagramBytes;
      return { ...fields, burst: undefined };
    }
    // A path that is not in use must show that it carries the largest datagrams.
    return currentState === 'open'
      ? { ...fields, burst }
      : { ...fields, burst: undefined, sizeBytes: path.mssBytes };
  }

  private get waitMs(): number {
    const { leastWaitMs, firstMs, growth, maxMs, silentAfter } = pathTiming;
    if (this.currentState === 'open') {
      const waitMs = Math.max(leastWaitMs, this.path.rtt.timeoutMs);
      // No other path is open, or this one would be silent.
      const vainCount = Math.max(0, this.unanswered - silentAfter);
      return Math.max(waitMs, Math.min(maxMs, waitMs * growth ** vainCount));
    }
    if (this.isGivenUp) return Infinity;
    return Math.min(maxMs, firstMs * growth ** (this.unanswered - 1));
  }

  /** @param count the number of datagrams that have arrived by this path; more than before show that it works */
  handleArrivals(nowMs: TimeMs, count: number): void {
    if (count > this.arrived) this.handleSign(nowMs);
    this.arrived = count;
  }

  private handleSign(nowMs: TimeMs): void {
    this.unanswered = 0;
    this.dueAtMs = nowMs + pathTiming.keepAliveMs;
  }

  /**
   * Handles an answer.
   * @returns undefined if it answers no challenge of this path; else whether the path was not open
   */
  handleResponse(
    nowMs: TimeMs,
    response: PathResponse,
  ): { readonly isOpened: boolean } | undefined {
    if (this.earlierToken !== undefined && isEqualBytes(response.echo, this.earlierToken))
      return { isOpened: false };
    if (!isEqualBytes(response.echo, this.token)) return undefined;
    if (this.isEnded) return { isOpened: false };
    if (this.unanswered === 1) this.path.handleHandshakeRtt(nowMs, nowMs - this.sentAtMs);
    if (this.allowanceBytes !== undefined) {
      this.handleReached(nowMs, response);
      return { isOpened: false };
    }
    const isOpened = this.currentState !== 'open';
    this.currentState = 'open';
    this.handleSign(nowMs);
    if (!isEqualBytes(response.token, this.echo)) {
      this.echo = response.token;
      // Proves this address to the receiver.
      this.dueAtMs = nowMs;
    }
    return { isOpened };
  }

  /** The receiver is at an address that was only seen. Whether datagrams of full size arrive there is the next question. */
  private handleReached(nowMs: TimeMs, { token }: PathResponse): void {
    this.allowanceBytes = undefined;
    this.earlierToken = this.token;
    this.token = this.crypto.random(pathTokenSizeBytes);
    this.echo = token;
    this.unanswered = 0;
    this.dueAtMs = nowMs;
  }
}
