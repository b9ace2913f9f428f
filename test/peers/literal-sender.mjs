// literal-sender.mjs: the "client" of P2MP-FTP, as an independent interoperation peer for tests.
// Written from the course text alone, without a look at any other implementation.
//
//   node literal-sender.mjs <host>[:port]... <port> <file> <MSS> [options]
//
//   --timeout MS            time for one round, counted from its sending (100)
//   --end none|empty|ffff   what follows the last segment (none):
//                             empty: an empty data packet with the next number until ACKed
//                             ffff:  a packet of type 0xFFFF, number 0, until it is sent back
//                           in both cases at most 10 rounds; no answer by then is not a failure
//   --last-type HEX         type of the last segment of the file (5555)
//   --odd-low               checksum: an odd last byte is the low half of its word, not the high
//   --zero-as-ffff          a checksum of 0 is sent as 0xFFFF
//   --max-seconds S         gives up after so many seconds, with exit code 1 (60)
//
// Prints `Timeout, sequence number = Y` at each timeout and at the end `done {json}`.
// The parent process must read stdout: a full pipe blocks this program.
//
// Where the text is silent: an answer belongs to the server whose address and port it comes from;
// an ACK is known by its number and its type, so its zero field and bytes after it do not matter;
// an ACK with another number than the current one is ignored.

import { createSocket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';

const HEADER = 8;
const TYPE_DATA = 0x5555;
const TYPE_ACK = 0xaaaa;
const TYPE_EOF = 0xffff;
const END_ROUNDS = 10;
const MAX_MSS = 65507 - HEADER;

function fail(message, code = 2) {
  process.stderr.write(`literal-sender: ${message}\n`);
  process.exit(code);
}

function toInteger(text, low, high, what) {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < low || value > high) fail(`bad ${what}: ${text}`);
  return value;
}

function readArguments() {
  let parsed;
  try {
    parsed = parseArgs({
      allowPositionals: true,
      options: {
        timeout: { type: 'string', default: '100' },
        end: { type: 'string', default: 'none' },
        'last-type': { type: 'string', default: '5555' },
        'odd-low': { type: 'boolean', default: false },
        'zero-as-ffff': { type: 'boolean', default: false },
        'max-seconds': { type: 'string', default: '60' },
      },
    });
  } catch (error) {
    fail(error.message);
  }
  const { values, positionals } = parsed;
  if (positionals.length < 4) {
    fail('usage: literal-sender.mjs <host>[:port]... <port> <file> <MSS> [options]');
  }
  const [portText, file, mssText] = positionals.slice(-3);
  const commonPort = toInteger(portText, 0, 65535, 'port');
  const hosts = positionals.slice(0, -3).map((text) => {
    const [host, ownPort, ...rest] = text.split(':');
    if (host === '' || rest.length > 0) fail(`bad server: ${text}`);
    const port = ownPort === undefined ? commonPort : toInteger(ownPort, 1, 65535, 'port');
    if (port === 0) fail(`no port for server: ${text}`);
    return { host, port };
  });
  const maxSeconds = Number(values['max-seconds']);
  if (!(maxSeconds > 0 && maxSeconds <= 1e6)) fail(`bad max-seconds: ${values['max-seconds']}`);
  if (!['none', 'empty', 'ffff'].includes(values.end)) fail(`bad end: ${values.end}`);
  if (!/^(0x)?[0-9a-f]{1,4}$/i.test(values['last-type'])) {
    fail(`bad last-type: ${values['last-type']}`);
  }
  return {
    hosts,
    file,
    mss: toInteger(mssText, 1, MAX_MSS, 'MSS'),
    timeout: toInteger(values.timeout, 1, 1e9, 'timeout'),
    end: values.end,
    lastType: Number.parseInt(values['last-type'], 16),
    oddLow: values['odd-low'],
    zeroAsFfff: values['zero-as-ffff'],
    maxSeconds,
  };
}

const settings = readArguments();
const servers = new Map();
const socket = createSocket('udp4');
const result = { segments: 0, datagramsSent: 0, timeouts: 0, seconds: 0 };
let onAnswer = null;
let sendErrorShown = false;

