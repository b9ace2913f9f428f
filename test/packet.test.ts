import fc from 'fast-check';
import t from 'tap';
import {
  checkPayload,
  type DataPacket,
  decode,
  describe,
  encodeAbort,
  encodeAbortAck,
  encodeAck,
  encodeData,
  isAbortMarker,
} from '../src/packet.js';

const golden = {
  data: '00000007 225d 5555 70326d70', // "p2mp": 7032 + 6d70 = dda2
  oddData: '80000001 3b9d 5555 616263', // "abc": 6162 + 6300 = c462
  oddLowData: '80000001 9e3a 5555 616263', // "abc": 6162 + 0063 = 61c5
  endMarker: '00000002 ffff 5555',
  ack: '00000007 0000 aaaa',
  abort: '00000007 dead 5555',
  lastData: '00000007 225d 5557 70326d70',
  otherLastData: '00000007 225d 5556 70326d70',
  end: '00000000 0000 ffff',
};

function fromHex(hex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex'));
}

function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

function decodeData(bytes: Uint8Array): DataPacket {
  const packet = decode(bytes);
  if (typeof packet === 'string' || packet.kind !== 'data') throw new Error(describe(bytes));
  return packet;
}

function flipBit(bytes: Uint8Array, bit: number): Uint8Array {
  const copy = bytes.slice();
  copy[bit >>> 3] = (copy[bit >>> 3] as number) ^ (0x80 >>> (bit & 7));
  return copy;
}

const sequences = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const payloads = fc.uint8Array({ maxLength: 1500 });

t.test('each kind of packet matches the bytes in the protocol document', (t) => {
  const written: [Uint8Array, string][] = [
    [encodeData(7, Buffer.from('p2mp')), golden.data],
    [encodeData(0x80000001, Buffer.from('abc')), golden.oddData],
    [encodeData(2, new Uint8Array(0)), golden.endMarker],
    [encodeAck(7), golden.ack],
    [encodeAbort(7), golden.abort],
    [encodeAbortAck(7), '00000007 dead aaaa'],
    [encodeAbortAck(undefined), 'ffffffff dead aaaa'],
    [encodeAck(0xfffffffe), 'fffffffe 0000 aaaa'],
  ];
  for (const [bytes, hex] of written) t.equal(toHex(bytes), hex.replaceAll(' ', ''));
  t.end();
});

t.test('each kind of packet is read', (t) => {
  const payload = fromHex('70326d70');
  const data = { kind: 'data', sequence: 7, checksum: 0x225d, isMarkedLast: false, payload };
  t.strictSame(decode(fromHex(golden.data)), data);
  t.strictSame(decode(fromHex(golden.lastData)), { ...data, isMarkedLast: true });
  t.strictSame(decode(fromHex(golden.otherLastData)), { ...data, isMarkedLast: true });
  const ack = { kind: 'ack', sequence: 7, reserved: 0, trailingBytes: 0 };
  t.strictSame(decode(fromHex(golden.ack)), ack);
  const oddAck = { ...ack, reserved: 0x1234, trailingBytes: 3 };
  t.strictSame(decode(fromHex('00000007 1234 aaaa 010203')), oddAck);
  t.strictSame(decode(fromHex(golden.end)), { kind: 'end', sequence: 0 });
  t.equal(decode(fromHex('00000007 225d 5554 70326d70')), 'unknown-type');
  t.end();
});

t.test('sequence numbers above 2^31 stay positive', (t) => {
  for (const sequence of [2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1]) {
    t.match(decode(encodeAck(sequence)), { sequence });
    t.match(decode(encodeData(sequence, Buffer.from('x'))), { sequence });
    t.match(decode(encodeAbort(sequence)), { sequence });
  }
  t.end();
});

t.test('a packet reads back as written, even from the middle of a larger buffer', (t) => {
  const property = fc.property(sequences, payloads, fc.nat(9), (sequence, payload, offset) => {
    const bytes = encodeData(sequence, payload);
    const buffer = new Uint8Array(offset + bytes.length + 5).fill(0xee);
    buffer.set(bytes, offset);
    const packet = decodeData(buffer.subarray(offset, offset + bytes.length));
    const isSame = toHex(packet.payload) === toHex(payload) && packet.sequence === sequence;
    return isSame && checkPayload(packet) === 'good' && !packet.isMarkedLast;
  });
  fc.assert(property, { seed: 1, numRuns: 500 });
  t.end();
});

t.test('an encoded packet keeps its bytes when the given payload is overwritten', (t) => {
  const payload = Buffer.from('p2mp');
  const bytes = encodeData(7, payload);
  payload.fill(0);
  t.equal(toHex(bytes), golden.data.replaceAll(' ', ''));
  t.end();
});

t.test('a truncated packet is a named fault or has a bad checksum', (t) => {
  for (const [name, hex] of Object.entries(golden)) {
    const bytes = fromHex(hex);
    for (let size = 0; size < bytes.length; size++) {
      const cut = decode(bytes.subarray(0, size));
      if (size < 8) t.equal(cut, 'too-short', `${name} cut to ${size}`);
      else t.equal(checkPayload(cut as DataPacket), 'bad', `${name} cut to ${size}`);
    }
  }
  t.end();
});

