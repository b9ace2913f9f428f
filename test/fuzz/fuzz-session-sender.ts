/**
 * A sender of sessions, with trusted but malicious receivers, among strangers who know its session
 * number. The tape decides whether its source and its trust decisions are slow or fast.
 */

import type { Address } from '../../src/base/address.js';
import { datagramsOf } from '../../src/base/machine.js';
import { writeUint16, writeUint32 } from '../../src/base/network-order.js';
import { SegmentSet } from '../../src/base/segment-set.js';
import { createManifest, encodeManifest } from '../../src/object/manifest.js';
import type { Handshake } from '../../src/security/crypto.js';
import { cookieSizeBytes, handshakePrologue } from '../../src/security/handshake.js';
import { SecureChannel } from '../../src/security/secure-channel.js';
import { SessionSender } from '../../src/session/sender.js';
import type { SessionSenderEvent } from '../../src/session/sender-events.js';
import { createSimulatedCrypto } from '../../src/simulator/session-crypto.js';
import { sessionDefaults } from '../../src/transfer/config.js';
import type { ChannelPacket } from '../../src/wire/header.js';
import {
  decodeSession,
  encodeChannelPacket,
  sessionField,
  sessionKind,
} from '../../src/wire/header.js';
import type { Message } from '../../src/wire/messages.js';
import { encodeMessage } from '../../src/wire/messages.js';
import type { Report } from '../../src/wire/report.js';
import { keySizeBytes } from '../../src/wire/sizes.js';
import { capturedSession } from './captured.js';
import { hostileBytes, hostileNumber, withItsSize } from './hostile-bytes.js';
import { hostileReceiverMessage } from './hostile-messages.js';
import type { Tape } from './tape.js';
import { fillRandom } from './tape.js';
import type { Outcome } from './watch.js';
import { Driver, demand } from './watch.js';

const figures = {
  ...{ segmentsReceived: 5, segmentsLost: 2, receivedBytes: 300 },
  ...{ unchangedFiles: 4, deletedEntries: 3, undeletedEntries: 0, undeleted: [] },
};

const stranger: Address = { host: '192.0.2.9', port: 9 };

const group: Address = { host: '239.1.2.3', port: 7735 };

/** The most a sender may send at once: its window and its connection attempts. */
const mostTransmits = 4000;

class SenderUnderFire {
  readonly sender: SessionSender;
  readonly driver: Driver<SessionSenderEvent>;
  readonly insiders: readonly Insider[];
  private readonly content: Uint8Array;
  private readonly pool = capturedSession().toSender;
  private work: (() => void)[] = [];
  private last: Uint8Array = new Uint8Array(0);
  private isDone = false;

  constructor(private readonly tape: Tape) {
    const receiverCount = 1 + tape.below(3);
    this.content = new Uint8Array(tape.pick([0, 1, 49, 1000, 5000, 60_000]));
    fillRandom(this.content, this.content.length);
    const entries = Array.from({ length: tape.pick([1, 1, 1, 60]) }, (_, i) => ({
      kind: 'file' as const,
      name: `file ${i}`,
      mode: 0o644,
      modifiedMs: 0,
      sizeBytes: i === 0 ? this.content.length : 0,
    }));
    const addressOf = (i: number) => ({ host: `10.0.0.${i + 1}`, port: 7735 });
    this.sender = new SessionSender({
      crypto: createSimulatedCrypto('fuzz', 'sender'),
      receivers: Array.from({ length: receiverCount }, (_, i) => ({
        name: `r${i + 1}`,
        address: addressOf(i),
      })),
      label: 'object',
      manifest: encodeManifest(createManifest(entries)),
      contentSizeBytes: this.content.length,
      mssBytes: tape.pick([64, 200, 1400]),
      blockSizeBytes: tape.pick([48, 240, 2096, 8176]),
      ...(tape.isOneIn(3) ? { group } : {}),
      ...(tape.isOneIn(4) ? { rateBytesPerSec: 100_000 } : {}),
    });
    this.insiders = this.sender.peers.map(({ address }, i) => new Insider(this, address, i));
    this.driver = new Driver(
      this.sender,
      (event) => this.handleEvent(event),
      () => mostTransmits,
    );
  }

