/**
 * Handshake floods from a validated address: a stranger can cause only a bounded amount of
 * computation, and an honest sender still connects, even from the attacker's own address.
 */
import t from 'tap';
import type { SessionCrypto } from '../../src/security/crypto.js';
import { cookieSizeBytes, helloSizeBytes } from '../../src/security/handshake.js';
import { handshakeLimits } from '../../src/security/handshake-limits.js';
import { createSimulatedCrypto } from '../../src/simulator/session-crypto.js';
import {
  encodeChannelPacket,
  sessionField,
  sessionHeaderSizeBytes,
  sessionKind,
} from '../../src/wire/header.js';
import { SessionWire, senderAddress, strangerAddress } from '../support/session-wire.js';

/** 10 Mbit/s. */
const floodBytesPerMs = 1250;
const key = new Uint8Array(32).fill(7);
const kindOf = (bytes: Uint8Array) => bytes[sessionField.kind];
/** Long enough for the rate limits to refill. */
const quietMs = 10_000;

/** Creates a receiver that counts handshakes, and a wire to it. */
function createWire(seed: string) {
  let started = 0;
  const plain = createSimulatedCrypto(seed, 'r0');
  const counting: SessionCrypto = {
    ...plain,
    startHandshake: (role, prologue) => {
      started++;
      return plain.startHandshake(role, prologue);
    },
  };
  const cryptoOf = (name: string) => (name === 'r0' ? counting : createSimulatedCrypto(seed, name));
  const wire = new SessionWire({ seed, cryptoOf, sender: { mssBytes: 1400 } });
  return { wire, started: () => started };
}

/** Requests a cookie. @returns an initiation with that cookie */
function openOf(wire: SessionWire, host: string, number: number, sizeBytes: number): Uint8Array {
  const padding = new Uint8Array(helloSizeBytes - sessionHeaderSizeBytes);
  const from = { host, port: 1 + (number % 60_000) };
  const hello = encodeChannelPacket('hello', number, 0, number, padding);
  const answers = wire.ask(0, from, hello);
  const cookie = answers[0]?.subarray(sessionHeaderSizeBytes) ?? new Uint8Array(cookieSizeBytes);
  const body = new Uint8Array(Math.max(sizeBytes - sessionHeaderSizeBytes, cookie.length + 32));
  body.set(cookie);
  body.set(key, cookie.length);
  return encodeChannelPacket('open', number, 0, number, body);
}

/**
 * Cookies are valid for at least 30 s; an attacker that collects more than this holds expired ones.
 */
const mostCookies = 0.5 * 30 * handshakeLimits.hellosPerSec;

/** Builds `count` initiations, each with a valid cookie. */
function gather(wire: SessionWire, host: string, count: number, sizeBytes: number) {
  const opens: { readonly from: { host: string; port: number }; readonly bytes: Uint8Array }[] = [];
  for (let number = 1; number <= count; number++) {
    wire.passTo(wire.nowMs + 1000 / handshakeLimits.hellosPerSec);
    const bytes = openOf(wire, host, number, sizeBytes);
    opens.push({ from: { host, port: 1 + (number % 60_000) }, bytes });
  }
  wire.passTo(wire.nowMs + quietMs);
  return opens;
}

t.test('one cookie allows one handshake, however many confirmations fail', (t) => {
  const { wire, started } = createWire('pairs');
  const open = openOf(wire, strangerAddress.host, 1, 80);
  const from = { host: strangerAddress.host, port: 2 };
  const pair = Buffer.concat([open, encodeChannelPacket('proof', 1, 0, 1, new Uint8Array(64))]);
  const joined = Buffer.concat(new Array<Uint8Array>(406).fill(pair));
  let answers = 0;
  for (let ms = 0; ms < handshakeLimits.handshakeMs; ms += 50) {
    answers += wire.ask(0, from, joined).length;
    wire.passTo(wire.nowMs + 50);
  }
  t.equal(started(), 1);
  t.ok(answers <= handshakeLimits.handshakeMs / handshakeLimits.repeatMs, `${answers} answers`);
  const [receiver] = wire.receivers;
  t.equal(receiver?.kept, 1);
  t.equal(receiver?.faults['bad-handshake'], 1);
  receiver?.machine.handleTimeout(wire.nowMs);
  t.equal(receiver?.kept, 0, 'after the handshake timeout');
  t.end();
});

