/** Envelopes against the Noise Protocol Framework, written from its text over node:crypto alone. */
import {
  createCipheriv,
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
} from 'node:crypto';
import * as fc from 'fast-check';
import t from 'tap';
import { generateKeyPair, type KeyPair } from '../../../src/node/keys/key-files.js';
import { createNodeCrypto } from '../../../src/node/keys/node-crypto.js';
import {
  isReceipt,
  openEnvelope,
  openOriginAnswer,
  sealEnvelope,
  sealOriginAnswer,
  sealReceipt,
} from '../../../src/security/envelope.js';

const text = (characters: string) => new TextEncoder().encode(characters);
const [sender, receiver, other] = [
  await generateKeyPair(),
  await generateKeyPair(),
  await generateKeyPair(),
];
const [bySender, byReceiver, byOther] = [
  await createNodeCrypto(sender),
  await createNodeCrypto(receiver),
  await createNodeCrypto(other),
];

/** Noise_X_25519_ChaChaPoly_BLAKE2b, written from revision 34, sections 5.2, 5.3 and 7.4. */
function sealByText(
  e: KeyPair,
  s: KeyPair,
  rs: Uint8Array,
  prologue: Uint8Array,
  payload: Uint8Array,
): Buffer {
  let h = Buffer.alloc(64);
  h.write('Noise_X_25519_ChaChaPoly_BLAKE2b');
  let ck = Buffer.from(h);
  let k = Buffer.alloc(0);
  const mixHash = (bytes: Uint8Array) => {
    h = createHash('blake2b512').update(h).update(bytes).digest();
  };
  const mac = (key: Uint8Array, bytes: Uint8Array) =>
    createHmac('blake2b512', key).update(bytes).digest();
  const mixKey = (input: Uint8Array) => {
    const secret = mac(ck, input);
    ck = mac(secret, Uint8Array.of(1));
    k = mac(secret, Buffer.concat([ck, Uint8Array.of(2)])).subarray(0, 32);
  };
  const encrypt = (plain: Uint8Array) => {
    // The nonce is 0 after each new key.
    const cipher = createCipheriv('chacha20-poly1305', k, Buffer.alloc(12), { authTagLength: 16 });
    cipher.setAAD(h, { plaintextLength: plain.length });
    const sealed = Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
    mixHash(sealed);
    return sealed;
  };
  mixHash(prologue);
  mixHash(rs);
  mixHash(e.publicKey);
  mixKey(multiply(e, rs));
  const sealedKey = encrypt(s.publicKey);
  mixKey(multiply(s, rs));
  return Buffer.concat([e.publicKey, sealedKey, encrypt(payload)]);
}

function multiply({ secretKey }: KeyPair, publicKey: Uint8Array): Buffer {
  const pkcs8 = Buffer.from('302e020100300506032b656e04220420', 'hex');
  const spki = Buffer.from('302a300506032b656e032100', 'hex');
  return diffieHellman({
    privateKey: createPrivateKey({
      ...{ key: Buffer.concat([pkcs8, secretKey]), format: 'der', type: 'pkcs8' },
    }),
    publicKey: createPublicKey({
      ...{ key: Buffer.concat([spki, publicKey]), format: 'der', type: 'spki' },
    }),
  });
}

t.test('opens what another program has sealed, written from the specification', async (t) => {
  for (const payload of ['', 'a', 'x'.repeat(1000)].map(text)) {
    const sealed = sealByText(
      ...([await generateKeyPair(), sender, receiver.publicKey, text('p'), payload] as const),
    );
    const opened = byReceiver.openEnvelope(text('p'), sealed);
    t.strictSame(opened, { senderKey: Uint8Array.from(sender.publicKey), payload });
    const own = bySender.sealEnvelope(receiver.publicKey, text('p'), payload);
    t.equal(own.length, sealed.length);
    t.strictSame(byReceiver.openEnvelope(text('p'), own), opened);
  }
});

t.test('only the receiver opens it, with the same prologue, and only as it was made', (t) => {
  const envelope = bySender.sealEnvelope(receiver.publicKey, text('p'), text('payload'));
  t.equal(byOther.openEnvelope(text('p'), envelope), undefined);
  t.equal(bySender.openEnvelope(text('p'), envelope), undefined);
  t.equal(byReceiver.openEnvelope(text('q'), envelope), undefined);
  for (let bit = 0; bit < 8 * envelope.length; bit++) {
    const changed = envelope.slice();
    changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    // X25519 ignores the highest bit of a public key, but the hash covers it.
    t.equal(byReceiver.openEnvelope(text('p'), changed), undefined, `bit ${bit}`);
  }
  for (let size = 0; size < envelope.length; size++)
    t.equal(byReceiver.openEnvelope(text('p'), envelope.subarray(0, size)), undefined);
  t.end();
});

