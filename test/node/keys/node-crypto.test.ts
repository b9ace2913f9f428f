/**
 * The cryptography of sessions: against published vectors, against a peer written from the Noise
 * Protocol Framework specification over node:crypto alone, and on both libraries that it can use.
 */
import { spawn } from 'node:child_process';
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
} from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import * as fc from 'fast-check';
import t, { type Test } from 'tap';
import { generateKeyPair, type KeyPair } from '../../../src/node/keys/key-files.js';
import { createNodeCrypto } from '../../../src/node/keys/node-crypto.js';
import type { Handshake } from '../../../src/security/crypto.js';
import { distFolder } from '../../support/processes.js';

const bytesOf = (hex: string) => Uint8Array.from(Buffer.from(hex, 'hex'));
const hex = (bytes: Uint8Array | undefined) => bytes && Buffer.from(bytes).toString('hex');
const text = (characters: string) => new TextEncoder().encode(characters);

const ownPair = await generateKeyPair();
const crypto = await createNodeCrypto(ownPair);

t.test('SHA-256 and HMAC give the published values, in any number of parts', (t) => {
  // FIPS 180-4's example; RFC 4231, cases 1, 2 and 6.
  const digest = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';
  t.equal(hex(crypto.hash(text('abc'))), digest);
  t.equal(hex(crypto.hash(text('a'), text(''), text('bc'))), digest);
  const cases: [key: Uint8Array, text: string, mac: string][] = [
    [
      new Uint8Array(20).fill(0x0b),
      'Hi There',
      'b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7',
    ],
    [
      text('Jefe'),
      'what do ya want for nothing?',
      '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843',
    ],
    [
      new Uint8Array(131).fill(0xaa),
      'Test Using Larger Than Block-Size Key - Hash Key First',
      '60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54',
    ],
  ];
  for (const [key, words, mac] of cases) {
    t.equal(hex(crypto.mac(key, text(words))), mac, words);
    t.equal(hex(crypto.mac(key, text(words.slice(0, 3)), text(words.slice(3)))), mac, 'in parts');
  }
  t.end();
});

t.test('AES-256-GCM gives the published values', (t) => {
  // McGrew and Viega, The Galois/Counter Mode of Operation, test cases 13, 14 and 16.
  const zeros = '00'.repeat(32);
  const key = 'feffe9928665731c6d6a8f9467308308'.repeat(2);
  const cases = [
    { key: zeros, nonce: '00'.repeat(12), plain: '', with: '' },
    { key: zeros, nonce: '00'.repeat(12), plain: '00'.repeat(16), with: '' },
    {
      key,
      nonce: 'cafebabefacedbaddecaf888',
      plain:
        'd9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72' +
        '1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39',
      with: 'feedfacedeadbeeffeedfacedeadbeefabaddad2',
    },
  ];
  const sealed = [
    '530f8afbc74536b9a963b4f1c4cb738b',
    'cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919',
    '522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa' +
      '8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662' +
      '76fc6ece0f4e1768cddf8853bb2d551b',
  ];
  for (const [i, one] of cases.entries()) {
    const [key, nonce, plain, associated] = [one.key, one.nonce, one.plain, one.with].map(bytesOf);
    const box = crypto.seal(
      key as Uint8Array,
      nonce as Uint8Array,
      plain as Uint8Array,
      associated as Uint8Array,
    );
    t.equal(hex(box), sealed[i]);
    const opened = crypto.open(
      key as Uint8Array,
      nonce as Uint8Array,
      box,
      associated as Uint8Array,
    );
    t.equal(hex(opened), one.plain);
  }
  t.end();
});

const anyBytes = fc.uint8Array({ maxLength: 70 });

