/**
 * The sender's side of the handshake: what each answer leads to, and that forged ones have no
 * effect.
 */
import t from 'tap';
import type { Handshake } from '../../src/security/crypto.js';
import {
  cookieSizeBytes,
  handshakePrologue,
  helloSizeBytes,
  OutgoingHandshake,
} from '../../src/security/handshake.js';
import { SecureChannel } from '../../src/security/secure-channel.js';
import { createSimulatedCrypto } from '../../src/simulator/session-crypto.js';
import type { ChannelPacket } from '../../src/wire/header.js';
import { decodeSession, encodeChannelPacket, protocolVersion } from '../../src/wire/header.js';

const session = 0x89abcdef;
const number = 4;
const senderCrypto = createSimulatedCrypto('opening', 'sender');
const receiverCrypto = createSimulatedCrypto('opening', 'receiver');
const cookie = new Uint8Array(cookieSizeBytes).map((_, i) => i + 1);

const createHandshake = () => new OutgoingHandshake(senderCrypto, session, number);
const startResponder = (prologue = handshakePrologue(session, number)) =>
  receiverCrypto.startHandshake('responder', prologue);

function sentBy(handshake: OutgoingHandshake): ChannelPacket {
  const bytes = handshake.datagram;
  if (bytes === undefined) throw new Error('nothing is sent now');
  return decodeSession(bytes) as ChannelPacket;
}

/** A receiver's answer to the packet. */
function answer(kind: 'cookie' | 'reply', to: ChannelPacket, body: Uint8Array): ChannelPacket {
  const bytes = encodeChannelPacket(kind, to.session, to.receiver, to.counter, body);
  return decodeSession(bytes) as ChannelPacket;
}
const cookieFor = (handshake: OutgoingHandshake) => answer('cookie', sentBy(handshake), cookie);

/** The receiver's reply to an initiation. */
function replyFor(handshake: OutgoingHandshake, responder = startResponder()): ChannelPacket {
  const open = sentBy(handshake);
  responder.read(open.body.slice(cookieSizeBytes));
  return answer('reply', open, responder.write());
}

/** A handshake up to the stage `trust`, and the receiver's part of it. */
function openToTrust(): { handshake: OutgoingHandshake; responder: Handshake } {
  const handshake = createHandshake();
  const responder = startResponder();
  handshake.handle(cookieFor(handshake));
  handshake.handle(replyFor(handshake, responder));
  return { handshake, responder };
}

t.test('hello, open, trust, proof: both sides end with one channel', (t) => {
  const handshake = createHandshake();
  t.equal(handshake.stage, 'hello');
  t.match(sentBy(handshake), {
    kind: 'hello',
    session,
    receiver: number,
    version: protocolVersion,
  });
  t.equal(handshake.datagram?.length, helloSizeBytes);
  const { counter } = sentBy(handshake);

  t.equal(handshake.handle(cookieFor(handshake)), 'advanced');
  t.equal(handshake.stage, 'open');
  t.match(sentBy(handshake), { kind: 'open', session, receiver: number, counter });
  t.same(sentBy(handshake).body.subarray(0, cookieSizeBytes), cookie, 'the cookie is returned');

  const responder = startResponder();
  t.equal(handshake.handle(replyFor(handshake, responder)), 'advanced');
  t.equal(handshake.stage, 'trust');
  t.equal(handshake.datagram, undefined, 'nothing is revealed before the key is trusted');
  t.equal(handshake.channel, undefined);
  const receiverKey = startKey('receiver');
  t.same(handshake.shownKey, receiverKey);
  t.ok(handshake.hasShown(receiverKey));
  t.notOk(handshake.hasShown(undefined));
  t.notOk(handshake.hasShown(new Uint8Array(32)));

  handshake.prove();
  t.equal(handshake.stage, 'proof');
  t.match(sentBy(handshake), { kind: 'proof', session, receiver: number, counter });
  t.equal(responder.read(sentBy(handshake).body), true);
  t.same(responder.remoteKey, startKey('sender'));
  const receiver = new SecureChannel(receiverCrypto, session, number, keysOf(responder));
  const sender = channelOf(handshake);
  const message = Uint8Array.of(1, 2, 3);
  t.same(receiver.open(decodeSession(sender.seal(message)) as ChannelPacket), message);
  t.same(sender.open(decodeSession(receiver.seal(message)) as ChannelPacket), message);
  t.end();
});

t.test('no answer to a hello is longer than the hello', (t) => {
  const handshake = createHandshake();
  t.ok((handshake.datagram?.length ?? 0) >= 16 + cookieSizeBytes);
  t.ok(sentBy(handshake).body.every((byte) => byte === 0));
  t.end();
});

t.test('repeated or early answers change nothing', (t) => {
  const handshake = createHandshake();
  const hello = sentBy(handshake);
  const early = answer('reply', hello, new Uint8Array(96));
  t.equal(handshake.handle(early), 'late', 'a reply before the cookie');
  t.equal(handshake.stage, 'hello');

  const first = cookieFor(handshake);
  handshake.handle(first);
  const open = handshake.datagram;
  t.equal(handshake.handle(first), 'late');
  t.equal(handshake.datagram, open, 'the same open is repeated');

  const reply = replyFor(handshake);
  handshake.handle(reply);
  for (const packet of [first, reply]) t.equal(handshake.handle(packet), 'late');
  t.equal(handshake.stage, 'trust');

  handshake.prove();
  const { channel, datagram } = handshake;
  for (const packet of [first, reply]) t.equal(handshake.handle(packet), 'late');
  t.equal(handshake.stage, 'proof');
  t.equal(handshake.channel, channel);
  t.equal(handshake.datagram, datagram);
  t.end();
});

