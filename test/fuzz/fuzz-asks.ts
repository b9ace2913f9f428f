/**
 * Both sides of asking for objects (SESSIONS 9): a host that serves, among strangers and malicious receivers with
 * permission, and a host that asks malicious servers. The tape decides whether its shell is slow or fast.
 */
import type { Address } from '../../src/base/address.js';
import { writeUint16, writeUint32 } from '../../src/base/network-order.js';
import { Endpoint, type EndpointEvent } from '../../src/endpoint/endpoint.js';
import { createManifest, encodeManifest } from '../../src/object/manifest.js';
import type { Handshake } from '../../src/security/crypto.js';
import {
  cookieSizeBytes,
  handshakePrologue,
  OutgoingHandshake,
} from '../../src/security/handshake.js';
import { SecureChannel } from '../../src/security/secure-channel.js';
import { AskListener, askListenerLimits } from '../../src/session/asks/ask-listener.js';
import { Asker } from '../../src/session/asks/asker.js';
import { SessionReceiver } from '../../src/session/receiver.js';
import { receiverLimits } from '../../src/session/receiver-limits.js';
import { SessionSender } from '../../src/session/sender.js';
import { createSimulatedCrypto } from '../../src/simulator/session-crypto.js';
import { sessionDefaults } from '../../src/transfer/config.js';
import { fillPage, isAskableName, maxHops } from '../../src/wire/asks.js';
import type { ChannelPacket } from '../../src/wire/header.js';
import {
  askerNumber,
  decodeSession,
  encodeChannelPacket,
  sessionField,
  sessionKind,
} from '../../src/wire/header.js';
import type { Message } from '../../src/wire/messages.js';
import { encodeMessage } from '../../src/wire/messages.js';
import { keySizeBytes } from '../../src/wire/sizes.js';
import { capturedSession } from './captured.js';
import { hostileBytes, withItsSize } from './hostile-bytes.js';
import { hostileReceiverMessage, hostileSenderMessage } from './hostile-messages.js';
import type { Tape } from './tape.js';
import type { Outcome } from './watch.js';
import { Driver, demand, Ledger } from './watch.js';

type Event = EndpointEvent<never>;

const context = { session: 7, blockCount: 3, burst: 1 };
const content = new Uint8Array(500).fill(5);
const file = { kind: 'file', name: 'f', mode: 0o644, modifiedMs: 0 } as const;
const manifest = encodeManifest(createManifest([{ ...file, sizeBytes: content.length }]));
const cryptoOf = (name: string) => createSimulatedCrypto('fuzz asks', name);
const waitsMs = [0, 1, 20, 100, 1000, 6000, 31_000];
const maxChannels = 6;
/** More than any answer to one datagram, and all repetitions that are due at once. */
const mostTransmits = 4000;

/** Anything, with the receiver number of asks and often with the number of a channel. */
function anyDatagram(tape: Tape, channel: number, right: Uint8Array | undefined): Uint8Array {
  const bytes = hostileBytes(tape, right);
  if (bytes.length < 16 || tape.isOneIn(4)) return bytes;
  withItsSize(tape, bytes);
  writeUint16(bytes, sessionField.receiver, askerNumber);
  if (!tape.isOneIn(4)) writeUint32(bytes, sessionField.session, channel);
  return bytes;
}

class ListenerUnderFire {
  readonly listener: AskListener;
  readonly endpoint: Endpoint<never>;
  readonly driver: Driver<Event>;
  private readonly senders: SessionSender[] = [];
  private readonly insiders: AskingInsider[] = [];
  private readonly pool = capturedSession().toReceiver;
  private readonly ledger = new Ledger();
  private work: (() => void)[] = [];
  private readonly seen = { ask: 0, list: 0, question: 0, complete: 0, failed: 0 };

  constructor(private readonly tape: Tape) {
    this.listener = new AskListener({
      crypto: cryptoOf('server'),
      refuseAsker: (key) => ((key[0] as number) % 8 === 0 ? 'may not ask' : undefined),
      maxChannels,
    });
    this.endpoint = new Endpoint({ listener: this.listener });
    this.driver = new Driver(
      this.endpoint,
      (event) => this.handleEvent(event),
      () => mostTransmits,
    );
  }

