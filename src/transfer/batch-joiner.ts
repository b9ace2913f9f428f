/**
 * Joins batches for one place that follow each other: repairs of many blocks leave as one. Each batch costs its
 * sender a call of the system, and every receiver a message, however little is in it.
 */
import type { TimeMs, Transmit } from '../base/machine.js';
import { joinBytes } from '../wire/byte-codec.js';

export class BatchJoiner {
  /** Polled, and not to be joined with what came before it. */
  private next: Transmit | undefined;

  /**
   * @param poll the next batch, if one may leave now
   * @param maxDatagrams of what is joined
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

  /** What was polled is not sent any more. */
  clear(): void {
    this.next = undefined;
  }
}
