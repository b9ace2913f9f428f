/** The options of an asker, and what it awaits. */
import type { Address } from '../../base/address.js';
import type { SessionCrypto } from '../../security/crypto.js';
import type { ReceivedInvitation } from '../../security/invitations.js';
import type { SessionReceiver } from '../receiver.js';

/** Options of an `Asker`. */
export interface AskerOptions {
  /** Cryptographic functions that use this host's key. */
  readonly crypto: SessionCrypto;
  /** Receives the objects. It must be on the same port. */
  readonly receiver: SessionReceiver;
  /** The invitations of this host. Each is proved to the host whose key it names, and to no other one. */
  readonly invitations?: readonly ReceivedInvitation[];
  /** Content bytes per datagram that the paths are expected to carry; 1400 by default. */
  readonly mssBytes?: number;
  /** An ask without a session fails if the asked host is silent for this long. */
  readonly livenessTimeoutMs?: number;
}

/** An ask that waits for an answer. */
export interface AwaitedAnswer {
  readonly index: number;
  /** All addresses of the asked host; after one has answered, only that one. */
  readonly addresses: readonly Address[];
  /** Number that increases with each datagram from the asked host. */
  readonly answerCount: number;
}
