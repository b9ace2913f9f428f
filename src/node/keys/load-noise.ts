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
  // What it asks for, and what in turn is nothing but the binary.
  const sodiumPath = requireInNoise.resolve('sodium-universal');
  if (!canLoad(requireInNoise, sodiumPath)) {
    const standIn = new Module(sodiumPath);
    standIn.filename = sodiumPath;
    standIn.exports = require('sodium-javascript');
    standIn.loaded = true;
    require.cache[sodiumPath] = standIn;
  }
  return { Noise: require('noise-handshake'), curve: require('noise-handshake/dh') };
}

/** Not installed, no binary, one for another libc, one that the system does not let in: all the same. */
function canLoad(requireThere: NodeJS.Require, path: string): boolean {
  try {
    requireThere(path);
    return true;
  } catch {
    return false;
  }
}
