/**
 * Joins consecutive batches that go to the same destination, so that repairs of many blocks are sent
 * together. Every batch, however small, costs the sender a system call and wakes up every receiver.
 */
import type { TimeMs, Transmit } from '../base/machine.js';
import { joinBytes } from '../wire/byte-codec.js';

export class BatchJoiner {
  /** A batch that was polled but could not be joined with the batch before it. */
  private next: Transmit | undefined;

  /**
   * @param poll returns the next batch; undefined if no batch may be sent now
   * @param maxDatagrams maximum number of datagrams in a joined batch
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
    // Only the last datagram of a batch may be shorter than the others, so nothing may follow a short
    // datagram.
    while (sizeBytes < maxBytes && sizeBytes % datagramSizeBytes === 0) {
      const next = this.poll(nowMs);
      if (next === undefined) break;
      const isSamePath = next.to === first.to && next.from === first.from;
      const isAlike = isSamePath && next.datagramSizeBytes === datagramSizeBytes;
      if (!isAlike || sizeBytes + next.bytes.length > maxBytes) {
        this.next = next;
        break;
      }
      parts.push(next.bytes);
      sizeBytes += next.bytes.length;
    }
    if (parts.length === 1) return first;
    return { ...first, bytes: joinBytes(parts) };
  }

  /** Drops a batch that was polled but not sent. */
  clear(): void {
    this.next = undefined;
  }
}
