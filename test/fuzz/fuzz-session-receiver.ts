/**
 * A receiver of sessions among strangers, an attacker on the path, and malicious senders with
 * trusted keys. The tape decides whether its shell is slow or fast.
 */
import type { Address } from '../../src/base/address.js';
import { writeUint32 } from '../../src/base/network-order.js';
import { Endpoint } from '../../src/endpoint/endpoint.js';
import { DigestTree } from '../../src/object/digest-tree.js';
import type { SessionGeometry } from '../../src/object/geometry.js';
import {
  createSessionGeometry,
  offsetOfBlock,
  segmentCountOfBlock,
  sizeOfBlock,
} from '../../src/object/geometry.js';
import { hashLeaf } from '../../src/object/hash-tree.js';
import { LeafDigests } from '../../src/object/leaf-digests.js';
import { createManifest, encodeManifest } from '../../src/object/manifest.js';
import { BlockSeal } from '../../src/security/block-seal.js';
import { OutgoingHandshake } from '../../src/security/handshake.js';
import { handshakeLimits } from '../../src/security/handshake-limits.js';
import type { SecureChannel } from '../../src/security/secure-channel.js';
import type { IncomingSession } from '../../src/session/incoming/incoming-session.js';
import { SessionReceiver } from '../../src/session/receiver.js';
import type { SessionReceiverEvent } from '../../src/session/receiver-events.js';
import { receiverLimits } from '../../src/session/receiver-limits.js';
import { createSimulatedCrypto } from '../../src/simulator/session-crypto.js';
import type { ChannelPacket } from '../../src/wire/header.js';
import {
  decodeSession,
  encodeProbeHeader,
  sessionField,
  sessionHeaderSizeBytes,
  sessionKind,
  writeBlockHeader,
} from '../../src/wire/header.js';
import type { Message } from '../../src/wire/messages.js';
import { decodeMessage, encodeMessage } from '../../src/wire/messages.js';
import type { Offer } from '../../src/wire/offer.js';
import type { NodesRequest } from '../../src/wire/tree-nodes.js';
import { objectOf } from '../support/incoming-stages.js';
import { delegate } from '../support/scenario-run.js';
import { capturedSession } from './captured.js';
import { hostileBytes, join, withItsSize } from './hostile-bytes.js';
import { hostileSenderMessage } from './hostile-messages.js';
import type { Tape } from './tape.js';
import { fillRandom } from './tape.js';
import type { Outcome } from './watch.js';
import { Driver, demand, Ledger } from './watch.js';

/** Small limits, so that they are reached. */
const maxSessions = 6;
const bufferBytes = 4000;
const maxInsiders = 40;

/** Nobody receives at this address: datagrams from there are forged. */
const victims = ['192.0.2.1', '192.0.2.2', '2001:db8::1'].map((host) => ({ host, port: 4000 }));

type Prepare = Extract<SessionReceiverEvent, { type: 'prepare' }>;

/** A request to the shell. */
interface Work {
  readonly session: number;
  /** A block to be written. */
  readonly sizeBytes: number;
  readonly run: (tape: Tape) => void;
}

export class ReceiverUnderFire {
  readonly machine: SessionReceiver;
  readonly driver: Driver<SessionReceiverEvent>;
  private readonly ledger = new Ledger();
  private readonly insiders: Insider[] = [];
  private readonly blockSizes = new WeakMap<IncomingSession, number>();
  private work: Work[] = [];
  private last: Uint8Array = new Uint8Array(0);
  readonly blockSizeBytes: number;

