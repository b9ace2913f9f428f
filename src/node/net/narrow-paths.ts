/**
 * Handles datagrams that are too large for the path to a receiver. If the segment size is automatic and no
 * content has been sent, the session restarts with smaller segments. Otherwise, that receiver fails and the
 * others continue.
 */
import { at } from '../../base/assert.js';
import { P2mpError } from '../../base/errors.js';
import type { SessionMember } from '../../session/outgoing/member.js';
import type { SessionSender } from '../../session/sender.js';
import { dataFramingBytes } from '../../wire/segment-size.js';
import type { PathFit } from './path-fit.js';

export interface NarrowPathsOptions {
  /** The sender of the current session. */
  readonly sender: () => SessionSender;
  readonly fit: PathFit;
  /** Whether the segment size may be reduced. */
  readonly isAuto: boolean;
  /** Replaces the current session by one with smaller segments. */
  readonly restart: (mssBytes: number) => void;
  readonly nowMs: () => number;
  /** Makes the current sender transmit. */
  readonly drain: () => void;
  /** Called when the session has restarted with smaller segments. */
  readonly handleResize: (mssBytes: number, reason: string) => void;
  /** Called when every receiver has failed because segments are too large for its path. */
  readonly handleHopeless: (error: P2mpError) => void;
}

export class NarrowPaths {
  /** Reasons why segments do not fit, by receiver number. Several receivers can be affected at once. */
  private readonly found = new Map<number, string>();
  private readonly givenUp = new Set<number>();

  constructor(private readonly options: NarrowPathsOptions) {}

  /**
   * Handles a send error that says that a datagram is too large.
   * @returns whether the datagram was addressed to a receiver
   */
  handleRefusal(error: NodeJS.ErrnoException & { address?: string; port?: number }): boolean {
    const { sender } = this;
    const peer = sender.peers.find(
      ({ address }) => address.host === error.address && address.port === error.port,
    );
    if (peer === undefined) return false;
    const mostBytes = this.options.fit.datagramBytesTo(peer.address);
    const sizeBytes = sender.geometry.mssBytes + dataFramingBytes;
    // If the current segments fit this path, the refused datagram was sent before the session restarted.
    const isLate = this.options.isAuto && mostBytes !== undefined && mostBytes >= sizeBytes;
    if (!isLate) this.note(peer, limitTo(peer, mostBytes, sizeBytes));
    return true;
  }

  /** Handles the sender's suspicion that a path silently drops large datagrams. */
  handleSuspicion(index: number): void {
    const { sender } = this;
    if (!this.options.isAuto || sender.hasOpenedContent) return;
    const peer = at(sender.peers, index);
    const sizeBytes = sender.geometry.mssBytes + dataFramingBytes;
    this.note(peer, `the path to ${peer.name} silently drops datagrams of ${sizeBytes} bytes`);
  }

  private get sender(): SessionSender {
    return this.options.sender();
  }

  /**
   * Records an affected receiver. All recorded receivers are handled together in the next turn of the event
   * loop, because this call can come from an event handler.
   */
  private note({ index, isSettled }: SessionMember, reason: string): void {
    if (isSettled) return;
    if (this.found.size === 0) setImmediate(() => this.handleFound());
    this.found.set(index, reason);
  }

  private handleFound(): void {
    const found = [...this.found];
    this.found.clear();
    const { sender } = this;
    if (sender.isDone) return;
    const { isAuto, fit, drain } = this.options;
    const mayRestart = isAuto && !sender.hasOpenedContent;
    const mssBytes = mayRestart ? fit.below(sender.geometry.mssBytes) : undefined;
    if (mssBytes === undefined)
      for (const [index, reason] of found) this.failReceiver(index, reason);
    else this.restart(mssBytes, found[0]?.[1] ?? '');
    drain();
  }

  private restart(mssBytes: number, reason: string): void {
    this.options.restart(mssBytes);
    this.options.handleResize(mssBytes, reason);
  }

  private failReceiver(index: number, reason: string): void {
    const { sender } = this;
    const message = `${reason}; send again with --mss auto or a smaller MSS`;
    this.givenUp.add(index);
    if (this.givenUp.size === sender.peers.length) {
      this.options.handleHopeless(new P2mpError('DATAGRAM_TOO_LARGE', message));
    }
    sender.failReceiver(this.options.nowMs(), index, message);
  }
}

function limitTo(peer: SessionMember, mostBytes: number | undefined, sizeBytes: number): string {
  const path = `the path to ${peer.name}`;
  return mostBytes === undefined || mostBytes >= sizeBytes
    ? `${path} does not carry datagrams of ${sizeBytes} bytes`
    : `${path} carries datagrams of at most ${mostBytes} bytes, not ${sizeBytes}`;
}
