/** Checks of options that several functions of the library take. */
import type { Address } from '../base/address.js';
import {
  bytes,
  check,
  listOf,
  number,
  objectOf,
  required,
  text,
  wholeNumber,
} from '../base/options/check-options.js';
import { keySizeBytes } from '../wire/sizes.js';
import type { KeyPair } from './keys/key-files.js';
import type { ServerSpec } from './net/resolve-receivers.js';

/** A port to bind: 0 is any free one. */
export const ownPort = wholeNumber(0, 65_535);

export const publicKey = bytes(keySizeBytes);

export const keyPair = objectOf<KeyPair>(
  { publicKey: required(publicKey), secretKey: required(bytes(keySizeBytes)) },
  'generateKeyPair returns',
);

export const signal = check(
  'an AbortSignal',
  (value) => typeof Object(value).addEventListener === 'function',
);

/** `auto`, or interfaces and addresses of this host. */
export const networkPaths = check(
  "'auto' or a list of interfaces and addresses",
  (value) => value === 'auto' || (Array.isArray(value) && listOf(text)(value, '') === undefined),
);

/** Addresses on this host to listen on. */
export const hosts = listOf(text);

export const serverSpecs = listOf(
  objectOf<ServerSpec>(
    { host: required(text), port: required(number), name: text },
    "{ host: 'lab1', port: 7735 }",
  ),
);

export const addresses = listOf(
  objectOf<Address>(
    { host: required(text), port: required(ownPort) },
    "{ host: '::1', port: 7735 }",
  ),
);