  constructor(
    private readonly tape: Tape,
    private readonly pool: readonly Uint8Array[] = capturedSession().toReceiver,
  ) {
    this.blockSizeBytes = tape.pick([48, 240, 2096, 4080, 8176]);
    this.machine = new SessionReceiver({
      blockSizeBytes: this.blockSizeBytes,
      crypto: createSimulatedCrypto('fuzz', 'receiver'),
      name: 'receiver',
      platform: tape.isOneIn(4) ? 'windows' : 'posix',
      // The simulated key of a name is uniformly distributed: one in eight is not trusted.
      refuseSender: (key) => ((key[0] as number) % 8 === 0 ? 'not trusted here' : undefined),
      maxSessions,
      maxObjectBytes: 2 ** 40,
      bufferBytes,
      leavesOf: (root, blockCount) => LeafDigests.create(hash, blockCount, root),
    });
    const endpoint = new Endpoint({ receiver: this.machine });
    this.driver = new Driver(
      // The endpoint splits datagrams that arrive together.
      delegate(this.machine, { handleDatagram: endpoint.handleDatagram.bind(endpoint) }),
      (event) => this.handleEvent(event),
      // The smallest inputs with a reply are a hello of 64 bytes, short messages, and the end.
      (inputBytes) => 8 + inputBytes / sessionHeaderSizeBytes,
    );
  }

  run(): Outcome {
    while (!this.tape.isOver) {
      this.act();
      this.check();
    }
    // After enough time, everything has timed out, and nothing is kept.
    this.work = this.work.filter(({ sizeBytes }) => sizeBytes > 0);
    this.doWork(this.work.length);
    this.driver.passTo(this.driver.nowMs + 10 * receiverLimits.idleMs);
    this.check();
    demand(this.machine.isIdle, () => 'a session that never ends');
    demand(this.machine['sessions'].size === 0, () => 'sessions that are kept');
    demand(this.machine['handshakes'].count === 0, () => 'handshakes that are kept');
    demand(this.machine.bufferedBytes === 0, () => `${this.machine.bufferedBytes} bytes are kept`);
    const { datagrams, digest } = this.driver;
    const { faults, ...outcomes } = this.machine.result();
    return { datagrams, digest, seen: { ...outcomes, ...faults } };
  }

  private act(): void {
    const { tape, driver } = this;
    switch (tape.below(24)) {
      case 0:
      case 1:
        this.deliver(
          tape.pick(victims),
          withItsSize(tape, hostileBytes(tape, tape.pick(this.pool))),
        );
        break;
      case 2:
        this.deliver(tape.pick(victims), this.inSession(hostileBytes(tape, tape.pick(this.pool))));
        break;
      case 3:
        // An attacker on the path changes or replays packets.
        this.deliver(this.anyAddress(), hostileBytes(tape, this.last));
        break;
      case 4:
      case 5:
      case 6:
        this.addInsider();
        break;
      case 7:
      case 8:
        this.insider()?.sayHostile(tape);
        break;
      case 9:
      case 10:
        this.insider()?.offerSome(tape);
        break;
      case 11:
      case 12:
      case 13:
        this.insider()?.sendBlocks(tape);
        break;
      case 14:
        this.insider()?.sendAll(tape, tape.isOneIn(2));
        break;
      case 15:
      case 19:
      case 20:
        this.insider()?.sayFitting(tape);
        break;
      case 21:
      case 22:
        this.proceed();
        break;
      case 16:
        driver.passTo(driver.nowMs + tape.pick(waitsMs));
        if (tape.isOneIn(4)) driver.wake();
        // This stops new sessions, so it must be rare.
        if (tape.isOneIn(128) && tape.isOneIn(16)) this.machine.abort(driver.nowMs, 'stopped');
        break;
      case 17:
      case 18:
        this.doWork(1 + tape.below(4));
        break;
      default:
        this.deliverJoined();
    }
  }

  private addInsider(): void {
    const { tape } = this;
    if (this.insiders.length >= maxInsiders) this.insiders.shift();
    const known = this.insider();
    // Another sender may use the number of an existing session, or the same one restarts it.
    const session = known !== undefined && tape.isOneIn(3) ? known.session : tape.uint32();
    const name = tape.isOneIn(4) ? 'the same' : `insider ${tape.byte()}`;
    const insider = new Insider(this, name, session);
    this.insiders.push(insider);
    insider.open(tape);
  }