t.test('an answer with a wrong connection number is discarded as late', (t) => {
  const handshake = createHandshake();
  const good = cookieFor(handshake);
  for (const counter of [0, (good.counter ^ 1) >>> 0, good.counter + 2 ** 32]) {
    t.equal(handshake.handle({ ...good, counter }), 'late');
    t.equal(handshake.handle({ ...good, counter, version: 2 }), 'late', 'of another version');
    t.equal(handshake.handle({ ...good, counter, body: new Uint8Array(0) }), 'late', 'of any size');
  }
  t.equal(handshake.stage, 'hello');
  t.equal(handshake.handle(good), 'advanced');
  t.end();
});

t.test('each handshake has its own number, and answers to one do not fit the next', (t) => {
  const handshakes = Array.from({ length: 50 }, createHandshake);
  const counters = new Set(handshakes.map((handshake) => sentBy(handshake).counter));
  t.equal(counters.size, handshakes.length);
  t.ok([...counters].every((counter) => Number.isInteger(counter) && counter < 2 ** 32));
  t.ok(
    [...counters].some((counter) => counter >= 2 ** 31),
    'all 32 bits are used',
  );
  const [one, two] = handshakes as [OutgoingHandshake, OutgoingHandshake];
  t.equal(two.handle(cookieFor(one)), 'late');
  t.end();
});

t.test('another version is reported, and the sender keeps connecting', (t) => {
  const handshake = createHandshake();
  const good = cookieFor(handshake);
  const { datagram } = handshake;
  t.equal(handshake.handle({ ...good, version: protocolVersion + 1 }), 'other-version');
  t.equal(handshake.stage, 'hello');
  t.equal(handshake.datagram, datagram);
  t.equal(handshake.handle(good), 'advanced', 'the answer was not authenticated');
  const reply = replyFor(handshake);
  t.equal(handshake.handle({ ...reply, version: protocolVersion + 1 }), 'other-version');
  t.equal(handshake.handle(reply), 'advanced');
  t.end();
});

t.test('a cookie of the wrong size is rejected', (t) => {
  for (const sizeBytes of [0, cookieSizeBytes - 1, cookieSizeBytes + 1]) {
    const handshake = createHandshake();
    const packet = answer('cookie', sentBy(handshake), new Uint8Array(sizeBytes));
    t.equal(handshake.handle(packet), 'bad-handshake');
    t.equal(handshake.stage, 'hello');
  }
  t.end();
});

t.test('a forged reply presents no key for approval and opens no channel', (t) => {
  const size = replyFor(advance(createHandshake())).body.length;
  for (let byte = 0; byte < size; byte++) {
    const handshake = advance(createHandshake());
    const reply = replyFor(handshake);
    const body = reply.body.slice();
    body[byte] = (body[byte] as number) ^ 1;
    t.equal(handshake.handle({ ...reply, body }), 'bad-handshake', `byte ${byte}`);
    t.equal(handshake.stage, 'open');
    t.equal(handshake.channel, undefined);
    t.throws(() => handshake.prove(), /trust is asked for once/);
  }
  for (const body of [new Uint8Array(0), new Uint8Array(95), new Uint8Array(96)]) {
    const handshake = advance(createHandshake());
    t.equal(handshake.handle(answer('reply', sentBy(handshake), body)), 'bad-handshake');
  }
  t.end();
});

t.test('a reply meant for another session or number does not fit', (t) => {
  for (const prologue of [
    handshakePrologue(session + 1, number),
    handshakePrologue(session, number + 1),
    new TextEncoder().encode(`p2mp ${protocolVersion + 1} ${session} ${number}`),
  ]) {
    const handshake = advance(createHandshake());
    t.equal(handshake.handle(replyFor(handshake, startResponder(prologue))), 'bad-handshake');
  }
  t.end();
});

t.test('a proof is for a presented key, once', (t) => {
  t.throws(() => createHandshake().prove(), /trust is asked for once/);
  const { handshake } = openToTrust();
  handshake.prove();
  t.throws(() => handshake.prove(), /trust is asked for once/);
  t.end();
});

function advance(handshake: OutgoingHandshake): OutgoingHandshake {
  handshake.handle(cookieFor(handshake));
  return handshake;
}

/** The key that a host of this name presents. */
function startKey(name: 'sender' | 'receiver'): Uint8Array {
  const crypto = name === 'sender' ? senderCrypto : receiverCrypto;
  const shown = crypto.startHandshake('responder', new Uint8Array(0));
  const asked = senderCrypto.startHandshake('initiator', new Uint8Array(0));
  shown.read(asked.write());
  asked.read(shown.write());
  return asked.remoteKey ?? new Uint8Array(0);
}

function keysOf({ keys }: Handshake): NonNullable<Handshake['keys']> {
  if (keys === undefined) throw new Error('the handshake is not complete');
  return keys;
}

function channelOf({ channel }: OutgoingHandshake): SecureChannel {
  if (channel === undefined) throw new Error('there is no channel yet');
  return channel;
}
