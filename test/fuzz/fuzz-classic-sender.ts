/** A P2MP-FTP sender among strangers, whose receivers acknowledge arbitrary numbers. */
import type { Address } from '../../src/base/address.js';
import { writeUint16 } from '../../src/base/network-order.js';
import type { SenderEvent } from '../../src/classic/sender-events.js';
import { abortMark, encodeAck, fieldOffset } from '../../src/packet.js';
import { Sender } from '../../src/sender.js';
import { capturedTransfer } from './captured.js';
import { hostileBytes } from './hostile-bytes.js';
import type { Tape } from './tape.js';
import type { Outcome } from './watch.js';
import { Driver, demand } from './watch.js';

const strangers: readonly Address[] = [
  { host: '192.0.2.1', port: 7735 },
  { host: '192.0.2.1', port: 9 },
];

class SenderUnderFire {
  private readonly sender: Sender;
  private readonly driver: Driver<SenderEvent>;
  private readonly windowBlocks: number;
  private readonly pool = capturedTransfer().toSender;
  private work: (() => void)[] = [];
  private isDone = false;

  constructor(private readonly tape: Tape) {
    const receiverCount = 1 + tape.below(3);
    const segmentsPerBlock = tape.pick([1, 1, 4, 64]);
    this.windowBlocks = tape.pick([1, 2, 16]);
    this.sender = new Sender({
      receivers: Array.from({ length: receiverCount }, (_, i) => ({
        name: `r${i + 1}`,
        address: { host: `10.0.0.${i + 1}`, port: 7735 },
      })),
      sizeBytes: tape.pick([0, 1, 99, 100, 101, 2000, 20_000]),
      mssBytes: 100,
      segmentsPerBlock,
      windowBlocks: this.windowBlocks,
      ...(tape.isOneIn(2) ? { timeout: { mode: 'fixed', timeoutMs: 50 } } : {}),
    });
    const mostTransmits = receiverCount * (segmentsPerBlock * (this.windowBlocks + 1) + 3);
    this.driver = new Driver(
      this.sender,
      (event) => this.handleEvent(event),
      () => mostTransmits,
    );
  }

  run(): Outcome {
    this.driver.drain(0);
    while (!this.tape.isOver) {
      this.act();
      this.check();
    }
    for (let i = 0; i < mostRests && !this.isDone; i++) {
      this.doWork(Infinity);
      this.driver.passTo(this.driver.nowMs + 30_000);
    }
    demand(this.isDone, () => 'a sender that is never done');
    demand(this.sender.pollTimeout() === undefined, () => 'a timeout behind the end');
    const { datagrams, digest } = this.driver;
    const { receivers, faults } = this.sender.result();
    const seen: Record<string, number> = { ...faults };
    for (const { status } of receivers) seen[status] = (seen[status] ?? 0) + 1;
    return { datagrams, digest, seen };
  }

  private act(): void {
    const { tape, driver, sender } = this;
    switch (tape.below(10)) {
      case 0:
        driver.deliver(this.address(), hostileBytes(tape, tape.pick(this.pool)));
        break;
      case 1:
      case 2:
      case 3:
      case 4:
      case 5:
        driver.deliver(this.address(), this.ack());
        break;
      case 6:
      case 7:
        driver.passTo(driver.nowMs + tape.pick([0, 0.3, 5, 50, 100, 1000, 11_000]));
        if (tape.isOneIn(8)) driver.wake();
        break;
      case 8:
        this.doWork(1 + tape.below(4));
        break;
      case 9:
        if (tape.isOneIn(64)) sender.abort(driver.nowMs, 'stopped');
        driver.drain(0);
    }
  }

  private ack(): Uint8Array {
    const { tape, sender } = this;
    const { sentSegments, ackedSegments } = tape.pick(sender.peers);
    const near = tape.isOneIn(4) ? ackedSegments : sentSegments;
    const sequence = tape.isOneIn(16) ? tape.uint32() : (near + tape.below(4) - 2) >>> 0;
    const bytes = encodeAck(sequence);
    if (tape.isOneIn(16)) {
      writeUint16(bytes, fieldOffset.checksum, tape.isOneIn(2) ? abortMark : tape.uint16());
    }
    return bytes;
  }

  private address(): Address {
    const { tape, sender } = this;
    return tape.isOneIn(8) ? tape.pick(strangers) : tape.pick(sender.peers).address;
  }

  private check(): void {
    const { sender, windowBlocks } = this;
    const { length } = sender['window'];
    demand(length <= windowBlocks, () => `${length} blocks in a window of ${windowBlocks}`);
    for (const peer of sender.peers) {
      const { ackedSegments, sentSegments, pendingBlocks } = peer;
      demand(ackedSegments <= sentSegments, () => 'more acknowledged than sent');
      demand(
        pendingBlocks >= 0 && pendingBlocks <= length,
        () => `${pendingBlocks} blocks pending`,
      );
      demand(peer.rtt.timeoutMs >= 0, () => `a timeout of ${peer.rtt.timeoutMs} ms`);
    }
    demand(sender['outcomes'].unprovenCount >= 0, () => 'fewer than no receivers to prove');
  }

  private handleEvent(event: SenderEvent): void {
    const { sender, driver, tape } = this;
    // A disk does one thing at a time.
    const soon = (run: () => void) => {
      if (this.work.length > 0 || tape.isOneIn(4)) this.work.push(run);
      else run();
    };
    switch (event.type) {
      case 'need': {
        const { blockIndex, sizeBytes } = event;
        soon(() => sender.provideBlock(driver.nowMs, blockIndex, new Uint8Array(sizeBytes)));
        break;
      }
      case 'check-source':
        soon(() => sender.confirmSource(driver.nowMs));
        break;
      case 'done': {
        demand(!this.isDone, () => 'done twice');
        this.isDone = true;
        const { segmentCount } = sender.geometry;
        for (const { status, ackedBytes } of event.result.receivers) {
          const isRight = status !== 'complete' || ackedBytes === event.result.sizeBytes;
          demand(isRight, () => `complete with ${ackedBytes} bytes of ${segmentCount} segments`);
        }
      }
    }
  }

  private doWork(count: number): void {
    for (let i = 0; i < count && this.work.length > 0; i++) {
      this.work.shift()?.();
      this.driver.drain(0);
    }
  }
}

const mostRests = 20;

export function fuzzClassicSender(tape: Tape): Outcome {
  return new SenderUnderFire(tape).run();
}