  /** One sender behaves correctly for a while, so that late states are attacked as well. */
  private proceed(): void {
    const insider = this.insider();
    if (insider === undefined) return;
    insider.offerSome(this.tape);
    this.doWork(this.work.length);
    insider.sendAll(this.tape);
    if (!this.tape.isOneIn(3)) this.doWork(this.work.length);
    insider.sayRoot(this.tape);
  }

  private insider(): Insider | undefined {
    const { insiders } = this;
    return insiders.length === 0 ? undefined : this.tape.pick(insiders);
  }

  private anyAddress(): Address {
    const insider = this.insider();
    return insider !== undefined && this.tape.isOneIn(2)
      ? insider.address
      : this.tape.pick(victims);
  }

  /** With the number of an existing session, and often with a correct size in the header. */
  private inSession(bytes: Uint8Array): Uint8Array {
    const insider = this.insider();
    if (insider !== undefined && bytes.length >= 4) writeUint32(bytes, 0, insider.session);
    return withItsSize(this.tape, bytes);
  }

  private deliverJoined(): void {
    const { tape } = this;
    const parts: Uint8Array[] = [];
    const count = 1 + tape.below(tape.isOneIn(16) ? 200 : 8);
    const repeated = tape.isOneIn(2);
    for (let i = 0; i < count; i++) {
      const isAgain = repeated && i > 0;
      const bytes = isAgain
        ? (parts[0] as Uint8Array)
        : tape.isOneIn(3)
          ? (this.insider()?.datagram(tape) ?? this.last)
          : this.inSession(hostileBytes(tape, tape.pick(this.pool)));
      parts.push(bytes);
    }
    this.deliver(this.anyAddress(), join(parts));
  }

  deliver(from: Address, bytes: Uint8Array): void {
    this.last = bytes;
    this.ledger.came(from, bytes.length);
    this.driver.deliver(from, bytes);
    for (const transmit of this.driver.sent) {
      // Only a sender that received a cookie at its address gets this far.
      const isReply = transmit.bytes[sessionField.kind] === sessionKind.reply;
      const isVictim = victims.some(({ host }) => host === transmit.to.host);
      demand(!(isReply && isVictim), () => 'a reply where nobody can have read a cookie');
      if (isReply) this.ledger.prove(transmit.to);
      // The holder of a channel's key may choose its address.
      if (transmit.bytes[sessionField.kind] !== sessionKind.control) this.ledger.went(transmit);
    }
  }

  /** The size of a block of this session, also after its end; 0 if it never had an object. */
  private blockSizeOf(session: IncomingSession): number {
    const sizeBytes = objectOf(session)?.blocks.geometry.blockSizeBytes;
    if (sizeBytes !== undefined) this.blockSizes.set(session, sizeBytes);
    return this.blockSizes.get(session) ?? 0;
  }

  private check(): void {
    const { machine } = this;
    const { handshakes, sessions } = machineState(machine);
    demand(handshakes.count <= handshakeLimits.handshakes, () => `${handshakes.count} handshakes`);
    demand(machine.activeCount <= maxSessions, () => `${machine.activeCount} sessions`);
    demand(sessions.size <= 2 * maxSessions, () => `${sessions.size} sessions with those over`);
    const { bufferedBytes } = machine;
    demand(bufferedBytes >= 0, () => `${bufferedBytes} bytes buffered`);
    // Each session may hold one partial block whatever others hold. Pending writes were such
    // blocks.
    let most = bufferBytes;
    let writtenLater = 0;
    for (const { sizeBytes } of this.work) writtenLater += sizeBytes;
    // Asked without getting hold of them.
    const all = [...sessions['byNumber'].values()];
    const dueAtMs = Math.min(Infinity, ...all.map((session) => session.pollTimeout()));
    demand(sessions.dueAtMs === dueAtMs, () => `due at ${dueAtMs}, not at ${sessions.dueAtMs}`);
    for (const session of all) {
      most += 2 * (this.blockSizeOf(session) + 16);
      const { feedback, reassembler } = sessionState(session);
      const remembered = feedback?.['ending'].length ?? 0;
      demand(remembered <= 4096, () => `${remembered} bursts remembered`);
      const unwritten = reassembler?.unwrittenBytes ?? 0;
      demand(unwritten >= 0, () => `${unwritten} bytes not written`);
    }
    const incomplete = bufferedBytes - writtenLater;
    demand(incomplete <= most, () => `${incomplete} bytes buffered, ${most} may be`);
  }