t.test('any bytes are no envelope, and points of low order are no keys', (t) => {
  const property = fc.property(
    fc.uint8Array({ maxLength: 300 }),
    (bytes) => byReceiver.openEnvelope(text('p'), bytes) === undefined,
  );
  fc.assert(property, { seed: 1, numRuns: 500 });
  t.throws(() => bySender.sealEnvelope(new Uint8Array(32), text('p'), text('payload')));
  const content = {
    challenge: new Uint8Array(16),
    token: new Uint8Array(16),
    manifestDigest: new Uint8Array(32),
    contentRoot: new Uint8Array(32),
    label: 'a',
  };
  t.equal(sealEnvelope(bySender, new Uint8Array(32), content), undefined);
  const zeros = byReceiver.openEnvelope(text('p'), new Uint8Array(200));
  t.equal(zeros, undefined);
  t.end();
});

t.test('the content of an envelope, and its receipt', (t) => {
  const content = {
    challenge: new Uint8Array(16).fill(1),
    token: new Uint8Array(16).fill(2),
    manifestDigest: new Uint8Array(32).fill(3),
    contentRoot: new Uint8Array(32).fill(4),
    label: 'päckchen',
  };
  const envelope = sealEnvelope(bySender, receiver.publicKey, content) as Uint8Array;
  t.strictSame(openEnvelope(byReceiver, sender.publicKey, envelope), content);
  t.equal(openEnvelope(byReceiver, other.publicKey, envelope), undefined);
  const byRelay = sealEnvelope(byOther, receiver.publicKey, content) as Uint8Array;
  t.equal(openEnvelope(byReceiver, sender.publicKey, byRelay), undefined);
  const receipt = sealReceipt(byReceiver, sender.publicKey, content);
  t.ok(isReceipt(bySender, receiver.publicKey, content.token, receipt));
  t.notOk(isReceipt(bySender, receiver.publicKey, content.challenge, receipt));
  t.notOk(isReceipt(bySender, other.publicKey, content.token, receipt));
  const forged = sealReceipt(byOther, sender.publicKey, content);
  t.notOk(isReceipt(bySender, receiver.publicKey, content.token, forged));
  const question = { name: 'päckchen', originKey: sender.publicKey, challenge: content.challenge };
  t.equal(openOriginAnswer(byReceiver, question, envelope), undefined, 'nor an answer');
  // An envelope is no receipt, and a receipt is no envelope.
  t.notOk(isReceipt(byReceiver, sender.publicKey, content.token, envelope));
  t.equal(openEnvelope(bySender, receiver.publicKey, receipt), undefined);
  t.end();
});

t.test('the answer of an origin is one to one question of one receiver', (t) => {
  const challenge = new Uint8Array(16).fill(1);
  const facts = {
    contentRoot: new Uint8Array(32).fill(2),
    manifestDigest: new Uint8Array(32).fill(3),
  };
  const answer = { challenge, name: 'päckchen', ...facts };
  const envelope = sealOriginAnswer(bySender, receiver.publicKey, answer) as Uint8Array;
  const question = { name: 'päckchen', originKey: sender.publicKey, challenge };
  t.strictSame(openOriginAnswer(byReceiver, question, envelope), answer);
  for (const changed of [
    { name: 'other' },
    { originKey: other.publicKey },
    { challenge: new Uint8Array(16).fill(9) },
  ])
    t.equal(openOriginAnswer(byReceiver, { ...question, ...changed }, envelope), undefined);
  t.equal(openOriginAnswer(byOther, question, envelope), undefined);
  const byRelay = sealOriginAnswer(byOther, receiver.publicKey, answer) as Uint8Array;
  t.equal(openOriginAnswer(byReceiver, question, byRelay), undefined);
  t.equal(openEnvelope(byReceiver, sender.publicKey, envelope), undefined);
  t.equal(sealOriginAnswer(bySender, new Uint8Array(32), answer), undefined);
  t.end();
});
