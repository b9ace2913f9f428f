/**
 * The candidate addresses of a receiver. A host name can have both an IPv4 and an IPv6 address, while the
 * receiver listens on only one of them. Until the receiver answers, the sender tries the addresses in turn.
 */
import type { Address } from '../base/address.js';
import { formatAddress, sameAddress } from '../base/address.js';
import type { Refusal, RefusedEvent } from '../base/refusal.js';
import { describeRefusal, describeRemedy, isUnreachable } from '../base/refusal.js';

/** A receiver answered from an address other than the first address of its host name. */
export interface OtherAddressEvent {
  readonly type: 'other-address';
  readonly receiver: string;
  /** The address that answered. `insteadOf` is the first address, which did not answer. */
  readonly address: string;
  readonly insteadOf: string;
}

export function otherAddressEvent(
  receiver: string,
  { current, all }: CandidateAddresses,
): OtherAddressEvent {
  const [first = current] = all;
  return {
    type: 'other-address',
    receiver,
    address: formatAddress(current),
    insteadOf: formatAddress(first),
  };
}

interface RefusalAt {
  readonly at: Address;
  readonly refusal: Refusal;
}

/** Number of consecutive attempts at one address; more than one, because the first attempt might be lost. */
const attemptsInARow = 2;

export class CandidateAddresses {
  private index = 0;
  private attempts = 0;
  private hasAnswered = false;
  /** Refusals since the last answer, by address. */
  private readonly refusals = new Map<string, RefusalAt>();
  private readonly others: Address[];

  /** @param others further addresses, if any */
  constructor(
    private readonly first: Address,
    others: readonly Address[] = [],
  ) {
    this.others = [...others];
  }

  /** The address to send to. */
  get current(): Address {
    return this.others[this.index - 1] ?? this.first;
  }

  get all(): readonly Address[] {
    return [this.first, ...this.others];
  }

  /** Addresses from which an answer can come. */
  get places(): readonly Address[] {
    return this.hasAnswered ? [this.current] : this.all;
  }

  /** How every address has refused since the last answer; undefined if not all of them have. */
  get refused(): RefusedEvent['type'] | undefined {
    return typeOf(this.refusalsOfAll);
  }

  /** @returns text that names the addresses tried; empty if there is only one */
  describe(): string {
    return this.others.length === 0 ? '' : ` at ${this.all.map(({ host }) => host).join(' or ')}`;
  }

  /**
   * The reason to give if the receiver fails.
   * @param program the program that is expected to listen on the port
   * @returns the reason; undefined unless every address has refused
   */
  describeRefusal(program: string): string | undefined {
    const refusals = this.refusalsOfAll;
    if (refusals === undefined) return undefined;
    const remedies = refusals.map(({ at, refusal }) => describeRemedy(refusal, at));
    return `${describeAll(refusals, program)}${remedies.find((text) => text !== '') ?? ''}`;
  }

  /**
   * Handles the refusal of a datagram to one address. The next request goes to another address, if there is
   * one.
   * @param program the program that is expected to listen on the port
   * @returns what to report if only this address had not refused yet; otherwise undefined
   */
  noteRefusal(
    at: Address,
    refusal: Refusal,
    program: string,
  ): Pick<RefusedEvent, 'type' | 'reason'> | undefined {
    const wasRefused = this.refused !== undefined;
    const key = formatAddress(at);
    this.refusals.set(key, { at, refusal });
    if (key === formatAddress(this.current)) this.attempts = attemptsInARow;
    const refusals = wasRefused ? undefined : this.refusalsOfAll;
    const type = typeOf(refusals);
    return refusals && type && { type, reason: describeAll(refusals, program) };
  }

  /** Selects the address for the next attempt. Call it before each request that the receiver must answer. */
  noteAttempt(): void {
    if (this.hasAnswered || this.others.length === 0) return;
    if (this.attempts === attemptsInARow) {
      this.index = (this.index + 1) % (this.others.length + 1);
      this.attempts = 0;
    }
    this.attempts++;
  }

  /**
   * Records that the receiver answered from this address. If this is the first answer, and the address is a
   * candidate, everything is sent to that address from now on.
   * @returns whether this is the first answer, and the address in use is not the first candidate
   */
  noteAnswer(from: Address): boolean {
    // Clearing an empty map would allocate memory for every answer.
    if (this.refusals.size > 0) this.refusals.clear();
    if (this.hasAnswered) return false;
    this.hasAnswered = true;
    const key = formatAddress(from);
    const index = this.all.findIndex((address) => formatAddress(address) === key);
    // A host with several addresses can answer from an address that its name does not list.
    if (index >= 0) this.index = index;
    return this.index > 0;
  }

  /** Everything is sent to this address from now on. */
  choose(address: Address): void {
    this.refusals.clear();
    this.hasAnswered = true;
    const index = this.all.findIndex((each) => sameAddress(each, address));
    this.index = index < 0 ? this.others.push(address) : index;
  }

  /** The refusal of each address; undefined unless all have refused. */
  private get refusalsOfAll(): readonly RefusalAt[] | undefined {
    const { places } = this;
    const refusals = places.flatMap((place) => this.refusals.get(formatAddress(place)) ?? []);
    return refusals.length === places.length ? refusals : undefined;
  }
}

function describeAll(refusals: readonly RefusalAt[], program: string): string {
  return refusals.map(({ at, refusal }) => describeRefusal(refusal, at, program)).join('; ');
}

function typeOf(refusals: readonly RefusalAt[] | undefined): RefusedEvent['type'] | undefined {
  if (refusals === undefined) return undefined;
  return refusals.every(({ refusal }) => isUnreachable(refusal)) ? 'unreachable' : 'port-refused';
}