t.test('what was sealed opens, and no longer opens after any bit flip', (t) => {
  const property = fc.property(
    fc.uint8Array({ minLength: 32, maxLength: 32 }),
    fc.uint8Array({ minLength: 12, maxLength: 12 }),
    anyBytes,
    anyBytes,
    fc.nat(),
    (key, nonce, plain, associated, place) => {
      const box = crypto.seal(key, nonce, plain, associated);
      if (hex(crypto.open(key, nonce, box, associated)) !== hex(plain)) return false;
      const parts = [key, nonce, box, associated];
      const sizeBytes = parts.reduce((sum, part) => sum + part.length, 0);
      let bit = place % (8 * sizeBytes);
      const changed = parts.map((part) => {
        const copy = Uint8Array.from(part);
        if (bit >= 0 && bit < 8 * copy.length)
          copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        bit -= 8 * copy.length;
        return copy;
      }) as [Uint8Array, Uint8Array, Uint8Array, Uint8Array];
      return crypto.open(...changed) === undefined;
    },
  );
  fc.assert(property, { seed: 1, numRuns: 1000 });
  t.end();
});

t.test('opening never throws, whatever the input', (t) => {
  const key = fc.oneof(anyBytes, fc.uint8Array({ minLength: 32, maxLength: 32 }));
  const nonce = fc.oneof(anyBytes, fc.uint8Array({ minLength: 12, maxLength: 12 }));
  const property = fc.property(key, nonce, anyBytes, anyBytes, (...given) => {
    return crypto.open(...given) === undefined;
  });
  fc.assert(property, { seed: 1, numRuns: 2000 });
  const good = crypto.seal(bytesOf('00'.repeat(32)), bytesOf('00'.repeat(12)), text('x'), text(''));
  const cut = good.subarray(0, -1);
  t.equal(
    crypto.open(bytesOf('00'.repeat(32)), bytesOf('00'.repeat(12)), cut, text('')),
    undefined,
  );
  t.end();
});

t.test('random bytes have the requested length and differ each time', (t) => {
  t.equal(crypto.random(0).length, 0);
  const two = [crypto.random(32), crypto.random(32)].map(hex);
  t.equal(two[0]?.length, 64);
  t.not(two[0], two[1]);
  t.end();
});

/** A handshake in this process or another one. */
interface Side {
  write(): Promise<Uint8Array>;
  read(message: Uint8Array): Promise<boolean>;
  state(): Promise<Pick<Handshake, 'remoteKey' | 'keys'>>;
}

type Start = (role: 'initiator' | 'responder', prologue?: Uint8Array) => Promise<Side>;

const startHere: Start = async (role, prologue = text('p')) => {
  const handshake = crypto.startHandshake(role, prologue);
  return {
    write: async () => handshake.write(),
    read: async (message) => handshake.read(message),
    state: async () => handshake,
  };
};

/** Executes calls one by one, on a system that loads no native binary. */
const childScript = `
  let refusedCount = 0;
  process.dlopen = () => {
    refusedCount++;
    throw new Error('no binary for this platform');
  };
  const { createNodeCrypto } = await import(process.argv[1]);
  let crypto, handshake;
  process.on('message', async ({ call, keyPair, role, bytes }) => {
    let answer;
    if (call === 'load') {
      crypto = await createNodeCrypto(keyPair);
      answer = refusedCount;
    }
    if (call === 'start') handshake = crypto.startHandshake(role, bytes);
    if (call === 'write') answer = handshake.write();
    if (call === 'read') answer = handshake.read(bytes);
    if (call === 'state') answer = { remoteKey: handshake.remoteKey, keys: handshake.keys };
    process.send({ answer });
  });`;