  run(): Outcome {
    while (!this.tape.isOver) {
      this.act();
      const { channelCount } = this.listener;
      demand(channelCount <= maxChannels, () => `${channelCount} channels`);
    }
    for (let i = 0; i < 12; i++) {
      this.doWork(Infinity);
      this.driver.passTo(this.driver.nowMs + sessionDefaults.livenessTimeoutMs);
    }
    this.driver.passTo(this.driver.nowMs + 2 * askListenerLimits.silentMs);
    demand(this.listener.channelCount === 0, () => 'channels that are kept');
    demand(this.listener['handshakes'].count === 0, () => 'handshakes that are kept');
    demand(
      this.senders.every(({ isDone }) => isDone),
      () => 'a session that never ends',
    );
    demand(this.endpoint.pollTimeout() === undefined, () => 'a timeout behind the end');
    const { datagrams, digest } = this.driver;
    return { datagrams, digest, seen: { ...this.listener.faultCounts, ...this.seen } };
  }

  private act(): void {
    const { tape, insiders } = this;
    const insider = insiders.length === 0 ? undefined : tape.pick(insiders);
    switch (tape.below(12)) {
      case 0:
      case 1: {
        const channel = insider?.channelNumber ?? 1;
        const right = tape.isOneIn(3) ? insider?.last : tape.pick(this.pool);
        this.deliver({ host: '192.0.2.9', port: 9 }, anyDatagram(tape, channel, right));
        break;
      }
      case 2:
      case 3:
        this.addInsider();
        break;
      case 4:
        insider?.say(hostileReceiverMessage(tape, context));
        break;
      case 5:
      case 6:
      case 7:
        insider?.sayFitting(tape);
        break;
      case 8:
        this.driver.passTo(this.driver.nowMs + tape.pick(waitsMs));
        if (tape.isOneIn(64)) this.listener.drain();
        break;
      case 9:
        if (tape.isOneIn(4)) this.endSession();
        break;
      default:
        this.doWork(1 + tape.below(4));
    }
  }

  private addInsider(): void {
    const { tape, insiders } = this;
    if (insiders.length >= 20) insiders.shift();
    const known = insiders.length > 0 && tape.isOneIn(4) ? tape.pick(insiders) : undefined;
    const channel = known?.channelNumber ?? tape.uint32();
    const insider = new AskingInsider(this, tape.below(8), channel);
    insiders.push(insider);
    insider.open(tape);
  }

  deliver(from: Address, bytes: Uint8Array): void {
    this.ledger.came(from, bytes.length);
    this.driver.deliver(from, bytes);
    for (const transmit of this.driver.sent)
      if (transmit.to.host === '192.0.2.9') this.ledger.went(transmit);
  }

  private endSession(): void {
    const sender = this.senders.at(-1);
    if (sender === undefined) return;
    sender.abort(this.driver.nowMs, 'enough');
    this.driver.drain(0);
    if (this.tape.isOneIn(2)) this.endpoint.removeSender(sender);
  }

  private handleEvent(event: Event): void {
    const { listener } = this;
    if (event.role === 'sender') this.handleSenderEvent(event.sender, event.event);
    if (event.role !== 'listener') return;
    const { event: asked } = event;
    if (asked.type === 'ask') {
      const { channel, what } = asked;
      this.seen.ask++;
      const isNamed = isAskableName(what.name) || (what.root ?? what.manifestDigest) !== undefined;
      demand(isNamed, () => 'an ask for nothing');
      this.soon(() => this.decide(channel));
    } else if (asked.type === 'list-request') {
      const { channel, after } = asked;
      this.seen.list++;
      const digest = new Uint8Array(32);
      const object = { contentSizeBytes: 1, manifestDigest: digest, root: digest };
      const objects = Array.from('abc', (letter) => ({ ...object, name: after + letter }));
      this.soon(() => listener.answerList(channel, fillPage(after, objects)));
    } else if (asked.type === 'envelope-request') {
      const { channel, question, hops } = asked;
      this.seen.question++;
      demand(isAskableName(question.name) && hops.length <= maxHops, () => 'a bad question');
      this.soon(() => listener.answerEnvelope(this.driver.nowMs, channel, new Uint8Array(200)));
    }
  }

