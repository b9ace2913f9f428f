/** One of the paths to a receiver, as its sender proves it and keeps it alive (SESSIONS 3.17). */
import type { TimeMs } from '../../base/machine.js';
import type { Path } from '../../path/path.js';
import type { SessionCrypto } from '../../security/crypto.js';
import { isEqualBytes } from '../../wire/byte-codec.js';
import type { PathChallenge, PathResponse } from '../../wire/paths.js';
import { pathTokenSizeBytes } from '../../wire/paths.js';

/**
 * `new` until the other end has answered, `closed` if it never does, and `silent` while it does not answer any more.
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
  /** An address that never answers is given up after this many challenges. */
  maxAttempts: 12,
} as const;

export class KeptPath {
  private currentState: Exclude<PathState, 'closed'>;
  private readonly token: Uint8Array;
  private echo: Uint8Array = new Uint8Array(pathTokenSizeBytes);
  private unanswered = 0;
  private arrived = 0;
  private sentAtMs: TimeMs = 0;
  private dueAtMs: TimeMs = Infinity;

  constructor(
    readonly path: Path,
    crypto: Pick<SessionCrypto, 'random'>,
  ) {
    this.token = crypto.random(pathTokenSizeBytes);
    // The handshake has proven the first path.
    this.currentState = path.number === 0 ? 'open' : 'new';
  }

  get state(): PathState {
    const isClosed = this.currentState === 'new' && this.unanswered >= pathTiming.maxAttempts;
    return isClosed ? 'closed' : this.currentState;
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

  /** Whether the path has been silent for so long that it cannot be used. */
  get isExhausted(): boolean {
    return this.currentState === 'open' && this.unanswered >= pathTiming.silentAfter;
  }

  setSilent(): void {
    this.currentState = 'silent';
    this.unanswered = 0;
  }

  /** The next challenge. @param burst the last burst of which the receiver must report now */
  challenge(nowMs: TimeMs, burst: number | undefined): PathChallenge {
    const { token, echo, path, currentState } = this;
    this.unanswered++;
    this.sentAtMs = nowMs;
    this.dueAtMs = nowMs + this.waitMs;
    const fields = { kind: 'path-challenge', path: path.number, token, echo } as const;
    // A path that is not in use must show that it carries the largest datagrams.
    return currentState === 'open'
      ? { ...fields, burst }
      : { ...fields, burst: undefined, sizeBytes: path.mssBytes };
  }

  private get waitMs(): number {
    const { leastWaitMs, firstMs, growth, maxMs, maxAttempts } = pathTiming;
    if (this.currentState === 'open') return Math.max(leastWaitMs, this.path.rtt.timeoutMs);
    if (this.currentState === 'new' && this.unanswered >= maxAttempts) return Infinity;
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
    if (!isEqualBytes(response.echo, this.token)) return undefined;
    if (this.unanswered === 1) this.path.handleHandshakeRtt(nowMs, nowMs - this.sentAtMs);
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
}
