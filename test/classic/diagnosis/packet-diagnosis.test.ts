/**
 * A program whose packets are rejected learns why: common implementation mistakes, each recognized
 * by its cause.
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { join } from 'node:path';
import t from 'tap';
import { internetChecksum } from '../../../src/base/checksum.js';
import { createRandom } from '../../../src/base/random.js';
import type { DiagnosisEvent } from '../../../src/classic/diagnosis/packet-diagnosis.js';
import { decode, encodeAck, encodeData, encodeIdentify } from '../../../src/packet.js';
import { DrivenReceiver } from '../../support/driven-receiver.js';
import { writeRandomFile } from '../../support/loopback.js';
import { parseResult, runClient, startServer } from '../../support/processes.js';

const text = Buffer.from('Lorem ipsum dolor sit amet, consectetur adipiscing elit.\n');

/** A packet as a course client builds it; each field can have its own mistake. */
function packet(
  sequence: number,
  checksum: number,
  type = 0x5555,
  data: Uint8Array = text,
): Uint8Array {
  const bytes = Buffer.alloc(8 + data.length);
  bytes.writeUInt32BE(sequence, 0);
  bytes.writeUInt16BE(checksum & 0xffff, 4);
  bytes.writeUInt16BE(type, 6);
  bytes.set(data, 8);
  return bytes;
}

/** The sum of 16-bit words, without carry and complement; an odd last byte is the high half. */
function sumOf(bytes: Uint8Array, isLowFirst = false): number {
  let sum = 0;
  for (let i = 0; i < bytes.length; i += 2) {
    const [first = 0, second = 0] = [bytes[i], bytes[i + 1]];
    sum += isLowFirst ? second * 256 + first : first * 256 + second;
  }
  return sum;
}

function fold(sum: number): number {
  return sum > 0xffff ? fold((sum & 0xffff) + Math.floor(sum / 0x1_0000)) : sum;
}

function lowByteFirst(bytes: Uint8Array): Uint8Array {
  const copy = Buffer.from(bytes);
  copy.subarray(0, 4).reverse();
  copy.subarray(4, 6).reverse();
  copy.subarray(6, 8).reverse();
  return copy;
}

const right = internetChecksum(text);
const even = text.subarray(0, 56);
const bytesSum = text.reduce((total, byte) => total + byte, 0);
const blank = packet(0, 0);
const fivefold = Buffer.from('5555');