  private decide(channel: number): void {
    const { tape, driver, listener } = this;
    if (tape.isOneIn(4)) {
      listener.refuse(driver.nowMs, channel, 'no', tape.isOneIn(2));
      return;
    }
    let sender = this.senders.find(({ isDone }) => !isDone);
    if (sender === undefined) {
      sender = new SessionSender({
        ...{
          label: 'x',
          manifest,
          contentSizeBytes: content.length,
          crypto: cryptoOf(`s${channel}`),
        },
        ...{ mssBytes: 64, blockSizeBytes: 240 },
      });
      this.senders.push(sender);
      this.endpoint.addSender(sender);
      // A session that nobody joins would wait forever.
      if (listener.accept(driver.nowMs, channel, sender) === undefined) {
        this.endpoint.removeSender(sender);
        this.senders.pop();
      }
      return;
    }
    listener.accept(driver.nowMs, channel, sender);
  }

  private handleSenderEvent(
    sender: SessionSender,
    event: Extract<Event, { role: 'sender' }>['event'],
  ): void {
    const { driver } = this;
    if (event.type === 'need') {
      const { block, offsetBytes, sizeBytes } = event;
      const bytes = content.subarray(offsetBytes, offsetBytes + sizeBytes);
      this.soon(() => sender.provideBlock(driver.nowMs, block, bytes));
    } else if (event.type === 'check-source') {
      this.soon(() => sender.confirmSource(driver.nowMs));
    } else if (event.type === 'receiver') {
      const { status } = event.outcome;
      if (status === 'complete' || status === 'failed') this.seen[status]++;
    }
  }

  private soon(run: () => void): void {
    if (this.tape.isOneIn(2)) run();
    else this.work.push(run);
  }

  private doWork(count: number): void {
    for (const run of this.work.splice(0, count)) {
      run();
      this.driver.drain(0);
    }
  }
}

/** A receiver with its own key. */
class AskingInsider {
  last: Uint8Array | undefined;
  private readonly handshake: OutgoingHandshake;
  private readonly address: Address;

  constructor(
    private readonly fire: ListenerUnderFire,
    name: number,
    readonly channelNumber: number,
  ) {
    this.address = { host: `10.0.0.${name}`, port: 7735 };
    this.handshake = new OutgoingHandshake(cryptoOf(`insider ${name}`), channelNumber, askerNumber);
  }

  open(tape: Tape): void {
    const { handshake, fire } = this;
    for (let step = 0; step < 2; step++) {
      if (tape.isOneIn(16)) return;
      this.send(handshake.datagram as Uint8Array);
      for (const { bytes } of fire.driver.sent) {
        const packet = decodeSession(bytes);
        if (typeof packet !== 'string' && 'counter' in packet) handshake.handle(packet);
      }
    }
    if (handshake.stage !== 'trust') return;
    handshake.prove();
    this.send(handshake.datagram as Uint8Array);
  }

  sayFitting(tape: Tape): void {
    const figures = {
      ...{ segmentsReceived: 5, segmentsLost: 2, receivedBytes: 300 },
      ...{ unchangedFiles: 4, deletedEntries: 3, undeletedEntries: 0, undeleted: [] },
    };
    const ask = { kind: 'ask', name: 'x', root: undefined, manifestDigest: undefined } as const;
    const fitting: readonly Message[] = [
      { ...ask, mssBytes: 64, hops: [] },
      { ...ask, mssBytes: 64, hops: [new Uint8Array(8)] },
      { kind: 'list-request', after: 'a' },
      {
        ...{ kind: 'envelope-request', name: 'x', originKey: new Uint8Array(32), hops: [] },
        ...{ receiverKey: new Uint8Array(32), challenge: new Uint8Array(16) },
      },
      { kind: 'accept', name: 'insider' },
      { kind: 'done', isComplete: true, ...figures, reason: '' },
      { kind: 'refuse', reason: 'no', isTemporary: tape.isOneIn(2) },
    ];
    this.say(encodeMessage(tape.pick(fitting)));
  }

  say(message: Uint8Array): void {
    const { channel } = this.handshake;
    if (channel !== undefined) this.send(channel.seal(message));
  }

  private send(bytes: Uint8Array): void {
    this.last = bytes;
    this.fire.deliver(this.address, bytes);
  }
}

export function fuzzAskListener(tape: Tape): Outcome {
  return new ListenerUnderFire(tape).run();
}

class AskerUnderFire {
  readonly receiver: SessionReceiver;
  readonly asker: Asker;
  readonly driver: Driver<Event>;
  private readonly servers: ServingInsider[];
  private readonly pool = capturedSession().toSender;
  private work: (() => void)[] = [];
  private readonly seen: Record<string, number> = {};
  private isMuted = false;