/** @returns a function that starts handshakes in a process with the JavaScript fallback */
async function openFallback(t: Test): Promise<Start> {
  const module = pathToFileURL(join(distFolder, 'node/keys/node-crypto.js')).href;
  const { NODE_OPTIONS: _, ...env } = process.env;
  const child = spawn(process.execPath, ['--input-type=module', '-e', childScript, module], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    serialization: 'advanced',
    env,
  });
  const ended = once(child, 'exit');
  t.teardown(async () => {
    child.kill();
    await ended;
  });
  const call = async <T>(message: object): Promise<T> => {
    const answered = once(child, 'message') as Promise<[{ answer: T }]>;
    child.send(message);
    const failed = ended.then(([code]) => Promise.reject(new Error(`ended with ${code}`)));
    const [{ answer }] = await Promise.race([answered, failed]);
    return answer;
  };
  const refusedCount = await call<number>({ call: 'load', keyPair: ownPair });
  t.ok(refusedCount > 0, 'the process tried to load the binary and failed');
  return async (role, prologue = text('p')) => {
    await call({ call: 'start', role, bytes: prologue });
    return {
      write: () => call<Uint8Array>({ call: 'write' }),
      read: (message) => call<boolean>({ call: 'read', bytes: message }),
      state: () => call({ call: 'state' }),
    };
  };
}

/** Noise_XX_25519_ChaChaPoly_BLAKE2b, written from revision 34, sections 4, 5 and 12. */
class TextPeer implements Side {
  private h: Buffer;
  private ck: Buffer;
  private k: Buffer | undefined;
  private n = 0;
  private readonly tokens = [['e'], ['e', 'ee', 's', 'es'], ['s', 'se']];
  private theirE: Uint8Array = new Uint8Array(0);
  private theirS: Uint8Array | undefined;
  private keys: Handshake['keys'];

  constructor(
    private readonly isInitiator: boolean,
    private readonly s: KeyPair,
    private readonly e: KeyPair,
    prologue: Uint8Array = text('p'),
  ) {
    this.h = Buffer.alloc(64);
    this.h.write('Noise_XX_25519_ChaChaPoly_BLAKE2b');
    this.ck = Buffer.from(this.h);
    this.mixHash(prologue);
  }

  async write(): Promise<Uint8Array> {
    const parts: Uint8Array[] = [];
    for (const token of this.tokens.shift() ?? []) {
      if (token === 'e') {
        this.mixHash(this.e.publicKey);
        parts.push(this.e.publicKey);
      } else if (token === 's') parts.push(this.encrypt(this.s.publicKey));
      else this.mixToken(token);
    }
    parts.push(this.encrypt(new Uint8Array(0)));
    this.split();
    return Buffer.concat(parts);
  }

  async read(message: Uint8Array): Promise<boolean> {
    let rest = message;
    const take = (sizeBytes: number) => {
      const taken = rest.subarray(0, sizeBytes);
      rest = rest.subarray(sizeBytes);
      return taken;
    };
    for (const token of this.tokens.shift() ?? []) {
      if (token === 'e') {
        this.theirE = take(32);
        this.mixHash(this.theirE);
      } else if (token === 's') this.theirS = this.decrypt(take(48));
      else this.mixToken(token);
    }
    this.decrypt(rest);
    this.split();
    return true;
  }

  async state() {
    return { remoteKey: this.theirS, keys: this.keys };
  }

  private mixHash(bytes: Uint8Array): void {
    this.h = createHash('blake2b512').update(this.h).update(bytes).digest();
  }

  /** The letters of a token name the initiator's key and the responder's. */
  private mixToken(token: string): void {
    const [initiators, responders] = token;
    const own = (this.isInitiator ? initiators : responders) === 's' ? this.s : this.e;
    const other = (this.isInitiator ? responders : initiators) === 's' ? this.theirS : this.theirE;
    const [ck, k] = this.derive(multiply(own, other as Uint8Array));
    this.ck = ck;
    this.k = k.subarray(0, 32);
    this.n = 0;
  }

  private derive(input: Uint8Array): [Buffer, Buffer] {
    const mac = (key: Uint8Array, bytes: Uint8Array) =>
      createHmac('blake2b512', key).update(bytes).digest();
    const secret = mac(this.ck, input);
    const first = mac(secret, Uint8Array.of(1));
    return [first, mac(secret, Buffer.concat([first, Uint8Array.of(2)]))];
  }

