/** Cookies are valid for a limited time, and only for the peer they were issued to. */
import * as fc from 'fast-check';
import t from 'tap';
import { Cookies } from '../../src/security/cookies.js';
import { cookieSizeBytes } from '../../src/security/handshake.js';
import { handshakeLimits } from '../../src/security/handshake-limits.js';
import { createSimulatedCrypto } from '../../src/simulator/session-crypto.js';
import type { ChannelPacket } from '../../src/wire/header.js';
import { decodeSession, encodeChannelPacket } from '../../src/wire/header.js';

const { cookieMs } = handshakeLimits;
const address = { host: '192.0.2.1', port: 4000 };

function packetOf(kind: 'hello' | 'open', session = 9, receiver = 4, counter = 2 ** 31 + 7) {
  const bytes = encodeChannelPacket(kind, session, receiver, counter, new Uint8Array(48));
  return decodeSession(bytes) as ChannelPacket;
}
const hello = packetOf('hello');
const open = packetOf('open');
const createCookies = (name = 'one') => new Cookies(createSimulatedCrypto('cookies', name));

t.test('a cookie is valid in its period and the next, not before and not after', (t) => {
  const cookies = createCookies();
  const property = fc.property(
    fc.double({ min: 0, max: 1e12, noNaN: true }),
    fc.double({ min: 0, max: 3 * cookieMs, noNaN: true }),
    (bakedAtMs, ageMs) => {
      const cookie = cookies.bake(bakedAtMs, address, hello);
      const nowMs = bakedAtMs + ageMs;
      const isGood = cookies.isGood(nowMs, address, open, cookie);
      const periodEndMs = (Math.floor(bakedAtMs / cookieMs) + 1) * cookieMs;
      return cookie.length === cookieSizeBytes && isGood === nowMs < periodEndMs + cookieMs;
    },
  );
  fc.assert(property, { seed: 1, numRuns: 1000 });
  const cookie = cookies.bake(10 * cookieMs, address, hello);
  t.equal(cookies.isGood(12 * cookieMs - 1, address, open, cookie), true, 'up to two periods');
  t.equal(cookies.isGood(12 * cookieMs, address, open, cookie), false);
  t.equal(cookies.isGood(10 * cookieMs - 1, address, open, cookie), false, 'not issued yet');
  const late = cookies.bake(11 * cookieMs - 1, address, hello);
  t.equal(cookies.isGood(12 * cookieMs - 1, address, open, late), true, 'at least one period');
  t.equal(cookies.isGood(12 * cookieMs, address, open, late), false);
  t.end();
});

t.test('a cookie is valid for the hello that it answers, from the same address', (t) => {
  const cookies = createCookies();
  const cookie = cookies.bake(0, address, hello);
  t.equal(cookies.isGood(0, address, open, cookie), true);
  const refused: Record<string, boolean> = {
    host: cookies.isGood(0, { ...address, host: '192.0.2.11' }, open, cookie),
    port: cookies.isGood(0, { ...address, port: 4001 }, open, cookie),
    session: cookies.isGood(0, address, packetOf('open', 8), cookie),
    receiver: cookies.isGood(0, address, packetOf('open', 9, 5), cookie),
    'low half of the counter': cookies.isGood(0, address, packetOf('open', 9, 4, 2 ** 31), cookie),
    'high half of the counter': cookies.isGood(0, address, packetOf('open', 9, 4, 7), cookie),
    'another process': createCookies('two').isGood(0, address, open, cookie),
  };
  for (const [what, isGood] of Object.entries(refused)) t.equal(isGood, false, what);
  t.end();
});

t.test('adjacent fields cannot be confused', (t) => {
  const cookies = createCookies();
  const one = { host: '2001:db8::1', port: 23 };
  const cookie = cookies.bake(0, one, packetOf('hello', 1, 11, 1));
  t.equal(cookies.isGood(0, one, packetOf('open', 1, 11, 1), cookie), true);
  t.equal(cookies.isGood(0, one, packetOf('open', 11, 1, 1), cookie), false);
  t.equal(cookies.isGood(0, one, packetOf('open', 1, 1, 11), cookie), false);
  const other = { host: '2001:db8::1:2', port: 3 };
  t.equal(cookies.isGood(0, other, packetOf('open', 1, 11, 1), cookie), false);
  t.end();
});

t.test('a cookie with a flipped bit or another size is invalid', (t) => {
  const cookies = createCookies();
  const cookie = cookies.bake(0, address, hello);
  for (let bit = 0; bit < cookie.length * 8; bit++) {
    const flipped = cookie.slice();
    flipped[bit >>> 3] = (flipped[bit >>> 3] as number) ^ (0x80 >>> (bit & 7));
    t.equal(cookies.isGood(0, address, open, flipped), false, `bit ${bit}`);
  }
  t.equal(cookies.isGood(0, address, open, cookie.subarray(1)), false);
  t.equal(cookies.isGood(0, address, open, cookie.subarray(0, -1)), false);
  t.equal(cookies.isGood(0, address, open, new Uint8Array(0)), false);
  t.equal(cookies.isGood(0, address, open, Uint8Array.of(...cookie, 0)), false);
  t.end();
});