  run(): Outcome {
    this.driver.drain(0);
    this.hear();
    while (!this.tape.isOver) {
      this.act();
      this.check();
    }
    // Without further input, the sender times out and becomes idle.
    this.doWork(Infinity);
    for (let i = 0; i < mostRests && !this.isDone; i++) {
      this.pass(sessionDefaults.livenessTimeoutMs);
      this.doWork(Infinity);
    }
    demand(this.isDone, () => 'a sender that is never done');
    demand(this.sender.pollTimeout() === undefined, () => 'a timeout behind the end');
    const { datagrams, digest } = this.driver;
    const { faults, receivers, reportsReceived } = this.sender.result(this.driver.nowMs);
    const seen: Record<string, number> = { ...faults, reports: reportsReceived };
    for (const { status } of receivers) seen[status] = (seen[status] ?? 0) + 1;
    return { datagrams, digest, seen };
  }

  private act(): void {
    const { tape } = this;
    const insider = tape.pick(this.insiders);
    switch (tape.below(20)) {
      case 0:
        this.deliver(stranger, hostileBytes(tape, tape.pick(this.pool)));
        break;
      case 1:
      case 2:
        this.deliver(insider.address, this.fitting(hostileBytes(tape, tape.pick(this.pool))));
        break;
      case 3:
        this.deliver(tape.isOneIn(2) ? insider.address : stranger, hostileBytes(tape, this.last));
        break;
      case 4:
      case 5:
      case 6:
        insider.open(tape);
        break;
      case 7:
        insider.answerHostile(tape);
        break;
      case 8:
      case 9:
      case 10:
      case 11:
        insider.sayFitting(tape);
        break;
      case 12:
      case 13:
      case 14:
        insider.sayHostile(tape);
        break;
      case 15:
      case 16:
      case 17:
        this.pass(tape.pick(waitsMs));
        if (tape.isOneIn(8)) this.driver.wake();
        break;
      case 18:
        this.doWork(1 + tape.below(8));
        break;
      case 19:
        if (tape.isOneIn(8)) this.sender.failReceiver(this.driver.nowMs, insider.index, 'enough');
        if (tape.isOneIn(32)) this.sender.abort(this.driver.nowMs, 'stopped');
        this.driver.drain(0);
    }
    this.hear();
  }

  private check(): void {
    const { sender } = this;
    const { length: eventCount } = sender['events'];
    const { length: controlCount } = sender['outbox']['transmits'];
    demand(eventCount === 0 && controlCount === 0, () => 'something is left after a drain');
    let blocks = 0;
    for (const { rounds } of sender['delivery']['rateGroups']) blocks += rounds.window.length;
    const most = 2 + sessionDefaults.maxInFlightBytes / sender.geometry.blockSizeBytes;
    demand(blocks <= most, () => `${blocks} blocks in flight`);
    for (const { demand: ofPeer, path } of sender.peers) {
      const needed = ofPeer['needed'];
      const { blockCount } = sender.geometry;
      demand(needed.count <= blockCount, () => `${needed.count} blocks of ${blockCount} needed`);
      demand(!Number.isNaN(path.model.capacity), () => 'a capacity that is no number');
    }
    demand(
      !Number.isNaN(sender['delivery']['rateGroups'].main.controller.sendRate(1)),
      () => 'a pace that is no number',
    );
  }

  /** With the number of the session, and of a receiver or its handshake. */
  private fitting(bytes: Uint8Array): Uint8Array {
    const { tape } = this;
    if (bytes.length < 16) return bytes;
    withItsSize(tape, bytes);
    writeUint32(bytes, sessionField.session, this.sender.session);
    if (tape.isOneIn(4)) return bytes;
    const insider = tape.pick(this.insiders);
    writeUint16(bytes, sessionField.receiver, insider.index);
    // An attacker on the path knows that number.
    if (insider.counter !== undefined) writeUint32(bytes, sessionField.counter, insider.counter);
    return bytes;
  }

  deliver(from: Address, bytes: Uint8Array): void {
    this.last = bytes;
    this.driver.deliver(from, bytes);
    this.hear();
  }

  private pass(ms: number): void {
    this.driver.passTo(this.driver.nowMs + ms);
    this.hear();
  }