  // --- The shell

  private handleEvent(event: SessionReceiverEvent): void {
    const { machine, driver, tape } = this;
    switch (event.type) {
      case 'internal-error':
        demand(false, () => event.stack.split('\n', 1)[0] ?? '');
        break;
      case 'prepare':
        this.later(event.info.session, 0, () => this.prepare(event));
        break;
      case 'write': {
        const { session, bytes } = event;
        this.later(session, bytes.length, () => {
          machine.handleWritten(driver.nowMs, session, bytes.length);
        });
        break;
      }
      case 'finish': {
        const { session } = event;
        const isFailing = tape.isOneIn(8);
        this.later(session, 0, () => {
          const found = machine.find(session);
          if (isFailing) found?.fail(driver.nowMs, 'the disk is full');
          else found?.handleStored(driver.nowMs);
        });
        break;
      }
      case 'end': {
        const { session, status } = event.result;
        if (status !== 'complete') {
          // The shell forgets everything except writes, which it confirms.
          this.work = this.work.filter((work) => work.sizeBytes > 0 || work.session !== session);
        }
        break;
      }
    }
  }

  private prepare({ info, manifest, blockSizeBytes }: Prepare): void {
    const { machine, driver, tape } = this;
    const session = machine.find(info.session);
    if (tape.isOneIn(8)) {
      session?.refuse(driver.nowMs, 'no room');
      return;
    }
    const blockCount = Math.ceil(manifest.contentSizeBytes / blockSizeBytes);
    const held: { index: number; leaf: Uint8Array }[] = [];
    if (blockCount > 0 && tape.isOneIn(3)) {
      held.push({ index: tape.below(Math.min(blockCount, 65_536)), leaf: tape.fill(32) });
    }
    const isKept = blockCount > 1 && held.length === 0 && tape.isOneIn(3);
    session?.prepared(driver.nowMs, held, isKept ? [{ start: 0, end: 1 }] : []);
  }

  private later(session: number, sizeBytes: number, run: () => void): void {
    this.work.push({ session, sizeBytes, run });
  }

  private doWork(count: number): void {
    const { tape, driver, machine } = this;
    if (tape.isOneIn(8)) {
      const { session = 0 } = this.insider() ?? {};
      machine.find(session)?.fail(driver.nowMs, 'the disk failed');
      driver.drain(Infinity);
    }
    for (const { run } of this.work.splice(0, count)) {
      run(tape);
      driver.drain(Infinity);
    }
  }
}

/** A sender with a key; its name decides whether it is trusted. */
class Insider {
  readonly address: Address;
  private readonly crypto;
  private handshake: OutgoingHandshake;
  private channel: SecureChannel | undefined;
  private offer: Offer | undefined;
  private seal: BlockSeal | undefined;
  private geometry: SessionGeometry | undefined;
  private manifest: Uint8Array = new Uint8Array(0);
  private content: Uint8Array = new Uint8Array(0);
  private burst = 0;
  private nextBlock = 0;
  private readonly requests: NodesRequest[] = [];

  constructor(
    private readonly fire: ReceiverUnderFire,
    name: string,
    readonly session: number,
  ) {
    this.address = {
      host: `10.0.0.${name.charCodeAt(name.length - 1) % 4}`,
      port: 1024 + (session % 1000),
    };
    this.crypto = createSimulatedCrypto(String(session), name);
    this.handshake = new OutgoingHandshake(this.crypto, session, 0);
  }

