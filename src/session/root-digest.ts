/**
 * The root digest of the content. It is sent only after the source is known not to have changed (SESSIONS 6).
 */
import type { Delivery } from '../transfer/delivery.js';
import type { SessionPeer } from '../transfer/peer.js';

export class RootDigest {
  /** Whether the source is known not to have changed while it was read. */
  isConfirmed = false;
  private digest: Uint8Array | undefined;

  constructor(private readonly delivery: Delivery) {}

  /** Undefined until all of the content has been read. */
  get value(): Uint8Array | undefined {
    if (this.delivery.isRead) this.digest ??= this.delivery.tree.root();
    return this.digest;
  }

  /** Whether the receiver holds all blocks and needs the root digest to verify them. */
  isAwaitedBy(peer: SessionPeer): boolean {
    return peer.state === 'whole' && this.delivery.owesNothing(peer);
  }

  /**
   * Digest to send to this receiver; undefined if the receiver is not waiting for it or the source is not
   * confirmed.
   */
  dueTo(peer: SessionPeer): Uint8Array | undefined {
    return this.isConfirmed && this.isAwaitedBy(peer) ? this.value : undefined;
  }
}