  /** Insiders read packets addressed to them. */
  private hear(): void {
    const { sent } = this.driver;
    this.driver.sent = [];
    for (const transmit of sent) {
      for (const insider of this.insiders) {
        const isForIt = [insider.address.host, group.host].includes(transmit.to.host);
        if (isForIt) insider.hear(datagramsOf(transmit));
      }
    }
  }

  // --- The shell

  private handleEvent(event: SessionSenderEvent): void {
    const { sender, driver, tape, content } = this;
    switch (event.type) {
      case 'need': {
        const { block, offsetBytes, sizeBytes } = event;
        const bytes = content.slice(offsetBytes, offsetBytes + sizeBytes);
        // A file that is modified while it is read.
        if (tape.isOneIn(64)) bytes.fill(0);
        this.soon(() => sender.provideBlock(driver.nowMs, block, bytes));
        break;
      }
      case 'identify': {
        const refusal = tape.isOneIn(16) ? 'not trusted' : undefined;
        this.soon(() => sender.trust(driver.nowMs, event.index, refusal));
        break;
      }
      case 'check-source':
        this.soon(() => sender.confirmSource(driver.nowMs));
        break;
      case 'source-changed':
        this.soon(() => sender.abort(driver.nowMs, 'a file has changed'));
        break;
      case 'done':
        demand(!this.isDone, () => 'done twice');
        this.isDone = true;
    }
  }

  private soon(run: () => void): void {
    if (this.tape.isOneIn(4)) this.work.push(run);
    else run();
  }

  private doWork(count: number): void {
    for (const run of this.work.splice(0, count)) {
      run();
      this.driver.drain(0);
      this.hear();
    }
  }
}

/**
 * Liveness timeouts until a sender without replies is done, including those of receivers in all
 * stages.
 */
const mostRests = 12;

const waitsMs = [0, 0.2, 1, 4, 20, 100, 300, 1000, 5000, 31_000];

/** A receiver with its own key. */
class Insider {
  /** State of the current handshake. */
  counter: number | undefined;
  private readonly crypto;
  private handshake: Handshake | undefined;
  private channel: SecureChannel | undefined;
  /** The last message of each kind. */
  private hello: ChannelPacket | undefined;
  private initiation: ChannelPacket | undefined;
  private proof: ChannelPacket | undefined;
  private burst = 0;
  private received = 0;

  constructor(
    private readonly fire: SenderUnderFire,
    readonly address: Address,
    readonly index: number,
  ) {
    this.crypto = createSimulatedCrypto('fuzz', `insider ${index}`);
  }

  hear(datagrams: Iterable<Uint8Array>): void {
    for (const bytes of datagrams) {
      const kind = bytes[sessionField.kind];
      if (kind === sessionKind.data || kind === sessionKind.taggedData) {
        this.received++;
        this.burst = ((bytes[14] as number) << 8) | (bytes[15] as number);
        continue;
      }
      const packet = decodeSession(bytes);
      if (typeof packet === 'string') continue;
      if (packet.kind === 'hello') this.hello = copy(packet);
      else if (packet.kind === 'open') this.initiation = copy(packet);
      else if (packet.kind === 'proof') this.proof = copy(packet);
      else continue;
      this.counter = (packet as ChannelPacket).counter;
    }
  }

  /** Runs the handshake until the receiver participates. */
  open(tape: Tape): void {
    const { hello } = this;
    if (hello !== undefined) {
      this.hello = undefined;
      this.answer('cookie', hello, new Uint8Array(32).fill(7));
    }
    const { initiation } = this;
    if (initiation !== undefined) {
      this.initiation = undefined;
      const prologue = handshakePrologue(initiation.session, this.index);
      const handshake = this.crypto.startHandshake('responder', prologue);
      // Padding follows the first message.
      const first = initiation.body.subarray(cookieSizeBytes, cookieSizeBytes + keySizeBytes);
      if (!handshake.read(first)) return;
      this.handshake = handshake;
      this.answer('reply', initiation, handshake.write());
    }
    const { proof, handshake } = this;
    if (proof !== undefined && handshake !== undefined) {
      this.proof = undefined;
      if (!handshake.read(proof.body) || handshake.keys === undefined) return;
      const { session } = proof;
      this.channel = new SecureChannel(this.crypto, session, this.index, handshake.keys);
      if (!tape.isOneIn(8)) this.sendMessage({ kind: 'accept', name: 'insider' });
    }
  }