  private nonce(): Buffer {
    const nonce = Buffer.alloc(12);
    nonce.writeUInt32LE(this.n++, 4);
    return nonce;
  }

  private encrypt(plain: Uint8Array): Uint8Array {
    let sealed = plain;
    if (this.k !== undefined) {
      const options = { authTagLength: 16 };
      const cipher = createCipheriv('chacha20-poly1305', this.k, this.nonce(), options);
      cipher.setAAD(this.h, { plaintextLength: plain.length });
      sealed = Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
    }
    this.mixHash(sealed);
    return sealed;
  }

  private decrypt(sealed: Uint8Array): Uint8Array {
    let plain = sealed;
    if (this.k !== undefined) {
      const options = { authTagLength: 16 };
      const decipher = createDecipheriv('chacha20-poly1305', this.k, this.nonce(), options);
      decipher.setAAD(this.h, { plaintextLength: sealed.length - 16 });
      decipher.setAuthTag(sealed.subarray(-16));
      plain = Buffer.concat([decipher.update(sealed.subarray(0, -16)), decipher.final()]);
    }
    this.mixHash(sealed);
    return plain;
  }

  private split(): void {
    if (this.tokens.length > 0) return;
    const [first, second] = this.derive(new Uint8Array(0)).map((one) => one.subarray(0, 32));
    const [send, receive] = this.isInitiator ? [first, second] : [second, first];
    this.keys = { send: send as Buffer, receive: receive as Buffer };
  }
}

const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64url');

/** X25519 by OpenSSL; for a weak key it returns zeros, which is what the other side computes. */
function multiply(own: KeyPair, other: Uint8Array): Uint8Array {
  if (weakPoints.includes(hex(own.publicKey) ?? '')) return new Uint8Array(32);
  const jwk = { kty: 'OKP', crv: 'X25519' };
  return diffieHellman({
    privateKey: createPrivateKey({
      format: 'jwk',
      key: { ...jwk, x: base64(own.publicKey), d: base64(own.secretKey) },
    }),
    publicKey: createPublicKey({ format: 'jwk', key: { ...jwk, x: base64(other) } }),
  });
}

/** Every point whose order divides eight, in each encoding below 2^255; then with bit 255 set. */
const lowPoints = [
  '00'.repeat(32),
  `01${'00'.repeat(31)}`,
  'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
  '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
  `ec${'ff'.repeat(30)}7f`,
  `ed${'ff'.repeat(30)}7f`,
  `ee${'ff'.repeat(30)}7f`,
];
const weakPoints = [
  ...lowPoints,
  ...lowPoints.map((point) => {
    const bytes = Buffer.from(point, 'hex');
    bytes[31] = (bytes[31] ?? 0) | 0x80;
    return bytes.toString('hex');
  }),
];

/** @returns for each message that was processed, whether it was accepted */
async function shake(
  initiator: Side,
  responder: Side,
  change: (message: Uint8Array, place: number) => Uint8Array = (message) => message,
): Promise<boolean[]> {
  const taken: boolean[] = [];
  for (let place = 0; place < 3; place++) {
    const [from, to] = place === 1 ? [responder, initiator] : [initiator, responder];
    taken.push(await to.read(change(await from.write(), place)));
    if (!taken.at(-1)) break;
  }
  return taken;
}

async function checkAgreement(
  t: Test,
  initiator: Side,
  responder: Side,
  keys: { initiator: Uint8Array; responder: Uint8Array },
): Promise<void> {
  t.same(await shake(initiator, responder), [true, true, true]);
  const [left, right] = [await initiator.state(), await responder.state()];
  t.equal(hex(left.remoteKey), hex(keys.responder), 'the initiator knows the responder');
  t.equal(hex(right.remoteKey), hex(keys.initiator), 'the responder knows the initiator');
  t.equal(hex(left.keys?.send), hex(right.keys?.receive));
  t.equal(hex(left.keys?.receive), hex(right.keys?.send));
  t.not(hex(left.keys?.send), hex(left.keys?.receive), 'each direction has its own key');
  t.match(hex(left.keys?.send), /^(?!0+$)[0-9a-f]{64}$/);
}

