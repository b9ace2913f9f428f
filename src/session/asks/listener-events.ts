/** The events of the side that is asked. */
import type { Address } from '../../base/address.js';
import type { AskedObject } from '../../wire/asks.js';
import type { EnvelopeQuestion } from '../../wire/envelope-request.js';
import type { ExchangeMessage } from '../../wire/exchange.js';
import type { FaultEvent } from '../../wire/faults.js';

/** Why a receiver does not get what it asks for. */
export interface AskRefusal {
  readonly reason: string;
  /** Whether to ask again later. */
  readonly isTemporary: boolean;
}

/** Why a receiver may not ask: its key, an invitation that does not admit it, or no room. */
export type AskRefusalCause = 'untrusted' | 'invitation' | 'no-room';

/** A receiver that asks, and has proven its key. */
interface AskerInfo {
  /** The number of its channel, by which the shell answers. */
  readonly channel: number;
  readonly from: Address;
  readonly askerKey: Uint8Array;
}

/** Events that an `AskListener` reports, and requests to its shell. */
export type AskListenerEvent =
  /** A receiver asks for an object. Call `accept` or `refuse`; meanwhile the receiver waits. */
  | (AskerInfo & {
      readonly type: 'ask';
      readonly what: AskedObject;
      /** The largest MSS that the path from the receiver is known to carry. */
      readonly mssBytes: number;
      /** The relays that the ask has come through, the nearest to the asking receiver first. */
      readonly hops: readonly Uint8Array[];
    })
  /**
   * A receiver asks, for itself or as a relay for another one, which content a name has at an origin. Call
   * `answerEnvelope` or `refuse`.
   */
  | (AskerInfo & {
      readonly type: 'envelope-request';
      readonly question: EnvelopeQuestion;
      /** The relays that the question has come through, the nearest to the asking receiver first. */
      readonly hops: readonly Uint8Array[];
    })
  /** A receiver asks for the page of the list that begins after this name. Call `answerList` or `refuse`. */
  | (AskerInfo & { readonly type: 'list-request'; readonly after: string })
  /**
   * A receiver whose key may not ask has proved an invitation and was admitted. The handler of this event must make
   * `refuseAsker` accept the key from now on.
   */
  | {
      readonly type: 'asker-invited';
      readonly from: Address;
      readonly askerKey: Uint8Array;
      /** How many more receivers the invitation admits. */
      readonly usesLeft: number;
    }
  /** A message from a peer of the exchange that this host coordinates. Answer by `say` or `refuse`. */
  | (AskerInfo & { readonly type: 'exchange'; readonly message: ExchangeMessage })
  /** A receiver that may not ask, or for which there is no room. `TurnedAwayLog` limits the number of these events. */
  | {
      readonly type: 'asker-turned-away';
      readonly cause: AskRefusalCause;
      readonly from: Address;
      readonly askerKey: Uint8Array;
      readonly reason: string;
      /** Number of refusals without an event since the previous event of this type. */
      readonly unreported: number;
    }
  | FaultEvent;