  /** A handshake that fails at some step. */
  answerHostile(tape: Tape): void {
    const to = this.initiation ?? this.hello ?? this.proof;
    if (to === undefined) return;
    const kind = tape.pick(['cookie', 'reply', 'control'] as const);
    const counter = tape.isOneIn(3) ? (to.counter ^ 1) >>> 0 : to.counter;
    const body = tape.fill(tape.pick([32, 32, 96, 0, 31]));
    this.answer(kind, { ...to, counter }, body);
  }

  sayHostile(tape: Tape): void {
    const { channel, fire, burst } = this;
    if (channel === undefined) return;
    const { blockCount } = fire.sender.geometry;
    const sealed = channel.seal(hostileReceiverMessage(tape, { session: 1, blockCount, burst }));
    this.deliver(tape.isOneIn(16) ? hostileBytes(tape, sealed) : sealed);
    if (tape.isOneIn(16)) this.deliver(sealed);
  }

  /** A plausible report, except for a number or two. */
  sayFitting(tape: Tape): void {
    if (this.channel === undefined) {
      this.open(tape);
      return;
    }
    if (tape.isOneIn(32)) {
      this.sendMessage({ kind: 'done', isComplete: true, ...figures, reason: '' });
      return;
    }
    const { blockCount } = this.fire.sender.geometry;
    const firstMissing = blockCount === 0 ? 0 : tape.below(Math.min(blockCount + 1, 65_536));
    const isPart = tape.isOneIn(3);
    const isWhole = firstMissing >= blockCount;
    const odd = () => tape.isOneIn(16);
    this.sendMessage({
      kind: 'report',
      report: {
        state: isWhole ? 'whole' : tape.pick(['receiving', 'receiving', 'preparing', 'storing']),
        path: this.received % 16 === 15 ? 1 : 0,
        cumulativeBurst: this.received === 0 ? undefined : (this.burst - tape.below(2)) & 0xffff,
        largestBurst: this.received === 0 ? undefined : this.burst,
        ackDelayMs: odd() ? hostileNumber(tape) / 1000 : tape.below(3) / 10,
        stampMs: odd() ? hostileNumber(tape) / 1000 : tape.below(1000),
        isMulticastReachable: tape.isOneIn(2),
        wantsTags: tape.isOneIn(32),
        ...roomOf(odd() ? hostileNumber(tape) : undefined),
        segmentsReceived: odd() ? hostileNumber(tape) : this.received,
        segmentsLost: odd() ? hostileNumber(tape) : 0,
        missingBytes: isWhole ? 0 : tape.uint16(),
        receivedBytes: odd() ? hostileNumber(tape) : this.received * 100,
        firstBlock: 0,
        describedBlocks: blockCount,
        gaps: isWhole
          ? []
          : isPart
            ? [{ kind: 'part', firstBlock: firstMissing, segments: drawSegments(tape) }]
            : [{ kind: 'whole', firstBlock: firstMissing, blockCount: blockCount - firstMissing }],
      },
    });
  }

  private sendMessage(message: Message): void {
    if (this.channel !== undefined) this.deliver(this.channel.seal(encodeMessage(message)));
  }

  private answer(kind: ChannelPacket['kind'], to: ChannelPacket, body: Uint8Array): void {
    this.deliver(encodeChannelPacket(kind, to.session, to.receiver, to.counter, body));
  }

  private deliver(bytes: Uint8Array): void {
    this.fire.deliver(this.address, bytes);
  }
}

function copy(packet: ChannelPacket): ChannelPacket {
  return { ...packet, body: packet.body.slice() };
}

export function fuzzSessionSender(tape: Tape): Outcome {
  return new SenderUnderFire(tape).run();
}

function drawSegments(tape: Tape): SegmentSet {
  const segments = SegmentSet.withCapacity(256);
  for (let i = tape.below(64); i >= 0; i--) segments.add(tape.byte());
  return segments;
}

/** What a receiver says that it has room for. */
function roomOf(room: number | undefined): Pick<Report, 'windowBlocks' | 'shareBytesPerSec'> {
  return { windowBlocks: room ?? 100, shareBytesPerSec: room };
}
