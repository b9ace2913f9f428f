/** Message fields: written, read back, and truncated. */
import * as fc from 'fast-check';
import t from 'tap';
import { escapeControls } from '../../src/base/control-characters.js';
import { ByteReader, ByteWriter } from '../../src/wire/byte-codec.js';

const field = fc.oneof(
  fc.record({ kind: fc.constant('uint8' as const), value: fc.nat(0xff) }),
  fc.record({ kind: fc.constant('uint16' as const), value: fc.nat(0xffff) }),
  fc.record({ kind: fc.constant('uint32' as const), value: fc.nat(0xffffffff) }),
  fc.record({ kind: fc.constant('varint' as const), value: fc.maxSafeNat() }),
  fc.record({ kind: fc.constant('float64' as const), value: fc.double() }),
  fc.record({ kind: fc.constant('text' as const), value: fc.string({ unit: 'grapheme' }) }),
  fc.record({ kind: fc.constant('counted' as const), value: fc.uint8Array({ maxLength: 600 }) }),
);
type Field = typeof field extends fc.Arbitrary<infer F> ? F : never;

function write(fields: readonly Field[]): Uint8Array {
  const writer = new ByteWriter();
  for (const { kind, value } of fields) writer[kind](value as never);
  const bytes = writer.finish();
  if (bytes.length !== writer.sizeBytes) throw new Error('differs from the size it declares');
  return bytes;
}

t.test('fields read back as written, and truncation is detected', (t) => {
  const property = fc.property(fc.array(field, { minLength: 1 }), fc.nat(), (fields, cut) => {
    const bytes = write(fields);
    const reader = new ByteReader(bytes);
    t.strictSame(
      fields.map(({ kind }) => reader[kind]()),
      fields.map(({ value }) => value),
    );
    const short = new ByteReader(bytes.subarray(0, cut % bytes.length));
    for (const { kind } of fields) short[kind]();
    return reader.isGood && reader.remainingBytes === 0 && !short.isGood;
  });
  fc.assert(property, { seed: 1, numRuns: 500 });
  t.end();
});

t.test('numbers of any length reach 2^53 - 1 and no further', (t) => {
  const read = (...bytes: number[]) => {
    const reader = new ByteReader(Uint8Array.from(bytes));
    return [reader.varint(), reader.isGood];
  };
  t.same(read(0x7f), [127, true]);
  t.same(read(0x80, 0x01), [128, true]);
  t.same(read(255, 255, 255, 255, 255, 255, 255, 15), [2 ** 53 - 1, true]);
  t.same(read(128, 128, 128, 128, 128, 128, 128, 16), [0, false], '2^53');
  t.same(read(128, 128, 128, 128, 128, 128, 128, 128, 1), [0, false], 'nine bytes');
  for (const value of [-1, 0.5, 2 ** 53, Number.NaN]) {
    t.throws(() => new ByteWriter().varint(value), /whole number/);
  }
  t.end();
});

t.test('invalid UTF-8 is rejected', (t) => {
  for (const hex of ['01ff', '02c3', '02c0af', '03eda080']) {
    const reader = new ByteReader(Uint8Array.from(Buffer.from(hex, 'hex')));
    t.equal(reader.text(), '');
    t.equal(reader.isGood, false, hex);
  }
  t.equal(escapeControls('é\u001b\u0085\u007f漢'), 'é\\x1b\\x85\\x7f漢');
  t.end();
});
