/** koffi calls functions of the libraries that Node itself is linked with: the C library and libcrypto. */
import { createRequire } from 'node:module';

export type Koffi = typeof import('koffi');

/**
 * Loads koffi, which takes a few milliseconds the first time.
 * @throws Error with the reason if koffi is not available, or is not to be used
 */
export function loadKoffi(): Koffi {
  if (process.platform !== 'linux') throw new Error('not Linux');
  if (process.env['P2MP_OFFLOAD'] === 'off') throw new Error('switched off');
  try {
    // Uses `require`, because `import` is slower and asynchronous.
    return createRequire(import.meta.url)('koffi');
  } catch (error) {
    const isMissing = (error as NodeJS.ErrnoException).code === 'MODULE_NOT_FOUND';
    throw new Error(isMissing ? 'koffi is not installed' : 'koffi does not run here', {
      cause: error,
    });
  }
}
