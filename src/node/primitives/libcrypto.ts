/**
 * SHA-256 and AES-256-GCM by calls of the libcrypto that Node is linked with. The results are those of node:crypto, which
 * creates several objects for each call: a digest of 65 bytes and a message of 60 bytes take it several times as long.
 */
import { assert } from '../../base/assert.js';
import { isEqualBytes } from '../../wire/byte-codec.js';
import { digestSizeBytes, keySizeBytes, nonceSizeBytes, tagSizeBytes } from '../../wire/sizes.js';
import { type Koffi, loadKoffi } from '../koffi.js';
import { assertSealable, canOpen, nodePrimitives, type Primitives } from './node-primitives.js';

/** @returns undefined if its functions cannot be called, or do not give the right results */
export function loadLibcrypto(): Primitives | undefined {
  try {
    const functions = declareFunctions(loadKoffi());
    const sha256 = createHash(functions);
    const libcrypto = { sha256, seal: createSeal(functions), open: createOpen(functions) };
    return isRight(libcrypto) ? libcrypto : undefined;
  } catch {
    // No koffi, a libcrypto without these functions, or one that does not permit these algorithms.
    return undefined;
  }
}

const cipherName = 'AES-256-GCM';

/** EVP_CTRL_AEAD_GET_TAG and EVP_CTRL_AEAD_SET_TAG. */
const getTag = 0x10;
const setTag = 0x11;

/** Parts that are shorter than this in total are hashed in one call. */
const joinedBytes = 256;

type Functions = ReturnType<typeof declareFunctions>;

function declareFunctions(koffi: Koffi) {
  const library = koffi.load(null);
  const pointers = (count: number) => Array<'void *'>(count).fill('void *');
  const declareCipher = (direction: 'Encrypt' | 'Decrypt') => ({
    start: library.func(`EVP_${direction}Init_ex`, 'int', pointers(5)),
    update: library.func(`EVP_${direction}Update`, 'int', [...pointers(4), 'int']),
    end: library.func(`EVP_${direction}Final_ex`, 'int', pointers(3)),
  });
  return {
    fetchDigest: library.func('EVP_MD_fetch', 'void *', ['void *', 'str', 'str']),
    digest: library.func('EVP_Digest', 'int', ['void *', 'size_t', ...pointers(4)]),
    newDigest: library.func('EVP_MD_CTX_new', 'void *', []),
    startDigest: library.func('EVP_DigestInit_ex', 'int', pointers(3)),
    updateDigest: library.func('EVP_DigestUpdate', 'int', [...pointers(2), 'size_t']),
    endDigest: library.func('EVP_DigestFinal_ex', 'int', pointers(3)),
    fetchCipher: library.func('EVP_CIPHER_fetch', 'void *', ['void *', 'str', 'str']),
    newCipher: library.func('EVP_CIPHER_CTX_new', 'void *', []),
    control: library.func('EVP_CIPHER_CTX_ctrl', 'int', ['void *', 'int', 'int', 'void *']),
    encryption: declareCipher('Encrypt'),
    decryption: declareCipher('Decrypt'),
  };
}

function check(result: number): void {
  assert(result === 1, 'libcrypto accepts the arguments');
}

function createHash(functions: Functions): Primitives['sha256'] {
  const { digest, startDigest, updateDigest, endDigest } = functions;
  const algorithm = functions.fetchDigest(null, 'SHA256', null);
  const hashing = functions.newDigest();
  const joined = new Uint8Array(joinedBytes);
  return (...parts) => {
    const result = new Uint8Array(digestSizeBytes);
    let length = 0;
    for (const part of parts) length += part.length;
    if (length <= joinedBytes) {
      let offset = 0;
      for (const part of parts) {
        joined.set(part, offset);
        offset += part.length;
      }
      check(digest(joined, length, result, null, algorithm, null));
      return result;
    }
    check(startDigest(hashing, algorithm, null));
    for (const part of parts) if (part.length > 0) check(updateDigest(hashing, part, part.length));
    check(endDigest(hashing, result, null));
    return result;
  };
}

/** libcrypto writes here how much it has written. */
const written = new Int32Array(1);

function createSeal(functions: Functions): Primitives['seal'] {
  const { control, encryption } = functions;
  const context = functions.newCipher();
  const cipher = functions.fetchCipher(null, cipherName, null);
  check(encryption.start(context, cipher, null, null, null));
  return (key, nonce, plaintext, associated) => {
    assertSealable(key, nonce);
    const { length } = plaintext;
    const sealed = uninitialized(length + tagSizeBytes);
    check(encryption.start(context, null, null, key, nonce));
    if (associated.length > 0)
      check(encryption.update(context, null, written, associated, associated.length));
    if (length > 0) check(encryption.update(context, sealed, written, plaintext, length));
    const tag = sealed.subarray(length);
    // With GCM, `update` writes all bytes, and this writes none.
    check(encryption.end(context, tag, written));
    check(control(context, getTag, tagSizeBytes, tag));
    return sealed;
  };
}

function createOpen(functions: Functions): Primitives['open'] {
  const { control, decryption } = functions;
  const context = functions.newCipher();
  const cipher = functions.fetchCipher(null, cipherName, null);
  check(decryption.start(context, cipher, null, null, null));
  return (key, nonce, sealed, associated) => {
    if (!canOpen(key, nonce, sealed)) return undefined;
    const length = sealed.length - tagSizeBytes;
    const plaintext = uninitialized(length);
    check(decryption.start(context, null, null, key, nonce));
    check(control(context, setTag, tagSizeBytes, sealed.subarray(length)));
    if (associated.length > 0)
      check(decryption.update(context, null, written, associated, associated.length));
    if (length > 0) check(decryption.update(context, plaintext, written, sealed, length));
    // Compares the tags, and writes nothing.
    return decryption.end(context, written, written) === 1 ? plaintext : undefined;
  };
}

/** The largest array that V8 creates in its own heap, where it costs nothing to set it to zero. */
const smallBytes = 64;

function uninitialized(sizeBytes: number): Uint8Array {
  if (sizeBytes <= smallBytes) return new Uint8Array(sizeBytes);
  const { buffer } = Buffer.allocUnsafeSlow(sizeBytes);
  return new Uint8Array(buffer);
}

/** Whether the functions do what those of node:crypto do, for some input. */
function isRight({ sha256, seal, open }: Primitives): boolean {
  const key = new Uint8Array(keySizeBytes).fill(1);
  const nonce = new Uint8Array(nonceSizeBytes).fill(2);
  const short = Uint8Array.of(3);
  const long = new Uint8Array(joinedBytes + 1).fill(4);
  const sealed = nodePrimitives.seal(key, nonce, long, short);
  const opened = open(key, nonce, sealed, short);
  return (
    isEqualBytes(sha256(short), nodePrimitives.sha256(short)) &&
    isEqualBytes(sha256(long), nodePrimitives.sha256(long)) &&
    isEqualBytes(seal(key, nonce, long, short), sealed) &&
    opened !== undefined &&
    isEqualBytes(opened, long) &&
    open(key, nonce, sealed, long) === undefined
  );
}