function checksum(data) {
  let sum = 0;
  const even = data.length - (data.length % 2);
  for (let i = 0; i < even; i += 2) sum += data[i] * 256 + data[i + 1];
  if (even < data.length) sum += settings.oddLow ? data[even] : data[even] * 256;
  while (sum > 0xffff) sum = (sum % 65536) + Math.floor(sum / 65536);
  const complement = 0xffff - sum;
  return complement === 0 && settings.zeroAsFfff ? 0xffff : complement;
}

function makePacket(sequence, check, type, data) {
  const packet = Buffer.alloc(HEADER + data.length);
  packet.writeUInt32BE(sequence, 0);
  packet.writeUInt16BE(check, 4);
  packet.writeUInt16BE(type, 6);
  packet.set(data, HEADER);
  return packet;
}

function isAckOf(sequence) {
  return (packet) =>
    packet.length >= HEADER &&
    packet.readUInt16BE(6) === TYPE_ACK &&
    packet.readUInt32BE(0) === sequence;
}

function sendTo(server, packet) {
  result.datagramsSent += 1;
  socket.send(packet, server.port, server.address, (error) => {
    // A datagram that cannot be sent counts as lost.
    if (!error || sendErrorShown) return;
    sendErrorShown = true;
    process.stderr.write(`literal-sender: send: ${error.message}\n`);
  });
}

// Sends the packet to all servers, and after each timeout again to those that have not answered,
// until all have answered or the rounds are used up.
function exchange(packet, isAnswer, maxRounds) {
  return new Promise((resolve) => {
    const waiting = new Map(servers);
    let rounds = 0;
    let timer = null;
    const finish = () => {
      clearTimeout(timer);
      onAnswer = null;
      resolve();
    };
    const round = () => {
      rounds += 1;
      for (const server of waiting.values()) sendTo(server, packet);
      timer = setTimeout(() => {
        result.timeouts += 1;
        console.log(`Timeout, sequence number = ${packet.readUInt32BE(0)}`);
        if (rounds >= maxRounds) finish();
        else round();
      }, settings.timeout);
    };
    onAnswer = (answer, key) => {
      if (!waiting.has(key) || !isAnswer(answer)) return;
      waiting.delete(key);
      if (waiting.size === 0) finish();
    };
    round();
  });
}

async function findServers() {
  for (const { host, port } of settings.hosts) {
    const { address } = await lookup(host, { family: 4 });
    const key = `${address}:${port}`;
    if (servers.has(key)) fail(`server given twice: ${key}`);
    servers.set(key, { address, port });
  }
}

async function transfer(content) {
  let sequence = 0;
  for (let start = 0; start < content.length; start += settings.mss) {
    const data = content.subarray(start, start + settings.mss);
    const isLast = start + settings.mss >= content.length;
    const type = isLast ? settings.lastType : TYPE_DATA;
    const packet = makePacket(sequence, checksum(data), type, data);
    await exchange(packet, isAckOf(sequence), Number.POSITIVE_INFINITY);
    sequence += 1;
    result.segments += 1;
  }
  const nothing = Buffer.alloc(0);
  if (settings.end === 'empty') {
    const packet = makePacket(sequence, checksum(nothing), TYPE_DATA, nothing);
    await exchange(packet, isAckOf(sequence), END_ROUNDS);
  } else if (settings.end === 'ffff') {
    const packet = makePacket(0, 0, TYPE_EOF, nothing);
    await exchange(packet, (answer) => answer.equals(packet), END_ROUNDS);
  }
}

setTimeout(() => {
  fail(`gave up after ${settings.maxSeconds} s (${result.segments} segments done)`, 1);
}, settings.maxSeconds * 1000);

socket.on('error', (error) => fail(error.message));
socket.on('message', (packet, peer) => {
  if (onAnswer !== null) onAnswer(packet, `${peer.address}:${peer.port}`);
});

try {
  const content = readFileSync(settings.file);
  await findServers();
  const started = performance.now();
  await transfer(content);
  result.seconds = (performance.now() - started) / 1000;
} catch (error) {
  fail(error.message);
}
console.log(`done ${JSON.stringify(result)}`);
process.exit(0);
