/** The addresses that a session names to its sender. When they change, the session says so until the sender knows (SESSIONS 3.18). */
import type { Address } from '../../base/address.js';
import { sameAddress } from '../../base/address.js';
import type { TimeMs } from '../../base/machine.js';
import type { AddressChange } from '../../wire/paths.js';
import { RetryTimer } from './retry-timer.js';

export class OwnAddresses {
  private number = 0;
  private readonly timer = new RetryTimer();

  /** @param all undefined to name none */
  constructor(private all: readonly Address[] | undefined) {}

  get current(): readonly Address[] | undefined {
    return this.all;
  }

  /** When `next` is due. */
  get dueAtMs(): TimeMs {
    return this.timer.dueAtMs;
  }

  /** @returns whether they differ from the present ones */
  change(addresses: readonly Address[]): boolean {
    const { all = [] } = this;
    const isSame = addresses.every((each, i) => all[i] !== undefined && sameAddress(each, all[i]));
    if (isSame && all.length === addresses.length) return false;
    this.all = addresses;
    this.number++;
    return true;
  }

  /** The message to send now. It is repeated until the sender has noted it. */
  next(nowMs: TimeMs): AddressChange {
    this.timer.handleSent(nowMs);
    return { kind: 'addresses', number: this.number, addresses: this.all ?? [] };
  }

  /** The sender knows of this change. */
  handleNoted(number: number): void {
    if (number === this.number) this.stop();
  }

  stop(): void {
    this.timer.stop();
  }
}