function flip(bytes: Uint8Array, bit: number): Uint8Array {
  const copy = Uint8Array.from(bytes);
  copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (1 << (bit & 7));
  return copy;
}

const sizesBytes = [32, 96, 64];

async function testHandshakes(t: Test, start: Start, flipEveryBit: boolean): Promise<void> {
  const own = ownPair.publicKey;

  await t.test('a peer written from the Noise specification agrees, in both roles', async (t) => {
    for (const prologue of [new Uint8Array(0), text('p2mp'), crypto.random(300)]) {
      const [s, e] = [await generateKeyPair(), await generateKeyPair()];
      const initiator = await start('initiator', prologue);
      const keys = { initiator: own, responder: s.publicKey };
      await checkAgreement(t, initiator, new TextPeer(false, s, e, prologue), keys);
      const responder = await start('responder', prologue);
      const turned = { initiator: s.publicKey, responder: own };
      await checkAgreement(t, new TextPeer(true, s, e, prologue), responder, turned);
    }
  });

  await t.test('both libraries interoperate', async (t) => {
    const keys = { initiator: own, responder: own };
    await checkAgreement(t, await startHere('initiator'), await start('responder'), keys);
    await checkAgreement(t, await start('initiator'), await startHere('responder'), keys);
  });

  await t.test('a message with a flipped bit is refused, at once or at the answer', async (t) => {
    const step = flipEveryBit ? 1 : 11;
    const seen = [0, 0, 0];
    for (const [place, sizeBytes] of sizesBytes.entries()) {
      for (let bit = 0; bit < 8 * sizeBytes; bit += step) {
        // The child process can have one handshake at a time, so the other side runs here.
        const remote = place === 1 ? 'initiator' : 'responder';
        const sides = {
          initiator: await (remote === 'initiator' ? start : startHere)('initiator'),
          responder: await (remote === 'responder' ? start : startHere)('responder'),
        };
        const taken = await shake(sides.initiator, sides.responder, (message, at) =>
          at === place ? flip(message, bit) : message,
        );
        // The first message is a key in the clear, so an error only shows in the answer.
        const last = place === 0 && taken[0] ? 1 : place;
        if (taken.length !== last + 1 || taken[last] !== false) t.fail(`${place}, bit ${bit}`);
        else seen[place] = (seen[place] ?? 0) + 1;
        const { keys, remoteKey } = await sides[last === 1 ? 'initiator' : 'responder'].state();
        if (keys !== undefined || remoteKey !== undefined) t.fail('no key follows from it');
      }
    }
    t.same(
      seen,
      sizesBytes.map((size) => Math.ceil((8 * size) / step)),
    );
  });

  await t.test('a message with another size, position or prologue is refused', async (t) => {
    for (const [place, sizeBytes] of sizesBytes.entries()) {
      for (const size of [0, 1, 15, 16, sizeBytes - 1, sizeBytes + 1, 1400]) {
        const isInitiators = place === 1;
        const initiator = await (isInitiators ? start : startHere)('initiator');
        const responder = await (isInitiators ? startHere : start)('responder');
        const taken = await shake(initiator, responder, (message, at) => {
          if (at !== place) return message;
          const other = new Uint8Array(size);
          other.set(message.subarray(0, size));
          return other;
        });
        t.same(taken, [...new Array(place).fill(true), false], `message ${place}, ${size} bytes`);
      }
    }
    const other = await start('responder', text('q'));
    t.same(await shake(await startHere('initiator'), other), [true, false]);
  });

  await t.test('points of low order are refused in every message', async (t) => {
    for (const point of weakPoints) {
      const publicKey = bytesOf(point);
      t.throws(() => multiply(ownPair, publicKey), `${point} is one`);
      const good = await generateKeyPair();
      const weak: KeyPair = { ...good, publicKey };
      // Anybody can compute what follows from such a point, so all tags are valid.
      const responder = await start('responder');
      t.same(await shake(new TextPeer(true, good, weak), responder), [false], 'message 1');
      const initiator = await start('initiator');
      t.same(
        await shake(initiator, new TextPeer(false, good, weak)),
        [true, false],
        'message 2, e',
      );
      const again = await start('initiator');
      t.same(await shake(again, new TextPeer(false, weak, good)), [true, false], 'message 2, s');
      const last = await start('responder');
      t.same(await shake(new TextPeer(true, weak, good), last), [true, true, false], 'message 3');
    }
  });
}

