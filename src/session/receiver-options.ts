/** The options of a session receiver. */
import type { Address } from '../base/address.js';
import type { Platform } from '../object/entry-name.js';
import type { LeafDigests } from '../object/leaf-digests.js';
import type { SessionCrypto } from '../security/crypto.js';

/** Options of a session receiver: keys, trust and limits. */
export interface SessionReceiverOptions {
  /** Cryptographic functions that use this receiver's key. */
  readonly crypto: SessionCrypto;
  /** The name that this receiver reports to senders. */
  readonly name: string;
  /** Addresses at which senders can reach this receiver, for several paths at once; at most four. By default, none. */
  readonly addresses?: readonly Address[];
  /** The platform of this host. Received file names must follow its rules. */
  readonly platform: Platform;
  /**
   * Decides whether to trust a sender, by its public key.
   * @returns the reason to refuse the sender; undefined if the sender is trusted
   */
  readonly refuseSender: (senderKey: Uint8Array) => string | undefined;
  /**
   * Decides whether a relay may bring objects of trusted senders, by its public key. By default, none may.
   * @returns the reason to refuse the relay; undefined if it may
   */
  readonly refuseRelay?: (relayKey: Uint8Array) => string | undefined;
  /** If this receiver is a relay: its random number, by which it knows a session that comes back to it. */
  readonly ownHop?: Uint8Array;
  /** Size of a block before sealing; 61,440 bytes by default. The senders must use the same size. */
  readonly blockSizeBytes?: number;
  /** Maximum number of concurrent sessions; 256 by default. */
  readonly maxSessions?: number;
  /** Maximum disk space for one object. The size of each entry is rounded up to whole disk blocks. */
  readonly maxObjectBytes?: number;
  /** Maximum number of files, folders and links in one object. */
  readonly maxEntries?: number;
  /** The size of a disk block; 4,096 bytes by default. */
  readonly allocationBytes?: number;
  /** Maximum memory for the partial blocks and unwritten content of all sessions together. */
  readonly bufferBytes?: number;
  /** A session fails if its sender is silent for this long. */
  readonly idleMs?: number;
  /**
   * Whether to limit what each of several senders sends while they together overload the link to this receiver; `true`
   * by default.
   */
  readonly setsShares?: boolean;
  /** Whether a sender may delete, in the folders that it sends, what it does not send. By default, none may. */
  readonly mayDelete?: (senderKey: Uint8Array) => boolean;
  /**
   * Returns where to collect the leaf digests of the content with this root, for a sender that knows them. Each block
   * is then verified as it arrives. Sessions of the same content can share the digests and complete each other. By
   * default, and if the result is undefined, the blocks are verified when all of them have arrived.
   */
  readonly leavesOf?: (contentRoot: Uint8Array, blockCount: number) => LeafDigests | undefined;
}
