/**
 * An AES-GCM key must never use a nonce for two plaintexts. These tests show what reuse would
 * reveal, and that sealing blocks and messages never reuses one (SECURITY, "Nonces").
 */
import * as fc from 'fast-check';
import t from 'tap';
import { generateKeyPair } from '../../src/node/keys/key-files.js';
import { createNodeCrypto } from '../../src/node/keys/node-crypto.js';
import { BlockSeal } from '../../src/security/block-seal.js';
import type { SessionCrypto } from '../../src/security/crypto.js';
import { SecureChannel } from '../../src/security/secure-channel.js';
import { createSimulatedCrypto, NonceLog } from '../../src/simulator/session-crypto.js';
import { SessionWire } from '../support/session-wire.js';

const crypto = await createNodeCrypto(await generateKeyPair());

/** Logs what the real crypto seals. */
function noting(log: NonceLog, inner: SessionCrypto = crypto): SessionCrypto {
  return {
    ...inner,
    seal: (key, nonce, plaintext, associated) => {
      log.add(key, nonce, plaintext, associated);
      return inner.seal(key, nonce, plaintext, associated);
    },
  };
}

t.test(
  'reusing a nonce for two plaintexts reveals their difference: why it must not happen',
  (t) => {
    const seal = new BlockSeal(crypto, crypto.random(32));
    const [one, two] = [crypto.random(1000), crypto.random(1000)];
    const [sealedOne, sealedTwo] = [seal.seal(5, 1, one), seal.seal(5, 1, two)];
    const differences = one.map((byte, i) => byte ^ (two[i] as number));
    const seen = sealedOne.map((byte, i) => byte ^ (sealedTwo[i] as number));
    t.same(seen.subarray(0, 1000), differences, 'without the key');
    const log = new NonceLog();
    const noted = new BlockSeal(noting(log), crypto.random(32));
    noted.seal(5, 1, one);
    noted.seal(5, 1, one);
    t.equal(log.reuses, 0, 'sealing the same bytes again gives the same datagrams');
    noted.seal(5, 1, two);
    t.equal(log.reuses, 1, 'the log that the simulator uses detects different bytes');
    t.end();
  },
);

t.test('each block and generation of a session has its own nonce', (t) => {
  const seen = new Map<string, string>();
  const watching: SessionCrypto = {
    ...crypto,
    seal: (_key, nonce) => Uint8Array.from([...nonce, ...new Uint8Array(16)]),
  };
  const seal = new BlockSeal(watching, new Uint8Array(32));
  const block = fc.oneof(fc.nat(2 ** 24), fc.constantFrom(0, 255, 256, 2 ** 16, 2 ** 24 - 1));
  fc.assert(
    fc.property(block, fc.nat(255), (number, generation) => {
      const nonce = Buffer.from(seal.seal(number, generation, new Uint8Array(0))).toString('hex');
      const what = `${number} ${generation}`;
      const known = seen.get(nonce);
      seen.set(nonce, what);
      return known === undefined || known === what;
    }),
    { seed: 1, numRuns: 5000 },
  );
  t.ok(seen.size > 1000);
  t.end();
});

t.test(
  'a channel counts: no two messages share a nonce, and each direction has its own key',
  (t) => {
    const log = new NonceLog();
    const [send, receive] = [crypto.random(32), crypto.random(32)];
    const keys = { send, receive };
    const ours = new SecureChannel(noting(log), 7, 0, keys);
    const theirs = new SecureChannel(noting(log), 7, 0, { send: receive, receive: send });
    for (let i = 0; i < 300; i++) {
      ours.seal(Uint8Array.of(i & 255, 1));
      theirs.seal(Uint8Array.of(i & 255, 2));
    }
    t.equal(log.reuses, 0);
    // A process that lost its counter, such as a copy, must start a new handshake.
    new SecureChannel(noting(log), 7, 0, keys).seal(Uint8Array.of(99));
    t.equal(log.reuses, 1, 'the log detects the reuse');
    t.end();
  },
);

t.test('whole sessions, disturbed and restarted, reuse no nonce', (t) => {
  for (let seed = 1; seed <= 20; seed++) {
    const log = new NonceLog();
    let lost = 0;
    const wire = new SessionWire({
      seed: `nonces ${seed}`,
      receiverCount: 2,
      sizeBytes: 20_000,
      fileCount: seed % 2 === 0 ? 100 : 1,
      hasGroup: seed % 3 === 0,
      cryptoOf: (name) => noting(log, createSimulatedCrypto(`nonces ${seed}`, name)),
      attack: ({ bytes, atMs }, wire) => {
        // Every third datagram is lost at first, and one receiver loses its state midway.
        if (wire.log.length === 200) wire.addReceiver(1, createSimulatedCrypto('anew', 'r1'));
        return atMs < 2000 && lost++ % 3 === 0 ? [] : [bytes];
      },
    }).run();
    t.equal(wire.receivers[0]?.isIdentical, true);
    t.equal(log.reuses, 0, `seed ${seed}`);
  }
  t.end();
});

t.test('a block that reads differently is neither sealed nor sent', (t) => {
  const log = new NonceLog();
  const wire = new SessionWire({
    receiverCount: 2,
    sizeBytes: 20_000,
    cryptoOf: (name) => noting(log, createSimulatedCrypto('changing', name)),
    attack: ({ to, bytes, atMs }, { content }) => {
      // The first receiver needed the whole source. It changes before the second one connects.
      if (to === 1 && atMs < 4000) return [];
      if (atMs > 3000) content.fill(0);
      return [bytes];
    },
    untilMs: 20_000,
  }).run();
  const changes = wire.senderEvents.filter(({ type }) => type === 'source-changed');
  t.equal(wire.receivers[0]?.results[0]?.status, 'complete');
  t.ok(changes.length > 0, 'the change is reported');
  t.same(wire.receivers[1]?.content, Buffer.alloc(0), 'nothing of it was sent');
  t.equal(log.reuses, 0);
  t.end();
});
