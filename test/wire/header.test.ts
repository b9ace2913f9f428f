/** The session protocol on the wire: golden bytes, and arbitrary input. */
import * as fc from 'fast-check';
import t from 'tap';
import type { ChannelPacket } from '../../src/wire/header.js';
import {
  burstsAhead,
  channelDatagramSize,
  decodeSession,
  describeSession,
  encodeChannelPacket,
  encodeProbeHeader,
  isBlockDatagram,
  isSessionDatagram,
  writeBlockHeader,
} from '../../src/wire/header.js';

const golden = {
  hello: '89abcdef 01 02 5032 0007 0002 f3456789 aabb',
  cookie: '89abcdef 02 02 5032 0007 0002 f3456789 aabb',
  open: '89abcdef 03 02 5032 0007 0002 f3456789 aabb',
  reply: '89abcdef 04 02 5032 0007 0002 f3456789 aabb',
  proof: '89abcdef 05 02 5032 0007 0002 f3456789 aabb',
  control: '89abcdef 06 02 5032 0007 0002 f3456789 aabb',
  data: '89abcdef 07 05 5032 fedcba98 3f 01 ffee aabb',
  taggedData: `89abcdef 08 05 5032 fedcba98 3f 01 ffee aabb ${'cc'.repeat(16)}`,
  probe: `89abcdef 09 02 5032 0000000000000000 ${'cc'.repeat(16)}`,
};

const channelNames = ['hello', 'cookie', 'open', 'reply', 'proof', 'control'] as const;

const fromHex = (hex: string) => Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex'));
const toHex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const concat = (...parts: readonly Uint8Array[]) => new Uint8Array(Buffer.concat(parts));
const body = Uint8Array.of(0xaa, 0xbb);
const block = {
  session: 0x89abcdef,
  generation: 5,
  block: 0xfedcba98,
  segment: 63,
  flags: 1,
  burst: 0xffee,
};

function encodeBlock(isTagged: boolean): Uint8Array {
  const bytes = new Uint8Array(16 + 2 + (isTagged ? 16 : 0)).fill(0xcc);
  writeBlockHeader(bytes, 0, isTagged, block);
  bytes.set(body, 16);
  return bytes;
}

t.test('each kind of packet matches the bytes in the protocol document', (t) => {
  for (const kind of channelNames) {
    const bytes = encodeChannelPacket(kind, 0x89abcdef, 7, 0xf3456789, body);
    t.equal(toHex(bytes), golden[kind].replaceAll(' ', ''), kind);
  }
  t.equal(toHex(encodeBlock(false)), golden.data.replaceAll(' ', ''));
  t.equal(toHex(encodeBlock(true)), golden.taggedData.replaceAll(' ', ''));
  t.equal(toHex(encodeProbeHeader(0x89abcdef)), golden.probe.replaceAll(' ', '').slice(0, 32));
  const long = encodeChannelPacket('control', 1, 2, 3, new Uint8Array(0x1234));
  t.equal(toHex(long.subarray(0, 16)), '00000001060250320002123400000003', 'a longer body');
  const within = new Uint8Array(5 + 16 + 3).fill(0xee);
  writeBlockHeader(within, 5, false, block);
  const header = golden.data.replaceAll(' ', '').slice(0, 32);
  t.equal(toHex(within), `eeeeeeeeee${header}eeeeee`, 'a header is written at the given offset');
  t.end();
});

t.test('each kind of packet is read', (t) => {
  for (const kind of channelNames) {
    const packet = decodeSession(fromHex(golden[kind])) as ChannelPacket;
    t.match(packet, {
      kind,
      session: 0x89abcdef,
      version: 2,
      receiver: 7,
      counter: 0xf3456789,
    });
    t.equal(toHex(packet.body), 'aabb');
    t.equal(toHex(packet.header), golden[kind].replaceAll(' ', '').slice(0, 32));
  }
  t.match(decodeSession(fromHex(golden.data)), {
    kind: 'data',
    ...block,
    body,
    tag: { length: 0 },
  });
  const tag = new Uint8Array(16).fill(0xcc);
  t.match(decodeSession(fromHex(golden.taggedData)), {
    kind: 'tagged-data',
    ...block,
    body,
    tag,
  });
  t.match(decodeSession(fromHex(golden.probe)), { kind: 'probe', session: 0x89abcdef, body: tag });
  t.end();
});

t.test('a truncated packet is too short, or data with less in it', (t) => {
  for (const [name, hex] of Object.entries(golden)) {
    const bytes = fromHex(hex);
    // Except for data and probes, the header gives the size.
    const least = { data: 17, taggedData: 33, probe: 16 }[name] ?? bytes.length;
    for (let size = 0; size < bytes.length; size++) {
      const cut = decodeSession(bytes.subarray(0, size));
      if (size < least) t.equal(cut, 'too-short', `${name} cut to ${size}`);
      else t.not(typeof cut, 'string', `${name} cut to ${size}`);
    }
  }
  t.end();
});