  constructor(private readonly tape: Tape) {
    this.receiver = new SessionReceiver({
      ...{ crypto: cryptoOf('receiver'), name: 'receiver', platform: 'posix', maxSessions: 3 },
      ...{ refuseSender: () => 'only what was asked for', blockSizeBytes: 240 },
      mayDelete: () => true,
    });
    this.asker = new Asker({ crypto: cryptoOf('asker'), receiver: this.receiver, mssBytes: 64 });
    this.driver = new Driver(
      new Endpoint<never>({ receiver: this.receiver, asker: this.asker }),
      (event) => this.handleEvent(event),
      () => mostTransmits,
    );
    this.servers = [0, 1, 2].map((i) => new ServingInsider(this, i));
  }

  run(): Outcome {
    while (!this.tape.isOver) this.act();
    // The servers fall silent.
    this.isMuted = true;
    for (let i = 0; i < 6; i++) {
      this.doWork(Infinity);
      this.pass(2 * receiverLimits.idleMs);
    }
    demand(this.asker.askCount === 0, () => 'an ask that is never over');
    demand(this.receiver['sessions'].size === 0, () => 'sessions that are kept');
    demand(this.driver.machine.pollTimeout() === undefined, () => 'a timeout behind the end');
    const { datagrams, digest } = this.driver;
    return { datagrams, digest, seen: { ...this.asker.faultCounts, ...this.seen } };
  }

  private act(): void {
    const { tape, driver } = this;
    const server = tape.pick(this.servers);
    switch (tape.below(12)) {
      case 0:
      case 1:
        if (this.asker.askCount < 8) this.ask(server);
        break;
      case 2: {
        const right = tape.isOneIn(3) ? server.last : tape.pick(this.pool);
        this.deliver(server.address, anyDatagram(tape, server.channelNumber, right));
        break;
      }
      case 3:
      case 4:
      case 5:
        server.open(tape);
        break;
      case 6:
        server.say(hostileSenderMessage(tape, context));
        break;
      case 7:
      case 8:
        server.sayFitting(tape);
        break;
      case 9:
        this.pass(tape.pick(waitsMs));
        break;
      case 10:
        if (tape.isOneIn(8)) this.asker.cancel(driver.nowMs, tape.below(8), 'enough');
        driver.drain(0);
        this.hear();
        break;
      default:
        this.doWork(1 + tape.below(4));
    }
  }

  private ask({ address, name }: ServingInsider): void {
    const { tape, driver } = this;
    const what = tape.isOneIn(3) ? {} : { what: { name: tape.pick(['x', 'y']) } };
    this.asker.ask(driver.nowMs, { server: { name, address }, ...what });
    driver.drain(0);
    this.hear();
  }

  deliver(from: Address, bytes: Uint8Array): void {
    this.driver.deliver(from, bytes);
    this.hear();
  }

  private pass(ms: number): void {
    this.driver.passTo(this.driver.nowMs + ms);
    this.hear();
  }

  private hear(): void {
    const { sent } = this.driver;
    this.driver.sent = [];
    if (this.isMuted) return;
    for (const { to, bytes } of sent)
      this.servers.find(({ address }) => address.host === to.host)?.hear(bytes);
  }

  private handleEvent(event: Event): void {
    const { tape, driver, asker, receiver } = this;
    if (event.role === 'asker') {
      const { event: answer } = event;
      this.seen[answer.type] = (this.seen[answer.type] ?? 0) + 1;
      if (answer.type !== 'identify') return;
      const refusal = tape.isOneIn(8) ? 'not trusted' : undefined;
      this.soon(() => asker.trust(driver.nowMs, answer.ask, refusal));
    } else if (event.role === 'receiver') {
      const { event: received } = event;
      if (received.type === 'prepare') {
        demand(received.deletion === 'none', () => 'a server asks for deletion');
        const { session } = received.info;
        this.soon(() => receiver.find(session)?.prepared(driver.nowMs, [], []));
      } else if (received.type === 'write') {
        const { session, bytes } = received;
        this.soon(() => receiver.handleWritten(driver.nowMs, session, bytes.length));
      } else if (received.type === 'finish') {
        this.soon(() => receiver.find(received.session)?.handleStored(driver.nowMs));
      } else if (received.type === 'end') {
        const { status } = received.result;
        this.seen[status] = (this.seen[status] ?? 0) + 1;
      }
    }
  }

