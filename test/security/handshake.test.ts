/** The sender's side of the opening: what each answer leads to, and what forged ones do not. */
import t from 'tap';
import type { Handshake } from '../../src/security/crypto.js';
import {
  cookieSizeBytes,
  handshakePrologue,
  helloSizeBytes,
  Opening,
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

const createOpening = () => new Opening(senderCrypto, session, number);
const startResponder = (prologue = handshakePrologue(session, number)) =>
  receiverCrypto.startHandshake('responder', prologue);

function sentBy(opening: Opening): ChannelPacket {
  const bytes = opening.datagram;
  if (bytes === undefined) throw new Error('nothing is sent now');
  return decodeSession(bytes) as ChannelPacket;
}

/** What a receiver answers to the packet. */
function answer(kind: 'cookie' | 'reply', to: ChannelPacket, body: Uint8Array): ChannelPacket {
  const bytes = encodeChannelPacket(kind, to.session, to.receiver, to.counter, body);
  return decodeSession(bytes) as ChannelPacket;
}
const cookieFor = (opening: Opening) => answer('cookie', sentBy(opening), cookie);

/** The receiver's reply to an open. */
function replyFor(opening: Opening, handshake = startResponder()): ChannelPacket {
  const open = sentBy(opening);
  handshake.read(open.body.slice(cookieSizeBytes));
  return answer('reply', open, handshake.write());
}

/** An opening up to the stage `trust`, and the receiver's part of its handshake. */
function openToTrust(): { opening: Opening; handshake: Handshake } {
  const opening = createOpening();
  const handshake = startResponder();
  opening.handle(cookieFor(opening));
  opening.handle(replyFor(opening, handshake));
  return { opening, handshake };
}

t.test('hello, open, trust, proof: at the end both sides have one channel', (t) => {
  const opening = createOpening();
  t.equal(opening.stage, 'hello');
  t.match(sentBy(opening), { kind: 'hello', session, receiver: number, version: protocolVersion });
  t.equal(opening.datagram?.length, helloSizeBytes);
  t.equal(opening.receiverKey, undefined);
  const { counter } = sentBy(opening);

  t.equal(opening.handle(cookieFor(opening)), 'advanced');
  t.equal(opening.stage, 'open');
  t.match(sentBy(opening), { kind: 'open', session, receiver: number, counter });
  t.same(sentBy(opening).body.subarray(0, cookieSizeBytes), cookie, 'the cookie goes back');
  t.equal(opening.receiverKey, undefined);

  const handshake = startResponder();
  t.equal(opening.handle(replyFor(opening, handshake)), 'advanced');
  t.equal(opening.stage, 'trust');
  t.equal(opening.datagram, undefined, 'nothing is shown before the key is trusted');
  t.equal(opening.channel, undefined);
  const receiverKey = startKey('receiver');
  t.same(opening.receiverKey, receiverKey);

  opening.prove();
  t.equal(opening.stage, 'proof');
  t.match(sentBy(opening), { kind: 'proof', session, receiver: number, counter });
  t.equal(handshake.read(sentBy(opening).body), true);
  t.same(handshake.remoteKey, startKey('sender'));
  const receiver = new SecureChannel(receiverCrypto, session, number, keysOf(handshake));
  const sender = channelOf(opening);
  const message = Uint8Array.of(1, 2, 3);
  t.same(receiver.open(decodeSession(sender.seal(message)) as ChannelPacket), message);
  t.same(sender.open(decodeSession(receiver.seal(message)) as ChannelPacket), message);
  t.end();
});

t.test('no answer to a hello is longer than it', (t) => {
  const opening = createOpening();
  t.ok((opening.datagram?.length ?? 0) >= 16 + cookieSizeBytes);
  t.ok(sentBy(opening).body.every((byte) => byte === 0));
  t.end();
});

t.test('answers that come again, or too soon, change nothing', (t) => {
  const opening = createOpening();
  const hello = sentBy(opening);
  const early = answer('reply', hello, new Uint8Array(96));
  t.equal(opening.handle(early), 'late', 'a reply before the cookie');
  t.equal(opening.stage, 'hello');

  const first = cookieFor(opening);
  opening.handle(first);
  const open = opening.datagram;
  t.equal(opening.handle(first), 'late');
  t.equal(opening.datagram, open, 'the same open is repeated');

  const reply = replyFor(opening);
  opening.handle(reply);
  for (const packet of [first, reply]) t.equal(opening.handle(packet), 'late');
  t.equal(opening.stage, 'trust');

  opening.prove();
  const { channel, datagram } = opening;
  for (const packet of [first, reply]) t.equal(opening.handle(packet), 'late');
  t.equal(opening.stage, 'proof');
  t.equal(opening.channel, channel);
  t.equal(opening.datagram, datagram);
  t.end();
});

t.test('who does not know the number of the call has not read it', (t) => {
  const opening = createOpening();
  const good = cookieFor(opening);
  for (const counter of [0, (good.counter ^ 1) >>> 0, good.counter + 2 ** 32]) {
    t.equal(opening.handle({ ...good, counter }), 'late');
    t.equal(opening.handle({ ...good, counter, version: 2 }), 'late', 'of another version');
    t.equal(opening.handle({ ...good, counter, body: new Uint8Array(0) }), 'late', 'of any size');
  }
  t.equal(opening.stage, 'hello');
  t.equal(opening.handle(good), 'advanced');
  t.end();
});

t.test(
  'each opening has a number of its own, and what answers one does not answer the next',
  (t) => {
    const openings = Array.from({ length: 50 }, createOpening);
    const counters = new Set(openings.map((opening) => sentBy(opening).counter));
    t.equal(counters.size, openings.length);
    t.ok([...counters].every((counter) => Number.isInteger(counter) && counter < 2 ** 32));
    t.ok(
      [...counters].some((counter) => counter >= 2 ** 31),
      'all 32 bits are used',
    );
    const [one, two] = openings as [Opening, Opening];
    t.equal(two.handle(cookieFor(one)), 'late');
    t.end();
  },
);

t.test('another version is told of, and the sender goes on calling', (t) => {
  const opening = createOpening();
  const good = cookieFor(opening);
  const { datagram } = opening;
  t.equal(opening.handle({ ...good, version: protocolVersion + 1 }), 'other-version');
  t.equal(opening.stage, 'hello');
  t.equal(opening.datagram, datagram);
  t.equal(opening.handle(good), 'advanced', 'the word was not proven');
  const reply = replyFor(opening);
  t.equal(opening.handle({ ...reply, version: protocolVersion + 1 }), 'other-version');
  t.equal(opening.handle(reply), 'advanced');
  t.end();
});

t.test('a cookie of another size is none', (t) => {
  for (const sizeBytes of [0, cookieSizeBytes - 1, cookieSizeBytes + 1]) {
    const opening = createOpening();
    const packet = answer('cookie', sentBy(opening), new Uint8Array(sizeBytes));
    t.equal(opening.handle(packet), 'bad-handshake');
    t.equal(opening.stage, 'hello');
  }
  t.end();
});

t.test('a forged reply shows no key to be trusted and opens no channel', (t) => {
  const size = replyFor(advance(createOpening())).body.length;
  for (let byte = 0; byte < size; byte++) {
    const opening = advance(createOpening());
    const reply = replyFor(opening);
    const body = reply.body.slice();
    body[byte] = (body[byte] as number) ^ 1;
    t.equal(opening.handle({ ...reply, body }), 'bad-handshake', `byte ${byte}`);
    t.equal(opening.stage, 'open');
    t.equal(opening.channel, undefined);
    t.throws(() => opening.prove(), /trust is asked for once/);
  }
  for (const body of [new Uint8Array(0), new Uint8Array(95), new Uint8Array(96)]) {
    const opening = advance(createOpening());
    t.equal(opening.handle(answer('reply', sentBy(opening), body)), 'bad-handshake');
  }
  t.end();
});

t.test('a reply that was meant for another session or number does not fit', (t) => {
  for (const prologue of [
    handshakePrologue(session + 1, number),
    handshakePrologue(session, number + 1),
    new TextEncoder().encode(`p2mp ${protocolVersion + 1} ${session} ${number}`),
  ]) {
    const opening = advance(createOpening());
    t.equal(opening.handle(replyFor(opening, startResponder(prologue))), 'bad-handshake');
  }
  t.end();
});

t.test('proving is for a key that was shown, once', (t) => {
  t.throws(() => createOpening().prove(), /trust is asked for once/);
  const { opening } = openToTrust();
  opening.prove();
  t.throws(() => opening.prove(), /trust is asked for once/);
  t.end();
});

function advance(opening: Opening): Opening {
  opening.handle(cookieFor(opening));
  return opening;
}

/** The key that a host of this name shows. */
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

function channelOf({ channel }: Opening): SecureChannel {
  if (channel === undefined) throw new Error('there is no channel yet');
  return channel;
}