t.test('every single flipped bit is detected', (t) => {
  for (const bytes of [fromHex(golden.data), fromHex(golden.oddData)]) {
    const { sequence } = decodeData(bytes);
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const flipped = decode(flipBit(bytes, bit));
      if (bit < 32) t.match(flipped, { sequence: (sequence ^ (0x80000000 >>> bit)) >>> 0 });
      else if (bit === 62) t.match(flipped, { kind: 'data', isMarkedLast: true });
      else if (bit >= 48 && bit < 64) t.equal(flipped, 'unknown-type', `bit ${bit} of the type`);
      else t.equal(checkPayload(flipped as DataPacket), 'bad', `bit ${bit}`);
    }
  }
  t.end();
});

t.test('a flipped bit in any payload is detected', (t) => {
  const property = fc.property(
    fc.uint8Array({ minLength: 1, maxLength: 1500 }),
    fc.nat(),
    (payload, place) => {
      const bytes = encodeData(0, payload);
      const flipped = flipBit(bytes, 64 + (place % (payload.length * 8)));
      return checkPayload(decodeData(flipped)) === 'bad';
    },
  );
  fc.assert(property, { seed: 1, numRuns: 1000 });
  t.end();
});

t.test(
  'an odd last byte may be in either half of the last word, and only if the length is odd',
  (t) => {
    t.equal(checkPayload(decodeData(fromHex(golden.oddData))), 'good');
    t.equal(checkPayload(decodeData(fromHex(golden.oddLowData))), 'good-odd-low');
    t.equal(checkPayload(decodeData(fromHex('00000007 9e3a 5555 61620063'))), 'good', 'as a word');
    t.equal(checkPayload(decodeData(fromHex('00000007 9e3a 5555 61626300'))), 'bad', 'swapped');
    t.end();
  },
);

t.test('either zero of a checksum is good, and only the abort marker aborts', (t) => {
  t.equal(checkPayload(decodeData(fromHex('00000000 0000 5555 ffff'))), 'good');
  t.equal(checkPayload(decodeData(fromHex('00000000 ffff 5555 ffff'))), 'good');
  t.equal(isAbortMarker(decodeData(fromHex(golden.abort))), true);
  t.equal(checkPayload(decodeData(fromHex(golden.abort))), 'bad', 'a strict receiver ignores it');
  t.equal(isAbortMarker(decodeData(fromHex(golden.endMarker))), false);
  t.equal(isAbortMarker(decodeData(encodeData(7, fromHex('2152')))), false, 'a payload with dead');
  t.end();
});

t.test('no input makes decode or describe throw', (t) => {
  const types = fc.constantFrom('5555', '5556', '5557', 'aaaa', 'ffff', '0000');
  const typed = fc
    .tuple(fc.uint8Array({ minLength: 6, maxLength: 6 }), types, payloads)
    .map(([head, type, rest]) => Uint8Array.of(...head, ...fromHex(type), ...rest));
  const property = fc.property(fc.oneof(payloads, typed), (bytes) => {
    const packet = decode(bytes);
    if (typeof packet !== 'string' && packet.kind === 'data') checkPayload(packet);
    return describe(bytes) !== '' && !describe(bytes).includes('\n');
  });
  fc.assert(property, { seed: 1, numRuns: 2000 });
  t.end();
});

t.test('each description says what a packet is and what is wrong with it', (t) => {
  const lines = {
    [golden.data]: 'data 7, 4 bytes, crc32 edc22aa8, checksum 0x225d good',
    [golden.oddLowData]:
      'data 2147483649, 3 bytes, crc32 352441c2, checksum 0x9e3a good with the odd byte in the low half',
    '00000007 0001 5555 70326d70':
      'data 7, 4 bytes, crc32 edc22aa8, checksum 0x0001 bad, 0x225d expected',
    [golden.lastData]: 'last data 7, 4 bytes, crc32 edc22aa8, checksum 0x225d good',
    [golden.endMarker]: 'end marker 2, 0 bytes, checksum 0xffff good',
    [golden.abort]: 'abort at 7',
    [golden.ack]: 'ACK of 7',
    '00000007 dead aaaa': 'abort by the receiver',
    '00000007 0203 aaaa 0102':
      'ACK of 7, reserved bits 0x0203 instead of zero, 2 bytes after the header',
    [golden.end]: 'end (type 0xffff), sequence 0, 8 bytes',
    '00000007 0000 1234 01': 'unknown-type: 9 bytes, starting 00 00 00 07 00 00 12 34 01',
    '0007': 'too-short: 2 bytes, starting 00 07',
    '': 'too-short: 0 bytes',
  };
  for (const [hex, line] of Object.entries(lines)) t.equal(describe(fromHex(hex)), line);
  t.end();
});
