/** The channel between a sender and one receiver: what it opens, once, and what it rejects. */
import * as fc from 'fast-check';
import t from 'tap';
import { SecureChannel } from '../../src/security/secure-channel.js';
import { createSimulatedCrypto } from '../../src/simulator/session-crypto.js';
import type { ChannelPacket } from '../../src/wire/header.js';
import { decodeSession } from '../../src/wire/header.js';
import { SessionWire } from '../support/session-wire.js';

const crypto = createSimulatedCrypto('secure channel', 'one');
const [forth, back] = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)];

const createPair = () => ({
  sender: new SecureChannel(crypto, 9, 4, { send: forth, receive: back }),
  receiver: new SecureChannel(crypto, 9, 4, { send: back, receive: forth }),
});
const packetOf = (bytes: Uint8Array) => decodeSession(bytes) as ChannelPacket;
const messageOf = (number: number) => Uint8Array.of(number, number >>> 8);

t.test('both directions carry messages, numbered from 0', (t) => {
  const { sender, receiver } = createPair();
  for (let i = 0; i < 3; i++) {
    const forthPacket = packetOf(sender.seal(messageOf(i)));
    t.match(forthPacket, { kind: 'control', session: 9, receiver: 4, counter: i });
    t.same(receiver.open(forthPacket), messageOf(i));
    t.same(sender.open(packetOf(receiver.seal(messageOf(i + 9)))), messageOf(i + 9));
  }
  t.end();
});

t.test('each message is accepted once, in any order within the window of 992', (t) => {
  const { sender } = createPair();
  const sealed = Array.from({ length: 4000 }, (_, i) => packetOf(sender.seal(messageOf(i))));
  // Steps of all lengths: within a word, over some, and over the whole window.
  const step = fc.oneof(fc.integer({ min: -40, max: 40 }), fc.integer({ min: -1100, max: 1100 }));
  const property = fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
    const { receiver } = createPair();
    const taken = new Set<number>();
    let highest = -1;
    let number = 0;
    return steps.every((by) => {
      number = Math.min(sealed.length - 1, Math.max(0, number + by));
      const isFresh = number > highest - 992 && !taken.has(number);
      const opened = receiver.open(sealed[number] as ChannelPacket);
      if (!isFresh) return opened === 'replayed';
      taken.add(number);
      highest = Math.max(highest, number);
      return opened instanceof Uint8Array && opened[0] === number % 256;
    });
  });
  fc.assert(property, { seed: 1, numRuns: 1000 });
  t.end();
});

t.test(
  'a flipped bit of header or body is detected as forged, and does not use up the number',
  (t) => {
    const { sender, receiver } = createPair();
    const bytes = sender.seal(messageOf(7));
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      // Another type or kind makes it another packet.
      if (bit >= 32 && bit < 40) continue;
      if (bit >= 48 && bit < 64) continue;
      // Another size makes it invalid.
      if (bit >= 80 && bit < 96) continue;
      const flipped = bytes.slice();
      flipped[bit >>> 3] = (flipped[bit >>> 3] as number) ^ (0x80 >>> (bit & 7));
      t.equal(receiver.open(packetOf(flipped)), 'forged', `bit ${bit}`);
    }
    t.same(receiver.open(packetOf(bytes)), messageOf(7));
    t.end();
  },
);

t.test('the size in the header is that of the sealed message', (t) => {
  const { sender } = createPair();
  for (const sizeBytes of [0, 1, 255, 256, 1184]) {
    const bytes = sender.seal(new Uint8Array(sizeBytes));
    t.equal(bytes.length, 16 + sizeBytes + 16);
    t.equal(new DataView(bytes.buffer).getUint16(10), sizeBytes + 16);
  }
  t.end();
});

t.test('numbers have 32 bits, and none is used twice', (t) => {
  const { sender, receiver } = createPair();
  // As if that many messages had been sent.
  sender['sendCounter'] = 2 ** 32 - 2;
  for (const counter of [2 ** 32 - 2, 2 ** 32 - 1]) {
    const packet = packetOf(sender.seal(messageOf(3)));
    t.equal(packet.counter, counter);
    t.same(receiver.open(packet), messageOf(3));
    t.equal(receiver.open(packet), 'replayed');
  }
  t.throws(() => sender.seal(messageOf(3)), /internal error: a number that was not used before/);
  t.throws(() => sender.seal(messageOf(3)), /internal error/, 'nor later');
  t.end();
});

t.test(
  'a channel that has used up its numbers is silent, and the session continues on a new one',
  (t) => {
    let spentCount = 0;
    const wire: SessionWire = new SessionWire({
      sizeBytes: 20_000,
      attack: ({ to, bytes }, { nowMs, receivers, sender }) => {
        const session = receivers[0]?.machine.find(sender.session);
        const channel = session?.secureChannel;
        if (channel === undefined || spentCount > 1 || to !== 'sender') return [bytes];
        if (session?.status(nowMs)?.activity !== 'receiving') return [bytes];
        // Skip ahead, so that few numbers are left.
        spentCount++;
        channel['sendCounter'] = 2 ** 32 - 2;
        return [bytes];
      },
    }).run();
    t.ok(spentCount > 1);
    t.ok(wire.log.filter(({ bytes }) => bytes[4] === 5).length > 1, 'another handshake');
    t.equal(wire.receivers[0]?.isIdentical, true);
    t.end();
  },
);

t.test('a message does not open at the side that sent it', (t) => {
  const { sender, receiver } = createPair();
  t.equal(sender.open(packetOf(sender.seal(messageOf(1)))), 'forged');
  t.equal(receiver.open(packetOf(receiver.seal(messageOf(1)))), 'forged');
  t.end();
});
