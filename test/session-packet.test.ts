/** The session dialect on the wire: golden bytes, and what strangers may send. */
import * as fc from 'fast-check';
import t from 'tap';
import type { ChannelPacket } from '../src/session/session-packet.js';
import {
  burstsAhead,
  decodeSession,
  describeSession,
  encodeChannelPacket,
  encodeProbeHeader,
  isSessionDatagram,
  writeBlockHeader,
} from '../src/session/session-packet.js';

const golden = {
  hello: '89abcdef 01 01 5032 0007 0123456789ab aabb',
  cookie: '89abcdef 02 01 5032 0007 0123456789ab aabb',
  open: '89abcdef 03 01 5032 0007 0123456789ab aabb',
  reply: '89abcdef 04 01 5032 0007 0123456789ab aabb',
  proof: '89abcdef 05 01 5032 0007 0123456789ab aabb',
  control: '89abcdef 06 01 5032 0007 0123456789ab aabb',
  data: '89abcdef 07 05 5032 fedcba98 3f 01 ffee aabb',
  taggedData: `89abcdef 08 05 5032 fedcba98 3f 01 ffee aabb ${'cc'.repeat(16)}`,
  probe: `89abcdef 09 01 5032 0000000000000000 ${'cc'.repeat(16)}`,
};

const fromHex = (hex: string) => Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex'));
const toHex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
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
  writeBlockHeader(bytes, isTagged, block);
  bytes.set(body, 16);
  return bytes;
}

t.test('each kind of packet is on the wire as the text of the protocol has it', (t) => {
  const kinds = ['hello', 'cookie', 'open', 'reply', 'proof', 'control'] as const;
  for (const kind of kinds) {
    const bytes = encodeChannelPacket(kind, 0x89abcdef, 7, 0x0123456789ab, body);
    t.equal(toHex(bytes), golden[kind].replaceAll(' ', ''), kind);
  }
  t.equal(toHex(encodeBlock(false)), golden.data.replaceAll(' ', ''));
  t.equal(toHex(encodeBlock(true)), golden.taggedData.replaceAll(' ', ''));
  t.equal(toHex(encodeProbeHeader(0x89abcdef)), golden.probe.replaceAll(' ', '').slice(0, 32));
  t.end();
});

t.test('each kind of packet is read', (t) => {
  const kinds = ['hello', 'cookie', 'open', 'reply', 'proof', 'control'] as const;
  for (const kind of kinds) {
    const packet = decodeSession(fromHex(golden[kind])) as ChannelPacket;
    t.match(packet, {
      kind,
      session: 0x89abcdef,
      version: 1,
      receiver: 7,
      counter: 0x0123456789ab,
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
  t.match(decodeSession(fromHex(golden.taggedData)), { kind: 'tagged-data', ...block, body, tag });
  t.match(decodeSession(fromHex(golden.probe)), { kind: 'probe', session: 0x89abcdef, body: tag });
  t.end();
});

t.test('what is cut short is too short, or a packet with less in it', (t) => {
  for (const [name, hex] of Object.entries(golden)) {
    const bytes = fromHex(hex);
    const least = { data: 17, taggedData: 33 }[name] ?? 16;
    for (let size = 0; size < bytes.length; size++) {
      const cut = decodeSession(bytes.subarray(0, size));
      if (size < least) t.equal(cut, 'too-short', `${name} cut to ${size}`);
      else t.not(typeof cut, 'string', `${name} cut to ${size}`);
    }
  }
  t.end();
});

t.test('a flipped bit of the type or kind is no packet of that kind; none makes it throw', (t) => {
  for (const [name, hex] of Object.entries(golden)) {
    const bytes = fromHex(hex);
    const whole = decodeSession(bytes);
    t.not(typeof whole, 'string');
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const flipped = bytes.slice();
      flipped[bit >>> 3] = (flipped[bit >>> 3] as number) ^ (0x80 >>> (bit & 7));
      const packet = decodeSession(flipped);
      const label = `bit ${bit} of ${name}`;
      if (bit >= 48 && bit < 64) t.equal(packet, 'unknown-type', label);
      else if (bit >= 32 && bit < 40 && typeof packet !== 'string') {
        t.not(packet.kind, (whole as ChannelPacket).kind, label);
      } else t.notSame(packet, whole, label);
      t.equal(isSessionDatagram(flipped), !(bit >= 48 && bit < 64), label);
    }
  }
  t.end();
});

t.test('no bytes at all make it throw, and a person reads one line of each', (t) => {
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

t.test('numbers of bursts go round', (t) => {
  t.equal(burstsAhead(5, 3), 2);
  t.equal(burstsAhead(3, 5), -2);
  t.equal(burstsAhead(1, 0xffff), 2);
  t.equal(burstsAhead(0xffff, 1), -2);
  t.equal(burstsAhead(0x7fff, 0), 0x7fff);
  t.equal(burstsAhead(0x8000, 0), -0x8000, 'half way round is behind');
  t.end();
});