t.test('the number of handshakes per turn and per second is bounded, whatever arrives', (t) => {
  const { wire, started } = createWire('many');
  const opens = gather(wire, strangerAddress.host, 4000, 80);
  const [receiver] = wire.receivers;
  for (const { from, bytes } of opens) receiver?.machine.handleDatagram(wire.nowMs, from, bytes);
  t.equal(started(), handshakeLimits.handshakeBurst, 'in one turn');
  const { handshakesPerSec, handshakeBurst, handshakes } = handshakeLimits;
  for (let ms = 0; ms < 1000; ms++) {
    wire.passTo(wire.nowMs + 1);
    for (const { from, bytes } of opens.slice(4 * ms, 4 * ms + 4)) {
      receiver?.machine.handleDatagram(wire.nowMs, from, bytes);
    }
  }
  t.ok(started() <= handshakesPerSec + handshakeBurst, `${started()} in a second`);
  t.ok((receiver?.faults['no-room'] ?? 0) > 3000);
  t.ok((receiver?.kept ?? 0) <= handshakes);
  t.equal(receiver?.machine['handshakes'].waitingCount, handshakeLimits.waiting);
  t.end();
});

t.test('slow cryptography reduces the number of handshakes', (t) => {
  let started = 0;
  const plain = createSimulatedCrypto('slow', 'r0');
  const slow: SessionCrypto = {
    ...plain,
    handshakeCostMs: 10,
    startHandshake: (role, prologue) => {
      started++;
      return plain.startHandshake(role, prologue);
    },
  };
  const wire = new SessionWire({ cryptoOf: () => slow });
  const opens = gather(wire, strangerAddress.host, 2000, 80);
  started = 0;
  for (const { from, bytes } of opens) {
    wire.passTo(wire.nowMs + 1);
    wire.receivers[0]?.machine.handleDatagram(wire.nowMs, from, bytes);
  }
  const most = (2000 * handshakeLimits.handshakeShare) / 10 + handshakeLimits.handshakeBurst;
  t.ok(started > 0 && started <= most, `${started} in 2 s`);
  t.end();
});

/** Start of the flood, relative to the start of the sender. */
const beforeMs = -200;

/**
 * Floods a receiver, starting before the sender connects. @returns when the receiver gets the offer
 */
function connectAmid(seed: string, host: string, sizeBytes: number): number {
  const { wire } = createWire(seed);
  const count = ((3000 - beforeMs) * floodBytesPerMs) / sizeBytes;
  const opens = gather(wire, host, Math.min(count, mostCookies), sizeBytes);
  const startMs = wire.nowMs;
  let sentBytes = 0;
  let sent = 0;
  for (let ms = beforeMs; ms < 3000; ms++) {
    wire.passTo(startMs + ms);
    for (; sentBytes < (ms - beforeMs + 1) * floodBytesPerMs; sentBytes += sizeBytes) {
      const open = opens[sent++ % opens.length];
      if (open === undefined) continue;
      // The sender connects when the wire first runs.
      if (ms < 0) wire.ask(0, open.from, open.bytes);
      else wire.inject(0, open.from, open.bytes);
    }
    if (ms >= 0) wire.run(wire.nowMs);
    const isOffered = wire.receivers[0]?.events.some(({ type }) => type === 'offer');
    if (isOffered) return ms;
  }
  return Infinity;
}

t.test(
  'a sender connects within 3 s during a 10 Mbit/s handshake flood from its own address',
  (t) => {
    const times: number[] = [];
    for (const [sizeBytes, runs] of [
      [80, 2],
      [1432, 12],
    ] as const) {
      for (let seed = 0; seed < runs; seed++) {
        times.push(connectAmid(`${sizeBytes} ${seed}`, senderAddress.host, sizeBytes));
      }
    }
    t.ok(Math.max(...times) < 3000, `${times}`);
    t.end();
  },
);

t.test('a flood from another address barely delays a sender', (t) => {
  const times = [1, 2, 3, 4, 5].map((seed) => connectAmid(`else ${seed}`, '198.51.100.1', 1432));
  t.ok(Math.max(...times) < 300, `${times}`);
  t.end();
});

t.test('hellos get a bounded number of replies, and a sender connects during the flood', (t) => {
  const { wire } = createWire('hellos');
  const padding = new Uint8Array(helloSizeBytes - sessionHeaderSizeBytes);
  const startMs = 5000;
  let connectedAtMs = Infinity;
  let sent = 0;
  for (let ms = 0; ms < 3000; ms++) {
    wire.passTo(startMs + ms);
    for (; sent < ((ms + 1) * floodBytesPerMs) / helloSizeBytes; sent++) {
      const hello = encodeChannelPacket('hello', sent, 0, sent, padding);
      wire.inject(0, { host: senderAddress.host, port: 1 + (sent % 60_000) }, hello);
    }
    wire.run(wire.nowMs);
    const isOffered = wire.receivers[0]?.events.some(({ type }) => type === 'offer');
    if (isOffered) connectedAtMs = Math.min(connectedAtMs, ms);
  }
  t.ok(connectedAtMs < 1000, `after ${connectedAtMs} ms`);
  const cookies = wire.log.filter(({ bytes }) => kindOf(bytes) === sessionKind.cookie).length;
  const { hellosPerSec, helloBurst } = handshakeLimits;
  t.ok(cookies > hellosPerSec, `${cookies} cookies for ${sent} hellos`);
  t.ok(cookies <= 3 * hellosPerSec + helloBurst);
  t.end();
});
