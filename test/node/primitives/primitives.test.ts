/** Libcrypto and node:crypto do the same, whichever of them a host uses. */
import * as fc from 'fast-check';
import t from 'tap';
import { loadLibcrypto } from '../../../src/node/primitives/libcrypto.js';
import { nodePrimitives, type Primitives } from '../../../src/node/primitives/node-primitives.js';

const libcrypto = loadLibcrypto();
const skip = process.platform === 'linux' ? false : 'libcrypto is called on Linux only';

const some = fc.uint8Array({ maxLength: 600 });
const key = fc.uint8Array({ minLength: 32, maxLength: 32 });
const nonce = fc.uint8Array({ minLength: 12, maxLength: 12 });
const hex = (bytes: Uint8Array | undefined) => bytes && Buffer.from(bytes).toString('hex');

t.test('libcrypto and node:crypto agree', { skip }, (t) => {
  if (libcrypto === undefined) throw new Error('libcrypto cannot be called here');
  const digest = fc.property(fc.array(some, { maxLength: 4 }), (parts) => {
    return hex(libcrypto.sha256(...parts)) === hex(nodePrimitives.sha256(...parts));
  });
  fc.assert(digest, { seed: 1, numRuns: 500 });
  const pairs: [Primitives, Primitives][] = [
    [libcrypto, nodePrimitives],
    [nodePrimitives, libcrypto],
  ];
  const passed = fc.property(key, nonce, some, some, (key, nonce, text, associated) =>
    pairs.every(([sealing, opening]) => {
      const sealed = sealing.seal(key, nonce, text, associated);
      return hex(opening.open(key, nonce, sealed, associated)) === hex(text);
    }),
  );
  fc.assert(passed, { seed: 1, numRuns: 500 });
  t.end();
});

t.test(
  'libcrypto opens nothing that was changed, and the next message as before',
  { skip },
  (t) => {
    if (libcrypto === undefined) throw new Error('libcrypto cannot be called here');
    const { seal, open } = libcrypto;
    const changed = fc.property(
      key,
      nonce,
      some,
      some,
      fc.nat(),
      (key, nonce, text, associated, place) => {
        const sealed = seal(key, nonce, text, associated);
        const forged = Uint8Array.from(sealed);
        const at = place % forged.length;
        forged[at] = (forged[at] as number) ^ (1 << (place & 7));
        const refused = open(key, nonce, forged, associated) === undefined;
        return refused && hex(open(key, nonce, sealed, associated)) === hex(text);
      },
    );
    fc.assert(changed, { seed: 1, numRuns: 500 });
    t.end();
  },
);

t.test('a block is the same bytes with both, and each result has its own memory', { skip }, (t) => {
  if (libcrypto === undefined) throw new Error('libcrypto cannot be called here');
  const block = Uint8Array.from({ length: 61_440 }, (_, i) => i * 7);
  const [key, nonce] = [new Uint8Array(32).fill(9), new Uint8Array(12)];
  const sealed = libcrypto.seal(key, nonce, block, block.subarray(0, 8));
  t.strictSame(sealed, nodePrimitives.seal(key, nonce, block, block.subarray(0, 8)));
  const first = libcrypto.open(key, nonce, sealed, block.subarray(0, 8));
  libcrypto.open(key, nonce, sealed.fill(0, 100, 200), block.subarray(0, 8));
  t.strictSame(first, block);
  const digests = [libcrypto.sha256(block), libcrypto.sha256(sealed)];
  t.not(hex(digests[0]), hex(digests[1]));
  t.equal(hex(digests[0]), hex(nodePrimitives.sha256(block)));
  t.end();
});
