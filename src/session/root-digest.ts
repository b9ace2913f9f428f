/** The root digest of the content. The sender sends it once it knows that the source did not change (SESSIONS 6). */
import type { Delivery } from '../transfer/delivery.js';
import type { SessionPeer } from '../transfer/peer.js';

export class RootDigest {
  /** Whether the source did not change while it was read. */
  isConfirmed = false;
  private digest: Uint8Array | undefined;

  constructor(private readonly delivery: Delivery) {}

  /** Undefined until all of the content has been read. */
  get value(): Uint8Array | undefined {
    if (this.delivery.isRead) this.digest ??= this.delivery.tree.root();
    return this.digest;
  }

  /** Whether the receiver holds all blocks and waits for the digest to verify them. */
  isAwaitedBy(peer: SessionPeer): boolean {
    return peer.state === 'whole' && this.delivery.owesNothing(peer);
  }

  /** The digest to send to this receiver; undefined if the receiver does not wait for it or it is not confirmed yet. */
  dueTo(peer: SessionPeer): Uint8Array | undefined {
    return this.isConfirmed && this.isAwaitedBy(peer) ? this.value : undefined;
  }
}
