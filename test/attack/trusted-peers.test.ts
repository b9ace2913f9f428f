/**
 * Trusted peers send arbitrary messages on their own channels: nothing throws, other peers are
 * served, and nothing incomplete is called complete.
 */
import t from 'tap';
import { createRandom } from '../../src/base/random.js';
import { ByteWriter } from '../../src/wire/byte-codec.js';
import { sessionField, sessionKind } from '../../src/wire/header.js';
import { encodeMessage } from '../../src/wire/messages.js';
import { SessionWire } from '../support/session-wire.js';

/** Draws a message of any kind; its numbers are valid at best. */
function drawMessage(random: () => number): Uint8Array {
  const integer = (end: number) => Math.floor(random() * end);
  const pick = <T>(values: readonly T[]) => values[integer(values.length)] as T;
  const numbers = [0, 1, 2, 3, 7, 63, 64, 255, 65_535, 2 ** 24, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1];
  const number = () => pick([pick(numbers), integer(10), integer(1000)]);
  const byte = () => pick([0, 1, 2, 3, 4, 255, integer(256)]);
  const bytes = (size: number) => Uint8Array.from({ length: size }, () => integer(256));
  const draws: (() => Uint8Array)[] = [
    // A report, field by field.
    () => {
      const writer = new ByteWriter().uint8(3).uint8(integer(4)).uint8(integer(16));
      writer.uint16(number() & 0xffff).uint16(number() & 0xffff);
      for (let i = 0; i < 6; i++) writer.varint(number());
      writer.varint(pick([0, 1, number()])).varint(pick([1, 3, 6, 7, number()]));
      for (let i = integer(4); i > 0; i--) {
        writer.varint(pick([0, 1, number()])).varint(pick([0, 2, 4, 3, 5, number()]));
        for (let j = integer(3); j > 0; j--) writer.uint8(byte());
      }
      return writer.finish();
    },
    () => new ByteWriter().uint8(6).uint8(byte()).varint(number()).uint8(byte()).finish(),
    () => {
      const digests = bytes(32 * integer(40));
      return new ByteWriter().uint8(7).uint8(byte()).varint(number()).raw(digests).finish();
    },
    () => encodeMessage({ kind: 'root', digest: bytes(32) }),
    () => new ByteWriter().uint8(4).uint8(integer(8)).uint16(integer(65_536)).finish(),
    () => drawOffer(byte(), number, byte, bytes),
    () => encodeMessage({ kind: 'accept', name: '\u001b[2J\u202e' }),
    () => Uint8Array.of(integer(14), ...bytes(integer(60))),
  ];
  return pick(draws)();
}

function drawOffer(
  session: number,
  number: () => number,
  byte: () => number,
  bytes: (size: number) => Uint8Array,
): Uint8Array {
  // Often empty: the manifest is then expected in blocks.
  const manifest = bytes(Math.max(0, byte() - 50));
  return new ByteWriter()
    .uint8(0)
    .uint32(session)
    .text('label')
    .uint16(number() & 0xffff)
    .varint(number())
    .varint(number())
    .raw(bytes(32))
    .counted(manifest)
    .raw(bytes(32))
    .text('239.128.0.1')
    .varint(number())
    .uint8(byte() % 4)
    .uint8(byte() % 3)
    .float64(number())
    .uint8(0)
    .uint8(0)
    .finish();
}

const seeds = Array.from({ length: 150 }, (_, i) => i + 1);

t.test('a receiver that sends arbitrary messages harms only itself', (t) => {
  let said = 0;
  for (const seed of seeds) {
    const random = createRandom('trusted receiver', seed);
    const wire = new SessionWire({
      seed: `receiver ${seed}`,
      receiverCount: 3,
      sizeBytes: 6000,
      hasGroup: seed % 2 === 0,
      untilMs: 400_000,
      attack: ({ from, to, bytes }, { receivers, sender }) => {
        const [bad] = receivers;
        if (to !== 'sender' || from.host !== bad?.address.host) return [bytes];
        const channel = bad.machine.find(sender.session)?.secureChannel;
        if (channel === undefined || random() < 0.3) return [bytes];
        const words = Array.from({ length: 4 }, () => channel.seal(drawMessage(random)));
        said += words.length;
        return [bytes, ...words];
      },
    }).run();
    if (wire.result === undefined) t.fail(`seed ${seed}: no end`);
    for (const index of [1, 2]) {
      if (wire.receivers[index]?.isIdentical !== true)
        t.fail(`seed ${seed}: r${index} does not hold the content`);
      if (wire.outcomeOf(index)?.status !== 'complete')
        t.fail(`seed ${seed}: r${index} is not reported as complete`);
    }
  }
  t.ok(said > 1000, `${said} messages`);
  t.end();
});

t.test(
  'a sender that sends arbitrary messages makes no receiver throw or report a false complete',
  (t) => {
    let said = 0;
    for (const seed of seeds) {
      const random = createRandom('trusted sender', seed);
      const wire = new SessionWire({
        seed: `sender ${seed}`,
        sizeBytes: 6000,
        fileCount: seed % 3 === 0 ? 100 : 1,
        untilMs: 400_000,
        attack: ({ to, bytes }, { sender }) => {
          const channel = sender.peers[0]?.channel;
          if (to === 'sender' || channel === undefined || random() < 0.5) return [bytes];
          said++;
          const words = [channel.seal(drawMessage(random)), bytes];
          return random() < 0.5 ? words : words.reverse();
        },
      }).run();
      const [receiver] = wire.receivers;
      if (receiver?.results[0]?.status === 'complete' && !receiver.isIdentical) {
        t.fail(`seed ${seed}: called complete, but is not`);
      }
    }
    t.ok(said > 1000, `${said} messages`);
    t.end();
  },
);

t.test('offers with arbitrary numbers are refused or stay within the limits', (t) => {
  let refusedCount = 0;
  let begunCount = 0;
  for (const seed of seeds) {
    const random = createRandom('offers', seed);
    const integer = (end: number) => Math.floor(random() * end);
    const wire = new SessionWire({
      seed: `offer ${seed}`,
      untilMs: 100_000,
      attack: ({ to, bytes }, { sender }) => {
        const channel = sender.peers[0]?.channel;
        // The sender's own offer never arrives.
        if (to === 'sender' || channel === undefined) return [bytes];
        if (channel['sendCounter'] > 60) return [];
        const numbers = [0, 1, 100, 1000, 1400, 65_000, 2 ** 24, 2 ** 32, 2 ** 53 - 1];
        const number = () => numbers[integer(numbers.length)] as number;
        const words = drawOffer(
          channel.session,
          number,
          () => integer(100),
          (size) => new Uint8Array(size),
        );
        const isProof = bytes[sessionField.kind] === sessionKind.proof;
        return isProof ? [bytes, channel.seal(words)] : [channel.seal(words)];
      },
    }).run();
    const [receiver] = wire.receivers;
    const [result] = receiver?.results ?? [];
    if (result?.status === 'complete') t.fail(`seed ${seed}`);
    if (result?.status === 'refused') refusedCount++;
    else begunCount++;
  }
  t.ok(refusedCount > 10, `${refusedCount} were refused`);
  t.ok(begunCount > 0, `${begunCount} waited for data that never came`);
  t.end();
});
