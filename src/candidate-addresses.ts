/**
 * Where a receiver may be found: a name may have an address of IPv4 and one of IPv6, and the receiver may listen
 * at one of them alone. Until it answers, its addresses are tried in turn.
 */
import type { Address } from './address.js';
import { formatAddress } from './address.js';
import type { RefusalCode } from './refusal.js';
import { describeRefusal } from './refusal.js';

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

/** Attempts at one address in a row: the first may just be lost. */
const attemptsInARow = 2;

export class CandidateAddresses {
  private index = 0;
  private attempts = 0;
  private hasAnswered = false;
  /** What refused since the last answer, by address. */
  private readonly refusals = new Map<
    string,
    { readonly at: Address; readonly code: RefusalCode }
  >();

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

  /** @returns words for where it was looked for, where that is more than one place */
  describe(): string {
    return this.others.length === 0 ? '' : ` at ${this.all.map(({ host }) => host).join(' or ')}`;
  }

  /**
   * Why nobody can be expected to answer: all places refuse where the receiver may be.
   * @param program what should run there
   */
  describeRefusal(program: string): string | undefined {
    const places = this.hasAnswered ? [this.current] : this.all;
    if (!places.every((place) => this.refusals.has(formatAddress(place)))) return undefined;
    const texts = [...this.refusals.values()].map(({ at, code }) =>
      describeRefusal(code, at, program),
    );
    return texts.join('; ');
  }

  /** A place refuses what is sent to it; another one is tried at once. */
  noteRefusal(at: Address, code: RefusalCode): void {
    const key = formatAddress(at);
    this.refusals.set(key, { at, code });
    if (key === formatAddress(this.current)) this.attempts = attemptsInARow;
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
    this.refusals.clear();
    if (this.hasAnswered) return false;
    this.hasAnswered = true;
    const key = formatAddress(from);
    const index = this.all.findIndex((address) => formatAddress(address) === key);
    // A host with several addresses may answer from one that its name does not have.
    if (index >= 0) this.index = index;
    return this.index > 0;
  }
}
