/** The object of one incoming session, and what the stages of the session need to receive it. */
import type { Platform } from '../../object/entry-name.js';
import type { LeafDigests } from '../../object/leaf-digests.js';
import type { Offer } from '../../wire/offer.js';
import type { ObjectLimits } from '../object-limits.js';
import type { IncomingInfo } from '../receiver-events.js';
import type { BlockReception, BlockReceptionOptions } from './block-reception.js';
import type { OwnAddresses } from './own-addresses.js';
import type { SessionOutput } from './session-output.js';

export interface ReceptionOptions extends BlockReceptionOptions {
  /** The name that this receiver reports to the sender. */
  readonly name: string;
  readonly platform: Platform;
  /** Addresses at which this receiver can be reached. */
  readonly addresses: OwnAddresses;
  /** Size of a block before sealing. */
  readonly blockSizeBytes: number;
  readonly limits: ObjectLimits;
  /** Whether the sender is one of several sources, so that the session only receives what its owner wants. */
  readonly isSource: boolean;
  /** Whether a sender may delete entries in folders that it sends. */
  readonly allowsDeletion: boolean;
  /** Where to collect the leaf digests of a content; undefined if blocks are not to be verified as they arrive. */
  readonly leavesOf: (contentRoot: Uint8Array, blockCount: number) => LeafDigests | undefined;
  /** @returns why this receiver does not take what is offered */
  readonly refuseOffer: (offer: Offer) => string | undefined;
}

/** An object whose offer has passed the first checks. */
export interface IncomingObject {
  readonly options: ReceptionOptions;
  readonly output: SessionOutput;
  readonly info: IncomingInfo;
  readonly offer: Offer;
  readonly blocks: BlockReception;
  /** If the object is relayed: the random number that the envelope of its origin must contain. */
  readonly challenge: Uint8Array | undefined;
}
