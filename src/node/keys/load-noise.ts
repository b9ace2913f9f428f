/**
 * Loads the Noise library, with libsodium if there is a binary for this platform, otherwise with the
 * JavaScript port of libsodium. The Noise library always requires the module that loads the binary, so the
 * port replaces that module in the module cache.
 */
import { createRequire, Module } from 'node:module';
import type Noise from 'noise-handshake';
import type { NoiseCurve } from 'noise-handshake';
import type SymmetricState from 'noise-handshake/symmetric-state';

export interface NoiseLibrary {
  readonly Noise: typeof Noise;
  readonly SymmetricState: typeof SymmetricState;
  readonly curve: NoiseCurve;
}

const require = createRequire(import.meta.url);

export function loadNoise(): NoiseLibrary {
  const requireInNoise = createRequire(require.resolve('noise-handshake'));
  // The library requires this module, which only loads the binary.
  const sodiumPath = requireInNoise.resolve('sodium-universal');
  if (!canLoad(requireInNoise, sodiumPath)) {
    const standIn = new Module(sodiumPath);
    standIn.filename = sodiumPath;
    standIn.exports = require('sodium-javascript');
    standIn.loaded = true;
    require.cache[sodiumPath] = standIn;
  }
  return {
    Noise: require('noise-handshake'),
    SymmetricState: require('noise-handshake/symmetric-state'),
    curve: require('noise-handshake/dh'),
  };
}

/** False if the module is not installed, has no binary, needs another libc, or is blocked by the system. */
function canLoad(requireThere: NodeJS.Require, path: string): boolean {
  try {
    requireThere(path);
    return true;
  } catch {
    return false;
  }
}
