// A real session during floods at its receiver: garbage, endless handshakes, handshakes from many
// addresses, failing confirmations. It must complete and keep most of its goodput, and a new sender
// must connect soon, even from the attacker's own address.
//
// The flooder runs on the same machine, and sending thousands of datagrams takes processor time
// from the session. Floods are therefore compared with the same flood to an unused port.
//
//   npm run test:flood -- [datagrams per second]
//
// Floods "in pieces" send 10 Mbit/s instead, joined as a system joins datagrams from one
// address.
import { fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import dgram from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { generateKeyPair, receive, send } from '../../dist/index.js';
import { decodeSession, encodeChannelPacket } from '../../dist/wire/header.js';

const role = process.argv[2];
const none = 'none';
const elsewhere = 'garbage to another port';
const piecesElsewhere = 'hellos to another port, in pieces';
/** Each kind of flood, with the flood that its goodput is compared with. */
const baselines = new Map([
  [none, none],
  [elsewhere, elsewhere],
  ['garbage', elsewhere],
  ['handshakes', elsewhere],
  ['handshakes from many addresses', elsewhere],
  [piecesElsewhere, piecesElsewhere],
  ['one handshake with failing proofs, in pieces', piecesElsewhere],
  ['handshakes with a cookie each, in pieces', piecesElsewhere],
  ['hellos, in pieces', piecesElsewhere],
]);
const leastShare = 0.8;
const longestConnectMs = 3000;
const callerCount = 5;
const floodBytesPerSec = 1_250_000;
const sizeBytes = 400_000_000;
const rounds = 5;
/** Floods that use many source addresses. */
const addressCount = 200;
const ticksPerSec = 100;
const sendGarbage = Symbol('garbage');
const sendHandshake = Symbol('handshake');
const children = new Set();
const garbage = randomBytes(1400);
const padding = new Uint8Array(48);

async function measure(perSec) {
  const folder = mkdtempSync(join(tmpdir(), 'p2mp-flood-'));
  const file = join(folder, 'file');
  writeFileSync(file, randomBytes(sizeBytes));
  try {
    const results = new Map([...baselines.keys()].map((kind) => [kind, []]));
    for (let round = 0; round < rounds; round++) {
      for (const kind of baselines.keys())
        results.get(kind).push(await runOne(folder, file, kind, perSec));
    }
    judge(results, perSec);
  } finally {
    for (const child of children) child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  }
}

/** @returns bytes per second of one session in separate processes */
async function runOne(folder, file, kind, perSec) {
  const dir = join(folder, 'in');
  const receiver = start('receiver', dir);
  const port = await messageOf(receiver);
  const target = kind.includes('another port') ? await findClosedPort() : port;
  const flooder = kind === none ? undefined : start('flooder', kind, target, perSec);
  if (flooder !== undefined) await messageOf(flooder);
  const startedAtMs = performance.now();
  const result = await send({
    paths: [file],
    receivers: [{ host: '127.0.0.1', port }],
    trustReceiver: () => true,
  });
  const elapsedS = (performance.now() - startedAtMs) / 1000;
  const connectMs = await measureConnecting(folder, port);
  flooder?.kill();
  receiver.kill();
  if (result.receivers[0].status !== 'complete')
    throw new Error(`${kind}: ${JSON.stringify(result)}`);
  if (!readFileSync(file).equals(readFileSync(join(dir, 'file'))))
    throw new Error(`${kind}: not the same`);
  rmSync(dir, { recursive: true });
  return { perSec: sizeBytes / elapsedS, connectMs };
}

/** @returns the time of the slowest of a few small sessions, including the handshake */
async function measureConnecting(folder, port) {
  const times = [];
  for (let i = 0; i < callerCount; i++) {
    const file = join(folder, `small-${i}`);
    writeFileSync(file, String(i));
    const startedAtMs = performance.now();
    const receivers = [{ host: '127.0.0.1', port }];
    const result = await send({ paths: [file], receivers, trustReceiver: () => true });
    if (result.receivers[0].status !== 'complete') throw new Error(JSON.stringify(result));
    times.push(performance.now() - startedAtMs);
  }
  return Math.max(...times);
}

function judge(results, perSec) {
  const goodputOf = (kind) => median(results.get(kind).map((result) => result.perSec));
  console.log(
    `${perSec} datagrams per second, or 10 Mbit/s in pieces, beside a session of ${sizeBytes / 1e6} MB, medians of ${rounds}:`,
  );
  for (const [kind, each] of results) {
    const share = goodputOf(kind) / goodputOf(baselines.get(kind));
    const connectMs = Math.max(...each.map((result) => result.connectMs));
    const isGood = share >= leastShare && connectMs <= longestConnectMs;
    const percent = `${(100 * share).toFixed(0)} % of "${baselines.get(kind)}"`;
    const percentOfNone = `${((100 * goodputOf(kind)) / goodputOf(none)).toFixed(0)} % of "none"`;
    console.log(
      `  ${kind}: ${(goodputOf(kind) / 1e6).toFixed(0)} MB/s, ${percent}, ${percentOfNone}; a small session within ${connectMs.toFixed(0)} ms${isGood ? '' : ': TOO LITTLE'}`,
    );
    if (!isGood) process.exitCode = 1;
  }
}

async function playReceiver(dir) {
  const receiving = await receive({
    ...{ dir, port: 0, bind: ['0.0.0.0'], keyPair: await generateKeyPair() },
    trustSender: () => true,
  });
  process.send(receiving.addresses[0].port);
}

function flood(kind, port, perSec) {
  const hosts = kind.endsWith('addresses')
    ? Array.from({ length: addressCount }, (_, i) => `127.0.1.${1 + i}`)
    : ['127.0.0.1'];
  const flooders = hosts.map((host) => new Flooder(host, Number(port)));
  if (kind.endsWith('in pieces')) {
    floodInPieces(flooders[0], kind);
    return;
  }
  const send = kind.startsWith('garbage') ? sendGarbage : sendHandshake;
  const perTick = Number(perSec) / ticksPerSec;
  let sent = 0;
  let due = 0;
  process.send('ready');
  setInterval(() => {
    for (due += perTick; sent < due; sent++) flooders[sent % flooders.length][send](sent);
  }, 1000 / ticksPerSec);
}

/** @returns a free port */
async function findClosedPort() {
  const socket = dgram.createSocket('udp4').bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const { port } = socket.address();
  socket.close();
  return port;
}

/** Sends a flood at 10 Mbit/s, one piece at a time. */
function floodInPieces(flooder, kind) {
  const fill = kind.startsWith('one')
    ? fillPairs
    : kind.startsWith('hellos')
      ? fillHellos
      : fillOpens;
  flooder.joins = true;
  process.send('ready');
  const startedAtMs = performance.now();
  let sentBytes = 0;
  setInterval(() => {
    const dueBytes = ((performance.now() - startedAtMs) / 1000) * floodBytesPerSec;
    while (sentBytes < dueBytes) {
      const pieces = [];
      let sizeBytes = 0;
      while (sizeBytes < Math.min(60_000, dueBytes - sentBytes)) {
        const next = fill(flooder);
        pieces.push(next);
        sizeBytes += next.length;
      }
      flooder.send(Buffer.concat(pieces));
      sentBytes += sizeBytes;
    }
  }, 1000 / ticksPerSec);
}

/** Uses one cookie at a time, with failing confirmations. */
function fillPairs(flooder) {
  flooder.open = flooder.opens.pop() ?? flooder.open;
  if (flooder.open === undefined) return fillHellos(flooder);
  const { session, counter } = decodeSession(flooder.open);
  const proof = encodeChannelPacket('proof', session, 0, counter, randomBytes(64));
  return Buffer.concat([flooder.open, proof]);
}

function fillOpens(flooder) {
  return flooder.opens.pop() ?? fillHellos(flooder);
}

function fillHellos(flooder) {
  const number = flooder.hellos++;
  return encodeChannelPacket('hello', number, 0, number, padding);
}

/** One address. Handshakes go as far as possible without proving its key. */
class Flooder {
  constructor(host, port) {
    this.port = port;
    this.opens = [];
    this.hellos = 1;
    this.socket = dgram.createSocket('udp4').bind(0, host);
    this.socket.on('message', (bytes) => this.answer(bytes));
  }

  [sendGarbage](number) {
    this.send(garbage.subarray(0, 1 + (number % garbage.length)));
  }

  [sendHandshake](number) {
    this.send(encodeChannelPacket('hello', number, 0, number, padding));
  }

  answer(bytes) {
    const { kind, session, counter, body } = decodeSession(bytes);
    // A random key costs the receiver as much as any other.
    const key = randomBytes(32);
    if (kind === 'cookie') {
      const open = encodeChannelPacket('open', session, 0, counter, Buffer.concat([body, key]));
      if (this.joins) this.opens.push(open);
      else this.send(open);
    }
  }

  send(bytes) {
    this.socket.send(bytes, this.port, '127.0.0.1');
  }
}

function start(...words) {
  const child = fork(fileURLToPath(import.meta.url), words, {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  children.add(child);
  child.once('exit', () => children.delete(child));
  return child;
}

function messageOf(child) {
  return new Promise((resolve, reject) => {
    child.once('message', resolve);
    child.once('exit', (code) => reject(new Error(`ended with ${code}`)));
  });
}

function median(values) {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
}

if (role === 'receiver') await playReceiver(process.argv[3]);
else if (role === 'flooder') flood(...process.argv.slice(3));
else await measure(Number(role ?? 5000));
