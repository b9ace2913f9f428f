/**
 * Joins consecutive batches to one destination, so that repairs of many blocks are sent together. Even a small batch
 * costs the sender a system call and every receiver a wakeup.
 */
import type { TimeMs, Transmit } from '../base/machine.js';
import { joinBytes } from '../wire/byte-codec.js';

export class BatchJoiner {
  /** A batch that was polled already and cannot be joined with the one before it. */
  private next: Transmit | undefined;

  /**
   * @param poll returns the next batch, if one may be sent now
   * @param maxDatagrams the most datagrams in a joined batch
   */
  constructor(
    private readonly poll: (nowMs: TimeMs) => Transmit | undefined,
    private readonly maxDatagrams: number,
  ) {}

  pollTransmit(nowMs: TimeMs): Transmit | undefined {
    const first = this.next ?? this.poll(nowMs);
    this.next = undefined;
    const { datagramSizeBytes } = first ?? {};
    if (first === undefined || datagramSizeBytes === undefined) return first;
    const maxBytes = this.maxDatagrams * datagramSizeBytes;
    const parts = [first.bytes];
    let sizeBytes = first.bytes.length;
    // Only the last datagram of a batch may be shorter.
    while (sizeBytes < maxBytes && sizeBytes % datagramSizeBytes === 0) {
      const next = this.poll(nowMs);
      if (next === undefined) break;
      const isAlike = next.to === first.to && next.datagramSizeBytes === datagramSizeBytes;
      if (!isAlike || sizeBytes + next.bytes.length > maxBytes) {
        this.next = next;
        break;
      }
      parts.push(next.bytes);
      sizeBytes += next.bytes.length;
    }
    if (parts.length === 1) return first;
    return { to: first.to, bytes: joinBytes(parts), datagramSizeBytes };
  }

  /** Drops a batch that was polled but not sent. */
  clear(): void {
    this.next = undefined;
  }
}