  /** Runs the whole handshake, part of it, or something else. */
  open(tape: Tape): void {
    const mostSteps = tape.isOneIn(4) ? tape.below(4) : 3;
    for (let step = 0; step < mostSteps; step++) {
      const [datagram] = this.handshake.nextDatagrams();
      if (datagram === undefined) break;
      if (tape.isOneIn(16)) this.deliver(hostileBytes(tape, datagram));
      if (tape.isOneIn(16)) this.deliver(datagram);
      this.deliver(datagram);
      for (const { bytes } of this.fire.driver.sent) {
        const packet = decodeSession(bytes);
        if (typeof packet === 'string' || packet.kind === 'data') continue;
        if (packet.kind !== 'cookie' && packet.kind !== 'reply') continue;
        this.handshake.handle(packet);
      }
      if (this.handshake.stage === 'trust') {
        this.handshake.prove();
        this.channel = this.handshake.channel;
      }
    }
  }

  /** Offers a valid object, or one with something wrong. */
  offerSome(tape: Tape): void {
    if (this.channel === undefined) return;
    // A receiver accepts only the first manifest; data of another one counts as forged.
    if (this.offer !== undefined && !tape.isOneIn(16)) {
      this.sendMessage(this.offer);
      return;
    }
    const mssBytes = tape.pick([64, 64, 100, 200, 1400]);
    const sizeBytes = tape.pick([0, 1, 47, 48, 49, 300, 2000, 20_000]);
    const name = tape.isOneIn(8) ? tape.pick(['../up', '/root', 'con', 'a\0b', 'a/b']) : 'file';
    const file = { kind: 'file', name, mode: 0o644, modifiedMs: 0, sizeBytes } as const;
    const whole = encodeManifest(createManifest([file]));
    this.manifest = tape.isOneIn(8) ? hostileBytes(tape, whole) : whole;
    this.content = new Uint8Array(sizeBytes);
    fillRandom(this.content, this.session + sizeBytes);
    const groupKey = tape.isOneIn(8) ? new Uint8Array(32) : this.crypto.random(32);
    this.seal = new BlockSeal(this.crypto, groupKey);
    const isInline = !tape.isOneIn(3);
    this.offer = {
      kind: 'offer',
      session: tape.isOneIn(16) ? tape.uint32() : this.session,
      label: 'label',
      mssBytes,
      manifestSizeBytes: tape.isOneIn(16) ? tape.byte() : this.manifest.length,
      contentSizeBytes: tape.isOneIn(16) ? tape.uint32() : sizeBytes,
      manifestDigest: tape.isOneIn(16) ? tape.fill(32) : this.crypto.hash(this.manifest),
      manifest: isInline ? this.manifest : new Uint8Array(0),
      groupKey,
      ...(tape.isOneIn(4) ? { group: { host: '239.1.2.3', port: 7735 } } : {}),
      reportIntervalMs: tape.pick([1, 1, 0, 50, 1e9]),
      existing: 'update',
      deletion: tape.isOneIn(8) ? tape.pick(['delete', 'list'] as const) : 'none',
      listedAtMs: 0,
    };
    const { manifestSizeBytes, contentSizeBytes } = this.offer;
    this.geometry = createSessionGeometry(
      manifestSizeBytes,
      contentSizeBytes,
      mssBytes,
      this.fire.blockSizeBytes,
    );
    const root = this.session % 4 === 0 ? this.tree()?.root() : undefined;
    if (root !== undefined) this.offer = { ...this.offer, contentRoot: root };
    this.sendMessage(this.offer);
  }

  /** The messages that a correct sender sends at this point. */
  sayFitting(tape: Tape): void {
    if (this.requests.length > 0 && !tape.isOneIn(4)) {
      this.sayNodes(tape);
      return;
    }
    switch (tape.below(4)) {
      case 0:
        this.sendMessage({
          kind: 'poll',
          burst: this.burst,
          hasTags: tape.isOneIn(4),
          leavesGroup: tape.isOneIn(8),
          reportGapMs: tape.isOneIn(8) ? tape.below(2000) : 0,
        });
        break;
      case 1:
      case 2:
        this.sayRoot(tape);
        break;
      case 3: {
        const header = encodeProbeHeader(this.session);
        const tag = this.seal?.tag(header, new Uint8Array(0)) ?? tape.fill(16);
        this.deliver(join([header, tag]));
      }
    }
  }

