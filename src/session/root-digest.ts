/** The root digest of the content. Receivers get it once the source is confirmed to be unchanged (SESSIONS 6). */
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

  /** Whether the receiver holds all blocks and has to compare them with the digest. */
  isAwaitedBy(peer: SessionPeer): boolean {
    return peer.state === 'whole' && this.delivery.owesNothing(peer);
  }

  /** The digest to send to this receiver; undefined if it does not wait for it, or it is not confirmed. */
  dueTo(peer: SessionPeer): Uint8Array | undefined {
    return this.isConfirmed && this.isAwaitedBy(peer) ? this.value : undefined;
  }
}
