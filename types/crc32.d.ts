// The part of `crc` that the core uses. Its own declarations pull in Node's types, which the core
// must not see; tsconfig.core.json maps the module to this file.
declare const crc32: (bytes: Uint8Array, previous?: number) => number;
export default crc32;
