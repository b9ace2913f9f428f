/**
 * A loss-based competing flow: NewReno (RFC 5681, RFC 6582) with slow start, congestion avoidance,
 * fast retransmit and recovery, and a retransmission timeout (RFC 6298). It always has data to
 * send.
 */
import type { Address } from '../base/address.js';
import type { Machine, TimeMs, Transmit } from '../base/machine.js';
import { RttEstimator } from '../base/rtt.js';
import { FlowReceipt } from './flow-receiver.js';
import { Simulation } from './simulation.js';

const segmentBytes = 1448;
const initialSegments = 10;
const duplicateLimit = 3;

class RenoSender implements Machine<never> {
  private windowSegments = initialSegments;
  private thresholdSegments = Infinity;
  private next = 0;
  private acked = 0;
  private duplicates = 0;
  private highest = 0;
  /**
   * Number of the next new segment at the time of the previous loss. Only the loss of a later segment starts
   * a new recovery (RFC 6582, 3.2).
   */
  private recover = -1;
  private isRecovering = false;
  private hasPartial = false;
  private readonly sentAtMs = new Map<number, TimeMs>();
  private readonly resends: number[] = [];
  private timeoutAtMs: TimeMs | undefined;
  private readonly rtt = new RttEstimator({
    initialMs: 1000,
    granularityMs: 1,
    minMs: 200,
    maxMs: 60_000,
    maxBackoffMs: 60_000,
  });

  constructor(
    private readonly to: Address,
    private readonly startAtMs: TimeMs,
  ) {}

  handleDatagram(nowMs: TimeMs, _from: Address, bytes: Uint8Array): void {
    const ack = numberOf(bytes);
    if (ack > this.acked) this.handleAck(nowMs, ack);
    else if (ack === this.acked && this.next > ack) this.handleDuplicate();
  }

  handleTimeout(nowMs: TimeMs): void {
    if (this.timeoutAtMs === undefined || nowMs < this.timeoutAtMs) return;
    this.thresholdSegments = Math.max(2, this.flight / 2);
    this.windowSegments = 1;
    this.duplicates = 0;
    this.isRecovering = false;
    this.recover = this.highest;
    // Resend everything in flight as the window opens.
    this.next = this.acked;
    this.sentAtMs.clear();
    this.resends.length = 0;
    this.rtt.backOff();
    this.timeoutAtMs = nowMs + this.rtt.timeoutMs;
  }

  pollTransmit(nowMs: TimeMs): Transmit | undefined {
    if (nowMs < this.startAtMs) return undefined;
    this.timeoutAtMs ??= nowMs + this.rtt.timeoutMs;
    const resend = this.resends.shift();
    if (resend !== undefined) {
      this.sentAtMs.delete(resend);
      return { to: this.to, bytes: datagramOf(resend, segmentBytes) };
    }
    if (this.flight >= Math.floor(this.windowSegments)) return undefined;
    // Karn's rule: retransmitted segments yield no RTT sample.
    if (this.next >= this.highest) this.sentAtMs.set(this.next, nowMs);
    const bytes = datagramOf(this.next++, segmentBytes);
    this.highest = Math.max(this.highest, this.next);
    return { to: this.to, bytes };
  }

  pollTimeout(): TimeMs | undefined {
    return this.timeoutAtMs ?? this.startAtMs;
  }

  pollEvent(): undefined {
    return undefined;
  }

  private get flight(): number {
    return this.next - this.acked;
  }

  private handleAck(nowMs: TimeMs, ack: number): void {
    const sentAtMs = this.sentAtMs.get(ack - 1);
    if (sentAtMs !== undefined) this.rtt.sample(nowMs - sentAtMs);
    for (let i = this.acked; i < ack; i++) this.sentAtMs.delete(i);
    const newlyAcked = ack - this.acked;
    this.acked = ack;
    this.next = Math.max(this.next, ack);
    this.duplicates = 0;
    if (this.isRecovering && ack < this.recover) {
      // A partial ACK shows that the next segment was lost too. Only the first partial ACK restarts the
      // timer, because after many losses, a timeout is faster than retransmitting one segment per round trip.
      this.resends.push(ack);
      this.windowSegments = Math.max(1, this.windowSegments - newlyAcked + 1);
      if (!this.hasPartial) this.timeoutAtMs = nowMs + this.rtt.timeoutMs;
      this.hasPartial = true;
      return;
    }
    if (this.isRecovering) {
      this.isRecovering = false;
      this.windowSegments = this.thresholdSegments;
    } else if (this.windowSegments < this.thresholdSegments) {
      this.windowSegments += newlyAcked;
    } else {
      this.windowSegments += newlyAcked / this.windowSegments;
    }
    this.timeoutAtMs = nowMs + this.rtt.timeoutMs;
  }

  private handleDuplicate(): void {
    this.duplicates++;
    if (this.isRecovering) {
      this.windowSegments++;
    } else if (this.duplicates === duplicateLimit && this.acked > this.recover) {
      this.thresholdSegments = Math.max(2, this.flight / 2);
      this.isRecovering = true;
      this.hasPartial = false;
      this.recover = this.highest;
      this.windowSegments = this.thresholdSegments + duplicateLimit;
      this.resends.push(this.acked);
    }
  }
}

class RenoReceiver implements Machine<never> {
  private expected = 0;
  private readonly early = new Set<number>();
  private readonly acks: Transmit[] = [];

  constructor(private readonly receipt: FlowReceipt) {}

  handleDatagram(nowMs: TimeMs, from: Address, bytes: Uint8Array): void {
    const number = numberOf(bytes);
    if (number >= this.expected) this.early.add(number);
    while (this.early.delete(this.expected)) {
      this.expected++;
      this.receipt.add(nowMs, segmentBytes);
    }
    this.acks.push({ to: from, bytes: datagramOf(this.expected, ackBytes) });
  }

  handleTimeout(): void {}

  pollTransmit(): Transmit | undefined {
    return this.acks.shift();
  }

  pollTimeout(): undefined {
    return undefined;
  }

  pollEvent(): undefined {
    return undefined;
  }
}

/**
 * Adds a NewReno flow from host `<name>` to host `<name>1`.
 * @returns the record of what the receiver has received
 */
export function addRenoFlow(simulation: Simulation, name: string, startAtMs: TimeMs): FlowReceipt {
  const receipt = new FlowReceipt();
  const sender = new RenoSender(Simulation.address(`${name}1`), startAtMs);
  const none = () => {};
  simulation.addHost(name, sender, none);
  simulation.addHost(`${name}1`, new RenoReceiver(receipt), none);
  return receipt;
}

const ackBytes = 12;

function datagramOf(number: number, sizeBytes: number): Uint8Array {
  const bytes = new Uint8Array(sizeBytes);
  new DataView(bytes.buffer).setUint32(0, number);
  return bytes;
}

function numberOf(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);
}
