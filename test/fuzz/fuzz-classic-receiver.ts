/**
 * A P2MP-FTP receiver among senders that violate the protocol; the tape decides the speed of its
 * disk.
 */

import { writeUint16, writeUint32 } from '../../src/base/network-order.js';
import { receiverDefaults } from '../../src/classic/config.js';
import type { ReceiverEvent } from '../../src/classic/receiver-events.js';
import { encodeAbort, encodeData, fieldOffset, packetType } from '../../src/packet.js';
import { Receiver } from '../../src/receiver.js';
import { capturedTransfer } from './captured.js';
import { hostileBytes } from './hostile-bytes.js';
import type { Tape } from './tape.js';
import type { Outcome } from './watch.js';
import { Driver, demand, Ledger } from './watch.js';

const senders = [1, 2, 3, 4].map((n) => ({ host: `10.0.0.${n % 3}`, port: 5000 + n }));
const maxUnwrittenBytes = 500;

class ReceiverUnderFire {
  private readonly receiver: Receiver;
  private readonly driver: Driver<ReceiverEvent>;
  private readonly ledger = new Ledger();
  private readonly pool = capturedTransfer().toReceiver;
  /** Bytes of the current transfer that were passed to the writer, and those written. */
  private takenBytes = 0;
  private writtenBytes = 0;
  private isFinishing = false;
  /** The offset of the next segment, as far as the sender knows. */
  private next = 0;

  private readonly seen: Record<string, number> = {};

  constructor(private readonly tape: Tape) {
    this.receiver = new Receiver({
      maxUnwrittenBytes,
      idleTimeoutMs: 12_000,
      mustEnd: tape.isOneIn(2),
    });
    this.driver = new Driver(
      this.receiver,
      (event) => this.handleEvent(event),
      () => 1 + receiverDefaults.abortCopies,
    );
  }

  run(): Outcome {
    while (!this.tape.isOver) {
      this.act();
      this.check();
    }
    this.store(false);
    this.driver.passTo(this.driver.nowMs + 100_000);
    this.store(false);
    demand(!this.receiver.isReceiving, () => 'a transfer that never ends');
    const { datagrams, digest } = this.driver;
    return { datagrams, digest, seen: this.seen };
  }

  private act(): void {
    const { tape, driver } = this;
    switch (tape.below(12)) {
      case 0:
        this.deliver(hostileBytes(tape, tape.pick(this.pool)));
        break;
      case 1:
      case 2:
      case 3:
      case 4: {
        const sequence = tape.isOneIn(8) ? tape.byte() : this.next;
        const size = tape.isOneIn(8) ? tape.below(1500) : 50;
        const bytes = encodeData(sequence >>> 0, tape.fill(size));
        if (tape.isOneIn(8)) writeUint16(bytes, fieldOffset.type, tape.pick(types));
        if (tape.isOneIn(8)) writeUint16(bytes, fieldOffset.checksum, tape.uint16());
        this.deliver(bytes);
        break;
      }
      case 5:
        this.deliver(encodeData(this.next, new Uint8Array(0)));
        break;
      case 6:
        this.deliver(tape.isOneIn(2) ? encodeAbort(tape.byte()) : endPacket(tape));
        break;
      case 7:
      case 8:
        this.write();
        break;
      case 9:
        this.store(tape.isOneIn(4));
        break;
      case 10:
        driver.passTo(driver.nowMs + tape.pick([0, 1, 100, 1100, 8100, 12_001]));
        break;
      case 11:
        if (tape.isOneIn(4)) driver.wake();
        if (tape.isOneIn(16)) this.failReceiver(() => this.receiver.abort(driver.nowMs, 'stopped'));
    }
  }

  private deliver(bytes: Uint8Array): void {
    // Mostly from one sender, or no transfer would get far.
    const from = this.tape.isOneIn(3)
      ? this.tape.pick(senders)
      : (senders[0] as (typeof senders)[0]);
    this.ledger.came(from, bytes.length);
    this.driver.deliver(from, bytes);
    for (const transmit of this.driver.sent) this.ledger.went(transmit);
  }

  private check(): void {
    const { receiver } = this;
    const unwritten = receiver.receivedBytes - this.writtenBytes;
    const isRight = !receiver.isReceiving || unwritten <= maxUnwrittenBytes;
    demand(isRight, () => `${unwritten} bytes unwritten`);
    const { size } = receiver['ended']['transfers'];
    demand(size <= receiverDefaults.maxEndedTransfers, () => `${size} ended transfers`);
  }

  private handleEvent(event: ReceiverEvent): void {
    switch (event.type) {
      case 'open':
      case 'discard':
        this.takenBytes = 0;
        this.writtenBytes = 0;
        this.isFinishing = false;
        this.next = 0;
        break;
      case 'write':
        demand(event.offsetBytes === this.takenBytes, () => `a gap at ${event.offsetBytes}`);
        this.takenBytes += event.bytes.length;
        this.next++;
        break;
      case 'finish':
        demand(event.sizeBytes === this.takenBytes, () => 'an end at another place');
        this.isFinishing = true;
        break;
      case 'done':
        this.next = 0;
        this.note(event.result.status);
        for (const kind of Object.keys(event.result.faults)) this.note(kind);
    }
  }

  private note(what: string): void {
    this.seen[what] = (this.seen[what] ?? 0) + 1;
  }

  private write(): void {
    if (!this.receiver.isReceiving) return;
    this.writtenBytes = this.takenBytes;
    this.receiver.handleWritten(this.writtenBytes);
    this.settle();
  }

  private store(isFailing: boolean): void {
    if (!this.isFinishing) return;
    this.isFinishing = false;
    if (isFailing) {
      this.failReceiver(() => this.receiver.handleStorageFailure(this.driver.nowMs, 'full'));
    } else {
      this.write();
      this.receiver.handleStored(this.driver.nowMs);
      this.settle();
    }
  }

  /** What a host gives up it says of its own accord, to the one that it took from. */
  private failReceiver(how: () => void): void {
    const from = this.receiver['transfer']?.from;
    if (from !== undefined) this.ledger.came(from, receiverDefaults.abortCopies * 8);
    how();
    this.settle();
  }

  /** Answers that waited for the disk: to segments that came before. */
  private settle(): void {
    this.driver.sent = [];
    this.driver.drain(Infinity);
    for (const transmit of this.driver.sent) this.ledger.went(transmit);
  }
}

const types = [...Object.values(packetType), 0x5032, 0];

function endPacket(tape: Tape): Uint8Array {
  const bytes = tape.fill(8 + tape.below(20));
  writeUint32(bytes, 0, tape.byte());
  writeUint16(bytes, fieldOffset.type, packetType.end);
  return bytes;
}

export function fuzzClassicReceiver(tape: Tape): Outcome {
  return new ReceiverUnderFire(tape).run();
}
