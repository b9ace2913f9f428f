/** A channel that a receiver began, from its proof until a session takes it over. */
import type { Arrival } from '../../base/address.js';
import { assert } from '../../base/assert.js';
import type { TimeMs } from '../../base/machine.js';
import type { ProvenChannel } from '../../security/secure-channel.js';
import type { Message } from '../../wire/messages.js';
import type { SessionSender } from '../sender.js';

type AskedState =
  /** No object has been asked for yet. */
  | 'open'
  /** The shell decides about the ask. */
  | 'asked'
  /** A peer of an exchange. */
  | 'talking'
  /** Everything is answered alike. */
  | 'answered'
  /** The receiver takes part in a session. */
  | 'accepted';

export class AskedChannel {
  private current: AskedState = 'open';
  private given: Message | undefined;
  private takenBy: { readonly sender: SessionSender; readonly index: number } | undefined;
  /** What the shell is listing, if anything. */
  private listing: string | undefined;

  constructor(
    /** Time at which something authentic last arrived. */
    public heardAtMs: TimeMs,
    /** The receiver's address. */
    public from: Arrival,
    readonly proven: ProvenChannel,
  ) {}

  get state(): AskedState {
    return this.current;
  }

  /** The answer to everything else that is asked on this channel. */
  get answer(): Message | undefined {
    return this.given;
  }

  get sender(): SessionSender | undefined {
    return this.takenBy?.sender;
  }

  /** Whether the receiver takes part in a session and has no outcome yet. */
  get isInSession(): boolean {
    const { takenBy } = this;
    return takenBy !== undefined && takenBy.sender.peers[takenBy.index]?.isSettled === false;
  }

  /** The receiver asks for an object or an envelope. @returns whether the shell does not know of it yet */
  ask(): boolean {
    if (this.current !== 'open') return false;
    this.current = 'asked';
    return true;
  }

  /** A peer of an exchange talks to its coordinator. @returns whether that may be, after what was asked before */
  talk(): boolean {
    if (this.current === 'open') this.current = 'talking';
    return this.current === 'talking';
  }

  /** The receiver asks for a page. @returns whether the shell is not listing it already */
  beginListing(after: string): boolean {
    if (this.listing !== undefined) return false;
    this.listing = after;
    return true;
  }

  /** The shell has listed a page. @returns whether it is the one that was asked for */
  takeListing(after: string): boolean {
    if (this.listing !== after) return false;
    this.listing = undefined;
    return true;
  }

  /** Answers with a refusal or an envelope. */
  conclude(answer: Message): Message {
    this.current = 'answered';
    this.given = answer;
    return answer;
  }

  handOver(sender: SessionSender, index: number): void {
    assert(this.current === 'asked', 'an ask that waits for its answer');
    this.current = 'accepted';
    this.takenBy = { sender, index };
  }
}
