/** The events of the side that asks. */
import type { RefusedEvent } from '../../base/refusal.js';
import type { OtherAddressEvent } from '../../path/candidate-addresses.js';
import type { List } from '../../wire/asks.js';
import type { ExchangeMessage } from '../../wire/exchange.js';
import type { FaultEvent } from '../../wire/faults.js';

/** Which ask an event is about. */
interface AskInfo {
  readonly ask: number;
  /** The name of the asked host. */
  readonly server: string;
}

/** Events that an `Asker` reports. */
export type AskerEvent =
  /** The asked host has shown its key. Call `trust` to accept or refuse the key. */
  | (AskInfo & { readonly type: 'identify'; readonly serverKey: Uint8Array })
  /** The asked host offers an object. The session receiver reports what becomes of the session with this number. */
  | (AskInfo & { readonly type: 'answered'; readonly session: number })
  /** A page of the list that was asked for. The ask is over with the last page. */
  | (AskInfo & { readonly type: 'page'; readonly page: List })
  /** A message from the coordinator of an exchange. The ask lasts until `cancel`. */
  | (AskInfo & { readonly type: 'exchange'; readonly message: ExchangeMessage })
  /** The asked host has passed on an envelope, which is not verified. The ask is over. */
  | (AskInfo & { readonly type: 'envelope'; readonly envelope: Uint8Array })
  /** The asked host cannot serve the object yet. The asker repeats its question until the liveness timeout passes. */
  | (AskInfo & { readonly type: 'deferred'; readonly reason: string })
  /** The asked host works on its answer, and says what holds that up. It may say so many times. */
  | (AskInfo & { readonly type: 'waiting'; readonly reason: string })
  /** The asked host has been silent for a while. The asker begins a new handshake, beside the session if there is one. */
  | (AskInfo & { readonly type: 'silent' })
  /** The asked host has refused. The ask is over. */
  | (AskInfo & { readonly type: 'refused'; readonly reason: string })
  /** The asked host offers what another ask of this port receives in this session. The ask is over. */
  | (AskInfo & { readonly type: 'shared'; readonly session: number; readonly reason: string })
  /** The asked host was not reached, or not understood. The ask is over. */
  | (AskInfo & { readonly type: 'failed'; readonly reason: string })
  /** The session that answered has its outcome, which the session receiver has reported. The ask is over. */
  | (AskInfo & { readonly type: 'ended' })
  | OtherAddressEvent
  | RefusedEvent
  | FaultEvent;

type WithoutAsk<Event> = Event extends AskInfo ? Omit<Event, keyof AskInfo> : never;
/** What happened to an ask. */
export type UnnamedAskerEvent = WithoutAsk<AskerEvent>;