t.test(
  'a flipped bit in the type or kind gives no packet of that kind, and never an exception',
  (t) => {
    for (const [name, hex] of Object.entries(golden)) {
      const bytes = fromHex(hex);
      const whole = decodeSession(bytes);
      t.not(typeof whole, 'string');
      for (let bit = 0; bit < bytes.length * 8; bit++) {
        const flipped = bytes.slice();
        flipped[bit >>> 3] = (flipped[bit >>> 3] as number) ^ (0x80 >>> (bit & 7));
        const packet = decodeSession(flipped);
        const label = `bit ${bit} of ${name}`;
        const isSized = (channelNames as readonly string[]).includes(name);
        if (bit >= 48 && bit < 64) t.equal(packet, 'unknown-type', label);
        else if (isSized && bit >= 80 && bit < 96) t.equal(packet, 'too-short', label);
        else if (bit >= 32 && bit < 40 && typeof packet !== 'string') {
          t.not(packet.kind, (whole as ChannelPacket).kind, label);
        } else t.notSame(packet, whole, label);
        t.equal(isSessionDatagram(flipped), !(bit >= 48 && bit < 64), label);
      }
    }
    t.end();
  },
);

t.test('bytes after the body make it another size', (t) => {
  for (const kind of channelNames) {
    t.equal(decodeSession(fromHex(`${golden[kind]} 00`)), 'too-short', kind);
  }
  t.end();
});

t.test('each of several coalesced datagrams gives its end', (t) => {
  const channel = fc
    .tuple(fc.constantFrom(...channelNames), fc.integer({ min: 1, max: 300 }))
    .map(([kind, sizeBytes]) => encodeChannelPacket(kind, 9, 1, 5, new Uint8Array(sizeBytes)));
  const probe = fc.constant(concat(encodeProbeHeader(9), new Uint8Array(16).fill(1)));
  const datagrams = fc.array(fc.oneof(channel, probe), { minLength: 1, maxLength: 20 });
  const property = fc.property(datagrams, fc.nat(40), (datagrams, before) => {
    const joined = concat(new Uint8Array(before), ...datagrams);
    let offset = before;
    return datagrams.every(({ length }) => {
      const sizeBytes = channelDatagramSize(joined, offset);
      offset += length;
      return sizeBytes === length;
    });
  });
  fc.assert(property, { seed: 1, numRuns: 500 });
  t.end();
});

t.test('where the end is unknown, the rest is one datagram', (t) => {
  const control = fromHex(golden.control);
  const header = control.subarray(0, 16);
  t.equal(channelDatagramSize(control, 0), 18);
  t.equal(channelDatagramSize(control.subarray(0, 17), 0), 17, 'cut off');
  for (let size = 1; size <= 16; size++)
    t.equal(channelDatagramSize(header.subarray(16 - size), 0), size);
  t.equal(channelDatagramSize(new Uint8Array(100), 0), 100, 'of the other protocol');
  t.equal(channelDatagramSize(new Uint8Array(100), 30), 70);
  const empty = encodeChannelPacket('control', 1, 1, 1, new Uint8Array(0));
  t.equal(channelDatagramSize(concat(empty, control), 0), 16, 'one without a body');
  t.end();
});

t.test('data is recognized by type and kind, with something after its header', (t) => {
  const isBlock = (hex: string) => isBlockDatagram(fromHex(`eeeeee ${hex}`), 3);
  t.equal(isBlock(golden.data), true);
  t.equal(isBlock(golden.taggedData), true);
  for (const name of [...channelNames, 'probe'] as const)
    t.equal(isBlock(golden[name]), false, name);
  t.equal(isBlock(golden.data.replace('5032', '5033')), false);
  t.equal(isBlockDatagram(fromHex(golden.data).subarray(0, 16), 0), false);
  t.equal(isBlockDatagram(fromHex(golden.data), 18), false, 'past the end');
  t.end();
});

t.test('no input makes it throw, and each packet is described in one line', (t) => {
  const any = fc.uint8Array({ maxLength: 80 });
  const typed = any.map((bytes) => {
    if (bytes.length >= 8) bytes.set([0x50, 0x32], 6);
    return bytes;
  });
  const property = fc.property(fc.oneof(any, typed), (bytes) => {
    const packet = decodeSession(bytes);
    const line = describeSession(bytes);
    return (
      line !== '' && !line.includes('\n') && (typeof packet !== 'string' || line.startsWith(packet))
    );
  });
  fc.assert(property, { seed: 1, numRuns: 3000 });
  t.match(describeSession(fromHex(golden.data)), 'data 89abcdef: block 4275878552.5, segment 63');
  t.end();
});

t.test('burst numbers wrap around', (t) => {
  t.equal(burstsAhead(5, 3), 2);
  t.equal(burstsAhead(3, 5), -2);
  t.equal(burstsAhead(1, 0xffff), 2);
  t.equal(burstsAhead(0xffff, 1), -2);
  t.equal(burstsAhead(0x7fff, 0), 0x7fff);
  t.equal(burstsAhead(0x8000, 0), -0x8000, 'half the range ahead counts as behind');
  t.end();
});
