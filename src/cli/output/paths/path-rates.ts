/** The current rates of the paths by which transfers arrive. A receiver knows only how much has arrived. */
import type { TimeMs } from '../../../base/machine.js';
import { RecentRates } from '../../../base/recent-rate.js';
import type { IncomingPathStatus } from '../../../session/receiver-events.js';

/** One transfer, with a key that no other transfer has at the same time. */
interface Arriving {
  readonly key: string;
  readonly paths: readonly IncomingPathStatus[] | undefined;
}

export class PathRates {
  private readonly rates = new RecentRates();

  /** @returns the rate of each path in bytes per second, in the order of the transfers and of their paths */
  update(nowMs: TimeMs, transfers: readonly Arriving[]): (number | undefined)[][] {
    const keyOf = (key: string, { number }: IncomingPathStatus) => `${key} ${number}`;
    const amounts = transfers.flatMap(({ key, paths = [] }) =>
      paths.map((path) => [keyOf(key, path), path.receivedBytes] as const),
    );
    this.rates.update(nowMs, amounts);
    return transfers.map(({ key, paths = [] }) =>
      paths.map((path) => this.rates.perSec(nowMs, keyOf(key, path))),
    );
  }
}