  private soon(run: () => void): void {
    if (this.tape.isOneIn(2)) run();
    else this.work.push(run);
  }

  private doWork(count: number): void {
    for (const run of this.work.splice(0, count)) {
      run();
      this.driver.drain(0);
      this.hear();
    }
  }
}

/** A server with its own key. */
class ServingInsider {
  readonly name: string;
  readonly address: Address;
  channelNumber = 1;
  last: Uint8Array | undefined;
  private readonly crypto;
  private handshake: Handshake | undefined;
  private channel: SecureChannel | undefined;
  private readonly heard = new Map<string, ChannelPacket>();

  constructor(
    private readonly fire: AskerUnderFire,
    private readonly index: number,
  ) {
    this.name = `server ${index}`;
    this.address = { host: `10.0.0.${index + 1}`, port: 7735 };
    this.crypto = cryptoOf(this.name);
  }

  hear(bytes: Uint8Array): void {
    this.last = bytes;
    if (bytes[sessionField.kind] === sessionKind.control) return;
    const packet = decodeSession(Uint8Array.from(bytes));
    if (typeof packet === 'string' || !('counter' in packet)) return;
    this.channelNumber = packet.session;
    this.heard.set(packet.kind, packet);
  }

  /** Runs the handshake as far as it goes. */
  open(tape: Tape): void {
    const hello = this.take('hello');
    if (hello !== undefined) this.answer('cookie', hello, new Uint8Array(32).fill(7));
    const open = this.take('open');
    if (open !== undefined) {
      this.handshake = this.crypto.startHandshake(
        'responder',
        handshakePrologue(open.session, askerNumber),
      );
      const first = open.body.subarray(cookieSizeBytes, cookieSizeBytes + keySizeBytes);
      if (!this.handshake.read(first)) return;
      this.answer('reply', open, tape.isOneIn(16) ? tape.fill(96) : this.handshake.write());
    }
    const proof = this.take('proof');
    const { handshake } = this;
    if (proof === undefined || handshake?.read(proof.body) !== true) return;
    if (handshake.keys === undefined) return;
    this.channel = new SecureChannel(this.crypto, proof.session, askerNumber, handshake.keys);
    this.sayFitting(tape);
  }

  sayFitting(tape: Tape): void {
    const object = {
      ...{ name: 'b', contentSizeBytes: 1, manifestDigest: new Uint8Array(32), root: undefined },
    };
    const session = tape.isOneIn(4) ? 7 : 100 * (this.index + 1) + tape.below(3);
    const fitting: readonly Message[] = [
      {
        ...{ kind: 'offer', session, label: 'x', mssBytes: 64, contentSizeBytes: content.length },
        ...{ manifestSizeBytes: manifest.length, manifestDigest: this.crypto.hash(manifest) },
        ...{ manifest, groupKey: new Uint8Array(32), reportIntervalMs: 1 },
        ...{ existing: 'overwrite', deletion: tape.pick(['delete', 'none']), listedAtMs: 0 },
      },
      { kind: 'preparing', reason: tape.isOneIn(2) ? 'waits for another host' : '' },
      { kind: 'refuse', reason: 'no', isTemporary: tape.isOneIn(2) },
      { kind: 'list', after: '', isLast: tape.isOneIn(2), objects: [object] },
      { kind: 'list', after: 'b', isLast: true, objects: [] },
      { kind: 'bye', reason: '', isFinal: false },
    ];
    this.say(encodeMessage(tape.isOneIn(2) ? tape.pick(fitting) : (fitting[0] as Message)));
  }

  say(message: Uint8Array): void {
    if (this.channel !== undefined) this.send(this.channel.seal(message));
  }

  private take(kind: string): ChannelPacket | undefined {
    const packet = this.heard.get(kind);
    this.heard.delete(kind);
    return packet;
  }

  private answer(kind: 'cookie' | 'reply', to: ChannelPacket, body: Uint8Array): void {
    this.send(encodeChannelPacket(kind, to.session, askerNumber, to.counter, body));
  }

  private send(bytes: Uint8Array): void {
    this.fire.deliver(this.address, bytes);
  }
}

export function fuzzAsker(tape: Tape): Outcome {
  return new AskerUnderFire(tape).run();
}