const wrong: Readonly<Record<string, readonly [Uint8Array, string, RegExp]>> = {
  'low byte first': [lowByteFirst(packet(0, right)), 'checksum', /^the byte order is wrong/],
  'words summed low byte first': [
    packet(0, ~fold(sumOf(even, true)), 0x5555, even),
    'checksum',
    /^the byte order is wrong[^;]*$/,
  ],
  'numbers from 1': [packet(1, right), 'numbering', /numbers from 1/],
  'numbers from 1, low byte first': [
    packet(0x0100_0000, right),
    'numbering',
    /low byte first.*from 1/,
  ],
  'numbers of bytes': [packet(text.length, right), 'numbering', /counts bytes/],
  'header in the sum': [packet(0, ~fold(sumOf(blank))), 'checksum', /includes the header[^;]*$/],
  'type in the sum': [
    packet(0, ~fold(sumOf(text) + 0x5555)),
    'checksum',
    /includes the (header|type)[^;]*$/,
  ],
  'no complement': [packet(0, fold(sumOf(text))), 'checksum', /sum is not complemented/],
  'no carry': [
    packet(0, ~sumOf(text)),
    'checksum',
    /^carries out of the 16 bits are dropped[^;]*$/,
  ],
  'neither carry nor complement, header in the sum': [
    packet(0, sumOf(blank)),
    'checksum',
    /includes the (header|type).*not complemented|not complemented.*includes|header.*carries.*not complemented/,
  ],
  "two's complement": [packet(0, -fold(sumOf(text))), 'checksum', /two's complement/],
  'odd byte left out': [packet(0, internetChecksum(even)), 'checksum', /odd last byte is left out/],
  'sum of bytes': [packet(0, bytesSum), 'checksum', /adds single bytes/],
  'no checksum': [packet(0, 0), 'checksum', /not computed/],
  'wrong type': [packet(0, right, 0x1234), 'type', /not the one that the protocol requires/],
  'decimal type': [packet(0, right, 5555), 'type', /as a decimal number/],
  'type of an ACK': [packet(0, right, 0xaaaa), 'type', /type of an ACK/],
  'type of an end': [packet(0, right, 0xffff), 'type', /0xFFFF/],
  'text header': [
    Buffer.from(`0 ${right} 0101010101010101 ${text}`),
    'format',
    /header is written as text/,
  ],
  'text header in fixed columns': [
    Buffer.concat([Buffer.from('00000000'), fivefold, text]),
    'format',
    /header is written as text/,
  ],
  'no header': [text, 'format', /header is missing/],
  'short packet': [new Uint8Array(6), 'format', /shorter than the 8-byte header/],
  'empty datagram': [new Uint8Array(0), 'format', /shorter than the 8-byte header/],
  'pickled packet': [Buffer.concat([Buffer.from([0x80, 4, 0x95]), text]), 'format', /pickle/],
  'checksum of 4 bytes': [
    Buffer.concat([new Uint8Array(8), Buffer.from([0x55, 0x55]), text]),
    'format',
    /2 bytes too long/,
  ],
  'type before checksum': [
    Buffer.concat([new Uint8Array(4), Buffer.from([0x55, 0x55, 0x12, 0x34]), text]),
    'format',
    /type comes before the checksum/,
  ],
};

function diagnosesOf(receiver: DrivenReceiver): DiagnosisEvent[] {
  return receiver.eventsOf('diagnosis');
}

for (const [name, [bytes, kind, cause]] of Object.entries(wrong)) {
  t.test(name, async (t) => {
    const receiver = new DrivenReceiver();
    for (let copy = 0; copy < 5; copy++) receiver.receive('s', bytes);
    t.match(diagnosesOf(receiver), [{ from: 's:5000', kind, cause }]);
    t.equal(diagnosesOf(receiver).length, 1, 'once');
    const [first] = diagnosesOf(receiver);
    t.match(first?.required, /PROTOCOL [23]\.\d/);
    t.ok(first?.arrived);
    t.same(receiver.takeSent(), [], 'nothing is answered');
  });
}

t.test('an unexpected number is reported when it arrives the third time', async (t) => {
  const receiver = new DrivenReceiver();
  for (const sequence of [1, 2, 1, 1]) receiver.data('s', sequence, 'abc');
  t.same(diagnosesOf(receiver), []);
  receiver.data('s', 1, 'abc');
  t.match(diagnosesOf(receiver), [{ kind: 'numbering' }]);
});

t.test('during a transfer, mistakes show with the second segment', async (t) => {
  const segment = 'a'.repeat(100);
  for (const [sequence, cause] of [
    [100, /counts bytes/],
    [0x0100_0000, /low byte first/],
  ] as const) {
    const receiver = new DrivenReceiver();
    receiver.data('s', 0, segment);
    for (let copy = 0; copy < 3; copy++) receiver.data('s', sequence, segment);
    t.match(diagnosesOf(receiver), [{ kind: 'numbering', cause }]);
  }
  const alternating = new DrivenReceiver();
  alternating.data('s', 0, segment);
  alternating.data('s', 1, segment);
  for (let copy = 0; copy < 4; copy++) alternating.data('s', 0, 'b'.repeat(100));
  t.match(diagnosesOf(alternating), [{ kind: 'numbering', cause: /the same number/ }]);
});

t.test('only the last segment has an odd length, and its checksum is wrong', async (t) => {
  const receiver = new DrivenReceiver();
  receiver.data('s', 0, 'a'.repeat(100));
  const last = packet(1, internetChecksum(even));
  receiver.receive('s', last);
  receiver.receive('s', last);
  t.same(diagnosesOf(receiver), [], 'a good sender may be hit by chance twice: not diagnosed yet');
  receiver.receive('s', last);
  t.match(diagnosesOf(receiver), [{ kind: 'checksum', cause: /odd last byte is left out/ }]);
});

t.test('a server that was started in the middle of a transfer says so', async (t) => {
  const receiver = new DrivenReceiver();
  for (let copy = 0; copy < 3; copy++) receiver.data('s', 433, 'abc');
  t.match(diagnosesOf(receiver), [{ kind: 'numbering', cause: /beginning .* did not arrive/ }]);
});

t.test('correct programs are never diagnosed', async (t) => {
  const receiver = new DrivenReceiver();
  const segments = Array.from({ length: 20 }, (_, i) => String.fromCharCode(97 + i).repeat(50));
  // A window of four whose first segment is lost repeatedly.
  receiver.data('s', 0, segments[0] ?? '');
  for (let round = 0; round < 6; round++) {
    for (const i of [2, 3, 4]) receiver.data('s', i, segments[i] ?? '');
  }
  for (const [i, segment] of segments.entries()) receiver.data('s', i, segment);
  for (let copy = 0; copy < 9; copy++) receiver.data('s', 19, segments[19] ?? '');
  receiver.end('s', 20);
  for (let copy = 0; copy < 9; copy++) {
    receiver.data('s', 5, segments[5] ?? '');
    receiver.end('s', 20);
    receiver.receive('q', encodeIdentify(20));
    receiver.receive('r', encodeAck(0));
    receiver.receiveHex('e', '00000000 0000 ffff');
    receiver.receive('a', Buffer.from('00000005dead5555', 'hex'));
  }
  t.match(receiver.results, [{ status: 'complete' }]);
  t.same(diagnosesOf(receiver), []);
});

t.test('a flood from many addresses is not reported for each', async (t) => {
  const receiver = new DrivenReceiver();
  for (let i = 0; i < 1000; i++) receiver.receive(`s${i}`, new Uint8Array(5));
  t.equal(diagnosesOf(receiver).length, 64);
  receiver.passTo(600_001);
  receiver.receive('late', new Uint8Array(5));
  t.equal(diagnosesOf(receiver).length, 65, 'later, other addresses are diagnosed again');
});

t.test('a restarted program at the same port is diagnosed again', async (t) => {
  const receiver = new DrivenReceiver();
  receiver.receive('s', packet(0, 0));
  receiver.passTo(29_000);
  receiver.receive('s', packet(0, fold(sumOf(text))));
  t.equal(diagnosesOf(receiver).length, 1);
  receiver.passTo(60_000);
  receiver.receive('s', packet(0, fold(sumOf(text))));
  t.equal(diagnosesOf(receiver).length, 2);
});

t.test('few random checksums match a known mistake', async (t) => {
  const random = createRandom('checksums');
  let explained = 0;
  for (let i = 0; i < 1000; i++) {
    const receiver = new DrivenReceiver();
    const data = Uint8Array.from({ length: 200 + (i % 2) }, () => Math.floor(random() * 256));
    receiver.receive('s', packet(0, Math.floor(random() * 0x1_0000), 0x5555, data));
    const [diagnosis] = diagnosesOf(receiver);
    if (diagnosis?.kind === 'checksum' && !/no common mistake/.test(diagnosis.cause)) explained++;
  }
  t.ok(explained < 20, `${explained} of 1000`);
  t.equal(typeof decode(encodeData(0, text)), 'object');
});

t.test(
  'p2mpserver prints it without --verbose, and in its summary',
  { buffered: true },
  async (t) => {
    const folder = t.testdir();
    for (const isJson of [false, true]) {
      const { program, port } = await startServer(
        t,
        join(folder, 'copy'),
        0,
        isJson ? ['--json'] : [],
      );
      const client = createSocket('udp4');
      t.teardown(() => client.close());
      client.bind(0, '127.0.0.1');
      await once(client, 'listening');
      const sender = `127.0.0.1:${client.address().port}`;
      client.send(packet(0, fold(sumOf(text))), port, '127.0.0.1');
      if (isJson) {
        const event = await program.waitForEvent('diagnosis');
        t.match(event, {
          sender,
          kind: 'checksum',
          arrived: String,
          required: /2\.3/,
          cause: /not complemented/,
        });
      } else {
        await program.waitFor(/^ {2}likely cause: the sum is not complemented/m, 'stderr');
      }
      program.kill('SIGINT');
      const exit = await program.exited;
      if (isJson) {
        t.match(parseResult(exit), { status: 'idle', diagnoses: [{ sender, kind: 'checksum' }] });
      } else {
        t.equal(exit.stderr.split('\n').length, 5, 'four lines');
        t.match(
          exit.stderr,
          `${sender}: packets are rejected (checksum)\n  arrived:      data packet 0`,
        );
        t.match(exit.stdout, `  Rejected from ${sender} (checksum): the sum is not complemented`);
      }
    }
  },
);

t.test('p2mpclient gets no diagnosis', { buffered: true }, async (t) => {
  const folder = t.testdir();
  const sent = writeRandomFile(folder, 50_001);
  const { program, server } = await startServer(t, join(folder, 'copy'), 0.1, ['--once', '--json']);
  const { code } = await runClient(t, [server], sent, 500, ['--window', '4']);
  t.equal(code, 0);
  t.match(parseResult(await program.exited), { status: 'complete', diagnoses: [] });
});
