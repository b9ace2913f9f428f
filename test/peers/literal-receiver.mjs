// literal-receiver.mjs: the "server" of P2MP-FTP, as an independent interoperation peer for tests.
// Written from the course text alone, without a look at any other implementation.
//
//   node literal-receiver.mjs <port> <file> <p> [options]          (port 0 = any free port)
//
//   --bind ADDR           address to bind (127.0.0.1)
//   --seed N              seed of the loss generator, so that runs can repeat
//   --ack-next            an ACK carries the next expected number, not the one received
//   --ack-junk            an ACK has 0x1234 in its zero field and 3 trailing bytes
//   --ignore-duplicates   no ACK at all for an out-of-sequence packet
//   --ignore-empty        a data packet without data is ignored altogether (before any loss)
//   --reply-from ADDR     ACKs leave from another socket, bound to ADDR and the same port number
//   --eof-type            a packet of type 0xFFFF, sequence 0 is echoed and ends the transfer
//
// First line on stdout: `listening PORT`. Then `Packet loss, sequence number = X` for each packet
// discarded on purpose. On SIGTERM (or SIGINT, or after the end of --eof-type): `stats {json}`.
// The parent process must read stdout: a full pipe blocks this program.
//
// Where the text is silent: before any segment came in sequence, there is nothing to send an ACK
// for, so an out-of-sequence packet gets no answer; a type other than 0x5555 is not data and is
// ignored; the checksum is verified as RFC 1071 says (the sum with the checksum field is all ones),
// so that both representations of zero are right.

import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { closeSync, openSync, writeSync } from 'node:fs';
import { parseArgs } from 'node:util';

const HEADER = 8;
const TYPE_DATA = 0x5555;
const TYPE_ACK = 0xaaaa;
const TYPE_EOF = 0xffff;
const EOF_LINGER_MS = 1000;

function fail(message) {
  process.stderr.write(`literal-receiver: ${message}\n`);
  process.exit(2);
}

function readArguments() {
  let parsed;
  try {
    parsed = parseArgs({
      allowPositionals: true,
      options: {
        bind: { type: 'string', default: '127.0.0.1' },
        seed: { type: 'string' },
        'ack-next': { type: 'boolean', default: false },
        'ack-junk': { type: 'boolean', default: false },
        'ignore-duplicates': { type: 'boolean', default: false },
        'ignore-empty': { type: 'boolean', default: false },
        'reply-from': { type: 'string' },
        'eof-type': { type: 'boolean', default: false },
      },
    });
  } catch (error) {
    fail(error.message);
  }
  const { values, positionals } = parsed;
  if (positionals.length !== 3) fail('usage: literal-receiver.mjs <port> <file> <p> [options]');
  const [portText, file, lossText] = positionals;
  const port = Number(portText);
  if (!/^\d+$/.test(portText) || port > 65535) fail(`bad port: ${portText}`);
  const loss = lossText.trim() === '' ? Number.NaN : Number(lossText);
  if (!(loss >= 0 && loss <= 1)) fail(`bad loss probability: ${lossText}`);
  if (values.seed !== undefined && !/^\d+$/.test(values.seed)) fail(`bad seed: ${values.seed}`);
  return { port, file, loss, options: values };
}

// Numbers strictly between 0 and 1: a 32-bit shift register whose state is never 0.
function makeRandom(seed) {
  let state = Math.imul((seed % 2 ** 32) ^ 0x6b43a9b5, 0x2545f491) >>> 0 || 1;
  const next = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state / 2 ** 32;
  };
  for (let i = 0; i < 16; i += 1) next();
  return next;
}

// The one's complement sum of the 16-bit words of the data; an odd byte is padded with a zero.
function onesSum(data, start) {
  let sum = start;
  for (let i = 0; i < data.length; i += 2) {
    const low = i + 1 < data.length ? data[i + 1] : 0;
    sum += data[i] * 256 + low;
    if (sum > 0xffff) sum -= 0xffff;
  }
  return sum;
}

const { port, file, loss, options } = readArguments();
const random = makeRandom(options.seed === undefined ? randomInt(2 ** 32) : Number(options.seed));
const stats = {
  dataPackets: 0,
  discarded: 0,
  badChecksum: 0,
  inSequence: 0,
  outOfSequence: 0,
  empty: 0,
  other: 0,
  bytesWritten: 0,
};

let output;
try {
  output = openSync(file, 'w');
} catch (error) {
  fail(`cannot open the file: ${error.message}`);
}

let expected = 0;
const receiving = createSocket('udp4');
let replying = receiving;

function closeFile() {
  if (output === null) return;
  closeSync(output);
  output = null;
}

function store(data) {
  let done = 0;
  while (done < data.length) done += writeSync(output, data, done, data.length - done);
  stats.bytesWritten += data.length;
}

function send(packet, peer) {
  replying.send(packet, peer.port, peer.address, (error) => {
    if (error) process.stderr.write(`literal-receiver: send: ${error.message}\n`);
  });
}

function acknowledge(sequence, peer) {
  const ack = Buffer.alloc(options['ack-junk'] ? HEADER + 3 : HEADER);
  ack.writeUInt32BE(options['ack-next'] ? (sequence + 1) % 2 ** 32 : sequence, 0);
  ack.writeUInt16BE(TYPE_ACK, 6);
  if (options['ack-junk']) {
    ack.writeUInt16BE(0x1234, 4);
    ack.fill(0xe7, HEADER);
  }
  send(ack, peer);
}

function onData(packet, peer) {
  const sequence = packet.readUInt32BE(0);
  const data = packet.subarray(HEADER);
  stats.dataPackets += 1;
  if (data.length === 0) {
    stats.empty += 1;
    if (options['ignore-empty']) return;
  }
  if (random() <= loss) {
    stats.discarded += 1;
    console.log(`Packet loss, sequence number = ${sequence}`);
    return;
  }
  if (onesSum(data, packet.readUInt16BE(4)) !== 0xffff) {
    stats.badChecksum += 1;
    return;
  }
  if (sequence === expected && output !== null) {
    stats.inSequence += 1;
    store(data);
    expected += 1;
    acknowledge(sequence, peer);
    return;
  }
  stats.outOfSequence += 1;
  if (expected > 0 && !options['ignore-duplicates']) acknowledge(expected - 1, peer);
}

function finish() {
  closeFile();
  console.log(`stats ${JSON.stringify(stats)}`);
  process.exit(0);
}

function onEof(packet, peer) {
  send(packet, peer);
  if (output === null) return;
  closeFile();
  setTimeout(finish, EOF_LINGER_MS);
}

receiving.on('message', (packet, peer) => {
  const type = packet.length < HEADER ? -1 : packet.readUInt16BE(6);
  if (type === TYPE_DATA) {
    onData(packet, peer);
    return;
  }
  stats.other += 1;
  if (type === TYPE_EOF && options['eof-type'] && packet.readUInt32BE(0) === 0) onEof(packet, peer);
});

function listening() {
  console.log(`listening ${receiving.address().port}`);
}

process.on('SIGTERM', finish);
process.on('SIGINT', finish);
receiving.on('error', (error) => fail(error.message));
receiving.bind({ port, address: options.bind }, () => {
  if (options['reply-from'] === undefined) {
    listening();
    return;
  }
  replying = createSocket('udp4');
  replying.on('error', (error) => fail(error.message));
  const samePort = receiving.address().port;
  replying.bind({ port: samePort, address: options['reply-from'] }, listening);
});
