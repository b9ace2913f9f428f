import fc from 'fast-check';
import t from 'tap';
import { internetChecksum, sameChecksum } from '../../src/base/checksum.js';
import { maxMssBytes } from '../../src/classic/config.js';

const payloads = fc.uint8Array({ maxLength: 1500 });

/** The definition, independent of the code: one's complement addition is addition modulo 0xFFFF. */
function checksumByDefinition(bytes: Uint8Array): number {
  if (bytes.every((byte) => byte === 0)) return 0xffff;
  const isOdd = bytes.length % 2 === 1;
  const value = BigInt(`0x${Buffer.from(bytes).toString('hex')}${isOdd ? '00' : ''}`);
  const rest = Number(value % 0xffffn);
  return rest === 0 ? 0 : 0xffff - rest;
}

t.test('the example of RFC 1071 gives the published value', (t) => {
  const bytes = Uint8Array.of(0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7);
  t.equal(internetChecksum(bytes), ~0xddf2 & 0xffff);
  t.equal(internetChecksum(bytes), 0x220d);
  t.end();
});

t.test('any payload has the checksum of the definition', (t) => {
  const property = fc.property(payloads, (bytes) => {
    return internetChecksum(bytes) === checksumByDefinition(bytes);
  });
  fc.assert(property, { seed: 1, numRuns: 1000 });
  t.end();
});

t.test('an odd length counts as if a zero byte followed, as in UDP', (t) => {
  t.equal(internetChecksum(Uint8Array.of(0x61, 0x62, 0x63)), 0x3b9d);
  t.equal(internetChecksum(Uint8Array.of(0x63)), ~0x6300 & 0xffff);
  const property = fc.property(payloads, (bytes) => {
    return internetChecksum(bytes) === internetChecksum(Uint8Array.of(...bytes, 0));
  });
  fc.assert(property, { seed: 1 });
  t.end();
});

t.test(
  'low-half padding puts the odd byte into the low half, and leaves even lengths unchanged',
  (t) => {
    t.equal(internetChecksum(Uint8Array.of(0x61, 0x62, 0x63), 'low'), 0x9e3a);
    const property = fc.property(payloads, fc.nat(255), (bytes, last) => {
      const even = bytes.subarray(0, bytes.length & ~1);
      const isSameOfEven = internetChecksum(even, 'low') === internetChecksum(even);
      const odd = internetChecksum(Uint8Array.of(...even, last), 'low');
      return isSameOfEven && odd === internetChecksum(Uint8Array.of(...even, 0, last));
    });
    fc.assert(property, { seed: 1 });
    t.end();
  },
);

t.test('the largest segments lose no carry', (t) => {
  t.equal(maxMssBytes % 2, 1, 'the largest has an odd length');
  t.equal(internetChecksum(new Uint8Array(maxMssBytes).fill(0xff)), 0x00ff);
  t.equal(internetChecksum(new Uint8Array(maxMssBytes).fill(0xff), 'low'), 0xff00);
  t.equal(internetChecksum(new Uint8Array(maxMssBytes - 1).fill(0xff)), 0x0000);
  t.equal(internetChecksum(new Uint8Array(65_535).fill(0xff)), 0x00ff);
  t.end();
});

t.test('the order of the words does not matter', (t) => {
  const words = fc.array(fc.nat(0xffff), { maxLength: 200 });
  const shuffledToo = words.chain((list) =>
    fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length })),
  );
  const toBytes = (list: number[]) =>
    Uint8Array.from(list.flatMap((word) => [word >>> 8, word & 0xff]));
  const property = fc.property(shuffledToo, ([list, shuffled]) => {
    return internetChecksum(toBytes(list)) === internetChecksum(toBytes(shuffled));
  });
  fc.assert(property, { seed: 1, numRuns: 300 });
  t.end();
});

t.test('no bytes and zero bytes have the checksum ffff', (t) => {
  t.equal(internetChecksum(new Uint8Array(0)), 0xffff);
  t.equal(internetChecksum(new Uint8Array(1)), 0xffff);
  t.equal(internetChecksum(new Uint8Array(500)), 0xffff);
  t.end();
});

t.test('the two zeros of one-complement numbers are the same, other numbers are not', (t) => {
  t.equal(sameChecksum(0, 0xffff), true);
  t.equal(sameChecksum(0xffff, 0), true);
  t.equal(sameChecksum(0, 0), true);
  t.equal(sameChecksum(0xffff, 0xffff), true);
  t.equal(sameChecksum(0x220d, 0x220d), true);
  t.equal(sameChecksum(0x220d, 0x220e), false);
  t.equal(sameChecksum(0, 1), false);
  t.equal(sameChecksum(0xfffe, 0xffff), false);
  t.end();
});