  sayHostile(tape: Tape): void {
    const { session, burst, geometry } = this;
    const context = { session, blockCount: geometry?.blockCount ?? 1, burst };
    const { channel } = this;
    if (channel === undefined) return;
    const bytes = channel.seal(hostileSenderMessage(tape, context));
    this.deliver(tape.isOneIn(16) ? hostileBytes(tape, bytes) : bytes);
    if (tape.isOneIn(16)) this.deliver(bytes);
  }

  /** A datagram that the sender might send now. */
  datagram(tape: Tape): Uint8Array {
    const { channel } = this;
    if (channel === undefined || tape.isOneIn(2)) return this.block(tape) ?? tape.fill(20);
    const { session, burst, geometry } = this;
    const context = { session, blockCount: geometry?.blockCount ?? 1, burst };
    return channel.seal(hostileSenderMessage(tape, context));
  }

  sendBlocks(tape: Tape): void {
    const count = tape.isOneIn(4) ? 1 + tape.below(12) : 3;
    for (let i = 0; i < count; i++) {
      const bytes = this.block(tape);
      if (bytes !== undefined) this.deliver(bytes);
    }
  }

  /**
   * Each block once, but for what goes wrong.
   * @param isCut whether none of them is whole, so that all are to be remembered
   */
  sendAll(tape: Tape, isCut = false): void {
    const count = Math.min(this.geometry?.blockCount ?? 0, mostAtOnce);
    this.nextBlock = 0;
    for (let i = 0; i < count; i++) {
      const bytes = this.block(tape, tape.isOneIn(8), isCut);
      if (bytes !== undefined) this.deliver(bytes);
    }
  }

  sayRoot(tape: Tape): void {
    const digest = this.tree()?.root() ?? new Uint8Array(32);
    const withdrawnEntries = tape.pick([0, 0, 0, 1]);
    if (withdrawnEntries > 0)
      this.sendMessage({ kind: 'withdrawn', runs: [{ first: 0, count: 1, reason: 'removed' }] });
    this.sendMessage({
      ...{ kind: 'root', digest: tape.isOneIn(3) ? tape.fill(32) : digest },
      ...(withdrawnEntries > 0 ? { withdrawnEntries } : {}),
    });
  }

  /** Segments of one block, all or some of them, sealed correctly or not. */
  private block(tape: Tape, mayBeWrong = true, isCut = false): Uint8Array | undefined {
    const { geometry, seal } = this;
    if (geometry === undefined || seal === undefined || geometry.blockCount === 0) return undefined;
    const isOneIn = (odds: number) => mayBeWrong && tape.isOneIn(odds);
    // Mostly in order, or no object would ever be complete.
    const count = Math.min(geometry.blockCount, 65_536);
    const block = isOneIn(4) ? tape.below(count) : this.nextBlock++ % count;
    const isTagged = isOneIn(3);
    const generation = isOneIn(8) ? tape.byte() : block < geometry.manifestBlockCount ? 0 : 1;
    const sealed = seal.seal(block, generation, this.plaintext(block, geometry));
    const segmentCount = segmentCountOfBlock(geometry, block);
    const isWhole = !isOneIn(3);
    const { mssBytes } = geometry;
    if (!isOneIn(3)) this.burst = (this.burst + (isOneIn(8) ? tape.uint16() : 1)) & 0xffff;
    const parts: Uint8Array[] = [];
    let isSpoilt = isOneIn(8);
    for (let segment = 0; segment < segmentCount; segment++) {
      if ((!isWhole && isOneIn(2)) || (isCut && segment === 0)) continue;
      const body = sealed.subarray(segment * mssBytes, (segment + 1) * mssBytes);
      const bytes = new Uint8Array(sessionHeaderSizeBytes + body.length + (isTagged ? 16 : 0));
      writeBlockHeader(bytes, 0, isTagged, {
        session: this.session,
        generation,
        block,
        segment,
        flags: segment === segmentCount - 1 ? 1 : 0,
        burst: this.burst,
      });
      bytes.set(body, sessionHeaderSizeBytes);
      if (isTagged) {
        const end = bytes.length - 16;
        const header = bytes.subarray(0, sessionHeaderSizeBytes);
        bytes.set(seal.tag(header, bytes.subarray(sessionHeaderSizeBytes, end)), end);
      }
      parts.push(isSpoilt ? hostileBytes(tape, bytes) : bytes);
      isSpoilt = false;
    }
    return join(parts);
  }