t.test('handshakes on libsodium', (t) => testHandshakes(t, startHere, true));

t.test('handshakes on the fallback', async (t) => {
  await testHandshakes(t, await openFallback(t), false);
});

t.test('a handshake proceeds in order, and not beyond its end', (t) => {
  const prologue = text('p');
  const initiator = crypto.startHandshake('initiator', prologue);
  const responder = crypto.startHandshake('responder', prologue);
  t.throws(() => responder.write(), /internal error: .* in turn/);
  t.equal(initiator.read(new Uint8Array(32)), false, 'the initiator begins');
  const first = initiator.write();
  t.throws(() => initiator.write(), /internal error: .* in turn/);
  t.equal(responder.read(first), true);
  t.equal(responder.read(first), false, 'a second time');
  t.equal(responder.remoteKey, undefined);
  t.equal(initiator.read(responder.write()), true, 'calls out of order did no harm');
  t.equal(hex(initiator.remoteKey), hex(ownPair.publicKey), 'known before the end');
  t.equal(initiator.keys, undefined);
  const last = initiator.write();
  t.ok(initiator.keys);
  t.equal(responder.read(last), true);
  for (const side of [initiator, responder]) {
    t.equal(side.read(last), false, 'after the end');
    t.throws(() => side.write(), /internal error: .* over/);
  }
  const refused = crypto.startHandshake('responder', prologue);
  t.equal(refused.read(new Uint8Array(32)), false);
  t.equal(refused.read(first), false, 'a failed handshake stays failed');
  t.throws(() => refused.write(), /internal error: .* over/);
  t.end();
});

t.test('no buffer is shared with the caller', async (t) => {
  const pair = await generateKeyPair();
  const lent = { publicKey: Buffer.from(pair.publicKey), secretKey: Buffer.from(pair.secretKey) };
  const other = await createNodeCrypto(lent);
  lent.publicKey.fill(0);
  lent.secretKey.fill(0);
  const initiator = other.startHandshake('initiator', text('p'));
  const responder = crypto.startHandshake('responder', text('p'));
  const messages: Uint8Array[] = [];
  const copies: (string | undefined)[] = [];
  for (const [from, to] of [
    [initiator, responder],
    [responder, initiator],
    [initiator, responder],
  ] as const) {
    // Buffers like those from sockets, whose slice() does not copy.
    const message = Buffer.from(from.write());
    messages.push(message);
    copies.push(hex(message));
    t.ok(to.read(message));
  }
  t.same(messages.map(hex), copies, 'no message was changed');
  t.equal(hex(responder.remoteKey), hex(pair.publicKey), 'the pair was copied');
  const before = hex(responder.remoteKey);
  for (const message of messages) message.fill(0);
  t.equal(hex(responder.remoteKey), before, 'the key is not a view of a message either');
  for (const key of [initiator.remoteKey, initiator.keys?.send, crypto.random(8)]) {
    t.equal(Buffer.isBuffer(key), false, 'plain arrays, whose slice() copies');
  }
});
