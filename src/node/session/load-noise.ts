/**
 * The Noise library, on libsodium where there is a binary for this platform and on its twin in
 * JavaScript where there is none. The library asks for the binary alone, so the twin is put in its place.
 */
import { createRequire, Module } from 'node:module';
import type Noise from 'noise-handshake';
import type { NoiseCurve } from 'noise-handshake';

export interface NoiseLibrary {
  readonly Noise: typeof Noise;
  readonly curve: NoiseCurve;
}

const require = createRequire(import.meta.url);

export function loadNoise(): NoiseLibrary {
  const requireInNoise = createRequire(require.resolve('noise-handshake'));
  const requireInUniversal = createRequire(requireInNoise.resolve('sodium-universal'));
  const nativePath = requireInUniversal.resolve('sodium-native');
  if (!canLoad(requireInUniversal, nativePath)) {
    const standIn = new Module(nativePath);
    standIn.filename = nativePath;
    standIn.exports = require('sodium-javascript');
    standIn.loaded = true;
    require.cache[nativePath] = standIn;
  }
  return { Noise: require('noise-handshake'), curve: require('noise-handshake/dh') };
}

/** No binary, one for another libc, one that the system does not let in: the answer is the same. */
function canLoad(requireThere: NodeJS.Require, path: string): boolean {
  try {
    requireThere(path);
    return true;
  } catch {
    return false;
  }
}
