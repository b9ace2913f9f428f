/**
 * Where a receiver may be found: a name may have an address of IPv4 and one of IPv6, and the receiver may listen
 * at one of them alone. Until it answers, its addresses are tried in turn.
 */
import type { Address } from '../base/address.js';
import { formatAddress } from '../base/address.js';
import type { RefusalCode } from '../base/refusal.js';
import { describeRefusal, describeRemedy } from '../base/refusal.js';

/** A receiver answers, but not at the first address of its name. */
export interface OtherAddressEvent {
  readonly type: 'other-address';
  readonly receiver: string;
  /** Where it answers, and where it did not. */
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

interface Refusal {
  readonly at: Address;
  readonly code: RefusalCode;
}

/** Attempts at one address in a row: the first may just be lost. */
const attemptsInARow = 2;

export class CandidateAddresses {
  private index = 0;
  private attempts = 0;
  private hasAnswered = false;
  /** What refused since the last answer, by address. */
  private readonly refusals = new Map<string, Refusal>();

  /** @param others none where the first is all there is */
  constructor(
    private readonly first: Address,
    private readonly others: readonly Address[] = [],
  ) {}

  /** The one to send to. */
  get current(): Address {
    return this.others[this.index - 1] ?? this.first;
  }

  get all(): readonly Address[] {
    return [this.first, ...this.others];
  }

  /** Where an answer may come from. */
  get places(): readonly Address[] {
    return this.hasAnswered ? [this.current] : this.all;
  }

  /** Whether nobody can be expected to answer: each place has refused since the last answer. */
  get isRefused(): boolean {
    return this.refusalsOfAll !== undefined;
  }

  /** @returns words for where it was looked for, where that is more than one place */
  describe(): string {
    return this.others.length === 0 ? '' : ` at ${this.all.map(({ host }) => host).join(' or ')}`;
  }

  /**
   * Why a receiver failed that is refused.
   * @param program what should run there
   * @returns undefined where it is not refused
   */
  describeRefusal(program: string): string | undefined {
    const refusals = this.refusalsOfAll;
    if (refusals === undefined) return undefined;
    const remedies = refusals.map(({ at, code }) => describeRemedy(code, at));
    return `${describeAll(refusals, program)}${remedies.find((text) => text !== '') ?? ''}`;
  }

  /**
   * A place refuses what is sent to it; another one is tried at once.
   * @param program what should run there
   * @returns the reason, once the last of the receiver's places has refused
   */
  noteRefusal(at: Address, code: RefusalCode, program: string): string | undefined {
    const wasRefused = this.isRefused;
    const key = formatAddress(at);
    this.refusals.set(key, { at, code });
    if (key === formatAddress(this.current)) this.attempts = attemptsInARow;
    const refusals = wasRefused ? undefined : this.refusalsOfAll;
    return refusals === undefined ? undefined : describeAll(refusals, program);
  }

  /** Something is about to be sent that only a receiver answers. */
  noteAttempt(): void {
    if (this.hasAnswered || this.others.length === 0) return;
    if (this.attempts === attemptsInARow) {
      this.index = (this.index + 1) % (this.others.length + 1);
      this.attempts = 0;
    }
    this.attempts++;
  }

  /**
   * The receiver has answered: from now on it is sent to where it did.
   * @returns whether that is another address than the first, and was not known before
   */
  noteAnswer(from: Address): boolean {
    // To clear an empty map takes memory, and each answer comes here.
    if (this.refusals.size > 0) this.refusals.clear();
    if (this.hasAnswered) return false;
    this.hasAnswered = true;
    const key = formatAddress(from);
    const index = this.all.findIndex((address) => formatAddress(address) === key);
    // A host with several addresses may answer from one that its name does not have.
    if (index >= 0) this.index = index;
    return this.index > 0;
  }

  /** What each place has refused with; undefined where one of them has not. */
  private get refusalsOfAll(): readonly Refusal[] | undefined {
    const { places } = this;
    const refusals = places.flatMap((place) => this.refusals.get(formatAddress(place)) ?? []);
    return refusals.length === places.length ? refusals : undefined;
  }
}

function describeAll(refusals: readonly Refusal[], program: string): string {
  return refusals.map(({ at, code }) => describeRefusal(code, at, program)).join('; ');
}