  private plaintext(block: number, geometry: SessionGeometry): Uint8Array {
    const offset = offsetOfBlock(geometry, block);
    const size = sizeOfBlock(geometry, block);
    const source = block < geometry.manifestBlockCount ? this.manifest : this.content;
    const bytes = new Uint8Array(size);
    bytes.set(source.subarray(offset, offset + size));
    return bytes;
  }

  /** Undefined if there are too many blocks, or no offer. */
  private tree(): DigestTree | undefined {
    const { geometry } = this;
    if (geometry === undefined || geometry.blockCount > 1000) return undefined;
    const { manifestBlockCount, blockCount } = geometry;
    const tree = new DigestTree(this.crypto.hash, blockCount - manifestBlockCount);
    for (let block = manifestBlockCount; block < blockCount; block++) {
      const leaf = hashLeaf(this.crypto.hash, this.plaintext(block, geometry));
      tree.set(block - manifestBlockCount, leaf);
    }
    return tree;
  }

  /** Answers digest requests of the receiver; some digests are wrong. */
  private sayNodes(tape: Tape): void {
    const request = this.requests.shift();
    if (request === undefined) return;
    const { tree, height, firstNode, count } = request;
    const right = this.tree()?.nodes(height, firstNode, count) ?? new Uint8Array(0);
    const digests = new Uint8Array(tape.isOneIn(8) ? tape.uint16() & 2047 : 32 * count);
    digests.set(right.subarray(0, digests.length));
    if (tape.isOneIn(3)) digests[tape.below(Math.max(1, digests.length))] = tape.byte();
    this.sendMessage({ kind: 'nodes', tree, height, firstNode, digests });
  }

  private sendMessage(message: Message): void {
    if (this.channel !== undefined) this.deliver(this.channel.seal(encodeMessage(message)));
  }

  private deliver(bytes: Uint8Array): void {
    this.fire.deliver(this.address, bytes);
    const { channel } = this;
    if (channel === undefined) return;
    for (const { bytes: answer } of this.fire.driver.sent) {
      if (answer[sessionField.kind] !== sessionKind.control) continue;
      const opened = channel.open(decodeSession(answer) as ChannelPacket);
      const message = typeof opened === 'string' ? undefined : decodeMessage(opened);
      if (message?.kind !== 'nodes-request') continue;
      if (this.requests.length < mostRequests) this.requests.push(message);
    }
  }
}

const { hash } = createSimulatedCrypto('fuzz', 'receiver');

/** Blocks sent at once. */
const mostAtOnce = 64;

/** Datagrams that an insider remembers. */
const mostRequests = 64;

const waitsMs = [0, 0.5, 1, 4, 20, 100, 1000, 5000, 11_000, 61_000];

function machineState(machine: SessionReceiver) {
  return { handshakes: machine['handshakes'], sessions: machine['sessions'] };
}

function sessionState(session: IncomingSession) {
  const blocks = objectOf(session)?.blocks;
  return { feedback: blocks?.feedback, reassembler: blocks?.['reassembler'] };
}

export function fuzzSessionReceiver(tape: Tape): Outcome {
  return new ReceiverUnderFire(tape).run();
}
