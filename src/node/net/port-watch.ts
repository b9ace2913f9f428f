/** Watches whether the ports of silent receivers refuse datagrams. */
import type { Address } from '../../base/address.js';
import { formatAddress } from '../../base/address.js';
import type { Refusal } from '../../base/refusal.js';
import type { Endpoint } from './endpoint.js';

/** A receiver whose answer is awaited. */
export interface AwaitedPeer {
  readonly index: number;
  /** All addresses of the receiver; after one address has answered, only that address. */
  readonly addresses: readonly Address[];
  /** Number that increases with each datagram from this receiver. */
  readonly answerCount: number;
}

export interface PortWatchOptions {
  readonly sockets: Pick<Endpoint, 'watchRefusals'>;
  /** @returns the receivers that the sender is currently waiting for */
  readonly awaited: () => Iterable<AwaitedPeer>;
  /** Called at most once per address during one period of silence. */
  readonly handleRefusal: (index: number, from: Address, refusal: Refusal) => void;
}

/** By then, a receiver on a LAN has answered, so its port need not be watched any longer. */
const firstIntervalMs = 50;
const intervalMs = 200;

/**
 * Maximum number of sockets that watch ports. If more addresses are silent, their ports are watched in turn.
 */
const maxWatches = 128;
const turnMs = 3000;

interface Place {
  readonly key: string;
  readonly index: number;
  readonly address: Address;
}

interface Watch {
  readonly end: () => void;
  readonly endsAtMs: number;
}

export class PortWatch {
  private readonly answerCounts = new Map<number, number>();
  /** Open watches, by receiver and address. */
  private readonly watches = new Map<string, Watch>();
  /**
   * `hadTurn`: addresses that have had their turn to be watched; emptied once all silent addresses have had a
   * turn. `refused`: addresses that have refused datagrams since their receiver fell silent.
   */
  private readonly hadTurn = new Set<string>();
  private readonly refused = new Set<string>();
  private timer: NodeJS.Timeout;

  constructor(private readonly options: PortWatchOptions) {
    // Before anything is sent, because many routers report only the first datagrams.
    this.look(performance.now());
    this.timer = setTimeout(this.handleTimer, firstIntervalMs).unref();
  }

  close(): void {
    clearTimeout(this.timer);
    for (const { end } of this.watches.values()) end();
    this.watches.clear();
  }

  private readonly handleTimer = (): void => {
    this.look(performance.now());
    this.timer = setTimeout(this.handleTimer, intervalMs).unref();
  };

  /**
   * Opens a socket to watch each silent address, and closes sockets that are no longer needed. The timer
   * calls this method.
   */
  look(nowMs: number): void {
    const silent = this.silentPlaces();
    for (const key of this.refused) if (!silent.has(key)) this.refused.delete(key);
    for (const [key, { endsAtMs }] of this.watches) {
      if (!silent.has(key) || this.refused.has(key) || endsAtMs <= nowMs) this.end(key);
    }
    const wanted = [...silent.values()].filter(
      ({ key }) => !this.watches.has(key) && !this.refused.has(key),
    );
    const isRoundOver = wanted.every(({ key }) => this.hadTurn.has(key));
    if (isRoundOver) this.hadTurn.clear();
    for (const place of wanted) {
      if (this.watches.size >= maxWatches) break;
      if (!this.hadTurn.has(place.key)) this.begin(nowMs, place);
    }
  }

  /** @returns the addresses of receivers that have sent nothing since the last check */
  private silentPlaces(): Map<string, Place> {
    const silent = new Map<string, Place>();
    for (const { index, addresses, answerCount } of this.options.awaited()) {
      const isSilent = (this.answerCounts.get(index) ?? 0) === answerCount;
      this.answerCounts.set(index, answerCount);
      if (!isSilent) continue;
      for (const address of addresses) {
        const key = `${index} ${formatAddress(address)}`;
        silent.set(key, { key, index, address });
      }
    }
    return silent;
  }

  private begin(nowMs: number, { key, index, address }: Place): void {
    this.hadTurn.add(key);
    const end = this.options.sockets.watchRefusals(address, (refusal) => {
      if (this.refused.has(key) || !this.watches.has(key)) return;
      this.refused.add(key);
      this.options.handleRefusal(index, address, refusal);
    });
    if (end !== undefined) this.watches.set(key, { end, endsAtMs: nowMs + turnMs });
  }

  private end(key: string): void {
    this.watches.get(key)?.end();
    this.watches.delete(key);
  }
}
